"""What the command lines of the studies share."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable

from leanbert.errors import LeanBertError
from leanbert_bench.run.process import WorkerError


def new_parser(documentation: str | None) -> argparse.ArgumentParser:
    """Make a parser whose help is a module's docstring, with its examples below the options."""
    head, mark, examples = (documentation or "").partition("examples:")
    return argparse.ArgumentParser(
        description=head.strip(),
        epilog=mark + examples,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )


def one_line_errors(study: str, action: Callable[[], int]) -> int:
    """Return what ``action`` returns, or 1 after one line about what cannot be used."""
    try:
        return action()
    except (LeanBertError, WorkerError, OSError) as error:
        sys.stderr.write(f"{study}: {error}\n")
        return 1
