"""Fetch a bundle or an ONNX export from the Hugging Face hub into a directory, without torch.

The directory appears whole or not at all, and then needs no network. A token is read from the
environment variable HF_TOKEN; HF_HOME, HF_ENDPOINT and HF_HUB_OFFLINE are honoured.

examples:
  leanbert pull owner/finbert-int8 -o finbert-int8
  leanbert pull owner/finbert-int8 --revision v1.0 -o finbert-int8 --force
  leanbert pull owner/minilm --file-name model_quantized.onnx -o minilm
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from leanbert.cli.cells import json_line
from leanbert.cli.flags import add_choice_flags, choice_of
from leanbert.shown import shown

if TYPE_CHECKING:
    from leanbert.bundle.hub import Snapshot


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert pull``."""
    add = parser.add_argument
    add("name", metavar="OWNER/NAME", help="the repository")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="where to put it")
    add_choice_flags(parser)
    add("--force", action="store_true", help="replace a model that is there")
    add("--json", action="store_true", help="what was fetched, as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Fetch, and say what."""
    from leanbert.bundle.hub import pull  # late: help does not wait for it

    found = pull(args.name, args.output, force=args.force, **choice_of(args))
    size = sum((args.output / file).stat().st_size for file in found.files)
    if args.json:
        about = {
            **{name: getattr(found, name) for name in ("name", "commit", "graph", "files")},
            "path": str(args.output),
            "size": size,
        }
        sys.stdout.write(json_line(about))
    else:
        sys.stdout.write(f"{shown(_line(found, args.output, size))}\n")
    return 0


def _line(found: Snapshot, output: Path, size: int) -> str:
    """What was fetched, in a line."""
    what = f"the ONNX export {found.graph}" if found.graph else "a bundle"
    unverified = ", not verified against PyTorch" if found.graph else ""
    return (
        f"{output}: {what} of {found.name} at {found.commit[:12]}, {len(found.files)} files, "
        f"{size / 1e6:.2f} MB{unverified}"
    )
