"""Seeded tiny checkpoints of every family and head, with the family's own kind of tokenizer.

With the real tokenizer's files a family splits text as its published checkpoints do; without them
a tokenizer of the same kind is trained in memory from our own sample texts, in a few milliseconds.
"""

from __future__ import annotations

import importlib
import json
import shutil
import warnings
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import tokenizers
import torch
import transformers
from tokenizers import decoders, models, normalizers, pre_tokenizers, processors, trainers

from leanbert_export.checkpoint.finding import find_checkpoint
from leanbert_export.checkpoint.loading import load_checkpoint
from leanbert_export.quiet import quiet
from leanbert_export.samples import sample_texts
from leanbert_export.tracing.pytorch import export_with_torch
from leanbert_export.tracing.tracers import optimum_version
from tests.helpers.parity import is_newer

torch.set_num_threads(1)  # tiny models: threads would only wait for each other
SEED = 20
HIDDEN = 32
MAX_LENGTH = 128
"""Longest input in tokens: less than a real model's, so that long texts are cheap."""
ENTITIES = ("O", "B-PER", "I-PER", "B-ORG", "I-ORG", "LOC", "MISC")
SENTIMENT = ("positive", "negative", "neutral")
HEADS: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "text-classification": (
        "AutoModelForSequenceClassification",
        {"id2label": dict(enumerate(SENTIMENT))},
    ),
    "token-classification": (
        "AutoModelForTokenClassification",
        {"id2label": dict(enumerate(ENTITIES))},
    ),
    "question-answering": ("AutoModelForQuestionAnswering", {}),
    "fill-mask": ("AutoModelForMaskedLM", {}),
    "feature-extraction": ("AutoModel", {}),
}
"""Each task's class in transformers, and what its config says besides the sizes."""

_BERT_NAMES = ("[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]")
_ROBERTA_NAMES = ("<pad>", "<unk>", "<s>", "</s>", "<mask>")
_MPNET_NAMES = ("<pad>", "[UNK]", "<s>", "</s>", "<mask>")
_NAMES = {
    "roberta": _ROBERTA_NAMES,
    "xlm-roberta": _ROBERTA_NAMES,
    "mpnet": _MPNET_NAMES,
}
_KINDS = ("pad_token", "unk_token", "cls_token", "sep_token", "mask_token")


@dataclass(frozen=True)
class Family:
    """How a family's tokenizer and config are made."""

    tokenizer_class: str
    kind: str
    """``wordpiece``, ``bpe`` (of bytes) or ``unigram``."""
    real: str
    """The real tokenizer's file below the test data, or the file that it is converted from."""
    config: Mapping[str, Any] = field(default_factory=dict)
    """Sizes under the family's own names."""


def _sizes(**more: Any) -> dict[str, Any]:
    return {
        "hidden_size": HIDDEN,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "intermediate_size": 64,
        "max_position_embeddings": 160,
        "initializer_range": 0.2,
        **more,
    }


_UNCASED = "bert-base-uncased/tokenizer.json"
FAMILIES: Mapping[str, Family] = {
    "bert": Family("BertTokenizerFast", "wordpiece", _UNCASED, _sizes()),
    "bert-cased": Family("BertTokenizerFast", "wordpiece", "bert-base-cased/vocab.txt", _sizes()),
    "roberta": Family(
        "RobertaTokenizerFast", "bpe", "roberta-base/tokenizer.json", _sizes(type_vocab_size=1)
    ),
    "distilbert": Family(
        "DistilBertTokenizerFast",
        "wordpiece",
        "distilbert-sst2/vocab.txt",
        {
            "dim": HIDDEN,
            "n_layers": 2,
            "n_heads": 2,
            "hidden_dim": 64,
            "max_position_embeddings": 160,
            "initializer_range": 0.2,
        },
    ),
    "electra": Family("ElectraTokenizerFast", "wordpiece", _UNCASED, _sizes(embedding_size=16)),
    "albert": Family(
        "AlbertTokenizerFast", "unigram", "albert/spiece.model", _sizes(embedding_size=16)
    ),
    "xlm-roberta": Family(
        "XLMRobertaTokenizerFast", "unigram", "albert/spiece.model", _sizes(type_vocab_size=1)
    ),
    "mpnet": Family(
        "MPNetTokenizerFast", "wordpiece", "bert_reference_ids/bert-vocab.txt", _sizes()
    ),
    "deberta-v2": Family(
        "DebertaV2TokenizerFast",
        "unigram",
        "albert/spiece.model",
        _sizes(
            relative_attention=True,
            position_buckets=32,
            norm_rel_ebd="layer_norm",
            share_att_key=True,
            pos_att_type=["p2c", "c2p"],
            position_biased_input=False,
            type_vocab_size=0,
        ),
    ),
    "modernbert": Family(
        "PreTrainedTokenizerFast",
        "bpe",
        "modernbert/tokenizer.json",
        _sizes(
            local_attention=16,
            global_attn_every_n_layers=2,
            reference_compile=False,
            initializer_cutoff_factor=3.0,
        ),
    ),
}
"""By the name of the config's ``model_type``; ``bert-cased`` is another ``bert``.

No real XLM-RoBERTa or DeBERTa-v2 vocabulary is at hand: they convert ALBERT's, each as it converts
its own, with its own normalizer, splitting and special tokens.
"""


def model_type(family: str) -> str:
    """The family's name in a config."""
    return "bert" if family == "bert-cased" else family


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


def checkpoint(family: str, task: str, folder: Path, data: Path | None = None) -> Path:
    """Write the family's checkpoint with the task's head into ``folder``; its answers vary."""
    made = tokenizer(family, data)
    kind, options = HEADS[task]
    ids = {
        name: getattr(made, name)
        for name in ("pad_token_id", "bos_token_id", "eos_token_id", "cls_token_id", "sep_token_id")
    }
    with quiet():
        config = transformers.AutoConfig.for_model(
            model_type(family),
            vocab_size=len(made),
            **{name: value for name, value in ids.items() if value is not None},
            **{**FAMILIES[family].config, **options},
        )
        torch.manual_seed(SEED)
        model = getattr(transformers, kind).from_config(config).eval()
        _spread(model, made)
        model.save_pretrained(folder)
        made.save_pretrained(folder)
    return folder


def _spread(model: Any, made: Any) -> None:
    """Let logits differ from token to token and label to label, so that nothing is nearly a tie."""
    with torch.no_grad():
        for name, value in model.named_parameters():
            if name.endswith("bias"):
                value.normal_(0.0, 0.1)  # zeros would hide a bias that gets lost
            if "word_embeddings" in name or "tok_embeddings" in name:
                value.mul_(3.0)  # over the position's and the type's
        linear = [module for module in model.modules() if isinstance(module, torch.nn.Linear)]
        if not hasattr(model, "num_labels") or linear[-1].out_features > 16:
            return
        batch = made(list(sample_texts()[:24]), padding=True, truncation=True, return_tensors="pt")
        real = batch["attention_mask"].bool()
        seen: list[torch.Tensor] = []
        hook = linear[-1].register_forward_hook(lambda _, __, output: seen.append(output))
        model(**{name: batch[name] for name in made.model_input_names})
        hook.remove()
        logits = seen[0][real] if seen[0].ndim == 3 else seen[0]
        scale = 3.0 / logits.std(dim=0)
        linear[-1].weight.mul_(scale[:, None])
        linear[-1].bias.copy_((linear[-1].bias - logits.mean(dim=0)) * scale)


def plain_export(source: Path, folder: Path, task: str) -> Path:
    """The ONNX graph that another tool makes of a checkpoint, without our manifest.

    The tool is Optimum, or PyTorch where no Optimum works with this transformers.
    """
    if optimum_version() is None:
        loaded = load_checkpoint(find_checkpoint(str(source), revision=None, task=task))
        export_with_torch(loaded, folder, "this is a test")
        with quiet():
            loaded.tokenizer.save_pretrained(folder)
        shutil.copyfile(source / "config.json", folder / "config.json")
        return folder
    from optimum.exporters.onnx import main_export

    with quiet():
        main_export(str(source), folder, task=task, opset=18, do_validation=False)
    return folder


@dataclass
class Workshop:
    """Makes each checkpoint, and a plain export of it, at most once: copy it to change it."""

    root: Path
    data: Path | None = None
    """Real data; ``None`` for trained tokenizers."""

    def checkpoint(self, family: str, task: str) -> Path:
        """A tiny seeded checkpoint."""
        folder = self.root / "checkpoints" / f"{family}-{task}"
        if not folder.exists():
            checkpoint(family, task, folder, self.data)
        return folder

    def plain(self, family: str, task: str) -> Path:
        """Its ONNX graph by another tool, which LeanBERT opens as it is."""
        folder = self.root / "plain" / f"{family}-{task}"
        if not folder.exists():
            plain_export(self.checkpoint(family, task), folder, task)
        return folder

    def reference(self, family: str, task: str) -> Any:
        """transformers' pipeline of the checkpoint; version 5 has none for question answering."""
        if task == "question-answering" and is_newer():
            pytest.skip("transformers 5 has no pipeline for question-answering")
        with quiet():
            return transformers.pipeline(task, str(self.checkpoint(family, task)), device="cpu")
