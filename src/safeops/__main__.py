"""Runs the command line: ``python -m safeops``."""

from __future__ import annotations

import sys

from safeops.cli import main

if __name__ == "__main__":
    sys.exit(main())
