"""The types of columns before a type change, stored to undo the change after it was contracted."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError

from safeops.backfilling.port import Batches
from safeops.databases.definitions import Table
from safeops.databases.state_table import StateTable
from safeops.errors import InvalidArgument
from safeops.execution.inspect import look_into
from safeops.execution.migration import Migration
from safeops.naming import call, type_code
from safeops.plan_mode import current_dry_run
from safeops.schema.columns import column_differences

TABLE = "safeops_former_types"


class OriginalType(StateTable):
    """The original type of a column: a row of a small table, from ``contract`` to ``undo_contract``.

    Args:
        migration: The running migration.
        change: The key of the row.
    """

    def __init__(self, migration: Migration, change: str) -> None:
        self.change = change
        table = sa.Table(
            TABLE,
            sa.MetaData(),
            sa.Column("name", Batches.of(migration.database).exact_text(190), primary_key=True),
            sa.Column("type", sa.Text(), nullable=False),
            sa.Column("default_text", sa.Text()),
            schema=migration.settings.schema_for_state,
        )
        super().__init__(migration.database, table)

    def keep(self, type_: str, default: str | None) -> None:
        """Record the type and the default; an existing record is kept."""
        if current_dry_run() is not None:
            return
        self.create()
        try:
            self.execute(sa.insert(self.table).values(name=self.change, type=type_, default_text=default))
        except IntegrityError:
            if self.read() is None:
                raise

    def read(self) -> tuple[str, str | None] | None:
        """Return the recorded type and default; None if there are none."""
        if not self.exists():
            return None
        columns = self.table.c
        row = self.execute(sa.select(columns.type, columns.default_text).where(columns.name == self.change)).first()
        return (row.type, row.default_text) if row else None

    def forget(self) -> None:
        if current_dry_run() is None and self.exists():
            self.execute(sa.delete(self.table).where(self.table.c.name == self.change))


def check_type(value: Any) -> None:
    """Raise InvalidArgument if the value is not a type."""
    engine = sa.types.TypeEngine
    if not (isinstance(value, engine) or (isinstance(value, type) and issubclass(value, engine))):
        raise InvalidArgument(
            f"The type is {value!r}, not a SQLAlchemy type.",
            remedy="Write:",
            code='TypeChange("orders", "id", sa.BigInteger()).expand()',
        )


def check_sql(argument: str, value: Any, column: str) -> None:
    """Raise InvalidArgument if the value is neither SQL nor None."""
    if value is not None and not (isinstance(value, str) and value.strip()):
        code = f'{argument}="CAST({column} AS ...)"'
        raise InvalidArgument(f"{argument} is {value!r}, not SQL.", remedy="Write:", code=code)


def has_type(migration: Migration, table: Table, name: str, type_: sa.types.TypeEngine[Any]) -> bool:
    """Return whether a column already has a type."""
    column = _column(table, name, type_)
    only = frozenset({"type", "collation"})
    return not column_differences(migration, table, table.columns[name], column, only=only)


def refuse_needless(
    migration: Migration, table: Table, name: str, type_: sa.types.TypeEngine[Any], schema: str | None
) -> None:
    """Raise InvalidArgument if the change needs no rewrite, and therefore only one step."""
    database, column = migration.database, _column(table, name, type_)
    if database.abilities.rewrites_for_types:
        return
    if look_into(migration, table.name, lambda: database.safety.type_refusal(column, table)) is None:
        raise InvalidArgument(
            f"Changing {table.name}.{name} to {database.type_text(type_)} needs no rewrite.",
            why="The server changes only its catalogue (milliseconds), so a shadow column is not needed.",
            remedy="Do it in one step:",
            code=call("alter_column_type", table.name.name, name, type_code(type_), schema=schema),
        )


def _column(table: Table, name: str, type_: sa.types.TypeEngine[Any]) -> sa.Column[Any]:
    column: sa.Column[Any] = sa.Column(name, type_)
    sa.Table(table.name.name, sa.MetaData(), column, schema=table.name.schema)
    return column
