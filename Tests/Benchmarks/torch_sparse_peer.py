#!/usr/bin/env python3
"""A training step of BERT4Rec over a large catalogue in PyTorch: sampled softmax, few rows of the table per step.

    OMP_NUM_THREADS=1 python torch_sparse_peer.py --data catalogue.txt --table gathered

sparse    nn.Embedding(sparse=True) and SparseAdam, as PyTorch's documentation has it;
gathered  written by hand: the rows of a step are gathered once, so that autograd sees a small dense table, and Adam
          works on these rows alone.

Both: instances sorted by length, in micro-batches, each with negatives of its own that all of its masked items share,
drawn uniformly without repeats, logQ correction, accidental hits left out; a pruned last layer; fused AdamW for all
other parameters; clipping at norm 5. What it shares with the program for small catalogues is in torch_peer.py. The last
line of standard output is one JSON object; its `ms_per_step` is the median. H: hidden.
"""

import json
import math
import resource
import statistics
import time

import numpy
import torch
import torch_peer
from torch import nn
from torch.nn import functional


class SampledModel(torch_peer.MaskedItemModel):
    """The encoder, whose item embeddings are handed to it, and a loss over some rows of the table."""

    def __init__(self, options):
        super().__init__(1, options)
        del self.items, self.output_bias

    def loss(self, batch: torch_peer.Batch, embedded, label_rows, negative_rows, negatives, correction: float):
        """The sum over masked items. Rows are (..., H + 1): an item's embedding and, behind it, its bias."""
        states = embedded[..., :-1] + self.places.weight[: batch.tokens.shape[1]] + self.kinds.weight[0]
        states = self.dropout(self.embedding_norm(states))
        bias = ((1 - batch.real) * -1e4)[:, None, None, :]
        for layer in self.layers[:-1]:
            states = layer(states, bias)
        states = self.layers[-1](states, bias, only_at=batch.positions)
        used = batch.weights.flatten() > 0
        states, labels = self.transformed(states.flatten(0, 1)[used]), batch.labels.flatten()[used]
        label_logits = (states * label_rows[:, :-1]).sum(1) + label_rows[:, -1]
        logits = torch.addmm(negative_rows[:, -1] + correction, states, negative_rows[:, :-1].t())
        logits = logits.masked_fill(labels[:, None] == negatives[None, :], -math.inf)
        return (torch.logsumexp(torch.cat([label_logits[:, None], logits], 1), 1) - label_logits).sum()


class SparseTable:
    """PyTorch's own sparse embedding and optimiser."""

    def __init__(self, vocabulary: int, options):
        self.table = nn.Embedding(vocabulary, options.hidden + 1, sparse=True)
        fill(self.table.weight, options)
        self.optimizer = torch.optim.SparseAdam(self.table.parameters(), lr=options.learning_rate, eps=1e-6)

    def prepare(self, ids: torch.Tensor) -> None:
        self.table.weight.grad = None

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        return self.table(ids)

    def gradients(self) -> torch.Tensor:
        self.table.weight.grad = self.table.weight.grad.coalesce()
        return self.table.weight.grad._values()

    def step(self) -> None:
        self.optimizer.step()


class GatheredTable:
    """The rows of a step as a small dense table, and Adam on them by hand."""

    def __init__(self, vocabulary: int, options):
        self.options = options
        self.weight = torch.empty(vocabulary, options.hidden + 1)
        fill(self.weight, options)
        self.first, self.second = torch.zeros_like(self.weight), torch.zeros_like(self.weight)
        self.place = torch.zeros(vocabulary, dtype=torch.int64)

    def prepare(self, ids: torch.Tensor) -> None:
        self.ids = torch.unique(ids)
        self.place[self.ids] = torch.arange(len(self.ids))
        self.gathered = self.weight[self.ids].requires_grad_()

    def rows(self, ids: torch.Tensor) -> torch.Tensor:
        return functional.embedding(self.place[ids], self.gathered)

    def gradients(self) -> torch.Tensor:
        return self.gathered.grad

    @torch.no_grad()
    def step(self) -> None:
        gradient, rows = self.gathered.grad, self.gathered
        first = self.first[self.ids].lerp_(gradient, 0.1)
        second = self.second[self.ids].mul_(0.999).addcmul_(gradient, gradient, value=0.001)
        rows.addcdiv_(first, second.sqrt().add_(1e-6), value=-self.options.learning_rate)
        self.weight[self.ids], self.first[self.ids], self.second[self.ids] = rows, first, second


def fill(weight: torch.Tensor, options) -> None:
    with torch.no_grad():
        spread = options.initializer_range
        nn.init.trunc_normal_(weight, 0.0, spread, -2 * spread, 2 * spread)
        weight[:, -1] = 0


def main() -> None:
    parser = torch_peer.argument_parser(__doc__)
    parser.add_argument("--table", choices=["sparse", "gathered"], default="gathered")
    parser.add_argument("--negatives", type=int, default=256, help="per micro-batch")
    options = parser.parse_args()
    options.level = "expert"
    torch.manual_seed(options.seed)
    masks, order = numpy.random.default_rng(options.seed), numpy.random.default_rng(1)
    draws = numpy.random.default_rng(2)

    instances = torch_peer.Instances(options.data, options)
    vocabulary = instances.vocabulary
    model = SampledModel(options)
    table = (SparseTable if options.table == "sparse" else GatheredTable)(vocabulary, options)
    optimizer = torch_peer.fused_adamw(model, options.learning_rate)
    correction = -math.log(options.negatives / vocabulary)

    waiting: list[int] = []
    seconds, touched = [], 0
    for step in range(options.warm_steps + options.steps):
        started = time.perf_counter()
        if len(waiting) < options.batch:
            waiting = order.permutation(instances.count).tolist()
        chosen, waiting = waiting[: options.batch], waiting[options.batch :]
        batch = instances.batch(chosen, masks)
        parts = batch.micro_batches(options.micro)
        negatives = [torch.from_numpy(draws.choice(vocabulary, options.negatives, replace=False, shuffle=False))
                     for _ in parts]
        used = [part.labels[part.weights > 0] for part in parts]
        table.prepare(torch.cat([part.tokens.flatten() for part in parts] + used + negatives))
        optimizer.zero_grad(set_to_none=True)
        masked, total = batch.weights.sum(), 0.0
        for part, labels, drawn in zip(parts, used, negatives):
            embedded, label_rows, negative_rows = table.rows(part.tokens), table.rows(labels), table.rows(drawn)
            loss = model.loss(part, embedded, label_rows, negative_rows, drawn, correction) / masked
            loss.backward()
            total += loss.item()
        gradients = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
        gradients.insert(0, table.gradients())
        norm = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
        torch._foreach_mul_(gradients, (5.0 / (norm + 1e-6)).clamp(max=1.0).item())
        optimizer.step()
        table.step()
        if step >= options.warm_steps:
            seconds.append(time.perf_counter() - started)
            touched += len(gradients[0])

    print(json.dumps({
        "table": options.table, "threads": torch.get_num_threads(), "steps": options.steps, "torch": torch.__version__,
        "ms_per_step": 1e3 * statistics.median(seconds), "ms_per_step_min": 1e3 * min(seconds),
        "ms_per_step_max": 1e3 * max(seconds), "loss": total, "rows_per_step": touched / options.steps,
        "vocabulary": vocabulary, "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))


if __name__ == "__main__":
    main()
