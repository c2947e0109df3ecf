"""What goes wrong in a backup or a restore, told as one error."""

from __future__ import annotations

import errno
import os
import shutil
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.databases.programs import ToolFailed
from safeops.errors import BackupFailed, Unreachable
from safeops.foretold import spelled_size

NO_BACKUP = "No backup was made, and no part of one was left; running again is safe."


@contextmanager
def reaching() -> Iterator[None]:
    """Tell a database that cannot be reached as BackupFailed."""
    try:
        yield
    except Unreachable as error:
        # How the connection of env.py fails is told in full already.
        raise BackupFailed(error.problem, why=error.why, remedy=error.remedy, code=error.code) from error
    except (DBAPIError, OSError) as error:
        raise BackupFailed(
            f"The database cannot be reached or asked: {first_line(error)}.",
            remedy="Check the server, the user, the password and the name of the database.",
        ) from error


def first_line(error: BaseException) -> str:
    text = str(getattr(error, "orig", None) or error).strip()
    return text.splitlines()[0].rstrip(".") if text else type(error).__name__


@contextmanager
def told(folder: Path, state: str = NO_BACKUP) -> Iterator[None]:
    """Tell what a program or the disk complains of as BackupFailed.

    Args:
        folder: Where the block writes.
        state: What stands after a failure.
    """
    try:
        yield
    except ToolFailed as error:
        raise BackupFailed(f"{error.tool} failed:\n{_indented(error.said)}", state=state) from error
    except OSError as error:
        raise _of_disk(error, folder, state) from error


def _of_disk(error: OSError, folder: Path, state: str) -> BackupFailed:
    if error.errno not in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return BackupFailed(f"{error.strerror or error}: {error.filename or folder}.", state=state)
    free = f" ({spelled_size(shutil.disk_usage(folder).free)} are free there now)"
    return BackupFailed(
        f"{folder} took no more: {os.strerror(error.errno)}{free}.",
        state=state,
        remedy="Make room there, or write the backup elsewhere:",
        code="safeops backup --to /a/larger/disk",
    )


def _indented(text: str) -> str:
    return "\n".join(f"  {line}" for line in text.splitlines())


@contextmanager
def ending_on_signals() -> Iterator[None]:
    """Have SIGTERM do what Ctrl-C does, so that nothing is left over; only the main thread can."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    handlers: dict[int, Any] = {one: signal.getsignal(one) for one in (signal.SIGINT, signal.SIGTERM)}
    # What a shell has a job in the background ignore, it goes on to ignore.
    before = {one: handler for one, handler in handlers.items() if handler is not signal.SIG_IGN}
    for one in before:
        signal.signal(one, signal.default_int_handler)
    try:
        yield
    finally:
        for one, handler in before.items():
            # None is a handler that Python did not set and cannot set again.
            signal.signal(one, signal.SIG_DFL if handler is None else handler)
