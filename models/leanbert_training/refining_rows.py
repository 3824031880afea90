"""The rows of the refining stage: sentences of our own, and rows that keep what was learnt.

Of the challenge set only the wordings that are open to training are read into rows. Nothing that
equals one of the others, a text of an evaluation set or one that is not about finance becomes a
row.
"""

from __future__ import annotations

import hashlib
import random
import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from leanbert_training.challenge import (
    FOLDER,
    HELD_OUT,
    Case,
    load_cases,
    load_others,
    open_wordings,
)
from leanbert_training.data import LABELS, load_sets, normalized
from leanbert_training.negations import sentences
from leanbert_training.phenomena.filling import company
from leanbert_training.phenomena.sentences import generate, patterns, wordings
from leanbert_training.rows import Row, blended, smoothed
from leanbert_training.training import Floats

NEUTRAL = LABELS.index("neutral")
"""The index of the neutral label."""
CASE, PATTERN, WORDING = "case", "pattern", "wording"
"""The kinds of rows from the challenge set, and from the patterns and wordings in ``phenomena``."""
_INVENTED = (
    "Norvik Steel|Tavola Foods|Quentra Bio|Deltamar|Halcyon Media|Fernway Airlines|"
    "Brightmoor Retail|Voltaic Motors|Merrowby Bank|Castrel Mining|Corvane|Opava Machines|"
    "Kittiwake Software|Padova Leather|Orsby Homes|Lindqvist|Pellworm Energy|Sunmere Packaging|"
    "Lavanda|Belcorde|Halborg|Agronex|Dashmail|Alunor|Castellan Towers|Gantry Infra|"
    "Morrow Telecom|Elvaro|Sorrel Chemicals|Zephyr Cloud|Schelde Dredging|Viorra Pharma|"
    "Mistral Wind|Baltic Cement|Fjordland|Cobalt Trust|Arlent Insurance|Varmouth Ports|"
    "Galloway Stores|Tessara|Wrenfield|Moorgate|Pinecote|Oakmere"
)
_COMPANY = re.compile("|".join(sorted(_INVENTED.split("|"), key=len, reverse=True)))


PLAIN = "plain_news"
"""The patterns of rises and falls that no phenomenon makes hard."""
WEAK = ("narrowing_losses", "beats_and_misses", "negation_and_contrast", "insider_transactions")
"""The phenomena that refined models learnt least; their patterns are filled twice as often."""


@dataclass(frozen=True)
class Mix:
    """How many rows of each kind one refining takes."""

    tweets: int = 10_000
    tweet_copies: int = 1
    """How often each tweet occurs."""
    finbert_copies: int = 3
    """How often each of FinBERT's rows occurs."""
    own: int = 500
    unlabelled: int = 22_000
    rounds: int = 4
    """How often each pattern of news with a sign is filled."""
    neutral_rounds: int = 28
    """How often each pattern of neutral sentences is filled: as many sentences as with a sign."""
    plain_rounds: int = 0
    """How often each pattern of plain news, of rises and falls, is filled."""
    wordings: int = 2
    """How often each sentence of the voices occurs, with other names and numbers if it has any."""
    copies: int = 5
    """How often each open wording occurs, half of them with other companies."""
    anchor: float = 0.6
    """Share of the starting model's own answer in the target of a labelled row."""
    finbert_anchor: float = 0.3
    """The same for FinBERT's rows, whose targets are probabilities already."""
    smoothing: float = 0.08
    """How much of the target of a sentence of our own is spread over all labels."""


HELD_CASES = 3
"""How many cases of each phenomenon are held back."""
HELD_SEED = 2000
"""What is filled into the sentences of the voices that are held back."""


def split_cases(cases: Sequence[Case]) -> tuple[list[Case], list[Case]]:
    """The cases to train on, and those that are held back, picked by hash."""

    def rank(case: Case) -> str:
        return hashlib.sha256(case.wordings[0].encode()).hexdigest()

    held: dict[str, list[Case]] = {}
    for case in sorted(cases, key=rank):
        held.setdefault(case.phenomenon, []).append(case)
    back = [case for group in held.values() for case in group[:HELD_CASES]]
    return [case for case in cases if case not in back], back


def held_cases() -> list[Row]:
    """The open wordings of the cases that are held back from training."""
    _, held = split_cases(load_cases(FOLDER / "challenge.jsonl"))
    return [Row(text, smoothed(label, 0.0), None, CASE) for text, label in open_wordings(held)]


def held_wordings() -> list[Row]:
    """The sentences of the voices that are held back from training."""
    return [
        Row(text, smoothed(label, 0.0), None, WORDING)
        for text, label, _ in generate(1, HELD_SEED, wordings()[1])
    ]


def other_companies(text: str, rng: random.Random) -> str:
    """``text`` with each company of the challenge set replaced by one that is made up."""
    chosen: dict[str, str] = {}
    return _COMPANY.sub(lambda m: chosen.setdefault(m[0], company(rng, bank="Bank" in m[0])), text)


def _copy(text: str, rng: random.Random) -> str:
    if rng.random() < 0.5:
        text = other_companies(text, rng)
    if rng.random() < 0.2 and text[-1].isalnum():
        text += "."
    return text.upper() if rng.random() < 0.1 else text


def forbidden(data: Path) -> set[str]:
    """The :func:`~leanbert_training.data.normalized` texts that must never become a row."""
    found = {
        normalized(example.text)
        for examples in load_sets(data).evaluation().values()
        for example in examples
    }
    found |= {normalized(text) for text, _ in sentences()}
    found |= {normalized(other.text) for other in load_others(FOLDER / "not_finance.jsonl")}
    cases = load_cases(FOLDER / "challenge.jsonl")
    _, held = split_cases(cases)  # a pattern can make one of their open wordings
    found |= {normalized(text) for text, _ in open_wordings(held)}
    found |= {normalized(row.text) for row in held_wordings()}
    return found | {normalized(case.wordings[HELD_OUT]) for case in cases}


def own_rows(mix: Mix, seed: int) -> list[Row]:
    """The open wordings of the cases to train on, sentences of the voices, and filled patterns."""
    rng = random.Random(seed)
    cases, _ = split_cases(load_cases(FOLDER / "challenge.jsonl"))
    found = [
        Row(_copy(text, rng), smoothed(label, mix.smoothing), None, CASE)
        for text, label in open_wordings(cases)
        for _ in range(mix.copies)
    ]
    plain = [pattern for pattern in patterns() if pattern.phenomenon == PLAIN]
    hard = [pattern for pattern in patterns() if pattern.phenomenon != PLAIN]
    filled = [one for one in generate(mix.rounds, seed, hard) if one[1] != NEUTRAL]
    filled += [one for one in generate(mix.rounds, seed + 500, hard) if one[2] in WEAK]
    filled += [one for one in generate(mix.neutral_rounds, seed + 1000, hard) if one[1] == NEUTRAL]
    filled += generate(mix.plain_rounds, seed + 2500, plain)
    found += [
        Row(text, smoothed(label, mix.smoothing), None, WORDING)
        for text, label, _ in generate(mix.wordings, seed + 1500, wordings()[0])
    ]
    return found + [
        Row(text, smoothed(label, mix.smoothing), None, PLAIN if phenomenon == PLAIN else PATTERN)
        for text, label, phenomenon in filled
    ]


def anchor_rows(rows: Sequence[Row], answers: Floats, mix: Mix, seed: int) -> list[Row]:
    """A part of the rows that the starting model learnt from, with its own answers mixed in.

    Args:
        rows: labelled and unlabelled rows.
        answers: what the starting model answers to them, *shape* ``(rows, labels)``.
        mix: how many of each kind.
        seed: decides which.
    """
    rng = random.Random(seed)
    groups: dict[str, list[int]] = {"tweet": [], "finbert": [], "own": [], "unlabelled": []}
    for i, row in enumerate(rows):
        groups[row.kind if row.kind in groups else "unlabelled"].append(i)
    counts = {"tweet": mix.tweets, "own": mix.own, "unlabelled": mix.unlabelled}
    shares = {"finbert": mix.finbert_anchor, "unlabelled": 1.0}
    copies = {"finbert": mix.finbert_copies, "tweet": mix.tweet_copies}
    found = []
    for kind, group in groups.items():
        chosen = rng.sample(group, min(len(group), counts.get(kind, len(group))))
        for i in chosen * copies.get(kind, 1):
            target = blended(rows[i].target, answers[i].tolist(), shares.get(kind, mix.anchor))
            found.append(replace(rows[i], target=target))
    return found


def refining_rows(
    data: Path, rows: Sequence[Row], answers: Floats, mix: Mix, seed: int
) -> list[Row]:
    """All rows of one refining; none of them is :func:`forbidden`."""
    never = forbidden(data)
    found = [*anchor_rows(rows, answers, mix, seed), *own_rows(mix, seed)]
    return [row for row in found if normalized(row.text) not in never]
