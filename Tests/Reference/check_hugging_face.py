"""Compares `recommend` with Hugging Face's BertForMaskedLM on the same checkpoint and the same histories.

Usage: python check_hugging_face.py CHECKPOINT HISTORIES PROGRAM

CHECKPOINT is a checkpoint folder, or a run folder: then its best checkpoint, else its latest, as the program takes it.
HISTORIES holds `user item` lines of external ids, oldest first (a tab between them where an id holds a space). The
scores of all items must agree within 1e-4 of the largest |logit|. Exit code: 0 if they do, or if PyTorch is not
installed (reported); 1 if not.
"""

import json
import pathlib
import subprocess
import sys

try:
    import torch
    from transformers import BertForMaskedLM
except ImportError:
    print("skipped: PyTorch is not installed")
    sys.exit(0)

TOLERANCE = 1e-4
USERS_AT_ONCE = 64
ESCAPES = {ord("t"): b"\t", ord("r"): b"\r", ord("n"): b"\n", ord("\\"): b"\\"}


def unescape(field: bytes) -> bytes:
    result, rest = bytearray(), iter(field)
    for byte in rest:
        result += ESCAPES[next(rest)] if byte == ord("\\") else bytes([byte])
    return bytes(result)


def resolve(folder: pathlib.Path) -> pathlib.Path:
    for pointer in (folder / "checkpoints" / "best", folder / "checkpoints" / "latest"):
        if pointer.exists():
            return pointer.parent / pointer.read_text().strip()
    return folder


def read_items(path: pathlib.Path) -> dict[str, int]:
    """Token id of each external id. JSON lines carry UTF-8 only, and so does this check."""
    lines = path.read_bytes().split(b"\n")
    if lines[0] != b"id\texternal_id\tcount":
        sys.exit(f"{path}: unexpected header {lines[0]!r}")
    items = {}
    for line in lines[1:]:
        if line:
            token, external, _ = line.split(b"\t")
            items[unescape(external).decode()] = int(token)
    return items


def read_histories(path: pathlib.Path, items: dict[str, int]) -> dict[str, list[int]]:
    histories: dict[str, list[int]] = {}
    for number, line in enumerate(path.read_bytes().decode().split("\n"), start=1):
        if not line.strip():
            continue
        user, item = line.rstrip("\r").split("\t" if "\t" in line else " ")
        if item not in items:
            sys.exit(f"{path}:{number}: the checkpoint does not know the item {item!r}")
        histories.setdefault(user, []).append(items[item])
    return histories


def reference_scores(
    checkpoint: pathlib.Path, histories: dict[str, list[int]], item_count: int
) -> dict[str, torch.Tensor]:
    """Logits (items) of the token after each history; index i is item i + 1."""
    model, loading = BertForMaskedLM.from_pretrained(
        checkpoint, attn_implementation="eager", output_loading_info=True)
    problems = {kind: names for kind, names in loading.items() if names}
    if problems:
        sys.exit(f"{checkpoint} does not load cleanly: {problems}")
    model.eval()
    longest, mask = model.config.max_position_embeddings, model.config.mask_token_id
    scores: dict[str, torch.Tensor] = {}
    users = list(histories)
    for start in range(0, len(users), USERS_AT_ONCE):
        block = users[start:start + USERS_AT_ONCE]
        inputs = [(histories[user][1 - longest:] if longest > 1 else []) + [mask] for user in block]
        width = max(map(len, inputs))
        with torch.no_grad():
            logits = model(
                input_ids=torch.tensor([tokens + [0] * (width - len(tokens)) for tokens in inputs]),
                attention_mask=torch.tensor([[1] * len(tokens) + [0] * (width - len(tokens)) for tokens in inputs]),
            ).logits
        for row, (user, tokens) in enumerate(zip(block, inputs)):
            scores[user] = logits[row, len(tokens) - 1, 1:item_count + 1].double()
    return scores


def program_scores(
    program: str, checkpoint: pathlib.Path, histories: pathlib.Path, items: dict[str, int]
) -> dict[str, torch.Tensor]:
    command = [
        program, "recommend", "--checkpoint", str(checkpoint), "--histories", str(histories), "--format", "jsonl",
        "--keep-seen", "--top-k", str(len(items)),
    ]
    output = subprocess.run(command, stdout=subprocess.PIPE, check=True).stdout
    scores: dict[str, torch.Tensor] = {}
    for line in output.decode().splitlines():
        row = json.loads(line)
        user = scores.setdefault(row["user_id"], torch.full((len(items),), float("nan"), dtype=torch.float64))
        user[items[row["item_id"]] - 1] = row["score"]
    return scores


def main() -> int:
    if len(sys.argv) != 4:
        sys.exit(__doc__)
    checkpoint, histories_path, program = resolve(pathlib.Path(sys.argv[1])), pathlib.Path(sys.argv[2]), sys.argv[3]
    items = read_items(checkpoint / "items.tsv")
    histories = read_histories(histories_path, items)
    expected = reference_scores(checkpoint, histories, len(items))
    found = program_scores(program, checkpoint, histories_path, items)
    if set(found) != set(expected) or not expected:
        print(f"{len(found)} users have recommendations, {len(expected)} have a history")
        return 1
    largest = max(scores.abs().max().item() for scores in expected.values())
    # An item without a score is NaN, and NaN is not within any tolerance.
    difference = torch.stack([(found[user] - expected[user]).abs().max() for user in expected]).max().item()
    agrees = difference <= TOLERANCE * largest
    print(
        f"{len(expected)} users, {len(items)} items: largest difference {difference:.3g}, largest |logit| {largest:.3g}"
        f" ({'within' if agrees else 'NOT within'} {TOLERANCE} of it)")
    return 0 if agrees else 1


if __name__ == "__main__":
    sys.exit(main())
