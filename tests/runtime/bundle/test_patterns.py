"""Regular expressions of tokenizers: published ones are accepted, unbounded ones refused."""

from __future__ import annotations

import pytest

from leanbert.bundle.patterns import why_unbounded

PUBLISHED = {
    "gpt2": r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",
    "clip": r"<\|startoftext\|>|<\|endoftext\|>|'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]"
    r"|[^\s\p{L}\p{N}]+",
    "cl100k": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "o200k": r"[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]*[\p{Ll}\p{Lm}\p{Lo}\p{M}]+"
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)?|[^\r\n\p{L}\p{N}]?[\p{Lu}\p{Lt}\p{Lm}\p{Lo}\p{M}]+"
    r"[\p{Ll}\p{Lm}\p{Lo}\p{M}]*(?i:'s|'t|'re|'ve|'m|'ll|'d)?|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n/]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "bloom": " ?[^(\\s|[.,!?…。，、।۔،])]+",
    "sentencepiece": " {2,}",
    "digits": r"(?=(\d{3})+(?!\d))",
    "digits apart": r"\d{1,3}(?=(?:\d{3})*\b)",
    "punctuation": r"[!\"#$%&'()*+,\-./:;<=>?@\[\\\]^_`{|}~][A-Za-z]+|[^\r\n\p{L}\p{P}\p{S}]?"
    r"[\p{L}\p{M}]+| ?[\p{P}\p{S}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+",
    "ends": r"(^\s+|\s+$)",
    "a bracket first": r"[]a]+b|[^]a]+",
    "between digits": r"(?<=\d)(?=\d)",
    "japanese": "[一-龥ぁ-んァ-ヶ]+",
    "nothing": "",
}


@pytest.mark.parametrize("name", PUBLISHED)
def test_published_patterns_are_accepted(name: str) -> None:
    assert why_unbounded(PUBLISHED[name]) is None


@pytest.mark.parametrize(
    ("pattern", "reason"),
    [
        ("(x+x+)+y", "several open repetitions"),
        ("(x+)+y", "repeats a group that varies"),
        ("(?:x*)*", "repeats a group that varies"),
        ("(a|a)*b", "repeats a group that varies"),
        ("(?:x|y)+z", "repeats a group that varies"),
        ("(a?){50}b", "repeats a group that varies"),
        ("(x{1,9}){9}y", "repeats a group that varies"),
        ("(((x{300}){300}){30})+", "repeats a group that varies"),
        ("a**", "repeats a repetition"),
        ("a{2}{3}{4}", "repeats a repetition"),
        ("x*x*x*y", "several open repetitions"),
        ("x{1,1000}x{1,1000}y", "several open repetitions"),
        (r"\s*x*\s*$", "several open repetitions"),
        ("(?=x*)x*y", "several open repetitions"),
        ("x*x*(?!z*)", "several open repetitions"),
        ("(x+|a)(x+|b)y", "several open repetitions"),
        ("a?" * 40 + "a" * 40, "too many optional parts"),
        (r"(a)\1", "refers to a group"),
        (r"(?<n>a|b\g<n>)", "refers to a group"),
        ("(?~abc)", "a group of an unusual kind"),
        ("(?x: a b )", "a group of an unusual kind"),
        ("(?(1)a|b)", "a group of an unusual kind"),
        ("(" * 100 + ")" * 100, "more than 50 levels"),
        ("(a", "does not end"),
        ("a)", "a closing parenthesis too many"),
        ("[a", "does not close"),
        ("\\", "ends in a backslash"),
        ("a" * 20_001, "longer than 20,000"),
    ],
)
def test_other_patterns_are_refused(pattern: str, reason: str) -> None:
    assert reason in str(why_unbounded(pattern))
