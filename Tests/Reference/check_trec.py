#!/usr/bin/env python3
"""What `evaluate --trec` writes, measured by trec_eval (pytrec_eval), beside the program's own metrics.

    python check_trec.py PROGRAM CHECKPOINT DATA [--targets LATER]

PROGRAM is bert4rec-dist. Without --targets, the held-out items of DATA are ranked in the whole catalogue. NDCG at 1,
5 and 10 (with --targets also recall, precision and MAP at 10) must be the same within 1e-6. Ends with 1 where they
are not. Needs pytrec_eval (requirements.txt).
"""

import argparse
import json
import subprocess
import sys
import tempfile

import pytrec_eval

HELD_OUT = {"ndcg@1": "ndcg_cut_1", "ndcg@5": "ndcg_cut_5", "ndcg@10": "ndcg_cut_10"}
TARGETS = HELD_OUT | {"recall@10": "recall_10", "precision@10": "P_10", "map@10": "map_cut_10"}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("checkpoint")
    parser.add_argument("data")
    parser.add_argument("--targets")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as scratch:
        more = ["--targets", options.targets] if options.targets else ["--protocol", "full"]
        command = [options.program, "evaluate", "--checkpoint", options.checkpoint, "--data", options.data, "--json",
                   "--trec", scratch + "/trec", *more]
        ours = json.loads(subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.splitlines()[-1])
        with open(scratch + "/trec/qrels.txt") as lines:
            judgements = pytrec_eval.parse_qrel(lines)
        with open(scratch + "/trec/run.txt") as lines:
            run = pytrec_eval.parse_run(lines)
    names = TARGETS if options.targets else HELD_OUT
    measured = pytrec_eval.RelevanceEvaluator(judgements, set(names.values())).evaluate(run)
    good = True
    for name, theirs in names.items():
        # As trec_eval -c: a user without a list counts as 0.
        value = sum(user[theirs] for user in measured.values()) / len(judgements)
        own = ours[f"{name}[full]"]
        good &= abs(value - own) <= 1e-6
        print(f"{name}: bert4rec-dist {own:.9f}, trec_eval {value:.9f}")
    print(f"{len(judgements)} users: {'the same' if good else 'NOT the same'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
