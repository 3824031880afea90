"""The tokenizer of each family, of its own kind.

With the real tokenizer's files a family splits text as its published checkpoints do; without them
a tokenizer of the same kind is trained in memory from our own sample texts, in a few milliseconds.
"""

from __future__ import annotations

import importlib
import json
import warnings
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import tokenizers
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from leanbert_export.samples import sample_texts
from tests.helpers.families import FAMILIES, MAX_LENGTH

_BERT_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_NAMES = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
_MPNET_NAMES = ("<pad>", "[UNK]", "<s>", "</s>", "<mask>")
_NAMES = {
    "roberta": _ROBERTA_NAMES,
    "xlm-roberta": _ROBERTA_NAMES,
    "mpnet": _MPNET_NAMES,
}
_KINDS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


def tokenizer(family: str, data: Path | None = None) -> Any:
    """The family's transformers tokenizer.

    Args:
        family: one of :data:`FAMILIES`.
        data: the directory of real data; without it the tokenizer is trained.
    """
    this = FAMILIES[family]
    names = _NAMES.get(family, _BERT_NAMES)
    made = _trained(family, names) if data is None else _real(family, data / "tokenizers")
    options: dict[str, Any] = {"model_max_length": MAX_LENGTH}
    if family == "modernbert" or data is None:
        options |= dict(zip(_KINDS, names, strict=True))
        if "<s>" in names:
            options |= {"bos_token": names[2], "eos_token": names[3]}
    if family == "bert-cased":
        options |= {"do_lower_case": False}
    if family == "deberta-v2":
        options |= {"vocab_type": "spm"}
    if family == "albert":  # transformers 5 leaves the types of pairs away unless they are named
        options |= {"model_input_names": ["input_ids", "token_type_ids", "attention_mask"]}
    if family == "modernbert":
        options |= {"model_input_names": ["input_ids", "attention_mask"]}
    return getattr(transformers, this.tokenizer_class)(tokenizer_object=made, **options)


def _real(family: str, folder: Path) -> tokenizers.Tokenizer:
    """The published tokenizer, by transformers' converter where its file is of an older kind."""
    this = FAMILIES[family]
    path = folder / this.real
    if path.name == "tokenizer.json":
        return tokenizers.Tokenizer.from_file(str(path))
    if path.name.endswith("vocab.txt"):
        lines = path.read_text(encoding="utf-8").split("\n")
        vocabulary = [line for line in lines if line]
        if family == "mpnet":  # its published vocabulary is BERT's with other special tokens
            vocabulary = ["<s>", "<pad>", "</s>", *vocabulary, "<mask>"]
        return _wordpiece(
            {token: i for i, token in enumerate(vocabulary)},
            _NAMES.get(family, _BERT_NAMES),
            lowercase=family != "bert-cased",
            pair=family == "mpnet",
        )
    # The converters read the model file themselves; they ask the slow tokenizer, which would need
    # the sentencepiece package, for these settings only.
    slow = SimpleNamespace(
        vocab_file=str(path),
        do_lower_case=family == "albert",
        keep_accents=False,
        split_by_punct=False,
    )
    slow.convert_tokens_to_ids = lambda token: {"[CLS]": 2, "[SEP]": 3, "<s>": 0, "</s>": 2}[token]
    kinds = {"albert": "Albert", "xlm-roberta": "XLMRoberta", "deberta-v2": "DebertaV2"}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        converters = importlib.import_module("transformers.convert_slow_tokenizer")
        converter = getattr(converters, f"{kinds[family]}Converter")(slow)
        converted: tokenizers.Tokenizer = converter.converted()
        return converted


def _trained(family: str, names: tuple[str, ...]) -> tokenizers.Tokenizer:
    """A small tokenizer of the family's kind, for our sample texts.

    The pieces of WordPiece and Unigram were trained once: the trainers number pieces that are
    equally frequent in another order each time, and so no seed would fix a checkpoint.
    """
    kind, texts = FAMILIES[family].kind, [*sample_texts()]
    pad, unknown, cls, sep, mask = names
    special: list[Any] = [*names[:4], tokenizers.AddedToken(mask, lstrip="<s>" in names)]
    if kind == "wordpiece" and pad == "<pad>":  # MPNet takes token 1 for padding, whatever it is
        special = [cls, pad, sep, unknown, special[-1]]
    if kind == "wordpiece":
        pieces = [*map(str, special[:4]), mask, *_pieces("wordpiece")]
        vocabulary = {piece: i for i, piece in enumerate(pieces)}
        return _wordpiece(vocabulary, names, lowercase=True, pair=pad == "<pad>")
    if kind == "bpe":
        made = tokenizers.Tokenizer(models.BPE())
        made.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
        made.decoder = decoders.ByteLevel()
        trainer: Any = trainers.BpeTrainer(
            vocab_size=700,
            special_tokens=special,
            initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
            show_progress=False,
        )
        made.train_from_iterator(texts, trainer)
    else:
        if "<s>" in names:  # transformers 5 takes the fourth piece of XLM-RoBERTa for the unknown
            special = [cls, pad, sep, unknown, special[-1]]
        scored = [(str(token), 0.0) for token in [*special[:4], mask]]
        scored += _pieces("albert" if family == "albert" else "others")
        place = [piece for piece, _ in scored].index(unknown)
        made = tokenizers.Tokenizer(models.Unigram(scored, place, byte_fallback=False))
        _add_steps(made, family)
        made.add_special_tokens(special)
    ids = {name: made.token_to_id(name) for name in (sep, cls)}
    ends = {name: (name, place) for name, place in ids.items() if place is not None}
    if kind == "bpe" and "<s>" in names:
        made.post_processor = processors.RobertaProcessing(
            ends[sep], ends[cls], trim_offsets=True, add_prefix_space=False
        )
    else:
        made.post_processor = _template(names, ends, pair="<s>" in names)
    return made


def _pieces(kind: str) -> list[Any]:
    """The pieces of WordPiece; those of Unigram with their scores."""
    content = json.loads(Path(__file__).with_name("pieces.json").read_text(encoding="utf-8"))
    return [tuple(piece) if isinstance(piece, list) else piece for piece in content[kind]]


def _add_steps(made: tokenizers.Tokenizer, family: str) -> None:
    """What stands around the pieces, in the form that transformers 5 gives to the family's class.

    That version does not take these steps from ``tokenizer.json``.
    """
    spaces = pre_tokenizers.Metaspace(prepend_scheme="always")
    words = pre_tokenizers.Sequence([pre_tokenizers.WhitespaceSplit(), spaces])
    made.decoder = decoders.Metaspace(prepend_scheme="always")
    made.pre_tokenizer = words
    if family == "albert":
        steps: list[Any] = [normalizers.Replace("``", '"'), normalizers.Replace("''", '"')]
        steps += [normalizers.NFKD(), normalizers.StripAccents(), normalizers.Lowercase()]
        made.normalizer = normalizers.Sequence(steps)
    elif family == "deberta-v2":
        blanks = normalizers.Replace(tokenizers.Regex(r"\s{2,}|[\n\r\t]"), " ")
        ends = normalizers.Strip(left=False, right=True)
        made.normalizer = normalizers.Sequence([blanks, normalizers.NFC(), ends])
        made.pre_tokenizer = pre_tokenizers.Sequence([spaces])


def _wordpiece(
    vocabulary: Mapping[str, int], names: tuple[str, ...], *, lowercase: bool, pair: bool
) -> tokenizers.Tokenizer:
    made = tokenizers.Tokenizer(models.WordPiece(dict(vocabulary), unk_token=names[1]))
    made.normalizer = normalizers.BertNormalizer(lowercase=lowercase)
    made.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
    made.decoder = decoders.WordPiece()
    if names[2] in vocabulary:
        made.add_special_tokens([*names])
        ends = {name: (name, vocabulary[name]) for name in names[2:4]}
        made.post_processor = _template(names, ends, pair=pair)
    return made


def _template(names: tuple[str, ...], ends: Mapping[str, tuple[str, int]], *, pair: bool) -> Any:
    cls, sep = names[2], names[3]
    second = f"{sep}:0 $B:0 {sep}:0" if pair else f"$B:1 {sep}:1"
    return processors.TemplateProcessing(
        single=f"{cls}:0 $A:0 {sep}:0",
        pair=f"{cls}:0 $A:0 {sep}:0 {second}",
        special_tokens=list(ends.values()),
    )
