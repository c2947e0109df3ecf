"""Runs revisions on an empty copy of the schema, and records what the server did for each of their statements."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing, redirect_stdout
from functools import partial
from io import StringIO
from typing import Any, TypeVar

from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from safeops import _alembic
from safeops.errors import SafeOpsError
from safeops.judging.sent import Recording, Sent
from safeops.planned import summary
from safeops.review.containment import silent_alembic
from safeops.review.copies import EmptyDatabases, limited_waiting
from safeops.review.recorder import Endless
from safeops.review.tracing import Stopped, Trace, traced
from safeops.runner.revisions import scripts_of, steps_between
from safeops.runner.temporary_database import Steps, TemporaryDatabase


def record_scratch(config: Config, selected: Sequence[Script], scratch_url: str | None = None) -> Iterator[Recording]:
    """Run each revision on an empty copy of the schema before it, and yield what it did.

    Args:
        config: The configuration of the project.
        selected: The revisions, each after those that it follows.
        scratch_url: An empty database, which is empty again afterwards; None makes one on the project's server.

    Raises:
        NotReady: No database can be made, or the one at ``scratch_url`` is not empty.
    """
    for _, recording in traced_on_scratch(config, selected, scratch_url, Trace):
        yield recording


AnyTrace = TypeVar("AnyTrace", bound=Trace)


def traced_on_scratch(
    config: Config, selected: Sequence[Script], scratch_url: str | None, new_trace: Callable[[str], AnyTrace]
) -> Iterator[tuple[AnyTrace, Recording]]:
    """Do the same with traces that ``new_trace`` makes from the files of the revisions, and yield those too."""
    with closing(Copy(config, scratch_url)) as copy:
        before = {one.revision: _before(copy.script, one) for one in selected}
        for place, one in enumerate(selected):
            needed = any(one.revision in before[later.revision] for later in selected[place + 1 :])
            trace = new_trace(one.path)
            yield trace, _recorded(copy, one, trace, keep=needed)


def _recorded(copy: Copy, one: Script, trace: Trace, *, keep: bool) -> Recording:
    try:
        error = copy.run(one, trace, keep=keep)
    except Unreached as unreached:
        return Recording(one.revision, one.path, "unseen", (), unreached)
    seen = "unseen" if error is not None and not _is_refused(trace) else "scratch"
    return Recording(one.revision, one.path, seen, tuple(trace.events), error)


def _before(script: ScriptDirectory, one: Script) -> frozenset[str]:
    """Return all revisions that come before one."""
    found = {each.revision for each in script.iterate_revisions(one.revision, "base")}
    return frozenset(found - {one.revision})


class Unreached(Exception):
    """A revision before fails on an empty database."""

    def __init__(self, revision: str, cause: Exception) -> None:
        super().__init__(f"{revision}, which comes before, fails on an empty database: {summary(cause)}")


def why_not(error: Exception) -> str:
    """Return why a revision was not run on the copy to its end."""
    return str(error) if isinstance(error, Unreached) else summary(error)


class Copy:
    """An empty copy of the schema, and which revisions have made it.

    Args:
        config: The configuration of the project.
        scratch_url: An empty database; None makes one on the project's server.
        saves: Whether to keep the schema before a revision, for others that run on it too.
    """

    def __init__(self, config: Config, scratch_url: str | None, *, saves: bool = False) -> None:
        self.script = scripts_of(config)
        self._databases = EmptyDatabases(config, self.script, scratch_url)
        self._stack = ExitStack()
        self._database: TemporaryDatabase | None = None
        self._made: frozenset[str] | None = None
        """The revisions that have made the schema; None if it is unknown."""
        self._saved: frozenset[str] | None = None
        """Those of the schema that is kept."""
        self._saves = saves
        self._broken: dict[str, Unreached] = {}

    def close(self) -> None:
        """Drop what was made."""
        self._leave()

    def run(self, one: Script, trace: Trace, *, keep: bool = False) -> Exception | None:
        """Run a revision on the schema that those before it make; return what it raised.

        Args:
            one: The revision.
            trace: Follows what it does.
            keep: Keep what it makes, for revisions that follow; else it is rolled back.

        Raises:
            Unreached: A revision before it fails.
        """
        before = _before(self.script, one)
        database = self._at(before, _parents(self.script, one))
        failure = _run(database, partial(_traced_steps, self.script, one.revision, trace, keep), one.revision)
        error = failure[1] if failure is not None and not trace.stopped else None
        if error is None and keep:
            self._made = before | {one.revision}
        elif not trace.is_undone:
            self._made = None
        if error is not None and keep:
            self._broken[one.revision] = Unreached(one.revision, error)
        return error

    def _at(self, before: frozenset[str], parents: Sequence[str]) -> TemporaryDatabase:
        """Return a database with these revisions, and no others."""
        broken = next((self._broken[name] for name in before if name in self._broken), None)
        if broken is not None:
            raise broken
        database = self._reset(before)
        for parent in parents if self._made != before else ():
            failure = _run(database, partial(_steps, self.script, parent), parent)
            if failure is not None:
                self._made = None
                self._broken[parent] = Unreached(*failure)
                raise self._broken[parent]
        self._made = before
        self._save(database)
        return database

    def _reset(self, before: frozenset[str]) -> TemporaryDatabase:
        """Return a database with some of these revisions, and no others."""
        if self._made is None or not self._made <= before:
            self._made = self._restored(before)
        if self._made is None or self._database is None:
            self._leave()
            self._database, self._made = self._stack.enter_context(self._databases.another()), frozenset()
        return self._database

    def _restored(self, before: frozenset[str]) -> frozenset[str] | None:
        """Return the database to what was saved, and return its revisions; None if that is not possible."""
        if self._database is None or self._saved is None or not self._saved <= before:
            return None
        return self._saved if self._database.restore() else None

    def _save(self, database: TemporaryDatabase) -> None:
        if self._saves and self._saved != self._made:
            self._saves = database.save()
            self._saved = self._made if self._saves else None

    def _leave(self) -> None:
        self._database = self._made = self._saved = None
        self._stack.close()


def _run(database: TemporaryDatabase, steps: Steps, last: str) -> tuple[str, Exception] | None:
    """Run revisions up to the last one; return the one that failed and what it raised."""
    try:
        with silent_alembic(), limited_waiting(), redirect_stdout(StringIO()):
            failure = database.run(steps)
    except Endless as error:
        return last, SafeOpsError(str(error))
    except SystemExit as error:
        return last, SafeOpsError(f"It ends the program by sys.exit({error.code!r}).")
    return failure if failure is not None and not isinstance(failure[1], Stopped) else None


def _is_refused(trace: Trace) -> bool:
    """Return whether the last thing that a revision did is a statement that any server would refuse."""
    last = trace.events[-1] if trace.events else None
    measured = last.measured if isinstance(last, Sent) else None
    return measured is not None and measured.error is not None and not measured.of_the_copy


def _parents(script: ScriptDirectory, one: Script) -> list[str]:
    return list(_alembic.parents_and_dependencies(script.get_revision(one.revision)))


def _steps(script: ScriptDirectory, revision: str, heads: tuple[str, ...]) -> list[Any]:
    return steps_between(script, revision, heads)


def _traced_steps(
    script: ScriptDirectory, revision: str, trace: Trace, keep: bool, heads: tuple[str, ...]
) -> list[Any]:
    steps = steps_between(script, revision, heads)
    body: Callable[..., Any] = steps[-1].migration_fn

    def run(**arguments: Any) -> None:
        traced(body, trace, arguments)
        if not keep:
            raise Stopped

    steps[-1].migration_fn = run
    return steps
