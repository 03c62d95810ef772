#!/usr/bin/env python3
"""The program to compare with: one training step of BERT4Rec in PyTorch, at three levels of care.

usual    batches padded to the maximum length, logits of all `--max-pred` places (padding weighs 0);
strong   batches cut to their longest instance, logits of the really masked positions only;
expert   besides: instances sorted by length and run in micro-batches of like length, queries and everything after them
         in the last layer at masked positions only, a cross entropy fused with its projection (torch 2.13 or newer).

All levels: the original's masking and windows, fused attention, fused AdamW, clipping at norm 5, DDP over gloo.

    OMP_NUM_THREADS=1 python torch_peer.py --data ml-1m.txt --level expert
    OMP_NUM_THREADS=1 torchrun --nproc-per-node 2 torch_peer.py --data ml-1m.txt --level expert

The last line of standard output is one JSON object; its `ms_per_step` is the median.
Letters: B instances, T tokens of the longest, P places for masked positions, H hidden, A heads, V vocabulary.
"""

import argparse
import collections
import contextlib
import json
import os
import resource
import statistics
import time
from typing import NamedTuple

import numpy
import torch
import torch.distributed
from torch import nn
from torch.nn import functional

INSTANCES_A_WINDOW = 11  # ten with random masks (dupe_factor 10), one with the last item masked
EPSILON = 1e-12  # of the layer norms, as in the original


def argument_parser(description: str) -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", required=True, help="lines `user item`, a user's oldest first")
    parser.add_argument("--level", choices=["usual", "strong", "expert"], default="expert")
    parser.add_argument("--micro", type=int, default=16, help="instances per micro-batch (expert)")
    parser.add_argument("--batch", type=int, default=256, help="instances per step, over all ranks")
    parser.add_argument("--hidden", type=int, default=64)
    parser.add_argument("--layers", type=int, default=2)
    parser.add_argument("--heads", type=int, default=2)
    parser.add_argument("--intermediate", type=int, default=256)
    parser.add_argument("--max-len", type=int, default=200)
    parser.add_argument("--max-pred", type=int, default=40)
    parser.add_argument("--mask-prob", type=float, default=0.2)
    parser.add_argument("--slide", type=float, default=0.5, help="step between windows, as a fraction of --max-len")
    parser.add_argument("--dropout", type=float, default=0.2)
    parser.add_argument("--attention-dropout", type=float, default=0.2)
    parser.add_argument("--learning-rate", type=float, default=1e-4)
    parser.add_argument("--steps", type=int, default=10, help="measured steps")
    parser.add_argument("--warm-steps", type=int, default=3, help="steps before them, which are not measured")
    parser.add_argument("--initializer-range", type=float, default=0.02)
    parser.add_argument("--seed", type=int, default=12345)
    return parser


class Batch(NamedTuple):
    tokens: torch.Tensor  # (B, T), 0 is padding
    real: torch.Tensor  # (B, T), 1 at tokens, 0 at padding
    positions: torch.Tensor  # (B, P), of the masked items
    labels: torch.Tensor  # (B, P)
    weights: torch.Tensor  # (B, P), 1 at masked items, 0 at unused places

    def cut(self) -> "Batch":
        """Without the columns that are padding in every instance."""
        longest, most = int(self.real.sum(1).max()), int(self.weights.sum(1).max())
        widths = (longest, longest, most, most, most)
        return Batch(*(part[:, :width].contiguous() for part, width in zip(self, widths)))

    def micro_batches(self, size: int) -> list["Batch"]:
        count = len(self.tokens)
        return [Batch(*(part[start : start + size] for part in self)).cut() for start in range(0, count, size)]


class Instances:
    """All training instances of a file; an instance is a window with one of its masks."""

    def __init__(self, path: str, options: argparse.Namespace, held_out: int = 1):
        """The last `held_out` items of each history are not trained on."""
        self.options = options
        histories = collections.defaultdict(list)
        with open(path) as lines:
            for line in lines:
                user, item = line.split()[:2]
                histories[user].append(item)
        counts = collections.Counter(item for history in histories.values() for item in history)
        token_of = {item: token for token, (item, _) in enumerate(counts.most_common(), start=1)}
        self.mask_token = len(token_of) + 2
        self.vocabulary = len(token_of) + 4  # padding and three special tokens
        self.windows = []
        self.histories = [numpy.array([token_of[item] for item in history]) for history in histories.values()]
        for history in self.histories:
            self.windows += self._windows(history[:-held_out] if len(history) >= 3 else history)
        self.count = len(self.windows) * INSTANCES_A_WINDOW

    def _windows(self, sequence: numpy.ndarray) -> list[numpy.ndarray]:
        length = self.options.max_len
        if len(sequence) <= length:
            return [sequence]
        step = max(1, int(self.options.slide * length)) if self.options.slide > 0 else length
        starts = [*range(len(sequence) - length, 0, -step), 0]
        return [sequence[start : start + length] for start in starts]

    def batch(self, chosen: list[int], random: numpy.random.Generator) -> Batch:
        options = self.options
        pairs = [(self.windows[index // INSTANCES_A_WINDOW], index % INSTANCES_A_WINDOW) for index in chosen]
        if options.level == "expert":
            pairs.sort(key=lambda pair: -len(pair[0]))
        tokens = numpy.zeros((len(pairs), options.max_len), numpy.int64)
        real = numpy.zeros((len(pairs), options.max_len), numpy.float32)
        positions = numpy.zeros((len(pairs), options.max_pred), numpy.int64)
        labels = numpy.zeros_like(positions)
        weights = numpy.zeros((len(pairs), options.max_pred), numpy.float32)
        for row, (window, duplicate) in enumerate(pairs):
            length = len(window)
            if duplicate == INSTANCES_A_WINDOW - 1:
                masked = numpy.array([length - 1])
            else:
                wanted = min(options.max_pred, max(1, int(length * options.mask_prob + 0.5)))
                masked = numpy.sort(random.choice(length, wanted, replace=False))
            tokens[row, :length] = window
            tokens[row, masked] = self.mask_token
            real[row, :length] = 1
            positions[row, : len(masked)] = masked
            labels[row, : len(masked)] = window[masked]
            weights[row, : len(masked)] = 1
        made = Batch(*map(torch.from_numpy, (tokens, real, positions, labels, weights)))
        return made.cut() if options.level == "strong" else made


def rows_at(states: torch.Tensor, positions: torch.Tensor) -> torch.Tensor:
    """(B, T, H) at (B, P): (B, P, H)."""
    return states.gather(1, positions[:, :, None].expand(-1, -1, states.shape[2]))


class Layer(nn.Module):
    def __init__(self, options: argparse.Namespace):
        super().__init__()
        hidden = options.hidden
        self.heads, self.attention_dropout = options.heads, options.attention_dropout
        self.query, self.key, self.value, self.output = (nn.Linear(hidden, hidden) for _ in range(4))
        self.attention_norm, self.output_norm = nn.LayerNorm(hidden, EPSILON), nn.LayerNorm(hidden, EPSILON)
        self.widen, self.narrow = nn.Linear(hidden, options.intermediate), nn.Linear(options.intermediate, hidden)
        self.dropout = nn.Dropout(options.dropout)

    def split(self, projected: torch.Tensor) -> torch.Tensor:
        return projected.unflatten(2, (self.heads, -1)).transpose(1, 2)  # (B, A, T, H / A)

    def forward(self, states, attention_bias, only_at=None):
        """Of all tokens; with `only_at` (B, P), of those positions, which still attend to all."""
        asking = states if only_at is None else rows_at(states, only_at)
        context = functional.scaled_dot_product_attention(
            self.split(self.query(asking)), self.split(self.key(states)), self.split(self.value(states)),
            attention_bias, self.attention_dropout if self.training else 0.0)
        context = context.transpose(1, 2).reshape(asking.shape)
        attended = self.attention_norm(asking + self.dropout(self.output(context)))
        return self.output_norm(attended + self.dropout(self.narrow(functional.gelu(self.widen(attended)))))


class MaskedItemModel(nn.Module):
    """Its forward is the loss: the mean over masked items; at the expert level the sum."""

    def __init__(self, vocabulary: int, options: argparse.Namespace):
        super().__init__()
        hidden = options.hidden
        self.level = options.level
        self.items, self.kinds = nn.Embedding(vocabulary, hidden), nn.Embedding(2, hidden)
        self.places = nn.Embedding(options.max_len, hidden)
        self.embedding_norm, self.dropout = nn.LayerNorm(hidden, EPSILON), nn.Dropout(options.dropout)
        self.layers = nn.ModuleList(Layer(options) for _ in range(options.layers))
        self.transform, self.transform_norm = nn.Linear(hidden, hidden), nn.LayerNorm(hidden, EPSILON)
        self.output_bias = nn.Parameter(torch.zeros(vocabulary))
        for module in self.modules():
            if isinstance(module, (nn.Linear, nn.Embedding)):
                spread = options.initializer_range
                nn.init.trunc_normal_(module.weight, 0.0, spread, -2 * spread, 2 * spread)
            if isinstance(module, nn.Linear):
                nn.init.zeros_(module.bias)

    def transformed(self, states: torch.Tensor) -> torch.Tensor:
        """What the output layer multiplies with the items' embeddings."""
        return self.transform_norm(functional.gelu(self.transform(states)))

    def states_at_masks(self, batch: Batch) -> torch.Tensor:
        embedded = self.items(batch.tokens) + self.places.weight[: batch.tokens.shape[1]] + self.kinds.weight[0]
        states = self.dropout(self.embedding_norm(embedded))
        bias = ((1 - batch.real) * -1e4)[:, None, None, :]
        for layer in self.layers[:-1]:
            states = layer(states, bias)
        if self.level == "expert":
            return self.layers[-1](states, bias, only_at=batch.positions)
        return rows_at(self.layers[-1](states, bias), batch.positions)

    def forward(self, *parts: torch.Tensor) -> torch.Tensor:
        batch = Batch(*parts)
        states, labels, weights = (part.flatten(0, 1) for part in
                                   (self.states_at_masks(batch), batch.labels, batch.weights))
        if self.level != "usual":
            used = weights > 0
            states, labels = states[used], labels[used]
        states = self.transformed(states)
        if self.level == "expert":
            # Imported here: the other levels run on older versions of torch.
            from torch.nn.modules.linear_cross_entropy_options import LinearCrossEntropyOptions
            return functional.linear_cross_entropy(
                states, self.items.weight, labels, linear_bias=self.output_bias, reduction="sum",
                options=LinearCrossEntropyOptions(batch_chunk_size=160, chunking_method=None))
        logits = states @ self.items.weight.t() + self.output_bias
        if self.level == "strong":
            return functional.cross_entropy(logits, labels)
        losses = functional.cross_entropy(logits, labels, reduction="none")
        return (losses * weights).sum() / (weights.sum() + 1e-5)


def fused_adamw(model: nn.Module, learning_rate: float) -> torch.optim.AdamW:
    """Biases and layer norms do not decay, as in the original."""
    groups = {True: [], False: []}
    for name, parameter in model.named_parameters():
        groups[not (name.endswith("bias") or "norm" in name)].append(parameter)
    return torch.optim.AdamW([{"params": groups[True], "weight_decay": 0.01},
                              {"params": groups[False], "weight_decay": 0.0}], lr=learning_rate, eps=1e-6, fused=True)


def accumulated_gradient(model: nn.Module, batch: Batch, micro: int, ranks: int) -> torch.Tensor:
    """Gradient of the mean over all ranks' masked items; DDP adds the ranks' up once, in the last micro-batch."""
    masked = batch.weights.sum()
    if ranks > 1:
        torch.distributed.all_reduce(masked)
        masked /= ranks  # DDP divides by the ranks
    parts = batch.micro_batches(micro)
    total = torch.zeros(())
    for number, part in enumerate(parts, start=1):
        with model.no_sync() if ranks > 1 and number < len(parts) else contextlib.nullcontext():
            loss = model(*part) / masked
            loss.backward()
        total += loss.detach()
    return total


def main() -> None:
    options = argument_parser(__doc__).parse_args()
    rank, ranks = int(os.environ.get("RANK", 0)), int(os.environ.get("WORLD_SIZE", 1))
    if ranks > 1:
        torch.distributed.init_process_group("gloo")
    torch.manual_seed(options.seed)
    masks, order = numpy.random.default_rng(options.seed + rank), numpy.random.default_rng(1)

    instances = Instances(options.data, options)
    model = core = MaskedItemModel(instances.vocabulary, options)
    if ranks > 1:
        model = nn.parallel.DistributedDataParallel(core)
    optimizer = fused_adamw(core, options.learning_rate)

    waiting: list[int] = []
    seconds, tokens = [], 0
    for step in range(options.warm_steps + options.steps):
        started = time.perf_counter()
        if len(waiting) < options.batch:
            waiting = order.permutation(instances.count).tolist()
        chosen, waiting = waiting[: options.batch][rank::ranks], waiting[options.batch :]
        batch = instances.batch(chosen, masks)
        optimizer.zero_grad(set_to_none=True)
        if options.level == "expert":
            loss = accumulated_gradient(model, batch, options.micro, ranks)
        else:
            loss = model(*batch)
            loss.backward()
        nn.utils.clip_grad_norm_(core.parameters(), 5.0)
        optimizer.step()
        if step >= options.warm_steps:
            seconds.append(time.perf_counter() - started)
            tokens += int(batch.real.sum()) * ranks  # the other ranks' are as many on average

    if rank == 0:
        print(json.dumps({
            "level": options.level, "ranks": ranks, "threads": torch.get_num_threads(), "steps": options.steps,
            "torch": torch.__version__,
            "instances_per_s": options.batch * options.steps / sum(seconds), "tokens_per_s": tokens / sum(seconds),
            "ms_per_step": 1e3 * statistics.median(seconds), "ms_per_step_mean": 1e3 * statistics.mean(seconds),
            "ms_per_step_min": 1e3 * min(seconds), "ms_per_step_max": 1e3 * max(seconds),
            "loss": loss.item(), "windows": len(instances.windows),
            "peak_mib": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
    if ranks > 1:
        torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main()
