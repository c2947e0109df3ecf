"""Runs revisions on an empty copy of the schema, and records what the server did for each of their statements."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from functools import partial
from typing import Any

from alembic.config import Config
from alembic.script import Script, ScriptDirectory

from safeops import _alembic
from safeops.errors import SafeOpsError
from safeops.judging.sent import Recording, Sent
from safeops.review.containment import silent_alembic
from safeops.review.copies import empty_database
from safeops.review.recorder import Endless
from safeops.review.tracing import Trace, traced
from safeops.runner.revisions import scripts_of, steps_between
from safeops.runner.temporary_database import Steps, TemporaryDatabase

log = logging.getLogger("safeops")


def record_scratch(config: Config, selected: Sequence[Script], scratch_url: str | None = None) -> Iterator[Recording]:
    """Run each revision on an empty copy of the schema before it, and yield what it did.

    Args:
        config: The configuration of the project.
        selected: The revisions, each after those that it follows.
        scratch_url: An empty database, which is empty again afterwards; None makes one on the project's server.

    Raises:
        NotReady: No database can be made, or the one at ``scratch_url`` is not empty.
    """
    script = scripts_of(config)
    before = {one.revision: _before(script, one) for one in selected}
    with _Copy(config, script, scratch_url) as copy:
        for place, one in enumerate(selected):
            needed = any(one.revision in before[later.revision] for later in selected[place + 1 :])
            yield copy.record(one, before[one.revision], keep=needed)


def _before(script: ScriptDirectory, one: Script) -> frozenset[str]:
    """Return all revisions that come before one."""
    found = {each.revision for each in script.iterate_revisions(one.revision, "base")}
    return frozenset(found - {one.revision})


class _Undo(Exception):
    """Has Alembic roll a revision back that has done all it does."""


class _Copy:
    """An empty copy of the schema, and which revisions have made it."""

    def __init__(self, config: Config, script: ScriptDirectory, scratch_url: str | None) -> None:
        self.config, self.script, self.scratch_url = config, script, scratch_url
        self._stack = ExitStack()
        self._database: TemporaryDatabase | None = None
        self._made: frozenset[str] = frozenset()
        self._broken: dict[str, Exception] = {}

    def __enter__(self) -> _Copy:
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def record(self, one: Script, before: frozenset[str], *, keep: bool) -> Recording:
        """Run a revision on the schema that those before it make."""
        try:
            database = self._at(before, _parents(self.script, one))
        except _Unreached as unreached:
            return Recording(one.revision, one.path, "unseen", (), unreached.cause)
        trace = Trace(one.path)
        error = _run(database, partial(_traced_steps, self.script, one.revision, trace, keep))
        if error is None and keep:
            self._made = before | {one.revision}
        elif not trace.is_undone:
            self._leave()
        if error is not None:
            self._broken[one.revision] = error
        seen = "unseen" if error is not None and not _is_refused(trace) else "scratch"
        return Recording(one.revision, one.path, seen, tuple(trace.events), error)

    def _at(self, before: frozenset[str], parents: Sequence[str]) -> TemporaryDatabase:
        """Return a database with these revisions, and no others."""
        broken = next((self._broken[name] for name in before if name in self._broken), None)
        if broken is not None:
            raise _Unreached(broken)
        if self._database is None or not self._made <= before:
            self._leave()
            self._database = self._stack.enter_context(empty_database(self.config, self.scratch_url))
        database = self._database
        for parent in parents if self._made != before else ():
            error = _run(database, partial(_steps, self.script, parent))
            if error is not None:
                self._leave()
                self._broken[parent] = error
                raise _Unreached(error)
        self._made = before
        return database

    def _leave(self) -> None:
        self._database, self._made = None, frozenset()
        self._stack.close()


class _Unreached(Exception):
    """A revision before fails on an empty database."""

    def __init__(self, cause: Exception) -> None:
        super().__init__(str(cause))
        self.cause = cause


def _run(database: TemporaryDatabase, steps: Steps) -> Exception | None:
    """Run revisions, and return what one of them raised."""
    try:
        with silent_alembic():
            failure = database.run(steps)
    except Endless as error:
        return SafeOpsError(str(error))
    except SystemExit as error:
        return SafeOpsError(f"It ends the program by sys.exit({error.code!r}).")
    return None if failure is None or isinstance(failure[1], _Undo) else failure[1]


def _is_refused(trace: Trace) -> bool:
    """Tell whether the last thing that a revision did is a statement that any server would refuse."""
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
            raise _Undo

    steps[-1].migration_fn = run
    return steps
