"""The metrics of a checkpoint by other people's code: scores from transformers' BertForMaskedLM, negatives from NumPy.

    python evaluate_with_transformers.py CHECKPOINT PAIRS [--split test|validation] [--expect JSON] [--batch 64]

CHECKPOINT is a checkpoint's folder, PAIRS the data set as lines `user item` (prepare --write-pairs writes them). Prints
HR@10 and NDCG@10 of the protocols full and pop100 as one JSON object. With --expect, the last line of
`evaluate --json`, it compares these numbers and ends with 1 where one differs by more than 1e-3. Versions:
requirements.txt.
"""

import argparse
import json
import sys

import numpy as np
import torch
from transformers import BertForMaskedLM


def read(folder, pairs):
    rows = [line.rstrip("\n").split("\t") for line in open(f"{folder}/items.tsv", newline="\n")][1:]
    names = {name: int(token) for token, name, _ in rows}
    counts = np.array([int(count) for _, _, count in rows])
    sequences = {}
    for line in open(pairs):
        user, item = line.split()
        sequences.setdefault(user, []).append(names[item])
    return list(sequences.values()), counts


def score(model, histories, item_count, batch):
    """Scores (users, items), item i at i - 1: the history's newest items, then [MASK]."""
    length = model.config.max_position_embeddings
    # By length, so that a batch hardly needs padding.
    order = sorted(range(len(histories)), key=lambda user: len(histories[user]))
    scores = np.empty((len(histories), item_count), np.float32)
    with torch.inference_mode():
        for start in range(0, len(order), batch):
            users = order[start : start + batch]
            tokens = [histories[user][-(length - 1) :] + [model.config.mask_token_id] for user in users]
            longest = max(map(len, tokens))
            padded = torch.tensor([row + [0] * (longest - len(row)) for row in tokens])
            logits = model(padded, attention_mask=(padded != 0).long()).logits
            for row, user in enumerate(users):
                scores[user] = logits[row, len(tokens[row]) - 1, 1 : item_count + 1].numpy()
    return scores


def negatives(sequences, counts):
    """For each user 100 distinct unrated items, drawn by popularity from one stream."""
    state = np.random.RandomState(12345)
    items = np.arange(1, len(counts) + 1)
    for history, label in sequences:
        rated, drawn = set(history) | {label}, []
        while len(drawn) < 100:
            for item in state.choice(items, 101, replace=False, p=counts / counts.sum()):
                if item not in rated and item not in drawn:
                    drawn.append(item)
        yield np.array(drawn[:100])


def rank(scores, label, candidates):
    """Ties count half."""
    others, own = scores[candidates - 1], scores[label - 1]
    return 1 + (others > own).sum() + (others == own).sum() / 2


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("checkpoint")
    parser.add_argument("pairs")
    parser.add_argument("--split", choices=["test", "validation"], default="test")
    parser.add_argument("--expect", help="a file whose last line is the output of evaluate --json")
    parser.add_argument("--batch", type=int, default=64)
    arguments = parser.parse_args()

    sequences, counts = read(arguments.checkpoint, arguments.pairs)
    place = -1 if arguments.split == "test" else -2
    held_out = [(items[:place], items[place]) for items in sequences if len(items) >= 3]
    model = BertForMaskedLM.from_pretrained(arguments.checkpoint).eval()
    scores = score(model, [history for history, _ in held_out], len(counts), arguments.batch)

    ranks = {"full": [], "pop100": []}
    everything = np.arange(1, len(counts) + 1)
    for user, ((history, label), drawn) in enumerate(zip(held_out, negatives(held_out, counts))):
        unrated = np.setdiff1d(everything, history + [label], assume_unique=False)
        ranks["full"].append(rank(scores[user], label, unrated))
        ranks["pop100"].append(rank(scores[user], label, drawn))
    result = {"users": len(held_out)}
    for name, values in ranks.items():
        values = np.array(values)
        result[f"hit@10[{name}]"] = float(np.mean(values <= 10))
        result[f"ndcg@10[{name}]"] = float(np.mean(np.where(values <= 10, 1 / np.log2(values + 1), 0)))
    print(json.dumps(result))
    if arguments.expect:
        expected = json.loads(open(arguments.expect).read().splitlines()[-1])
        wrong = {key: (value, expected[key]) for key, value in result.items() if abs(value - expected[key]) > 1e-3}
        print(f"differs: {wrong}" if wrong else "the same to 1e-3")
        sys.exit(1 if wrong else 0)


if __name__ == "__main__":
    main()
