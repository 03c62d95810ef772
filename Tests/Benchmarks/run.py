#!/usr/bin/env python3
"""Speed, memory, scaling and growth of bert4rec-dist, beside PyTorch (torch_peer.py), as raw rows and a summary.

    run.py --program ../../.build/release/bert4rec-dist --python PYTHON_WITH_TORCH --data FOLDER --output rows.jsonl

FOLDER holds ml-1m.txt and beauty.txt (lines `user item`, a user's oldest first). What is compared runs by turns on the
same pinned cores, several rounds; numbers of different runs of this script, or machines, should not be compared.
Every command's result is appended to the output as one JSON line; the summary on standard output is Markdown. What
cannot be measured here (no torch, no data, one core) is left out and named. Standard library only.
"""

import argparse
import collections
import dataclasses
import datetime
import json
import multiprocessing
import os
import pathlib
import platform
import random
import shutil
import statistics
import subprocess
import sys
import tempfile
import time

HERE = pathlib.Path(__file__).resolve().parent
CONFIGS = HERE.parents[1] / "configs"


def mpi_environment() -> dict[str, str]:
    """What lets Open MPI start as root and more ranks than cores. How ranks copy from each other stays as it is."""
    lines = (HERE.parents[1] / "cluster/mpi-environment.sh").read_text().splitlines()
    pairs = (line.removeprefix("export ").split("=", 1) for line in lines if line.startswith("export "))
    copies = ("OMPI_MCA_btl_vader_single_copy_mechanism", "OMPI_MCA_smsc")
    return {name: value for name, value in pairs if name not in copies}


# One thread per process unless a contender says otherwise.
ENVIRONMENT = {"OMP_NUM_THREADS": "1", **mpi_environment()}

PEER_SETTINGS = {
    "ml-1m": ["--micro", "16"],
    "beauty": ["--micro", "32", "--max-len", "50", "--mask-prob", "0.6", "--max-pred", "30", "--slide", "0.1",
               "--dropout", "0.5"],
}


class Unavailable(Exception):
    """Says what is absent; the comparison is left out."""


@dataclasses.dataclass
class Contender:
    name: str
    command: list[str]
    point: dict = dataclasses.field(default_factory=dict)  # what a growth series varies
    timed_whole: bool = False  # measured from outside: seconds and peak memory of the command; else its JSON line


@dataclasses.dataclass
class Comparison:
    title: str
    contenders: list[Contender]
    note: str = ""
    rounds: int | None = None  # instead of --rounds


class Suite:
    """The comparisons: each method named in `NAMES` gives one, and prepares files for it in the temporary folder."""

    NAMES = ["ml-1m", "beauty", "ml-1m-ranks", "beauty-ranks", "ml-1m-256", "ml-1m-scaling", "beauty-scaling",
             "catalogue", "evaluation", "prepare", "growth-length", "growth-vocabulary", "growth-width", "growth-ranks"]

    def __init__(self, options: argparse.Namespace, scratch: pathlib.Path):
        self.options, self.scratch = options, scratch
        self.program = str(pathlib.Path(options.program).resolve())
        self.cores = sorted(os.sched_getaffinity(0))
        self.steps = 1 if options.quick else options.steps
        self.torch_version = self._torch_version()

    def comparison(self, name: str) -> Comparison:
        if not shutil.which("taskset"):
            raise Unavailable("no taskset (util-linux) to pin with")
        data, _, kind = name.rpartition("-")
        if name in PEER_SETTINGS:
            return self._against_peer(name)
        if kind == "ranks" and data in PEER_SETTINGS:
            return self._against_peer_on_two_ranks(data)
        if kind == "scaling":
            return self._scaling(data)
        return getattr(self, "_" + name.replace("-", "_"))()

    # Comparisons with PyTorch

    def _against_peer(self, data: str) -> Comparison:
        levels = ["expert", "strong"] + (["usual"] if self.options.all else [])
        return Comparison(f"{data}, 64 wide, one core", [
            Contender("bert4rec-dist", self._pinned(1) + self._bench(data)),
            *(Contender(f"PyTorch, {level}", self._pinned(1) + self._peer(data, level)) for level in levels),
        ])

    def _against_peer_on_two_ranks(self, data: str) -> Comparison:
        launcher = ("-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2")  # torchrun
        return Comparison(f"{data}, 64 wide, two ranks", [
            Contender("bert4rec-dist", self._pinned(2) + self._mpirun(2) + self._bench(data)),
            Contender("PyTorch, expert, DDP", self._pinned(2) + self._peer(data, "expert", launcher)),
        ], note="Peak memory is rank 0's.")

    def _catalogue(self) -> Comparison:
        """A million items, of which a step touches few, beside ten thousand and beside PyTorch."""
        counts = [1_000, 10_000] if self.options.quick else [10_000, 1_000_000]
        paths = [self.scratch / f"catalogue-{count}.txt" for count in counts]
        for count, path in zip(counts, paths):
            apart(write_catalogue, path, items=count, users=2_000 if self.options.quick else 200_000)
        settings = ["max_seq_length=50", "masked_lm_prob=0.2", "max_predictions_per_seq=10", "gradient_shards=8",
                    "validation=false", "loss=sampled", "negatives=256"]

        def ours(count: int, path: pathlib.Path, adam: str) -> Contender:
            command = [self.program, "bench", "--data", str(path), "--threads", "1", "--steps", str(self.steps)]
            command.append("--json")
            for setting in [*settings, f"table_adam={adam}"]:
                command += ["--set", setting]
            return Contender(f"bert4rec-dist, {count:,} items, {adam}", self._pinned(1) + command)

        contenders = [ours(count, path, "lazy") for count, path in zip(counts, paths)]
        contenders.append(ours(counts[1], paths[1], "exact"))
        if self.torch_version:
            contenders += [
                Contender(f"PyTorch, {counts[1]:,} items, {table}", self._pinned(1) + [
                    self.options.python, str(HERE / "torch_sparse_peer.py"), "--data", str(paths[1]), "--table", table,
                    "--steps", str(self.steps), "--warm-steps", str(1 if self.options.quick else 3), "--micro", "32",
                    "--max-len", "50", "--max-pred", "10"])
                for table in ("gathered", "sparse")]
        return Comparison("a large catalogue, sampled softmax, 64 wide, one core", contenders)

    # The program alone

    def _ml_1m_256(self) -> Comparison:
        command = self._bench("ml-1m", config="ml-1m-256")
        return Comparison("ml-1m, 256 wide, one core", [Contender("bert4rec-dist", self._pinned(1) + command)])

    def _scaling(self, data: str) -> Comparison:
        return Comparison(f"{data}, 64 wide, scaling", [
            Contender("1 core", self._pinned(1) + self._bench(data)),
            Contender("2 ranks", self._pinned(2) + self._mpirun(2) + self._bench(data)),
            Contender("1 rank, 2 threads", self._pinned(2) + self._bench(data, threads=2)),
        ], note="0.50 would be perfect.")

    def _evaluation(self) -> Comparison:
        small = self.scratch / "few.txt"
        apart(write_pairs, small, items=60, users=12, length=20)
        contenders = []
        for name, source in (("evaluate, 6,040 users", self._data_file("ml-1m")), ("start-up: 12 users", small)):
            folder, run = self.scratch / f"{source.stem}-prepared", self.scratch / f"{source.stem}-run"
            must_run([self.program, "prepare", str(source), "--output", str(folder)])
            must_run([self.program, "train", "--config", str(CONFIGS / "ml-1m-64.yaml"), "--data", str(folder),
                      "--run", str(run), "--stop-after", "1"], expected=75)
            contenders.append(Contender(name, self._pinned(2) + self._mpirun(2) + [
                self.program, "evaluate", "--checkpoint", str(run), "--data", str(folder), "--protocol", "full",
                "--json"], timed_whole=True))
        return Comparison("evaluation, full ranking, ml-1m, 64 wide, two ranks", contenders,
                          note="Seconds of the whole command; the second row is what of them is start-up (mpirun, "
                               "MPI, checkpoint). Memory is mpirun's or a rank's, whichever is larger.")

    def _prepare(self) -> Comparison:
        interactions = 200_000 if self.options.quick else 20_000_000
        path = self.scratch / "interactions.csv"
        apart(write_interactions, path, interactions)
        return Comparison(f"prepare of {interactions:,} interactions (CSV, {path.stat().st_size / 2**20:.0f} MiB)", [
            Contender("prepare", self._pinned(1) + [
                self.program, "prepare", str(path), "--output", str(self.scratch / "interactions")],
                timed_whole=True)])

    # Growth, on generated data: one size varies, the others stay

    def _growth_length(self) -> Comparison:
        lengths = [25, 800] if self.options.quick else [25, 50, 100, 200, 400, 800]
        return self._growth("length L", [self._point(length=length) for length in lengths])

    def _growth_vocabulary(self) -> Comparison:
        items = [1_000, 10_000] if self.options.quick else [1_000, 10_000, 100_000, 1_000_000]
        return self._growth("items V", [
            self._point(items=count, length=50, extra=["batch_size=32", "gradient_shards=8"]) for count in items])

    def _growth_width(self) -> Comparison:
        widths = [32, 64] if self.options.quick else [32, 64, 128, 256, 512]
        return self._growth("width H", [self._point(width=width) for width in widths])

    def _growth_ranks(self) -> Comparison:
        return self._growth("ranks", [self._point(ranks=ranks) for ranks in (1, 2)])

    def _growth(self, what: str, contenders: list[Contender]) -> Comparison:
        return Comparison(f"growth with {what}, generated data", contenders)

    def _point(self, length=100, items=5_000, width=64, ranks=1, extra=()) -> Contender:
        path = self.scratch / f"items{items}-length{length}.txt"
        if not path.exists():
            # One window per user, of just `length` items: the last item is the test's.
            apart(write_pairs, path, items=items, users=max(500, -(-items // (length + 1))), length=length + 1)
        settings = [f"max_seq_length={length}", f"hidden_size={width}", f"num_attention_heads={max(1, width // 32)}",
                    f"intermediate_size={4 * width}", "batch_size=64", "validation=false", *extra]
        command = [self.program, "bench", "--data", str(path), "--threads", "1", "--steps", str(self.steps), "--json"]
        for setting in settings:
            command += ["--set", setting]
        launcher = self._mpirun(ranks) if ranks > 1 else []
        return Contender(f"L {length}, items {items:,}, H {width}, ranks {ranks}",
                         self._pinned(ranks) + launcher + command,
                         point={"length": length, "items": items, "width": width, "ranks": ranks})

    def told(self, command: list[str]) -> list[str]:
        """The command without this machine's folders, as a row keeps it."""
        folders = {self.program: "bert4rec-dist", self.options.python: "python",
                   str(pathlib.Path(self.options.data).resolve()): "data", self.options.data: "data",
                   str(self.scratch): "TEMPORARY", str(HERE.parents[1]) + "/": ""}
        for folder, name in folders.items():
            command = [word.replace(folder, name) if "/" in folder else word for word in command]
        return command

    # Parts of commands

    def _pinned(self, cores: int) -> list[str]:
        if len(self.cores) < cores:
            raise Unavailable(f"{cores} cores are needed, {len(self.cores)} may be used")
        return ["taskset", "-c", ",".join(map(str, self.cores[-cores:]))]

    def _mpirun(self, ranks: int) -> list[str]:
        if not shutil.which("mpirun"):
            raise Unavailable("no mpirun")
        return ["mpirun", "-np", str(ranks), "--bind-to", "core"]

    def _bench(self, data: str, config: str = "", threads: int = 1) -> list[str]:
        return [self.program, "bench", "--config", str(CONFIGS / f"{config or data + '-64'}.yaml"), "--data",
                str(self._data_file(data)), "--threads", str(threads), "--steps", str(self.steps), "--json"]

    def _peer(self, data: str, level: str, launcher: tuple[str, ...] = ()) -> list[str]:
        if not self.torch_version:
            raise Unavailable(f"{self.options.python} has no torch and numpy (see --python)")
        warm = 1 if self.options.quick else 3
        return [self.options.python, *launcher, str(HERE / "torch_peer.py"), "--data", str(self._data_file(data)),
                "--level", level, "--steps", str(self.steps), "--warm-steps", str(warm), *PEER_SETTINGS[data]]

    def _data_file(self, data: str) -> pathlib.Path:
        path = pathlib.Path(self.options.data) / f"{data}.txt"
        if not path.exists():
            raise Unavailable(f"{path} is not there (see --data)")
        return path.resolve()

    def _torch_version(self) -> str:
        return first_line([self.options.python, "-c", "import numpy, torch; print(torch.__version__)"])


# Generated data: the same at every call

def apart(write, *arguments, **named) -> None:
    """In a process of its own: Linux counts a parent's memory at exec into the peak of the program it starts."""
    process = multiprocessing.Process(target=write, args=arguments, kwargs=named)
    process.start()
    process.join()
    if process.exitcode != 0:
        raise RuntimeError(f"{write.__name__} failed")


def write_pairs(path: pathlib.Path, items: int, users: int, length: int) -> None:
    """Every user has `length` items, and every item occurs: they are dealt like cards, pack after pack."""
    if users * length < items:
        raise ValueError("too few interactions for every item to occur")
    source = random.Random(1)

    def cards():
        pack = list(range(items))
        while True:
            source.shuffle(pack)
            yield from pack

    dealt = cards()
    with open(path, "w") as file:
        for user in range(users):
            file.write("".join(f"{user} {next(dealt)}\n" for _ in range(length)))


def write_catalogue(path: pathlib.Path, items: int, users: int) -> None:
    """25 per user; every item occurs, and popularity falls with a power (-3/4) of its rank."""
    source, count = random.Random(3), 25 * users
    dealt = list(range(items)) + [int(items * source.random() ** 4) for _ in range(count - items)]
    source.shuffle(dealt)
    with open(path, "w") as file:
        begin = 0
        for user in range(users):
            end = count if user == users - 1 else min(count, begin + 3 + int(source.expovariate(1 / 22)))
            file.write("".join([f"{user} i{item}\n" for item in dealt[begin:end]]))
            begin = end


def write_interactions(path: pathlib.Path, count: int) -> None:
    """As large logs are: skewed items, users of unequal length, times out of order; ML-20M's shape at 20 million."""
    source, users = random.Random(2), max(1, count // 144)
    items = [str(int(source.paretovariate(0.5)) % 26_744) for _ in range(1 << 20)]
    weights = [source.paretovariate(1.2) for _ in range(users)]
    whole, written, sum_so_far = sum(weights), 0, 0.0
    with open(path, "w", buffering=1 << 20) as file:
        file.write("user_id,item_id,timestamp\n")
        for user, weight in enumerate(weights):
            sum_so_far += weight
            until = count if user == users - 1 else round(count * sum_so_far / whole)
            begin, place = source.randrange(1 << 20), source.randrange(1 << 20)
            # The factor is odd, so that times come in no order and repeat only after 2^24 rows.
            file.write("".join([f"{user},{items[(place + row) & 0xFFFFF]},{10**9 + (begin + row * 7368787) % 2**24}\n"
                                for row in range(until - written)]))
            written = until


# Running

def must_run(command: list[str], expected: int = 0) -> None:
    done = subprocess.run(command, env=os.environ | ENVIRONMENT, capture_output=True, text=True)
    if done.returncode != expected:
        raise RuntimeError(f"{' '.join(command)}: exit code {done.returncode}\n{done.stderr[-2000:]}")


def measured(contender: Contender) -> dict:
    """The JSON object that the command ends with, or what was measured from outside; `error` if it failed."""
    with tempfile.TemporaryFile("w+") as output, tempfile.TemporaryFile("w+") as errors:
        started = time.perf_counter()
        child = subprocess.Popen(contender.command, env=os.environ | ENVIRONMENT, stdout=output, stderr=errors)
        _, status, usage = os.wait4(child.pid, 0)
        seconds = time.perf_counter() - started
        child.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        errors.seek(0)
        if child.returncode != 0:
            return {"error": f"exit code {child.returncode}: {errors.read()[-1000:]}"}
        if contender.timed_whole:
            return {"seconds": seconds, "cpu_seconds": usage.ru_utime + usage.ru_stime,
                    "peak_mib": usage.ru_maxrss / 1024}
        lines = [line for line in output.read().splitlines() if line.startswith("{")]
    try:
        return json.loads(lines[-1])
    except (IndexError, ValueError) as problem:
        return {"error": f"no JSON object on standard output: {problem}"}


def first_line(command: list[str]) -> str:
    try:
        done = subprocess.run(command, capture_output=True, text=True, env=os.environ | ENVIRONMENT)
    except OSError:
        return ""
    return done.stdout.splitlines()[0].strip() if done.returncode == 0 and done.stdout else ""


def machine() -> dict:
    def field(path: str, name: str) -> str:
        try:
            lines = pathlib.Path(path).read_text().splitlines()
        except OSError:
            return ""
        return next((line.split(":", 1)[1].strip() for line in lines if line.startswith(name)), "")

    return {"processor": field("/proc/cpuinfo", "model name"), "cores": sorted(os.sched_getaffinity(0)),
            "memory": field("/proc/meminfo", "MemTotal"), "kernel": platform.release()}


# Summary

def cell(value: float | None, digits: int = 0) -> str:
    return "" if value is None else f"{value:,.{digits}f}"


def summary(comparison: Comparison, results: dict[str, list[dict]]) -> str:
    """A Markdown table: medians over the rounds, least and most, and ratios of medians."""
    growth = any(contender.point for contender in comparison.contenders)
    timed_whole = comparison.contenders[0].timed_whole
    unit, key, digits = ("s", "seconds", 2) if timed_whole else ("ms per step", "ms_per_step", 0)
    digits = 1 if growth else digits
    last = ["limit, ms", "to the limit"] if growth else ["to the first", "of the cores' sgemm"]
    heads = ["", f"{unit}, median", "least to most", *last, "peak, MiB", "rounds"]
    lines = [f"### {comparison.title}", "", "| " + " | ".join(heads) + " |", "| --- " * len(heads) + "|"]
    first = None
    for contender in comparison.contenders:
        good = [result for result in results[contender.name] if "error" not in result]
        if not good:
            lines.append(f"| {contender.name} | failed" + " |" * (len(heads) - 1))
            continue

        def median(name: str, good: list[dict] = good) -> float | None:
            values = [result[name] for result in good if name in result]
            return statistics.median(values) if values else None

        times = [result[key] for result in good]
        middle = statistics.median(times)
        first = middle if first is None else first
        if growth:
            limits = [limit_ms(result) for result in good]
            last = [cell(statistics.median(limits), 1),
                    cell(statistics.median(time / limit for time, limit in zip(times, limits)), 2)]
        else:
            utilisation = median("utilisation")
            last = [cell(middle / first, 2), "" if utilisation is None else f"{100 * utilisation:.0f} %"]
        lines.append("| " + " | ".join([
            contender.name, cell(middle, digits), f"{cell(min(times), digits)} to {cell(max(times), digits)}", *last,
            cell(median("peak_mib")), str(len(good))]) + " |")
    if growth:
        lines += ["", "The limit is the cost model's useful work (docs/benchmarks.md) at the sgemm rate that the same "
                      "command measured, on all its cores."]
    if comparison.note:
        lines += ["", comparison.note]
    return "\n".join(lines) + "\n"


def limit_ms(result: dict) -> float:
    return 1e3 * result["gflop_per_step"] / (result["sgemm_gflops"] * result["ranks"] * result["threads"])


def parsed_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", default=str(HERE.parents[1] / ".build/release/bert4rec-dist"))
    parser.add_argument("--python", default=sys.executable, help="a Python with torch 2.13 and numpy (default: this)")
    parser.add_argument("--data", default="data", help="folder with ml-1m.txt and beauty.txt (default: data)")
    parser.add_argument("--output", default="benchmark-rows.jsonl", help="raw rows are appended here")
    parser.add_argument("--only", default="", metavar="NAME,...", help="of: " + ", ".join(Suite.NAMES))
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--steps", type=int, default=10, help="measured steps a command")
    parser.add_argument("--all", action="store_true", help="PyTorch as usually written too (minutes, 6 GiB)")
    parser.add_argument("--quick", action="store_true", help="one round, one step, small sizes: to try this script")
    options = parser.parse_args()
    options.only = [name for name in options.only.split(",") if name]
    if unknown := set(options.only) - set(Suite.NAMES):
        parser.error(f"--only: {', '.join(sorted(unknown))} not among {', '.join(Suite.NAMES)}")
    if not os.access(options.program, os.X_OK):
        parser.error(f"--program: {options.program} is not there; `make build` makes it")
    if options.rounds < 1 or options.steps < 1:
        parser.error("--rounds and --steps begin at 1")
    return options


def main() -> int:
    options = parsed_arguments()
    rounds, failures, skipped = 1 if options.quick else options.rounds, 0, []
    with tempfile.TemporaryDirectory(prefix="bert4rec-benchmark.") as scratch, open(options.output, "a") as rows:
        suite = Suite(options, pathlib.Path(scratch))
        constants = {
            "machine": machine(),
            "versions": {"program": first_line([suite.program, "--version"]),
                         "commit": first_line(["git", "-C", str(HERE), "describe", "--always", "--dirty"]),
                         "mpirun": first_line(["mpirun", "--version"]), "torch": suite.torch_version,
                         "python": platform.python_version()},
        }
        print(f"{constants['machine']['processor']}, {len(suite.cores)} cores; " +
              ", ".join(f"{name} {version or 'absent'}" for name, version in constants["versions"].items()) + "\n")
        for name in options.only or Suite.NAMES:
            try:
                comparison = suite.comparison(name)
            except (Unavailable, RuntimeError) as reason:
                failures += isinstance(reason, RuntimeError)
                skipped.append(f"{name}: {reason}")
                print(f"left out: {skipped[-1]}", file=sys.stderr, flush=True)
                continue
            results = collections.defaultdict(list)
            for number in range(1, rounds + 1):
                for contender in comparison.contenders:
                    load = os.getloadavg()[0]
                    result = measured(contender)
                    results[contender.name].append(result)
                    row = {"what": name, "contender": contender.name, "round": number,
                           "command": suite.told(contender.command), "point": contender.point, "result": result,
                           "load_before": load,
                           "date": datetime.datetime.now(datetime.UTC).isoformat(timespec="seconds")}
                    rows.write(json.dumps(row | constants) + "\n")
                    rows.flush()
                    failures += "error" in result
                    told = result.get("error") or cell(result.get("ms_per_step", result.get("seconds")), 2)
                    print(f"{name}, round {number}, {contender.name}: {told}", file=sys.stderr, flush=True)
            print(summary(comparison, results), flush=True)
    for reason in skipped:
        print(f"Left out: {reason}")
    print(f"Raw rows: {options.output}")
    return 1 if failures else 0


if __name__ == "__main__":
    sys.exit(main())
