"""Limits a recorded revision to sending statements, and to a time limit."""

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
    "builtins.input": "prompts for input",
}
"""Events of Python's audit hooks, with their words in a finding."""
LONGEST = 30.0
"""The time limit of one run of a revision in seconds: it has no network, and does not sleep."""


class Contained(Exception):
    """A revision did something that a review does not allow."""


class _Watch:
    """Refuses events while it is on. An audit hook cannot be removed, so there is one per process."""

    def __init__(self) -> None:
        self.refused: list[str] | None = None
        self.refuses_scripts = False
        self._is_hooked = False

    @contextmanager
    def on(self) -> Iterator[list[str]]:
        """Refuse events in the block, and record the refusal: the code can catch the error."""
        self.hook()
        refused: list[str] = []
        self.refused = refused
        try:
            yield refused
        finally:
            self.refused = None

    def hook(self) -> None:
        """Install the audit hook."""
        if not self._is_hooked:
            sys.addaudithook(self._look)
            self._is_hooked = True

    def _look(self, event: str, arguments: Any) -> None:
        if self.refuses_scripts and event == "open" and _is_script(*arguments[:2]):
            raise Contained("It writes an SQL script.")
        if self.refused is not None and event in REFUSED:
            self.refuse(REFUSED[event])

    def refuse(self, what: str) -> NoReturn:
        why = f"It {what}, which a review does not allow."
        if self.refused is not None:
            self.refused.append(why)
        raise Contained(why)


def _is_script(path: Any, mode: Any) -> bool:
    return str(mode or "").startswith("w") and str(path).endswith(".sql")


_watch = _Watch()


@contextmanager
def refusing_scripts() -> Iterator[None]:
    """Do not let env.py write SQL scripts in the block, as Alembic's env.py for several databases does."""
    _watch.hook()
    _watch.refuses_scripts = True
    try:
        yield
    finally:
        _watch.refuses_scripts = False


@contextmanager
def contained() -> Iterator[list[str]]:
    """Run the block without network, other programs, forks and prompts; return the refusals.

    Its output is discarded, it does not sleep, and ``Endless`` ends it after the time limit.
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
    """Raise Endless in the block after the time limit, even in a loop that sends nothing; in the main thread only."""
    if threading.current_thread() is not threading.main_thread() or not hasattr(signal, "setitimer"):
        yield
        return

    def end(*_: object) -> None:
        raise Endless(f"The review stopped it after {LONGEST:g} s: it might never end.")

    handler = signal.signal(signal.SIGALRM, end)
    left, interval = signal.setitimer(signal.ITIMER_REAL, LONGEST)
    started = time.monotonic()
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, handler)
        if left:
            # It belongs to other code, such as a test.
            signal.setitimer(signal.ITIMER_REAL, max(left - (time.monotonic() - started), 0.001), interval)


@contextmanager
def silent_alembic() -> Iterator[None]:
    """Silence Alembic's log."""
    logger = logging.getLogger("alembic.runtime.migration")
    before, logger.disabled = logger.disabled, True
    try:
        yield
    finally:
        logger.disabled = before
