"""How pytest shows what the tests of revisions find: a flaw without a traceback, a reason to skip, and the notes."""

from __future__ import annotations

import shlex
from collections.abc import Generator
from typing import Any

import pytest

NOTE = "safeops_note"
"""The property of a report that has a note; xdist and JUnit keep it."""


class Reports:
    """The part of the plug-in that reports."""

    def __init__(self, config: pytest.Config) -> None:
        self.config = config

    @pytest.hookimpl(wrapper=True)
    def pytest_pyfunc_call(self) -> Generator[None, object, object]:
        from safeops.testing.failing import Untestable

        try:
            return (yield)
        except Untestable as error:
            pytest.skip(error.reason)

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(
        self, item: pytest.Item, call: pytest.CallInfo[None]
    ) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        from safeops.testing.failing import Failed

        report = yield
        if call.when == "call":
            report.user_properties += [(NOTE, note) for note in _notes_of(item)]
        if call.excinfo is not None and isinstance(call.excinfo.value, Failed) and report.failed:
            # Neither the lines of the kit help with the revision, nor those of an error that the message names.
            report.longrepr = shown = call.excinfo.getrepr(style="value", chain=False)
            if shown.reprcrash is not None:
                shown.reprcrash.message = call.excinfo.value.problem
            report.sections.append(("to run it alone", self._alone(item)))
        return report

    def pytest_terminal_summary(self, terminalreporter: Any) -> None:
        reports = [one for kind in ("passed", "failed", "skipped") for one in terminalreporter.stats.get(kind, ())]
        # A module that was skipped as a whole has a report without properties.
        properties = [one for report in reports for one in getattr(report, "user_properties", ())]
        notes = {text for name, text in properties if name == NOTE}
        if notes:
            terminalreporter.section("notes of safeops")
            for note in sorted(notes):
                terminalreporter.write_line(note)

    def _alone(self, item: pytest.Item) -> str:
        options = ["--safeops"]
        for name in ("since", "url", "config"):
            if value := self.config.getoption(f"safeops_{name}"):
                # A URL may have a password.
                options += [f"--safeops-{name}", "URL" if name == "url" else value]
        for value in self.config.getoption("safeops_x"):
            options += ["--safeops-x", value]
        return f"pytest {shlex.join([*options, item.nodeid])}"


def _notes_of(item: pytest.Item) -> list[str]:
    """Return what the kit notes about the revision of a test."""
    known = getattr(item, "funcargs", {})
    kit, revision = known.get("safeops_kit"), known.get("safeops_revision")
    return (
        [f"{revision}: {note}" for note in kit.notes_of(revision)] if kit is not None and revision is not None else []
    )
