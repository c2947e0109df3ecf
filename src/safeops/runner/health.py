"""Asks an application whether it is well."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import tempfile
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from safeops.errors import InvalidArgument
from safeops.foretold import summary

PATIENCE = 30.0
"""Seconds that an application may take to become healthy."""
LEAST, MOST = 1.0, 10.0
"""Seconds that one answer may take: what is left of the patience, within these."""
PAUSE = 1.0
URL = re.compile("https?://", re.IGNORECASE)


def check_askable(check: str) -> None:
    """Raise InvalidArgument where a health check is a URL that nobody could be asked by."""
    wrong = _fault(check) if URL.match(check) else None if check.strip() else "it is empty"
    if wrong is not None:
        raise InvalidArgument(
            f"This health check cannot be made: {wrong}.",
            remedy="Give a URL that is written out, with %20 for a blank, or a command:",
            code="safeops upgrade --health-check http://localhost:8000/health\n"
            'safeops upgrade --health-check "curl -fsS http://localhost:8000/health"',
        )


def _fault(url: str) -> str | None:
    if re.search("[^!-~]", url):
        return "a URL has no blanks, and no letters beyond ASCII"
    try:
        parts = urlsplit(url)
        # Looking at the port is what checks it.
        if not parts.hostname or parts.port == 0:
            return "the URL has no host, or no port that a server could have"
    except ValueError as error:
        return f"the URL is none: {error}"
    return None if parts.username is None else "a URL with a user in it is not supported"


def illness(check: str, patience: float = PATIENCE) -> str | None:
    """Return for how long an application has not been healthy, and why; None once it is.

    Args:
        check: A URL that must answer with 2xx, or a command that must exit with 0.
        patience: Seconds to go on asking.
    """
    started = time.monotonic()
    ask = _asked if URL.match(check) else _run
    while True:
        left = started + patience - time.monotonic()
        found = ask(check, min(max(left, LEAST), MOST))
        if found is None:
            return None
        passed = time.monotonic() - started
        if passed + PAUSE > patience:
            return f"not healthy after {passed:.0f} s: {found}"
        time.sleep(PAUSE)


def _asked(url: str, seconds: float) -> str | None:
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            # What is none is raised, but for 1xx and the like.
            return None if 200 <= answer.status < 300 else f"{shown} answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{shown} answered {error.code}"
    except Exception as error:
        # Whatever a server answers or a redirect names, the application is not well, and the upgrade is to be taken back.
        return f"{shown} did not answer: {summary(error)}"


def _run(command: str, seconds: float) -> str | None:
    # Into a file and in a group of its own: what a command has started holds no pipe open, and ends with it.
    with tempfile.TemporaryFile() as said:
        process = subprocess.Popen(command, shell=True, stdout=said, stderr=said, start_new_session=True)
        try:
            status = process.wait(seconds)
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"the command took longer than {seconds:.0f} s"
        said.seek(0)
        lines = said.read().decode(errors="replace").strip().splitlines()
    if status == 0:
        return None
    return f"the command exited with {status}{f': {lines[-1]}' if lines else ''}"
