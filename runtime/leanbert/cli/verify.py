"""Check every byte of a bundle, what its manifest says, and its answers on this CPU.

Every engine that can run here answers the golden texts; --engine narrows it to one.

The exit code is 0 if all is as the export left it, else 1 with a line that says what differs.

examples:
  leanbert verify finbert-int8
  leanbert verify                 (the embedded model)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from dataclasses import asdict
from importlib.util import find_spec

from leanbert.bundle import Bundle
from leanbert.cli.cells import json_line
from leanbert.cli.flags import add_bundle_argument, add_engine_flags, located
from leanbert.errors import InputError
from leanbert.shown import shown
from leanbert.verification import Verification, verify_opened


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert verify``."""
    add_bundle_argument(parser)
    add_engine_flags(parser)
    parser.add_argument("--json", action="store_true", help="the findings as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Verify, and say what was proved."""
    if args.file_name not in (None, "model.onnx"):
        raise InputError(
            f"--file-name is {args.file_name!r}; the graph of a bundle is model.onnx: leave it out"
        )
    path, choice = located(args)
    if choice.get("subfolder"):
        path /= str(choice["subfolder"])
    bundle = Bundle.open(path, hashed=choice.get("hashed"))
    if args.engine != "native" and find_spec("onnxruntime") is not None:
        from leanbert.cli.trial import try_graph

        try_graph(path, bundle.size)
    found = verify_opened(bundle, args.threads, args.engine)
    if args.json:
        sys.stdout.write(json_line({**asdict(found), "path": str(found.path)}))
    else:
        sys.stdout.writelines(f"{shown(line)}\n" for line in _lines(found))
    return 0


def _lines(found: Verification) -> Iterator[str]:
    yield (
        f"{found.path}: {found.files} files intact; {found.golden_texts} golden texts within "
        f"{found.max_difference:.4g} of PyTorch (allowed {found.atol:.4g}), "
        f"{found.mean_difference:.4g} on average (allowed {found.mean_atol:.4g}), on {found.cpu}"
    )
    for proof in found.proofs:
        yield (
            f"  {proof.engine}: within {proof.max_difference:.4g}, {proof.mean_difference:.4g} on "
            f"average ({proof.matmuls})"
        )
    for engine, reason in found.not_run.items():
        yield f"  {engine}: not run ({reason})"
    yield f"  as the manifest says: {', '.join(found.checked)}"
    for reason in dict.fromkeys(found.unchecked.values()):
        names = (name for name, why in found.unchecked.items() if why == reason)
        yield f"  not checked: {', '.join(names)} ({reason})"
