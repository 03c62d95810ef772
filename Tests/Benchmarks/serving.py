#!/usr/bin/env python3
"""Latency of `recommend --stream`, beside PyTorch and ONNX Runtime (serving_peer.py) on the same core.

    serving.py --program ../../.build/release/bert4rec-dist --python PYTHON --data FOLDER [--output rows.jsonl]

FOLDER holds ml-1m.txt and beauty.txt (lines `user item`, a user's oldest first). Models of the recipes' sizes are
trained for one step, since latency does not depend on what was learnt; histories are those of users drawn by a seed.
A server is one process with one thread, pinned to the first core, this client to the second, both at a real-time
priority where that is allowed (chrt). One at a time: the next line is sent when the answer is there. Many: 64 lines
in one write; an answer's latency counts from there. Contenders take turns, in several rounds; each result is appended
to the output as one JSON line. Standard library only.
"""

import argparse
import json
import os
import pathlib
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
MANY = 64
PROBLEMS = {"ml-1m": ["--recipe", "ml-1m"], "beauty": ["--recipe", "beauty"]}


def real_time() -> list[str]:
    command = ["chrt", "-f", "10"]
    allowed = shutil.which("chrt") and subprocess.run([*command, "true"], stderr=subprocess.DEVNULL).returncode == 0
    return command if allowed else []


class Server:
    """A process that answers JSON lines."""

    def __init__(self, command: list[str], core: int, priority: list[str]):
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self.process = subprocess.Popen(
            [*priority, "taskset", "-c", str(core), *command], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE, env=environment, bufsize=0)
        said = b""
        while b"ready" not in said:
            block = os.read(self.process.stderr.fileno(), 1 << 16)
            if not block:
                sys.exit(f"{command}: {said.decode()}")
            said += block
        self.rest = b""

    def send(self, data: bytes) -> None:
        self.process.stdin.write(data)

    def lines(self) -> list[bytes]:
        """The lines that are there, one at least."""
        while True:
            block = os.read(self.process.stdout.fileno(), 1 << 16)
            if not block:
                sys.exit("the server has ended")
            *lines, self.rest = (self.rest + block).split(b"\n")
            if lines:
                return lines

    def end(self) -> None:
        self.process.stdin.close()
        self.process.wait()


def quantiles(seconds: list[float]) -> dict[str, float]:
    ordered = sorted(seconds)
    return {"p50_ms": 1e3 * statistics.median(ordered), "p99_ms": 1e3 * ordered[int(0.99 * len(ordered))]}


def one_at_a_time(server: Server, queries: list[bytes]) -> dict[str, float]:
    seconds = []
    for query in queries:
        start = time.perf_counter()
        server.send(query)
        server.lines()
        seconds.append(time.perf_counter() - start)
    return quantiles(seconds)


def many_at_a_time(server: Server, queries: list[bytes]) -> dict[str, float]:
    seconds, begin = [], time.perf_counter()
    for first in range(0, len(queries) - MANY + 1, MANY):
        start = time.perf_counter()
        server.send(b"".join(queries[first:first + MANY]))
        answered = 0
        while answered < MANY:
            count = len(server.lines())
            seconds += [time.perf_counter() - start] * count
            answered += count
    return quantiles(seconds) | {"answers_per_s": len(seconds) / (time.perf_counter() - begin)}


def histories(path: pathlib.Path, count: int) -> list[list[str]]:
    users: dict[str, list[str]] = {}
    for line in path.read_text().splitlines():
        user, item = line.split()
        users.setdefault(user, []).append(item)
    return random.Random(7).sample(list(users.values()), min(count, len(users)))


def processor() -> str:
    names = [line.split(":")[1].strip() for line in open("/proc/cpuinfo") if line.startswith("model name")]
    return names[0] if names else "unknown"


def cells(rows: list[dict]) -> list[str]:
    """Medians over rounds, as the table's columns."""
    columns = [("one", "p50_ms", ".2f"), ("one", "p99_ms", ".2f"), ("many", "p50_ms", ".1f"), ("many", "p99_ms", ".1f"),
               ("many", "answers_per_s", ",.0f")]
    return [format(statistics.median(row[kind][key] for row in rows), form) for kind, key, form in columns]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--python", help="one with torch and transformers; without it the program alone is measured")
    parser.add_argument("--levels", default="transformers,expert", help="of serving_peer.py; also onnx")
    parser.add_argument("--data", required=True)
    parser.add_argument("--problems", default=",".join(PROBLEMS))
    parser.add_argument("--users", type=int, default=640)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--output")
    options = parser.parse_args()
    cores = sorted(os.sched_getaffinity(0))
    priority = real_time()
    if len(cores) > 1:
        os.sched_setaffinity(0, {cores[1]})
    if priority:
        os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(10))
    program = str(pathlib.Path(options.program).resolve())
    version = subprocess.run([program, "--version"], stdout=subprocess.PIPE, check=True).stdout.decode().strip()
    print("| problem | program | one: p50, ms | one: p99, ms | 64: p50, ms | 64: p99, ms | 64: answers/s |")
    print("| --- | --- | ---: | ---: | ---: | ---: | ---: |")
    for problem in options.problems.split(","):
        data = pathlib.Path(options.data, problem + ".txt").resolve()
        queries = [json.dumps({"items": items}).encode() + b"\n" for items in histories(data, options.users)]
        with tempfile.TemporaryDirectory() as scratch:
            run = scratch + "/run"
            subprocess.run(
                [program, "train", *PROBLEMS[problem], "--data", str(data), "--run", run, "--set", "num_train_steps=1",
                 "--set", "holdout=none", "--set", "num_warmup_steps=0"],
                check=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
            subprocess.run([program, "export", "--checkpoint", run, "--hugging-face", scratch + "/model"], check=True,
                           stderr=subprocess.DEVNULL)
            contenders = {"bert4rec-dist": [program, "recommend", "--checkpoint", run, "--stream", "--threads", "1"]}
            if options.python:
                for level in options.levels.split(","):
                    peer = [options.python, str(HERE / "serving_peer.py"), scratch + "/model", "--level", level]
                    contenders[level] = peer
            servers = {name: Server(command, cores[0], priority) for name, command in contenders.items()}
            results: dict[str, list[dict]] = {name: [] for name in servers}
            for server in servers.values():
                one_at_a_time(server, queries[:40])
                many_at_a_time(server, queries[:MANY])
            for number in range(options.rounds):
                for name, server in servers.items():
                    row = {"one": one_at_a_time(server, queries), "many": many_at_a_time(server, queries)}
                    results[name].append(row)
                    if options.output:
                        record = {"comparison": f"serving-{problem}", "contender": name, "round": number,
                                  "version": version, "processor": processor(), "real_time": bool(priority),
                                  "users": len(queries), **row}
                        with open(options.output, "a") as output:
                            output.write(json.dumps(record) + "\n")
            for server in servers.values():
                server.end()
            for name, rows in results.items():
                print(f"| {problem} | {name} | " + " | ".join(cells(rows)) + " |", flush=True)


if __name__ == "__main__":
    main()
