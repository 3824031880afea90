"""The C library's tokenizer: the tokenizers package's tokens, or one line that says why not."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.helpers.native_text import UNBOUNDED, NativeTokenizer, RefusedError, normalize
from tests.helpers.random_texts import TokenizerCase, random_case, random_text
from tests.helpers.real_texts import AWKWARD, LONG
from tests.native.tokenizer_fuzz import EMBEDDED, compare, differences, lines

ROOT = Path(__file__).resolve().parents[2]


def words(*tokens: str, **changes: Any) -> dict[str, Any]:
    """A ``tokenizer.json`` of BERT's kind with a small vocabulary."""
    names = dict.fromkeys(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *tokens])
    vocabulary = {name: number for number, name in enumerate(names)}
    flags = {"single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    content: dict[str, Any] = {
        "version": "1.0",
        "truncation": None,
        "padding": None,
        "added_tokens": [
            {"id": number, "content": name, **flags, "special": True}
            for name, number in list(vocabulary.items())[:5]
        ],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", 3], "cls": ["[CLS]", 2]},
        "decoder": None,
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": vocabulary,
        },
    }
    return {**content, **changes}


def opened(content: dict[str, Any], config: dict[str, Any] | None = None) -> NativeTokenizer:
    """The tokenizer of two files."""
    return NativeTokenizer(json.dumps(content), json.dumps(config) if config else b"")


def tokens(tokenizer: NativeTokenizer, text: str | bytes, most: int = UNBOUNDED) -> list[str]:
    """The tokens of a text, as they stand in the vocabulary."""
    [found] = tokenizer.encode([text], most)
    return [tokenizer.token(number) for number in found.ids.tolist()]


def test_random_texts_and_tokenizers() -> None:
    """A short run of what ``python -m tests.native.tokenizer_fuzz`` does a million times."""
    compare(5_000, 7, EMBEDDED, per_case=80)


@pytest.mark.parametrize("max_tokens", [None, 512, 7])
def test_awkward_texts(max_tokens: int | None) -> None:
    case = TokenizerCase(EMBEDDED.read_text(encoding="utf-8"), "", max_tokens)
    assert not differences(case, [text.encode() for text in (*AWKWARD, LONG)])


def test_real_texts(data_dir: Path) -> None:
    folder = data_dir / "tokenizers"
    for name in ("bert-base-uncased", "bert-base-multilingual-uncased"):
        case = TokenizerCase((folder / name / "tokenizer.json").read_text(encoding="utf-8"), "", 64)
        texts = list(lines(data_dir / "wnut17" / "wnut17train.conll"))[:300]
        texts += list(lines(data_dir / "finbert_reference" / "finbert_probs.jsonl"))[:500]
        texts += list(lines(data_dir / "phrasebank" / "Sentences_AllAgree.txt"))[:500]  # no UTF-8
        assert not differences(case, texts)


def test_a_token_knows_its_bytes_and_word() -> None:
    tokenizer = opened(words("zu", "##rich", "東", ".", "s", "##s"))
    [found] = tokenizer.encode(["Zu\u0308rich 東.ẞ", "Zürich"])[:1]
    assert tokens(tokenizer, "Zu\u0308rich 東.") == ["[CLS]", "zu", "##rich", "東", ".", "[SEP]"]
    assert found.offsets.tolist()[1:5] == [[0, 2], [4, 8], [9, 12], [12, 13]]
    assert found.words.tolist() == [-1, 0, 0, 1, 2, 3, -1]


@pytest.mark.parametrize(
    ("data", "offsets"),
    [
        (b"a\xffa", [[0, 3]]),  # U+FFFD is dropped, and the word goes on
        (b"a\xed\xa0\x80 a", [[0, 1], [5, 6]]),  # a surrogate: three bytes that are none
        (b"a \xf0\x9f\x98a", [[0, 1], [5, 6]]),  # a character that does not end
        (b"\xe2\x82", []),
    ],
)
def test_bytes_that_are_no_utf8(data: bytes, offsets: list[list[int]]) -> None:
    [found] = opened(words("a", "aa")).encode([data])
    assert found.offsets.tolist()[1:-1] == offsets


def test_cuts_on_both_sides() -> None:
    right = opened(words("a", "b", "c", "d"))
    left = opened(words("a", "b", "c", "d"), {"truncation_side": "left"})
    assert tokens(right, "a b c d", 4) == ["[CLS]", "a", "b", "[SEP]"]
    assert tokens(left, "a b c d", 4) == ["[CLS]", "c", "d", "[SEP]"]
    for tokenizer in (right, left):
        [cut] = tokenizer.encode(["a b c d"], 4)
        [whole] = tokenizer.encode(["a b c d"], 6)
        assert (cut.cut, whole.cut) == (True, False)
        with pytest.raises(RefusedError, match="max_tokens is 2; 2 special tokens leave no room"):
            tokenizer.encode(["a"], 2)


def test_names_of_tokens() -> None:
    tokenizer = opened(words("a", "##a"), {"unk_token": "[MASK]"})
    assert (tokenizer.unknown, tokenizer.special) == (4, 2)
    assert (tokenizer.id("##a"), tokenizer.id("##b"), tokenizer.token(6)) == (6, -1, "##a")
    assert (tokenizer.token(7), tokenizer.token(-1)) == ("", "")
    assert opened(words(), {"unk_token": {"content": "[PAD]"}}).unknown == 0
    assert opened(words(), {"unk_token": "missing"}).unknown == -1
    assert opened(words()).unknown == 1
    map_alone = NativeTokenizer(json.dumps(words()), b"", b'{"unk_token": "[SEP]"}')
    assert map_alone.unknown == 3


@pytest.mark.parametrize(
    ("config", "expected"),
    [
        ({}, ["e"]),
        ({"do_lower_case": False}, ["É"]),
        ({"tokenizer_class": "BertTokenizer"}, ["e"]),
        ({"tokenizer_class": "BertTokenizerFast", "do_lower_case": False}, ["É"]),
        ({"strip_accents": False}, ["é"]),
        ({"strip_accents": True, "do_lower_case": False}, ["E"]),
        ({"tokenizer_class": "OtherTokenizer", "do_lower_case": False}, ["e"]),
    ],
)
def test_settings_win_over_the_tokenizer(config: dict[str, Any], expected: list[str]) -> None:
    assert tokens(opened(words("e", "é", "E", "É"), config), "É")[1:-1] == expected


@pytest.mark.parametrize(
    ("config", "types"),
    [
        ({}, [5, 6, 7]),
        ({"tokenizer_class": "DistilBertTokenizer"}, [0, 0, 0]),
        ({"model_input_names": ["input_ids"]}, [0, 0, 0]),
        ({"tokenizer_class": "MPNetTokenizer", "model_input_names": ["token_type_ids"]}, [5, 6, 7]),
    ],
)
def test_token_types(config: dict[str, Any], types: list[int]) -> None:
    single = [
        {"SpecialToken": {"id": "[CLS]", "type_id": 5}},
        {"Sequence": {"id": "A", "type_id": 6}},
        {"SpecialToken": {"id": "[SEP]", "type_id": 7}},
    ]
    known = {name: {"id": name, "ids": [1], "tokens": [name]} for name in ("[CLS]", "[SEP]")}
    template = {"type": "TemplateProcessing", "single": single, "pair": [], "special_tokens": known}
    [found] = opened(words("a", post_processor=template), config).encode(["a"])
    assert found.types.tolist() == types


def model(**changes: Any) -> dict[str, Any]:
    """The same with a changed model."""
    content = words()
    return {**content, "model": {**content["model"], **changes}}


def added(**changes: Any) -> dict[str, Any]:
    """The same with one more added token."""
    content = words()
    token = {**content["added_tokens"][0], "id": 5, "content": "new", **changes}
    return {**content, "added_tokens": [*content["added_tokens"], token]}


REFUSED: list[tuple[dict[str, Any], str]] = [
    (words(other=1), 'has the key "other"'),
    (model(type="BPE"), 'model.type is "BPE"'),
    (model(unk_token="?"), 'model.unk_token is "?", which model.vocab lacks'),  # noqa: S106
    (model(max_input_chars_per_word=10_001), "max_input_chars_per_word is 10001"),
    (model(max_input_chars_per_word=1.0), "max_input_chars_per_word is a number that is not"),
    (model(continuing_subword_prefix=None), "continuing_subword_prefix is null"),
    (model(dropout=0.1), 'model has the key "dropout"'),
    (model(vocab=["[UNK]"]), "model.vocab is not an object"),
    (model(vocab={"[UNK]": -1}), "an id of model.vocab is -1"),
    (model(vocab={"[UNK]": 1 << 31}), "an id of model.vocab is 2147483648"),
    (model(vocab={"[UNK]": 1, "a": 1}), "two tokens of the id 1"),
    (words(normalizer={"type": "NFKC"}), 'normalizer is "NFKC"'),
    (words(normalizer={"type": "Sequence", "normalizers": [{"type": "Strip"}]}), '"Strip"'),
    (words(normalizer={"type": "BertNormalizer", "lowercase": True}), "clean_text is missing"),
    (words(pre_tokenizer=None), "pre_tokenizer is null"),
    (words(pre_tokenizer={"type": "Whitespace"}), 'pre_tokenizer is "Whitespace"'),
    (words(post_processor={"type": "ByteLevel"}), 'post_processor is "ByteLevel"'),
    (words(post_processor={"type": "BertProcessing", "sep": ["a"]}), "post_processor.cls is"),
    (added(id=7), "the id 7, and tokenizers gives it 5"),
    (added(content="[PAD]", id=0), "stands twice"),
    (added(content=""), "an added token is empty"),
    (added(content="\u0301", normalized=True), "empty when it is normalized"),
    (added(lstrip=None), "lstrip is null"),
    (added(flag=True), 'has the key "flag"'),
    (added(content=" ", rstrip=True), "white space that another one takes"),
]


@pytest.mark.parametrize(("content", "why"), REFUSED, ids=[why for _, why in REFUSED])
def test_refuses_what_it_does_not_do(content: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match=r"^tokenizer\.json: ") as refused:
        opened(content)
    assert why in str(refused.value)
    assert "\n" not in str(refused.value)


@pytest.mark.parametrize(
    ("config", "why"),
    [
        ({"truncation_side": "middle"}, 'truncation_side is "middle"; expected left or right'),
        ({"padding_side": 1}, "padding_side is 1; expected a string"),
        ({"do_lower_case": "no"}, 'do_lower_case is "no"; expected true or false'),
        ({"split_special_tokens": 1}, "split_special_tokens is 1; expected true or false"),
        ({"model_input_names": "input_ids"}, 'model_input_names is "input_ids"; expected a list'),
        ({"added_tokens_decoder": {"9": {"content": "x"}}}, 'adds the token "x"'),
        ({"added_tokens_decoder": {"9": {}}}, "a token of added_tokens_decoder is missing"),
    ],
)
def test_refuses_wrong_settings(config: dict[str, Any], why: str) -> None:
    with pytest.raises(RefusedError, match=r"^tokenizer_config\.json: ") as refused:
        opened(words(), config)
    assert why in str(refused.value)


def test_names_the_file_that_is_wrong() -> None:
    good = json.dumps(words())
    for number, name in enumerate(
        ("tokenizer.json", "tokenizer_config.json", "special_tokens_map.json")
    ):
        files = [good, "{}", "{}"]
        for broken, why in (("[]", "not a JSON object"), ("{", "not valid JSON")):
            files[number] = broken
            with pytest.raises(RefusedError, match=f"^{name}: {why}"):
                NativeTokenizer(*files)


def test_refuses_a_contradiction_that_changes_added_tokens() -> None:
    with pytest.raises(RefusedError, match="contradicts the normalizer"):
        opened(added(normalized=True, content="New"), {"do_lower_case": False})


@pytest.mark.parametrize("seed", range(40))
def test_broken_files_are_refused_in_one_line(seed: int) -> None:
    draw = random.Random(seed)  # noqa: S311
    case = random_case(draw)
    data = bytearray(case.content.encode())
    for _ in range(draw.randint(1, 3)):
        place = draw.randrange(len(data))
        data[place : place + 1] = bytes(draw.choices(b'{}[]:,"\\0-.9tn\xff', k=draw.randrange(3)))
    try:
        tokenizer = NativeTokenizer(bytes(data), case.config)
    except RefusedError as error:
        assert "\n" not in str(error)
        return
    tokenizer.encode([random_text(draw) for _ in range(20)])


HUGE: dict[str, tuple[Callable[[], bytes], list[str], bool]] = {
    "words": (lambda: b"ab c " * 2_000_000, ["ab", "c"] * 3, True),
    "one word": (lambda: b"a" * 10_000_000, ["[UNK]"], False),
    "white space": (lambda: b" \t\n\xc2\xa0" * 2_000_000 + b"c", ["c"], False),
    "controls": (lambda: b"\0" * 10_000_000 + b"c", ["c"], False),
    "ideographs": (lambda: "東".encode() * 3_000_000, ["東"] * 6, True),
    "marks": (lambda: b"c" + "\u0301".encode() * 5_000_000, ["c"], False),
    "marks to order": (lambda: b"c" + "\u0301\u0323".encode() * 2_500_000, ["c"], False),
    "spacing marks": (lambda: b"c" + "\u302e".encode() * 3_000_000, ["[UNK]"], False),
    "special tokens": (lambda: b"[MASK]" * 1_700_000, ["[MASK]"] * 6, True),
    "almost special tokens": (lambda: b"[MAS" * 2_500_000, ["[UNK]"] * 6, True),
    "no UTF-8": (lambda: b"\xff" * 10_000_000 + b"c", ["c"], False),
}


@pytest.mark.parametrize("kind", HUGE)
def test_texts_of_ten_megabytes(kind: str) -> None:
    make, expected, cut = HUGE[kind]
    text = make()
    for side in ("right", "left"):
        tokenizer = opened(words("ab", "c", "東"), {"truncation_side": side})
        [found] = tokenizer.encode([text], 8)
        assert [tokenizer.token(number) for number in found.ids[1:-1].tolist()] == expected
        assert found.cut == cut


_GROWTH = """
import json, resource, sys
from tests.native.test_tokenizer import HUGE, opened, words
tokenizer = opened(words("ab", "c", "東"), {"truncation_side": sys.argv[2]})
text = HUGE[sys.argv[1]][0]()
tokenizer.encode_one_without_a_copy(b"warm", 8)
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
tokenizer.encode_one_without_a_copy(text, 8)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="ru_maxrss has another unit elsewhere")
@pytest.mark.parametrize("side", ["right", "left"])
@pytest.mark.parametrize("kind", ["words", "one word", "marks", "spacing marks"])
def test_memory_does_not_grow_with_the_text(kind: str, side: str) -> None:
    normalize("")  # skips where the library is not built, which the process cannot say
    done = subprocess.run(
        [sys.executable, "-c", _GROWTH, kind, side],
        capture_output=True,
        text=True,
        check=True,
        cwd=ROOT,
    )
    assert int(done.stdout) < 6 << 10  # KiB; the text has 10 MB
