"""What a command's arguments name: the model, the texts and the back ends."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from leanbert.errors import InputError
from leanbert_bench.run.participants import Spec, Subject
from leanbert_bench.run.ticker import say

if TYPE_CHECKING:
    import argparse
    from collections.abc import Sequence
    from pathlib import Path

    from leanbert.bundle import ModelConfig
    from leanbert_bench.run.workload import Workload


_TOKENIZERS = (
    "tokenizer.json", "vocab.txt", "vocab.json", "spiece.model", "sentencepiece.bpe.model",
)  # fmt: skip
_ENOUGH_LABELS = frozenset({"positive", "negative", "neutral"})


def choose_subject(args: argparse.Namespace, cache: Path, threads: int) -> Subject:
    """Return the model that the arguments name, random or not.

    Raises:
        InputError: it cannot be read, or none is named.
        LeanBertError: a bundle cannot be opened, or the config makes no sense.
    """
    from leanbert_bench.run.participants import Subject

    checkpoint, shape = args.checkpoint, args.random_weights
    if shape:
        from leanbert_bench.run.random_weights import random_checkpoint

        say(f"{shape}: a checkpoint with random weights; what it answers means nothing")
        checkpoint = random_checkpoint(shape, cache, threads)
    if checkpoint is None:
        return _bundle_subject(args)
    from leanbert.bundle import Bundle
    from leanbert.bundle.config import parse_config
    from leanbert.bundle.reading import read_json
    from leanbert_bench.run.preparing import weights_of

    checkpoint = checkpoint.expanduser().absolute()
    path = checkpoint / "config.json"
    if not path.is_file():
        raise InputError(f"{checkpoint}: has no config.json; give a checkpoint's directory")
    config = parse_config(read_json(path), path)
    if not any((checkpoint / name).is_file() for name in _TOKENIZERS):
        raise InputError(f"{checkpoint}: has no tokenizer.json; save the fast tokenizer there")
    digest, total = weights_of(checkpoint)
    subject = Subject(
        name=shape or checkpoint.resolve().name,
        task=args.task or _task_of(config, path),
        config=config,
        checkpoint=checkpoint,
        weights_sha256=digest,
        bytes=total,
        random_weights=shape,
    )
    for bundle in args.bundle:
        if set(Bundle.open(bundle).config.id2label.values()) != set(config.id2label.values()):
            raise InputError(f"{bundle}: its labels are not those of {checkpoint}")
    return subject


def _bundle_subject(args: argparse.Namespace) -> Subject:
    from leanbert.bundle import Bundle
    from leanbert_bench.run.participants import Subject

    if not args.bundle:
        raise InputError(
            "which model? pass --checkpoint DIR (a Hugging Face checkpoint), "
            "--random-weights bert-base (FinBERT's size, speed only), or --bundle DIR"
        )
    bundle = Bundle.open(args.bundle[0])
    source = bundle.manifest.source if bundle.manifest else {}
    return Subject(
        name=bundle.path.resolve().name,
        task=args.task or bundle.task or "text-classification",
        config=bundle.config,
        checkpoint=None,
        weights_sha256=source.get("weights_sha256"),
        bytes=bundle.size,
    )


def _task_of(config: ModelConfig, where: Path) -> str:
    task = config.head_task
    if task is None or task == "fill-mask":  # no workload asks for hidden words
        names = ", ".join(map(str, config.raw.get("architectures") or ["it"]))
        raise InputError(f"{where}: cannot tell the task of {names}; pass --task")
    return task


def choose_workload(args: argparse.Namespace, subject: Subject) -> Workload:
    """Return the texts that the arguments name, or LeanBERT's own.

    Raises:
        InputError: they cannot be read, or do not fit the model.
    """
    from leanbert.cli.flags import read_options
    from leanbert.records import SUFFIXES
    from leanbert_bench.run import workload as texts

    labels = list(subject.config.id2label.values())
    if args.input is None:
        if args.label_column or args.text_pair_column:
            raise InputError("--label-column and --text-pair-column name columns of --input")
        found = texts.bundled_workload(args.limit)
        named = {label.lower() for label in labels}
        if subject.task == "question-answering":
            raise InputError("question-answering needs questions: pass --input SQUAD.json")
        fits = subject.task == "text-classification" and named == _ENOUGH_LABELS
        if not fits or subject.random_weights:
            found = replace(found, labels=None)
        return found
    if subject.task == "question-answering":
        return texts.read_squad(args.input, args.limit)
    table = SUFFIXES.get(args.input.suffix.lower(), "txt") != "txt"
    if subject.task == "token-classification" and not table:
        return texts.read_conll(args.input, args.limit, read_options(args))
    found = texts.read_workload(
        args.input,
        text_column=args.text_column,
        label_column=args.label_column,
        limit=args.limit,
        pair_column=args.text_pair_column,
        reading=read_options(args),
    )
    if subject.task == "text-classification":
        texts.match_labels(found, labels, args.input)
    elif found.labels is not None:
        _check_numbers(found.labels, args.input)
    return found


def _check_numbers(labels: Sequence[str], where: Path) -> None:
    try:
        for label in labels:
            float(label)
    except ValueError as error:
        raise InputError(f"{where}: a similarity is not a number: {error}") from None


def choose_specs(args: argparse.Namespace, subject: Subject) -> list[Spec]:
    """Return the back ends that the arguments name, or all, and the given bundles last.

    Raises:
        InputError: there is no such back end.
        LeanBertError: a bundle cannot be opened.
    """
    from leanbert_bench.backends import BUNDLE_ON, REGISTRY, backend_class
    from leanbert_bench.run.participants import Spec

    wanted = [name.strip() for name in args.backends.split(",")] if args.backends else None
    strange = sorted(set(wanted or ()) - set(REGISTRY))
    if strange:
        raise InputError(f"no back end {strange[0]!r}; there are {', '.join(REGISTRY)}")
    specs = [
        Spec(id_, kind.name, factory, kind.precision)
        for id_, factory in REGISTRY.items()
        if subject.checkpoint is not None
        and (kind := backend_class(factory))
        and (id_ in wanted if wanted is not None else not kind.only_if_named)
    ]
    for bundle in args.bundle:
        path = bundle.expanduser().resolve()
        for engine in args.engines or ("auto",):
            taken = {spec.id for spec in specs}
            id_ = f"leanbert:{path.name}" + ("" if engine == "auto" else f":{engine}")
            while id_ in taken:
                id_ += "'"
            factory = BUNDLE_ON[engine]
            name = f"{backend_class(factory).name}, {path.name}"
            specs.append(Spec(id_, name, factory, _precision(path), path))
    return specs


def _precision(bundle: Path) -> str:
    from leanbert.bundle import Bundle

    manifest = Bundle.open(bundle).manifest
    return "fp32" if manifest and manifest.recipe.get("name") == "fp32" else "int8"
