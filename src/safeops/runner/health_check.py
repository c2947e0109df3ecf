"""Checks after an upgrade whether the application is healthy; if not, names the rollback or runs it."""

from __future__ import annotations

import logging
import os
import re
import signal
import subprocess
import threading
import time
from urllib.parse import urlsplit

from alembic.config import Config
from alembic.runtime.migration import MigrationStep

from safeops.backfilling.interruption import Stop
from safeops.errors import InvalidArgument, RevisionFailed, Unhealthy
from safeops.planned import summary
from safeops.runner.environment import ReachedDatabase
from safeops.runner.revision_run import RevisionRun, command_line
from safeops.runner.revisions import listed

log = logging.getLogger("safeops")

PATIENCE = 30.0
"""Seconds that an application may take to become healthy."""
LEAST, MOST = 1.0, 10.0
"""Seconds that one answer may take: what is left of the patience, within these."""
PAUSE = 1.0
URL = re.compile("https?://", re.IGNORECASE)


def check_askable(check: str) -> None:
    """Raise InvalidArgument for a health check that is empty, or a URL that cannot be requested."""
    fault = _url_fault(check) if URL.match(check) else None if check.strip() else "it is empty"
    if fault is not None:
        raise InvalidArgument(
            f"This health check cannot be made: {fault}.",
            remedy="Give a complete URL, with %20 for a space, or a command:",
            code="safeops upgrade --health-check http://localhost:8000/health\n"
            'safeops upgrade --health-check "curl -fsS http://localhost:8000/health"',
        )


def _url_fault(url: str) -> str | None:
    if re.search("[^!-~]", url):
        return "a URL cannot contain spaces or characters beyond ASCII"
    try:
        parts = urlsplit(url)
        # Reading the port checks it.
        if not parts.hostname or parts.port == 0:
            return "the URL has no host, or no port that a server could have"
    except ValueError as error:
        return f"the URL is invalid: {error}"
    return None if parts.username is None else "a URL with a user in it is not supported"


def require_healthy(
    config: Config, reached: ReachedDatabase, run: RevisionRun, check: str, patience: float, rollback: bool, stop: Stop
) -> None:
    """Raise Unhealthy unless the application becomes healthy after an upgrade.

    Args:
        config: The configuration of the project.
        reached: The database.
        run: The upgrade.
        check: A URL that must answer with 2xx, or a command that must exit with 0.
        patience: Seconds that it may take to succeed.
        rollback: Run the downgrades of the upgrade if it fails.
        stop: Ends the wait.
    """
    problem = _problem(check, patience, stop)
    if problem is None:
        return
    if stop:
        # A signal does not mean that the application is unhealthy.
        rollback = False
        problem = f"The upgrade is done, and its health check was stopped by {stop.reason}: {problem}."
    else:
        problem = f"The upgrade is done, and the application is {problem}."
    if not rollback:
        raise Unhealthy(
            problem,
            state=f"The upgrade is kept: the database is at {', '.join(reached.current_now())}.",
            remedy="Inspect the application. To roll back (this shows which data is lost, and prompts first):",
            code=command_line(config, "rollback", f"-{len(run.applied)}"),
        )
    _roll_back(config, reached, run, problem)
    raise Unhealthy(
        problem,
        state=f"The upgrade was rolled back: the database is at {listed(reached.current_now())} again.",
        remedy="Deploy the version of the application for that revision, and find out why the new one was not healthy.",
    )


def _roll_back(config: Config, reached: ReachedDatabase, run: RevisionRun, problem: str) -> None:
    """Run the downgrades of the upgrade in reverse order, also with branches."""
    scripts = list(reversed(run.scripts))
    steps = [MigrationStep.downgrade_from_script(reached.script.revision_map, script) for script in scripts]
    log.warning("%s Rolling back the upgrade.", problem)
    downgrade = RevisionRun(lambda _heads, _context: steps)
    try:
        downgrade.run_on(reached, config, command_line(config, "rollback", f"-{len(scripts)}"))
    except RevisionFailed as error:
        error.problem = f"{problem}\nThe rollback failed too. {error.problem}"
        raise


# The check ------------------------------------------------------------------------------------------------------


def _problem(check: str, patience: float, stop: object) -> str | None:
    """Return for how long an application has not been healthy, and why; None once it is."""
    started = time.monotonic()
    ask = _request if URL.match(check) else _run
    while True:
        left = started + patience - time.monotonic()
        problem = ask(check, min(max(left, LEAST), MOST))
        if problem is None:
            return None
        passed = time.monotonic() - started
        if stop or passed + PAUSE > patience:
            return f"not healthy after {passed:.0f} s: {problem}"
        time.sleep(PAUSE)


def _request(url: str, seconds: float) -> str | None:
    parts = urlsplit(url)
    shown = f"{parts.scheme}://{parts.hostname}{f':{parts.port}' if parts.port else ''}{parts.path}"
    results: list[str | None] = []
    # The timeout of urlopen() does not limit the lookup of the host, nor an answer that arrives byte by byte.
    thread = threading.Thread(target=lambda: results.append(_answer(url, shown, seconds)), daemon=True)
    thread.start()
    thread.join(seconds)
    return results[0] if results else f"{shown} took longer than {seconds:.0f} s"


def _answer(url: str, shown: str, seconds: float) -> str | None:
    # With all that it imports it takes longer than all of an upgrade with nothing to do.
    import urllib.error
    import urllib.request

    try:
        with urllib.request.urlopen(url, timeout=seconds) as answer:
            # urllib raises for most other statuses.
            return None if 200 <= answer.status < 300 else f"{shown} answered {answer.status}"
    except urllib.error.HTTPError as error:
        return f"{shown} answered {error.code}"
    except Exception as error:
        # With any other error of an answer or a redirect, the application is unhealthy too.
        return f"{shown} did not answer: {summary(error)}"


def _run(command: str, seconds: float) -> str | None:
    try:
        # In its own process group: child processes end with it.
        process = subprocess.Popen(
            command, shell=True, start_new_session=True, stdout=subprocess.PIPE, stderr=subprocess.STDOUT
        )
    except (OSError, ValueError) as error:
        return f"the command could not be run: {summary(error)}"
    with process:
        try:
            output = process.communicate(timeout=seconds)[0]
        except BaseException as error:
            os.killpg(process.pid, signal.SIGKILL)
            if not isinstance(error, subprocess.TimeoutExpired):
                raise
            return f"the command took longer than {seconds:.0f} s"
    lines = output.decode(errors="replace").strip().splitlines()
    if process.returncode == 0:
        return None
    return f"the command exited with {process.returncode}{f': {lines[-1]}' if lines else ''}"
