#!/usr/bin/env python3
"""The original's own evaluator on a model of ours: every digit of its metrics.

    python check_original.py PROGRAM ORIGINAL [DATA [KEY=VALUE ...]]

PROGRAM is bert4rec-dist; ORIGINAL a checkout of https://github.com/FeiSun/BERT4Rec (tried at commit 615eaf2); DATA
lines `user item` in time order, made here where none are given; KEY=VALUE settings of the run. `prepare
--write-tfrecord` writes what the original's generator would, `train` trains a little, `export --tensorflow` writes the
checkpoint; the original's run.py restores and evaluates it, and each number that it prints must be the one of
`evaluate`, for both ways of drawing negatives. Its training is tried too: it goes on from our checkpoint and our
records for 3 steps.

The original is for TensorFlow 1.12 and Python 2. What it needs besides compat.v1 is given here: contrib's layer_norm,
and `map` as Python 2 has it, which runs at once. Ends with 1 where a number differs. Needs tensorflow-cpu 2.15.1.
"""

import json
import os
import pathlib
import random
import re
import shutil
import subprocess
import sys
import tempfile

DRIVER = r"""
import builtins, runpy, sys, types
import tensorflow.compat.v1 as tf

def layer_norm(inputs, begin_norm_axis, begin_params_axis, scope=None):
    # tf.contrib.layers.layer_norm of TensorFlow 1.12, for the last axis.
    assert begin_norm_axis == begin_params_axis == -1
    with tf.variable_scope(scope, "LayerNorm"):
        width = inputs.shape.as_list()[-1]
        beta = tf.get_variable("beta", [width], initializer=tf.zeros_initializer())
        gamma = tf.get_variable("gamma", [width], initializer=tf.ones_initializer())
        mean, variance = tf.nn.moments(inputs, [-1], keep_dims=True)
        return tf.nn.batch_normalization(inputs, mean, variance, beta, gamma, 1e-12)

tf.contrib = types.SimpleNamespace(layers=types.SimpleNamespace(layer_norm=layer_norm))
tf.disable_v2_behavior()
sys.modules["tensorflow"] = tf
original = sys.argv[1]
sys.path.insert(0, original)
sys.argv = [original + "/run.py"] + sys.argv[2:]
runpy.run_path(sys.argv[0], {"map": lambda function, values: list(builtins.map(function, values))}, "__main__")
"""

SETTINGS = {"max_seq_length": "20", "hidden_size": "16", "num_attention_heads": "2", "intermediate_size": "32",
            "num_train_steps": "200", "num_train_epochs": "auto", "batch_size": "32", "masked_lm_prob": "0.4",
            "learning_rate": "0.003"}


def pairs(path: str) -> None:
    """300 users who walk along rings of items."""
    draw = random.Random(7)
    with open(path, "w", encoding="ascii") as file:
        for user in range(1, 301):
            item = draw.randrange(400)
            for _ in range(draw.randrange(5, 40)):
                file.write(f"{user} {item + 1}\n")
                item = (item + draw.choice((1, 1, 1, 2, 17))) % 400


def main() -> int:
    if len(sys.argv) < 3:
        sys.exit(__doc__)
    program, original = map(os.path.abspath, sys.argv[1:3])
    data = os.path.abspath(sys.argv[3]) if len(sys.argv) > 3 else "data.txt"
    settings = SETTINGS | dict(part.split("=", 1) for part in sys.argv[4:])
    options = [part for key, value in ({"holdout": "test"} | settings).items() for part in ("--set", f"{key}={value}")]
    good = True
    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        pathlib.Path("driver.py").write_text(DRIVER, encoding="ascii")
        if data == "data.txt":
            pairs(data)

        def ours(*arguments: str) -> str:
            result = subprocess.run([program, *arguments], capture_output=True, check=False)
            if result.returncode != 0:
                sys.exit(f"{arguments}: {result.stderr.decode()}")
            return result.stdout.decode()

        ours("prepare", data, "--write-tfrecord", "records", *options)
        ours("train", "--data", data, "--run", "run", *options)
        ours("export", "--checkpoint", "run", "--tensorflow", "out")
        name = next(pathlib.Path("records").glob("*.vocab")).stem
        room = len(weights_of_first(f"records/{name}.test.tfrecord"))

        def theirs(*arguments: str) -> str:
            command = [
                sys.executable, "driver.py", original, "--bert_config_file=out/bert_config.json",
                f"--train_input_file=records/{name}.train.tfrecord", f"--test_input_file=records/{name}.test.tfrecord",
                f"--vocab_filename=records/{name}.vocab", f"--user_history_filename=records/{name}.his", "--signature=",
                f"--max_seq_length={settings['max_seq_length']}", f"--max_predictions_per_seq={room}", *arguments]
            result = subprocess.run(command, capture_output=True, check=False,
                                    env=os.environ | {"TF_CPP_MIN_LOG_LEVEL": "2"})
            if result.returncode != 0:
                sys.exit(f"the original: {result.stderr.decode()[-4000:]}")
            return result.stdout.decode()

        for protocol, drawn_by_popularity in (("pop100", "true"), ("uniform100", "false")):
            report = json.loads(ours("evaluate", "--checkpoint", "run", "--data", data, "--protocol", protocol,
                                     "--json").splitlines()[-1])
            printed = theirs("--checkpointDir=out", "--do_eval=true", f"--use_pop_random={drawn_by_popularity}")
            numbers = dict(re.findall(r"(ndcg@\d+|hit@\d+|ap|valid_user):([^,\uFF0C\s]+)", printed))
            assert len(numbers) == 8, printed
            for metric, text in numbers.items():
                key = {"ap": "mrr", "valid_user": "users"}.get(metric, metric)
                value = report["users"] if key == "users" else found(report, f"{key}[{protocol}]")
                same = float(text) == value
                good = good and same
                print(f"{protocol:10} {metric:10} original {text:22} ours {value!r:22} {'' if same else 'DIFFERENT'}")

        shutil.copytree("out", "more")
        step = int(re.search(r"model.ckpt-(\d+)", pathlib.Path("out/checkpoint").read_text())[1])
        theirs("--checkpointDir=more", "--do_train=true", f"--num_train_steps={step + 3}", "--num_warmup_steps=0",
               "--batch_size=32")
        went = f"model.ckpt-{step + 3}" in pathlib.Path("more/checkpoint").read_text()
        good = good and went
        print(f"its training goes on from step {step} with our moments and records: {'yes' if went else 'NO'}")
        if went:
            for file in ("bert_config.json", "items.tsv"):
                shutil.copy("out/" + file, "more")
            # What it has trained is taken back, with its moments.
            ours("train", "--data", data, "--run", "back", "--init-checkpoint", f"more/model.ckpt-{step + 3}",
                 "--keep-moments", *options, "--set", "num_train_steps=1")
            print("its checkpoint is one to begin from: yes")
        os.chdir("/")
    return 0 if good else 1


def weights_of_first(path: str) -> list[float]:
    """The first record's weights: as many as there is room for predictions."""
    import tensorflow as tf  # pylint: disable=import-outside-toplevel

    example = tf.train.Example.FromString(next(iter(tf.data.TFRecordDataset(path))).numpy())
    return list(example.features.feature["masked_lm_weights"].float_list.value)


def found(report: dict, key: str) -> float:
    """A metric, wherever the report has it."""
    if key in report:
        return report[key]
    for value in report.values():
        if isinstance(value, dict) and key in value:
            return value[key]
    raise KeyError(key)


if __name__ == "__main__":
    sys.exit(main())
