"""Reads the docstrings' roles for the site: an extension of griffe, named in ``mkdocs.yml``."""

from __future__ import annotations

import re
from typing import Any

from griffe import Extension, Object

__all__ = ["Roles", "without_roles"]

_ROLE = re.compile(r":(?:attr|class|data|func|meth|mod):`(~?)([\w.]+)`")


def without_roles(text: str) -> str:
    """The text with ``:class:`~leanbert.bundle.Bundle``` written as the name ```Bundle```."""
    return _ROLE.sub(lambda role: f"`{role[2].rpartition('.')[2] if role[1] else role[2]}`", text)


class Roles(Extension):  # type: ignore[misc]  # griffe is in the site's environment alone
    """Takes the roles out of every docstring."""

    def on_object(self, *, obj: Object, **_: Any) -> None:
        """Rewrite the docstring of one function, class or module."""
        if obj.docstring is not None:
            obj.docstring.value = without_roles(obj.docstring.value)
