"""Bundles in emulated CPUs, compared with the machine's own run."""
