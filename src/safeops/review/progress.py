"""The line on a terminal that shows how far a long review is."""

from __future__ import annotations

import time
from collections.abc import Iterable, Iterator, Sized
from contextlib import ExitStack, suppress
from typing import TypeVar

from safeops.backfilling.terminal import TerminalLine, rendered, terminal

SHOW_AFTER = 2.0
"""Seconds after which the line is shown."""
T = TypeVar("T")


def shown(items: Iterable[T], all_items: Sized, verb: str) -> Iterator[T]:
    """Yield items; if that takes long on a terminal, show how many there were.

    Args:
        items: One for each revision.
        all_items: As many as there will be.
        verb: What is done with the revisions.
    """
    began, total = time.monotonic(), len(all_items)
    line: TerminalLine | None = None
    with ExitStack() as stack:
        for done, one in enumerate(items, 1):
            if line is None and time.monotonic() - began >= SHOW_AFTER and (stream := terminal()) is not None:
                line = TerminalLine(stream)
                stack.callback(line.close)
            # The terminal may have been closed.
            with suppress(OSError, ValueError):
                if line is not None:
                    line.draw(rendered([verb], [[f"{done} of {total} revisions"]], done / total))
            yield one
