"""A function of DuckDB answers as the pipeline does."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from leanbert import pipeline
from leanbert.errors import MissingExtraError, TaskError
from leanbert.integrations.duckdb import register

TEXTS = ["profit rose", None, "a bad loss"]


def test_a_function_registers_in_one_line(tiny_bundle: Path) -> None:
    duckdb = pytest.importorskip("duckdb")
    connection = duckdb.connect()
    register(connection, tiny_bundle)
    connection.execute("CREATE TABLE news AS SELECT unnest(?) AS text", [TEXTS])
    found = connection.execute("SELECT sentiment(text) FROM news").fetchall()
    wanted = iter(pipeline(model=tiny_bundle)(["profit rose", "a bad loss"]))
    assert [row[0] for row in found] == [next(wanted), None, next(wanted)]
    query = "SELECT sentiment(text).label FROM range(5000), news WHERE text IS NOT NULL"
    assert len(connection.execute(query).fetchall()) == 10_000


def test_what_is_registered(tiny_bundle: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    called: list[Any] = []
    connection = SimpleNamespace(
        create_function=lambda *args, **options: called.append((args, options)),
        struct_type=lambda fields: fields,
    )
    register(connection, pipeline(model=tiny_bundle), name="mood")
    (name, answer, takes, gives), _ = called[0]
    assert (name, takes, gives) == ("mood", ["VARCHAR"], {"label": "VARCHAR", "score": "DOUBLE"})
    found = answer(pyarrow.chunked_array([TEXTS])).to_pylist()
    assert found[1] is None
    assert found[0]["label"] == "positive"


def test_refusals(tiny_bundle: Path, tiny_features: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pyarrow")
    with pytest.raises(TaskError, match="only text-classification has a label"):
        register(None, tiny_features)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "leanbert\[bulk\]"'):
        register(None, tiny_bundle)
