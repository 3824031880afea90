"""Lines of any encoding, with whatever ends them, read in blocks of any size."""

from __future__ import annotations

import io
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from leanbert.errors import InputError
from leanbert.records import lines
from leanbert.records.lines import read_lines


class Trickle(io.BytesIO):
    """A pipe that gives a few bytes at a time."""

    def __init__(self, data: bytes, size: int) -> None:
        super().__init__(data)
        self._size = size

    def read1(self, size: int | None = -1) -> bytes:
        return super().read1(self._size)


def read(data: bytes, encoding: str = "utf-8", size: int = 1 << 20) -> list[str]:
    return list(read_lines(Trickle(data, size), "a.txt", encoding))


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("data", "wanted"),
    [
        (b"", []),
        (b"a", ["a"]),
        (b"a\n", ["a\n"]),
        (b"\n\na", ["\n", "\n", "a"]),
        (b"a\r\nb\r\n", ["a\r\n", "b\r\n"]),
        (b"a\rb\rc", ["a\r", "b\r", "c"]),  # an old spreadsheet's
        (b"a\rb\rc\r", ["a\r", "b\r", "c\r"]),
        (b"a\rb\r\nc\n", ["a\r", "b\r\n", "c\n"]),
        (b"a\nb\rc\nd\r", ["a\n", "b\rc\n", "d\r"]),  # a return within a text
        (b"\xef\xbb\xbfa\n\xef\xbb\xbfb", ["a\n", "\ufeffb"]),
        ("é…\u2028x\x0bz\n".encode(), ["é…\u2028x\x0bz\n"]),  # nothing else ends a line
    ],
)
def test_what_ends_a_line(data: bytes, wanted: list[str], size: int) -> None:
    assert read(data, size=size) == wanted


@given(st.text(st.sampled_from("ab\r\né"), max_size=30), st.integers(1, 7))
def test_no_character_is_lost_and_blocks_do_not_matter(text: str, size: int) -> None:
    found = read(text.encode(), size=size)
    assert "".join(found) == text
    assert found == read(text.encode())
    first = text.partition("\n")[0]
    if "\r" not in first.removesuffix("\r"):
        assert found == io.StringIO(text, newline="\n").readlines() or "\n" not in text


@pytest.mark.parametrize("encoding", ["utf-16", "utf-16-le", "utf-16-be", "utf-32", "latin-1"])
@pytest.mark.parametrize("size", [1, 3, 100])
def test_other_encodings(encoding: str, size: int) -> None:
    assert read("profit\nü Ċ\nx".replace("Ċ", "c").encode(encoding), encoding, size) == [
        "profit\n",
        "ü c\n",
        "x",
    ]


def test_the_line_feed_of_utf_16_is_two_bytes() -> None:
    assert read("aĊ\nb".encode("utf-16"), "utf-16") == ["aĊ\n", "b"]  # U+010A has the byte 0x0A


@pytest.mark.parametrize("size", [1, 4, 1 << 20])
@pytest.mark.parametrize(
    ("data", "encoding", "number"),
    [
        (b"a\nb\ncaf\xe9 d\n", "utf-8", 3),
        (b"caf\xe9", "utf-8", 1),
        (b"a\n\xe2\x82", "utf-8", 2),  # cut in the middle of a character
        ("a\nb".encode("utf-16") + b"c", "utf-16", 2),
    ],
)
def test_bytes_of_another_encoding(data: bytes, encoding: str, number: int, size: int) -> None:
    found: list[Any] = []
    with pytest.raises(InputError, match=rf"^a\.txt: line {number}: not valid {encoding} \("):
        found.extend(read_lines(Trickle(data, size), "a.txt", encoding))
    assert len(found) == number - 1


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (b"\x1f\x8b\x08\x00", "is compressed with gzip"),
        (b"\x28\xb5\x2f\xfd", "is compressed with zstd"),
        (b"PK\x03\x04", "is a ZIP archive or an Excel workbook"),
        (b"PAR1", "is a Parquet file"),
        (b"%PDF-1.7", "is a PDF"),
        (b"ARROW1\0\0", "is an Arrow file; its name should end in .arrow"),
        ("text".encode("utf-16-le"), "pass --encoding utf-16-le"),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "latin-1"])
def test_another_kind_of_file_is_named(data: bytes, said: str, encoding: str) -> None:
    with pytest.raises(InputError, match=r"^a\.txt: ") as caught:
        read(data, encoding)
    assert said in str(caught.value)


MARKED = [
    ("aü\n".encode("utf-16"), "UTF-16"),
    (b"\xfe\xff\0a\0\xfc\0\n", "UTF-16"),
    ("aü\n".encode("utf-32"), "UTF-32"),
    (b"\xef\xbb\xbfa\xc3\xbc\n", "UTF-8"),
]


@pytest.mark.parametrize(("data", "name"), MARKED)
@pytest.mark.parametrize("size", [4, 100])
def test_the_mark_of_an_encoding_is_obeyed(data: bytes, name: str, size: int) -> None:
    assert read(data, "utf-8", size) == ["aü\n"]
    assert read(data, "UTF8", size) == ["aü\n"]


@pytest.mark.parametrize(("data", "name"), MARKED[:3])
def test_a_mark_that_contradicts_the_encoding_is_named(data: bytes, name: str) -> None:
    with pytest.raises(InputError, match=f"begins as {name} does; pass --encoding {name.lower()}"):
        read(data, "latin-1")


def test_bytes_that_cannot_be_decoded_stay_if_asked_for() -> None:
    found = list(read_lines(io.BytesIO(b"a\ncaf\xe9\nc\n"), "a.txt", "utf-8", keep_bytes=True))
    assert list(map(lines.undecodable, found)) == [False, True, False]
    assert lines.shows_bytes(found[1]) == "caf\\xe9\n"


def test_a_file_without_lines_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lines, "MOST_CHARACTERS", 100)
    assert read(b"a" * 100 + b"\n" + b"b" * 100, size=30) == ["a" * 100 + "\n", "b" * 100]
    with pytest.raises(InputError, match="a line is longer than 100 characters"):
        read(b"a" * 150, size=30)
