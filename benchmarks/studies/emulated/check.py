"""Run a bundle in emulated CPUs, and compare its answers with this machine's own.

Needs Linux, qemu-user (apt install qemu-user: 7.2 works, 10 knows more CPUs) and, for the other
architecture, apt-get and the network; root is not needed. Takes about a minute per CPU.
Exits with 1 if the bundle fails `leanbert verify` on a CPU, or does not run there.

examples:
  python -m studies.emulated.check -o benchmarks/results/emulated-cpus.json
  python -m studies.emulated.check --cpu Haswell-noTSX --bundle finbert-int8 -o results.json
  python -m studies.emulated.check --table benchmarks/results/emulated-cpus.json
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from leanbert.errors import InputError
from leanbert.pipelines import embedded_bundle
from leanbert_bench.provenance import describe_bundle, describe_study
from leanbert_export.samples import sample_texts
from studies.command_line import Json, measure_or_show, new_parser
from studies.emulated.agreement import compare, markdown, passed
from studies.emulated.answers import AS_STORED
from studies.emulated.guests import (
    ANSWERS,
    CPUS,
    ROOT,
    WHEELS,
    Cpu,
    EmulationError,
    Qemu,
    interpreter,
    output_of,
    own_interpreter,
)

CHOSEN = "chosen"
MIRROR = "http://deb.debian.org/debian"


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read the command line."""
    parser = new_parser(__doc__, results=True)
    add = parser.add_argument
    add("--bundle", type=Path, metavar="DIR", help="default: the embedded model")
    add("--texts", type=Path, metavar="FILE", help="one per line (default: LeanBERT's sample)")
    add("--limit", type=int, default=60, metavar="N", help="the first N texts (default: 60)")
    add(
        "--cpu", nargs="+", metavar="NAME", choices=[cpu.name for cpu in CPUS],
        help=f"of {', '.join(cpu.name for cpu in CPUS)} (default: all)",
    )  # fmt: skip
    add("--qemu-dir", type=Path, metavar="DIR", help="where qemu lies (default: on the PATH)")
    add(
        "--work-dir", type=Path, default=ROOT / "build" / "emulated", metavar="DIR",
        help="keeps downloads for the next run (default: build/emulated)",
    )  # fmt: skip
    add("--mirror", default=MIRROR, metavar="URL", help=f"of Debian (default: {MIRROR})")
    add("--timeout", type=float, default=600, metavar="S", help="of one CPU (default: 600)")
    args = parser.parse_args(words)
    if (args.output is None) == (args.table is None):
        parser.error("give -o FILE for new results, or --table FILE to show earlier ones")
    return args


def main(words: Sequence[str] | None = None) -> int:
    """Run and show, or show earlier results; return the exit code."""
    args = parse(words)
    return measure_or_show("check", args, lambda: check(args), markdown, passed)


def check(args: argparse.Namespace) -> Json:
    """Run the bundle natively and in each CPU.

    Raises:
        LeanBertError: an argument cannot be used, qemu or a download is missing, or the native
            run fails.
    """
    cpus = [cpu for cpu in CPUS if not args.cpu or cpu.name in args.cpu]
    qemus = {machine: Qemu.find(machine, args.qemu_dir) for machine in {c.machine for c in cpus}}
    bundle = (args.bundle or embedded_bundle()).resolve()
    versions = {name: metadata.version(name) for name in WHEELS}
    lines = args.texts.read_text(encoding="utf-8").splitlines() if args.texts else sample_texts()
    texts = [line for line in lines if line.strip()][: max(0, args.limit)]
    if not texts:
        raise InputError(f"{args.texts}: no text to answer (--limit {args.limit})")
    with tempfile.TemporaryDirectory() as folder:
        chosen_texts = Path(folder) / "texts.txt"
        chosen_texts.write_text("\n".join(texts) + "\n", encoding="utf-8")
        words = [ANSWERS, bundle, chosen_texts]
        progress("this machine, not emulated")
        native = json.loads(
            output_of(own_interpreter().command([*words, CHOSEN]), timeout=args.timeout)
        )
        rows = []
        for cpu, way in runs(cpus):
            qemu = qemus[cpu.machine]
            row = {"machine": cpu.machine, "cpu": cpu.name, "has": cpu.has, "way": way}
            row["qemu"] = qemu.version
            if reason := qemu.refuses(cpu):
                rows.append({**row, "skipped": reason})
                continue
            progress(f"{cpu.machine} {cpu.name}, {way}")
            python = interpreter(cpu.machine, args.work_dir.resolve(), versions, args.mirror)
            command = python.command([*words, way], qemu, cpu.name)
            rows.append(row | answer(command, native["logits"], args.timeout))
    logits = native.pop("logits")
    digest = hashlib.sha256("\n".join(texts).encode()).hexdigest()
    name = args.texts.name if args.texts else "LeanBERT's sample texts"
    return {
        **describe_study(),
        "bundle": describe_bundle(bundle),
        "texts": {"name": name, "sha256": digest, "rows": len(logits)},
        "native": native,
        "rows": rows,
    }


def runs(cpus: Sequence[Cpu]) -> list[tuple[Cpu, str]]:
    """Return each CPU as LeanBERT runs it, and one that saturates as if nothing had been done."""
    found = [(cpu, CHOSEN) for cpu in cpus]
    saturating = next((i for i, cpu in enumerate(cpus) if "no VNNI" in cpu.has), None)
    if saturating is not None:
        found.insert(saturating + 1, (cpus[saturating], AS_STORED))
    return found


def answer(command: Sequence[str], native: Any, timeout: float) -> Json:
    """Run one CPU and compare; a failure becomes the row's ``error``."""
    start = time.monotonic()
    try:
        found = json.loads(output_of(command, timeout=timeout))
    except (EmulationError, ValueError) as error:
        return {"error": str(error)}
    return {
        **compare(found.pop("logits"), native),
        **found,
        "seconds": round(time.monotonic() - start, 1),
    }


def progress(step: str) -> None:
    """Write one line to standard error."""
    sys.stderr.write(f"check: {step}\n")


if __name__ == "__main__":
    sys.exit(main())
