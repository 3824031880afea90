from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from leanbert.errors import InputError
from leanbert_bench.workload import read_workload

if TYPE_CHECKING:
    from pathlib import Path


def test_txt_has_one_text_a_line(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\ufeffone\n\n  \ntwo, é\n", encoding="utf-8")
    found = read_workload(path)
    assert (found.texts, found.labels, found.rows) == (["one", "two, é"], None, 2)


def test_csv_columns_and_limit(tmp_path: Path) -> None:
    path = tmp_path / "texts.csv"
    path.write_text("y,body\n" + "".join(f'l{i},"a, {i}"\n' for i in range(20)))
    found = read_workload(path, text_column="body", label_column="y", limit=5)
    assert found == read_workload(path, text_column="body", label_column="y", limit=5)
    assert (found.rows, len(found.texts)) == (20, 5)
    assert found.labels == [f"l{text.removeprefix('a, ')}" for text in found.texts]


def test_order_depends_on_the_turn_only(tmp_path: Path) -> None:
    path = tmp_path / "texts.txt"
    path.write_text("\n".join(map(str, range(30))))
    found = read_workload(path)
    assert found.shuffled(1) == found.shuffled(1) != found.shuffled(2)
    assert sorted(found.shuffled(1)) == sorted(found.texts)


@pytest.mark.parametrize(
    ("name", "content", "label_column", "message"),
    [
        ("a.txt", b"\n \n", None, "has no texts"),
        ("a.txt", b"x\n", "label", "no columns"),
        ("a.txt", b"\xff\xfe\xfa", None, "UTF-8"),
        ("a.csv", b"text\nx\n", "label", "no column 'label'; it has text"),
        ("a.csv", b"", None, "no column 'text'"),
        ("a.parquet", b"", None, "use .txt or .csv"),
    ],
)
def test_unusable_files_are_one_line(
    tmp_path: Path, name: str, content: bytes, label_column: str | None, message: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(InputError, match=message) as caught:
        read_workload(path, label_column=label_column)
    assert "\n" not in str(caught.value)


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_workload(tmp_path / "a.txt")


def test_tabs_separate_where_the_header_has_them(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("\ttext\tlabel\n7\tSales, net , rose\tpositive\n")
    read = read_workload(path, label_column="label")
    assert (read.texts, read.labels) == (["Sales, net , rose"], ["positive"])
