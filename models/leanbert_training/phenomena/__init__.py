"""Sentences of our own about what sentiment models often get wrong, filled in from patterns."""
