"""``leanbert`` in the tests' own process."""

from __future__ import annotations

import re

import pytest

from leanbert.cli import main


class Command:
    """Runs a command, and gives its exit code, its stdout and its stderr."""

    def __init__(self, capsys: pytest.CaptureFixture[str]) -> None:
        self._capsys = capsys

    def __call__(self, *words: object) -> tuple[int, str, str]:
        self._capsys.readouterr()
        code = main(list(map(str, words)))
        return code, *self._capsys.readouterr()

    def wrong(self, *words: object, code: int = 2) -> str:
        """Run what must fail with one line on stderr, and give that line."""
        found, out, err = self(*words)
        assert found == code
        assert out == ""
        assert re.fullmatch(r"leanbert: [^\n]+\n", err), err
        return err
