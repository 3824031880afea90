"""Interrupted commands go on where they stopped, or say why they cannot."""

from __future__ import annotations

import errno
import gzip
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from leanbert.cli import ledger, parquet_writing, staging
from leanbert.cli.disk import Disk
from leanbert.cli.journal import Journal
from tests.helpers.command import Command
from tests.helpers.processes import begin

ROWS = 5000
BAD = 4200


@pytest.fixture(autouse=True)
def saving_always(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(ledger, "_EVERY", 0.002)
    monkeypatch.setattr(Disk, "sync", lambda *_: None)  # the power stays on
    monkeypatch.setattr(parquet_writing, "_CHUNK", 500)
    monkeypatch.setattr(staging, "_MEMBER", 5000)


def news(path: Path, *, bad: bool = False) -> Path:
    rows = [f"{i},profit rose {i},2024-01-{i % 28 + 1:02d}\n" for i in range(ROWS)]
    if bad:
        rows[BAD] = "1,2,3,4,5\n"
    path.write_text("id,text,label\n" + "".join(rows))
    return path


@pytest.fixture
def stopped(command: Command, predict: list[object], tmp_path: Path) -> Path:
    """The output of a command that a bad row stopped, and its input, which is mended."""
    given = news(tmp_path / "news.csv", bad=True)
    code, _, err = command(*predict, "-i", given, "-o", tmp_path / "out.csv")
    assert code == 2
    kept, said = err.splitlines()
    assert "out.csv.partial keeps the answers to " in kept
    assert f"line {BAD + 2}: more cells than the header has columns" in said
    news(given)
    return tmp_path / "out.csv"


@pytest.mark.parametrize("ending", [".csv", ".tsv", ".jsonl", ".csv.gz", ".parquet"])
def test_a_command_goes_on_to_the_same_bytes(
    command: Command, natively: list[object], tmp_path: Path, ending: str
) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    given = news(tmp_path / "news.csv")
    assert command(*natively, "-i", given, "-o", tmp_path / f"whole{ending}") == (0, "", "")
    news(given, bad=True)
    out = tmp_path / f"out{ending}"
    assert command(*natively, "-i", given, "-o", out)[0] == 2
    assert not out.exists()
    news(given)
    code, _, err = command(*natively, "-i", given, "-o", out)
    assert code == 0
    assert "goes on after " in err
    assert out.read_bytes() == (tmp_path / f"whole{ending}").read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        ["news.csv", f"out{ending}", f"whole{ending}"]
    )


def test_standard_input_is_gone_on_with(
    command: Command, predict: list[object], stopped: Path, stdin: Callable[[bytes], None]
) -> None:
    stdin((stopped.parent / "news.csv").read_bytes())
    words = [*predict, "--input-format", "csv", "-o", stopped]
    assert "goes on after " in command(*words)[2]
    stdin((stopped.parent / "news.csv").read_bytes())
    assert command(*words, "-o", stopped.with_name("b.csv")) == (0, "", "")
    assert stopped.read_text().count("\n") == ROWS + 1


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["--top-k", "2"], "was begun without --top-k, and this command has 2"),
        (["--columns", "id"], "was begun without --columns, and this command has id"),
        (["--max-length", "9"], "was begun without --max-length, and this command has 9"),
        (["-m"], "was begun with the model "),
        (["--json"], "was begun with the form csv, and this command has json"),
    ],
)
def test_another_command_is_refused(
    command: Command, predict: list[object], stopped: Path, words: list[str], said: str,
    make_bundle: Callable[..., Path],
) -> None:  # fmt: skip
    if words == ["-m"]:
        words = ["-m", str(make_bundle(labels=("up", "down", "flat")))]
    given = [*predict, "-i", stopped.with_name("news.csv"), "-o", stopped, *words]
    before = sorted(os.listdir(stopped.parent))  # noqa: PTH208
    line = command.wrong(*given)
    assert said in line
    assert line.endswith("; --force starts anew\n")
    assert sorted(os.listdir(stopped.parent)) == before  # noqa: PTH208
    assert command(*given, "--force") == (0, "", "")


def test_rows_that_are_others_are_refused(
    command: Command, predict: list[object], stopped: Path
) -> None:
    given = stopped.with_name("news.csv")
    words = [*predict, "-i", given, "-o", stopped]
    whole = given.read_text()
    given.write_text(whole.replace("profit rose 7,", "profit fell 7,"))
    assert "rows of the input are not those that it was begun with" in command(*words)[2]
    given.write_text("".join(whole.splitlines(keepends=True)[:50]))
    assert "rows of the input are not those that it was begun with" in command(*words)[2]
    given.write_text(whole)
    assert "goes on after" in command(*words)[2]


def test_a_partial_file_that_was_changed_is_refused(
    command: Command, predict: list[object], stopped: Path
) -> None:
    words = [*predict, "-i", stopped.with_name("news.csv"), "-o", stopped]
    partial = stopped.with_name("out.csv.partial")
    content = partial.read_bytes()
    partial.write_bytes(content.replace(b"rose 7,", b"fell 7,"))
    assert "out.csv.partial was changed since; --force starts anew" in command.wrong(*words)
    partial.write_bytes(content + b"a torn ro")
    assert "goes on after" in command(*words)[2]
    assert stopped.read_text().count("\n") == ROWS + 1


def test_starting_anew(command: Command, predict: list[object], stopped: Path) -> None:
    words = [*predict, "-i", stopped.with_name("news.csv"), "-o", stopped]
    assert command(*words, "--no-resume") == (0, "", "")
    assert stopped.read_text().count("\n") == ROWS + 1


def test_rows_may_fail_where_a_strict_command_stopped(
    command: Command, predict: list[object], stopped: Path
) -> None:
    given = news(stopped.with_name("news.csv"), bad=True)
    code, out, err = command(*predict, "-i", given, "-o", stopped, "--max-errors", 1)
    assert (code, out) == (3, "")
    assert "goes on after" in err
    assert f"1 of {ROWS:,} rows failed; {stopped}.errors.jsonl has them" in err
    [line] = stopped.with_name("out.csv.errors.jsonl").read_text().splitlines()
    assert json.loads(line) == {
        "row": BAD + 1, "where": f"{given}: line {BAD + 2}", "raw": "1,2,3,4,5",
        "reason": "more cells than the header has columns",
    }  # fmt: skip
    assert stopped.read_text().count("\n") == ROWS


def test_several_outputs_are_not_begun_again(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    folder, out = tmp_path / "news", tmp_path / "out"
    folder.mkdir()
    for name in ("a.csv", "b.csv", "c.csv"):
        news(folder / name)
    news(folder / "b.csv", bad=True)
    words = [*predict, "-i", folder, "-o", f"{out}/"]
    assert command(*words)[0] == 2
    assert (out / "a.csv").exists()
    assert not (out / "c.csv").exists()
    done = (out / "a.csv").stat().st_mtime_ns
    news(folder / "b.csv")
    code, _, err = command(*words)
    assert code == 0
    assert "a.csv: was finished before the command was interrupted" in err
    assert (out / "a.csv").stat().st_mtime_ns == done
    assert sorted(path.name for path in out.iterdir()) == ["a.csv", "b.csv", "c.csv"]
    assert (out / "b.csv").read_text().count("\n") == ROWS + 1


def test_a_finished_output_of_other_rows_is_refused(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    folder = tmp_path / "news"
    folder.mkdir()
    news(folder / "a.csv")
    news(folder / "b.csv", bad=True)
    words = [*predict, "-i", folder, "-o", f"{tmp_path}/out/"]
    command(*words)
    with (folder / "a.csv").open("a") as file:
        file.write("1,one more,x\n")
    assert "the input has more rows than the 5,000 that it was begun with" in command(*words)[2]


def test_a_full_disk_loses_nothing_that_was_saved(
    command: Command, natively: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given, out = news(tmp_path / "news.csv"), tmp_path / "out.csv"
    words = [*natively, "-i", given, "-o", out]
    write = Disk.write
    left = [12]

    def full(self: Disk, handle: int, data: bytes) -> None:
        left[0] -= 1
        if left[0] < 0:
            write(self, handle, data[: len(data) // 2])
            raise OSError(errno.ENOSPC, "No space left on device")
        write(self, handle, data)

    monkeypatch.setattr(Disk, "write", full)
    code, _, err = command(*words)
    assert code == 1
    assert "out.csv.partial keeps the answers to " in err
    assert err.splitlines()[1] == f"leanbert: {out}: No space left on device"
    monkeypatch.setattr(Disk, "write", write)
    assert "goes on after" in command(*words)[2]
    command(*natively, "-i", given, "-o", tmp_path / "whole.csv")
    assert out.read_bytes() == (tmp_path / "whole.csv").read_bytes()


def test_a_link_stays_a_link(command: Command, predict: list[object], tmp_path: Path) -> None:
    given, place, link = (
        news(tmp_path / "news.csv", bad=True),
        tmp_path / "disk",
        tmp_path / "o.csv",
    )
    place.mkdir()
    (place / "old.csv").write_text("old")
    (place / "old.csv").chmod(0o640)
    link.symlink_to(place / "old.csv")
    code, _, err = command(*predict, "-i", given, "-o", link, "--max-errors", 1)
    assert code == 3
    assert f"{place / 'old.csv'}.errors.jsonl has them" in err
    assert link.is_symlink()
    assert link.read_text().count("\n") == ROWS
    assert (place / "old.csv").stat().st_mode & 0o777 == 0o640
    assert sorted(os.listdir(place)) == ["old.csv", "old.csv.errors.jsonl"]  # noqa: PTH208


def test_one_process_at_a_time(command: Command, predict: list[object], stopped: Path) -> None:
    journal = Journal(stopped.with_name("out.csv.partial.journal"), Disk())
    words = [*predict, "-i", stopped.with_name("news.csv"), "-o", stopped]
    assert "another process writes it at this moment" in command.wrong(*words)
    journal.close()
    assert command(*words)[0] == 0


def test_a_torn_line_of_the_journal_does_not_count(tmp_path: Path) -> None:
    path = tmp_path / "a.journal"
    journal = Journal(path, Disk())
    journal.append({"a": 1})
    journal.append({"b": 2})
    journal.close()
    whole = path.read_bytes()
    for torn in (whole[:-1], whole[:-4], whole.replace(b'"b"', b'"c"'), whole[:-9] + b"\0" * 9):
        path.write_bytes(torn)
        journal = Journal(path, Disk())
        assert journal.records == [{"a": 1}]
        journal.append({"d": 4})
        journal.close()
        journal = Journal(path, Disk())
        assert journal.records == [{"a": 1}, {"d": 4}]
        journal.close()


@pytest.mark.skipif(sys.platform == "win32", reason="has no such signals")
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_what_a_signal_leaves(predict: list[object], tmp_path: Path, number: int) -> None:
    """The command reads a pipe that stays open, so that it surely is at work."""
    script = (
        "import sys; from leanbert.cli import ledger, main; ledger._EVERY = 0.01\n"
        "sys.exit(main(sys.argv[1:]))"
    )
    words = [*predict, "-o", tmp_path / "out.txt"]
    process = begin("-c", script, *words, cwd=tmp_path)
    try:
        assert process.stdin is not None
        process.stdin.write(b"profit rose\n" * 9000)
        process.stdin.flush()
        journal = tmp_path / "out.txt.partial.journal"
        while not journal.exists() or journal.read_bytes().count(b"\n") < 2:
            assert process.poll() is None
        process.send_signal(number)
        _, err = process.communicate(timeout=60)
    finally:
        process.kill()
    assert process.returncode == 128 + number
    assert b"out.txt.partial keeps the answers to " in err
    assert err.count(b"\n") == 1
    assert sorted(path.name for path in tmp_path.iterdir()) == [
        "out.txt.partial", "out.txt.partial.journal",
    ]  # fmt: skip
    done = subprocess.run(
        [sys.executable, "-m", "leanbert", *map(str, words)], input=b"profit rose\n" * 9000,
        capture_output=True, check=False, cwd=tmp_path, timeout=120,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
    )  # fmt: skip
    assert done.returncode == 0
    assert b"goes on after " in done.stderr
    assert (tmp_path / "out.txt").read_bytes().count(b"\n") == 9000


def test_members_of_gzip_are_one_text(
    command: Command, predict: list[object], tmp_path: Path
) -> None:
    path = tmp_path / "empty.jsonl"
    path.touch()
    assert command(*predict, "-i", path, "-o", tmp_path / "a.jsonl.gz") == (0, "", "")
    assert gzip.decompress((tmp_path / "a.jsonl.gz").read_bytes()) == b""
    assert command(*predict, "profit", "-o", tmp_path / "b.csv.gz") == (0, "", "")
    assert gzip.decompress((tmp_path / "b.csv.gz").read_bytes()).startswith(b"text,label,score\n")
