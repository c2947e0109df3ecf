"""Foreign keys: added briefly for new rows, then validated for existing rows without blocking reads and writes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.arguments import Keywords
from safeops.databases.definitions import Table, differences
from safeops.databases.steps import Plan
from safeops.errors import InvalidArgument
from safeops.execution.helper import ONLINE, HelperCall, Said, existing_or_skip, helper, skipping
from safeops.execution.inspect import (
    check_choice,
    check_columns,
    check_has_columns,
    existing,
    inspect_both,
    keeping,
    look_into,
    settle_name,
)
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.naming import Name, call, fitting
from safeops.schema import indexes, refusals
from safeops.schema.constraints import other_definition
from safeops.schema.refusals import IF_DIFFERENT, keep_or_raise, real_differences


def _shown(columns: Any, example: str) -> list[str]:
    """Return the columns of a call for messages, or an example if they are not columns."""
    given = [columns] if isinstance(columns, str) else columns
    is_list = isinstance(given, Sequence) and given and all(isinstance(one, str) and one for one in given)
    return list(dict.fromkeys(given)) if is_list else [example]


ACTIONS = (None, "CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT", "NO ACTION")


@helper(
    Said(
        "adds foreign key {0} from {1} to {2}",
        f"Both tables are locked for milliseconds; rows are checked {ONLINE}.",
        noun="foreign key",
    ),
    changes={"not yet"},
    example={
        "local_cols": lambda given: _shown(given["local_cols"], f"column of {given['source_table']}"),
        "remote_cols": lambda given: _shown(given["remote_cols"], f"key of {given['referent_table']}"),
    },
    choices={"if_different": IF_DIFFERENT},
    keywords=Keywords(("comment", "info", "link_to_name", "use_alter"), sa.ForeignKeyConstraint),
)
def create_foreign_key_if_missing(
    migration: HelperCall,
    /,
    constraint_name: str,
    source_table: str,
    referent_table: str,
    local_cols: Sequence[str],
    remote_cols: Sequence[str],
    *,
    onupdate: str | None = None,
    ondelete: str | None = None,
    deferrable: bool | None = None,
    initially: str | None = None,
    match: str | None = None,
    source_schema: str | None = None,
    referent_schema: str | None = None,
    validate: bool = True,
    index: bool = False,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table has the foreign key, valid for every row.

    Steps: inspects both tables and looks for rows without a referenced row; builds the index first, if requested; adds the
    key for new rows in a brief statement; checks existing rows in a scan that does not block reads or writes.

    Args:
        constraint_name: The foreign key.
        source_table: The referring table.
        referent_table: The referenced table.
        local_cols: The referring columns.
        remote_cols: The referenced columns: a primary key, or unique.
        onupdate: "CASCADE", "SET NULL", "SET DEFAULT", "RESTRICT" or "NO ACTION".
        ondelete: As ``onupdate``.
        deferrable: Whether the check can be deferred to the end of a transaction.
        initially: "DEFERRED" or "IMMEDIATE".
        match: "FULL" or "SIMPLE".
        source_schema: The schema of the referring table.
        referent_schema: The schema of the referenced table.
        validate: Whether existing rows are checked too; False leaves that to ``validate_constraint`` in a later revision.
        index: Whether to build ``ix_<table>_<columns>`` on the referring columns. Without an index, each delete in the
            referenced table scans this table. Dropping the foreign key keeps the index.
        if_different: "raise", "keep" or "replace": what to do if a key of that name has another definition. "replace"
            adds the new key as ``safeops_new_<name>`` and checks all rows before it drops the old key; every write is
            checked by one of them.
        **kw: As in ``op.create_foreign_key``.

    Returns:
        True if anything was added or validated, False if everything already existed as requested.

    Raises:
        UnknownTable: The table does not exist.
        UnknownColumn: A column does not exist.
        DefinitionMismatch: The name is taken by a constraint of another definition.
        OrphanedRows: Rows refer to missing rows.
        InvalidArgument: The referenced columns are not unique.
        UnsupportedOnDatabase: The server has no ``validate=False`` or no ``deferrable``.
        LockNotAcquired: A table stayed locked for the whole retry budget.

    Locks: PostgreSQL SHARE ROW EXCLUSIVE on both tables, briefly, then SHARE UPDATE EXCLUSIVE and ROW SHARE for the scan of
    rows, if there are any; MariaDB and MySQL ALGORITHM=INPLACE, LOCK=NONE; SQLite rebuilds the table.

    Running it again: validates a key that is not valid yet.

    Offline: guarded by a query of the catalogue, on servers that can run a block of statements.

    Example:
        create_foreign_key_if_missing("fk_orders_user", "orders", "users", ["user_id"], ["id"], index=True)
    """
    _check_columns(migration, local_cols, remote_cols)
    for argument, value, choices in (
        ("onupdate", onupdate, ACTIONS),
        ("ondelete", ondelete, ACTIONS),
        ("initially", initially, (None, "DEFERRED", "IMMEDIATE")),
        ("match", match, (None, "FULL", "SIMPLE", "PARTIAL")),
    ):
        check_choice(argument, value.upper() if isinstance(value, str) else value, choices)
    validate = not kw.pop("postgresql_not_valid", False) and validate
    timing = {"deferrable": deferrable, "initially": initially, "match": match}
    actions = {"onupdate": onupdate, "ondelete": ondelete}
    other = Name(referent_table, referent_schema)
    key = _key(constraint_name, migration.name, other, local_cols, remote_cols, **timing, **actions, **kw)
    return create(migration, key, migration.name, validate=validate, index=index, if_different=if_different)


def _check_columns(migration: HelperCall, local: Sequence[str], remote: Sequence[str]) -> None:
    check_columns(migration, "local_cols", local, migration.right)
    check_columns(migration, "remote_cols", remote, migration.right)
    if len(local) != len(remote):
        raise InvalidArgument(
            f"local_cols has {len(local)} columns, but remote_cols has {len(remote)}: {list(local)} and {list(remote)}.",
            remedy="Name the same number of columns on both sides:",
            code=migration.right,
        )


def _key(
    constraint: str, name: Name, other: Name, local: Sequence[str], remote: Sequence[str], **kw: Any
) -> sa.ForeignKeyConstraint:
    """Make the key of columns, not of "table.column" as Alembic does: names can contain dots."""
    metadata = sa.MetaData()
    columns = dict.fromkeys([*local, *remote] if name == other else local)
    source = sa.Table(name.name, metadata, *map(sa.Column, columns), schema=name.schema)
    target = source if name == other else sa.Table(other.name, metadata, *map(sa.Column, remote), schema=other.schema)
    key = sa.ForeignKeyConstraint(list(local), [target.c[column] for column in remote], constraint, **kw)
    source.append_constraint(key)
    return key


def create(
    migration: Migration,
    key: sa.ForeignKeyConstraint,
    name: Name,
    seen: Table | None = None,
    *,
    validate: bool = True,
    index: bool = False,
    if_different: str,
) -> bool:
    """Create a foreign key that was made from arguments or from a column."""
    database = migration.database
    database.safety.check_support(key, validate)
    settle_name(migration, key)
    other, remote = referent_of(key)
    about = f"foreign key {key.name} on {name}"
    found, found_other = (seen, None) if seen or other == name else inspect_both(migration, name, other, str(key.name))
    source = existing_or_skip(migration, name, about, key.column_keys, found)
    database.safety.check_virtual(source, key)
    referent = existing_or_skip(migration, other, about, remote, source if other == name else found_other)
    if source is None or referent is None:
        _ = index and _index(migration, key, name, None, "raise")
        return execute(migration, _plan(migration, name, key, None, validate, if_different == "replace"))
    replaces = if_different == "replace" and _is_another(migration, source, referent, key)
    settled = not replaces and _is_settled(migration, name, source, referent, key, validate, if_different)
    if not settled:
        _refuse_unready(migration, source, referent, key, validate)
    built = index and _index(migration, key, name, source, "keep" if if_different == "keep" else "raise")
    if settled:
        return built
    source = existing(migration, name) if built else source
    plan = _plan(migration, name, key, source, validate, replaces)
    offenders = refusals.orphans(migration, source, key, referent)
    explain = refusals.explained_by(migration, source, offenders if validate else None)
    with keeping([f"built an index on {name}({', '.join(key.column_keys)})"] if built else []):
        return execute(migration, plan, explain) or built


def _plan(
    migration: Migration, name: Name, key: sa.ForeignKeyConstraint, table: Table | None, validate: bool, replaces: bool
) -> Plan:
    database = migration.database
    return (database.ddl.replace_constraint if replaces else database.ddl.add_constraint)(name, key, table, validate)


def _is_another(migration: Migration, source: Table, referent: Table, key: sa.ForeignKeyConstraint) -> bool:
    """Return whether there is another key of this name to replace, or an unfinished replacement."""
    existing, passing = source.constraints.get(str(key.name)), migration.database.ddl.temporary_name(str(key.name))
    if passing in source.constraints or passing in source.indexes:
        return True
    if existing is None or existing.kind != "foreign key":
        return False
    wanted = replace(migration.database.wanted_constraint(key), referent=referent.name)
    return bool(real_differences(migration, source, existing, wanted, key))


def referent_of(key: sa.ForeignKeyConstraint) -> tuple[Name, list[str]]:
    """Return the table and the columns that a key refers to."""
    target = key.elements[0].column.table
    return Name(target.name, target.schema), [element.column.name for element in key.elements]


def check_ready(
    migration: Migration, key: sa.ForeignKeyConstraint, name: Name, table: Table, if_different: str
) -> None:
    """Raise what would stop the foreign key of a column that has not been added yet."""
    migration.database.safety.check_support(key, True)
    migration.database.safety.check_virtual(table, key)
    other, remote = referent_of(key)
    referent = table if other == name else existing(migration, other)
    if other == name and set(remote) & set(key.column_keys):
        return
    check_has_columns(referent, remote)
    same_name = table.constraints.get(str(key.name))
    if same_name is not None:
        wanted = replace(migration.database.wanted_constraint(key), referent=referent.name)
        found = differences(same_name, wanted)
        what = f"foreign key {key.name} on {name}"
        keep_or_raise(what, found, if_different, *other_definition(same_name, name, found))
    _refuse_partitioned(migration, key, {name: table, other: referent})
    _refuse_not_unique(key, referent, other, remote)


def _index(
    migration: Migration, key: sa.ForeignKeyConstraint, name: Name, seen: Table | None, if_different: str
) -> bool:
    columns = list(key.column_keys)
    index_name = fitting("ix", name.name, *columns, max_bytes=63)
    operation = ops.CreateIndexOp(index_name, name.name, columns, schema=name.schema)
    index = operation.to_index(migration.context)
    return skipping(lambda: indexes.create(migration, index, name, seen, if_different=if_different))


def _is_settled(
    migration: Migration,
    name: Name,
    source: Table,
    referent: Table,
    key: sa.ForeignKeyConstraint,
    validate: bool,
    if_different: str,
) -> bool:
    """Return whether the key exists as requested, or is kept; raise if it differs."""
    existing = source.constraints.get(str(key.name))
    if existing is None:
        return False
    # Without a schema, the server resolves the name of the referenced table, as the inspection did.
    wanted = replace(migration.database.wanted_constraint(key), referent=referent.name)
    found = real_differences(migration, source, existing, wanted, key)
    if not found and validate and not existing.valid:
        return False
    keep_or_raise(f"foreign key {key.name} on {name}", found, if_different, *other_definition(existing, name, found))
    return True


def _refuse_unready(
    migration: Migration, source: Table, referent: Table, key: sa.ForeignKeyConstraint, validate: bool
) -> None:
    other, remote = referent_of(key)
    _refuse_partitioned(migration, key, {source.name: source, other: referent})
    _refuse_not_unique(key, referent, other, remote)
    if validate:
        refusals.refuse(migration, source, refusals.orphans(migration, source, key, referent))


def _refuse_partitioned(migration: Migration, key: sa.ForeignKeyConstraint, both: dict[Name, Table]) -> None:
    for name, table in both.items():
        look_into(migration, name, partial(migration.database.safety.check_partition_keys, name, table, key))


def _refuse_not_unique(key: sa.ForeignKeyConstraint, referent: Table, other: Name, remote: Sequence[str]) -> None:
    if not _is_unique(referent, remote):
        unique = f"uq_{other.name}_{remote[0]}"
        raise InvalidArgument(
            f"Foreign key {key.name} refers to {other}({', '.join(remote)}), which is not unique.",
            why="A foreign key must refer to a primary key or to unique columns.",
            remedy="Make them unique first:",
            code=call("create_unique_constraint_if_missing", unique, other.name, remote, schema=other.schema),
        )


def _is_unique(referent: Table, columns: Sequence[str]) -> bool:
    keys = [
        constraint.columns
        for constraint in referent.constraints.values()
        if constraint.kind in ("unique", "primary key")
    ]
    keys += [index.names for index in referent.indexes.values() if index.unique and index.valid and index.where is None]
    return any(set(key) == set(columns) for key in keys)
