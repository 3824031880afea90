"""Directories of sentence-transformers: what they say beside the model, and whether it is followed.

Such a directory describes a chain of modules: a transformer, a pooling of its vectors, often a
normalization, sometimes a dense layer. LeanBERT computes the transformer, and pools as its caller
says, by the mean unless told otherwise. Where the directory means another chain, its embeddings
would be other ones, and nothing would say so: it is refused by the name of what would be dropped.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from leanbert.bundle.manifest import is_plain
from leanbert.bundle.reading import read_json, read_json_value, status
from leanbert.bundle.values import WrongValueError, brief, is_whole, items, mapping, text
from leanbert.errors import BundleCorruptError, BundleError

__all__ = ["check_modules"]

_MODULES = "modules.json"
_MEAN = "pooling_mode_mean_tokens"


def check_modules(root: Path) -> int | None:
    """Check that LeanBERT follows what a sentence-transformers directory says.

    Args:
        root: any directory with a model.

    Returns:
        Its longest input in tokens (``max_seq_length``); ``None`` where it says none, and in
        directories that are not of sentence-transformers.

    Raises:
        BundleError: a module, a pooling or a prompt would be dropped.
        BundleCorruptError: one of its files is malformed.
    """
    path = root / _MODULES
    if status(path) is None:
        return None
    try:
        modules = [mapping("a module", module) for module in items(_MODULES, read_json_value(path))]
        chain = [(_kind(module), _folder(module)) for module in modules]
    except WrongValueError as error:
        raise BundleCorruptError(f"{path}: {error}; copy the model again") from error
    dropped: list[str] = []
    length = None
    for kind, folder in chain:
        if kind == "Transformer":
            settings = _read(root / folder / "sentence_bert_config.json")
            length = settings.get("max_seq_length")
            if folder:
                dropped.append(f"the model in a folder of its own ({folder})")
            if settings.get("do_lower_case") is True:
                dropped.append("do_lower_case")
        elif kind == "Pooling":
            dropped += _other_pooling(_read(root / folder / "config.json"))
        elif kind != "Normalize":  # it changes no direction
            dropped.append(f"{kind} ({folder or 'without a folder'})")
    dropped += _prompt(_read(root / "config_sentence_transformers.json"))
    if dropped:
        raise BundleError(
            f"{root}: a sentence-transformers model of which LeanBERT would drop "
            f"{', '.join(dropped)}; where the vectors of its tokens are all that you need, remove "
            f"{_MODULES}"
        )
    return length if is_whole(length) and length > 0 else None


def _kind(module: Mapping[str, Any]) -> str:
    """The class of a module, for example ``"Pooling"``, without its package."""
    return text("type", module.get("type")).rpartition(".")[2]


def _folder(module: Mapping[str, Any]) -> str:
    """Where a module's files are, relative to the directory; empty for the directory itself."""
    folder = text("path", module.get("path"))
    if folder and not is_plain(folder):
        raise WrongValueError(f"path is {brief(folder)}; expected a folder of the model")
    return folder


def _read(path: Path) -> Mapping[str, Any]:
    return {} if status(path) is None else read_json(path)


def _other_pooling(settings: Mapping[str, Any]) -> list[str]:
    modes = [name for name, on in settings.items() if name.startswith("pooling_mode_") and on]
    if modes in ([_MEAN], []):
        return []
    named = (mode.removeprefix("pooling_mode_") for mode in modes)
    return [f"the pooling {' + '.join(map(str, named))}"]


def _prompt(settings: Mapping[str, Any]) -> list[str]:
    """The prompt that is put before every text; the others are chosen by name, which is refused."""
    name, prompts = settings.get("default_prompt_name"), settings.get("prompts")
    if isinstance(name, str) and isinstance(prompts, dict) and prompts.get(name):
        return [f"the prompt {brief(prompts[name])}"]
    return []
