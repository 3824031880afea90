"""studies.clusters: rates from what workers noted, and the table."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from leanbert.errors import InputError
from studies import clusters


def test_the_rate_counts_from_the_last_workers_first_batch(tmp_path: Path) -> None:
    (tmp_path / "1").write_text("0 4 100\n4 8 100\n8 10 50\n")  # of the first, 2 s come after it
    (tmp_path / "2").write_text("2 6 100\n6 10 100\n")
    assert clusters.rate(tmp_path, ended=12.0, workers=2) == (50 + 100 + 50 + 200) / 10
    with pytest.raises(InputError, match="2 of 3 workers answered rows"):
        clusters.rate(tmp_path, ended=12.0, workers=3)


def test_an_engine_that_is_not_installed_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(clusters, "_plain", lambda texts: 1.0)
    monkeypatch.setattr(clusters, "_worker", lambda texts: 1.0)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    assert clusters.main(["ray", "--rows", "10"]) == 1
    assert capsys.readouterr().err == "clusters: pyarrow is not installed: make clusters\n"
    assert clusters.main(["ray", "--rows", "0"]) == 1


def test_the_table_has_the_share_of_one_process() -> None:
    rates = {"plain": [100.0, 104.0], "worker": [55.0], "cluster": [90.0, 92.0]}
    lines = clusters.table(
        {"leanbert": "1", "cpu": "C", "engine": "ray", "version": "2", "workers": 2, "rows": 9,
         "texts_per_s": rates}
    ).splitlines()  # fmt: skip
    assert lines[2:5] == [
        "| one process on all cores | 102 | 1 |",
        "| one worker of one thread, the other core idle | 55 | 0.54 |",
        "| Ray 2, 2 workers | 91 | 0.89 |",
    ]
