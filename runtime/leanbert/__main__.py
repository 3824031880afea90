"""``python -m leanbert`` is the ``leanbert`` command."""

from leanbert.cli.process import command

command()
