"""LeanBERT's benchmark: one command measures LeanBERT and its peers on any machine."""
