"""Turn a Hugging Face checkpoint into a verified bundle; one folder per stage.

``checkpoint`` finds and judges it, ``graph`` traces it and makes the fp32 graph fast, ``int8``
makes the graph small, ``proof`` compares it with PyTorch, and ``layout`` says where the native
engine finds each tensor. ``exporting`` runs them in this order, and ``writing`` makes the bundle
appear whole.
"""

import os

# Before Optimum imports onnxruntime, which would otherwise write into the user's cache folder; see
# leanbert.engines.ort.
os.environ.setdefault("ORT_DISABLE_TELEMETRY", "1")
