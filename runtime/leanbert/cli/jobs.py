"""Which inputs go into which output."""

from __future__ import annotations

import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from leanbert.cli.outputs import check_output, make_directory
from leanbert.errors import InputError
from leanbert.files import own_descriptor
from leanbert.records import Found
from leanbert.records.names import COMPRESSED, endings_of

__all__ = ["Job", "plan"]

_NAME = "{name}"
_BRACES = re.compile(r"\{(?!name\})[A-Za-z_]+\}")
_WRITTEN = {".txt": ".csv", ".ndjson": ".jsonl", ".arrow": ".parquet", ".feather": ".parquet"}
"""The ending of an output in a folder, where it is not the input's."""
_ASKED = {"json": ".jsonl", "csv": ".csv", "table": ".txt", "html": ".html"}
_FORMAT_ENDINGS = {"jsonl": ".jsonl", "parquet": ".parquet", "arrow": ".parquet", "tsv": ".tsv"}


@dataclass(frozen=True)
class Job:
    """An output, and the inputs whose answers go there, one after the other."""

    found: Sequence[Found]
    output: Path | None
    """``None`` is stdout."""


def plan(
    found: Sequence[Found],
    output: str | None,
    *,
    form: str | None = None,
    reading: str | None = None,
) -> list[Job]:
    """One output for all inputs, or one for each.

    A folder, or a path that ends with a slash, gets a file for each input, which has the input's
    name, in the folders that the input has below the one that was given. Its ending is the input's
    where that can be written; ``.txt`` becomes ``.csv``, Arrow's endings become ``.parquet``, and
    ``.zst`` becomes ``.gz``. In any other path ``{name}`` stands for the input's name without its
    endings.

    Args:
        found: the inputs.
        output: where the answers go; ``None`` is stdout.
        form: ``"json"``, ``"csv"``, ``"table"`` or ``"html"``, where a flag asks for it.
        reading: the format of all inputs, where a flag says it.

    Raises:
        InputError: an output cannot be written, is an input, or is that of two inputs; or the
            directory for outputs is a file.
    """
    if output is None:
        check_output(None)
        return [Job(found, None)]
    folder = Path(output)
    if output.endswith(("/", os.sep)) or (folder.is_dir() and own_descriptor(folder) is None):
        jobs = [Job([file], _in_folder(folder, file, form, reading)) for file in found]
        _check(jobs)
        for file in found:
            make_directory((folder / file.relative).parent)
    elif (braces := _BRACES.search(output)) is not None:
        raise InputError(f"{output}: {braces[0]} stands for nothing; {_NAME} is an input's name")
    elif _NAME in output:
        jobs = [Job([file], Path(output.replace(_NAME, _stem(file)))) for file in found]
        _check(jobs)
    else:
        jobs = [Job(found, Path(output))]
        _check(jobs)
    for job in jobs:
        check_output(job.output)
    return jobs


def _in_folder(folder: Path, file: Found, form: str | None, reading: str | None) -> Path:
    ending, compression = endings_of(file.relative)
    if form is not None:
        written = _ASKED[form]
    elif reading is not None:
        written = _FORMAT_ENDINGS.get(reading, ".csv")
    else:
        written = _WRITTEN.get(ending, ending)
    packed = ".gz" if compression and written != ".parquet" else ""
    return (folder / file.relative).with_name(f"{_stem(file)}{written}{packed}")


def _stem(file: Found) -> str:
    """The name of an input without its endings."""
    if str(file.path) == "-":
        raise InputError("stdin has no name for its output; name the file to write with -o")
    name = file.relative
    if name.suffix.lower() in COMPRESSED:
        name = name.with_suffix("")
    return name.stem


def _check(jobs: Sequence[Job]) -> None:
    inputs = {os.path.realpath(file.path) for job in jobs for file in job.found}
    taken: dict[str, Job] = {}
    for job in jobs:
        place = os.path.realpath(str(job.output))
        if place in inputs and own_descriptor(Path(str(job.output))) is None:
            raise InputError(f"{job.output}: is an input, too; write the answers elsewhere")
        if place in taken:
            both = f"{taken[place].found[0].path} and {job.found[0].path}"
            raise InputError(f"{job.output}: {both} would both be written there")
        taken[place] = job
