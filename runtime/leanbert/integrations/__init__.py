"""LeanBERT inside other systems; each module is imported only by whoever asks for it."""
