"""The ``leanbert`` command: one module a subcommand, loaded only when it is called.

Exit codes: 0 done, 1 the work failed or a check did not hold, 2 wrong use, 130 Ctrl-C.
"""

from __future__ import annotations

import argparse
import os
import sys
import warnings
from collections.abc import Sequence
from importlib import import_module

from leanbert import __version__
from leanbert.errors import InputError, LeanBertError, LeanBertWarning, MissingExtraError, TaskError

__all__ = ["main"]

_COMMANDS = {
    "predict": ("leanbert.cli.predict", "classify or embed texts"),
    "info": ("leanbert.cli.info", "show the card of a bundle"),
    "verify": ("leanbert.cli.verify", "check a bundle's files and its answers on this CPU"),
    "doctor": ("leanbert.cli.doctor", "show what LeanBERT sees of this machine"),
    "export": ("leanbert_export.cli", "turn a Hugging Face checkpoint into a bundle"),
    "bench": ("leanbert_bench.cli", "compare speed, memory and fidelity with PyTorch"),
}

_EXAMPLES = """examples:
  leanbert predict "Operating profit rose to EUR 13.1 mn."
  leanbert predict --input headlines.txt --json > answers.jsonl
  leanbert export ProsusAI/finbert -o finbert-int8
  leanbert verify finbert-int8

leanbert COMMAND --help tells more of each.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code; no traceback for anything expected."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    _show_warnings_plainly()
    try:
        return _run(arguments)
    except (InputError, TaskError, MissingExtraError) as error:
        return _fail(error, 2)
    except LeanBertError as error:
        return _fail(error, 1)
    except BrokenPipeError:  # the reader of our output has seen enough
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return 0
    except KeyboardInterrupt:
        return 130
    except OSError as error:  # a full disk, a file without permission
        where = f"{error.filename}: " if error.filename else ""
        return _fail(f"{where}{error.strerror or error}", 1)


def _run(arguments: list[str]) -> int:
    parser = argparse.ArgumentParser(
        prog="leanbert",
        description="BERT encoders on ordinary CPUs, without torch.",
        epilog=_EXAMPLES,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"leanbert {__version__}")
    commands = parser.add_subparsers(title="commands", dest="command", metavar="COMMAND")
    chosen = next((word for word in arguments if not word.startswith("-")), None)
    for name, (module_name, summary) in _COMMANDS.items():
        command = commands.add_parser(
            name, help=summary, formatter_class=argparse.RawDescriptionHelpFormatter
        )
        if name == chosen:
            module = import_module(module_name)
            command.description = (module.__doc__ or summary).strip()
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    code: int = args.run(args)
    sys.stdout.flush()  # so that a closed pipe is noticed here and not at exit
    return code


def _fail(error: object, code: int) -> int:
    line = " ".join(str(error).split())
    sys.stderr.write(f"leanbert: {line}\n")
    return code


def _show_warnings_plainly() -> None:
    """LeanBERT's own warnings as one line; those of libraries stay out of the way."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, LeanBertWarning):
            sys.stderr.write(f"leanbert: warning: {message}\n")

    warnings.showwarning = show
