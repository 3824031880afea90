"""How ONNX Runtime gets onto a machine that lacks it: PyPI does not have it for every platform."""

from __future__ import annotations

import platform
import sys

__all__ = ["onnxruntime_advice"]


def onnxruntime_advice() -> str:
    """What to do on this platform, a clause."""
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return "pip install 'onnxruntime<1.24', the last for Intel Macs (Python 3.13 and older)"
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return "PyPI has none for musl: use a Linux with glibc, or a bundle for the native engine"
    return "pip install onnxruntime"
