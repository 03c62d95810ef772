"""`train --tensorboard` as TensorBoard's own reader sees it, beside metrics.jsonl.

    python read_tensorboard.py PROGRAM

Trains the built-in demo with PROGRAM (bert4rec-dist), kills it between two checkpoints, lets it resume, stop and resume
again, and reads the run folder as `tensorboard --logdir` would. Ends with 1 where a step is shown twice, or a scalar is
not the number in metrics.jsonl (to float32, as TensorBoard keeps it). Needs: pip install tensorboard==2.21.0
"""

import argparse
import json
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from tensorboard.backend.event_processing.event_multiplexer import EventMultiplexer

STEPS = 600
SETTINGS = {
    "num_train_steps": STEPS,
    "report_steps": 7,
    "save_checkpoints_steps": 50,
    "eval_every": 200,
    "batch_size": 16,
}


def train(program, folder):
    """Three starts: one is killed after a report that no checkpoint has, one stops, one comes to the end."""
    command = [program, "train", "--run", str(folder), "--tensorboard", "--threads", "1"]
    for key, value in SETTINGS.items():
        command += ["--set", f"{key}={value}"]
    metrics = folder / "metrics.jsonl"
    first = subprocess.Popen(command, stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    while first.poll() is None and not (metrics.exists() and '"step":119' in metrics.read_text()):
        time.sleep(0.002)
    first.send_signal(signal.SIGKILL)
    assert first.wait() == -signal.SIGKILL, "the first start came to its end"
    quiet = {"stderr": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, "check": False}
    # Only the command's own words: that TensorBoard is wanted is taken from the run.
    assert subprocess.run([program, "train", "--run", str(folder), "--stop-after", "333"], **quiet).returncode == 75
    assert subprocess.run([program, "train", "--run", str(folder)], **quiet).returncode == 0


def expected(metrics):
    """Tag -> [(step, value)] by metrics.jsonl."""
    scalars = {}
    for line in metrics.read_text().splitlines():
        entry = json.loads(line)
        group = entry.get("split", "train")
        for key, value in entry.items():
            if isinstance(value, float) or key == "epoch":
                scalars.setdefault(f"{group}/{key}", []).append((entry["step"], value))
    return scalars


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    program = str(Path(parser.parse_args().program).resolve())
    with tempfile.TemporaryDirectory() as parent:
        folder = Path(parent) / "run"
        train(program, folder)
        multiplexer = EventMultiplexer(size_guidance={"scalars": 0}).AddRunsFromDirectory(str(folder))
        multiplexer.Reload()
        (run,) = multiplexer.Runs()
        files = len(list((folder / "tensorboard").iterdir()))
        wanted = expected(folder / "metrics.jsonl")
        tags = multiplexer.Runs()[run]["scalars"]
        found = {tag: [(e.step, e.value) for e in multiplexer.Scalars(run, tag)] for tag in tags}
    wrong = set(wanted) ^ set(found)
    for tag, values in wanted.items():
        same = [(step, float(np.float32(value))) for step, value in values]
        if found.get(tag) != same:
            wrong.add(tag)
    count = sum(len(values) for values in found.values())
    print(f"{files} files, {len(found)} tags, {count} scalars; wrong: {sorted(wrong) or 'none'}")
    sys.exit(1 if wrong or files != 3 else 0)


if __name__ == "__main__":
    main()
