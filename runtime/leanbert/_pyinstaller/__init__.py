"""Hooks that PyInstaller finds by the entry point ``pyinstaller40``: freezing needs no flags."""

from pathlib import Path

__all__ = ["hook_dirs"]


def hook_dirs() -> list[str]:
    """The folders with hooks, for PyInstaller."""
    return [str(Path(__file__).parent)]
