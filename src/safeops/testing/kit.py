"""What a test of a revision works with: the project, and databases as they are before the revision."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from functools import cached_property

import sqlalchemy as sa
from alembic.config import Config
from sqlalchemy.engine import URL, Engine
from sqlalchemy.pool import NullPool

from safeops import _alembic
from safeops.databases.connections import run_on_connection
from safeops.naming import Name
from safeops.runner.environment import current_on
from safeops.runner.revisions import steps_between
from safeops.testing.places import Place, take_numbers
from safeops.testing.project import Project, Revision
from safeops.testing.running import Environment, Runner, environment_of
from safeops.testing.snapshots import State, state_of, varying
from safeops.testing.templates import OlderTables, OwnRows, Template, Templates

LOCK_TIMEOUT = 2.0
"""Seconds for which a statement may wait for a lock."""


@dataclass(frozen=True)
class Undisturbed:
    """What a revision does if nothing comes between.

    Args:
        before: The state before it.
        after: The state after it.
        varying: The columns whose values differ from run to run: times, random numbers.
    """

    before: State
    after: State
    varying: frozenset[tuple[Name, str]]


class Kit:
    """The tools of the tests, for one session.

    Args:
        project: The project.
        place: Makes databases.
        since: The revisions to test are those after this revision, or since this ref of git; None tests all.
        lock_timeout: Seconds for which a statement may wait for a lock.
        own_rows: Makes rows of the team.
        older_tables: Creates the tables that are older than the first revision.
    """

    def __init__(
        self,
        project: Project,
        place: Place,
        *,
        since: str | None = None,
        lock_timeout: float = LOCK_TIMEOUT,
        own_rows: OwnRows | None = None,
        older_tables: OlderTables | None = None,
    ) -> None:
        self.project, self.place, self.since, self.lock_timeout = project, place, since, lock_timeout
        self._templates = Templates(project, place, own_rows, older_tables)
        self._undisturbed: dict[str, Undisturbed] = {}
        self._notes: dict[str, list[str]] = {}

    @contextmanager
    def before(self, revision: Revision | str, *, rows: bool = True) -> Iterator[Trial]:
        """Provide a database as it is before a revision, for the block.

        Args:
            revision: The revision.
            rows: Whether it has sample rows.

        Raises:
            Untestable: An earlier revision fails.
        """
        tested = self.project.revision(revision) if isinstance(revision, str) else revision
        with self._trial(tested, self._templates.before(tested), rows) as trial:
            yield trial

    @contextmanager
    def at(self, revision: str) -> Iterator[Trial]:
        """Provide a database that is at a revision, with sample rows, for the block; the next one is what it tests.

        Args:
            revision: The revision; "base" for an empty database.
        """
        order = self.project.revisions()
        if revision == "base":
            with self.before(order[0]) as trial:
                yield trial
            return
        named = self.project.revision(revision)
        tested = order[min(order.index(named) + 1, len(order) - 1)]
        with self._trial(tested, self._templates.after(named), True) as trial:
            yield trial

    def undisturbed(self, revision: Revision) -> Undisturbed:
        """Return what a revision does if nothing comes between, found by two runs; raise what it raises."""
        if revision.revision not in self._undisturbed:
            with self.before(revision) as trial:
                before = trial.state()
                trial.upgrade()
                after = trial.state()
                with trial.another() as other:
                    # A run that was stopped has taken numbers of sequences too: the keys of new rows are others then.
                    take_numbers(other.engine)
                    other.upgrade()
                    found = frozenset(varying(after, other.state()))
            # One is enough: the tests of a revision come one after another.
            self._undisturbed = {revision.revision: Undisturbed(before, after, found)}
        return self._undisturbed[revision.revision]

    def has_rows(self, revision: Revision) -> bool:
        """Return whether the database before a revision has sample rows, without which the upgrade succeeds."""
        return self._templates.before(revision).has_rows and not self._templates.fails_without_rows(revision)

    def note(self, revision: Revision, text: str) -> None:
        """Note something about a revision, which pytest shows in the end."""
        self._notes.setdefault(revision.revision, []).append(text)

    def notes_of(self, revision: Revision) -> list[str]:
        """Return what was noted about a revision: what was not tested, and why."""
        return [*self._templates.notes_of(revision), *self._notes.get(revision.revision, ())]

    def close(self) -> None:
        """Drop what is left of the databases."""
        self._templates.close()

    @contextmanager
    def _trial(self, revision: Revision, template: Template, rows: bool) -> Iterator[Trial]:
        url = self.place.clone(template.filled if rows else template.bare)
        trial = Trial(self, revision, url, template, rows)
        try:
            yield trial
        finally:
            trial.engine.dispose()
            self.place.drop(url)

    @cached_property
    def environment(self) -> Environment:
        """How env.py runs revisions."""
        return environment_of(self.project, self.place)


class Trial:
    """A database for one test. While revisions run, each connection of the project reaches it.

    Args:
        kit: The kit.
        revision: The revision that is tested.
        url: The database, with a driver that is not asynchronous.
        template: What it was made of.
        rows: Whether it was made with sample rows.
    """

    def __init__(self, kit: Kit, revision: Revision, url: URL, template: Template, rows: bool) -> None:
        self.kit, self.revision, self.url = kit, revision, url
        self.engine: Engine = sa.create_engine(url, poolclass=NullPool)
        self.has_rows = rows and template.has_rows
        self.notes: list[str] = list(template.notes) if rows else []
        self._template, self._rows = template, rows
        self._runner = Runner.of(kit.project, kit.place, url)

    @property
    def config(self) -> Config:
        """The configuration of the project, for this database."""
        return self._runner.config

    @property
    def project_url(self) -> URL:
        """The URL of this database with the driver of the project."""
        return self._runner.project_url

    @property
    def transactional(self) -> bool:
        """Whether what a revision does is rolled back if it is stopped: its server and env.py have it in a transaction."""
        return self.kit.environment.transactional

    def upgrade(self, to: str | None = None) -> None:
        """Upgrade in this process, by default to the revision that is tested; raise what a revision raises."""
        target = to or self.revision.revision
        script = self.kit.project.script
        self._runner.run(lambda heads, _: steps_between(script, target, heads), target)

    def downgrade(self, to: str | None = None) -> None:
        """Downgrade in this process, by default the tested revision alone; raise what a revision raises."""
        script = self.kit.project.script
        if to is None:
            step = _alembic.downgrade_step(script, self.revision.revision)
            self._runner.run(lambda *_: [step], next(iter(self.revision.down), "base"))
        else:
            self._runner.run(lambda heads, _: steps_between(script, to, heads, down=True), to)

    def sql(self, *, down: bool = False) -> list[str]:
        """Return what ``--sql`` writes for the revision from the revisions that the database is at, piece by piece."""
        script, heads = self.kit.project.script, self.current()
        if down:
            step = _alembic.downgrade_step(script, self.revision.revision)
            return self._runner.script_of(step, heads, next(iter(self.revision.down), "base"))
        (step,) = steps_between(script, self.revision.revision, heads)
        return self._runner.script_of(step, heads, self.revision.revision)

    def state(self) -> State:
        """Return the schema and the rows now."""
        return run_on_connection(self.engine, state_of)

    def another(self) -> AbstractContextManager[Trial]:
        """Provide another database like this one was at first, for the block."""
        return self.kit._trial(self.revision, self._template, self._rows)

    def current(self) -> tuple[str, ...]:
        """Return the revisions that the database is at."""
        options = self.kit.environment.options
        return run_on_connection(self.engine, lambda own: current_on(own, options))

    def redirected(self) -> AbstractContextManager[None]:
        """Have every engine of this process that is of the same kind connect to this database, for the block."""
        return self._runner.redirected()

    def end_sessions(self) -> None:
        """End all sessions of the database, as its server does when the clients have disconnected."""
        self.kit.place.end_sessions(self.url)
