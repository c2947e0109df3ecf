"""What only the live database shows: whether a change of type rewrites the table, whether a drop can be archived."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from safeops import _sqlalchemy
from safeops.archive.archiving import key_for, refuse_unarchivable
from safeops.autogenerate.alembic_operations import name_of
from safeops.autogenerate.rendering import closed, escaped
from safeops.databases import database_for
from safeops.databases.connections import side_connection
from safeops.databases.definitions import Column, Table
from safeops.databases.reflection import Reflection
from safeops.errors import DependentObjects, SafeOpsError
from safeops.execution.inspect import find, look_into
from safeops.execution.migration import Migration, current_settings
from safeops.naming import Name
from safeops.schema.columns import column_differences
from safeops.schema.refusals import real_differences
from safeops.schema.types import NONE, instead_of_domain
from safeops.shadow.type_change import TypeChange, check_change, standing_change

T = TypeVar("T")

log = logging.getLogger("safeops.autogenerate")


_BLOCKS = """\
This is refused, because it would block writes, and a TypeChange cannot do it. {}
If writes can wait, put it in a block: with assured("..."):"""


@dataclass(frozen=True)
class TypeChangePlan:
    """How the type of a column changes.

    Args:
        target: The new type.
        phases: The phases of a ``TypeChange`` that are due; none if the server changes the type in milliseconds.
        returns: Without phases: the server changes it back in milliseconds too.
        conversion: How values are converted, if a cast cannot do it: keywords of the ``TypeChange``.
        blocks: Why the change is made in place and refuses, if nothing else can make it.
        blocks_back: The same for the downgrade.
        keep: Why the column should keep its type.
        relates: A foreign key to or from a column of the new type can be created before the switch.
    """

    target: Any
    phases: tuple[str, ...] = ()
    returns: bool = True
    conversion: dict[str, str] = field(default_factory=dict)
    blocks: str = ""
    blocks_back: str = ""
    keep: str = ""
    relates: bool = True


@dataclass
class LiveDatabase:
    """The live database, on a separate connection: that of Alembic is in a transaction that must not end here.

    Without a connection it has no tables.
    """

    context: MigrationContext
    migration: Any = None
    """The migration on that connection, for the helpers' own comparisons."""
    tables: dict[Name, Table | None] = field(default_factory=dict)
    dropped: set[tuple[Name, str]] = field(default_factory=set)
    """The constraints that the revision drops before anything else."""
    _same_defaults: dict[tuple[Any, ...], bool] = field(default_factory=dict)

    @property
    def database(self) -> Any:
        return self.migration and self.migration.database

    def table(self, name: Name) -> Table | None:
        if self.database and name not in self.tables:
            self.tables[name] = find(self.migration, name)
        return self.tables.get(name)

    def read(self, names: Sequence[Name]) -> None:
        """Read several tables at once; those that another session keeps locked are inspected one by one, when needed."""
        unknown = list(dict.fromkeys(name for name in names if name not in self.tables))
        try:
            self.tables |= Reflection.of(self.database).tables(unknown) if self.database and unknown else {}
        except DBAPIError as error:
            log.debug("could not read the tables at once: %s", error)

    def constraint_name(self, name: Name, constraint: str) -> str:
        """Return the existing name of a constraint: SQLAlchemy leaves quotes in those of SQLite doubled."""
        existing, single = self.table(name), constraint.replace('""', '"')
        known = existing.constraints if existing else {}
        return single if single in known and constraint not in known else constraint

    def keys_to_partitions(self, name: Name) -> set[str]:
        existing = self.table(name)
        if existing is None:
            return set()
        return look_into(self.migration, name, lambda: self.database.dependents.keys_to_partitions(existing))

    # Tables and columns -------------------------------------------------------------------------------------------

    def archive_refusal(self, name: Name, column: str | None) -> str | None:
        """Return why a table, or a column of it, cannot be archived; None if it can."""
        existing = self.table(name)
        if existing is None:
            return None
        try:
            refuse_unarchivable(self.migration, existing, column, f"{name}.{column}" if column else f"table {name}")
            if column is not None:
                key_for(self.migration, existing, column)
        except SafeOpsError as error:
            return error.problem
        return None

    def column_refusal(self, name: Name, column: sa.Column[Any]) -> str | None:
        """Return why adding a column would block a table that has rows; None if it would not."""
        existing = self.table(name)
        if existing is None:
            return None
        added = _sqlalchemy.copied(column)
        if added.computed is not None:
            added.computed.sqltext = closed(added.computed.sqltext)
        elif isinstance(added.server_default, sa.DefaultClause):
            added.server_default = sa.DefaultClause(closed(added.server_default.arg))
        if column.name in existing.columns:
            # The downgrade adds it again: the copy that the server compares has it already.
            added.name = added.key = "safeops_again"
        sa.Table(name.name, sa.MetaData(), added, schema=name.schema)
        return self._ask(existing, lambda: self.database.safety.column_refusal(added, existing))

    def domain_advice(self, name: Name, column: sa.Column[Any]) -> str:
        """Return what to do instead of adding a column whose domain has its own rules; empty for another column."""
        existing = self.table(name)
        found = existing and self._ask(existing, lambda: instead_of_domain(self.migration, name, column))
        words, code = found or NONE
        return "\n".join([words, *(f"    {line}" for line in code.splitlines())]) if words else ""

    def complete_reflected(self, operation: ops.MigrateOperation) -> None:
        """Give restored columns what SQLAlchemy does not reflect: expressions, and that MariaDB's text is JSON."""
        columns: Any = operation.columns if isinstance(operation, ops.CreateTableOp) else ()
        columns = [operation.column] if isinstance(operation, ops.AddColumnOp) else columns
        for column in (column for column in columns if isinstance(column, sa.Column)):
            existing, current = self._current(name_of(operation), str(column.name))
            if existing is None or current is None:
                continue
            if current.type == "json" and not isinstance(column.type, sa.JSON):
                column.type = sa.JSON()
            computed = column.computed
            if computed is not None and (found := self.database.safety.computed_as(existing, str(column.name))):
                computed.sqltext, computed.persisted = sa.text(escaped(found[0])), found[1]

    def serial_as_identity(self, name: Name, column: str, identity: Any) -> tuple[str, str] | None:
        """Return what makes a column with a sequence an identity, and back; None for any other column."""
        existing, current = self._current(name, column)
        if existing is None or current is None or not isinstance(identity, sa.Identity):
            return None
        return self._ask(existing, lambda: self.database.types.serial_as_identity(name, column, identity, existing))

    def comment(self, name: Name, column: str | None, otherwise: str | None) -> str | None:
        """Return the author's part of the comment of a column or a table; ``otherwise`` if it does not exist."""
        existing = self.table(name)
        if existing is None or (column is not None and column not in existing.columns):
            return otherwise
        found: str | None = self.database.ddl.comment_of(existing, column)
        return found

    def copies_for_comment(self, name: Name, column: str) -> bool:
        """Return whether the server copies the table to change the comment of a column."""
        existing, current = self._current(name, column)
        return current is not None and bool(self.database.safety.copies_for_comment(existing, column))

    def has_default(self, name: Name, column: str, type_: Any, default: Any) -> bool:
        """Return whether a column already has a default that Alembic takes for another because of its spelling."""
        existing, current = self._current(name, column)
        if existing is None or current is None or default is None:
            return False
        text = closed(getattr(default, "arg", default))
        spelled = text if isinstance(text, str) else self.database.rendered(text)
        # The models give many columns the same default, and the server spells it the same way.
        question = (replace(current, name="", comment=None), self.database.type_text(type_), type(text), spelled)
        if question not in self._same_defaults:
            wanted = _alone(name, column, type_, server_default=text)
            self._same_defaults[question] = self._has_default(existing, current, wanted)
        return self._same_defaults[question]

    def _has_default(self, existing: Table, current: Column, wanted: sa.Column[Any]) -> bool:
        try:
            return not column_differences(self.migration, existing, current, wanted, only=frozenset({"default"}))
        except DBAPIError:
            # The server does not accept the default as yet.
            return False

    def has_index(self, name: Name, operation: ops.CreateIndexOp) -> bool:
        """Return whether an index that autogenerate would create exists with this definition."""
        existing = self.table(name)
        current = existing.indexes.get(str(operation.index_name)) if existing else None
        if existing is None or current is None or not current.valid or current.of_constraint:
            return False
        index = operation.to_index(self.context)
        wanted = self.database.wanted_index(index)
        return self._ask(existing, lambda: real_differences(self.migration, existing, current, wanted, index)) == []

    # Changes of type ----------------------------------------------------------------------------------------------

    def type_change_plan(self, name: Name, column: str, old: Any, new: Any) -> TypeChangePlan:
        """Return how a type changes."""
        existing, current = self._current(name, column)
        if existing is None or current is None:
            return TypeChangePlan(new)
        conversion = self._conversion(column, old, new)
        if standing_change(self.migration, existing, TypeChange(name.name, column, new, schema=name.schema)):
            return TypeChangePlan(new, ("switch",), conversion=conversion)
        wanted, former = _alone(name, column, new), _alone(name, column, old)
        keep = self._ask(existing, lambda: self.database.safety.type_to_keep(wanted, existing))
        if keep:
            return TypeChangePlan(new, keep=keep)
        remaining = replace(existing, constraints=self._not_dropped(existing, name))
        refusal = self._refusal(remaining, name, lambda: self.database.safety.check_type_change(wanted, remaining))
        if refusal:
            return TypeChangePlan(new, blocks=refusal, blocks_back=refusal)
        change = TypeChange(name.name, column, new, schema=name.schema, **conversion)
        refusal = self._refusal(remaining, name, lambda: check_change(self.migration, remaining, change))
        if self._ask(remaining, lambda: self.database.safety.type_refusal(wanted, remaining)):
            relates = _sqlalchemy.are_akin(old, new) and self.database.abilities.foreign_keys_across_types
            phases = () if refusal else ("expand",)
            return TypeChangePlan(
                new, phases, conversion=conversion, blocks=refusal, blocks_back=refusal, relates=relates
            )
        refusal_back = self._ask(remaining, lambda: self.database.safety.type_refusal_back(wanted, former, remaining))
        return TypeChangePlan(new, returns=refusal_back is None, blocks_back=refusal if refusal_back else "")

    def _not_dropped(self, existing: Table, name: Name) -> Any:
        """Return the constraints that exist when the type changes."""
        constraints: Any = existing.constraints
        return type(constraints)(
            (key, each) for key, each in constraints.items() if (name, each.name) not in self.dropped
        )

    def _refusal(self, existing: Table, name: Name, question: Callable[[], None]) -> str:
        """Return the message of an error, with the table called as the models call it."""
        try:
            self._ask(existing, question)
        except SafeOpsError as error:
            if isinstance(error, DependentObjects):
                code = [f"    {line}" for line in error.code.splitlines()]
                text = "\n".join([error.problem, error.why, error.remedy, *code])
            else:
                text = _BLOCKS.format(error.problem)
            return text.replace(str(existing.name), str(name))
        return ""

    def _conversion(self, column: str, old: Any, new: Any) -> dict[str, str]:
        """Return the conversion from one named type into another, between which there is no cast."""
        if not (self.database.abilities.has_named_types and _is_named(old) and _is_named(new)):
            return {}
        text = f"CAST({self.database.quoted(column)} AS TEXT)"
        to, back = (f"CAST({text} AS {self.database.type_text(type_)})" for type_ in (new, old))
        return {"using": to, "reverse_using": back}

    # Details ------------------------------------------------------------------------------------------------------

    def _current(self, name: Name, column: str) -> tuple[Table | None, Column | None]:
        existing = self.table(name)
        return existing, existing.columns.get(column) if existing else None

    def _ask(self, existing: Table, question: Callable[[], T]) -> T | None:
        try:
            return look_into(self.migration, existing.name, question)
        except DBAPIError as error:
            # It may be of a type or a value that this same revision creates; the helper checks again when it runs.
            log.debug("could not inspect %s: %s", existing.name, error)
            return None


def _is_named(type_: Any) -> bool:
    return isinstance(type_, sa.Enum) and type_.native_enum


def _alone(name: Name, column: str, type_: Any, **options: Any) -> sa.Column[Any]:
    alone: sa.Column[Any] = sa.Column(column, type_, **options)
    sa.Table(name.name, sa.MetaData(), alone, schema=name.schema)
    return alone


@contextmanager
def live_database(context: MigrationContext) -> Iterator[LiveDatabase]:
    if context.connection is None:
        yield LiveDatabase(context)
        return
    with _second_connection(context.dialect, context.connection) as connection:
        database = database_for(context.dialect, lambda: connection)
        database.enter_autocommit()
        try:
            yield LiveDatabase(context, Migration(database, current_settings(context), context))
        finally:
            database.leave_autocommit()


def _second_connection(dialect: Dialect, connection: Connection) -> AbstractContextManager[Connection]:
    if isinstance(connection.engine.pool, (StaticPool, SingletonThreadPool)):
        # Only this connection sees a database in memory.
        return connection.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    return side_connection(connection, database_for(dialect, lambda: connection).session_settings())
