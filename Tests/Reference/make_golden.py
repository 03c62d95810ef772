"""Writes the golden values that Tests/TrainingTests compares the trainer with.

Usage: python make_golden.py [FOLDER]     (default: ../TrainingTests/Fixtures beside this script)

The model is Hugging Face's BertForMaskedLM on a padded batch with an attention mask, and the gradients are PyTorch's;
the optimiser is written out below after the original BERT4Rec's (Sun et al. 2019; its optimization.py). Versions are
pinned in requirements.txt. Letters: B instances, L padded length, M masked items, V vocabulary.
"""

import importlib.metadata
import json
import math
import pathlib
import sys

import numpy
import torch
import torch.nn.functional as functional
from safetensors.torch import save_file
from transformers import BertConfig, BertForMaskedLM

HERE = pathlib.Path(__file__).resolve().parent

# Sizes are odd and unequal, so that a transposition cannot go unnoticed.
VOCABULARY, HIDDEN, HEADS, INTERMEDIATE, LAYERS, POSITIONS = 37, 15, 3, 13, 3, 11
ITEMS, MASK = 33, 34
LENGTHS = [11, 1, 2, 7, 5, 11]
# The third instance has only its last position masked ("mask last").
MASKED_POSITIONS = [[0, 3, 4, 10], [0], [1], [1, 5, 6], [0, 2], [2, 7, 8, 9]]
LEARNING_RATE, WARMUP_STEPS, TRAIN_STEPS, STEPS = 0.01, 3, 12, 10
SEED = 20190414

# What shapes a golden value; the other pinned packages are for the other scripts.
SHAPING = {"numpy", "safetensors", "torch", "transformers"}


def pinned_versions() -> dict[str, str]:
    versions = {}
    for line in (HERE / "requirements.txt").read_text().splitlines():
        if "==" not in line:
            continue
        package, wanted = line.strip().split("==")
        if package not in SHAPING:
            continue
        found = importlib.metadata.version(package)
        if found.split("+")[0] != wanted:
            sys.exit(f"{package} {found} is installed, requirements.txt asks for {wanted}")
        versions[package] = found
    return versions


def make_batch() -> dict:
    """Instances after masking (right-padded with 0 for the model), with their labels."""
    random = numpy.random.RandomState(SEED)
    instances, labels = [], []
    for length, positions in zip(LENGTHS, MASKED_POSITIONS):
        tokens = random.randint(1, ITEMS + 1, size=length).tolist()
        labels.append([tokens[position] for position in positions])
        for position in positions:
            tokens[position] = MASK
        instances.append(tokens)
    longest = max(LENGTHS)
    return {
        "instances": instances,
        "labels": labels,
        "input_ids": torch.tensor([tokens + [0] * (longest - len(tokens)) for tokens in instances]),
        "attention_mask": torch.tensor([[1] * n + [0] * (longest - n) for n in LENGTHS]),
        "rows": torch.tensor([i for i, positions in enumerate(MASKED_POSITIONS) for _ in positions]),
        "positions": torch.tensor([p for positions in MASKED_POSITIONS for p in positions]),
        "targets": torch.tensor([label for group in labels for label in group]),
    }


def make_model(activation: str, parameters: dict[str, torch.Tensor] | None, dtype: torch.dtype) -> BertForMaskedLM:
    config = BertConfig(
        vocab_size=VOCABULARY, hidden_size=HIDDEN, num_attention_heads=HEADS, intermediate_size=INTERMEDIATE,
        num_hidden_layers=LAYERS, max_position_embeddings=POSITIONS, type_vocab_size=2, hidden_act=activation,
        hidden_dropout_prob=0.0, attention_probs_dropout_prob=0.0, layer_norm_eps=1e-12, pad_token_id=0,
        tie_word_embeddings=True, attn_implementation="eager")
    model = BertForMaskedLM(config).to(dtype).train()
    random = torch.Generator().manual_seed(SEED)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if parameters is not None:
                parameter.copy_(parameters[name])
            else:
                # Nothing starts at zero or one, so that nothing hides: not a bias, not LayerNorm's weight, not row 0.
                # With 0.5 the first gradients are above the clipping norm and the later ones below it.
                center = 1.0 if name.endswith("LayerNorm.weight") else 0.0
                parameter.copy_(center + 0.5 * torch.randn(parameter.shape, generator=random))
    return model


def forward(model: BertForMaskedLM, batch: dict) -> tuple[torch.Tensor, torch.Tensor]:
    """Logits (M, V) of the masked items, instance after instance, and the mean cross entropy over them."""
    logits = model(input_ids=batch["input_ids"], attention_mask=batch["attention_mask"]).logits  # (B, L, V)
    masked = logits[batch["rows"], batch["positions"]]
    return masked, functional.cross_entropy(masked, batch["targets"], reduction="sum") / len(batch["targets"])


def learning_rate(step: int) -> float:
    """`step` = updates done before this one."""
    if step < WARMUP_STEPS:
        return LEARNING_RATE * step / WARMUP_STEPS
    return LEARNING_RATE * (1 - step / TRAIN_STEPS)


def train(model: BertForMaskedLM, batch: dict) -> dict:
    """Ten updates: gradients clipped to a global norm of 5, Adam without bias correction, decoupled weight decay."""
    parameters = dict(model.named_parameters())
    first = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    second = {name: torch.zeros_like(parameter) for name, parameter in parameters.items()}
    losses, norms = [], []
    for step in range(STEPS):
        model.zero_grad()
        _, loss = forward(model, batch)
        loss.backward()
        losses.append(loss.item())
        norm = math.sqrt(sum(p.grad.double().square().sum().item() for p in parameters.values()))
        norms.append(norm)
        rate = learning_rate(step)
        with torch.no_grad():
            for name, parameter in parameters.items():
                gradient = parameter.grad * (5.0 / max(norm, 5.0))
                first[name] = 0.9 * first[name] + 0.1 * gradient
                second[name] = 0.999 * second[name] + 0.001 * gradient * gradient
                update = first[name] / (second[name].sqrt() + 1e-6)
                if not name.endswith("bias") and "LayerNorm" not in name:
                    update = update + 0.01 * parameter
                parameter -= rate * update
    return {"losses": losses, "norms": norms, "parameters": {n: p.detach().clone() for n, p in parameters.items()}}


def main() -> None:
    versions = pinned_versions()
    folder = pathlib.Path(sys.argv[1]) if len(sys.argv) > 1 else HERE.parent / "TrainingTests" / "Fixtures"
    torch.set_num_threads(1)
    torch.use_deterministic_algorithms(True)
    batch = make_batch()

    model = make_model("gelu", None, torch.float32)
    initial = {name: parameter.detach().clone() for name, parameter in model.named_parameters()}
    assert not any("decoder" in name or "pooler" in name for name in initial), list(initial)
    tensors = {f"parameters/{name}": value for name, value in initial.items()}

    logits, loss = forward(model, batch)
    loss.backward()
    tensors["logits"] = logits.detach().clone()
    tensors |= {f"gradients/{name}": p.grad.detach().clone() for name, p in model.named_parameters()}

    run = train(model, batch)
    tensors["losses"] = torch.tensor(run["losses"])
    tensors["gradient_norms"] = torch.tensor(run["norms"])
    rates = [learning_rate(step) for step in range(STEPS)]
    tensors["learning_rates"] = torch.tensor(rates)
    tensors |= {f"final/{name}": value for name, value in run["parameters"].items()}

    # The same in double precision says how much of a difference is only rounding. Softmax does not see the keys'
    # biases: their gradients are rounding noise, which Adam enlarges.
    precise_run = train(make_model("gelu", initial, torch.float64), batch)
    differences = {n: (run["parameters"][n] - precise_run["parameters"][n]).abs().max().item() for n in initial}
    rounding = {
        "losses": max(abs(a - b) for a, b in zip(run["losses"], precise_run["losses"])),
        "final, key biases": max(d for n, d in differences.items() if n.endswith("key.bias")),
        "final, all others": max(d for n, d in differences.items() if not n.endswith("key.bias")),
    }

    activations, activation_losses = {}, {}
    for activation in ["relu", "tanh", "linear"]:
        other_logits, other_loss = forward(make_model(activation, initial, torch.float32), batch)
        activations[f"logits_{activation}"] = other_logits.detach().clone()
        activations[f"loss_{activation}"] = other_loss.detach().reshape(1).clone()
        activation_losses[activation] = other_loss.item()

    folder.mkdir(parents=True, exist_ok=True)
    save_file({n: t.contiguous() for n, t in tensors.items()}, folder / "golden.safetensors", metadata={"format": "pt"})
    save_file(activations, folder / "golden_activations.safetensors", metadata={"format": "pt"})
    for path in folder.glob("*.safetensors"):
        path.chmod(0o644)
    description = {
        "configuration": {
            "vocab_size": VOCABULARY, "hidden_size": HIDDEN, "num_attention_heads": HEADS,
            "intermediate_size": INTERMEDIATE, "num_hidden_layers": LAYERS, "max_position_embeddings": POSITIONS,
            "hidden_act": "gelu", "mask_token_id": MASK,
        },
        "optimizer": {
            "learning_rate": LEARNING_RATE, "num_warmup_steps": WARMUP_STEPS, "num_train_steps": TRAIN_STEPS,
            "steps": STEPS, "clip_norm": 5.0, "weight_decay": 0.01, "beta1": 0.9, "beta2": 0.999, "epsilon": 1e-6,
        },
        "instances": batch["instances"],
        "masked_positions": MASKED_POSITIONS,
        "labels": batch["labels"],
        "loss": loss.item(),
        "losses": run["losses"],
        "gradient_norms": run["norms"],
        "learning_rates": rates,
        "activation_losses": activation_losses,
        "float32_minus_float64": rounding,
        "versions": versions | {"python": sys.version.split()[0]},
    }
    (folder / "golden.json").write_text(json.dumps(description, indent=2) + "\n")
    print(f"losses {run['losses']}\nnorms {run['norms']}\nrounding {rounding}")


if __name__ == "__main__":
    main()
