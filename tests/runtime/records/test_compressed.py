"""Compressed files are read as others are, and what is damaged is named."""

from __future__ import annotations

import gzip
import sys
from pathlib import Path

import pytest

from leanbert.errors import InputError, MissingExtraError
from leanbert.records import open_table, read_rows, survey

CONTENT = {
    "a.txt": b"profit rose\na loss\n",
    "a.csv": b"text,n\nprofit rose,1\na loss,2\n",
    "a.tsv": b"text\tn\nprofit rose\t1\na loss\t2\n",
    "a.jsonl": b'{"text": "profit rose"}\n{"text": "a loss"}\n',
}


def texts(path: Path) -> list[str]:
    return [row.text("text") for row in read_rows(path)]


def zstd(data: bytes) -> bytes:
    pyarrow = pytest.importorskip("pyarrow")
    return bytes(pyarrow.compress(data, codec="zstd", asbytes=True))


@pytest.mark.parametrize("name", CONTENT)
@pytest.mark.parametrize("ending", [".gz", ".zst", ".GZ"])
def test_compressed_files_are_read(tmp_path: Path, name: str, ending: str) -> None:
    compress = zstd if ending == ".zst" else gzip.compress
    content = CONTENT[name]
    path = tmp_path / f"{name}{ending}"
    path.write_bytes(compress(content[:9]) + compress(content[9:]))  # several members
    assert texts(path) == ["profit rose", "a loss"]
    found = survey(path)
    assert found is not None
    assert found.rows == 2
    with open_table(path) as table:
        assert table.format == name.removeprefix("a.")


@pytest.mark.parametrize("ending", [".gz", ".zst"])
def test_damaged_files_are_named(tmp_path: Path, ending: str) -> None:
    compress = zstd if ending == ".zst" else gzip.compress
    path = tmp_path / f"a.txt{ending}"
    whole = compress(b"".join(b"line %d\n" % i for i in range(1000)))
    for data in (whole[:-9], whole[:40], b"plain text\n"):
        path.write_bytes(data)
        with pytest.raises(InputError, match=r"a\.txt\.(gz|zst): cannot be decompressed with"):
            texts(path)


def test_zstd_needs_a_library(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.txt.zst"
    path.write_bytes(b"")
    monkeypatch.setitem(sys.modules, "compression.zstd", None)
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    with pytest.raises(MissingExtraError, match=r'pip install "leanbert\[bulk\]"'):
        texts(path)


@pytest.mark.parametrize("ending", ["", ".gz"])
@pytest.mark.parametrize("name", ["a.arrow", "a.feather", "stream.arrow", "a.parquet"])
def test_arrow_files_and_streams(tmp_path: Path, name: str, ending: str) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    table = pyarrow.table({"text": ["profit rose", "a loss"], "when": [None, 5]})
    path = tmp_path / name
    if name.startswith("stream"):
        with pyarrow.ipc.new_stream(path, table.schema) as stream:
            stream.write_table(table, 1)
    elif name.endswith(".parquet"):
        parquet.write_table(table, path)
    else:
        with pyarrow.ipc.new_file(path, table.schema) as file:
            file.write_table(table, 1)
    if ending:
        path.with_name(name + ending).write_bytes(gzip.compress(path.read_bytes()))
        path = path.with_name(name + ending)
    with open_table(path) as opened:
        assert opened.schema == table.schema
        assert [row.values for row in opened.rows] == table.to_pylist()
    found = survey(path)
    assert found is not None
    assert (found.rows, found.columns) == (2, ("text", "when"))


def test_what_is_no_arrow_file_is_named(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    path = tmp_path / "a.arrow"
    for data, said in [(b"text\n", "not an Arrow file"), (b"FEA1....", "Feather's first version")]:
        path.write_bytes(data)
        with pytest.raises(InputError, match=said):
            texts(path)


def test_columns_of_one_name_and_fine_moments_of_parquet(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "a.parquet"
    moments = pyarrow.array([1], pyarrow.timestamp("ns"))
    table = pyarrow.Table.from_arrays([pyarrow.array(["a"]), moments, moments], ["text", "t", "t"])
    parquet.write_table(table, path)
    with pytest.warns(UserWarning, match="a later one is read as 't.2'"):
        [row] = read_rows(path)
    assert list(row.values) == ["text", "t", "t.2"]
    assert str(row.values["t.2"]) == "1970-01-01 00:00:00.000000001"
