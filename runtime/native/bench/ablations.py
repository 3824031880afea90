"""Builds the native benchmark with one trick turned off at a time and prints what each is worth.

    python runtime/native/bench/ablations.py --build-only   # before the machine is quiet
    python runtime/native/bench/ablations.py --threads 2    # about a minute and a half

Every variant (CMake's LEANBERT_NATIVE_ABLATE, or an option of native_bench) runs in turn,
`--rounds` times over, so that a slow phase of the machine falls on all; the least time counts.
"""

from __future__ import annotations

import argparse
import platform
import re
import subprocess
import sys
from datetime import datetime, timezone
from pathlib import Path

SOURCE = Path(__file__).resolve().parents[1]
VARIANTS: dict[str, list[str]] = {  # name of the trick turned off -> options of native_bench
    "": [],
    "f32_attention": [],
    "intrinsics": [],
    "no_prefetch": [],
    "no_huge_pages": [],
    "no_columns": [],
    "every token in the last layer": ["--every-token"],
}
ROW = re.compile(r"^\| BERT-base \| \d+ \| (\d+) x (\d+) \| ([\d.]+) ")


def cpu_name() -> str:
    """The CPU's name as Linux has it."""
    info = Path("/proc/cpuinfo")
    found = re.search(r"model name\s*: (.*)", info.read_text()) if info.is_file() else None
    return found.group(1) if found else platform.machine()


def build(folder: Path, trick: str) -> Path:
    """native_bench without `trick`; "" or a run-time trick: as shipped."""
    tricks = trick if trick and not VARIANTS[trick] else ""
    where = folder / (tricks or "shipped")
    configure = ["cmake", "-S", str(SOURCE), "-B", str(where), f"-DLEANBERT_NATIVE_ABLATE={tricks}"]
    for command in (configure, ["cmake", "--build", str(where), "--target", "native_bench", "-j2"]):
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"ablations: {' '.join(command)}\n{done.stdout[-2000:]}{done.stderr}")
    return where / "native_bench"


def measure(bench: Path, options: list[str]) -> dict[str, float]:
    """Median milliseconds by shape."""
    done = subprocess.run([bench, "encoder", *options], capture_output=True, text=True, check=False)
    rows = (ROW.match(line) for line in done.stdout.splitlines())
    found = {f"{r[1]}x{r[2]}": float(r[3]) for r in rows if r}
    if done.returncode or not found:
        raise SystemExit(f"ablations: {bench} {' '.join(options)}: {done.stdout}{done.stderr}")
    return found


def main() -> int:
    """Prints one table in Markdown."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--build", type=Path, default=Path("build/ablations"))
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--seconds", type=float, default=0.5, help="a shape and round (0.5)")
    parser.add_argument("--build-only", action="store_true", help="compile, and measure nothing")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--isa", default="avx512_vnni")
    parser.add_argument("--shapes", default="1x8,1x32,1x128,8x128,1x512")
    arguments = parser.parse_args()
    benches = {trick: build(arguments.build, trick) for trick in VARIANTS}
    if arguments.build_only:
        return 0
    shapes = arguments.shapes.split(",")
    fixed = ["--isa", arguments.isa, "--threads", str(arguments.threads), "--models", "BERT-base"]
    fixed += ["--seconds", str(arguments.seconds), "--shapes", arguments.shapes]
    best: dict[str, dict[str, float]] = {trick: {} for trick in VARIANTS}
    for _ in range(arguments.rounds):
        for trick, options in VARIANTS.items():
            for shape, time in measure(benches[trick], fixed + options).items():
                best[trick][shape] = min(time, best[trick].get(shape, time))
    today = datetime.now(tz=timezone.utc).date()
    print(f"{today}, {cpu_name()}, {arguments.threads} threads, {arguments.isa}; BERT-base, ms\n")
    print("| turned off | " + " | ".join(shapes) + " |\n|---|" + "---|" * len(shapes))
    for trick, times in best.items():
        cells = [
            f"{times[s]:.2f}" + (f" ({times[s] / best[''][s] - 1:+.0%})" if trick else "")
            for s in shapes
        ]
        print(f"| {trick or 'nothing'} | " + " | ".join(cells) + " |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
