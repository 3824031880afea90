"""Values of any type as cells of text and as JSON."""

from __future__ import annotations

import base64
import json
import math
from collections.abc import Mapping
from typing import Any

from leanbert.errors import LeanBertError
from leanbert.shown import OBEYED, one_line

__all__ = ["check_finite", "exact_cell", "json_line", "plain_cell"]


def plain_cell(value: object) -> str:
    """A cell of a tab-separated line: four decimals, and no character that ends the cell."""
    return f"{value:.4f}" if isinstance(value, float) else one_line(_text(value))


def exact_cell(value: object) -> object:
    """A cell of CSV, which keeps all digits of a number."""
    return value if isinstance(value, (str, int, float)) else _text(value)


def json_line(
    values: Mapping[str, Any], answer: Any = None, where: str = "", indent: int | None = None
) -> str:
    """JSON with a line end, in which escapes stand for all characters that a terminal would obey.

    What JSON has no type for becomes a text: dates in ISO 8601, bytes in base64, exact decimals.

    Args:
        values: of the object. Where an input's number is not finite, there is null.
        answer: the model's part of the values.
        where: what messages call the input.
        indent: a level's spaces, for JSON over several lines.

    Raises:
        LeanBertError: a number of the answer is not finite.
    """
    try:
        return _json(values, indent) + "\n"
    except ValueError:
        check_finite(answer, where)
        return _json(_nulled(values), indent) + "\n"


def check_finite(answer: Any, where: str) -> None:
    """Check that all numbers of the model's answer are finite.

    Raises:
        LeanBertError: one is not.
    """
    if isinstance(answer, float) and not math.isfinite(answer):
        raise LeanBertError(f"{where}: the model answers {answer}, which is no score")
    if isinstance(answer, Mapping):
        answer = list(answer.values())
    if isinstance(answer, (list, tuple)):
        for item in answer:
            check_finite(item, where)


def _json(value: Any, indent: int | None = None) -> str:
    text = json.dumps(value, ensure_ascii=False, allow_nan=False, default=_text, indent=indent)
    return OBEYED.sub(
        lambda found: found[0] if found[0] == "\n" else f"\\u{ord(found[0]):04x}", text
    )


def _text(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, (list, dict)):
        return _json(_nulled(value))
    if isinstance(value, (bytes, bytearray)):
        return base64.b64encode(value).decode()
    isoformat = getattr(value, "isoformat", None)
    return str(isoformat() if callable(isoformat) else value)


def _nulled(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, Mapping):
        return {key: _nulled(item) for key, item in value.items()}
    return [_nulled(item) for item in value] if isinstance(value, (list, tuple)) else value
