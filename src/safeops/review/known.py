"""The known tables while a revision runs: those before it, changed by what it has sent so far."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import fields, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect

from safeops.databases import database_for
from safeops.judging.bound import bound_text
from safeops.judging.existing import KnownColumn, KnownConstraint, KnownTable
from safeops.judging.helper_effects import effects_of
from safeops.judging.operations import Operation
from safeops.judging.schema import Schema
from safeops.judging.sent import Event, HelperSent, Sent
from safeops.judging.server import JudgedServer
from safeops.naming import Name
from safeops.review.recorder import Recorder

log = logging.getLogger("safeops")
KINDS = {"foreignkey": "foreign key", "unique": "unique", "check": "check", "primary": "primary key"}
"""The kinds of constraints by what Alembic calls them."""

T = TypeVar("T")


class Effects:
    """What is known to be changed by what a revision sends.

    Args:
        dialect: The dialect of the project.
    """

    def __init__(self, dialect: Dialect) -> None:
        database = database_for(dialect, None)
        self._dialect = dialect
        self._server = JudgedServer.of(database) if JudgedServer.serves(database) else None

    @property
    def home(self) -> str | None:
        """The default schema."""
        return self._server.default_schema if self._server is not None else None

    def apply(self, schema: Schema, event: Event, *, new: bool = False) -> list[Operation]:
        """Change a schema as an event does, and return what that does.

        Args:
            schema: What is known before it.
            event: What was sent.
            new: A table that it makes counts as made by this run.
        """
        try:
            operations = list(self._operations(event))
            schema.apply(operations, new=new)
        except Exception:
            # The review continues without it.
            log.debug("could not determine what %s creates", event, exc_info=True)
            return []
        return operations

    def column(self, column: sa.Column[Any]) -> KnownColumn:
        """Return what is known of a column of a model."""
        try:
            type_ = str(column.type.compile(dialect=self._dialect)).lower()
        except sa.exc.SQLAlchemyError:
            type_ = None
        return KnownColumn(column.name, type_, column.nullable)

    def _operations(self, event: Event) -> Iterable[Operation]:
        match event:
            case Sent() if self._server is not None:
                return self._server.operations(bound_text(event))
            case HelperSent():
                return effects_of(event, self._dialect)
        return ()


class Known:
    """What exists while a revision runs.

    Args:
        before: What is known before it, which is not changed.
        recorder: Has what it has sent so far.
        effects: Returns what that changes.
        models: The metadata of the models, for tables that no revision has created.
    """

    def __init__(
        self, before: Schema, recorder: Recorder, effects: Effects, models: Iterable[sa.MetaData] = ()
    ) -> None:
        self._schema, self._recorder, self._effects, self._models = before, recorder, effects, models
        self._seen = 0
        self._changed: set[Name] = set()

    @property
    def schema(self) -> Schema:
        """What is known now."""
        news = self._recorder.events[self._seen :]
        if news and not self._seen:
            self._schema = copied(self._schema)
        for event in news:
            operations = self._effects.apply(self._schema, event)
            self._changed.update(name for one in operations for name in (one.table, one.other) if name is not None)
        self._seen += len(news)
        return self._schema

    def table(self, name: Name) -> KnownTable | None:
        """Return a table by the revisions, or by the models if no revision has created it."""
        found = self.schema.table(name)
        if found is not None and found.complete:
            return found
        modelled = self._of_models(name)
        if found is None or modelled is None:
            return found or modelled
        return replace(found, columns={**modelled.columns, **found.columns})

    def _of_models(self, name: Name) -> KnownTable | None:
        """Return a table as the models have it; its constraints and indexes are not known."""
        for metadata in self._models:
            table = metadata.tables.get(str(name))
            if table is not None:
                columns = {one.name: self._effects.column(one) for one in table.columns}
                return KnownTable(name, columns)
        return None

    def as_batches_suppose(self, name: Name, found: KnownTable | None) -> KnownTable:
        """Return a table with the columns and constraints that a batch changes or drops: it must have them."""
        table = _copied_table(found) if found is not None else KnownTable(name)
        for operation in self._recorder.batched:
            if getattr(operation, "table_name", None) != name.name:
                continue
            column, constraint = getattr(operation, "column_name", None), getattr(operation, "constraint_name", None)
            if column is not None:
                table.columns.setdefault(column, KnownColumn(column))
            kind = KINDS.get(getattr(operation, "constraint_type", None) or "")
            if kind is not None and constraint is not None:
                columns = tuple(table.columns)[:1]
                made = KnownConstraint(constraint, kind, columns, "true", referent=Name("others"))
                table.constraints.setdefault(constraint, made)
        if not table.columns:
            table.columns["id"] = KnownColumn("id", "integer")
        return table

    def has_changed(self, name: Name) -> bool:
        """Return whether the revision has sent something about a table."""
        schema = self.schema
        return schema.key(name) in {schema.key(changed) for changed in self._changed}


def copied(schema: Schema) -> Schema:
    """Return a schema that can be changed without changing the other."""
    tables = {name: _copied_table(table) for name, table in schema.tables.items()}
    types = {name: _twin(type_) for name, type_ in schema.types.items()}
    return replace(schema, tables=tables, types=types, gone=set(schema.gone), **_lists_of(schema))


def _lists_of(schema: Schema) -> dict[str, Any]:
    values = {one.name: getattr(schema, one.name) for one in fields(schema)}
    return {name: list(value) for name, value in values.items() if isinstance(value, list)}


def _copied_table(table: KnownTable) -> KnownTable:
    return replace(
        table,
        columns={name: _twin(column) for name, column in table.columns.items()},
        constraints={name: _twin(constraint) for name, constraint in table.constraints.items()},
        indexes={name: _twin(index) for name, index in table.indexes.items()},
        read_by=dict(table.read_by),
    )


def _twin(known: T) -> T:
    """Return a shallow copy, several times as fast as by ``copy``."""
    made = object.__new__(type(known))
    made.__dict__.update(known.__dict__)
    return made
