"""Compare the C library's tokenizer with the tokenizers package on random texts and tokenizers.

    python -m tests.native.tokenizer_fuzz --count 1000000
    python -m tests.native.tokenizer_fuzz --texts FOLDER --tokenizer tokenizer.json

Ids, types, places, words and whether a text was cut must be the same, for texts of every kind, also
where their UTF-8 is damaged, under random vocabularies, normalizers, added tokens, special tokens
and limits. One process, about a million texts in two minutes; the first difference ends it with
what repeats it.
"""

from __future__ import annotations

import argparse
import codecs
import json
import random
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any

import tokenizers

from leanbert.tokenization.settings import configure, has_token_types, side_of
from tests.helpers.native_text import UNBOUNDED, NativeTokenizer, RefusedError
from tests.helpers.random_texts import TokenizerCase, random_bytes, random_case, random_text

ROOT = Path(__file__).resolve().parents[2]
EMBEDDED = ROOT / "models" / "leanbert_models" / "financial_sentiment" / "tokenizer.json"
_PER_CASE = 500  # texts of one tokenizer


@dataclass(frozen=True)
class Decoded:
    """Bytes as Python reads them, with where each character stands."""

    text: str
    starts: list[int]
    """The first byte of each character, and the end."""

    @classmethod
    def of(cls, data: bytes) -> Decoded:
        """The text of some bytes, U+FFFD for what is no character."""
        wrong: list[tuple[int, int]] = []

        def note(error: UnicodeError) -> tuple[str, int]:
            assert isinstance(error, UnicodeDecodeError)
            wrong.append((error.start, error.end))
            return "\ufffd", error.end

        codecs.register_error("tokenizer_fuzz", note)
        text = data.decode("utf-8", "tokenizer_fuzz")
        starts, at = [0], 0
        waiting = dict(wrong)
        for character in text:
            at = waiting.get(at) or at + len(character.encode())
            starts.append(at)
        return cls(text, starts)


class Reference:
    """The tokenizers package, set up as LeanBERT's Python side does it."""

    def __init__(self, case: TokenizerCase) -> None:
        settings = json.loads(case.config or "{}")
        self._base = tokenizers.Tokenizer.from_str(case.content)
        configure(self._base, settings)
        side = side_of(settings, "truncation_side", self._base.truncation)
        self._base.no_padding()
        self._base.no_truncation()
        if case.max_tokens is not None:
            self._base.enable_truncation(case.max_tokens, direction=side)
        self._typed = has_token_types(settings)

    def encode(self, texts: Sequence[Decoded]) -> list[tuple[Any, ...]]:
        """Ids, types, places in bytes, words and whether it was cut, of each text."""
        rows = self._base.encode_batch([text.text for text in texts])
        return [
            (
                row.ids,
                row.type_ids if self._typed else [0] * len(row.ids),
                [[text.starts[first], text.starts[last]] for first, last in row.offsets],
                [-1 if word is None else word for word in row.word_ids],
                bool(row.overflowing),
            )
            for text, row in zip(texts, rows, strict=True)
        ]


def differences(case: TokenizerCase, texts: Sequence[bytes]) -> list[tuple[bytes, Any, Any]]:
    """Texts with what each of the two makes of them, where that differs."""
    native = NativeTokenizer(case.content, case.config)
    expected = Reference(case).encode([Decoded.of(text) for text in texts])
    found = [
        (
            one.ids.tolist(),
            one.types.tolist(),
            one.offsets.tolist(),
            one.words.tolist(),
            one.cut,
        )
        for one in native.encode(texts, case.max_tokens or UNBOUNDED)
    ]
    return [
        (text, own, other)
        for text, own, other in zip(texts, found, expected, strict=True)
        if own != other
    ]


def lines(path: Path) -> Iterator[bytes]:
    """The lines of a file, as they are."""
    with path.open("rb") as file:
        for line in file:
            yield line.rstrip(b"\r\n")


def compare_files(paths: Iterable[Path], case: TokenizerCase) -> int:
    """Compare every line of some files; returns how many there were.

    Raises:
        AssertionError: there is a difference.
    """
    count = 0
    for path in paths:
        rest = lines(path)
        while texts := list(islice(rest, 1000)):
            wrong = differences(case, texts)
            assert not wrong, f"{path}: {_shown(case, wrong[0])}"
            count += len(texts)
    return count


def compare(count: int, seed: int, base: Path | None = None, *, per_case: int = _PER_CASE) -> int:
    """Compare ``count`` texts; returns how many tokenizers were refused, and replaced by others.

    Raises:
        AssertionError: there is a difference.
    """
    content = base.read_text(encoding="utf-8") if base else None
    refused = 0
    for start in range(0, count, per_case):
        draw = random.Random(f"{seed}/{start}")  # noqa: S311
        texts = [
            random_bytes(draw) if draw.random() < 0.1 else random_text(draw).encode()
            for _ in range(min(per_case, count - start))
        ]
        while True:  # until a tokenizer is not refused
            case = random_case(draw, content if draw.random() < 0.5 else None)
            try:
                wrong = differences(case, texts)
            except RefusedError as error:
                refused += 1
                assert _may_be_refused(str(error)), f"seed {seed}/{start}: {error}"
                continue
            assert not wrong, f"seed {seed}/{start}: {_shown(case, wrong[0])}"
            break
    return refused


def _may_be_refused(line: str) -> bool:
    """Whether the line names what random cases have and the C library does not do."""
    allowed = ("when it is normalized", "RobertaProcessing trims its place")
    return any(words in line for words in allowed)


def _shown(case: TokenizerCase, difference: tuple[bytes, Any, Any]) -> str:
    content = json.loads(case.content)
    del content["model"]["vocab"]
    text, own, other = difference
    return f"{text!r}\n{own}\nexpected {other}\n{content}\n{case.config} {case.max_tokens}"


def main() -> int:
    """Run the comparison."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--count", type=int, default=1_000_000, help="texts")
    parser.add_argument("--seed", type=int, default=0, help="another seed, other texts")
    parser.add_argument("--tokenizer", type=Path, default=EMBEDDED, help="a tokenizer.json")
    parser.add_argument("--texts", type=Path, help="compare the lines of a folder's files instead")
    options = parser.parse_args()
    try:
        if options.texts:
            case = TokenizerCase(options.tokenizer.read_text(encoding="utf-8"), "", None)
            files = sorted(path for path in options.texts.rglob("*") if path.is_file())
            print(f"{compare_files(files, case):,} lines of {len(files)} files: no difference")
            return 0
        refused = compare(options.count, options.seed, options.tokenizer)
    except AssertionError as error:
        print(error, file=sys.stderr)
        return 1
    cases = -(-options.count // _PER_CASE)
    print(f"{options.count:,} texts, {cases:,} tokenizers ({refused} refused): no difference")
    return 0


if __name__ == "__main__":
    sys.exit(main())
