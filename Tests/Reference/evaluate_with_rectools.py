"""`evaluate --predictions` against RecTools' own numbers, on data that are made for it.

    python evaluate_with_rectools.py PROGRAM [--seed 7] [--users 400]

Makes histories, targets and another program's lists from keyed random numbers, with what real files have: users without
lists, lists of users without targets, short lists, targets and lists with items that nobody had, ties. Runs PROGRAM
(bert4rec-dist) on each of three forms of the lists (CSV by score, CSV by rank, TREC run) and compares each metric with
RecTools' at all cut-offs. Ends with 1 where one differs by more than 1e-6. Needs: pip install RecTools==0.19.0
"""

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path

import numpy as np
import pandas as pd
from rectools import Columns
from rectools.metrics import (
    MAP,
    MRR,
    NDCG,
    AvgRecPopularity,
    CatalogCoverage,
    HitRate,
    MeanInvUserFreq,
    Precision,
    Recall,
)

CUTOFFS = [1, 3, 5, 10, 20, 50]
ITEMS = 300


def make(seed, users):
    """Histories, targets and lists as frames of users, items and more."""
    random = np.random.default_rng(seed)
    weights = 1 / np.arange(1, ITEMS + 1)
    histories, targets, lists = [], [], []
    for user in range(users):
        chosen = random.choice(ITEMS, random.integers(2, 30), p=weights / weights.sum())
        # The last user of twenty has no history; items from 300 on stand in no history.
        if user % 20 != 19:
            histories += [(f"u{user}", f"i{item}") for item in chosen]
        if user % 10 != 9:
            later = random.choice(ITEMS + 20, random.integers(1, 15), replace=False)
            targets += [(f"u{user}", f"i{item}") for item in later]
        if user % 7 != 6:
            length = int(random.integers(1, 60))
            items = random.choice(ITEMS + 30, length, replace=False)
            # Few values, so that there are ties, which stay in the order of the file.
            scores = random.integers(0, 12, length) / 4
            lists += [(f"u{user}", f"i{item}", score) for item, score in zip(items, scores)]
    histories = pd.DataFrame(histories, columns=[Columns.User, Columns.Item])
    targets = pd.DataFrame(targets, columns=[Columns.User, Columns.Item])
    lists = pd.DataFrame(lists, columns=[Columns.User, Columns.Item, "score"])
    order = lists.sort_values("score", ascending=False, kind="stable").groupby(Columns.User, sort=False).cumcount() + 1
    lists[Columns.Rank] = order
    return histories, targets, lists


def expected(histories, targets, lists):
    """RecTools' numbers under the program's keys. Users without a list are misses: they count, with 0."""
    asked = lists[lists[Columns.User].isin(targets[Columns.User])]
    known = asked[asked[Columns.Item].isin(histories[Columns.Item])]
    users = targets[Columns.User].unique()
    catalog = histories[Columns.Item].unique()
    values = {}
    for k in CUTOFFS:
        of_users = {
            "hit": HitRate(k),
            "recall": Recall(k),
            "precision": Precision(k),
            "ndcg": NDCG(k, divide_by_achievable=True),
            "map": MAP(k),
            "mrr": MRR(k),
        }
        for name, metric in of_users.items():
            values[f"{name}@{k}[full]"] = metric.calc_per_user(asked, targets).reindex(users).fillna(0).mean()
        values[f"coverage@{k}[full]"] = CatalogCoverage(k, normalize=True).calc(known, catalog)
        values[f"mean_popularity@{k}[full]"] = AvgRecPopularity(k).calc(asked, histories)
        values[f"novelty@{k}[full]"] = MeanInvUserFreq(k).calc(asked, histories)
    return values


def write(folder, histories, targets, lists):
    histories.to_csv(folder / "histories.csv", index=False)
    targets.to_csv(folder / "targets.csv", index=False)
    names = [Columns.User, Columns.Item]
    lists[names + ["score"]].to_csv(folder / "by-score.csv", index=False)
    # In any order: the rank says it.
    lists[names + [Columns.Rank]].sample(frac=1, random_state=1).to_csv(folder / "by-rank.csv", index=False)
    with open(folder / "run.trec", "w") as file:
        for user, item, score, rank in lists.itertuples(index=False):
            file.write(f"{user} Q0 {item} {rank} {score} random\n")
    return ["by-score.csv", "by-rank.csv", "run.trec"]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("--seed", type=int, default=7)
    parser.add_argument("--users", type=int, default=400)
    arguments = parser.parse_args()

    histories, targets, lists = make(arguments.seed, arguments.users)
    values = expected(histories, targets, lists)
    program, failed = str(Path(arguments.program).resolve()), False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for form in write(folder, histories, targets, lists):
            command = [program, "evaluate", "--data", "histories.csv", "--targets", "targets.csv", "--json"]
            command += ["--predictions", form, "--at", ",".join(map(str, CUTOFFS))]
            run = subprocess.run(command, cwd=folder, capture_output=True, text=True)
            if run.returncode != 0:
                sys.exit(f"{' '.join(command)}: exit code {run.returncode}\n{run.stderr}")
            found = json.loads(run.stdout.splitlines()[-1])
            differences = {key: abs(found[key] - value) for key, value in values.items()}
            wrong = {key: (found[key], values[key]) for key, gap in differences.items() if not gap <= 1e-6}
            worst = max(differences.values())
            print(f"{form}: {found['users']} users, {len(values)} metrics, largest difference {worst:.2e}")
            for key, (ours, theirs) in wrong.items():
                print(f"  {key}: {ours}, RecTools {theirs}")
            failed = failed or bool(wrong)
    print("differs" if failed else "the same to 1e-6")
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
