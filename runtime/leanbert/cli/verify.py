"""Check every byte of a bundle, and its answers to the golden texts on this CPU.

The exit code is 0 if all is as the export left it, else 1 with a line that says what differs.

examples:
  leanbert verify finbert-int8
  leanbert verify                 (the embedded model)
"""

from __future__ import annotations

import argparse
import sys
from dataclasses import asdict

from leanbert.cli.cells import json_line
from leanbert.cli.flags import add_bundle_argument, add_engine_flags, bundle_of
from leanbert.cli.shown import shown
from leanbert.pipelines import embedded_bundle
from leanbert.verification import Verification, verify


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert verify``."""
    add_bundle_argument(parser)
    add_engine_flags(parser)
    parser.add_argument("--json", action="store_true", help="the findings as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Verify, and say what was proved."""
    found = verify(bundle_of(args) or embedded_bundle(), threads=args.threads, engine=args.engine)
    if args.json:
        sys.stdout.write(json_line({**asdict(found), "path": str(found.path)}))
    else:
        line = (
            f"{found.path}: {found.files} files intact; "
            f"{found.golden_texts} golden texts within {found.max_difference:.4g} of PyTorch "
            f"(allowed {found.atol:.4g}), "
            f"{found.mean_difference:.4g} on average (allowed {found.mean_atol:.4g}), "
            f"on {found.cpu} with {found.engine} ({found.products}{_why(found)})"
        )
        sys.stdout.write(f"{shown(line)}\n")
    return 0


def _why(found: Verification) -> str:
    return f"; not native: {found.why_not_native}" if found.why_not_native else ""
