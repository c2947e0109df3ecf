"""The schema before a revision, from the revisions before it, each recorded once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator

from alembic.script import Script

from safeops import _alembic
from safeops.judging.schema import Schema
from safeops.judging.sent import Recording
from safeops.review.known import Effects, copied
from safeops.review.offline import record_offline
from safeops.review.runs import Environment


class Replay:
    """The schemas before the revisions of a project, of which each is recorded once, in the order of the history.

    Args:
        environment: The environment of env.py.
        scripts: The revisions to review. Those before them are recorded too.
        one_run: Whether one deploy runs them: a table of one is then new for those that follow it.
    """

    def __init__(self, environment: Environment, scripts: Iterable[Script], *, one_run: bool = False) -> None:
        self.environment, self.one_run = environment, one_run
        self._wanted = {script.revision for script in scripts}
        self._order = list(_with_ancestors(environment, self._wanted))
        self._children = Counter(parent for script in self._order for parent in _alembic.parents(script))
        self._after: dict[str, Schema] = {}
        self._effects = Effects(environment.dialect)

    def __iter__(self) -> Iterator[tuple[Script, Schema, Recording]]:
        """Yield each revision to review with the schema before it, which is the caller's to change, and what it sends."""
        for script in self._order:
            before = self._before(script)
            recording = record_offline(self.environment, script, before)
            if script.revision in self._wanted:
                yield script, copied(before), recording
            for event in recording.events:
                self._effects.apply(before, event, new=self.one_run and script.revision in self._wanted)
            if self._children[script.revision]:
                self._after[script.revision] = before

    def _before(self, script: Script) -> Schema:
        """Return a schema of the caller, which can change it."""
        found = [self._taken(parent) for parent in _alembic.parents(script)]
        schema = found[0] if found else Schema(home=self._effects.home)
        for other in found[1:]:
            _merge(schema, other)
        return schema

    def _taken(self, parent: str) -> Schema:
        """Return the schema after a revision: a copy for as long as another revision follows it."""
        self._children[parent] -= 1
        return copied(self._after[parent]) if self._children[parent] else self._after.pop(parent)


def _with_ancestors(environment: Environment, wanted: Iterable[str]) -> Iterator[Script]:
    """Yield these revisions and all before them, the oldest first."""
    needed: set[str] = set(wanted)
    newest_first = list(environment.script.walk_revisions())
    for script in newest_first:
        if script.revision in needed:
            needed.update(_alembic.parents(script))
    yield from (script for script in reversed(newest_first) if script.revision in needed)


def _merge(schema: Schema, other: Schema) -> None:
    """Add what another branch has made; of a table that both know, the columns and so on of both."""
    for name, table in other.tables.items():
        own = schema.tables.setdefault(name, table)
        if own is not table and name not in schema.gone:
            own.columns = {**table.columns, **own.columns}
            own.constraints = {**table.constraints, **own.constraints}
            own.indexes = {**table.indexes, **own.indexes}
    schema.types = {**other.types, **schema.types}
    for name in other.gone:
        schema.tables.pop(name, None)
    schema.gone |= other.gone
