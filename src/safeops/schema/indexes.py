"""Indexes: built and dropped without blocking reads and writes."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.exc import DBAPIError

from safeops.arguments import Keywords
from safeops.databases.definitions import Constraint, Index, Table, differences
from safeops.errors import DefinitionMismatch, DependentObjects, InvalidArgument
from safeops.execution.helper import ONLINE, HelperCall, Said, existing_or_skip, helper, shown_columns
from safeops.execution.inspect import Absent, known, look_into, settle_name
from safeops.execution.lock_retry import execute, with_lock_retry
from safeops.execution.migration import Migration
from safeops.naming import Name, call
from safeops.schema import refusals
from safeops.schema.refusals import (
    IF_DIFFERENT,
    explained_dependents,
    is_left,
    keep_or_raise,
    real_differences,
    refuse_dependents,
)


@helper(
    Said("builds index {0} on {1}", f"Built {ONLINE}.", noun="index"),
    example={"columns": shown_columns},
    keywords=Keywords(("info", "quote", "if_not_exists"), sa.Index),
    choices={"if_different": IF_DIFFERENT},
)
def create_index_if_missing(
    migration: HelperCall,
    /,
    index_name: str,
    table_name: str,
    columns: Sequence[Any],
    *,
    unique: bool = False,
    schema: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The index exists, is valid, and has this definition.

    Steps: inspects the table; drops an invalid index of this name that an interrupted build left; builds the index online.
    On a partitioned table: creates it on the parent only, builds it on each partition, and attaches the partitions.

    Args:
        index_name: The name of the index.
        table_name: The table.
        columns: Columns, or expressions such as ``sa.text("lower(email)")``, in order.
        unique: Whether the index is unique.
        schema: The schema of the table.
        if_different: "raise", "keep" or "replace": what to do if an index of that name has another definition.
            "replace" builds the new index before it drops the old one: under the name ``safeops_new_<index>``, which is
            changed at the end, or on MariaDB, MySQL and SQLite in one statement or transaction.
        **kw: As in ``op.create_index``: ``postgresql_where``, ``postgresql_using``, ``postgresql_include``,
            ``postgresql_ops``, ``mysql_length``, ``sqlite_where`` and so on.

    Returns:
        True if it was built, False if it already existed as requested.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: The table has no such column.
        DefinitionMismatch: The name is taken by an index of another definition or on another table.
        DuplicateRows: Several rows have a value that should be unique.
        LockNotAcquired: The build waited for transactions of other sessions for the whole retry budget; it was cancelled
            and cleaned up.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE (CREATE INDEX CONCURRENTLY), on a table without rows SHARE, briefly; MariaDB and
    MySQL ALGORITHM=INPLACE, LOCK=NONE; SQLite the file, until the build ends.

    Running it again: drops and restarts an interrupted build; finished partitions are kept.

    Offline: drops an invalid index of this name, then ``CREATE INDEX ... IF NOT EXISTS``.

    Example:
        create_index_if_missing("ix_users_email", "users", ["email"], unique=True)
    """
    if isinstance(columns, (str, sa.sql.ClauseElement)) or not isinstance(columns, Sequence) or not columns:
        raise InvalidArgument(f"columns is {columns!r}, not a list of columns.", remedy="Write:", code=migration.right)
    kw.pop("postgresql_concurrently", None)
    kw.pop("if_not_exists", None)
    operation = ops.CreateIndexOp(index_name, table_name, columns, schema=schema, unique=unique, **kw)
    return create(migration, operation.to_index(migration.context), migration.name, if_different=if_different)


def create(migration: Migration, index: sa.Index, name: Name, seen: Table | None = None, *, if_different: str) -> bool:
    """Create an index that was made from arguments; ``seen`` is the table if it has just been inspected."""
    migration.database.safety.check_index_support(index)
    about = f"index {settle_name(migration, index).name} on {name}"
    table = existing_or_skip(migration, name, about, _columns_of(index), seen, [str(index.name)])
    migration.database.safety.check_virtual(table, index)
    same_name = table.indexes.get(str(index.name)) if table else None
    if table is not None and same_name is not None:
        wanted = migration.database.wanted_index(index)
        compared = same_name.valid or table.is_partitioned
        found = real_differences(migration, table, same_name, wanted, index) if compared else []
        if found and if_different == "replace":
            return _replace(migration, name, index, table, same_name)
        if found or same_name.valid:
            return keep_or_raise(about, found, if_different, *_other_name(index, name))
    elif table is not None:
        refuse_taken(migration, str(index.name), table)
        look_into(migration, name, partial(migration.database.safety.check_partition_keys, name, table, index))
    replaces = if_different == "replace" and table is None
    ddl = migration.database.ddl
    plan = (ddl.replace_index if replaces else ddl.create_index)(name, index, table)
    return execute(migration, plan, _explained(migration, index, table))


def _explained(migration: Migration, index: sa.Index, table: Table | None) -> Callable[[DBAPIError], Any]:
    if table is None or not index.unique:
        return refusals.explained_by(migration, table, None)
    wanted, texts = migration.database.wanted_index(index), migration.database.element_texts(index)
    twice = refusals.duplicates(migration, table, str(index.name), texts, wanted.where, wanted.nulls_not_distinct)
    return refusals.explained_by(migration, table, twice)


def _replace(migration: Migration, name: Name, index: sa.Index, table: Table, existing: Index) -> bool:
    """Replace another index, on which no other object may depend."""
    _refuse_constraint(existing, name)
    look_into(migration, name, partial(migration.database.safety.check_partition_keys, name, table, index))
    refuse_needed(migration, table, existing, migration.database.wanted_index(index).names)
    plan = migration.database.ddl.replace_index(name, index, table)
    return execute(migration, plan, _explained(migration, index, table))


def refuse_needed(migration: Migration, table: Table, existing: Index | Constraint, columns: Sequence[str]) -> None:
    """Raise DependentObjects if a foreign key needs the index or unique key that one on these columns replaces."""
    database = migration.database
    look_into(migration, table.name, lambda: database.dependents.check_identity(table, [existing.name]))
    if not database.abilities.ties_foreign_keys and list(existing.names) == list(columns)[: len(existing.names)]:
        return
    unique = isinstance(existing, Constraint) or (existing.unique and not existing.where)
    as_key = Constraint(existing.name, "unique" if unique else "index", tuple(existing.names))
    dependents = look_into(migration, table.name, lambda: database.dependents.dependents_of_key(table, as_key))
    drop = "Drop these foreign keys first, run this again, and create the foreign keys again."
    refuse_dependents(f"{existing.name} of {table.name} to replace it", dependents, drop)


def check_ready(migration: Migration, index: sa.Index, name: Name, table: Table, if_different: str) -> None:
    """Raise what would stop the index of a column that has not been added yet."""
    migration.database.safety.check_index_support(index)
    migration.database.safety.check_virtual(table, index)
    existing = table.indexes.get(str(index.name))
    if existing is None:
        refuse_taken(migration, str(index.name), table)
        look_into(migration, name, lambda: migration.database.safety.check_partition_keys(name, table, index))
    elif existing.valid:
        found = differences(existing, migration.database.wanted_index(index))
        keep_or_raise(f"index {index.name} on {name}", found, if_different, *_other_name(index, name))


def _columns_of(index: sa.Index) -> list[str]:
    """Return the plain columns of an index; the server checks the columns in its expressions."""
    return [
        *(expression.name for expression in index.expressions if type(expression) is sa.Column),
        *included_in(index),
    ]


def included_in(thing: sa.Index | sa.Constraint) -> list[str]:
    """Return the columns that an index or a key only includes."""
    options = thing.dialect_kwargs.items()
    return [str(getattr(one, "name", one)) for key, value in options if key.endswith("_include") for one in value or ()]


def _other_name(index: sa.Index, name: Name) -> tuple[str, str]:
    drop = call("drop_index_if_exists", str(index.name), name.name, schema=name.schema)
    return "Give the new index another name, or drop the old index first:", drop


def refuse_taken(migration: Migration, index: str, table: Table) -> None:
    """Raise DefinitionMismatch if the index of another table, or another object, has the name of the new index."""
    owner = with_lock_retry(migration, f"looked for {index}", lambda: migration.database.index_elsewhere(index, table))
    if owner is None:
        return
    raise DefinitionMismatch(
        f"The name {index} is taken by a table, a view or a sequence."
        if owner.name == index
        else f"Index {index} exists, but on table {owner}, not on {table.name}.",
        why="A name is unique in its schema. A unique or primary key has an index of the same name.",
        remedy="Give the new index another name.",
        about=(owner.name,),
    )


@helper(
    Said("drops index {0} of {1}", f"Dropped {ONLINE}.", noun="index"),
    "index {index_name} on {table}",
    changes={"missing"},
)
def drop_index_if_exists(migration: HelperCall, index_name: str, table_name: str, *, schema: str | None = None) -> bool:
    """The table has no index of this name.

    Steps: inspects the table; drops the index online.

    Args:
        index_name: The index.
        table_name: The table. It need not exist.
        schema: The schema of the table.

    Returns:
        True if it was dropped, False if it did not exist.

    Raises:
        DependentObjects: The index belongs to a constraint, a foreign key depends on it, or it is the replica identity of a
            published table.
        LockNotAcquired: It waited for transactions of other sessions for the whole retry budget.

    Locks: PostgreSQL SHARE UPDATE EXCLUSIVE (DROP INDEX CONCURRENTLY; on a partitioned table ACCESS EXCLUSIVE, briefly);
    MariaDB and MySQL ALGORITHM=INPLACE, LOCK=NONE; SQLite the file, briefly.

    Running it again: an interrupted drop is completed.

    Offline: guarded by ``IF EXISTS``.

    Example:
        drop_index_if_exists("ix_users_email", "users")
    """
    name, inspected = migration.name, migration.inspect()
    match inspected:
        case Table() as table if index_name in table.indexes:
            _refuse_needed_to_drop(migration, table, table.indexes[index_name])
        case Table() as table if is_left(migration, table, index_name):
            pass
        case Table() | Absent():
            return migration.skip("it does not exist")
    explain = explained_dependents(migration, f"index {index_name} of {name}")
    return execute(migration, migration.database.ddl.drop_index(name, index_name, known(inspected)), explain)


def _refuse_needed_to_drop(migration: HelperCall, table: Table, index: Index) -> None:
    name, dependents = migration.name, migration.database.dependents
    _refuse_constraint(index, name)
    as_key = Constraint(index.name, "unique" if index.unique and not index.where else "index", index.names)
    remedy = f"First create another index on these columns, or drop the foreign key; then drop {index.name}."
    needing = look_into(migration, name, lambda: dependents.dependents_of_key(table, as_key))
    refuse_dependents(f"index {index.name} of {name}", needing, remedy)
    look_into(migration, name, lambda: dependents.check_identity(table, [index.name]))


def _refuse_constraint(existing: Index, name: Name) -> None:
    if existing.of_constraint:
        raise DependentObjects(
            f"Index {existing.name} on {name} belongs to the constraint of that name.",
            remedy="Drop the constraint; this also drops the index:",
            code=call("drop_constraint_if_exists", existing.name, name.name, schema=name.schema),
        )
