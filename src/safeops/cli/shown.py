"""Text on a terminal: in colours where ``rich`` is installed, plain elsewhere, as in a log or a pipe."""

from __future__ import annotations

import sys
from typing import TextIO


def show(text: str, out: TextIO | None = None) -> None:
    """Print text to standard output, or to ``out``; numbers, names and paths stand out on a terminal."""
    out = sys.stdout if out is None else out
    if out.isatty():
        try:
            from rich.console import Console
        except ImportError:
            pass
        else:
            Console(file=out, soft_wrap=True).print(text, markup=False, emoji=False)
            return
    print(text, file=out, flush=True)
