"""Run a bundle in emulated CPUs, and compare its answers with this machine's own.

Needs Linux, qemu-user (apt install qemu-user: 7.2 works, 10 knows more CPUs) and, for the other
architecture, apt-get and the network; root is not needed. Takes about a minute a CPU.
Exits 1 if the bundle fails `leanbert verify` on a CPU, or does not run there.

examples:
  python benchmarks/emulated/check.py -o results.json
  python benchmarks/emulated/check.py --cpu Haswell-noTSX --bundle finbert-int8 -o results.json
  python benchmarks/emulated/check.py -o benchmarks/results/emulated-cpus.json --page docs/cpus.md
  python benchmarks/emulated/check.py -o results.json --page docs/cpus.md --table-only
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
import time
from collections.abc import Sequence
from datetime import datetime, timezone
from importlib import metadata
from pathlib import Path
from typing import Any

from agreement import END, START, compare, markdown, passed
from answers import AS_STORED
from guests import (
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
from leanbert.bundle import file_sha256
from leanbert.cpu import cpu_name, isa_flags
from leanbert.errors import InputError, LeanBertError
from leanbert.files import whole_file
from leanbert.pipelines import embedded_bundle
from leanbert_bench.provenance import describe_bundle
from leanbert_bench.sections import replace_section

FORMAT_VERSION = 1
CHOSEN = "chosen"
TEXTS = ROOT / "export" / "leanbert_export" / "sample_texts.txt"
MIRROR = "http://deb.debian.org/debian"

Json = dict[str, Any]


def parser() -> argparse.ArgumentParser:
    """The command line."""
    made = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    add = made.add_argument
    add("-o", "--output", type=Path, required=True, metavar="FILE", help="results, JSON")
    add("--bundle", type=Path, metavar="DIR", help="default: the embedded model")
    add("--texts", type=Path, default=TEXTS, metavar="FILE", help="one a line (default: ours)")
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
    add("--page", type=Path, metavar="FILE", help=f"put the table between {START} and {END}")
    add("--table-only", action="store_true", help="run nothing: the table of what -o holds")
    return made


def main(words: Sequence[str] | None = None) -> int:
    """Run, write, show; returns the exit code."""
    args = parser().parse_args(words)
    try:
        document = read_results(args.output) if args.table_only else check(args)
        if not args.table_only:
            with whole_file(args.output) as file:
                file.write(json.dumps(document, indent=1) + "\n")
        table = markdown(document)
        if args.page:
            replace_section(args.page, table, START, END)
    except (LeanBertError, OSError) as error:
        sys.stderr.write(f"check: {error}\n")
        return 1
    sys.stdout.write(table)
    return 0 if passed(document) else 1


def read_results(path: Path) -> Json:
    """What an earlier run wrote.

    Raises:
        InputError: the file is missing, or not of this kind and version.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error})") from error
    if not isinstance(document, dict) or document.get("format_version") != FORMAT_VERSION:
        raise InputError(f"{path}: not a result of this version of the check")
    return document


def check(args: argparse.Namespace) -> Json:
    """Run the bundle natively and in each CPU.

    Raises:
        LeanBertError: an argument cannot be used, qemu or a download is missing, or the native
            run fails.
    """
    if not args.output.absolute().parent.is_dir():  # said now, not after minutes
        raise InputError(f"{args.output.parent}: no such directory; make it, or change -o")
    cpus = [cpu for cpu in CPUS if not args.cpu or cpu.name in args.cpu]
    qemus = {machine: Qemu.find(machine, args.qemu_dir) for machine in {c.machine for c in cpus}}
    bundle = (args.bundle or embedded_bundle()).resolve()
    versions = {name: metadata.version(name) for name in WHEELS}
    lines = args.texts.read_text(encoding="utf-8").splitlines()
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
    return {
        "format_version": FORMAT_VERSION,
        "date": datetime.now(timezone.utc).date().isoformat(),
        "bundle": describe_bundle(bundle),
        "texts": {"name": args.texts.name, "sha256": file_sha256(args.texts), "rows": len(logits)},
        "versions": versions,
        "native": {"cpu": cpu_name(), "isa": list(isa_flags()), **native},
        "rows": rows,
    }


def runs(cpus: Sequence[Cpu]) -> list[tuple[Cpu, str]]:
    """Each CPU as LeanBERT runs it, and one that saturates as if nothing had been done."""
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
    """One line on standard error."""
    sys.stderr.write(f"check: {step}\n")


if __name__ == "__main__":
    sys.exit(main())
