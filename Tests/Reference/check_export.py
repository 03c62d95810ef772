#!/usr/bin/env python3
"""What `export --npy` writes and `recommend --similar-items` finds, by NumPy.

    python check_export.py PROGRAM CHECKPOINT

PROGRAM is bert4rec-dist; CHECKPOINT a checkpoint folder or a run folder. The arrays must be the rows of
model.safetensors, bit for bit, and all similarities of `--similar-items all` NumPy's cosines (float64) within 1e-6,
in descending order. Ends with 1 where not. Needs numpy and safetensors (requirements.txt).
"""

import json
import pathlib
import subprocess
import sys
import tempfile

import numpy
from safetensors.numpy import load_file

TOLERANCE = 1e-6


def main() -> int:
    if len(sys.argv) != 3:
        sys.exit(__doc__)
    program, checkpoint = sys.argv[1:]
    with tempfile.TemporaryDirectory() as scratch:
        folders = {kind: f"{scratch}/{kind}" for kind in ("npy", "hugging-face")}
        options = [part for kind, folder in folders.items() for part in (f"--{kind}", folder)]
        subprocess.run([program, "export", "--checkpoint", checkpoint, *options], check=True)
        tensors = load_file(folders["hugging-face"] + "/model.safetensors")
        embeddings = numpy.load(folders["npy"] + "/item_embeddings.npy")
        bias = numpy.load(folders["npy"] + "/item_bias.npy", mmap_mode="r")
        lines = pathlib.Path(folders["npy"], "items.tsv").read_text().splitlines()[1:]
    count = len(lines)
    names = [line.split("\t")[1] for line in lines]
    table = tensors["bert.embeddings.word_embeddings.weight"]
    same = (embeddings.dtype == bias.dtype == numpy.float32
            and numpy.array_equal(embeddings, table[1:count + 1])
            and numpy.array_equal(bias, tensors["cls.predictions.bias"][1:count + 1]))
    print(f"arrays {embeddings.shape} and {bias.shape}: {'the rows of' if same else 'NOT those of'} model.safetensors")

    command = [program, "recommend", "--checkpoint", checkpoint, "--similar-items", "all", "--top-k", "20",
               "--format", "jsonl"]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout.decode()
    unit = embeddings.astype(numpy.float64)
    unit /= numpy.linalg.norm(unit, axis=1, keepdims=True)
    place = {name: index for index, name in enumerate(names)}
    found: dict[int, list[tuple[int, float]]] = {}
    for line in output.splitlines():
        row = json.loads(line)
        found.setdefault(place[row["item_id"]], []).append((place[row["similar_item_id"]], row["similarity"]))
    worst = 0.0
    for item, similar in found.items():
        cosines = unit @ unit[item]
        scores = [score for _, score in similar]
        best = numpy.sort(numpy.delete(cosines, item))[::-1][:len(scores)]
        worst = max(worst, *(abs(score - cosines[other]) for other, score in similar), *numpy.abs(best - scores))
        if scores != sorted(scores, reverse=True) or item in [other for other, _ in similar]:
            worst = numpy.inf
    agrees = len(found) == count and worst <= TOLERANCE
    print(f"similar items of {len(found)} of {count}: largest difference from NumPy's cosine {worst:.2g}")
    return 0 if same and agrees else 1


if __name__ == "__main__":
    sys.exit(main())
