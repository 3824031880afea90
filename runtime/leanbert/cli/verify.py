"""Check every byte of a bundle, and its answers to the golden texts on this CPU.

Exits 0 if all is as the export left it, 1 with one line that says what differs.

examples:
  leanbert verify finbert-int8
  leanbert verify                 (the embedded model)
"""

from __future__ import annotations

import argparse
import json
import sys
from dataclasses import asdict
from pathlib import Path

from leanbert.engines import ENGINES
from leanbert.pipelines import embedded_bundle
from leanbert.verification import Verification, verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert verify``."""
    parser.add_argument(
        "bundle", nargs="?", type=Path, metavar="DIR", help="default: the embedded model"
    )
    parser.add_argument("--threads", type=int, metavar="N", help="default: all allowed cores")
    parser.add_argument(
        "--engine", choices=ENGINES, default="auto", help="which to prove (default: %(default)s)"
    )
    parser.add_argument("--json", action="store_true", help="the findings as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Verify, and say what was proved."""
    found = verify(args.bundle or embedded_bundle(), threads=args.threads, engine=args.engine)
    if args.json:
        sys.stdout.write(json.dumps({**asdict(found), "path": str(found.path)}) + "\n")
    else:
        sys.stdout.write(
            f"{found.path}: {found.files} files intact; {found.golden_texts} golden texts within "
            f"{found.max_difference:.4g} of PyTorch (allowed {found.atol:.4g}), "
            f"{found.mean_difference:.4g} on average (allowed {found.mean_atol:.4g}), "
            f"on {found.cpu} with {found.engine} ({found.products}{_why(found)})\n"
        )
    return 0


def _why(found: Verification) -> str:
    return f"; not native: {found.why_not_native}" if found.why_not_native else ""
