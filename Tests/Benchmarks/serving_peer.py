#!/usr/bin/env python3
"""`recommend --stream` in PyTorch or ONNX Runtime: JSON lines of histories in, JSON lines of lists out, as soon as
possible.

    python serving_peer.py MODEL --level transformers|expert|onnx

MODEL is what `export --hugging-face` writes. Lines that are waiting are scored together, 64 at most.

transformers  BertForMaskedLM's encoder (fused attention); its head on the last position alone;
expert        written by hand: the last layer's queries and all after them for the last position alone, one product
              for query, key and value, waiting histories sorted by length and run in groups of 16;
onnx          the first one exported by PyTorch and run by ONNX Runtime.

One thread each. Needs torch and transformers; onnx also onnx, onnxscript and onnxruntime.
"""

import argparse
import json
import os
import pathlib
import tempfile

import numpy
import torch
from torch.nn import functional
from transformers import BertForMaskedLM

TOGETHER = 64
GROUP = 16


class LastLogits(torch.nn.Module):
    """The head runs on one position per row: logits of every position would be `length` times the work."""

    def __init__(self, model: BertForMaskedLM):
        super().__init__()
        self.bert, self.head = model.bert, model.cls

    def forward(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        states = self.bert(input_ids=input_ids, attention_mask=attention_mask).last_hidden_state
        last = attention_mask.sum(1) - 1
        chosen = states.gather(1, last[:, None, None].expand(-1, 1, states.shape[2]))
        return self.head(chosen)[:, 0]


class Expert:
    """Letters: B histories, T tokens of the longest, H hidden, A heads."""

    def __init__(self, model: BertForMaskedLM):
        state = {name: value.detach() for name, value in model.state_dict().items()}
        self.state, self.heads = state, model.config.num_attention_heads
        self.epsilon, self.hidden = model.config.layer_norm_eps, model.config.hidden_size
        self.act = {"gelu": functional.gelu, "relu": functional.relu, "tanh": torch.tanh}[model.config.hidden_act]
        self.layers = []
        for index in range(model.config.num_hidden_layers):
            prefix = f"bert.encoder.layer.{index}."
            names = [prefix + f"attention.self.{name}." for name in ("query", "key", "value")]
            self.layers.append((prefix, torch.cat([state[name + "weight"] for name in names]),
                                torch.cat([state[name + "bias"] for name in names])))
        self.items = state["bert.embeddings.word_embeddings.weight"]
        # Token type 0 everywhere.
        kinds = state["bert.embeddings.token_type_embeddings.weight"]
        self.places = state["bert.embeddings.position_embeddings.weight"] + kinds[0]

    def dense(self, x, name):
        return functional.linear(x, self.state[name + ".weight"], self.state[name + ".bias"])

    def norm(self, x, name):
        weight, bias = self.state[name + ".weight"], self.state[name + ".bias"]
        return functional.layer_norm(x, (self.hidden,), weight, bias, self.epsilon)

    def split(self, x):
        return x.unflatten(2, (self.heads, -1)).transpose(1, 2)

    def __call__(self, input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        x = functional.embedding(input_ids, self.items) + self.places[:input_ids.shape[1]]
        x = self.norm(x, "bert.embeddings.LayerNorm")
        allowed = None if attention_mask.all() else attention_mask.bool()[:, None, None, :]
        last = (attention_mask.sum(1) - 1)[:, None, None].expand(-1, 1, self.hidden)
        for number, (prefix, weight, bias) in enumerate(self.layers, start=1):
            if number == len(self.layers):
                asking = x.gather(1, last)
                query = functional.linear(asking, weight[:self.hidden], bias[:self.hidden])
                key, value = functional.linear(x, weight[self.hidden:], bias[self.hidden:]).chunk(2, 2)
            else:
                asking = x
                query, key, value = functional.linear(x, weight, bias).chunk(3, 2)
            context = functional.scaled_dot_product_attention(*map(self.split, (query, key, value)), allowed)
            context = context.transpose(1, 2).reshape(asking.shape)
            attended = asking + self.dense(context, prefix + "attention.output.dense")
            attended = self.norm(attended, prefix + "attention.output.LayerNorm")
            inner = self.act(self.dense(attended, prefix + "intermediate.dense"))
            x = self.norm(attended + self.dense(inner, prefix + "output.dense"), prefix + "output.LayerNorm")
        x = self.act(self.dense(x[:, 0], "cls.predictions.transform.dense"))
        x = self.norm(x, "cls.predictions.transform.LayerNorm")
        return functional.linear(x, self.items, self.state["cls.predictions.bias"])


def onnx_session(model: torch.nn.Module, longest: int):
    import onnxruntime

    tokens = torch.ones((2, min(7, longest)), dtype=torch.int64)
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=1, max=longest)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    with tempfile.TemporaryDirectory() as scratch:
        path = pathlib.Path(scratch, "model.onnx")
        torch.onnx.export(
            model, (tokens, torch.ones_like(tokens)), path, dynamo=True, verbose=False,
            input_names=["input_ids", "attention_mask"], output_names=["logits"],
            dynamic_shapes={"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}})
        session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def run(input_ids: torch.Tensor, attention_mask: torch.Tensor) -> torch.Tensor:
        feeds = {"input_ids": input_ids.numpy(), "attention_mask": attention_mask.numpy()}
        return torch.from_numpy(session.run(None, feeds)[0])
    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--level", choices=["transformers", "expert", "onnx"], default="expert")
    options = parser.parse_args()
    torch.set_num_threads(1)
    folder = pathlib.Path(options.model)
    names = [line.split("\t")[1] for line in (folder / "items.tsv").read_text().splitlines()[1:]]
    token = {name: number for number, name in enumerate(names, start=1)}
    attention = "eager" if options.level == "onnx" else "sdpa"
    model = BertForMaskedLM.from_pretrained(folder, attn_implementation=attention).eval()
    longest, mask = model.config.max_position_embeddings, model.config.mask_token_id
    if options.level == "expert":
        score = Expert(model)
    else:
        score = LastLogits(model) if options.level == "transformers" else onnx_session(LastLogits(model), longest)

    @torch.inference_mode()
    def lists(requests: list[dict]) -> list[str]:
        histories = [[token[item] for item in request["items"] if item in token] for request in requests]
        order, size = list(range(len(histories))), TOGETHER
        if options.level == "expert":
            order.sort(key=lambda row: -len(histories[row]))
            size = GROUP
        answers = [""] * len(requests)
        for start in range(0, len(requests), size):
            rows = order[start:start + size]
            queries = [histories[row][1 - longest:] + [mask] for row in rows]
            width = max(map(len, queries))
            tokens = torch.from_numpy(numpy.array([query + [0] * (width - len(query)) for query in queries]))
            real = [[1] * len(query) + [0] * (width - len(query)) for query in queries]
            real = torch.from_numpy(numpy.array(real))
            logits = score(tokens, real)[:, 1:len(names) + 1]
            for place, row in enumerate(rows):
                logits[place, torch.tensor([item - 1 for item in histories[row]], dtype=torch.int64)] = -torch.inf
            scores, items = logits.topk(10)
            for row, own, found in zip(rows, scores.tolist(), items.tolist()):
                best = [{"item_id": names[item], "score": value} for item, value in zip(found, own)]
                answers[row] = json.dumps({"items": best})
        return answers

    os.write(2, b"ready\n")
    rest = b""
    while block := os.read(0, 1 << 16):
        *lines, rest = (rest + block).split(b"\n")
        for start in range(0, len(lines), TOGETHER):
            text = "\n".join(lists([json.loads(line) for line in lines[start:start + TOGETHER]])) + "\n"
            os.write(1, text.encode())


if __name__ == "__main__":
    main()
