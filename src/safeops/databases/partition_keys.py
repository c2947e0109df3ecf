"""Keys of partitioned tables: servers keep a key unique within each partition only, so it needs the partition key."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import ExcludeConstraint

from safeops.errors import UnsafeOperation
from safeops.naming import Code, Name, call


def is_key(wanted: sa.Index | sa.Constraint) -> bool:
    """Tell whether it keeps values unique."""
    if isinstance(wanted, sa.Index):
        return bool(wanted.unique)
    return isinstance(wanted, (sa.UniqueConstraint, sa.PrimaryKeyConstraint, ExcludeConstraint))


def equal_columns(wanted: Any) -> list[str]:
    """Return the plain columns of a key, in which two rows of different partitions always differ."""
    if isinstance(wanted, ExcludeConstraint):
        return [name for name, operator in wanted.operators.items() if operator == "="]
    if isinstance(wanted, sa.Index):
        return [one.name for one in wanted.expressions if isinstance(one, sa.Column)]
    return [column.name for column in wanted.columns]


_HELPERS = {
    sa.UniqueConstraint: "create_unique_constraint_if_missing",
    sa.PrimaryKeyConstraint: "create_primary_key_if_missing",
}


def kind_of_key(wanted: sa.Index | sa.Constraint) -> str:
    """Name the kind of a key at the beginning of a sentence."""
    kinds = {sa.UniqueConstraint: "Unique constraint", sa.PrimaryKeyConstraint: "Primary key"}
    return kinds.get(type(wanted), "Unique index" if isinstance(wanted, sa.Index) else "Exclusion constraint")


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
        code=_with_columns(wanted, table, [*columns, *missing], missing),
    )


def _with_columns(wanted: Any, table: Name, columns: list[str], missing: list[str]) -> str:
    if isinstance(wanted, ExcludeConstraint):
        elements = [*wanted.operators.items(), *((one, "=") for one in missing)]
        pairs = [Code(repr(one)) for one in elements]
        using = wanted.using
        return call(
            "create_exclude_constraint_if_missing",
            str(wanted.name),
            table.name,
            *pairs,
            using=using,
            schema=table.schema,
        )
    if isinstance(wanted, sa.Index):
        return call("create_index_if_missing", str(wanted.name), table.name, columns, unique=True, schema=table.schema)
    helper = _HELPERS[type(wanted)]
    return call(helper, str(wanted.name), table.name, columns, schema=table.schema)
