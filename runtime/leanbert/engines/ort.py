"""ONNX Runtime itself: the one place from which it is imported."""

from __future__ import annotations

from leanbert.engines.advice import onnxruntime_advice
from leanbert.environment import variable
from leanbert.errors import MissingExtraError

__all__ = ["ort"]

# Importing it would otherwise write a device's id below the user's cache folder, and a session ask
# for a host to send events to. The variable is read at the import only (1.32).
with variable("ORT_DISABLE_TELEMETRY", "1"):
    try:
        import onnxruntime as ort
    except ImportError as error:
        why = "is not installed" if error.name == "onnxruntime" else f"cannot be imported ({error})"
        raise MissingExtraError(f"onnxruntime {why}; {onnxruntime_advice()}") from error

ort.disable_telemetry_events()
