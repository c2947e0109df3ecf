"""Runs the kit over a project as its team does: by pytest, in a separate process."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from xml.etree import ElementTree

import sqlalchemy as sa
from tests.docs.pages import ROOT
from tests.testing.sessions import plugin

SECONDS = 380


@dataclass(frozen=True)
class Outcome:
    """What pytest reported of each test, by its name and id: the messages of those that failed or were skipped."""

    passed: frozenset[str]
    failed: dict[str, str]
    skipped: dict[str, str]
    errors: dict[str, str]
    output: str


def run_kit(folder: Path, url: sa.URL | None, *arguments: str, **environment: str) -> Outcome:
    """Run `pytest --safeops` in the folder of a project.

    Args:
        folder: The project.
        url: An empty database; None leaves the choice to the kit.
        arguments: More arguments of pytest.
        environment: Variables in addition to those of this process.
    """
    report = folder / "report.xml"
    command = [
        sys.executable,
        "-m",
        "pytest",
        *plugin(),
        "--safeops",
        "-q",
        "-p",
        "no:cacheprovider",
        f"--junitxml={report}",
    ]
    if url is not None:
        command.append(f"--safeops-url={url.render_as_string(hide_password=False)}")
    ours = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "DATABASE_URL"))}
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**ours, "PYTHONPATH": str(ROOT / "src"), **environment},
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS,
    )
    assert report.exists(), done.stdout
    return _outcome(ElementTree.parse(report), done.stdout)


def _outcome(report: ElementTree.ElementTree, output: str) -> Outcome:
    found: dict[str, dict[str, str]] = {"passed": {}, "failure": {}, "skipped": {}, "error": {}}
    for case in report.iter("testcase"):
        told = [one for one in case if one.tag in found]
        for one in told or [None]:
            text = "" if one is None else f"{one.get('message', '')}\n{one.text or ''}"
            found["passed" if one is None else one.tag][str(case.get("name"))] = text
    return Outcome(frozenset(found["passed"]), found["failure"], found["skipped"], found["error"], output)


def failures(report: Path) -> set[str]:
    """Return the tests that failed, or whose set-up did, from a report in the format of JUnit."""
    outcome = _outcome(ElementTree.parse(report), "")
    return {*outcome.failed, *outcome.errors}
