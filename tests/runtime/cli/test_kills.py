"""SIGKILL at random moments: no row is lost, doubled or torn.

``LEANBERT_KILLS`` says how often; ``LEANBERT_KILLS=200`` is the number that is promised.
"""

from __future__ import annotations

import os
import random
import signal
import sys
import time
from pathlib import Path

import pytest

from leanbert.cli import ledger, main, parquet_writing, staging
from leanbert.cli.disk import Disk

pytestmark = pytest.mark.skipif(not hasattr(os, "fork"), reason="forks")

KILLS = int(os.environ.get("LEANBERT_KILLS", "20"))
ROWS = 4000


def start(words: list[str]) -> int:
    """The command in a process of its own, which need not import anything any more."""
    child = os.fork()
    if child:
        return child
    code = 70
    try:
        null = os.open(os.devnull, os.O_WRONLY)
        os.dup2(null, 1)
        os.dup2(null, 2)
        code = main(words)
    finally:
        os._exit(code)


@pytest.mark.parametrize("ending", [".csv", ".jsonl.gz", ".parquet"])
def test_kills(
    ending: str, natively: list[object], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow.parquet")  # here, and not in each child
    monkeypatch.setattr(ledger, "_EVERY", 0.01)
    monkeypatch.setattr(parquet_writing, "_CHUNK", 500)
    monkeypatch.setattr(staging, "_MEMBER", 5000)
    monkeypatch.setattr(Disk, "sync", lambda *_: None)  # what was written outlives its process
    given = tmp_path / "news.csv"
    given.write_text("text,id\n" + "".join(f"profit rose {i % 97},{i}\n" for i in range(ROWS)))
    whole, out = tmp_path / f"whole{ending}", tmp_path / f"out{ending}"
    words = [str(word) for word in [*natively, "-i", given, "-o"]]
    began = time.monotonic()
    assert os.waitpid(start([*words, str(whole)]), 0)[1] == 0
    most = time.monotonic() - began
    chance = random.Random(11)  # noqa: S311 - no secret
    killed = went_on = 0
    while killed < (KILLS + 2) // 3:
        partial = tmp_path / f"out{ending}.partial.journal"
        went_on += partial.exists() and partial.read_bytes().count(b"\n") > 1
        child = start([*words, str(out)])
        time.sleep(chance.uniform(0, most))
        os.kill(child, signal.SIGKILL)
        status = os.waitpid(child, 0)[1]
        if os.WIFSIGNALED(status):
            killed += 1
            assert not out.exists() or out.read_bytes() == whole.read_bytes()
        else:
            assert os.WEXITSTATUS(status) == 0
            assert out.read_bytes() == whole.read_bytes()
            out.unlink()
    assert os.waitpid(start([*words, str(out)]), 0)[1] == 0
    assert out.read_bytes() == whole.read_bytes()
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [given.name, out.name, whole.name]
    )
    sys.stdout.write(f"{killed} kills, {went_on} runs went on\n")
