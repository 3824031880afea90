"""LeanBERT's benchmark: the README's table, measured again on any machine by one command."""
