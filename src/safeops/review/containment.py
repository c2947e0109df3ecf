"""Keeps the code of a revision from doing anything but sending statements while it is recorded, and from never ending."""

from __future__ import annotations

import io
import logging
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from typing import Any, NoReturn

from safeops.review.recorder import Endless

REFUSED = {
    **dict.fromkeys(("socket.connect", "socket.getaddrinfo", "socket.sendto"), "connects to the network"),
    **dict.fromkeys(
        ("subprocess.Popen", "os.system", "os.exec", "os.posix_spawn", "os.spawn", "os.startfile"),
        "starts another program",
    ),
    **dict.fromkeys(("os.fork", "os.forkpty"), "forks"),
    **dict.fromkeys(("os.kill", "os.killpg", "signal.pthread_kill"), "sends a signal"),
    "builtins.input": "asks a question",
}
"""What Python tells its audit hooks before it does it, and how a finding says it."""
LONGEST = 30.0
"""Seconds that one run of a revision may take: it sends nothing over a network, and sleeps no time."""


class Contained(Exception):
    """A revision did what a review must not let it do."""


class _Watch:
    """Refuses while it is on. An audit hook cannot be removed, so there is one for all time."""

    def __init__(self) -> None:
        self.refused: list[str] | None = None
        self.refuses_scripts = False
        self._is_hooked = False

    @contextmanager
    def on(self) -> Iterator[list[str]]:
        """Refuse for the block, and note what was refused: the code may catch the error."""
        self.hook()
        refused: list[str] = []
        self.refused = refused
        try:
            yield refused
        finally:
            self.refused = None

    def hook(self) -> None:
        """Have Python tell from now on what it is about to do."""
        if not self._is_hooked:
            sys.addaudithook(self._look)
            self._is_hooked = True

    def _look(self, event: str, arguments: Any) -> None:
        if self.refuses_scripts and event == "open" and _is_script(*arguments[:2]):
            raise Contained("It writes a script of SQL.")
        if self.refused is not None and event in REFUSED:
            self.refuse(REFUSED[event])

    def refuse(self, what: str) -> NoReturn:
        why = f"It {what}, which a review does not let it do."
        if self.refused is not None:
            self.refused.append(why)
        raise Contained(why)


def _is_script(path: Any, mode: Any) -> bool:
    return str(mode or "").startswith("w") and str(path).endswith(".sql")


_watch = _Watch()


@contextmanager
def refusing_scripts() -> Iterator[None]:
    """Keep env.py from writing scripts of SQL for the block, as Alembic's for several databases does."""
    _watch.hook()
    _watch.refuses_scripts = True
    try:
        yield
    finally:
        _watch.refuses_scripts = False


@contextmanager
def contained() -> Iterator[list[str]]:
    """Run the block without the network, other programs, forks and questions; give what it was refused.

    What it prints is swallowed, it sleeps no time, and it is ended with ``Endless`` if it does not end by itself.
    """
    with (
        redirect_stdout(io.StringIO()),
        silent_alembic(),
        _instead(time, "sleep", lambda _seconds: None),
        _instead(os, "_exit", lambda _status: _watch.refuse("ends the process")),
        _watch.on() as refused,
        _ended_in_time(),
    ):
        yield refused


@contextmanager
def _instead(module: Any, name: str, function: Callable[[Any], object]) -> Iterator[None]:
    before = getattr(module, name)
    setattr(module, name, function)
    try:
        yield
    finally:
        setattr(module, name, before)


@contextmanager
def _ended_in_time() -> Iterator[None]:
    """Raise Endless in the block once it has taken too long, also in a loop that sends nothing; in the main thread only."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise Endless(f"It was stopped after {LONGEST:g} s: it may not end.")

    handler = signal.signal(signal.SIGALRM, end)
    left, interval = signal.setitimer(signal.ITIMER_REAL, LONGEST)
    started = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            # Somebody else's, as that of a test.
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.001), interval)


@contextmanager
def silent_alembic() -> Iterator[None]:
    """Keep Alembic from logging that it runs migrations."""
    logger = logging.getLogger("alembic.runtime.migration")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
