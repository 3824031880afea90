"""The ``leanbert`` command as a process of its own, which may settle what a library must not.

Where the first answer spends its time is in docs/embedded.md; what stands here takes about a sixth
of it away (``python -m studies.cold_start``).
"""

from __future__ import annotations

import gc
import os
import sys
from contextlib import suppress
from typing import NoReturn

from leanbert.cli import main, runtime_command

__all__ = ["command"]

_ALLOCATIONS = 100_000  # between two looks for cyclic garbage; Python's 700 cost 7 ms of imports


def command() -> NoReturn:
    """Run the command with the words that the process was started with, and end the process.

    :func:`leanbert.cli.main` is the same for a program that has more to do than this.
    """
    gc.set_threshold(_ALLOCATIONS)
    if not runtime_command(sys.argv[1:]):
        sys.exit(main())
    # The engines have threads of their own. numpy's, which it starts when it is imported, compute
    # nothing here; an export and the benchmark leave them as they are.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    code = main()
    for stream in (sys.stdout, sys.stderr):
        with suppress(AttributeError, OSError, ValueError):  # it is closed, or there is none
            stream.flush()
    # All files are written and closed. Taking modules and numpy down takes 15 ms, and mypy ends
    # its process in this way, too.
    os._exit(code)
