"""The flags of ``leanbert predict`` that belong to single tasks: their help, and what they ask."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from typing import Any

from leanbert.cli.inputs import Record
from leanbert.errors import InputError
from leanbert.records import Row

__all__ = ["add_task_arguments", "call_options", "model_inputs"]

_CLASSIFY, _ZERO_SHOT = "text-classification", "zero-shot-classification"
_NER, _QA = "token-classification", "question-answering"
_FILL, _RANK, _EMBED = "fill-mask", "text-ranking", "feature-extraction"


def _list(given: str) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()]


def _count(given: str) -> int | None:
    if given != "all" and not (given.isdecimal() and int(given) > 0):
        raise InputError(f"--top-k is {given!r}; give a number from 1, or all")
    return None if given == "all" else int(given)


def _pooling(given: str) -> str | None:
    return None if given == "none" else given


@dataclass(frozen=True)
class _Flag:
    """One flag, the tasks that understand it, and how argparse reads it."""

    name: str
    tasks: tuple[str, ...]
    help: str
    reads: dict[str, Any] = field(default_factory=dict)
    convert: Callable[[Any], Any] | None = None
    """From what argparse read to the pipeline's argument."""
    argument: bool = True
    """Whether the pipeline takes it; the others say what the inputs are."""

    @property
    def dest(self) -> str:
        return self.name.lstrip("-").replace("-", "_")


def _number(metavar: str = "N") -> dict[str, Any]:
    return {"type": int, "metavar": metavar}


def _words(metavar: str) -> dict[str, Any]:
    return {"metavar": metavar}


def _one_of(*choices: str) -> dict[str, Any]:
    return {"choices": choices}


_ON = {"action": "store_true", "default": None}

_DEFAULTS: dict[str, dict[str, Any]] = {
    _EMBED: {"pooling": "mean"},
    _NER: {"aggregation_strategy": "simple"},
    _RANK: {"return_documents": True},
}
"""Where the command chooses otherwise than the pipeline."""

_FLAGS = (
    _Flag(
        "--top-k",
        (_CLASSIFY, _FILL, _QA, _RANK),
        "answers a text, or 'all'",
        _words("N"),
        _count,
    ),
    _Flag(
        "--function-to-apply",
        (_CLASSIFY, _RANK),
        "from logits to scores (default: the model's own)",
        _one_of("softmax", "sigmoid", "none"),
    ),
    _Flag(
        "--split",
        (_CLASSIFY,),
        "score the parts of documents; a .txt file or stdin is one document",
        _one_of("sentences", "windows"),
        argument=False,
    ),
    _Flag("--window", (_CLASSIFY,), "score long texts by windows of N tokens", _number()),
    _Flag(
        "--stride", (_CLASSIFY, _NER), "tokens that a window shares with the one before", _number()
    ),
    _Flag(
        "--combine",
        (_CLASSIFY,),
        "how the parts' scores become the text's (default: mean)",
        _one_of("mean", "max", "length"),
    ),
    _Flag(
        "--aggregation-strategy",
        (_NER,),
        "from tokens to entities (default: simple)",
        _one_of("none", "simple", "first", "average", "max"),
    ),
    _Flag(
        "--ignore-labels", (_NER,), "labels that are no entities (default: O)", _words("A,B"), _list
    ),
    _Flag("--question", (_QA,), "asked of each text", _words("TEXT"), argument=False),
    _Flag("--context", (_QA,), "what may hold the answer", _words("TEXT"), argument=False),
    _Flag(
        "--question-column",
        (_QA,),
        "key of each row's own question",
        _words("NAME"),
        argument=False,
    ),
    _Flag("--doc-stride", (_QA,), "tokens that windows of a context share", _number()),
    _Flag("--max-answer-len", (_QA,), "longest answer in tokens", _number()),
    _Flag("--handle-impossible-answer", (_QA,), "an empty answer may win", _ON),
    _Flag("--targets", (_FILL,), "the only words to score", _words("A,B"), _list),
    _Flag("--candidate-labels", (_ZERO_SHOT,), "the labels to choose from", _words("A,B"), _list),
    _Flag(
        "--hypothesis-template",
        (_ZERO_SHOT,),
        "what is said of a text, {} for the label",
        _words("TEXT"),
    ),
    _Flag("--multi-label", (_ZERO_SHOT,), "several labels may be true", _ON),
    _Flag("--query", (_RANK,), "rank all texts for this query", _words("TEXT"), argument=False),
    _Flag(
        "--document",
        (_RANK,),
        "a text to rank, once for each",
        {"action": "append", "metavar": "TEXT"},
        argument=False,
    ),
    _Flag(
        "--query-column",
        (_RANK,),
        "key of each row's own query: pairs are scored",
        _words("NAME"),
        argument=False,
    ),
    _Flag(
        "--pooling",
        (_EMBED,),
        "default: mean",
        _one_of("mean", "cls", "max", "sentence_embedding", "none"),
        _pooling,
    ),
    _Flag("--normalize", (_EMBED,), "embeddings of length 1", _ON),
)


def add_task_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of single tasks, and name their tasks in the help."""
    group = parser.add_argument_group("for some tasks")
    for flag in _FLAGS:
        group.add_argument(flag.name, help=f"{', '.join(flag.tasks)}: {flag.help}", **flag.reads)


def call_options(args: argparse.Namespace, task: str) -> dict[str, Any]:
    """The pipeline's arguments that the command's flags ask for.

    Raises:
        InputError: a flag makes no sense, or is another task's.
    """
    options = dict(_DEFAULTS.get(task, {}))
    for flag in _FLAGS:
        given = getattr(args, flag.dest)
        if given is None:
            continue
        if task not in flag.tasks:
            raise InputError(f"{flag.name} is for {', '.join(flag.tasks)}, not for {task}")
        if flag.argument:
            options[flag.dest] = flag.convert(given) if flag.convert else given
    for name in ("max_length", "truncation"):
        if getattr(args, name) is not None:
            options[name] = getattr(args, name)
    _check_needs(args, task)
    return options


def _check_needs(args: argparse.Namespace, task: str) -> None:
    """Refuse a task without what it cannot do without."""
    needs = {
        _ZERO_SHOT: (["candidate_labels"], "labels to choose from: --candidate-labels A,B,C"),
        _QA: (["question", "question_column"], "--question, or --question-column of the input"),
        _RANK: (
            ["query", "query_column", "text_pair_column"],
            "--query for the texts, or --query-column or --text-pair-column of the input",
        ),
    }
    names, told = needs.get(task, ([], ""))
    if names and not any(getattr(args, name) for name in names):
        raise InputError(f"{task} needs {told}")


def model_inputs(
    args: argparse.Namespace, task: str, records: Iterable[Record]
) -> Iterator[tuple[Record, Any]]:
    """Each input as the task's pipeline takes it, beside the record that it is shown with."""
    if task == _RANK and args.query is not None:
        documents = [record.text for record in records]
        yield (
            Record(args.query, row=Row({"query": args.query}, "the command line")),
            {"query": args.query, "documents": documents},
        )
        return
    for record in records:
        if task == _QA:
            question = args.question
            if args.question_column is not None:
                question = record.row.text(args.question_column, "--question-column")
            yield record, {"question": question, "context": record.text}
        elif task == _RANK and args.query_column is not None:
            query = record.row.text(args.query_column, "--query-column")
            yield record, {"text": query, "text_pair": record.text}
        elif task == _RANK:
            yield record, {"text": record.text, "text_pair": record.text_pair or ""}
        else:
            yield record, record.model_input
