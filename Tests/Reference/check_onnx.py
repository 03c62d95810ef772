#!/usr/bin/env python3
"""From a checkpoint to ONNX Runtime: `export --hugging-face`, PyTorch's exporter, and the logits of all three compared.

    python check_onnx.py PROGRAM CHECKPOINT HISTORIES [--output model.onnx]

PROGRAM is bert4rec-dist; HISTORIES holds `user item` lines, oldest first. The ONNX model takes input_ids and
attention_mask (batch, length), int64, padded on the right with 0, any batch and any length up to
max_position_embeddings, and gives logits (batch, vocabulary) at each row's last position. Its logits must be those of
BertForMaskedLM and the scores of `recommend --stream` within 1e-4 of the largest. Ends with 1 where they are not.
Needs torch, transformers, onnx, onnxscript and onnxruntime (requirements.txt).
"""

import argparse
import collections
import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
import onnxruntime
import torch
from transformers import BertForMaskedLM

sys.path.append(str(pathlib.Path(__file__).resolve().parents[1] / "Benchmarks"))
from serving_peer import LastLogits  # noqa: E402

TOLERANCE = 1e-4


def export(folder: pathlib.Path, path: pathlib.Path) -> tuple[LastLogits, int]:
    model = BertForMaskedLM.from_pretrained(folder, attn_implementation="eager").eval()
    longest = model.config.max_position_embeddings
    wrapped = LastLogits(model).eval()
    tokens = torch.ones((2, min(7, longest)), dtype=torch.int64)
    batch, length = torch.export.Dim("batch", min=1, max=4096), torch.export.Dim("length", min=1, max=longest)
    torch.onnx.export(
        wrapped, (tokens, torch.ones_like(tokens)), path, dynamo=True,
        input_names=["input_ids", "attention_mask"], output_names=["logits"],
        dynamic_shapes={"input_ids": {0: batch, 1: length}, "attention_mask": {0: batch, 1: length}})
    return wrapped, longest


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("program")
    parser.add_argument("checkpoint")
    parser.add_argument("histories")
    parser.add_argument("--output", default=None)
    options = parser.parse_args()

    histories = collections.defaultdict(list)
    for line in pathlib.Path(options.histories).read_text().splitlines():
        user, item = line.split()
        histories[user].append(item)
    users = list(histories)[:200]

    with tempfile.TemporaryDirectory() as scratch:
        folder = pathlib.Path(scratch, "model")
        subprocess.run(
            [options.program, "export", "--checkpoint", options.checkpoint, "--hugging-face", str(folder)], check=True)
        path = pathlib.Path(options.output or pathlib.Path(scratch, "model.onnx"))
        wrapped, longest = export(folder, path)
        session = onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"])
        names = [line.split("\t")[1] for line in (folder / "items.tsv").read_text().splitlines()[1:]]
        mask = json.loads((folder / "config.json").read_text())["mask_token_id"]

    token = {name: number for number, name in enumerate(names, start=1)}
    queries = [[token[item] for item in histories[user]][1 - longest:] + [mask] for user in users]
    width = max(map(len, queries))
    tokens = numpy.array([query + [0] * (width - len(query)) for query in queries])
    real = numpy.array([[1] * len(query) + [0] * (width - len(query)) for query in queries])
    onnx = session.run(None, {"input_ids": tokens, "attention_mask": real})[0][:, 1:len(names) + 1]
    first = numpy.array(queries[:1])
    alone = session.run(None, {"input_ids": first, "attention_mask": numpy.ones_like(first)})
    with torch.no_grad():
        torch_logits = wrapped(torch.from_numpy(tokens), torch.from_numpy(real)).numpy()[:, 1:len(names) + 1]

    lines = "".join(
        json.dumps({"items": histories[user], "top_k": len(names), "keep_seen": True}) + "\n" for user in users)
    answers = subprocess.run(
        [options.program, "recommend", "--checkpoint", options.checkpoint, "--stream"], input=lines.encode(),
        stdout=subprocess.PIPE, check=True).stdout.decode().splitlines()
    ours = numpy.full_like(onnx, numpy.nan)
    for row, answer in enumerate(answers):
        for item in json.loads(answer)["items"]:
            ours[row, token[item["item_id"]] - 1] = item["score"]

    largest = float(numpy.abs(ours).max())
    differences = {
        "ONNX Runtime and bert4rec-dist": numpy.abs(onnx - ours).max(),
        "ONNX Runtime and PyTorch": numpy.abs(onnx - torch_logits).max(),
        "one row alone and among the others": numpy.abs(alone[0][0, 1:len(names) + 1] - onnx[0]).max(),
    }
    print(f"{len(users)} histories of up to {width - 1} items, {len(names)} items, largest |logit| {largest:.4g}")
    for name, difference in differences.items():
        print(f"largest difference of {name}: {difference:.3g}")
    # NaN is within no tolerance.
    return 0 if all(difference <= TOLERANCE * largest for difference in differences.values()) else 1


if __name__ == "__main__":
    sys.exit(main())
