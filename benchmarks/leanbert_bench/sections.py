"""Parts of a text file that a command writes, between two markers that a person placed."""

from __future__ import annotations

from pathlib import Path

from leanbert.errors import InputError
from leanbert.files import whole_file

START, END = "<!-- bench:start -->", "<!-- bench:end -->"


def replace_section(path: Path, text: str, start_mark: str = START, end_mark: str = END) -> None:
    """Replace what stands between the two markers of a file, or leave the file as it is.

    Raises:
        InputError: the file is missing, or does not have each marker once and in order.
    """
    before, middle, after = split_section(path, start_mark, end_mark)
    newline = "\r\n" if "\r\n" in before + middle + after else "\n"
    middle = newline.join(["", *text.strip().splitlines(), ""])
    with whole_file(path) as file:
        file.write(before + start_mark + middle + end_mark + after)


def split_section(path: Path, start_mark: str, end_mark: str) -> tuple[str, str, str]:
    """Return what stands before, between and after the two markers of a file.

    Raises:
        InputError: the file is missing, or does not have each marker once and in order.
    """
    try:
        content = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise InputError(f"{path}: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: not valid UTF-8 ({error.reason})") from error
    before, start, rest = content.partition(start_mark)
    middle, end, after = rest.partition(end_mark)
    if not start or not end or start_mark in rest or end_mark in before + after:
        raise InputError(
            f"{path}: needs the lines {start_mark} and {end_mark}, once each and in this order"
        )
    return before, middle, after
