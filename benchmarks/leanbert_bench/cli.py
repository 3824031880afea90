"""Compare speed, memory and fidelity with PyTorch and the peers on this machine.

examples:
  leanbert bench run --help
  leanbert bench run --quick --output results
  leanbert bench compare old/results.json new/results.json
  leanbert bench report results -o results
  leanbert bench table results --readme README.md
"""

from __future__ import annotations

import argparse
from importlib import import_module
from typing import Any

from leanbert.cli.parser import CommandParser

_ACTIONS = {
    "run": "measure, and write results.json and the reports",
    "compare": "show what changed between two runs, and guard it",
    "report": "write report.md and report.html of a run anew",
    "compact": "replace samples by a summary per turn",
    "table": "show the README's table, or put it there",
}
"""Each module of :mod:`leanbert_bench.commands` with its line of help."""


class _Action(CommandParser):
    """The parser of an action; it imports the action's module when the action was chosen."""

    module_name = ""

    def load(self) -> None:
        """Import the action's module, and declare its options."""
        module = import_module(self.module_name)
        self.description = module.__doc__ or ""
        module.add_arguments(self)
        self.set_defaults(run_action=module.run)

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """See :class:`argparse.ArgumentParser`; called once, for the chosen action only."""
        self.load()
        return super().parse_known_args(args, namespace)


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the actions; each declares its own options when it is chosen."""
    actions = parser.add_subparsers(
        title="actions",
        dest="action",
        required=True,
        metavar="ACTION",
        parser_class=_Action,
        prog="leanbert bench",
    )
    for name, summary in _ACTIONS.items():
        action = actions.add_parser(name, help=summary)
        action.module_name = f"leanbert_bench.commands.{name}"


def run(args: argparse.Namespace) -> int:
    """Do the chosen action, and return its exit code.

    Raises:
        LeanBertError: a file or an argument cannot be used, or a library is missing.
    """
    code: int = args.run_action(args)
    return code
