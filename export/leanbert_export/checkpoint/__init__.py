"""Find a checkpoint and judge it: its files, its head, its labels."""
