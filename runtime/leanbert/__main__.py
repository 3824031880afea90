"""``python -m leanbert`` is the ``leanbert`` command."""

import sys

from leanbert.cli import main

sys.exit(main())
