"""Describe checkpoints: one short module per family turns config and tensors into a description."""
