#!/usr/bin/env python3
"""RecTools' BERT4Rec trained for some minutes on the same split, and its test metrics.

    bert4rec-dist prepare ml-100k.inter --write-pairs ml-100k.txt
    OMP_NUM_THREADS=1 python rectools_peer.py --data ml-100k.txt --minutes 10 [--set n_factors=64 --set n_heads=2 ...]

PyPI: rectools[torch]==0.19.0 torch==2.13.0. --data: lines `user item`, a user's oldest first. The last item of each
user with at least three is the test item; the rest is trained on. Ranked against all items but those of the user's
history (protocol `full`). --set gives arguments of rectools.models.BERT4RecModel in the place of its defaults. The last
line of standard output is one JSON object.
"""

import argparse
import json
import time

import numpy
import pandas
import torch
from pytorch_lightning import Trainer
from rectools import Columns
from rectools.dataset import Dataset
from rectools.models import BERT4RecModel


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True)
    parser.add_argument("--minutes", type=float, required=True, help="of training")
    parser.add_argument("--set", action="append", default=[], metavar="NAME=VALUE")
    parser.add_argument("--seed", type=int, default=12345)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    numpy.random.seed(options.seed)
    arguments = {name: json.loads(value) for name, value in (one.split("=", 1) for one in options.set)}

    rows = pandas.read_csv(options.data, sep=" ", names=[Columns.User, Columns.Item], dtype=str)
    rows[Columns.Weight] = 1.0
    # The order of the lines is the order in time.
    rows[Columns.Datetime] = pandas.to_datetime(numpy.arange(len(rows)), unit="s")
    count = rows.groupby(Columns.User)[Columns.Item].transform("size")
    is_last = ~rows.duplicated(Columns.User, keep="last") & (count >= 3)
    train, test = rows[~is_last], rows[is_last]
    dataset = Dataset.construct(train)

    def trainer() -> Trainer:
        return Trainer(
            accelerator="cpu", devices=1, max_epochs=100_000, max_time={"seconds": 60 * options.minutes},
            enable_progress_bar=False, enable_model_summary=False, logger=False, enable_checkpointing=False)

    model = BERT4RecModel(get_trainer_func=trainer, recommend_n_threads=1, **arguments)
    started = time.perf_counter()
    model.fit(dataset)
    minutes = (time.perf_counter() - started) / 60
    steps = model.fit_trainer.global_step

    known = test[test[Columns.Item].isin(train[Columns.Item])]
    top = model.recommend(known[Columns.User].to_numpy(), dataset, k=10, filter_viewed=True)
    found = top.merge(known[[Columns.User, Columns.Item]], on=[Columns.User, Columns.Item])
    ranks = found[Columns.Rank].to_numpy()
    print(json.dumps({
        "data": options.data.rsplit("/", 1)[-1], "arguments": arguments, "minutes": minutes, "steps": int(steps),
        "threads": torch.get_num_threads(), "users": len(test), "hit@10[full]": len(ranks) / len(test),
        "ndcg@10[full]": float((1 / numpy.log2(ranks + 1)).sum() / len(test))}))


if __name__ == "__main__":
    main()
