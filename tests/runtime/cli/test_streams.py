"""Streams that are closed, full, gone, or the caller's own; and pipes as files."""

from __future__ import annotations

import io
import json
import shlex
import subprocess
import sys
import threading
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path

import pytest

from leanbert.cli import main
from leanbert.cli.streams import Nowhere, complain, standard_streams
from tests.helpers.command import Command
from tests.helpers.processes import environment

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a POSIX shell is needed")


def shell(script: str, cwd: Path, *words: object) -> subprocess.CompletedProcess[str]:
    """Run a line of bash, in which ``leanbert`` is the command of these sources."""
    command = shlex.join([sys.executable, "-m", "leanbert"])
    return subprocess.run(
        ["bash", "-c", f'leanbert() {{ {command} "$@"; }}\n{script}', "bash", *map(str, words)],
        env=environment(), cwd=cwd, capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip


def labels(lines: str) -> list[str]:
    return [line.split("\t")[0] for line in lines.splitlines()]


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    path = tmp_path / "texts.txt"
    path.write_text("profit rose\na bad loss\n")
    return path


WANTED = ["positive", "negative"]


@pytest.mark.parametrize("closing", ["2>&-", "2>/dev/full", "2>&- 0<&-"])
def test_without_stderr_the_work_is_done(
    predict: list[object], tmp_path: Path, texts: Path, closing: str
) -> None:
    if "full" in closing and not Path("/dev/full").exists():
        pytest.skip("no /dev/full here")
    done = shell(f'leanbert "$@" -i {texts} -o out {closing}', tmp_path, *predict)
    assert done.returncode == 0
    assert labels((tmp_path / "out").read_text()) == WANTED
    done = shell(f'leanbert "$@" "{"profit " * 50}" {closing}', tmp_path, *predict)  # warns
    assert (done.returncode, labels(done.stdout)) == (0, ["positive"])
    assert shell(f"leanbert info nowhere {closing}", tmp_path).returncode == 1


def test_no_file_gets_the_number_of_a_closed_stream(predict: list[object], tmp_path: Path) -> None:
    script = """
import os, sys
from leanbert.cli.streams import standard_streams
with standard_streams():
    os.write(2, b"a library's complaint")
    with open("mine", "wb") as file:
        assert file.fileno() > 2
assert sys.stderr is None
"""
    done = shell(f"{shlex.quote(sys.executable)} -c {shlex.quote(script)} 2>&- 1>&-", tmp_path)
    assert done.returncode == 0
    assert (tmp_path / "mine").read_bytes() == b""


def test_without_stdout_only_what_has_nowhere_to_go_fails(
    predict: list[object], tmp_path: Path, texts: Path
) -> None:
    bundle = predict[2]
    done = shell('leanbert "$@" profit >&-', tmp_path, *predict)
    assert done.returncode == 2
    assert done.stderr == "leanbert: stdout is closed; name a file with -o\n"
    done = shell(f'leanbert "$@" -i {texts} -o out >&-', tmp_path, *predict)
    assert (done.returncode, done.stderr) == (0, "")
    assert labels((tmp_path / "out").read_text()) == WANTED
    assert shell('leanbert verify "$@" >&-', tmp_path, bundle).returncode == 0
    for name in ("info", "doctor"):
        done = shell(f"leanbert {name} >&-", tmp_path)
        assert done.returncode == 2
        assert done.stderr.startswith("leanbert: stdout is closed")


def test_streams_of_the_caller(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    words = ["predict", "-m", str(tiny_bundle)]
    out, err = io.StringIO(), io.StringIO()
    with redirect_stdout(out), redirect_stderr(err):
        assert main([*words, "profit rose"]) == 0
        monkeypatch.setattr(sys, "stdin", io.StringIO("a bad loss\né\n"))
        assert main([*words, "--json", "--encoding", "latin-1"]) == 0
        assert main(["info", "nowhere"]) == 1
    first, *others = out.getvalue().splitlines()
    assert first.startswith("positive\t")
    assert [json.loads(line)["text"] for line in others] == ["a bad loss", "é"]
    assert err.getvalue().startswith("leanbert: nowhere: ")
    monkeypatch.setattr(sys, "stderr", None)
    assert main(["info", "nowhere"]) == 1
    assert sys.stderr is None


def test_complaints_never_stop_the_work(monkeypatch: pytest.MonkeyPatch) -> None:
    closed = io.StringIO()
    closed.close()
    monkeypatch.setattr(sys, "stderr", closed)
    complain("nobody reads this")
    monkeypatch.setattr(sys, "stderr", None)
    with standard_streams():
        assert isinstance(sys.stderr, Nowhere)
        complain("nor this")


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="no /dev/full here")
@pytest.mark.parametrize("where", ["> /dev/full", "-o /dev/full", "-o /dev/stdout > /dev/full"])
def test_a_full_disk_is_named(predict: list[object], tmp_path: Path, where: str) -> None:
    done = shell(f'leanbert "$@" profit {where}', tmp_path, *predict)
    name = "stdout" if where.startswith(">") else where.split()[1]
    assert done.returncode == 1
    assert done.stderr == f"leanbert: {name}: No space left on device\n"


def test_a_reader_that_has_seen_enough(predict: list[object], tmp_path: Path) -> None:
    many = tmp_path / "many.txt"
    many.write_text("profit rose in the quarter\n" * 20_000)
    for line in (
        f'set -o pipefail; leanbert "$@" -i {many} | head -1',
        f'set -o pipefail; leanbert "$@" -i {many} -o /dev/stdout | head -1',
        f'leanbert "$@" -i {many} -o >(head -1); wait $!',
    ):
        done = shell(line, tmp_path, *predict)
        assert (done.returncode, done.stderr) == (0, "")
        assert labels(done.stdout) == ["positive"]


def test_streams_are_written_through(predict: list[object], tmp_path: Path, texts: Path) -> None:
    """A log that is appended to keeps what it has."""
    log = tmp_path / "log"
    log.write_text("before\n")
    for name in ("/dev/stdout", "/dev/fd/1", "/proc/self/fd/1", "/dev/stderr"):
        if not Path(name).exists():
            continue
        number = 2 if name.endswith("err") else 1
        done = shell(f'leanbert "$@" -i {texts} -o {name} {number}>>log', tmp_path, *predict)
        assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    found = log.read_text().splitlines()
    assert found[0] == "before"
    assert labels("\n".join(found[1:])) == WANTED * (len(found) // 2)
    assert len(found) >= 5
    for line in (
        f'leanbert "$@" -i {texts} -o /dev/stdout | cat',
        f'leanbert "$@" -i {texts} -o >(cat) | cat',
        f'mkfifo out; cat out & leanbert "$@" -i {texts} -o out; wait',
        f'ln -s /dev/stdout link; leanbert "$@" -i {texts} -o link | cat',
        f'leanbert "$@" -i <(cat {texts})',
        f'leanbert "$@" -i /dev/stdin < {texts}',
        f'mkfifo in; cat {texts} > in & leanbert "$@" -i in',
        f'leanbert "$@" < {texts}',
    ):
        done = shell(line, tmp_path, *predict)
        assert (done.returncode, done.stderr) == (0, ""), line
        assert labels(done.stdout) == WANTED, line
    done = shell('leanbert "$@" -i <(printf "id,text\\n7,profit\\n") --input-format csv --csv',
                 tmp_path, *predict)  # fmt: skip
    assert done.stdout.splitlines()[0] == "id,text,label,score"
    assert done.stdout.splitlines()[1].startswith("7,profit,positive,")


def test_a_missing_package_is_named(
    command: Command, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    def gone(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'onnxruntime'", name="onnxruntime.capi")

    def ours(*_: object, **__: object) -> None:
        raise ModuleNotFoundError("No module named 'leanbert.x'", name="leanbert.x")

    monkeypatch.setattr("leanbert.cli.verify.verify_opened", gone)
    line = command.wrong("verify", tiny_bundle)
    assert line.startswith("leanbert: this needs onnxruntime, which cannot be imported")
    monkeypatch.setattr("leanbert.cli.verify.verify_opened", ours)
    with pytest.raises(ModuleNotFoundError):
        command("verify", tiny_bundle)


def test_a_lack_of_memory_is_one_line(
    command: Command, monkeypatch: pytest.MonkeyPatch, tiny_bundle: Path
) -> None:
    def greedy(*_: object, **__: object) -> None:
        raise MemoryError

    monkeypatch.setattr("leanbert.cli.verify.verify_opened", greedy)
    assert command.wrong("verify", tiny_bundle, code=1) == (
        "leanbert: there is not enough memory\n"
    )


@pytest.mark.parametrize("name", ["predict", "info", "verify", "doctor"])
@pytest.mark.parametrize("engine", ["auto", "onnxruntime"])
def test_without_onnxruntime_there_is_no_traceback(
    tiny_bundle: Path, tmp_path: Path, name: str, engine: str
) -> None:
    script = """
import sys
sys.modules["onnxruntime"] = None
from leanbert.cli import main
sys.exit(main(sys.argv[1:]))
"""
    words: list[object] = [name]
    if name != "doctor":
        words += ["-m", tiny_bundle]
    if name in {"predict", "verify"}:
        words += ["--engine", engine]
    if name == "predict":
        words.append("profit")
    done = subprocess.run(
        [sys.executable, "-c", script, *map(str, words)], env=environment(), cwd=tmp_path,
        capture_output=True, text=True, timeout=120, check=False, stdin=subprocess.DEVNULL,
    )  # fmt: skip
    assert "Traceback" not in done.stderr
    if name in {"info", "doctor"}:
        assert (done.returncode, done.stderr) == (0, "")
    else:
        assert done.returncode in {1, 2}
        assert done.stderr.count("\n") == 1
        assert "onnxruntime" in done.stderr


def test_a_pipe_is_answered_line_by_line(tiny_bundle: Path) -> None:
    process = subprocess.Popen(
        [sys.executable, "-m", "leanbert", "predict", "-m", str(tiny_bundle)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        encoding="utf-8",
        bufsize=1,
        env=environment(),
    )
    late = threading.Timer(60, process.kill)
    late.start()
    assert process.stdin is not None
    assert process.stdout is not None
    with process:
        for text in ("profit", "a bad loss", "profit year"):
            process.stdin.write(f"{text}\n")
            process.stdin.flush()
            # An answer that waited for the next line would never come.
            assert process.stdout.readline().rstrip("\n").split("\t")[-1] == text
        process.stdin.close()
    late.cancel()
    assert process.returncode == 0
