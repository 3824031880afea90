"""Messages of the library in the words of the command: flags in place of Python's arguments."""

from __future__ import annotations

import re

from leanbert.cli.flags import flag_of

__all__ = ["in_flags"]

_VALUES = {
    "truncation=True": "--truncation longest_first",
    "truncation=False": "--truncation do_not_truncate",
    "model=DIR": "--bundle DIR",
    "top_k=None": "--top-k all",
}
_ARGUMENTS = (
    "aggregation_strategy", "batch_size", "candidate_labels", "combine", "doc_stride", "engine",
    "file_name", "force", "function_to_apply", "handle_impossible_answer", "hypothesis_template",
    "ignore_labels", "max_answer_len", "max_drop", "max_length", "max_memory_mb", "mode", "model",
    "multi_label",
    "normalize", "output_name", "pooling", "precision", "prompt_name", "revision", "split",
    "stride", "subfolder", "targets", "task", "threads", "tie_margin", "top_k", "truncate_dim",
    "truncation", "window",
)  # fmt: skip
_GIVEN = re.compile(rf"\b({'|'.join(_ARGUMENTS)})=(\"([^\"]*)\"|'([^']*)'|[\w.]+)")
_FOUND = re.compile(rf"^({'|'.join(_ARGUMENTS)}) is ")


def in_flags(message: str) -> str:
    """``message`` with ``truncation=True``, ``engine="native"`` and ``top_k is 0`` as flags."""
    message = _FOUND.sub(lambda found: f"{flag_of(found[1])} is ", message)
    return _GIVEN.sub(_as_flag, message)


def _as_flag(found: re.Match[str]) -> str:
    known = _VALUES.get(found[0])
    if known is not None:
        return known
    value = found[3] or found[4] or found[2]
    return flag_of(found[1]) if value == "True" else f"{flag_of(found[1])} {value}"
