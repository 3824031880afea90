"""Measurements of one question each, on the back ends and statistics of ``leanbert_bench``."""
