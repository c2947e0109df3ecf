"""Asks an application whether it is well."""

from __future__ import annotations

import subprocess
import time
import urllib.error
import urllib.request
from urllib.parse import urlsplit

from safeops.foretold import summary

PATIENCE = 30.0
"""Seconds that an application may take to become healthy."""
ANSWERING = 10.0
"""Seconds that one answer may take."""
PAUSE = 1.0


def illness(check: str, patience: float = PATIENCE, stop: object = False) -> str | None:
    """Return why an application is not healthy; None once it is.

    Args:
        check: A URL that must answer with 2xx, or a command that must exit with 0.
        patience: Seconds to go on asking.
        stop: Is true once it is to end.
    """
    deadline = time.monotonic() + patience
    while True:
        found = _asked(check) if check.startswith(("http://", "https://")) else _run(check)
        if found is None or stop or time.monotonic() + PAUSE > deadline:
            return found
        time.sleep(PAUSE)


def _asked(url: str) -> str | None:
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    try:
        with urllib.request.urlopen(url, timeout=ANSWERING) as answer:
            # What is none is raised, but for 1xx and the like.
            return None if 200 <= answer.status < 300 else f"{shown} answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{shown} answered {error.code}"
    except OSError as error:
        return f"{shown} did not answer: {summary(error)}"


def _run(command: str) -> str | None:
    try:
        done = subprocess.run(command, shell=True, capture_output=True, text=True, timeout=ANSWERING, check=False)
    except subprocess.TimeoutExpired:
        return f"the command took longer than {ANSWERING:g} s"
    if done.returncode == 0:
        return None
    said = (done.stderr.strip() or done.stdout.strip()).splitlines()
    return f"the command exited with {done.returncode}{f': {said[-1]}' if said else ''}"
