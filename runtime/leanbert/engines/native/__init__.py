"""LeanBERT's own int8 encoder: the engine, the C library's binding, and the layout of tensors."""
