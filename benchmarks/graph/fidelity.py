r"""Compare int8 back ends with PyTorch in fp32, and a text's answers in one batch with another.

Every back end computes the same padded token ids, in a process of its own: the bundles on ONNX
Runtime, Optimum's int8 preset for this CPU, and OpenVINO with NNCF's static quantization (left out
where openvino and nncf are not installed). The data are Twitter financial news (validation) and
Financial PhraseBank (50Agree). With --embeddings, vectors averaged over the tokens are compared.

examples:
  python benchmarks/graph/fidelity.py --checkpoint build/sentiment-fp32 \
      --bundle int8=build/int8 --bundle old=build/old --data ../shared/data -o fidelity.json
  python benchmarks/graph/fidelity.py --embeddings all-MiniLM-L6-v2 --bundle int8=build/minilm \
      --data ../shared/data -o embeddings.json
  python benchmarks/graph/fidelity.py --checkpoint build/sentiment-fp32 --limit 200 --rows 100 \
      --data ../shared/data -o quick.json
"""

from __future__ import annotations

import argparse
import random
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from contestants import (
    NEEDED,
    Contestant,
    engines_of,
    missing_openvino,
    named_bundle,
    prepare,
)
from graphs import HIDDEN, LOGITS
from leanbert.cpu import allowed_cores
from leanbert.errors import InputError, LeanBertError, MissingExtraError
from leanbert.numerics import softmax
from leanbert_bench.backends.optimum import optimum_preset
from leanbert_bench.provenance import describe_bundle, describe_machine, installed
from leanbert_bench.results.schema import write_json
from leanbert_bench.run.process import WorkerError
from nearness import (
    BATCH,
    MARGIN,
    SEED,
    Batches,
    Floats,
    Json,
    batch_invariance,
    cosines,
    set_fidelity,
    shuffled_batches,
    sorted_batches,
)
from sentiment_sets import LABELS, Example, load_phrasebank, load_twitter, without
from tokens import read_config, tokenize, write_tokens

FORMAT_VERSION = 1
REFERENCE = "PyTorch, fp32"
CALIBRATION_TEXTS = 300


@dataclass(frozen=True)
class TextSet:
    """An evaluation set: its texts, and their labels' indices in :data:`~sentiment_sets.LABELS`."""

    name: str
    texts: Sequence[str]
    labels: npt.NDArray[np.int64]


def markdown(document: Json) -> str:
    """The results as Markdown tables, one line a back end and set."""
    rows = [row for row in document["rows"] if "error" not in row]
    if document["output"] == HIDDEN:
        lines = _head("", "mean cosine", "worst cosine", "worst cosine, alone against shuffled")
        lines += [
            f"| {row['name']} | {row['mean_cosine']:.5f} | {row['worst_cosine']:.5f} | "
            f"{row['worst_cosine_between_batches']:.6f} |"
            for row in rows
        ]
        return "\n".join(lines) + "\n"
    lines = _head(
        "", "set", "texts", "same label", "mean diff.", "max diff.", "accuracy",
        f"flips held by > {MARGIN}",
    )  # fmt: skip
    for row in rows:
        for name, found in row["sets"].items():
            share = "" if found["accuracy"] is None else f"{found['accuracy']:.4f}"
            lines.append(
                f"| {row['name']} | {name} | {document['sets'][name]['texts']} | "
                f"{100 * found['agreement']:.2f}% | {found['mean_difference']:.4f} | "
                f"{found['max_difference']:.3f} | {share} | "
                f"{found['held_flipped']} of {found['held']} |"
            )
    lines += ["", *_head(
        "one text in three batches", "largest change", "sorted against alone",
        "shuffled against alone", f"flips held by > {MARGIN}",
    )]  # fmt: skip
    for row in rows:
        found = row["batch_invariance"]
        change = found["max_change_from_alone"]
        lines.append(
            f"| {row['name']} | {found['max_change']:.2g} | {change['sorted']:.2g} | "
            f"{change['shuffled']:.2g} | {found['held_flipped']} of {found['held']} |"
        )
    return "\n".join(lines) + "\n"


def _head(*names: str) -> list[str]:
    return ["| " + " | ".join(names) + " |", "|---" * len(names) + "|"]


@dataclass(frozen=True)
class _Run:
    """What every back end computes: the same ids in the same batches, by the name of a plan."""

    threads: int
    output: str
    tokens: Path
    plans: dict[str, Batches]
    scratch: Path

    def compute(self, who: Contestant) -> dict[str, Floats]:
        """Each plan's probabilities or vectors, in ascending order of the texts that it names."""
        found = {}
        with who.start(self.threads, self.output) as worker:
            for name, batches in self.plans.items():
                _say(f"{who.name}: {name}")
                to = self.scratch / "outputs.npy"
                worker.ask("outputs", tokens=str(self.tokens), batches=batches, to=str(to))
                order = np.array([i for batch in batches for i in batch])
                computed = np.load(to)[np.argsort(order)]
                if self.output == LOGITS:
                    computed = softmax(computed)
                found[name] = computed.astype(np.float64)
        return found


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


def read_sets(data: Path, limit: int | None) -> tuple[list[TextSet], list[str]]:
    """The evaluation sets, and training tweets to calibrate on that are in none of them.

    Raises:
        OSError: a file of ``data`` is missing.
    """
    twitter, phrasebank = data / "twitter_financial_news", data / "phrasebank"
    chance = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    sets: list[TextSet] = []
    known: list[Example] = []
    for name, examples in (
        ("Twitter", load_twitter(twitter / "sent_valid.csv")),
        ("PhraseBank", load_phrasebank(phrasebank / "Sentences_50Agree.txt")),
    ):
        known += examples
        kept = examples if limit is None else chance.sample(examples, min(limit, len(examples)))
        labels = np.array([example.label for example in kept])
        sets.append(TextSet(name, [example.text for example in kept], labels))
    train = without(load_twitter(twitter / "sent_train.csv"), known)
    return sets, [example.text for example in chance.sample(train, CALIBRATION_TEXTS)]


def make_plans(sets: Sequence[TextSet], lengths: Sequence[int], rows: int) -> dict[str, Batches]:
    """The batches: ``"sets"`` of all texts, and the three ways of a seeded sample of ``rows``."""
    own, start = [], 0
    for part in sets:  # a set's texts share batches with their like only
        end = start + len(part.texts)
        own += [[start + i for i in batch] for batch in sorted_batches(lengths[start:end])]
        start = end
    chance = random.Random(SEED)  # noqa: S311 - a sample, not a secret
    mixed = sorted(chance.sample(range(start), min(rows, start)))
    by_length = sorted_batches([lengths[i] for i in mixed])
    return {
        "sets": own,
        "alone": [[i] for i in mixed],
        "sorted": [[mixed[i] for i in batch] for batch in by_length],
        "shuffled": [[mixed[i] for i in batch] for batch in shuffled_batches(len(mixed))],
    }


def compare(args: argparse.Namespace, scratch: Path) -> Json:
    """Prepare and run every back end, and measure how near it is to PyTorch.

    Raises:
        LeanBertError: a file cannot be used.
        WorkerError: a back end failed.
        OSError: a data set is missing.
    """
    output = LOGITS if args.embeddings is None else HIDDEN
    checkpoint: Path = args.checkpoint or args.embeddings
    sets, calibration = read_sets(args.data, args.limit)
    tokens = tokenize(checkpoint, [text for part in sets for text in part.texts])
    plans = make_plans(sets, tokens.lengths.tolist(), args.rows)
    if output == HIDDEN:
        del plans["sets"]
    kept = write_tokens(scratch / "tokens.npz", tokens)
    run = _Run(args.threads, output, kept, plans, scratch)
    calibrate_on = write_tokens(scratch / "calibration.npz", tokenize(checkpoint, calibration))
    config = read_config(checkpoint)
    for folder in args.bundle.values():
        if read_config(folder).id2label != config.id2label and output == LOGITS:
            raise InputError(f"{folder}: its labels are not those of {checkpoint}")
    contestants = [one for name, folder in args.bundle.items() for one in engines_of(name, folder)]
    peers = {f"Optimum int8 ({optimum_preset()})": "optimum"}
    absent = missing_openvino()
    if absent:
        _say(f"fidelity: {absent}")
    else:
        peers["OpenVINO int8 (NNCF)"] = "openvino"
    contestants += [Contestant(name, kind, scratch / kind) for name, kind in peers.items()]

    reference = run.compute(Contestant(REFERENCE, "torch", checkpoint))
    named = output == LOGITS and _are_ours(config.id2label, checkpoint)
    rows = [_row(REFERENCE, reference, reference, sets, named)]

    def row(who: Contestant) -> Json:
        try:
            if who.kind in peers.values():
                _say(f"{who.name}: prepare")
                prepare(who.kind, checkpoint, who.model, output, calibrate_on)
            return _row(who.name, run.compute(who), reference, sets, named)
        except WorkerError as error:  # costs this back end its row, not the others theirs
            return {"name": who.name, "error": str(error)}

    rows += map(row, contestants)
    return {
        "output": output,
        "sets": {part.name: {"texts": len(part.texts)} for part in sets},
        "texts_in_three_batches": len(plans["alone"]),
        "calibration_texts": CALIBRATION_TEXTS,
        "rows": rows,
    }


def _are_ours(labels: Mapping[int, str], checkpoint: Path) -> bool:
    ours = tuple(labels[i] for i in sorted(labels)) == LABELS
    if not ours:
        _say(f"fidelity: {checkpoint}: its labels are not {', '.join(LABELS)}: no accuracy")
    return ours


def _row(
    name: str,
    found: dict[str, Floats],
    reference: dict[str, Floats],
    sets: Sequence[TextSet],
    named: bool,
) -> Json:
    ways = {way: found[way] for way in ("alone", "sorted", "shuffled")}
    if "sets" not in found:
        near = cosines(found["sorted"], reference["sorted"])
        between = cosines(found["alone"], found["shuffled"])
        return {
            "name": name,
            "mean_cosine": float(near.mean()),
            "worst_cosine": float(near.min()),
            "worst_cosine_between_batches": float(between.min()),
        }
    row: Json = {"name": name, "sets": {}}
    start = 0
    for part in sets:
        rows = slice(start, start + len(part.texts))
        labels = part.labels if named else None
        row["sets"][part.name] = set_fidelity(found["sets"][rows], reference["sets"][rows], labels)
        start = rows.stop
    row["batch_invariance"] = batch_invariance(ways, reference["alone"])
    return row


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """The arguments of the command; ``bundle`` becomes a dictionary."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = parser.add_argument
    which = parser.add_mutually_exclusive_group(required=True)
    which.add_argument("--checkpoint", type=Path, metavar="DIR", help="of a classifier")
    which.add_argument("--embeddings", type=Path, metavar="DIR", help="of an embedding model")
    add(
        "--bundle", type=named_bundle, action="append", default=[], metavar="NAME=DIR",
        help="LeanBERT bundle of that checkpoint; may be repeated",
    )  # fmt: skip
    add("--data", type=Path, required=True, metavar="DIR", help="folder of the public sets")
    add("--threads", type=int, default=allowed_cores(), metavar="N", help="default: all allowed")
    add("--rows", type=int, default=2000, metavar="N", help="texts in three batches each (2000)")
    add("--limit", type=int, metavar="N", help="a seeded sample of so many texts of each set")
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="results, JSON")
    args = parser.parse_args(words)
    if min(args.threads, args.rows, args.limit or 1) < 1:
        parser.error("--threads, --rows and --limit must be at least 1")
    bundles = dict(args.bundle)
    if len(bundles) < len(args.bundle):
        parser.error("two bundles have the same name")
    args.bundle = bundles
    return args


def main() -> int:
    """Compare, write the numbers and print the tables."""
    args = parse()
    try:
        missing = [name for name in NEEDED if installed(name) is None]
        if missing:
            raise MissingExtraError(
                f"needs {', '.join(missing)}; install with: pip install 'leanbert[bench]'"
            )
        if not args.output.absolute().parent.is_dir():
            raise InputError(f"{args.output.parent}: is not a directory")
        machine = describe_machine()
        with tempfile.TemporaryDirectory(prefix="leanbert-fidelity-") as scratch:
            found = compare(args, Path(scratch))
        document = {
            "format_version": FORMAT_VERSION,
            "machine": machine,
            "settings": {"threads": args.threads, "batch": BATCH, "margin": MARGIN},
            "checkpoint": (args.checkpoint or args.embeddings).resolve().name,
            "bundles": [
                {"called": name, **describe_bundle(folder)} for name, folder in args.bundle.items()
            ],
            **found,
        }
        write_json(args.output, document)
    except (LeanBertError, WorkerError, OSError) as error:
        print(f"fidelity: {error}", file=sys.stderr)
        return 1
    print(markdown(document), end="")
    failed = [row for row in found["rows"] if "error" in row]
    for row in failed:
        _say(f"fidelity: {row['name']} gave no result: {row['error']}")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
