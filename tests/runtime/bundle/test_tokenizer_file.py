"""A ``tokenizer.json`` that would panic, hang or fill the memory is refused before it is built."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tokenizers import Tokenizer

from leanbert.bundle.tokenizer_file import check_tokenizer
from leanbert.errors import BundleCorruptError
from tests.helpers.tiny_words import tokenizer

PATH = Path("somewhere") / "tokenizer.json"
Json = dict[str, Any]


def content(**changes: Any) -> Json:
    made: Json = json.loads(tokenizer().to_str())
    return made | changes


def check(made: Json) -> None:
    check_tokenizer(json.dumps(made).encode(), PATH)


def refused(made: Json) -> str:
    with pytest.raises(BundleCorruptError) as caught:
        check(made)
    message = str(caught.value)
    assert message.startswith(f"{PATH}: not a tokenizer (")
    assert "\n" not in message
    return message


def charsmap(mapped: dict[str, str]) -> str:
    """A map of single ASCII characters as SentencePiece writes it, in base64."""
    units = np.zeros(512, dtype=np.uint32)
    texts = b""
    units[0] = 0 << 10  # the root: its children stand at 0 ^ character
    for character, into in mapped.items():
        place = ord(character)
        # The child's own children stand in the second block; the leaf at its very offset.
        child = 256 + place
        units[place] = ((child ^ place) << 10) | 0x100 | place
        units[child] = 0x80000000 | len(texts)
        texts += into.encode() + b"\0"
    data = (4 * len(units)).to_bytes(4, "little") + units.astype("<u4").tobytes() + texts
    return base64.b64encode(data).decode()


def precompiled(charsmap: object) -> Json:
    return {"type": "Precompiled", "precompiled_charsmap": charsmap}


def split(pattern: str) -> Json:
    return {
        "type": "Split", "pattern": {"Regex": pattern}, "behavior": "Isolated", "invert": False,
    }  # fmt: skip


def template(**changes: Any) -> Json:
    piece = {"SpecialToken": {"id": "[CLS]", "type_id": 0}}
    text = {"Sequence": {"id": "A", "type_id": 0}}
    made = {
        "type": "TemplateProcessing",
        "single": [piece, text],
        "pair": [piece, text, {"Sequence": {"id": "B", "type_id": 1}}],
        "special_tokens": {"[CLS]": {"id": "[CLS]", "ids": [2], "tokens": ["[CLS]"]}},
    }
    return made | changes


def test_a_tokenizer_of_every_part_is_accepted() -> None:
    made = content(
        normalizer={"type": "Sequence", "normalizers": [precompiled(charsmap({"A": "b"}))]},
        pre_tokenizer={"type": "Sequence", "pretokenizers": [split(r"\s+")]},
        post_processor=template(),
    )
    check(made)
    built = Tokenizer.from_str(json.dumps(made))
    assert built.normalizer.normalize_str("xAx") == "xbx"  # the map above is one
    assert built.encode("a").ids == [2, 5]


@pytest.mark.parametrize("data", [b"", b"[]", b"{", b"\xff", b"7"])
def test_what_is_no_json_object(data: bytes) -> None:
    with pytest.raises(BundleCorruptError, match=r"tokenizer\.json"):
        check_tokenizer(data, PATH)


@pytest.mark.parametrize("model", [None, [], "WordPiece"])
def test_a_model_that_is_none(model: object) -> None:
    assert "model is" in refused(content(model=model))


@pytest.mark.parametrize("number", [1 << 31, 3 * 10**9, 10**400, "x", None])
def test_ids_beyond_32_bits(number: object) -> None:
    made = content()
    made["model"]["vocab"]["growth"] = number
    assert "model.vocab" in refused(made)


def test_ids_of_added_tokens() -> None:
    made = content()
    made["added_tokens"][0]["id"] = 1 << 31
    assert "added_tokens[0].id" in refused(made)


@pytest.mark.parametrize("unknown", ["[NOPE]", None, 5])
def test_an_unknown_token_that_is_not_there(unknown: object) -> None:
    made = content()
    made["model"]["unk_token"] = unknown
    assert "model.unk_token is" in refused(made)


def test_words_without_a_bound() -> None:
    made = content()
    made["model"]["max_input_chars_per_word"] = 10**9
    assert "max_input_chars_per_word" in refused(made)


def test_a_pattern_without_a_bound() -> None:
    message = refused(content(pre_tokenizer=split("(x+x+)+y")))
    assert "pre_tokenizer: the regular expression '(x+x+)+y' has several open" in message
    nested = {"type": "Sequence", "pretokenizers": [split("a"), split("(x+)+y")]}
    assert "pre_tokenizer.pretokenizers[1]" in refused(content(pre_tokenizer=nested))
    decoder = {"type": "Replace", "pattern": {"Regex": "(x+)+y"}, "content": ""}
    assert "decoder: the regular expression" in refused(content(decoder=decoder))


def replace(pattern: Json, into: str) -> Json:
    return {"type": "Replace", "pattern": pattern, "content": into}


def test_a_normalizer_that_multiplies_a_text() -> None:
    doubling = [replace({"String": "a"}, "aa")] * 7
    made = content(normalizer={"type": "Sequence", "normalizers": doubling})
    assert "may make 128 characters of one" in refused(made)
    made["normalizer"]["normalizers"] = doubling[:6]
    check(made)
    made["normalizer"]["normalizers"] = [replace({"Regex": " {2,}"}, "\u2581")]
    check(made)
    made["normalizer"]["normalizers"] = [replace({"String": ""}, "x" * 100)]
    assert "may make 101 characters of one" in refused(made)


def test_more_steps_than_anybody_needs() -> None:
    steps = [{"type": "Lowercase"}] * 501
    assert "steps" in refused(content(normalizer={"type": "Sequence", "normalizers": steps}))


def test_steps_in_many_levels_are_looked_at() -> None:
    step: Json = split("(x+)+y")
    for _ in range(300):
        step = {"type": "Sequence", "pretokenizers": [step]}
    assert "the regular expression" in refused(content(pre_tokenizer=step))


@pytest.mark.parametrize("length", [0, -1, None, 1 << 40])
def test_pieces_of_no_length(length: object) -> None:
    made = content(pre_tokenizer={"type": "FixedLength", "length": length})
    assert "pre_tokenizer.length" in refused(made)


@pytest.mark.parametrize("kind", ["BertProcessing", "RobertaProcessing"])
@pytest.mark.parametrize("end", [["[SEP]", 1 << 31], ["[SEP]"], None, ["[SEP]", "3"]])
def test_ends_that_are_none(kind: str, end: object) -> None:
    made = content(post_processor={"type": kind, "sep": end, "cls": ["[CLS]", 2]})
    assert "post_processor.sep" in refused(made)


@pytest.mark.parametrize(
    ("change", "word"),
    [
        ({"special_tokens": {}}, "which special_tokens lacks"),
        ({"special_tokens": None}, "special_tokens is"),
        ({"special_tokens": {"[CLS]": {"ids": [1 << 31]}}}, "a whole number"),
        ({"special_tokens": {"[CLS]": {"ids": [2] * 65}}}, "ids"),
        ({"single": [{"Sequence": {"id": "A", "type_id": 1 << 31}}]}, "type_id"),
        ({"single": [{"Sequence": {"id": "A", "type_id": 0}}] * 65}, "65 pieces"),
        ({"pair": 5}, "pair is"),
    ],
)
def test_templates_that_are_none(change: Json, word: str) -> None:
    assert word in refused(content(post_processor=template(**change)))


def damaged(change: Callable[[bytearray], object]) -> str:
    data = bytearray(base64.b64decode(charsmap({"A": "b"})))
    change(data)
    return base64.b64encode(bytes(data)).decode()


def unit(place: int, value: int) -> Callable[[bytearray], object]:
    return lambda data: data.__setitem__(
        slice(4 + 4 * place, 8 + 4 * place), value.to_bytes(4, "little")
    )


@pytest.mark.parametrize(
    ("value", "word"),
    [
        ("", "no trie"),
        (base64.b64encode(bytes(4)).decode(), "no trie"),
        (base64.b64encode(b"\4\0\0\0" + bytes(4)).decode(), "no trie"),
        (base64.b64encode(b"\xff" * 8).decode(), "no trie"),
        ("!", "not in base64"),
        (None, "expected a string"),
        (damaged(unit(65, 1 << 25 | 0x100 | 65)), "leaves its array"),
        (damaged(unit(0, 0x7FFFFFFF)), "leaves its array"),
        (damaged(unit(256 + 65, 0x80000000 | 10**6)), "points to no text"),
        (damaged(lambda data: data.extend(b"\xff")), "no UTF-8"),
        (damaged(lambda data: data.extend(b"x" * 500)), "long texts of one character"),
    ],
)
def test_maps_of_characters_that_are_none(value: object, word: str) -> None:
    assert word in refused(content(normalizer=precompiled(value)))


def test_real_maps_of_characters_are_accepted(data_dir: Path) -> None:
    path = data_dir / "tokenizers" / "t5-small" / "tokenizer.json"
    if not path.is_file():
        pytest.skip(f"no {path}")
    check_tokenizer(path.read_bytes(), path)
