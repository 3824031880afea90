"""Ctrl-C, SIGTERM and SIGHUP: what was begun is cleaned up, and the exit code says which it was."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from leanbert.cli.signals import Stopped, stopping_on_signals
from tests.helpers.processes import begin

if sys.platform == "win32":
    pytest.skip("Windows has no such signals, and no names for them", allow_module_level=True)


@pytest.mark.parametrize("into_file", [False, True])
@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143), (signal.SIGHUP, 129)]
)
def test_a_signal_between_texts(
    predict: list[object], tmp_path: Path, number: int, code: int, into_file: bool
) -> None:
    """No traceback, and no half-written file under the name of the output."""
    extra: list[object] = ["-o", tmp_path / "answers.tsv"] if into_file else []
    process = begin("-m", "leanbert", *predict, *extra, cwd=tmp_path)
    try:
        assert process.stdin is not None
        assert process.stdout is not None
        # Into a file it reads on: once more than a pipe holds is written, it is at work.
        # Into a pipe its first answer says so; more lines would stop both of us.
        process.stdin.write(b"profit rose in the quarter\n" * (6000 if into_file else 2100))
        process.stdin.flush()
        if not into_file:
            assert process.stdout.readline().startswith(b"positive\t")
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == code
    left = sorted(path.name for path in tmp_path.iterdir())
    if left:  # a slow machine had answers to save: see test_resuming.py
        assert into_file
        assert left == ["answers.tsv.partial", "answers.tsv.partial.journal"]
        assert b"answers.tsv.partial keeps the answers to " in err
    else:
        assert err == b""


@pytest.fixture
def defaults() -> Iterator[None]:
    """The signals' default actions, which whoever started the tests may have taken away."""
    numbers = (signal.SIGTERM, signal.SIGHUP)
    before = [signal.signal(number, signal.SIG_DFL) for number in numbers]
    yield
    for number, handler in zip(numbers, before, strict=True):
        signal.signal(number, handler)


def test_signals_become_exceptions_while_a_command_runs_only(defaults: None) -> None:
    with pytest.raises(Stopped) as caught, stopping_on_signals():
        try:
            signal.raise_signal(signal.SIGTERM)
        finally:
            signal.raise_signal(signal.SIGHUP)  # does not interrupt the cleaning up
            signal.raise_signal(signal.SIGTERM)
    assert caught.value.number == signal.SIGTERM
    assert isinstance(caught.value, KeyboardInterrupt)
    assert signal.getsignal(signal.SIGTERM) == signal.SIG_DFL


@pytest.mark.parametrize("handler", [signal.SIG_IGN, lambda *_: None])
def test_a_signal_that_is_ignored_or_handled_stays_so(handler: object) -> None:
    before = signal.signal(signal.SIGHUP, handler)  # type: ignore[arg-type]
    try:
        with stopping_on_signals():
            assert signal.getsignal(signal.SIGHUP) == handler
            os.kill(os.getpid(), signal.SIGHUP)
        assert signal.getsignal(signal.SIGHUP) == handler
    finally:
        signal.signal(signal.SIGHUP, before)


def test_other_threads_change_no_handler() -> None:
    found: list[object] = []

    def run() -> None:
        with stopping_on_signals():
            found.append(signal.getsignal(signal.SIGTERM))

    thread = threading.Thread(target=run)
    thread.start()
    thread.join()
    assert found == [signal.SIG_DFL]


def test_export_leaves_nothing_behind(tmp_path: Path) -> None:
    """The temporary folders of an export vanish with it."""
    script = """
import os, signal, sys, tempfile
from pathlib import Path
from leanbert.cli import main
import leanbert_export.cli as cli
def run(args):
    with tempfile.TemporaryDirectory(dir=args.output) as scratch:
        Path(scratch, "weights").write_bytes(b"0" * 1000)
        os.kill(os.getpid(), signal.SIGTERM)
        signal.pause()
cli.run = run
sys.exit(main(["export", "model", "-o", sys.argv[1]]))
"""
    process = begin("-c", script, tmp_path, cwd=tmp_path)
    _, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (143, b"")
    assert list(tmp_path.iterdir()) == []


def test_nohup_ignores_the_hang_up(predict: list[object], tmp_path: Path) -> None:
    script = f"""
import os, signal, sys
signal.signal(signal.SIGHUP, signal.SIG_IGN)
from leanbert.cli import main
class Stdin:
    class buffer:
        def read1(size, given=[b"profit\\n"]):
            os.kill(os.getpid(), signal.SIGHUP)
            return given.pop() if given else b""
        read = read1
    def isatty(self=None): return False
sys.stdin = Stdin
sys.exit(main({list(map(str, predict))!r}))
"""
    done = subprocess.run(
        [sys.executable, "-c", script], capture_output=True, timeout=120, check=False, cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"positive\t")
