"""Share of an ARM core's multiply-add rate that each inner block reaches, by static analysis.

No ARM machine is needed. The files of runtime/native/src/arm are compiled to assembly, the loop of
each block is taken out of it, and llvm-mca (apt install llvm) tells how many cycles a core of each
kind needs per iteration. A share is the cycles that the loop's multiply-adds alone would need, by
the same model, over the cycles of the whole loop. Data are supposed to be in the first-level cache.

The model of the in-order Cortex-A53 lets no instruction finish before the one ahead of it: a load
after a multiplication waits until its result comes no sooner. docs/native.md compares this with
what others measured on the core.

examples:
  python -m studies.arm_blocks -o benchmarks/results/arm-blocks.json
  python -m studies.arm_blocks --compiler "aarch64-linux-gnu-g++" --mca llvm-mca-19
"""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from leanbert.errors import InputError
from studies.command_line import Json, measure_or_show, new_parser, one_line_errors

ROOT = Path(__file__).resolve().parents[2]
NATIVE = ROOT / "runtime" / "native"

PATHS = {
    "neon": ("cortex-a53", "cortex-a72", "apple-m1"),
    "neon_dotprod": ("cortex-a76", "neoverse-n1", "apple-m1"),
    "neon_i8mm": ("neoverse-v1", "neoverse-n2", "apple-m2"),
}
"""The cores on which each path is analysed; the first ones are those that have to run it."""

BLOCKS = {
    "int8 matmul": "block_int8",
    "attention scores, 16 bits": "score_block16",
    "attention values, 16 bits": "value_block16",
    "f32 matmul": "block_f32",
    "attention scores, f32": "score_block",
    "attention values, f32": "value_block",
}
"""The function of each block in the sources."""

_MULTIPLIES = ("sdot", "usmmla", "smlal", "smlal2", "fmla")
_CPU_FLAGS = {  # GNU's way of naming a CPU, and zig's
    "neon": ("armv8-a", "generic"),
    "neon_dotprod": ("armv8.2-a+dotprod", "generic+dotprod"),
    "neon_i8mm": ("armv8.2-a+dotprod+i8mm", "generic+dotprod+i8mm"),
}
_FLAGS = (
    "-std=c++17 -O3 -g0 -fno-exceptions -fno-rtti -fno-threadsafe-statics -ffp-contract=off"
    " -fno-math-errno -fPIC -fvisibility=hidden -D_GNU_SOURCE -DLEANBERT_NATIVE_BUILD -S"
)
_ITERATIONS = 200
_ENOUGH = 24  # independent multiplications: more than any core's latency times its pipes


@dataclass(frozen=True)
class Loop:
    """The innermost loop of a block."""

    instructions: tuple[str, ...]

    @property
    def multiplies(self) -> list[str]:
        """Its multiply-adds."""
        return [line for line in self.instructions if line.split()[0] in _MULTIPLIES]

    @property
    def stack(self) -> int:
        """How many of its instructions touch the stack."""
        return sum("sp" in re.findall(r"\w+", line) for line in self.instructions)


def find_loop(assembly: str, function: str) -> Loop:
    """Return the loop with the most multiply-adds among all instances of a function template.

    Raises:
        InputError: there is none.
    """
    found = [loop for body in _bodies(assembly, function) for loop in _loops(body)]
    best = max(
        found, key=lambda loop: (len(loop.multiplies), -len(loop.instructions)), default=None
    )
    if best is None or not best.multiplies:
        raise InputError(f"{function}: no loop with multiply-adds in the compiler's output")
    return best


def _bodies(assembly: str, function: str) -> Iterator[list[str]]:
    """The lines of each function whose name has ``function`` as a template."""
    name = re.compile(rf"_Z\w*?{len(function)}{function}I[\w.]*:")
    body: list[str] | None = None
    for line in assembly.splitlines():
        line = line.partition("//")[0].rstrip()
        if name.match(line):
            body = []
        elif body is not None and re.match(r"\s*\.(cfi_endproc|size)\b", line):
            yield body
            body = None
        elif body is not None:
            body.append(line)


def _loops(body: Sequence[str]) -> Iterator[Loop]:
    """Everything between a label and a branch back to it, where no other loop is inside."""
    labels = {line[:-1]: i for i, line in enumerate(body) if re.fullmatch(r"\.?L\w+:", line)}
    last = -1  # the label of the loop before
    for i, line in enumerate(body):
        branch = re.match(r"\s+(?:b\.?\w*|cbn?z|tbn?z)\s.*?(\.?L\w+)$", line)
        start = labels.get(branch[1], i) if branch else i
        if last < start < i:
            last = start
            lines = (text.strip() for text in body[start + 1 : i + 1])
            yield Loop(tuple(text for text in lines if re.match(r"[a-z]", text)))


def compile_path(compiler: Sequence[str], path: str) -> str:
    """Compile a path's file to assembly.

    Raises:
        InputError: the compiler is not there, or fails.
    """
    gnu, zig = _CPU_FLAGS[path]
    by_name = "zig" in " ".join(compiler)
    cpu = [f"-mcpu={zig}"] if by_name else [f"-march={gnu}", "-fno-schedule-insns"]
    with tempfile.TemporaryDirectory() as folder:
        made = Path(folder) / "path.s"
        command = [*compiler, *cpu, *_FLAGS.split(), "-Iinclude", "-Isrc", f"src/arm/{path}.cpp"]
        _run([*command, "-o", str(made)], NATIVE)
        return made.read_text(encoding="utf-8", errors="replace")


def cycles(mca: Sequence[str], core: str, lines: Sequence[str]) -> float:
    """Return the cycles of one iteration of a loop.

    Raises:
        InputError: llvm-mca is not there, or fails.
    """
    options = [f"-iterations={_ITERATIONS}", "-instruction-info=0", "-resource-pressure=0"]
    target = ["-mtriple=aarch64-linux-gnu", f"-mcpu={core}", "-mattr=+dotprod,+i8mm"]
    printed = _run([*mca, *target, *options], NATIVE, "\n".join(lines) + "\n")
    total = re.search(r"Total Cycles:\s+(\d+)", printed)
    if total is None:
        raise InputError(f"{mca[0]}: no total of cycles in its output")
    return int(total[1]) / _ITERATIONS


def multiplies_alone(loop: Loop) -> list[str]:
    """As many independent multiply-adds of the loop's kind as hide every latency."""
    word, form = loop.multiplies[0].split(None, 1)
    sums, weights, factor = (part.strip() for part in form.split(",", 2))
    lines = []
    for i in (register for register in range(32) if register not in (15, 30)):
        registers = f"v{i}.{sums.split('.')[1]}, v30.{weights.split('.')[1]}"
        lines.append(f"{word} {registers}, {re.sub(r'v[0-9]+', 'v15', factor)}")
    return lines[:_ENOUGH]


def measure(compiler: Sequence[str], mca: Sequence[str]) -> Json:
    """Analyse every block of every path."""
    rows = []
    for path, cores in PATHS.items():
        assembly = compile_path(compiler, path)
        for block, function in BLOCKS.items():
            loop = find_loop(assembly, function)
            for core in cores:
                alone = multiplies_alone(loop)
                peak = cycles(mca, core, alone) / len(alone) * len(loop.multiplies)
                whole = cycles(mca, core, loop.instructions)
                rows.append(
                    {
                        "path": path,
                        "block": block,
                        "core": core,
                        "instructions": len(loop.instructions),
                        "multiply_adds": len(loop.multiplies),
                        "stack": loop.stack,
                        "cycles": round(whole, 2),
                        "cycles_of_multiply_adds": round(peak, 2),
                    }
                )
    return {"compiler": _version(compiler), "llvm_mca": _version(mca), "rows": rows}


def table(results: Json) -> str:
    """The results in Markdown."""
    lines = ["| path | block | multiply-adds of instructions | share of the core's rate |"]
    lines.append("| --- | --- | --- | --- |")
    for path in PATHS:
        for block in BLOCKS:
            rows = [row for row in results["rows"] if (row["path"], row["block"]) == (path, block)]
            if not rows:
                continue
            shares = ", ".join(
                f"{row['core']} {100 * row['cycles_of_multiply_adds'] / row['cycles']:.0f}%"
                for row in rows
            )
            stack = f", {rows[0]['stack']} on the stack" if rows[0]["stack"] else ""
            counts = f"{rows[0]['multiply_adds']} of {rows[0]['instructions']}{stack}"
            lines.append(f"| `{path}` | {block} | {counts} | {shares} |")
    return "\n".join([*lines, "", f"{results['compiler']}; {results['llvm_mca']}.", ""])


def _version(command: Sequence[str]) -> str:
    """The program's name and version."""
    lines = _run([*command, "--version"], NATIVE).splitlines()
    numbered = next((line for line in lines if re.search(r"\d+\.\d+", line)), "").strip()
    return f"{'zig: ' if 'zig' in ' '.join(command) else ''}{numbered}"


def _run(command: Sequence[str], folder: Path, text: str = "") -> str:
    try:
        done = subprocess.run(
            command, cwd=folder, input=text, capture_output=True, text=True, check=False
        )
    except OSError as error:
        raise InputError(f"{command[0]}: {error.strerror}") from error
    if done.returncode:
        last = (done.stderr.strip().splitlines() or ["no message"])[-1]
        raise InputError(f"{command[0]}: failed ({last})")
    return done.stdout


def main(words: Sequence[str] | None = None) -> int:
    """Analyse, or show earlier results; returns the exit code."""
    parser = new_parser(__doc__, results=True)
    parser.add_argument(
        "--compiler",
        default="python -m ziglang c++ -target aarch64-linux-gnu.2.17",
        metavar="COMMAND",
        help="for 64-bit ARM: zig's, as wheels are built with, or GNU's (default: %(default)s)",
    )
    parser.add_argument("--mca", default="llvm-mca", metavar="COMMAND", help="default: %(default)s")
    args = parser.parse_args(words)
    compiler, mca = shlex.split(args.compiler), shlex.split(args.mca)
    return one_line_errors(
        "arm_blocks",
        lambda: measure_or_show("arm_blocks", args, lambda: measure(compiler, mca), table),
    )


if __name__ == "__main__":
    sys.exit(main())
