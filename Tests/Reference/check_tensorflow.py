#!/usr/bin/env python3
"""Checkpoints of TensorFlow, by TensorFlow itself.

    python check_tensorflow.py PROGRAM            all checks
    python check_tensorflow.py --fixtures FOLDER  the files of CheckpointsTests and TensorFlowFilesTests, again

PROGRAM is bert4rec-dist. A run of the built-in demo is exported with `export --tensorflow`; TensorFlow's reader must
give the numbers of model.safetensors and optimizer.safetensors, bit for bit. TensorFlow's Saver then writes them anew;
a run that begins with that checkpoint and trains with learning rate 0 must have the same parameters. The pickles and
records of `prepare --write-tfrecord` are read by Python and TensorFlow, and hold what the original's generator makes.
Ends with 1 where not.
Needs tensorflow-cpu 2.15.1 (Python 3.9 to 3.11), in an environment of its own.
"""

import collections
import json
import os
import pathlib
import pickle
import shutil
import subprocess
import sys
import tempfile
import types

os.environ["TF_CPP_MIN_LOG_LEVEL"] = "2"
import numpy  # noqa: E402
import tensorflow.compat.v1 as tf  # noqa: E402

KINDS = ("", "/adam_m", "/adam_v")


def safetensors(path: str) -> dict[str, numpy.ndarray]:
    data = pathlib.Path(path).read_bytes()
    start = 8 + int.from_bytes(data[:8], "little")
    tensors = {}
    for name, entry in json.loads(data[8:start]).items():
        if name != "__metadata__":
            first, end = (start + offset for offset in entry["data_offsets"])
            tensors[name] = numpy.frombuffer(data[first:end], numpy.float32).reshape(entry["shape"])
    return tensors


def original_name(name: str) -> str:
    """Hugging Face's name of a parameter -> the original's."""
    if name == "cls.predictions.bias":
        return "cls/predictions/output_bias"
    owner, kind = name.rsplit(".", 1)
    path = owner.replace(".layer.", ".layer_").replace(".", "/")
    if path.endswith("_embeddings"):
        return path
    if path.endswith("LayerNorm"):
        return path + {"weight": "/gamma", "bias": "/beta"}[kind]
    return path + {"weight": "/kernel", "bias": "/bias"}[kind]


def stored(name: str, tensor: numpy.ndarray) -> numpy.ndarray:
    return numpy.ascontiguousarray(tensor.T) if original_name(name).endswith("/kernel") else tensor


def write(prefix: str, tensors: dict[str, numpy.ndarray], step: int) -> None:
    """By the Saver that the original's estimator has."""
    with tf.Graph().as_default(), tf.Session() as session:
        variables = [tf.Variable(value, name=name) for name, value in tensors.items()]
        variables.append(tf.Variable(numpy.int64(step), name="global_step", trainable=False))
        session.run([variable.initializer for variable in variables])
        saved = tf.train.Saver(variables).save(session, prefix, write_meta_graph=False)
        assert saved == prefix


def run(*command: str) -> None:
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


def check(program: str) -> bool:
    good = True

    def say(what: str, holds: bool) -> None:
        nonlocal good
        good = good and holds
        print(f"{what}: {'the same bits' if holds else 'DIFFERENT'}")

    with tempfile.TemporaryDirectory() as scratch:
        os.chdir(scratch)
        run(program, "train", "--run", "run", "--set", "num_train_steps=40", "--set", "num_train_epochs=auto")
        checkpoint = "run/checkpoints/" + pathlib.Path("run/checkpoints/latest").read_text().strip()
        run(program, "export", "--checkpoint", checkpoint, "--tensorflow", "ours")
        prefix = tf.train.latest_checkpoint("ours")
        reader = tf.train.load_checkpoint(prefix)
        model = safetensors(checkpoint + "/model.safetensors")
        moments = safetensors(checkpoint + "/optimizer.safetensors")
        wanted = {}
        for name, tensor in model.items():
            parts = tensor, moments["first_moment." + name], moments["second_moment." + name]
            for kind, part in zip(KINDS, parts):
                wanted[original_name(name) + kind] = stored(name, part)
        found = {name: reader.get_tensor(name) for name in reader.get_variable_to_shape_map()}
        step = int(found.pop("global_step"))
        same = found.keys() == wanted.keys() and all(
            found[name].dtype == numpy.float32 and found[name].shape == value.shape
            and found[name].tobytes() == value.tobytes() for name, value in wanted.items())
        say(f"TensorFlow {tf.__version__} reads our checkpoint, {len(found)} tensors, step {step}", same and step == 40)

        os.mkdir("theirs")
        write("theirs/model.ckpt-40", wanted, step)
        for name in ("bert_config.json", "items.tsv"):
            shutil.copy("ours/" + name, "theirs")
        run(program, "train", "--run", "again", "--init-checkpoint", "theirs/model.ckpt-40", "--keep-moments",
            "--set", "num_train_steps=1", "--set", "num_train_epochs=auto", "--set", "learning_rate=0")
        again = safetensors("again/checkpoints/step-00000001/model.safetensors")
        same = again.keys() == model.keys() and all(again[name].tobytes() == model[name].tobytes() for name in model)
        say(f"we read TensorFlow's checkpoint, {len(again)} parameters", same)
        good = check_instances(program) and good
        os.chdir("/")
    return good


class FreqVocab:  # pylint: disable=too-few-public-methods
    """Stands for the original's class of this name, whose attributes the pickle sets."""


def check_instances(program: str) -> bool:
    """What `prepare --write-tfrecord` writes, by Python and TensorFlow."""
    sequences = {user: [(user * 7 + place * 5) % 60 + 1 for place in range(2 + user % 30)] for user in range(1, 90)}
    rows = [f"{user} {item}" for user, items in sequences.items() for item in items]
    pathlib.Path("data.txt").write_text("\n".join(rows) + "\n")
    length, room, copies = 12, 4, 3
    run(program, "prepare", "data.txt", "--write-tfrecord", "records", "--set", f"max_seq_length={length}", "--set",
        f"max_predictions_per_seq={room}", "--set", f"dupe_factor={copies}", "--set", "masked_lm_prob=0.4")
    sys.modules["vocab"] = types.ModuleType("vocab")
    sys.modules["vocab"].FreqVocab = FreqVocab
    with open("records/data.vocab", "rb") as file:
        vocab = pickle.load(file)
    with open("records/data.his", "rb") as file:
        histories = pickle.load(file)
    counts = collections.Counter("item_" + row.split()[1] for row in rows)
    ids, items = vocab.token_to_ids, len(counts)
    tested = [user for user, sequence in sequences.items() if len(sequence) >= 3]
    holds = (vocab.counter == counts and isinstance(vocab.counter, collections.Counter) and vocab.item_count == items
             and vocab.user_set == {f"user_{user}" for user in tested} and vocab.user_count == len(tested)
             and [vocab.counter[vocab.id_to_tokens[number]] for number in range(1, items + 1)]
             == sorted(counts.values(), reverse=True)
             and [ids[token] for token in ("[MASK]", "[pad]", "[NO_USE]")] == [items + 1, items + 2, items + 3]
             and vocab.special_tokens == {"[MASK]", "[pad]", "[NO_USE]"} and vocab.vocab_words == list(ids)
             and vocab.id_to_tokens == {number: token for token, number in ids.items()} and len(ids) == items + 3)
    numbers = {user: [ids[f"item_{item}"] for item in sequence] for user, sequence in sequences.items()}
    holds = holds and histories == {f"user_{user}": [numbers[user]] for user in tested}
    verdict = "as they should be" if holds else "DIFFERENT"
    print(f"pickles by Python, {items} items, {len(histories)} histories: {verdict}")

    shapes = {"info": 1, "input_ids": length, "input_mask": length, "masked_lm_positions": room, "masked_lm_ids": room,
              "masked_lm_weights": room}
    features = {name: tf.FixedLenFeature([size], tf.float32 if name.endswith("weights") else tf.int64)
                for name, size in shapes.items()}
    found: dict[str, collections.Counter] = {}
    for kind in ("train", "test"):
        with tf.Graph().as_default(), tf.Session() as session:
            dataset = tf.data.TFRecordDataset(f"records/data.{kind}.tfrecord")
            dataset = dataset.map(lambda record: tf.parse_single_example(record, features)).batch(1 << 20)
            batch = session.run(tf.data.make_one_shot_iterator(dataset).get_next())
        found[kind] = collections.Counter()
        for row in range(len(batch["info"])):
            user, tokens, mask, places, labels, weights = (batch[name][row].tolist() for name in shapes)
            size, masked = sum(mask), int(sum(weights))
            holds = (holds and mask == [1] * size + [0] * (length - size) and not any(tokens[size:]) and masked >= 1
                     and weights == [1.0] * masked + [0.0] * (room - masked)
                     and places[:masked] == sorted(set(places[:masked]))
                     and not any(places[masked:]) and not any(labels[masked:])
                     and all(tokens[place] == items + 1 for place in places[:masked]))
            for place, label in zip(places[:masked], labels[:masked]):
                tokens[place] = label
            found[kind][user[0], tuple(tokens[:size])] += 1
    step = length // 2
    wanted: dict[str, collections.Counter] = {"train": collections.Counter(), "test": collections.Counter()}
    for user, sequence in numbers.items():
        trained = sequence[:-1] if len(sequence) >= 3 else sequence
        starts = [*range(len(trained) - length, 0, -step), 0] if len(trained) > length else [0]
        for start in starts:
            wanted["train"][user, tuple(trained[start:start + length])] += copies + 1
        if len(sequence) >= 3:
            wanted["test"][user, tuple(sequence[-length:])] += 1
    holds = holds and found == wanted
    print(f"records by TensorFlow, {found['train'].total()} and {found['test'].total()}: "
          f"{'as the original cuts them' if holds else 'DIFFERENT'}")
    return holds


def fixtures(folder: str) -> None:
    """The numbers of CheckpointsTests' Example: parameter i is i / 2 - 3, its moments -i / 4 and 1 / (i + 1)."""
    vocabulary, hidden, layers, intermediate, positions = 9, 6, 2, 5, 7
    slots: list[tuple[str, tuple[int, ...]]] = []

    def dense(names: list[str], inputs: int, outputs: int) -> None:
        slots.extend((name + ".weight", (outputs, inputs)) for name in names)
        slots.extend((name + ".bias", (outputs,)) for name in names)

    def norm(name: str) -> None:
        slots.extend((f"{name}.{kind}", (hidden,)) for kind in ("weight", "bias"))

    for name, rows in (("word", vocabulary), ("position", positions), ("token_type", 2)):
        slots.append((f"bert.embeddings.{name}_embeddings.weight", (rows, hidden)))
    norm("bert.embeddings.LayerNorm")
    for layer in range(layers):
        prefix = f"bert.encoder.layer.{layer}."
        dense([prefix + "attention.self." + part for part in ("query", "key", "value")], hidden, hidden)
        dense([prefix + "attention.output.dense"], hidden, hidden)
        norm(prefix + "attention.output.LayerNorm")
        dense([prefix + "intermediate.dense"], hidden, intermediate)
        dense([prefix + "output.dense"], intermediate, hidden)
        norm(prefix + "output.LayerNorm")
    dense(["cls.predictions.transform.dense"], hidden, hidden)
    norm("cls.predictions.transform.LayerNorm")
    slots.append(("cls.predictions.bias", (vocabulary,)))

    tensors, start = {}, 0
    for name, shape in slots:
        count = int(numpy.prod(shape))
        index = numpy.arange(start, start + count, dtype=numpy.float32)
        start += count
        one = numpy.float32(1)
        for kind, values in zip(KINDS, (index / 2 - 3, index * -numpy.float32(0.25), one / (index + one))):
            tensors[original_name(name) + kind] = stored(name, values.astype(numpy.float32).reshape(shape))
    os.makedirs(folder, exist_ok=True)
    write(os.path.abspath(folder) + "/model.ckpt-3", tensors, 3)
    os.remove(folder + "/checkpoint")
    with tf.io.TFRecordWriter(folder + "/instances.tfrecord") as writer:
        for number in range(3):
            lists = {"info": [-1 if number == 2 else 2**40 + number],
                     "input_ids": [number * 37 + place * 1001 for place in range(6)],
                     "input_mask": [int(place < number + 3) for place in range(6)],
                     "masked_lm_positions": [0, 2, 4], "masked_lm_ids": [number, 300 + number, 600 + number]}
            features = {name: tf.train.Feature(int64_list=tf.train.Int64List(value=values))
                        for name, values in lists.items()}
            weights = tf.train.FloatList(value=[1, number / 2, 0])
            features["masked_lm_weights"] = tf.train.Feature(float_list=weights)
            example = tf.train.Example(features=tf.train.Features(feature=features))
            writer.write(example.SerializeToString())


if __name__ == "__main__":
    tf.disable_eager_execution()
    tf.logging.set_verbosity(tf.logging.ERROR)
    if len(sys.argv) == 3 and sys.argv[1] == "--fixtures":
        fixtures(sys.argv[2])
    elif len(sys.argv) == 2:
        sys.exit(0 if check(os.path.abspath(sys.argv[1])) else 1)
    else:
        sys.exit(__doc__)
