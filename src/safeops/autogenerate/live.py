"""What only the live database tells: whether a change of type rewrites the table, whether a drop can be archived."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, TypeVar

import sqlalchemy as sa
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import SingletonThreadPool, StaticPool

from safeops.archiving.columns import key_for, refuse_flaw
from safeops.autogenerate.arranging import name_of
from safeops.autogenerate.completing import escaped
from safeops.databases import database_for
from safeops.databases.beside import beside
from safeops.databases.definitions import Constraint, Table
from safeops.errors import DependentObjects, SafeOpsError
from safeops.looking import look, look_into
from safeops.migration import Migration, current_settings
from safeops.naming import Name
from safeops.operations.columns import column_differences
from safeops.operations.domains import NONE, instead_of_domain
from safeops.operations.story import settle
from safeops.recipes.type_change import TypeChange, check_change, standing_change

T = TypeVar("T")

log = logging.getLogger("safeops.autogenerate")


_BLOCKS = """\
It refuses, because the writes of others would wait for it, and no TypeChange can do it. {}
Where they may wait, put it in a block: with assured("..."):"""


@dataclass(frozen=True)
class TypeWay:
    """The way that a change of type goes.

    Args:
        target: The new type.
        phases: The phases of a ``TypeChange`` that are due; none where the server changes the type in a moment.
        returns: Where there are none: the server changes it back in a moment too.
        options: How values are converted, where a cast does not do: keywords of the ``TypeChange``.
        blocks: Why the change is made in place and refuses, where nothing else can do it.
        blocks_back: The same for the way back.
        keep: Why the column should keep its type.
        relates: Before the switch too, a foreign key that is one of the new type can be created.
    """

    target: Any
    phases: tuple[str, ...] = ()
    returns: bool = True
    options: dict[str, str] = field(default_factory=dict)
    blocks: str = ""
    blocks_back: str = ""
    keep: str = ""
    relates: bool = True


@dataclass
class Live:
    """The live database, on a connection of its own: Alembic's is in a transaction that is not ours to end."""

    migration: Migration
    seen: dict[Name, Table | None] = field(default_factory=dict)
    gone: set[tuple[Name, str]] = field(default_factory=set)
    """The constraints that the revision drops before anything else."""

    def table(self, name: Name) -> Table | None:
        if name not in self.seen:
            self.seen[name] = look(self.migration, name)
        return self.seen[name]

    def constraint_name(self, name: Name, constraint: str) -> str:
        """Return the name of a constraint as it stands: of SQLite's SQLAlchemy leaves the quotes in it doubled."""
        stands, single = self.table(name), constraint.replace('""', '"')
        known = stands.constraints if stands else {}
        return single if single in known and constraint not in known else constraint

    def keys_to_partitions(self, name: Name) -> set[str]:
        stands = self.table(name)
        if stands is None:
            return set()
        return look_into(self.migration, name, lambda: self.migration.database.keys_to_partitions(stands))

    def archive_refusal(self, name: Name, column: str | None) -> str | None:
        """Say why a table, or a column of it, cannot be archived; None where it can."""
        stands = self.table(name)
        if stands is None:
            return None
        try:
            refuse_flaw(self.migration, stands, column, f"{name}.{column}" if column else f"table {name}")
            if column is not None:
                key_for(self.migration, stands, column)
        except SafeOpsError as error:
            return error.problem
        return None

    def column_refusal(self, name: Name, column: sa.Column[Any]) -> str | None:
        """Say why adding a column would block a table that has rows; None where it would not."""
        stands = self.table(name)
        if stands is None:
            return None
        asked = column
        if column.name in stands.columns:
            # One that the downgrade brings back: the copy that the server is asked about has it already.
            asked = column._copy()
            asked.name = asked.key = "safeops_again"
            sa.Table(name.name, sa.MetaData(), asked, schema=name.schema)
        return self._asked(stands, lambda: self._database.column_refusal(asked, stands))

    def domain_advice(self, name: Name, column: sa.Column[Any]) -> str:
        """Say what to do instead of adding a column whose domain has rules of its own; empty for another column."""
        stands = self.table(name)
        words, code = (stands and self._asked(stands, lambda: instead_of_domain(self.migration, name, column))) or NONE
        return "\n".join([words, *(f"    {line}" for line in code.splitlines())]) if words else ""

    def mend_reflected(self, operation: ops.MigrateOperation) -> None:
        """Give the columns that come back what SQLAlchemy does not see: the expression, and that MariaDB's text is JSON."""
        added: Any = [operation.column] if isinstance(operation, ops.AddColumnOp) else ()
        added = operation.columns if isinstance(operation, ops.CreateTableOp) else added
        for column in added:
            stands = self.table(name_of(operation))
            if stands is None or not isinstance(column, sa.Column) or column.name not in stands.columns:
                continue
            if stands.columns[column.name].type == "json" and not isinstance(column.type, sa.JSON):
                column.type = sa.JSON()
            if column.computed is not None:
                self._mend_computed(stands, column, column.computed)

    def _mend_computed(self, stands: Table, column: sa.Column[Any], computed: sa.Computed) -> None:
        found = self._database.computed_as(stands, str(column.name))
        if found:
            computed.sqltext, computed.persisted = sa.text(escaped(found[0])), found[1]

    def serial_as_identity(self, name: Name, column: str, identity: Any) -> tuple[str, str] | None:
        """Return what makes a column that a sequence numbers an identity, and back; None where it is none."""
        stands = self.table(name)
        if stands is None or column not in stands.columns or not isinstance(identity, sa.Identity):
            return None
        return self._asked(stands, lambda: self._database.serial_as_identity(name, column, identity, stands))

    def comment(self, name: Name, column: str | None, otherwise: str | None) -> str | None:
        """Return the author's own comment of a column or a table; ``otherwise`` if there is none of that name."""
        stands = self.table(name)
        if stands is None or (column is not None and column not in stands.columns):
            return otherwise
        found: str | None = self._database.comment_of(stands, column)
        return found

    def copies_for_comment(self, name: Name, column: str) -> bool:
        """Tell whether the server copies the table to change the comment of a column."""
        stands = self.table(name)
        known = stands is not None and column in stands.columns
        return known and bool(self._database.copies_for_comment(stands, column))

    def has_default(self, name: Name, column: str, type_: Any, default: Any) -> bool:
        """Tell whether a column has a default already, which Alembic takes for another because it is spelled so."""
        stands = self.table(name)
        if stands is None or column not in stands.columns or default is None:
            return False
        wanted: sa.Column[Any] = sa.Column(column, type_, server_default=getattr(default, "arg", default))
        alone = sa.Table(name.name, sa.MetaData(), wanted, schema=name.schema).columns[column]
        only = frozenset({"default"})
        try:
            return not column_differences(self.migration, stands, stands.columns[column], alone, only=only)
        except DBAPIError:
            # The default is one that the server does not take yet.
            return False

    def has_index(self, name: Name, operation: ops.CreateIndexOp) -> bool:
        """Tell whether an index that autogenerate wants to create exists as asked."""
        stands = self.table(name)
        there = stands.indexes.get(str(operation.index_name)) if stands else None
        if stands is None or there is None or not there.valid or there.of_constraint:
            return False
        index = operation.to_index(self.migration.context)
        wanted = self._database.wanted_index(index)
        return self._asked(stands, lambda: settle(self.migration, stands, there, wanted, index)) == []

    def type_way(self, name: Name, column: str, old: Any, new: Any) -> TypeWay:
        """Return the way that a change of type goes."""
        stands = self.table(name)
        if stands is None or column not in stands.columns:
            return TypeWay(new)
        options = self._conversion(column, old, new)
        if standing_change(self.migration, stands, TypeChange(name.name, column, new, schema=name.schema)):
            return TypeWay(new, ("switch",), options=options)
        wanted, former = _alone(name, column, new), _alone(name, column, old)
        keep = self._asked(stands, lambda: self._database.type_to_keep(wanted, stands))
        if keep:
            return TypeWay(new, keep=keep)
        stands = replace(stands, constraints=self._left(stands, name))
        stuck = self._refusal(stands, name, lambda: self._database.check_type_change(wanted, stands))
        if stuck:
            return TypeWay(new, blocks=stuck, blocks_back=stuck)
        change = TypeChange(name.name, column, new, schema=name.schema, **options)
        stuck = self._refusal(stands, name, lambda: check_change(self.migration, stands, change))
        if self._asked(stands, lambda: self._database.type_refusal(wanted, stands)):
            akin = old._type_affinity is new._type_affinity
            relates = akin and self._database.foreign_keys_across_types
            phases = () if stuck else ("expand",)
            return TypeWay(new, phases, options=options, blocks=stuck, blocks_back=stuck, relates=relates)
        back = self._asked(stands, lambda: self._database.type_refusal_back(wanted, former, stands))
        return TypeWay(new, returns=back is None, blocks_back=stuck if back else "")

    def _left(self, stands: Table, name: Name) -> Mapping[str, Constraint]:
        """Return the constraints that stand when the type changes."""
        kind: Any = type(stands.constraints)
        left: Mapping[str, Constraint] = kind(
            (key, one) for key, one in stands.constraints.items() if (name, one.name) not in self.gone
        )
        return left

    def _refusal(self, stands: Table, name: Name, question: Callable[[], None]) -> str:
        """Return what an error tells its author, with the table called as the models call it."""
        try:
            self._asked(stands, question)
        except SafeOpsError as error:
            if isinstance(error, DependentObjects):
                code = [f"    {line}" for line in error.code.splitlines()]
                said = "\n".join([error.problem, error.why, error.remedy, *code])
            else:
                said = _BLOCKS.format(error.problem)
            return said.replace(str(stands.name), str(name))
        return ""

    @property
    def _database(self) -> Any:
        return self.migration.database

    def _asked(self, stands: Table, question: Callable[[], T]) -> T | None:
        try:
            return look_into(self.migration, stands.name, question)
        except DBAPIError as error:
            # It may be of a type or a value that this very revision creates; the helper asks again when it runs.
            log.debug("the server did not tell of %s: %s", stands.name, error)
            return None

    def _conversion(self, column: str, old: Any, new: Any) -> dict[str, str]:
        """Return the conversion from one named type into another, between which there is no cast."""
        if not (self._database.has_named_types and _is_named(old) and _is_named(new)):
            return {}
        text = f"CAST({self._database.quoted(column)} AS TEXT)"
        to, back = (f"CAST({text} AS {self._database.type_text(one)})" for one in (new, old))
        return {"using": to, "reverse_using": back}


def _is_named(type_: Any) -> bool:
    return isinstance(type_, sa.Enum) and type_.native_enum


@contextmanager
def looking(context: MigrationContext) -> Iterator[Live | None]:
    """Give the live database; None where there is no connection."""
    if context.connection is None:
        yield None
        return
    with _second(context.dialect, context.connection) as connection:
        database = database_for(context.dialect, lambda: connection)
        database.begin_by_hand()
        try:
            yield Live(Migration(database, current_settings(context), context))
        finally:
            database.end_by_hand()


def _second(dialect: Dialect, connection: Connection) -> AbstractContextManager[Connection]:
    if isinstance(connection.engine.pool, (StaticPool, SingletonThreadPool)):
        # A database in memory is seen by its one connection alone.
        return connection.engine.connect().execution_options(isolation_level="AUTOCOMMIT")
    return beside(connection, database_for(dialect, lambda: connection).handed_over())


def _alone(name: Name, column: str, type_: Any) -> sa.Column[Any]:
    made: sa.Column[Any] = sa.Column(column, type_)
    sa.Table(name.name, sa.MetaData(), made, schema=name.schema)
    return made
