"""Cut a WordPiece vocabulary down to the pieces that finance and news text use.

The 30,522 word embeddings are half of all-MiniLM-L6-v2. WordPiece takes the longest piece that
fits, so a text whose pieces are all kept is tokenized as before. Any other word becomes shorter
pieces, in the end single characters, which are kept for every script that the model reads.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer

from leanbert.files import whole_file

SPECIAL = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json")
"""The files of a tokenizer in a Hugging Face checkpoint."""
_PREFIX = "##"
_LINK = re.compile(r"https?://\S+")
# Latin letters with their accents, typographic punctuation, currencies, letterlike signs, arrows.
_CHARACTERS = (
    (0x20, 0x17F),
    (0x2010, 0x2044),
    (0x20A0, 0x20BF),
    (0x2100, 0x2193),
    (0x2212, 0x2265),
)
_ZIPF = 0.03


def count_pieces(tokenizer: Tokenizer, texts: Sequence[str]) -> Counter[str]:
    """Count how often ``tokenizer`` uses each piece in ``texts``. Links are noise and left out."""
    counts: Counter[str] = Counter()
    for start in range(0, len(texts), 1000):
        part = [_LINK.sub("", text) for text in texts[start : start + 1000]]
        for encoding in tokenizer.encode_batch(part, add_special_tokens=False):
            counts.update(encoding.tokens)
    return counts


def is_floor(piece: str) -> bool:
    """Whether ``piece`` is always kept: a special token, or a single character that can be read."""
    if piece in SPECIAL:
        return True
    character = piece.removeprefix(_PREFIX)
    if len(character) != 1 or not any(a <= ord(character) <= b for a, b in _CHARACTERS):
        return False
    # BERT sets ASCII punctuation apart, so it never continues a word.
    return piece == character or character.isalnum() or not character.isascii()


def choose_pieces(
    vocabulary: Mapping[str, int], counts: Iterable[tuple[float, Counter[str]]], size: int
) -> list[str]:
    """The ``size`` pieces to keep, in the order of ``vocabulary``.

    Args:
        vocabulary: the id of every piece.
        counts: for each kind of text its weight and the counted pieces. Counts become shares
            of their kind, so that a large corpus does not outweigh a small one.
        size: how many pieces remain. Those of :func:`is_floor` are always among them.

    The whole words of BERT's vocabulary are in the order of their frequency in books and Wikipedia.
    This order is a weak prior: it keeps common English words that the finance texts lack.

    Raises:
        ValueError: ``size`` is smaller than the floor, or larger than what can be kept.
    """
    floor = {piece for piece in vocabulary if is_floor(piece)}
    longer = [p for p in vocabulary if len(p.removeprefix(_PREFIX)) > 1 and p not in floor]
    words = sorted(filter(str.isalpha, longer), key=vocabulary.__getitem__)
    harmonic = sum(1 / rank for rank in range(1, len(words) + 1))
    scores: dict[str, float] = dict.fromkeys(vocabulary, 0.0)
    scores |= {word: _ZIPF / (rank * harmonic) for rank, word in enumerate(words, 1)}
    for weight, counted in counts:
        total = counted.total()
        for piece, count in counted.items():
            scores[piece] += weight * count / total
    if not len(floor) <= size <= len(floor) + len(longer):
        raise ValueError(f"size is {size}; expected {len(floor)} to {len(floor) + len(longer)}")
    candidates = [piece for piece in longer if not piece.startswith("[unused")]
    candidates.sort(key=lambda piece: (-scores[piece], vocabulary[piece]))
    kept = floor | set(candidates[: size - len(floor)])
    return sorted(kept, key=vocabulary.__getitem__)


def prune_tokenizer(content: dict[str, Any], pieces: Sequence[str]) -> dict[str, Any]:
    """``tokenizer.json`` with ``pieces`` alone, numbered from 0, without truncation and padding.

    Raises:
        ValueError: the file is not a WordPiece tokenizer, or a piece is not in it.
    """
    if content["model"]["type"] != "WordPiece":
        raise ValueError(f"the tokenizer is a {content['model']['type']}; expected WordPiece")
    if unknown := set(pieces) - set(content["model"]["vocab"]):
        raise ValueError(f"not in the vocabulary: {sorted(unknown)[:5]}")
    ids = {piece: number for number, piece in enumerate(pieces)}
    pruned: dict[str, Any] = json.loads(json.dumps(content))
    pruned["model"]["vocab"] = ids
    pruned["truncation"] = pruned["padding"] = None
    for token in pruned["added_tokens"]:
        token["id"] = ids[token["content"]]
    for token in pruned["post_processor"].get("special_tokens", {}).values():
        token["ids"] = [ids[name] for name in token["tokens"]]
    for name in ("cls", "sep"):  # for BertProcessing; the loop above is for TemplateProcessing
        if isinstance(pair := pruned["post_processor"].get(name), list):
            pair[1] = ids[pair[0]]
    return pruned


def prune_checkpoint(model: Any, old: Mapping[str, int], pieces: Sequence[str]) -> None:
    """Keep only the word embeddings of ``pieces``, in their order. Changes ``model``."""
    rows = torch.tensor([old[piece] for piece in pieces])
    set_embeddings(model, model.get_input_embeddings().weight.data[rows], pieces)


def set_embeddings(model: Any, rows: torch.Tensor, pieces: Sequence[str]) -> None:
    """Give ``model`` copies of ``rows`` as the word embeddings of ``pieces``. Changes ``model``.

    *Shape:* rows ``(pieces, width)``.
    """
    padding = pieces.index("[PAD]")
    table = torch.nn.Embedding(len(pieces), rows.shape[1], padding_idx=padding)
    table.weight.data.copy_(rows)
    model.set_input_embeddings(table)
    model.config.vocab_size, model.config.pad_token_id = len(pieces), padding


def write_tokenizer(folder: Path, content: dict[str, Any]) -> None:
    """Write ``tokenizer.json`` and the settings that transformers reads."""
    folder.mkdir(parents=True, exist_ok=True)
    special = dict(zip(("pad", "unk", "cls", "sep", "mask"), SPECIAL, strict=True))
    names = {f"{key}_token": token for key, token in special.items()}
    settings = {
        **names,
        "do_lower_case": True,
        "model_max_length": 512,
        "tokenizer_class": "BertTokenizer",
    }
    for name, value in zip(TOKENIZER_FILES, (content, settings), strict=True):
        with whole_file(folder / name) as file:
            json.dump(value, file, ensure_ascii=False, separators=(",", ":"))
