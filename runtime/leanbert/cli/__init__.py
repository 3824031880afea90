"""The ``leanbert`` command: one module per subcommand, loaded only when it is called.

Exit codes: 0 the work is done, 1 it failed or a check did not hold, 2 the command was used
wrongly, 3 it is done but for rows that failed (``predict --max-errors``), 129, 130 and 143 it was
ended by SIGHUP, Ctrl-C and SIGTERM.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Container, Iterator, Sequence
from contextlib import contextmanager
from importlib import import_module
from signal import SIGINT

from leanbert import __version__
from leanbert.cli.parser import CommandParser
from leanbert.cli.signals import Stopped, stopping_on_signals
from leanbert.cli.streams import complain, forget_stdout, standard_streams
from leanbert.errors import InputError, LeanBertError, LeanBertWarning, MissingExtraError, TaskError
from leanbert.files import name_full_disk

__all__ = ["command_parser", "main", "runtime_command"]

_COMMANDS = {
    "predict": ("leanbert.cli.predict", "classify or embed texts"),
    "info": ("leanbert.cli.info", "show the card of a bundle"),
    "verify": ("leanbert.cli.verify", "check a bundle's files and its answers on this CPU"),
    "doctor": ("leanbert.cli.doctor", "show what LeanBERT sees of this machine"),
    "pull": ("leanbert.cli.pull", "fetch a bundle or an ONNX export from the hub"),
    "export": ("leanbert_export.cli", "turn a Hugging Face checkpoint into a bundle"),
    "bench": ("leanbert_bench.cli", "compare speed, memory and fidelity with PyTorch"),
    "completion": ("leanbert.cli.completion", "write a script that completes words in a shell"),
}

_DESCRIPTION = """BERT encoders on ordinary CPUs, without torch.

examples:
  leanbert predict "Operating profit rose to EUR 13.1 mn."
  leanbert predict --input headlines.txt --json > answers.jsonl
  leanbert export ProsusAI/finbert -o finbert-int8
  leanbert verify finbert-int8

leanbert COMMAND --help explains a command and its flags.
"""


def main(argv: Sequence[str] | None = None) -> int:
    """Run one subcommand and return its exit code; no traceback for anything expected."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    with standard_streams(), _plain_warnings(), stopping_on_signals():
        try:
            return _run(arguments)
        except (InputError, TaskError, MissingExtraError) as error:
            return _fail(error, 2)
        except LeanBertError as error:
            return _fail(error, 1)
        except BrokenPipeError:  # the reader of the output has seen enough
            forget_stdout()
            return 0
        except Stopped as stop:
            return 128 + stop.number
        except KeyboardInterrupt:
            return 128 + SIGINT
        except ImportError as error:
            return _missing(error)
        except MemoryError:
            return _fail("there is not enough memory", 1)
        except OSError as error:  # a full disk, a file without permission
            where = f"{error.filename}: " if error.filename else ""
            return _fail(f"{where}{error.strerror or error}", 1)


def _run(arguments: list[str]) -> int:
    parser = command_parser({_chosen(arguments)})
    args = parser.parse_args(arguments)
    if args.command is None:
        parser.print_help(sys.stderr)
        return 2
    code: int = args.run(args)
    with name_full_disk("stdout"):
        sys.stdout.flush()  # so that a closed pipe is noticed here and not at exit
    return code


def runtime_command(arguments: Sequence[str]) -> bool:
    """Whether the words name a subcommand of the runtime, not of the export or the benchmark."""
    module, _ = _COMMANDS.get(_chosen(arguments) or "", ("", ""))
    return module.startswith("leanbert.")


def _chosen(arguments: Sequence[str]) -> str | None:
    """The word that names the subcommand."""
    return next((word for word in arguments if not word.startswith("-")), None)


def command_parser(chosen: Container[str | None] | None = None) -> CommandParser:
    """The parser of the command.

    Args:
        chosen: the subcommands whose modules are loaded, so that their flags are known; ``None``
            for all.
    """
    parser = CommandParser(prog="leanbert", description=_DESCRIPTION)
    parser.add_argument("--version", action="version", version=f"leanbert {__version__}")
    commands = parser.add_subparsers(
        title="commands", dest="command", metavar="COMMAND", prog="leanbert"
    )
    for name, (module_name, summary) in _COMMANDS.items():
        command = commands.add_parser(name, help=summary)
        if chosen is None or name in chosen:
            module = import_module(module_name)
            command.description = module.__doc__ or summary
            module.add_arguments(command)
            command.set_defaults(run=module.run)
    return parser


def _fail(error: object, code: int) -> int:
    complain(_in_flags(str(error)))
    return code


def _in_flags(message: str) -> str:
    from leanbert.cli.wording import in_flags  # late: only what fails waits for its patterns

    return in_flags(message)


def _missing(error: ImportError) -> int:
    """Name the package that is not installed; an error of LeanBERT's own modules is a fault."""
    package = (error.name or "").partition(".")[0]
    if not package or package.startswith("leanbert"):
        raise error
    return _fail(f"this needs {package}, which cannot be imported ({error})", 2)


@contextmanager
def _plain_warnings() -> Iterator[None]:
    """Show LeanBERT's own warnings as one line each; those of libraries stay out of the way."""

    def show(message: Warning | str, category: type[Warning], *_: object, **__: object) -> None:
        if issubclass(category, LeanBertWarning):
            complain(f"warning: {_in_flags(str(message))}")

    before = warnings.showwarning
    warnings.showwarning = show
    try:
        yield
    finally:
        warnings.showwarning = before
