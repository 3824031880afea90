"""ONNX Runtime itself: the one place from which it is imported."""

from __future__ import annotations

import os
import platform
import sys

from leanbert.errors import MissingExtraError

__all__ = ["ort"]

# Importing it would otherwise write a device's id below the user's cache folder, and a session ask
# for a host to send events to. The variable is read at the import only (1.32).
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")


def _advice() -> str:
    """How onnxruntime gets onto this machine, a clause."""
    if sys.platform == "darwin" and platform.machine() == "x86_64":
        return "pip install 'onnxruntime<1.24', the last for Intel Macs (Python 3.13 and older)"
    if sys.platform == "linux" and platform.libc_ver()[0] != "glibc":
        return "PyPI has none for musl: use a Linux with glibc, or a bundle for the native engine"
    return "pip install onnxruntime"


try:
    import onnxruntime as ort
except ImportError as error:
    why = "is not installed" if error.name == "onnxruntime" else f"cannot be imported ({error})"
    raise MissingExtraError(f"onnxruntime {why}; {_advice()}") from error

ort.disable_telemetry_events()
