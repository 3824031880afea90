"""Show what LeanBERT sees of this machine: cores, quota, instruction sets, versions.

example:
  leanbert doctor --json
"""

from __future__ import annotations

import argparse
import platform
import sys
from importlib import metadata
from importlib.util import find_spec

from leanbert import __version__
from leanbert.cli.cells import json_line
from leanbert.cli.streams import require_stdout
from leanbert.cpu import allowed_cores, cgroup_quota, cpu_name, isa_flags, omp_num_threads
from leanbert.errors import LeanBertError
from leanbert.shown import shown


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the arguments of ``leanbert doctor``."""
    parser.add_argument("--json", action="store_true", help="as one JSON object")


def run(args: argparse.Namespace) -> int:
    """Print the findings."""
    require_stdout("doctor has nothing else to say it to")
    findings = {
        "leanbert": __version__,
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": f"{allowed_cores()} usable ({_bounds()})",
        "instructions": " ".join(isa_flags()) or "unknown",
        "engine": _engine(),
        "native engine": _native(),
        "embedded model": _embedded(),
        "matmuls": _matmuls(),
        "numpy": _version("numpy"),
        "onnxruntime": _onnxruntime(),
        "tokenizers": _version("tokenizers"),
        "export": _extra("export", ("torch", "transformers", "onnx", "onnx_ir")),
    }
    if args.json:
        sys.stdout.write(json_line(findings, indent=1))
    else:
        width = max(map(len, findings))
        sys.stdout.writelines(
            f"{name:<{width}}  {shown(value)}\n" for name, value in findings.items()
        )
    return 0


def _bounds() -> str:
    """What bounds the number of cores beside the machine and the affinity."""
    quota, wanted = cgroup_quota(), omp_num_threads()
    bounds = [f"quota {quota:g}" if quota else "no quota"]
    return ", ".join([*bounds, f"OMP_NUM_THREADS {wanted}"] if wanted else bounds)


def _matmuls() -> str:
    """How 8-bit weights are multiplied here; asks ONNX Runtime, which may be missing."""
    if find_spec("onnxruntime") is None:
        return "unknown without onnxruntime"
    try:
        from leanbert.engines.saturation import int8_matmuls

        return int8_matmuls().value
    except LeanBertError as error:
        return f"unknown ({error})"


def _engine() -> str:
    """What runs a bundle that has a layout for the native engine; all others run on the second."""
    from leanbert.engines.native.binding import why_no_library

    return "onnxruntime" if why_no_library() else "native"


def _native() -> str:
    """Whether the native engine can run here, and on which kernels."""
    from leanbert.engines.native.binding import ABI_VERSION, native_isa, why_no_library

    reason = why_no_library()
    if reason is not None:
        return f"no, {reason}; onnxruntime runs every bundle"
    return f"yes, {native_isa()} (interface {ABI_VERSION}), for bundles with its layout"


def _embedded() -> str:
    """Which engine computes the embedded model here, and why not the native one."""
    from leanbert.bundle import Bundle
    from leanbert.engines import report_engine
    from leanbert.pipelines import embedded_bundle

    try:
        return str(report_engine(Bundle.open(embedded_bundle())))
    except (LeanBertError, ImportError) as error:
        return f"cannot run ({error})"


def _onnxruntime() -> str:
    from leanbert.engines.advice import onnxruntime_advice

    return _version("onnxruntime", onnxruntime_advice())


def _version(name: str, advice: str = "") -> str:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return f"missing; {advice or f'pip install {name}'}"


def _extra(extra: str, modules: tuple[str, ...]) -> str:
    missing = [name for name in modules if find_spec(name) is None]
    return "installed" if not missing else f"not installed; pip install 'leanbert[{extra}]'"
