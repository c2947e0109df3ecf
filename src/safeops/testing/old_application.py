"""The application of a release on a database: what works when it begins must continue to work."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.testing.failing import Untestable
from safeops.testing.kit import Kit, Trial
from safeops.testing.old_findings import Broken, failed_old
from safeops.testing.old_statements import FOLLOWS, Sent
from safeops.testing.project import Revision
from safeops.testing.releases import Release, releases_of
from safeops.testing.stopping import Stop, is_of_the_run

TRANSIENT = frozenset({"held", "lost", "cancelled", "resources", FOLLOWS})
"""Kinds of errors that are not about the schema: after them an application tries again."""
OF_A_RULE = frozenset({"violation", "rule"})
"""Kinds of errors that do not count for a value which the application may never write."""
PAUSE = 0.02
"""Seconds between two rounds while an upgrade runs, which on SQLite must get the file."""
LONGEST = 1.0
"""Seconds that an upgrade waits for a round."""
ALTOGETHER = 5.0
"""Seconds that it waits for all of them."""
LOOK = 0.002
SHOWN = 3


class OldApplication:
    """The application of a release, as its models show it: it reads and writes each of their tables.

    Args:
        release: The release.
        trial: The database, at a revision with which the release works.

    Raises:
        Untestable: No table of the models exists there, or none of them can be read.

    Example:
        def test_full_names(migrated_to, old_application):
            database = migrated_to("0041")
            old = old_application(database)
            with old.running():
                database.upgrade("0042")
            old.check()
    """

    def __init__(self, release: Release, trial: Trial) -> None:
        self.release, self.trial = release, trial
        self.tables = release.process.begin(trial.project_url)
        """The tables that it uses, with the columns that its models have."""
        if not self.tables:
            none = "None of its tables exists before the revision."
            why = none if release.process.tables else "env.py passed no target_metadata with tables there."
            raise Untestable(f"Nothing of the old release ({release.name}) can be tested. {why}")
        first = self._round(at_limits=True)
        self._works = {sent.key for sent in first} - {sent.key for sent in first if sent.error}
        self._misfits = [sent for sent in first if sent.error and sent.operation == "SELECT"]
        unfit = self.unfit()
        if unfit is not None and len(self._misfits) == len(self.tables):
            raise unfit

    def check(self) -> None:
        """Raise Failed if a statement fails that worked when the application began."""
        self.refuse(self.broken())

    @contextmanager
    def running(self) -> Iterator[None]:
        """Have the application read and write for the block, which upgrades; raise Failed if a statement failed."""
        broken: list[Broken] = []
        with self.going(broken):
            yield
        self.refuse(broken)

    def move_to(self, trial: Trial) -> None:
        """Use another database that is as the first one was at the beginning."""
        self.release.process.begin(trial.project_url)
        self.trial = trial

    # The parts of both ------------------------------------------------------------------------------------------

    def broken(self) -> list[Broken]:
        """Return the statements that fail now, and that worked when the application began."""
        sent = self._round(at_limits=True)
        return [Broken(one) for one in sent if self._is_broken(one) or self._is_too_long(one)]

    def refuse(self, broken: list[Broken]) -> None:
        """Raise Failed for statements that failed, if there are any."""
        failure = failed_old(self.release.name, self.trial, self.tables, broken) if broken else None
        if failure is not None:
            raise failure

    def unfit(self) -> Untestable | None:
        """Return that tables did not fit the schema when the application began; None if they all did."""
        if not self._misfits:
            return None
        said = [
            f"{sent.table} ({', '.join(sent.columns) or 'all columns'}): {sent.error}" for sent in self._misfits[:SHOWN]
        ]
        return Untestable(
            f"The models of the old release ({self.release.name}) do not fit the schema before the revision:"
            f" {'; '.join(said)}. If an earlier revision of the same release caused it, correct that one first."
        )

    @contextmanager
    def going(self, broken: list[Broken]) -> Iterator[None]:
        """Have the application read and write for the block, and add the statements that fail to a list."""
        rounds = _Rounds(
            lambda: broken.extend(Broken(sent, during=True) for sent in self._round() if self._is_broken(sent))
        )
        # What two statements leave in between may exist for a millisecond here, and for minutes on large tables.
        stops = Stop(is_of_the_run, self.trial.end_sessions, reached=rounds.one_more)
        with rounds.going(), stops.armed():
            yield

    def _round(self, *, at_limits: bool = False) -> list[Sent]:
        return self.release.process.round(self.trial.project_url, at_limits=at_limits)

    def _is_too_long(self, sent: Sent) -> bool:
        """Return whether a check of a length rejects a text that worked: such a check narrows the type."""
        if sent.is_certain or sent.kind not in OF_A_RULE or sent.key not in self._works:
            return False
        name = next(name for name in self.tables if str(name) == sent.table)
        table = run_on_connection(self.trial.engine, lambda own: database_on(own).table(name))
        checks = table.of_kind("check") if table is not None else []
        return any("length" in (one.expression or "").lower() and one.name in sent.error for one in checks)

    def _is_broken(self, sent: Sent) -> bool:
        if not sent.error or sent.kind in TRANSIENT or sent.key not in self._works:
            return False
        return sent.is_certain or sent.kind not in OF_A_RULE


class _Rounds:
    """Rounds of the application, one after another, in a thread.

    Args:
        sends: Sends a round.
    """

    def __init__(self, sends: Callable[[], object]) -> None:
        self._sends = sends
        self._begun = self._ended = 0
        self._wanted, self._over = threading.Event(), threading.Event()
        self._error: Exception | None = None
        self._left = ALTOGETHER

    @contextmanager
    def going(self) -> Iterator[None]:
        """Have them sent for the block, and at least one before it."""
        thread = threading.Thread(target=self._go, name="old release", daemon=True)
        thread.start()
        self._await(1, math.inf)
        try:
            yield
        finally:
            self._over.set()
            self._wanted.set()
            thread.join()
        if self._error is not None:
            raise self._error

    def one_more(self) -> None:
        """Wait until one has ended that begins now; a lock that an upgrade holds must not keep it from continuing."""
        began = time.monotonic()
        self._wanted.set()
        self._await(self._begun + 1, min(LONGEST, self._left))
        self._left -= time.monotonic() - began

    def _await(self, number: int, seconds: float) -> None:
        deadline = time.monotonic() + seconds
        while self._ended < number and self._error is None and time.monotonic() < deadline:
            time.sleep(LOOK)

    def _go(self) -> None:
        try:
            while not self._over.is_set():
                self._wanted.clear()
                self._begun += 1
                self._sends()
                self._ended += 1
                self._wanted.wait(PAUSE)
        except Exception as error:
            self._error = error


def old_application_of(kit: Kit, trial: Trial, commit: str | None = None) -> OldApplication:
    """Return the application of the release that was deployed before the revision which a database gets next.

    Args:
        kit: The kit.
        trial: The database.
        commit: Another release: its commit, branch or tag.
    """
    releases = releases_of(kit)
    release = releases.before(_next(kit, trial)) if commit is None else releases.at(releases.commit_of(commit))
    return OldApplication(release, trial)


def _next(kit: Kit, trial: Trial) -> Revision:
    current = set(trial.current())
    for revision in kit.project.revisions():
        if current & set(revision.down) or not (current or revision.down):
            return revision
    raise Untestable("No revision follows the one that the database is at: name the release, with commit=.")
