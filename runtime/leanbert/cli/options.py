"""The flags of ``leanbert predict`` that belong to single tasks: their help, and what they ask."""

from __future__ import annotations

import argparse
import textwrap
from collections.abc import Callable, Iterator, Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any, NamedTuple

from leanbert.cli.flags import whole
from leanbert.cli.inputs import COMMAND_LINE, Entry, Record
from leanbert.cli.parser import WIDTH, CommandParser, flag_lines
from leanbert.errors import InputError
from leanbert.records import Row
from leanbert.shown import listed

__all__ = ["add_task_flags", "call_options", "model_input", "ranking_of"]

_CLASSIFY, _ZERO_SHOT = "text-classification", "zero-shot-classification"
_NER, _QA = "token-classification", "question-answering"
_FILL, _RANK, _EMBED = "fill-mask", "text-ranking", "feature-extraction"
_TASKS = (_CLASSIFY, _NER, _QA, _FILL, _ZERO_SHOT, _RANK, _EMBED)
_ALIASES = {"sentiment-analysis": _CLASSIFY, "ner": _NER}


def _list(given: str) -> list[str]:
    return [part.strip() for part in given.split(",") if part.strip()]


def _count(given: str) -> int | None:
    if given != "all" and not (given.isdecimal() and int(given) > 0):
        raise InputError(f"--top-k is {given!r}; give a number from 1, or all")
    return None if given == "all" else int(given)


def _pooling(given: str) -> str | None:
    return None if given == "none" else given


class _Flag(NamedTuple):
    """One flag, the tasks that understand it, and how argparse reads it."""

    name: str
    tasks: tuple[str, ...]
    help: str
    reads: Mapping[str, Any] = MappingProxyType({})
    convert: Callable[[Any], Any] | None = None
    """From what argparse read to the pipeline's argument."""
    argument: bool = True
    """Whether the pipeline takes it; the others say what the inputs are."""

    @property
    def dest(self) -> str:
        """Its attribute of the parsed command line."""
        return self.name.lstrip("-").replace("-", "_")


def _number(metavar: str = "N") -> dict[str, Any]:
    return {"type": whole, "metavar": metavar}


def _words(metavar: str) -> dict[str, Any]:
    return {"metavar": metavar}


class _Values:
    """The values that a flag may have, read from the module that checks them when somebody asks.

    So a command that uses no such flag does not wait for the modules of other tasks.
    """

    def __init__(self, module: str, name: str) -> None:
        self._home = (module, name)

    def __iter__(self) -> Iterator[str]:
        module, name = self._home
        return (value or "none" for value in getattr(import_module(module), name))

    def __contains__(self, value: object) -> bool:
        return value in tuple(self)


def _one_of(module: str, name: str) -> dict[str, Any]:
    return {"metavar": "HOW", "choices": _Values(f"leanbert.{module}", name)}


_ON = {"action": "store_true", "default": None}

STREAMED = ("float32", "binary", "ubinary")
"""The precisions of an embedding that need no other embedding; int8 needs the range of many."""

_DEFAULTS: dict[str, dict[str, Any]] = {
    _NER: {"aggregation_strategy": "simple"},
    _RANK: {"return_documents": True},
}
"""Where the command chooses otherwise than the pipeline."""

_FLAGS = (
    _Flag(
        "--top-k", (_CLASSIFY, _FILL, _QA, _RANK), "answers for each text, or all",
        _words("N"), _count,
    ),
    _Flag(
        "--function-to-apply", (_CLASSIFY, _RANK),
        "{} (default: the model's)", _one_of("numerics", "FUNCTIONS"),
    ),
    _Flag(
        "--split", (_CLASSIFY,), "score {} of documents",
        _one_of("pipelines.documents", "SPLITS"), argument=False,
    ),
    _Flag(
        "--explain", (_CLASSIFY,), "each word's share of the score, by leaving it out", _ON,
        argument=False,
    ),
    _Flag("--window", (_CLASSIFY,), "score long texts by windows of N tokens", _number()),
    _Flag("--stride", (_CLASSIFY, _NER), "tokens that neighbouring windows share", _number()),
    _Flag(
        "--combine", (_CLASSIFY,), "{} of the parts (default: mean)",
        _one_of("pipelines.documents", "COMBINE"),
    ),
    _Flag(
        "--aggregation-strategy", (_NER,), "{} (default: simple)",
        _one_of("pipelines.entities", "STRATEGIES"),
    ),
    _Flag(
        "--ignore-labels", (_NER,), "labels that are no entities (default: O)",
        _words("A,B"), _list,
    ),
    _Flag("--question", (_QA,), "the question, asked of each text", _words("TEXT"), argument=False),
    _Flag("--context", (_QA,), "a text that may hold the answer", _words("TEXT"), argument=False),
    _Flag(
        "--question-column", (_QA,), "the column of each row's own question",
        _words("NAME"), argument=False,
    ),
    _Flag("--doc-stride", (_QA,), "tokens that windows of a context share", _number()),
    _Flag("--max-answer-len", (_QA,), "tokens of the longest answer", _number()),
    _Flag("--handle-impossible-answer", (_QA,), "let an empty answer win", _ON),
    _Flag("--targets", (_FILL,), "the only words to score", _words("A,B"), _list),
    _Flag("--candidate-labels", (_ZERO_SHOT,), "the labels to choose from", _words("A,B"), _list),
    _Flag(
        "--hypothesis-template", (_ZERO_SHOT,), "a sentence with {} in the place of the label",
        _words("TEXT"),
    ),
    _Flag("--multi-label", (_ZERO_SHOT,), "score each label by itself", _ON),
    _Flag("--query", (_RANK,), "rank all texts for this query", _words("TEXT"), argument=False),
    _Flag(
        "--document", (_RANK,), "a text to rank; may be given several times",
        {"action": "append", "metavar": "TEXT"}, argument=False,
    ),
    _Flag(
        "--query-column", (_RANK,), "the column of each row's own query: pairs are scored",
        _words("NAME"), argument=False,
    ),
    _Flag(
        "--pooling", (_EMBED,), "{} (default: the bundle's own, else mean)",
        _one_of("pipelines.embedding_options", "POOLINGS"), _pooling,
    ),
    _Flag("--normalize", (_EMBED,), "give embeddings the length 1", _ON),
    _Flag("--prompt-name", (_EMBED,), "one of the bundle's own prompts", _words("NAME")),
    _Flag("--truncate-dim", (_EMBED,), "keep the first N dimensions", _number()),
    _Flag(
        "--precision", (_EMBED,), "{} (default: float32)", _one_of("cli.options", "STREAMED"),
    ),
)  # fmt: skip


_EXAMPLES = {
    _NER: ['  leanbert predict -m ner "Nokia cut jobs in Espoo."'],
    _QA: ['  leanbert predict -m answers --question "Who cut jobs?" "Nokia cut jobs."'],
    _FILL: ['  leanbert predict -m bert "Sales [MASK] in May." --targets rose,fell'],
    _ZERO_SHOT: [
        "  leanbert predict -m nli --task zero-shot-classification \\",
        '      --candidate-labels bonds,oil "OPEC met."',
    ],
    _RANK: [
        "  leanbert predict -m reranker --task text-ranking \\",
        '      --query "rate cut" --input documents.txt',
    ],
    _EMBED: ['  leanbert predict -m minilm --pooling mean "a text"'],
}
"""Lines of the help that show a task's flags at work."""


def add_task_flags(parser: argparse.ArgumentParser) -> None:
    """Declare the flags of single tasks.

    The help shows those of the task that ``--task`` names, by default text-classification.
    """
    actions = {
        flag.name: parser.add_argument(flag.name, help=argparse.SUPPRESS, **flag.reads)
        for flag in _FLAGS
    }

    def section(words: Sequence[str]) -> Iterator[str]:
        chosen = _task_in(words) or _CLASSIFY
        yield f"{chosen}:"
        for flag in _FLAGS:
            if chosen in flag.tasks:
                action = actions[flag.name]
                yield from flag_lines(
                    [
                        argparse.Action(
                            action.option_strings, action.dest, action.nargs,
                            metavar=action.metavar, help=flag.help.replace(
                                "{}", listed(list(action.choices or ("{}",)))
                            ),
                        )
                    ]
                )  # fmt: skip
        yield from _EXAMPLES.get(chosen, ())
        others = [task for task in _TASKS if task != chosen]
        yield from textwrap.wrap(
            f"other tasks: --task TASK --help shows the flags of {listed(others)}",
            WIDTH, subsequent_indent="  ", break_on_hyphens=False,
        )  # fmt: skip

    if isinstance(parser, CommandParser):
        parser.sections.append(section)


def _task_in(words: Sequence[str]) -> str | None:
    """The task that a command line names, if it is one of ours."""
    for i, word in enumerate(words):
        name, found, value = word.partition("=")
        if name == "--task":
            value = value if found else "".join(words[i + 1 : i + 2])
            value = _ALIASES.get(value, value)
            return value if value in _TASKS else None
    return None


def call_options(args: argparse.Namespace, task: str, *, pools: bool = False) -> dict[str, Any]:
    """The pipeline's arguments that the command's flags ask for.

    Args:
        args: the parsed command line.
        task: the pipeline's.
        pools: whether the bundle says itself how embeddings are made.

    Raises:
        InputError: a flag makes no sense, or is another task's.
    """
    options = dict(_DEFAULTS.get(task, {}))
    if task == _EMBED and not pools:
        options["pooling"] = "mean"
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
    names, what = needs.get(task, ([], ""))
    if names and not any(getattr(args, name) for name in names):
        raise InputError(f"{task} needs {what}")


def model_input(args: argparse.Namespace, task: str, record: Record) -> Any:
    """What the task's pipeline takes for a record.

    Raises:
        InputError: the row lacks a text that the task needs.
    """
    if task == _QA:
        question = args.question
        if args.question_column is not None:
            question = record.row.text(args.question_column, "--question-column")
        return {"question": question, "context": record.text}
    if task == _RANK and args.query_column is not None:
        query = record.row.text(args.query_column, "--query-column")
        return {"text": query, "text_pair": record.text}
    if task == _RANK:
        return {"text": record.text, "text_pair": record.text_pair or ""}
    return record.model_input


def ranking_of(query: str, documents: list[str]) -> Entry:
    """The one input of ``--query``: all documents, which are ranked together."""
    record = Record(query, row=Row({"query": query}, COMMAND_LINE))
    return Entry(record, {"query": query, "documents": documents})
