"""Exchange pieces of a vocabulary for words that the refining stage needs.

The vocabulary was chosen by what tweets, FinBERT's texts and speeches use, and it splits many of
the words on which the meaning of other news turns: upheld, dump, faulty, dividend. A word in one
piece brings what the published model knows about it. So pieces that the training texts hardly use
make room for the words in ``words.txt``, and the vocabulary stays as large as it was.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from leanbert_training.vocabulary import count_pieces, is_floor, prune_tokenizer, set_embeddings

_WORDS = Path(__file__).with_name("words.txt")
BONUS = 1.5e-5
"""What is added to the share of texts that a wanted word makes up. It decides how many come in."""


def wanted_words() -> dict[str, tuple[str, ...]]:
    """The words that should be one piece.

    Returns:
        For each word the pieces whose mean is its first embedding; none if it is itself a piece of
        BERT's vocabulary.
    """
    found: dict[str, tuple[str, ...]] = {}
    for line in _WORDS.read_text(encoding="utf-8").splitlines():
        if line.startswith("#"):
            continue
        word, sign, relatives = line.partition(" = ")
        if sign:
            found[word] = tuple(relatives.split())
        else:
            found |= dict.fromkeys(line.split(), ())
    return found


def choose(
    published: Mapping[str, Any],
    present: Sequence[str],
    kinds: Iterable[tuple[float, Sequence[str]]],
) -> list[str]:
    """The pieces of the new vocabulary, as many as the present one has.

    Args:
        published: the content of BERT's ``tokenizer.json``.
        present: the pieces of the present vocabulary.
        kinds: for each kind of text its weight and the texts. A piece counts by the share of the
            texts that it makes up, so that a large corpus does not outweigh a small one.

    Returns:
        The pieces in the order of the published vocabulary, words that it lacks last.
    """
    wanted = wanted_words()
    order = {piece: i for i, piece in enumerate([*published["model"]["vocab"], *wanted])}
    allowed = sorted({*present, *wanted}, key=order.__getitem__)
    tokenizer = Tokenizer.from_str(json.dumps(_extended(published, allowed)))
    scores: Counter[str] = Counter()
    for weight, texts in kinds:
        counted = count_pieces(tokenizer, texts)
        for piece, count in counted.items():
            scores[piece] += weight * count / counted.total()  # type: ignore[assignment]
    for word in wanted:
        scores[word] += BONUS  # type: ignore[assignment]
    floor = [piece for piece in allowed if is_floor(piece)]
    others = sorted(
        (piece for piece in allowed if not is_floor(piece)),
        key=lambda piece: (-scores[piece], order[piece]),
    )
    kept = {*floor, *others[: len(present) - len(floor)]}
    return [piece for piece in allowed if piece in kept]


def exchange(
    model: Any, published: Any, content: Mapping[str, Any], present: Sequence[str], new: list[str]
) -> dict[str, Any]:
    """Give ``model`` the pieces ``new``. A piece that it had keeps its embedding.

    Args:
        model: the classifier, which is changed.
        published: the word embeddings of the published model, *shape* ``(pieces, width)``.
        content: the content of the published ``tokenizer.json``.
        present: the pieces of ``model`` in the order of their ids.
        new: the pieces that it is to have, in the order of their ids.

    Returns:
        The content of the new ``tokenizer.json``.
    """
    ids: Mapping[str, int] = content["model"]["vocab"]
    had = {piece: i for i, piece in enumerate(present)}
    wanted = wanted_words()
    table = model.get_input_embeddings().weight.data
    length = published.norm(dim=1).mean()
    rows = []
    for piece in new:
        if piece in had:
            rows.append(table[had[piece]])
        elif piece in ids:
            rows.append(published[ids[piece]])
        else:
            mean = published[[ids[one] for one in wanted[piece]]].mean(dim=0)
            rows.append(mean / mean.norm() * length)
    set_embeddings(model, torch.stack(rows), new)
    return _extended(content, new)


def _extended(content: Mapping[str, Any], pieces: Sequence[str]) -> dict[str, Any]:
    """``tokenizer.json`` with ``pieces`` alone, of which some may not be in ``content``."""
    vocabulary = dict(content["model"]["vocab"])
    for piece in pieces:
        vocabulary.setdefault(piece, len(vocabulary))
    whole = {**content, "model": {**content["model"], "vocab": vocabulary}}
    return prune_tokenizer(whole, pieces)
