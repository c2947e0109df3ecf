"""Keeps the code of a revision from doing anything but sending statements while it is recorded."""

from __future__ import annotations

import io
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any

REFUSED = {
    "socket.connect": "connects to the network",
    "socket.getaddrinfo": "connects to the network",
    "subprocess.Popen": "starts another program",
    "os.system": "starts another program",
    "os.exec": "starts another program",
    "os.posix_spawn": "starts another program",
    "os.spawn": "starts another program",
    "os.fork": "forks",
    "os.forkpty": "forks",
}
"""What Python tells its audit hooks before it does it, and how a finding says it."""


class Contained(Exception):
    """A revision did what a review must not let it do."""


class _Watch:
    """Refuses while it is on. An audit hook cannot be removed, so there is one for all time."""

    def __init__(self) -> None:
        self.depth = 0
        self._is_hooked = False

    def __enter__(self) -> None:
        if not self._is_hooked:
            sys.addaudithook(self._refuse)
            self._is_hooked = True
        self.depth += 1

    def __exit__(self, *_: object) -> None:
        self.depth -= 1

    def _refuse(self, event: str, _arguments: Any) -> None:
        if self.depth and event in REFUSED:
            raise Contained(f"It {REFUSED[event]}, which a review does not let it do.")


_watch = _Watch()


@contextmanager
def contained() -> Iterator[None]:
    """Swallow what the block prints, let it sleep no time, and refuse the network, other programs and forks."""
    sleep, time.sleep = time.sleep, lambda _seconds: None
    try:
        with redirect_stdout(io.StringIO()), silent_alembic(), _watch:
            yield
    finally:
        time.sleep = sleep


@contextmanager
def silent_alembic() -> Iterator[None]:
    """Keep Alembic from logging that it runs migrations."""
    logger = logging.getLogger("alembic.runtime.migration")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
