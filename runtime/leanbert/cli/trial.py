"""Try a bundle's ONNX graph in a child process that may take only so much memory and time.

A graph can ask for any amount of memory with a few bytes (an Expand to gigabytes, say), and ONNX
Runtime has no ceiling for a session. So ``leanbert verify`` first lets a child answer the golden
texts, whose memory and time the system bounds; only then does it compute in its own process.
"""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

from leanbert.bundle import Bundle
from leanbert.errors import LeanBertError, VerificationError

__all__ = ["answer", "try_graph"]

_BESIDE = 2 << 30  # bytes beyond the bundle's own: the largest vocabulary takes 0.5 for 512 tokens
_COPIES = 4  # of the bundle in memory: as read, as ONNX Runtime copies it, as it lays it out
_SECONDS = 600  # of a core
_START = "import json, sys; sys.path[:] = json.loads(sys.argv[1]); from leanbert.cli import trial; "


def try_graph(
    path: str | Path, size: int, *, beside: int = _BESIDE, seconds: int = _SECONDS
) -> bool:
    """Let a child answer the bundle's golden texts with ONNX Runtime.

    Args:
        path: the bundle.
        size: of all its files, in bytes.
        beside: bytes of memory that the child may take, beside its modules' and four times the
            bundle's.
        seconds: of computing that it may take.

    Returns:
        Whether it was tried: the bound is Linux's. What else is wrong with the bundle is not said
        here.

    Raises:
        VerificationError: the graph asked for more.
    """
    if sys.platform != "linux" or not sys.executable or getattr(sys, "frozen", False):
        return False
    ceiling = beside + _COPIES * size
    words = [json.dumps(sys.path), str(path), str(ceiling), str(seconds)]
    done = subprocess.run(
        [sys.executable, "-c", _START + "trial.answer(*sys.argv[2:])", *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        check=False,
    )
    said = done.stderr.decode("utf-8", "replace")
    if done.returncode == -signal.SIGXCPU:
        raise VerificationError(
            f"{path}: its graph computes longer than {seconds} seconds on its own golden texts; do "
            "not use it, or export the checkpoint again"
        )
    if done.returncode < 0 or "alloc" in said or "MemoryError" in said:
        raise VerificationError(
            f"{path}: its graph asks for more than {ceiling >> 20:,} MiB of memory to answer its "
            "own golden texts; do not use it, or export the checkpoint again"
        )
    return True


def answer(path: str, ceiling: str, seconds: str) -> None:
    """Answer the golden texts within the bounds; this is what the child does.

    Args:
        path: the bundle.
        ceiling: bytes that this process may take beyond what it has.
        seconds: of computing that it may take.
    """
    import resource

    from leanbert.engines.onnxruntime import OnnxRuntimeEngine
    from leanbert.tokenization import Tokenizer
    from leanbert.verification import golden_answer

    taken = int(Path("/proc/self/statm").read_text().split()[0]) * resource.getpagesize()
    limits = (
        (resource.RLIMIT_AS, taken + int(ceiling)),
        (resource.RLIMIT_CPU, int(seconds)),
        (resource.RLIMIT_CORE, 0),
    )
    for limit, value in limits:
        _, most = resource.getrlimit(limit)
        soft = value if most == resource.RLIM_INFINITY else min(value, most)
        resource.setrlimit(limit, (soft, most))
    try:
        bundle = Bundle.open(path)
        engine, tokenizer = OnnxRuntimeEngine(bundle, 1), Tokenizer.of(bundle)
        for golden in bundle.manifest.golden if bundle.manifest else ():
            golden_answer(engine, tokenizer, golden)
    except (LeanBertError, MemoryError, IndexError, KeyError, ValueError) as error:
        sys.exit(f"{type(error).__name__}: {error}")
