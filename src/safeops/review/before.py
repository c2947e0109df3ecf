"""What exists before a revision that is judged: replayed from the files, or read from the live database."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field

from alembic.script import Script, ScriptDirectory

from safeops.judging.existing import Facts, KnownTable
from safeops.judging.operations import Operation
from safeops.judging.schema import Schema
from safeops.judging.sent import Recording
from safeops.naming import Name
from safeops.review.known import copied
from safeops.review.stats import Stats


@dataclass
class NotedSchema(Schema):
    """A schema that notes what has changed it."""

    changes: list[Operation] = field(default_factory=list)

    def apply(self, operations: Iterable[Operation], *, new: bool) -> None:
        operations = list(operations)
        self.changes += operations
        super().apply(operations, new=new)

    def apart(self) -> NotedSchema:
        """Return a copy that changes apart from this one."""
        made = copied(self)
        assert isinstance(made, NotedSchema)
        made.changes = []
        return made


@dataclass(frozen=True)
class Live:
    """The live database.

    Args:
        facts: What it answers.
        home: Its default schema.
        applied: The revisions that it has had.
        record: Returns what a revision sends that reads this database, given what exists before it.
    """

    facts: Facts
    home: str | None
    applied: frozenset[str]
    record: Callable[[Script, Schema], Recording]


class Before:
    """The schemas before the revisions of a review.

    Args:
        script: The revisions of the project.
        one_run: Whether one deploy runs those of the review: a table that one makes is new to the others.
        stats: How many rows the tables have.
        live: The live database, if there is one.
    """

    def __init__(self, script: ScriptDirectory, one_run: bool, stats: Stats, live: Live | None = None) -> None:
        self._script, self._one_run, self._stats, self._live = script, one_run, stats, live
        self._made: dict[str, set[Name]] = {}
        self._changes: dict[str, list[Operation]] = {}

    def schema(self, script: Script, replayed: Schema) -> NotedSchema:
        """Return the schema before a revision, from the one that the files before it make."""
        live = self._live
        # A live database that has had the revision shows what exists after it; the sizes are right all the same.
        schema = (
            self._replayed(replayed) if live is None or script.revision in live.applied else self._read(script, live)
        )
        schema.changes = []
        return schema

    def _replayed(self, replayed: Schema) -> NotedSchema:
        schema = NotedSchema(**vars(replayed))
        facts = self._live.facts if self._live is not None else None
        for name in {*schema.tables, *map(_name_of, self._stats.rows)}:
            found = facts.table(name) if facts is not None else None
            rows = found.rows if found is not None else self._stats.of(name, schema.home)
            known = schema.tables.get(schema.key(name))
            if rows is not None and not (known and known.new):
                schema.tables.setdefault(schema.key(name), KnownTable(schema.key(name))).rows = rows
        return schema

    def _read(self, script: Script, live: Live) -> NotedSchema:
        """Return what the live database has, and what pending revisions before this one change."""
        schema, earlier = NotedSchema(live.facts, live.home), self._earlier(script)
        for revision in earlier:
            schema.apply(self._changes.get(revision, ()), new=True)
        schema.settle()
        for name in {name for revision in earlier for name in self._made.get(revision, ()) if name in schema.tables}:
            schema.tables[name].new = True
        return schema

    def keep(self, script: Script, schema: NotedSchema) -> None:
        """Note what a revision has changed in the schema that was before it."""
        self._changes[script.revision] = schema.changes
        if self._one_run:
            self._made[script.revision] = {name for name, table in schema.tables.items() if table.new}

    def _earlier(self, script: Script) -> list[str]:
        """Return the revisions before one that were judged, the oldest first."""
        newest_first = [one.revision for one in self._script.iterate_revisions(script.revision, "base")]
        return [one for one in reversed(newest_first) if one != script.revision and one in self._changes]


def _name_of(full: str) -> Name:
    schema, _, name = full.rpartition(".")
    return Name(name, schema or None)
