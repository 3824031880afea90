"""The model that ships with LeanBERT, a bundle like any other."""

from __future__ import annotations

from pathlib import Path

__all__ = ["DEFAULT_TASK", "default_model"]

DEFAULT_TASK = "text-classification"


def default_model() -> Path:
    """The directory of the financial-sentiment bundle."""
    return Path(__file__).parent / "financial_sentiment"
