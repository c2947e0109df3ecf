"""Asks an application whether it is well."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import threading
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


def illness(check: str, patience: float = PATIENCE, stop: object = False) -> str | None:
    """Return for how long an application has not been healthy, and why; None once it is.

    Args:
        check: A URL that must answer with 2xx, or a command that must exit with 0.
        patience: Seconds to go on asking.
        stop: Is true once it is to end.
    """
    started = time.monotonic()
    ask = _asked if URL.match(check) else _run
    while True:
        left = started + patience - time.monotonic()
        found = ask(check, min(max(left, LEAST), MOST))
        if found is None:
            return None
        passed = time.monotonic() - started
        if stop or passed + PAUSE > patience:
            return f"not healthy after {passed:.0f} s: {found}"
        time.sleep(PAUSE)


def _asked(url: str, seconds: float) -> str | None:
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    found: list[str | None] = []
    # Its own timeout bounds neither the look-up of the host nor an answer that comes byte by byte.
    asking = threading.Thread(target=lambda: found.append(_answered(url, shown, seconds)), daemon=True)
    asking.start()
    asking.join(seconds)
    return found[0] if found else f"{shown} took longer than {seconds:.0f} s"


def _answered(url: str, shown: str, seconds: float) -> str | None:
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
    try:
        # In a group of its own, so that what the command has started can be ended with it.
        process = subprocess.Popen(
            command, shell=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except (OSError, ValueError) as error:
        return f"the command could not be run: {summary(error)}"
    with process:
        try:
            said = process.communicate(timeout=seconds)[0]
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"the command took longer than {seconds:.0f} s"
    lines = said.decode(errors="replace").strip().splitlines()
    if process.returncode == 0:
        return None
    return f"the command exited with {process.returncode}{f': {lines[-1]}' if lines else ''}"
