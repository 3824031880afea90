"""The power is cut between any two calls of the file system: nothing is lost, doubled or torn."""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.cli import ledger, parquet_writing, partial, staging
from leanbert.cli.bulk import run_files
from leanbert.cli.predict import add_arguments
from tests.helpers.power import FallibleDisk, PowerCut

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="files are read while open")

ROWS = 9


class Model:
    """Answers at once, and counts what it was asked."""

    task = "text-classification"
    labels = ("positive", "negative")

    def __init__(self, bundle: Path) -> None:
        model = pipeline(None, bundle)
        self.bundle, self.engine_report = model.bundle, model.engine_report
        self.asked: list[str] = []

    def stream(self, inputs: Iterator[Any], **options: Any) -> Iterator[Any]:
        while group := [text for _, text in zip(range(4), inputs, strict=False)]:
            self.asked += group
            for text in group:
                yield {"label": "positive", "score": len(text) / 64}


@pytest.fixture
def model(tiny_bundle: Path, monkeypatch: pytest.MonkeyPatch) -> Model:
    made = Model(tiny_bundle)
    monkeypatch.setattr("leanbert.pipelines.pipeline", lambda *args, **options: made)
    monkeypatch.setattr(ledger, "_EVERY", 0.0)
    monkeypatch.setattr(parquet_writing, "_CHUNK", 3)
    monkeypatch.setattr(staging, "_MEMBER", 60)
    return made


def arguments(*words: object) -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    add_arguments(parser)
    args = parser.parse_args([str(word) for word in words])
    args.texts = []
    return args


def texts(folder: Path) -> Path:
    path = folder / "news.jsonl"
    rows = [f'{{"id": {i}, "text": "{"rose " * (i % 4 + 1)}{i}"}}\n' for i in range(ROWS)]
    rows[5] = '{"id": 5, "text": null}\n'
    rows[6] = "torn\n"
    path.write_text("".join(rows))
    return path


def open_files() -> int:
    return len(os.listdir("/dev/fd"))  # noqa: PTH208 - some are gone before they are looked at


def run_on(
    disk: FallibleDisk, words: list[object], monkeypatch: pytest.MonkeyPatch
) -> dict[str, bytes]:
    monkeypatch.setattr(partial, "Disk", lambda: disk)
    assert run_files(arguments(*words)) == 3  # two rows fail
    disk.close()
    return {path.name: path.read_bytes() for path in disk.folder.iterdir()}


@pytest.mark.parametrize("ending", [".csv", ".csv.gz", ".parquet"])
def test_power_cuts(
    ending: str, model: Model, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if ending == ".parquet":
        pytest.importorskip("pyarrow")
    given, out = texts(tmp_path), tmp_path / "out"
    out.mkdir()
    opened = open_files()
    words = ["-i", given, "-o", out / f"answers{ending}", "--max-errors", 2]
    whole = FallibleDisk(out)
    wanted = run_on(whole, words, monkeypatch)
    assert sorted(wanted) == [f"answers{ending}", f"answers{ending}.errors.jsonl"]
    saved: list[int] = []
    save = partial.Partial.save

    def saving(self: partial.Partial, state: partial.State) -> None:
        save(self, state)
        saved.append(state.rows)

    monkeypatch.setattr(partial.Partial, "save", saving)
    chance = random.Random(7)  # noqa: S311 - no secret
    cuts = 0
    for calls in range(whole.calls):
        for path in out.iterdir():
            path.unlink()
        if calls % 2:
            (out / f"answers{ending}").write_bytes(b"of an earlier run")
        left: int | None = calls
        while left is not None:
            disk = FallibleDisk(out, left)
            try:
                with pytest.raises(PowerCut):
                    run_on(disk, words, monkeypatch)
            except pytest.fail.Exception:  # a second cut came too late
                break
            disk.reboot(chance)
            cuts += 1
            left = chance.choice([None, None, chance.randint(0, whole.calls)])
        kept, model.asked = max(saved, default=0), []
        journal = out / f"answers{ending}.partial.journal"
        if left is not None or (not journal.exists() and saved):
            assert (out / f"answers{ending}").read_bytes() == wanted[f"answers{ending}"]
            kept = 0  # finished: the same command begins anew
        assert run_on(FallibleDisk(out), words, monkeypatch) == wanted, calls
        assert len(model.asked) <= ROWS - kept
        saved.clear()
    assert cuts >= whole.calls
    assert open_files() <= opened  # whatever failed, no file was left open
