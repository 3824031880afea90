"""Turn a Hugging Face checkpoint into a verified bundle: one module a step.

``checkpoint`` finds it, ``fp32`` exports it, ``fusion`` makes the graph fast, ``quantization``
makes it small, ``proof`` compares it with PyTorch, ``writing`` makes the bundle appear whole;
``exporting`` runs them in this order.
"""
