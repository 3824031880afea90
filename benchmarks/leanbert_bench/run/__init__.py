"""Measuring: the model, the texts and the back ends of one run, and what each of them is asked."""
