"""Whether a change would block or rewrite a table that has rows, what the server lacks, and what depends on a thing."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from safeops.databases import sqltext
from safeops.databases.definitions import Constraint, Difference, Published, Table
from safeops.databases.ports import Port
from safeops.errors import UnsafeOperation
from safeops.naming import Code, Name, call


def is_key(wanted: sa.Index | sa.Constraint) -> bool:
    """Return whether it keeps values unique."""
    if isinstance(wanted, sa.Index):
        return bool(wanted.unique)
    return isinstance(wanted, (sa.UniqueConstraint, sa.PrimaryKeyConstraint, ExcludeConstraint))


def equal_columns(wanted: Any) -> list[str]:
    """Return the plain columns of a key, in which two rows of different partitions always differ."""
    if isinstance(wanted, ExcludeConstraint):
        return [name for name, operator in wanted.operators.items() if operator == "="]
    if isinstance(wanted, sa.Index):
        return [element.name for element in wanted.expressions if isinstance(element, sa.Column)]
    return [column.name for column in wanted.columns]


_KEYS: dict[type, tuple[str, str]] = {
    sa.Index: ("Unique index", "create_index_if_missing"),
    sa.UniqueConstraint: ("Unique constraint", "create_unique_constraint_if_missing"),
    sa.PrimaryKeyConstraint: ("Primary key", "create_primary_key_if_missing"),
    ExcludeConstraint: ("Exclusion constraint", "create_exclude_constraint_if_missing"),
}


def kind_of_key(wanted: sa.Index | sa.Constraint) -> str:
    """Name the kind of a key at the beginning of a sentence."""
    return _KEYS[type(wanted)][0]


def lacking(
    product: str, table: Name, wanted: sa.Index | sa.Constraint, columns: list[str], missing: list[str]
) -> UnsafeOperation:
    """Return the error for a key that lacks columns of the partition key, with the call to write instead."""
    name = str(wanted.name)
    listed = f"column{'s' * (len(missing) > 1)} {', '.join(missing)}"
    return UnsafeOperation(
        f"{kind_of_key(wanted)} {name} lacks {listed}, by which {table} or a partition of it is partitioned.",
        why=f"{product} keeps a key unique within each partition only, so a key must contain the"
        " partition key of every level.",
        remedy=f"Add the {listed}; to keep ({', '.join(columns)}) unique alone, use a table that is not partitioned:",
        code=_with_columns(wanted, table, columns, missing),
    )


def _with_columns(wanted: Any, table: Name, columns: list[str], missing: list[str]) -> str:
    """Return the call that creates the key with the missing columns added to its own."""
    _, helper = _KEYS[type(wanted)]
    if isinstance(wanted, ExcludeConstraint):
        elements = [Code(repr(item)) for item in (*wanted.operators.items(), *((name, "=") for name in missing))]
        return call(helper, str(wanted.name), table.name, *elements, using=wanted.using, schema=table.schema)
    unique = True if isinstance(wanted, sa.Index) else None
    return call(helper, str(wanted.name), table.name, [*columns, *missing], unique=unique, schema=table.schema)


class Safety(Port):
    """Whether a change would block or rewrite a table that has rows, and what the server does not have."""

    place = "safeops.databases.{family}.safety:Safety"

    def copies_for_comment(self, existing: Table, column: str) -> bool:
        """Return whether the server copies the table to change the comment of a column."""
        return False

    def column_refusal(self, column: sa.Column[Any], existing: Table) -> str | None:
        """Return why adding the column would block or rewrite a table that has rows; None if it would not."""
        return None

    def type_refusal(self, column: sa.Column[Any], existing: Table) -> str | None:
        """Return why the change of type would rewrite or scan the table; None if it would not."""
        return None

    def type_refusal_back(self, column: sa.Column[Any], former: sa.Column[Any], existing: Table) -> str | None:
        """Return why changing ``column`` back to its ``former`` type would rewrite or scan the table; None if it
        would not."""
        return None

    def is_certain(self, found: Difference) -> bool:
        """Return whether two parts differ however the server spells the requested one."""
        return False

    def is_spelling(self, found: Difference) -> bool:
        """Return whether two parts are the same to this server, which spells one in another way."""
        return False

    def check_type_change(self, column: sa.Column[Any], existing: Table) -> None:
        """Raise DependentObjects if the server cannot change the type at all."""

    def type_in_place(self, column: sa.Column[Any], existing: Table) -> str | None:
        """Return the calls that change a type in one statement, if only that works; None if ``TypeChange`` works."""
        return None

    def type_to_keep(self, column: sa.Column[Any], existing: Table) -> str | None:
        """Return why a column should keep its type, which takes all values of the other; None if it should not."""
        return None

    def computed_as(self, existing: Table, column: str) -> tuple[str, bool] | None:
        """Return the expression of a column and whether it is stored, if SQLAlchemy may reflect another's."""
        return None

    def checks_of_columns(self, existing: Table) -> list[Constraint]:
        """Return the unnamed checks that are parts of the columns' definitions, and so no constraints of the table."""
        return []

    def check_support(self, constraint: sa.Constraint, validate: bool) -> None:
        """Raise UnsupportedOnDatabase for what this server does not have."""
        if not validate and not self.database.abilities.validates_constraints_later:
            raise self.database.unsupported("validate=False", "a server that can add a constraint unvalidated")

    def invalid_name_reason(self, name: str) -> str | None:
        """Return why the server does not accept a name; None if it does."""
        return None

    def check_partition_keys(self, name: Name, existing: Table, wanted: sa.Index | sa.Constraint) -> None:
        """Raise what the partitioning of the table forbids: a unique key without its columns, on MySQL any foreign key."""

    def check_column_support(self, column: sa.Column[Any]) -> None:
        """Raise UnsupportedOnDatabase for a column that this server does not have."""

    def check_index_support(self, index: sa.Index) -> None:
        """Raise UnsupportedOnDatabase for an index that this server does not have."""

    def check_virtual(self, existing: Table | None, thing: sa.Index | sa.Constraint) -> None:
        """Raise UnsupportedOnDatabase for an index or a key of a column whose values no table keeps."""

    def default_is_constant(self, column: sa.Column[Any]) -> bool:
        """Return, without a query, whether every row gets the same value from the default."""
        if column.identity is not None or column.computed is not None:
            return False
        words = sqltext.canonical(self.database.default_text(column) or "NULL").replace("now()", "")
        # A parenthesis inside a string is not a call.
        return not any(kind == "op" and text == "(" for kind, text in sqltext.tokens(words))


class Dependents(Port):
    """What depends on a table, a column, a type, a schema or a key."""

    place = "safeops.databases.{family}.safety:Dependents"

    def dependents(self, table: Table, column: str | None = None) -> list[str]:
        """Describe the views, policies, foreign keys and so on that depend on a table or one of its columns."""
        return []

    def dependents_on_type(self, table: Table, column: str) -> list[str]:
        """Describe what keeps the server from changing the type of a column."""
        return self.dependents(table, column)

    def check_droppable(self, table: Table, column: str) -> None:
        """Have the server raise its refusal to drop a column, if it can try that and roll back."""

    def dependents_of_schema(self, schema: str) -> list[str]:
        return []

    def dependents_of_enum(self, name: Name) -> list[str]:
        return []

    def dependents_of_key(self, existing: Table, constraint: Constraint) -> list[str]:
        """Describe the foreign keys of other tables that depend on a unique or primary key, or on an equal index."""
        return []

    def keys_to_partitions(self, existing: Table) -> set[str]:
        """Return the foreign keys that the server itself made, to each partition of a referred table."""
        return set()

    def left_on_partitions(self, existing: Table, name: str) -> bool:
        """Return whether partitions have a part of an index or constraint that the whole table lacks."""
        return False

    def check_identity(self, existing: Table, indexes: Sequence[str]) -> None:
        """Raise DependentObjects if replication finds the rows of a table by one of the indexes to be dropped."""

    def published(self, existing: Table) -> Published:
        """Return who publishes the table with the columns that it will have."""
        return Published()

    def published_when_new(self, name: Name) -> Published:
        """Return who publishes a table as soon as it is created."""
        return Published()

    def check_takes_null(self, existing: Table, column: str) -> None:
        """Raise DependentObjects if something that depends on the column accepts no NULL in it."""
