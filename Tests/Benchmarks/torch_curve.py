#!/usr/bin/env python3
"""The peer of torch_peer.py trained for many steps: its validation metrics against minutes of training.

    OMP_NUM_THREADS=1 python torch_curve.py --data ml-1m.txt --steps 10000 --validate-every 2500 --warm-up 1000 \\
        --schedule-steps 25000 --batch 64 --learning-rate 2e-3 --initializer-range 0.05 --dropout 0.1 ...

Arguments besides those below: torch_peer.py's. The last two items of each history are not trained on; the last but one
is ranked against all items but those of the history before it (protocol `full`). The learning rate rises for --warm-up
steps and falls linearly to 0 at --schedule-steps. A JSON object per validation; `minutes` are those of training alone,
`cpu_minutes` those in which this process ran: of one thread, what an idle machine would have taken.
"""

import json
import time

import numpy
import torch
import torch_peer
from torch import nn

VALIDATED_TOGETHER = 64  # users


def validate(model: torch_peer.MaskedItemModel, instances: torch_peer.Instances) -> dict[str, float]:
    """HR@10, NDCG@10 and MRR over users with at least three items; ties count half."""
    options, items = instances.options, instances.vocabulary - 4
    known = [history[:-1] for history in instances.histories if len(history) >= 3]
    known.sort(key=len)
    ranks = []
    model.eval()
    with torch.inference_mode():
        for start in range(0, len(known), VALIDATED_TOGETHER):
            users = known[start : start + VALIDATED_TOGETHER]
            windows = [numpy.append(history[:-1][-(options.max_len - 1) :], instances.mask_token) for history in users]
            length = max(map(len, windows))
            tokens = torch.tensor(numpy.stack([numpy.pad(window, (0, length - len(window))) for window in windows]))
            positions = torch.tensor([[len(window) - 1] for window in windows])
            unused = torch.zeros_like(positions)
            batch = torch_peer.Batch(tokens, (tokens != 0).float(), positions, unused, unused)
            states = model.states_at_masks(batch)
            if model.level != "expert":
                states = states[:, :1]
            scores = (model.transformed(states[:, 0]) @ model.items.weight.t() + model.output_bias).numpy()
            for row, history in zip(scores, users):
                label = row[history[-1]]
                row = row[1 : items + 1].copy()
                row[history[:-1] - 1] = -numpy.inf
                row[history[-1] - 1] = label
                ranks.append(1 + int((row > label).sum()) + (int((row == label).sum()) - 1) / 2)
    model.train()
    ranks = numpy.array(ranks)
    top = ranks < 11
    return {"hit@10[full]": float(top.mean()), "ndcg@10[full]": float((top / numpy.log2(ranks + 1)).mean()),
            "mrr[full]": float((1 / ranks).mean()), "users": len(ranks)}


def main() -> None:
    parser = torch_peer.argument_parser(__doc__)
    parser.add_argument("--validate-every", type=int, default=2500)
    parser.add_argument("--warm-up", type=int, default=1000)
    parser.add_argument("--schedule-steps", type=int, default=25000)
    options = parser.parse_args()
    torch.manual_seed(options.seed)
    masks, order = numpy.random.default_rng(options.seed), numpy.random.default_rng(1)
    instances = torch_peer.Instances(options.data, options, held_out=2)
    model = torch_peer.MaskedItemModel(instances.vocabulary, options)
    optimizer = torch_peer.fused_adamw(model, options.learning_rate)

    waiting: list[int] = []
    seconds = cpu_seconds = 0.0
    for step in range(options.steps):
        started, cpu_started = time.perf_counter(), time.process_time()
        rise, fall = step / options.warm_up, 1 - step / options.schedule_steps
        for group in optimizer.param_groups:
            group["lr"] = options.learning_rate * (rise if step < options.warm_up else fall)
        if len(waiting) < options.batch:
            waiting = order.permutation(instances.count).tolist()
        chosen, waiting = waiting[: options.batch], waiting[options.batch :]
        batch = instances.batch(chosen, masks)
        optimizer.zero_grad(set_to_none=True)
        if options.level == "expert":
            loss = torch_peer.accumulated_gradient(model, batch, options.micro, 1)
        else:
            loss = model(*batch)
            loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 5.0)
        optimizer.step()
        seconds += time.perf_counter() - started
        cpu_seconds += time.process_time() - cpu_started
        if (step + 1) % options.validate_every == 0:
            print(json.dumps({"step": step + 1, "minutes": seconds / 60, "cpu_minutes": cpu_seconds / 60,
                              "loss": loss.item(), **validate(model, instances)}), flush=True)


if __name__ == "__main__":
    main()
