"""Golden values for EvaluationTests: what NumPy's legacy RandomState draws, and the negatives of two small data sets,
sampled the straightforward way. Made with NumPy 2.4.6:

    python Tests/Reference/numpy_draws.py > Tests/EvaluationTests/Fixtures/numpy_draws.json
"""

import json
import sys

import numpy as np


def raw(seed, count=8):
    state = np.random.RandomState(seed)
    return [int(state.randint(0, 2**32, dtype=np.uint32)) for _ in range(count)]


def raw_later(seed):
    """Draws that stand across two regenerations of the 624 words."""
    state = np.random.RandomState(seed)
    state.bytes(4 * 1246)
    return [int(state.randint(0, 2**32, dtype=np.uint32)) for _ in range(4)]


def integers(seed, low, high, count=12):
    state = np.random.RandomState(seed)
    values = [int(state.randint(low, high)) for _ in range(count)]
    return {"seed": seed, "low": low, "high": high, "values": values, "next": state.random_sample().hex()}


def choices(seed, counts, size, calls):
    """`counts`: a list, or (n, power, scale) for floor(scale / rank^power), at least 1, in whole numbers."""
    given = counts
    if isinstance(counts, tuple):
        counts = [max(1, counts[2] // (i + 1) ** counts[1]) for i in range(counts[0])]
    state = np.random.RandomState(seed)
    counts = np.array(counts, dtype=np.int64)
    p = counts / counts.sum()
    drawn = [state.choice(len(p), size, replace=False, p=p).tolist() for _ in range(calls)]
    return {"seed": seed, "counts": given, "size": size, "drawn": drawn, "next": state.random_sample().hex()}


def data(seed, users, items, longest):
    """Sequences that favour low ids; every third user has fewer than three interactions."""
    state = np.random.RandomState(seed)
    sequences = []
    for user in range(users):
        length = 1 + user % 2 if user % 3 == 2 else int(state.randint(3, longest + 1))
        sequences.append([1 + int(items * state.random_sample() ** 2.5) for _ in range(length)])
    counts = [0] * items
    for item in (item for sequence in sequences for item in sequence):
        counts[item - 1] += 1
    # Only the last items have no count, as when they occur in nobody's sequence.
    counts = [count + 1 if i < items - items // 20 else count for i, count in enumerate(counts)]
    return sequences, counts


def held_out(sequence, split):
    if len(sequence) < 3:
        return None
    place = len(sequence) - (1 if split == "test" else 2)
    return sequence[:place], sequence[place]


def pop100(sequences, counts, split):
    state = np.random.RandomState(12345)
    counts = np.array(counts, dtype=np.int64)
    ids = np.arange(1, len(counts) + 1)
    p = counts / counts.sum()
    result = []
    for sequence in sequences:
        chosen = []
        if held_out(sequence, split) is not None:
            history, label = held_out(sequence, split)
            rated = {0, label, *history}
            left = [int(i) for i in ids if p[i - 1] > 0 and i not in rated]
            if len(left) < 100:
                chosen = left
            while len(chosen) < min(100, len(left)):
                size = min(101, np.count_nonzero(p))
                for item in state.choice(ids, size, replace=False, p=p):
                    if item not in rated and item not in chosen:
                        chosen.append(int(item))
            chosen = chosen[:100]
        result.append(chosen)
    return result


def uniform100(sequences, counts, split):
    state = np.random.RandomState(12345)
    result = []
    for sequence in sequences:
        chosen = []
        if held_out(sequence, split) is not None:
            history, label = held_out(sequence, split)
            rated = {0, label, *history}
            while len(chosen) < (100 if len(rated) - 1 < len(counts) else 0):
                item = int(state.randint(1, len(counts) + 1))
                while item in rated:
                    item = int(state.randint(1, len(counts) + 1))
                chosen.append(item)
        result.append(chosen)
    return result


def negatives(seed, users, items, longest, whole_catalogue_user=False):
    sequences, counts = data(seed, users, items, longest)
    if whole_catalogue_user:
        sequences.append(list(range(1, items + 1)))
        counts = [count + 1 for count in counts]
    return {
        "sequences": sequences, "counts": counts,
        "pop100": {split: pop100(sequences, counts, split) for split in ("test", "validation")},
        "uniform100": {split: uniform100(sequences, counts, split) for split in ("test", "validation")},
    }


json.dump(
    {
        "numpy": np.__version__,
        "raw": [{"seed": s, "first": raw(s), "later": raw_later(s)} for s in (0, 1, 12345, 2**32 - 1)],
        "samples": [
            {"seed": s, "values": [x.hex() for x in np.random.RandomState(s).random_sample(8)]} for s in (0, 7, 12345)
        ],
        "integers": [
            integers(12345, 1, high) for high in (2, 3, 11, 65, 101, 3417, 54543, 2**31, 2**32, 2**32 + 1)
        ] + [integers(3, -5, 2), integers(4, 0, 2**40 + 12345), integers(6, -2**63, 2**63 - 1)],
        "choices": [
            choices(1, [5], 1, 3), choices(2, (13, 1, 130), 7, 5), choices(3, (13, 2, 1000), 13, 3),
            choices(4, (101, 2, 9000), 101, 2), choices(5, [0, 9, 0, 0, 4, 3, 0, 1, 1, 0], 5, 4),
            choices(6, (997, 2, 10**7), 101, 4), choices(7, (5003, 1, 20000), 101, 4),
            choices(8, (54542, 1, 10**6), 101, 4), choices(9, (128, 0, 1), 101, 3),
        ],
        "negatives": [negatives(10, 13, 157, 40), negatives(11, 7, 104, 9, whole_catalogue_user=True)],
    },
    sys.stdout, separators=(",", ":"))
