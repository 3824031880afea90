"""Write ``src/text/unicode_tables.cpp``: what the tokenizers package knows of each code point.

    python runtime/native/tools/unicode_tables.py          # writes the file
    python runtime/native/tools/unicode_tables.py --check  # says whether it would change

The package mixes the tables of several Rust crates, of several versions of Unicode, so it is asked
itself about each of the 1,112,064 characters. The versions that are pinned in ``constraints.txt``
are the right ones to run this with.
"""

from __future__ import annotations

import argparse
import sys
import unicodedata
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import tokenizers
from tokenizers import AddedToken, models, normalizers, pre_tokenizers

TARGET = Path(__file__).parents[1] / "src" / "text" / "unicode_tables.cpp"
CODE_POINTS = 0x110000
BLOCK = 128
HANGUL = range(0xAC00, 0xD7A4)  # decomposed by arithmetic

# The bits of Properties::flags, in the order of unicode.h.
DROPPED, SPACED, CHINESE, ACCENT, MARK, SPACE, PUNCTUATION, WORD, DECOMPOSES, LOWERS = (
    1 << bit for bit in range(10)
)


@dataclass(frozen=True)
class Unicode:
    """What was found out."""

    properties: list[tuple[int, int, int]]
    """Of each code point its flags, combining class and what is added to it in lower case."""
    decompositions: dict[int, str]
    """What canonically decomposes, without Hangul."""
    lower: dict[int, str]
    """Lower case that is more than one character."""


def ask() -> Unicode:
    """Ask the tokenizers package about every code point."""
    asker = _Asker()
    flags = [0] * CODE_POINTS
    deltas = [0] * CODE_POINTS
    decompositions: dict[int, str] = {}
    lower: dict[int, str] = {}
    for i in range(CODE_POINTS):
        if 0xD800 <= i < 0xE000:
            continue
        character = chr(i)
        flags[i] = asker.flags(character)
        decomposed = asker.decomposed(character)
        if i in HANGUL:
            _expect(decomposed == _jamo(i), character, "decomposed", decomposed)
        elif decomposed != character:
            flags[i] |= DECOMPOSES
            decompositions[i] = decomposed
        small = asker.lowered(character)
        if len(small) == 1:
            deltas[i] = ord(small) - i
        else:
            lower[i] = small
            flags[i] |= LOWERS
    classes = _find_classes(decompositions, asker.decomposed)
    return Unicode(list(zip(flags, classes, deltas, strict=True)), decompositions, lower)


class _Asker:
    """The parts of the package that know characters."""

    def __init__(self) -> None:
        self._clean, self._chinese, self._accents = (_bert(part) for part in range(3))
        self._marks = normalizers.StripAccents()
        self._splitter = pre_tokenizers.BertPreTokenizer()
        self._marked = _single_word()
        self.decomposed: Callable[[str], str] = normalizers.NFD().normalize_str
        self.lowered: Callable[[str], str] = normalizers.Lowercase().normalize_str

    def flags(self, character: str) -> int:
        between = f"a{character}a"
        found = self._cleaning(character) | self._splitting(character)
        if self._chinese.normalize_str(between) == f"a {character} a":
            found |= CHINESE
        if self._marks.normalize_str(between) == "aa":
            found |= MARK
        if not self._marked.encode(f"@@{character}").ids:
            found |= WORD
        if self.decomposed(character) == character and self._accents.normalize_str(between) == "aa":
            found |= ACCENT
        return found

    def _cleaning(self, character: str) -> int:
        between = f"a{character}a"
        cleaned = self._clean.normalize_str(between)
        if cleaned == "aa":
            return DROPPED
        if cleaned == "a a" and character != " ":
            return SPACED
        _expect(cleaned == between, character, "cleaned", cleaned)
        return 0

    def _splitting(self, character: str) -> int:
        between = f"a{character}a"
        pieces = [piece for piece, _ in self._splitter.pre_tokenize_str(between)]
        if pieces == ["a", "a"]:
            return SPACE
        if pieces == ["a", character, "a"]:
            return PUNCTUATION
        _expect(pieces == [between], character, "split", " ".join(pieces))
        return 0


def _expect(is_so: bool, character: str, done: str, found: str) -> None:
    if not is_so:
        raise AssertionError(f"U+{ord(character):04X} is {done} to {found!r}, which is new")


def _bert(part: int) -> normalizers.BertNormalizer:
    """BERT's normalizer that does one thing alone."""
    return normalizers.BertNormalizer(
        clean_text=part == 0, handle_chinese_chars=part == 1, strip_accents=part == 2,
        lowercase=False,
    )  # fmt: skip


def _single_word() -> tokenizers.Tokenizer:
    """A tokenizer that finds ``@@`` where no word character stands beside it, and nothing else."""
    base = tokenizers.Tokenizer(models.BPE())
    base.add_tokens([AddedToken("@@", single_word=True, normalized=False)])
    return base


def _jamo(code: int) -> str:
    index = code - HANGUL.start
    parts = [0x1100 + index // 588, 0x1161 + index % 588 // 28, 0x11A7 + index % 28]
    return "".join(map(chr, parts[: 2 + (index % 28 > 0)]))


def _find_classes(decompositions: Mapping[int, str], decomposed: Callable[[str], str]) -> list[int]:
    """Canonical combining classes, by how marks change places with marks of every class."""
    classes = [0] * CODE_POINTS

    def swaps(first: str, second: str) -> bool:
        return decomposed(f"a{first}{second}") != f"a{first}{second}"

    low, high = "\u0334", "\u0345"  # of the lowest class, 1, and of the highest, 240

    def is_mark(character: str) -> bool:
        return swaps(high, character) or swaps(character, low)

    others = {*range(0xD800, 0xE000), *HANGUL, *decompositions}
    marks = [chr(i) for i in range(CODE_POINTS) if i not in others and is_mark(chr(i))]
    known: dict[int, str] = {}
    for character in marks:
        if number := unicodedata.combining(character):
            known.setdefault(number, character)
    for character in marks:
        [classes[ord(character)]] = [
            number
            for number, mark in known.items()
            if not swaps(mark, character) and not swaps(character, mark)
        ]
    return classes


def render(found: Unicode) -> str:
    """The C++ file."""
    records = sorted(set(found.properties))
    if len(records) > 256:
        raise AssertionError(f"{len(records)} different properties do not fit a byte")
    number = {record: i for i, record in enumerate(records)}
    blocks: dict[tuple[int, ...], int] = {}
    first: list[int] = []
    for start in range(0, CODE_POINTS, BLOCK):
        block = tuple(number[record] for record in found.properties[start : start + BLOCK])
        first.append(blocks.setdefault(block, len(blocks)))
    if len(blocks) > 256:
        raise AssertionError(f"{len(blocks)} different blocks do not fit a byte")
    pool: list[int] = []
    places: list[int] = []
    keys = sorted(found.decompositions)
    for key in keys:
        places.append(len(pool))
        pool += map(ord, found.decompositions[key])
    places.append(len(pool))
    [(key, small)] = found.lower.items()  # U+0130; another version may have more
    parts = [
        "// Generated by tools/unicode_tables.py from the tokenizers package; not to be edited.",
        "// clang-format off",
        '#include "text/unicode.h"',
        "",
        "namespace leanbert::text {",
        "",
        "const Properties unicode_properties[] = {",
        *_wrapped(f"{{{flags}, {number}, {delta}}}" for flags, number, delta in records),
        "};",
        "const std::uint8_t unicode_blocks[] = {",
        *_wrapped(map(str, first)),
        "};",
        f"const std::uint8_t unicode_records[][{BLOCK}] = {{",
    ]
    for block in blocks:
        parts += ["{", *_wrapped(map(str, block)), "},"]
    parts += [
        "};",
        f"const std::uint32_t unicode_decomposed_count = {len(keys)};",
        "const std::uint32_t unicode_decomposed[] = {",
        *_wrapped(map(hex, keys)),
        "};",
        "const std::uint16_t unicode_decomposition_places[] = {",
        *_wrapped(map(str, places)),
        "};",
        "const std::uint32_t unicode_decompositions[] = {",
        *_wrapped(map(hex, pool)),
        "};",
        f"const std::uint32_t unicode_long_lower[] = {{{_hexes([key, *map(ord, small)])}}};",
        f"const std::uint32_t unicode_long_lower_size = {len(small)};",
        "",
        "}  // namespace leanbert::text",
        "",
    ]
    return "\n".join(parts)


def _hexes(numbers: Sequence[int]) -> str:
    return ", ".join(map(hex, numbers))


def _wrapped(words: Iterable[str]) -> list[str]:
    lines, line = [], ""
    for word in words:
        if len(line) + len(word) + 2 > 118:
            lines.append(line)
            line = ""
        line += f"{word},"
    return [*lines, line] if line else lines


def main() -> int:
    """Write or check the file."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--check", action="store_true", help="compare, and write nothing")
    options = parser.parse_args()
    content = render(ask())
    if not options.check:
        TARGET.write_text(content, encoding="utf-8")
        return 0
    if TARGET.read_text(encoding="utf-8") == content:
        return 0
    print(f"{TARGET.name} is not what tools/unicode_tables.py writes; run it", file=sys.stderr)
    return 1


if __name__ == "__main__":
    sys.exit(main())
