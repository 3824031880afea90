"""``results.json``: what a run writes, and the figures that its samples give."""
