"""The progress bar: where it is drawn, what it counts, and what it says of the time left."""

from __future__ import annotations

import io
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanbert.cli.progress import Progress
from tests.helpers.command import Command


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True

    def lines(self) -> list[str]:
        return [re.sub(r"^█*░*", "", line) for line in self.getvalue().split("\r\x1b[K") if line]


def watch(monkeypatch: pytest.MonkeyPatch) -> Terminal:
    """Put a terminal in the place of stderr; in the test itself, where pytest has put its own."""
    found = Terminal()
    monkeypatch.setattr(sys, "stderr", found)
    return found


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Iterator[list[float]]:
    now = [100.0]
    monkeypatch.setattr("leanbert.cli.progress.time.monotonic", lambda: now[0])
    yield now


@pytest.mark.parametrize(
    ("beside", "drawn"), [(None, True), (io.StringIO(), True), (Terminal(), False)]
)
def test_no_bar_between_results_on_one_terminal(
    monkeypatch: pytest.MonkeyPatch, beside: io.StringIO | None, drawn: bool
) -> None:
    terminal = watch(monkeypatch)
    with Progress(3, "texts", beside=beside) as progress:
        progress.step("one")
        seen = terminal.getvalue()
    assert ("0/3 texts" in seen) is drawn


def test_the_first_burst_says_nothing_of_the_time_left(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    """Answers come in bursts of a window; the first comes after the model was loaded."""
    terminal = watch(monkeypatch)
    with Progress(10_000, "texts") as progress:
        clock[0] += 30  # the model loads, and the first window is computed
        for window in range(5):
            for _ in range(2000):
                progress.advance()
                clock[0] += 0.0001
            if window < 4:
                clock[0] += 1.8
        lines = terminal.lines()
        assert not any("left" in line for line in lines if line.startswith(" 1/"))
        seconds = [int(line.split()[-3]) for line in lines if line.endswith("s left")]
        assert seconds
        for left in seconds:
            assert left <= 10  # 2,000 texts in 2 seconds
    assert terminal.lines()[-1].startswith(" 10,000/10,000 texts")
    assert terminal.getvalue().endswith("\n")
    assert "░" not in terminal.getvalue().split("\r\x1b[K")[-1]


def test_rows_that_failed_and_those_of_an_earlier_run_are_shown(
    monkeypatch: pytest.MonkeyPatch, clock: list[float]
) -> None:
    terminal = watch(monkeypatch)
    with Progress(10_000, "texts") as progress:
        progress.skip(4000)
        progress.advance()
        clock[0] += 4
        progress.failed = 7
        progress.advance(2000)
    assert terminal.lines()[-1].startswith(" 6,001/10,000 texts  500/s  8 s left  7 failed")


def test_the_bar_goes_after_an_error_and_after_named_steps(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    terminal = watch(monkeypatch)
    with pytest.raises(ValueError, match="x"), Progress(3, "texts") as progress:
        progress.advance()
        raise ValueError("x")
    assert terminal.getvalue().endswith("\r\x1b[K")
    with Progress(3, "steps") as progress:
        progress.step("one")
        progress.advance()
    assert terminal.getvalue().endswith("\r\x1b[K")


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.csv", 'text,n\n"profit\nrose\nhigh",1\nloss,2\n'),
        ("a.jsonl", '{"text": "profit"}\n\n\n{"text": "loss"}\n'),
        ("a.txt", "profit\nloss"),
    ],
)
def test_rows_are_counted_and_not_lines(
    command: Command,
    predict: list[object],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    name: str,
    content: str,
) -> None:
    (tmp_path / name).write_text(content)
    terminal = watch(monkeypatch)
    command(*predict, "-i", tmp_path / name, "-o", tmp_path / "out.csv")
    assert terminal.lines()[-1].startswith(" 2/2 texts")


def test_a_watcher_that_has_gone_does_not_matter(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = watch(monkeypatch)
    with Progress(3, "texts") as progress:
        terminal.close()
        progress.advance()
