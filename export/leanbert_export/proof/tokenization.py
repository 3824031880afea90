"""Compare LeanBERT's token ids with those of transformers' own tokenizer.

The rest of the proof gives PyTorch the ids of LeanBERT's tokenizer, so it cannot see a text that
was split, cut or typed otherwise.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from leanbert.bundle import Bundle
from leanbert.tokenization import TextInput, Tokenizer
from leanbert_export.checkpoint.loading import LoadedCheckpoint
from leanbert_export.errors import ProofError
from leanbert_export.proof.predictions import first_text

__all__ = ["check_tokenization"]

_SHORT = 16  # tokens to which texts are also cut
_SETTINGS = (
    "truncation_side",
    "padding_side",
    "model_input_names",
    "do_lower_case",
    "strip_accents",
    "model_max_length",
)
_ODD = (
    "",
    " ",
    "x",
    "Ärger über naïve Façades: ÉTÉ à İstanbul, Łódź, Đà Nẵng",
    "OPERATING PROFIT ROSE TO EUR 13.1 MN FROM EUR 8.7 MN",
    "営業利益は13億円に増加した。营业利润增长。영업이익 증가",
    "Прибыль выросла; الأرباح ارتفعت; רווח עלה; กำไรเพิ่มขึ้น",
    "profit 🚀📈 up 👩‍👩‍👧 10%",
    "tabs\tand\r\nlines\n\nand   spaces  ",
    "it's don't U.S.A. e-mail@example.com https://example.com/a?b=c#d $1,234.50 50% 3/4",
    "\u00a0no-break\u200bzero width\ufeffmark ﬁ ligature ① ½ Ⅳ",
    "e\u0301 combining a\u0308",
    "[CLS] [SEP] [MASK] [UNK] <s> </s> <mask> <unk> [PAD]",
    "Donaudampfschifffahrtsgesellschaftskapitän" * 4,
)


def check_tokenization(bundle: Bundle, loaded: LoadedCheckpoint, texts: Sequence[TextInput]) -> int:
    """Compare the ids of ``texts``, of odd texts, of long ones and of pairs, cut and whole.

    Returns:
        How many inputs were compared.

    Raises:
        ProofError: LeanBERT gives the model other ids, or other token types.
    """
    tokenizer = Tokenizer.of(bundle)
    inputs = _inputs(texts, bundle.max_length)
    lengths = [bundle.max_length]
    if bundle.max_length > _SHORT:
        lengths.append(_SHORT)
    for length in lengths:
        encodings = tokenizer.encode(inputs, truncation=True, max_length=length)
        for i, text in enumerate(inputs):
            place = encodings.place(i)
            found = encodings.input_ids[place].tolist(), encodings.token_type_ids[place].tolist()
            _check(loaded, text, length, *found)
    return len(inputs) * len(lengths)


def _check(
    loaded: LoadedCheckpoint, text: TextInput, length: int, ids: list[int], types: list[int]
) -> None:
    first, second = (text, None) if isinstance(text, str) else text
    wanted = loaded.tokenizer(first, second, truncation=True, max_length=length)
    if wanted["input_ids"] != ids:
        _refuse(loaded, text, length, "ids", ids, wanted["input_ids"])
    if not loaded.reads_types:
        return
    # Where the tokenizer gives no types, transformers' models take zeros.
    wanted_types = wanted.get("token_type_ids", [0] * len(ids))
    if wanted_types != types:
        _refuse(loaded, text, length, "token types", types, wanted_types)


def _refuse(
    loaded: LoadedCheckpoint, text: TextInput, length: int, what: str, ours: Any, theirs: Any
) -> None:
    tokenizer = loaded.tokenizer
    pairs = list(zip(ours, theirs, strict=False))
    place = next((i for i, (a, b) in enumerate(pairs) if a != b), len(pairs))
    said = {name: getattr(tokenizer, name, tokenizer.init_kwargs.get(name)) for name in _SETTINGS}
    raise ProofError(
        f"tokens: LeanBERT's {what} of {first_text(text)[:30]!r}"
        + ("" if isinstance(text, str) else " and its pair")
        + f", cut to {length} tokens, are not those of {type(tokenizer).__name__}: at position "
        f"{place} {ours[place : place + 4]} instead of {theirs[place : place + 4]}; it has "
        + ", ".join(f"{name} {value!r}" for name, value in said.items() if value is not None)
    )


def _inputs(texts: Sequence[TextInput], longest: int) -> list[TextInput]:
    """The given texts, odd ones, and two that are longer than the model takes; pairs of them."""
    plain = [first_text(text) for text in texts] + list(_ODD)
    joined = " ".join(text for text in plain if text.strip())
    words = joined.split() or ["x"]
    # Two words more than there are tokens make a text too long; a vocabulary has no longer tokens.
    long = " ".join(words[i % len(words)] for i in range(min(longest, 1024) + 2))
    filled = [text for text in plain if text]  # an empty second text is none for transformers
    pairs = [(filled[i], filled[-1 - i]) for i in range(0, len(filled), 3)]
    return [*texts, *_ODD, long, *pairs, (long, filled[0]), (filled[0], long), (long, long)]
