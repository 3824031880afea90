"""Load the tokenizer of a checkpoint in transformers, and write the files that a bundle needs.

Of ``tokenizer_config.json`` a bundle gets the keys that tokenization depends on. Others may hold
paths of the machine that the checkpoint was made on.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import Any

from leanbert_export.checkpoint.finding import Checkpoint
from leanbert_export.checkpoint.sentence_transformers import lower_case
from leanbert_export.errors import CheckpointError, first_line
from leanbert_export.quiet import quiet

__all__ = ["TOKENIZER_FILES", "class_note", "load_tokenizer", "write_tokenizer"]

CONFIG = "tokenizer_config.json"
TOKENIZER_FILES = ("tokenizer.json", CONFIG)
# transformers 5 calls the tokenizer of no class by the first name; every version knows the second.
_GENERIC, _GENERIC_BEFORE = "TokenizersBackend", "PreTrainedTokenizerFast"
_SOURCES = ("tokenizer.json", "vocab.txt", "vocab.json", "*.model", "merges.txt")
_KEPT = frozenset(
    {
        "add_bos_token",
        "add_eos_token",
        "add_prefix_space",
        "added_tokens_decoder",
        "additional_special_tokens",
        "bos_token",
        "clean_up_tokenization_spaces",
        "cls_token",
        "do_basic_tokenize",
        "do_lower_case",
        "eos_token",
        "errors",
        "extra_special_tokens",
        "keep_accents",
        "legacy",
        "lowercase",
        "mask_token",
        "model_input_names",
        "model_max_length",
        "never_split",
        "pad_token",
        "padding_side",
        "remove_space",
        "sep_token",
        "split_by_punct",
        "strip_accents",
        "tokenize_chinese_chars",
        "tokenizer_class",
        "trim_offsets",
        "truncation_side",
        "unk_token",
        "vocab_type",
    }
)


def load_tokenizer(checkpoint: Checkpoint) -> Any:
    """Transformers' own fast tokenizer of the checkpoint.

    Raises:
        CheckpointError: there is none, it is of a class that cannot be run without Python code, or
            its settings make no sense.
    """
    import transformers

    folder = checkpoint.path
    if not any(any(folder.glob(pattern)) for pattern in _SOURCES):
        raise CheckpointError(
            f"{folder}: no tokenizer.json, nor files that transformers makes one from; save the "
            "tokenizer into that directory"
        )
    with quiet():
        try:
            tokenizer = transformers.AutoTokenizer.from_pretrained(folder, trust_remote_code=False)
        except Exception as error:  # what transformers and tokenizers raise has no common base
            raise CheckpointError(
                f"{folder}: transformers cannot load its tokenizer ({first_line(error)})"
            ) from error
    if not tokenizer.is_fast:
        raise CheckpointError(
            f"{folder}: its tokenizer, {type(tokenizer).__name__}, has no fast form "
            "(tokenizer.json), and LeanBERT runs no other"
        )
    longest = tokenizer.model_max_length
    if not isinstance(longest, (int, float)) or isinstance(longest, bool) or not longest > 1:
        raise CheckpointError(
            f"{folder / CONFIG}: model_max_length is {longest!r}; expected a number of tokens"
        )
    if checkpoint.modules is not None and checkpoint.modules.lower_case:
        lower_case(tokenizer)
    return tokenizer


def class_note(tokenizer: Any, checkpoint: Checkpoint) -> str | None:
    """What to say where transformers 5 took ``tokenizer.json`` because it knows no such class.

    transformers 4 refuses such a checkpoint.
    """
    path = checkpoint.path / CONFIG
    if type(tokenizer).__name__ != _GENERIC or not path.is_file():
        return None
    named = json.loads(path.read_text(encoding="utf-8")).get("tokenizer_class")
    if named in (None, _GENERIC, _GENERIC_BEFORE):
        return None
    return f"as tokenizer.json has it; this transformers has no class {named} for it"


def write_tokenizer(tokenizer: Any, checkpoint: Checkpoint, folder: Path) -> None:
    """Write the files of the tokenizer to a bundle's folder, in a form that every version reads.

    Everything that transformers obeys is written out, its defaults too: ``truncation_side``,
    ``padding_side``, ``model_input_names`` and ``model_max_length``. The last is lowered to what
    sentence-transformers cuts texts to, if the checkpoint says that.

    Raises:
        CheckpointError: transformers cannot save the tokenizer.
    """
    with tempfile.TemporaryDirectory(prefix="leanbert-tokenizer-") as scratch:
        with quiet():
            try:
                tokenizer.save_pretrained(scratch)
            except Exception as error:  # as above
                raise CheckpointError(
                    f"{checkpoint.path}: transformers cannot save its tokenizer "
                    f"({first_line(error)})"
                ) from error
        saved = {name: Path(scratch) / name for name in TOKENIZER_FILES}
        config = json.loads(saved[CONFIG].read_text(encoding="utf-8"))
        content = {name: value for name, value in config.items() if name in _KEPT}
        content |= _as_before(content) | {
            "model_input_names": list(tokenizer.model_input_names),
            "model_max_length": _longest(tokenizer, checkpoint),
            "padding_side": tokenizer.padding_side,
            "truncation_side": tokenizer.truncation_side,
        }
        text = json.dumps(content, indent=2, ensure_ascii=False, sort_keys=True) + "\n"
        saved[CONFIG].write_text(text, encoding="utf-8")
        for name, path in saved.items():
            if path.is_file():
                (folder / name).write_bytes(path.read_bytes())


def _as_before(content: dict[str, Any]) -> dict[str, Any]:
    """The keys to which transformers 5 gives values that transformers 4 does not read.

    Version 5 reads both. The list of special tokens is taken out of ``content``.
    """
    changed: dict[str, Any] = {}
    if content.get("tokenizer_class") == _GENERIC:
        changed["tokenizer_class"] = _GENERIC_BEFORE
    if isinstance(content.get("extra_special_tokens"), list):
        changed["additional_special_tokens"] = content.pop("extra_special_tokens")
    return changed


def _longest(tokenizer: Any, checkpoint: Checkpoint) -> int:
    bounds = [tokenizer.model_max_length]
    if checkpoint.modules is not None and checkpoint.modules.max_seq_length is not None:
        bounds.append(checkpoint.modules.max_seq_length)
    return int(min(bounds))
