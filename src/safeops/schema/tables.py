"""Tables: create and drop them."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops import _sqlalchemy
from safeops.archive.archiving import archive_table, finish_archive
from safeops.archive.port import Archives
from safeops.backfilling.status import forget_backfills_of
from safeops.databases.definitions import Constraint, Difference, Table
from safeops.errors import DefinitionMismatch, InvalidArgument, UnknownTable
from safeops.execution.inspect import (
    check_choice,
    check_flags,
    check_names,
    keeping,
    look,
    look_into,
    named,
    settle_name,
    settle_names,
    skipped,
    table_or_none,
)
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration, running
from safeops.execution.replication import heed_new_table
from safeops.naming import Code, Name, call
from safeops.plan_mode import current_dry_run
from safeops.schema import foreign_keys, indexes
from safeops.schema.columns import column_differences
from safeops.schema.later_calls import unexplained
from safeops.schema.prerequisites import prepare
from safeops.schema.refusals import (
    check_schema,
    explained_dependents,
    keep_or_raise,
    refuse_archive_offline,
    refuse_dependents,
    settle,
)


def create_table_if_missing(
    table_name: str,
    *columns: Any,
    schema: str | None = None,
    comment: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table exists with these columns, constraints and indexes.

    Steps: looks for the table; creates named types that are missing, as ``op.create_table`` does, and the sequences of its
    defaults; creates the table with its indexes and comments, on servers with transactional DDL in one transaction.

    Args:
        table_name: The table.
        *columns: Columns, constraints and indexes, as in ``op.create_table``.
        schema: The schema of the table.
        comment: The comment of the table.
        if_different: "raise" or "keep": what to do where a table of that name differs. Columns that it has beyond those
            asked for are no difference, nor is what a later call of the same revision changes.
        **kw: As in ``op.create_table``.

    Returns:
        True if anything was created, False if all was there as asked.

    Raises:
        DefinitionMismatch: A column, constraint or comment differs or is missing.
        UnknownType: A type does not exist that the columns do not say how to create, or that has ``create_type=False``.
        LockNotAcquired: A table that it refers to was in use for the whole retry budget.

    Locks: the new table; PostgreSQL SHARE ROW EXCLUSIVE on tables that it refers to, briefly.

    Running it again: indexes that an interrupted run left out are created.

    Offline: ``CREATE TABLE IF NOT EXISTS`` and ``CREATE INDEX IF NOT EXISTS``.

    Example:
        create_table_if_missing("teams", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("name", sa.Text))
    """
    right = call(
        "create_table_if_missing",
        table_name,
        Code('sa.Column("id", sa.BigInteger, primary_key=True)'),
        schema=schema,
    )
    with running("create_table_if_missing") as migration:
        check_names(migration, right, table_name=table_name, schema=schema)
        check_choice("if_different", if_different, ("raise", "keep"))
        wrong = [one for one in columns if not isinstance(one, sa.sql.base.SchemaEventTarget)]
        if not columns or wrong:
            raise InvalidArgument(
                f"The columns are {wrong!r}, not columns or constraints.",
                remedy="Write:",
                code=right,
            )
        kw.pop("if_not_exists", None)
        table = ops.CreateTableOp(table_name, columns, schema=schema, comment=comment, **kw).to_table(migration.context)
        check_names(migration, right, **{f"column {column.name}": column.name for column in table.columns})
        settle_names(migration, table, right)
        name = Name(table_name, schema)
        stands = look(migration, name, to_create=True)
        if stands is not None:
            keep_or_raise(f"table {name}", _differences(migration, stands, table), if_different)
            built = [indexes.create(index, name, stands, if_different=if_different) for index in _sorted(table)]
            return any(built)
        for column in table.columns:
            migration.database.safety.check_column_support(column)
        things: list[sa.Index | sa.Constraint] = [*table.indexes, *table.constraints]
        for thing in things:
            migration.database.safety.check_virtual(None, thing)
        check_schema(migration, name, right)
        if not migration.offline:
            heed_new_table(migration, name, call("create_table_if_missing", table_name, Code("..."), schema=schema))
        for key in table.foreign_key_constraints:
            key.use_alter = key.use_alter and _is_made_later(migration, name, key)
        typed = prepare(migration, list(table.columns), creates_enums=True)
        with keeping(typed):
            made = execute(migration, migration.database.ddl.create_table(table))
            _confirm(migration, name)
        return made or bool(typed)


def _is_made_later(migration: Migration, name: Name, key: sa.ForeignKeyConstraint) -> bool:
    """Tell whether the revision itself adds the key later; SQLAlchemy leaves one with ``use_alter`` out of CREATE TABLE.

    Raises:
        UnknownTable: Nothing adds it later, and the table that it refers to does not exist.
    """
    referent, remote = foreign_keys.referent_of(key)
    if referent == name or not migration.context.dialect.supports_alter:
        return False
    there = migration.offline or current_dry_run() is not None or look(migration, referent) is not None
    missing = Difference(f"foreign key {key.name}", "missing", referent.name)
    if not unexplained([missing], name, str(key.name)):
        return True
    if there:
        return False
    raise UnknownTable(
        f"Foreign key {key.name} of {name} refers to table {referent}, which does not exist.",
        why="With use_alter=True the key is added after both tables, by a call of its own, and no later call adds it.",
        remedy="Leave the key out of this table, create the other table, then add the key:",
        code=call(
            "create_foreign_key_if_missing",
            str(key.name),
            name.name,
            referent.name,
            list(key.column_keys),
            remote,
            source_schema=name.schema,
            referent_schema=referent.schema,
        ),
    )


def _confirm(migration: Migration, name: Name) -> None:
    """Raise DefinitionMismatch where IF NOT EXISTS found something else of this name, and created nothing."""
    if migration.offline or current_dry_run() is not None or look(migration, name, to_create=True) is not None:
        return
    raise DefinitionMismatch(
        f"Table {name} was not created: the name is taken by something that is no table, a sequence or an index.",
        why="Tables, indexes, sequences and views share their names in a schema.",
        remedy="Give the table another name, or drop or rename what has it.",
    )


def _sorted(table: sa.Table) -> list[sa.Index]:
    return sorted(table.indexes, key=lambda index: str(index.name))


def _differences(migration: Migration, stands: Table, table: sa.Table) -> list[Difference]:
    if stands.kind.endswith("view"):
        return [Difference("kind", stands.kind, "table")]
    found = []
    for column in table.columns:
        there = stands.columns.get(column.name)
        if there is None:
            missing = Difference(f"column {column.name}", "missing", migration.database.type_text(column.type))
            found += unexplained([missing], stands.name, column.name)
            continue
        # The server itself gives the key's column a sequence or a counter.
        counted = (
            column is _sqlalchemy.counted_column(table) and column.server_default is None and column.identity is None
        )
        differs = column_differences(migration, stands, there, column, autoincrement=counted, ahead=True)
        found += [Difference(f"{one.part} of column {column.name}", one.existing, one.wanted) for one in differs]
        for check in _checks_of(migration, column):
            found += _constraint_differences(migration, stands, check, str(column.name))
    for group in migration.database.equal_keys(table):
        keyed = isinstance(group[0], sa.PrimaryKeyConstraint)
        compared = [_constraint_differences(migration, stands, one) for one in (group[:1] if keyed else group)]
        found += compared[0] if all(compared) else []
    if table.comment is not None and migration.database.abilities.has_comments and table.comment != stands.comment:
        found.append(Difference("comment", stands.comment, table.comment))
    return found


def _checks_of(migration: Migration, column: sa.Column[Any]) -> list[sa.CheckConstraint]:
    """Return the checks that are written on a column, which its table does not list."""
    written = [one for one in column.constraints if isinstance(one, sa.CheckConstraint)]
    checks = [sa.CheckConstraint(one.sqltext, name=one.name) for one in written]
    sa.Table(column.table.name, sa.MetaData(), *checks, schema=column.table.schema)
    return [settle_name(migration, check) for check in checks]


def _constraint_differences(
    migration: Migration, stands: Table, constraint: sa.Constraint, *columns: str
) -> list[Difference]:
    """Compare a named constraint by its name, an unnamed one by what it says.

    Args:
        migration: The running migration.
        stands: The existing table.
        constraint: The constraint that the table should have.
        *columns: The column that the constraint is written on, which is a part of its name where it has none.
    """
    database = migration.database
    if isinstance(constraint, sa.PrimaryKeyConstraint) and not constraint.columns:
        return []
    has_name = isinstance(constraint.name, str)
    keyed = isinstance(constraint, sa.PrimaryKeyConstraint)
    owner = Name("_".join([stands.name.name, *columns]))
    wanted = database.wanted_constraint(constraint if has_name or keyed else named(constraint, owner))
    there = database.same_named(stands, wanted)
    candidates = [there] if there else [] if has_name else _alike(migration, stands, wanted)
    compared = [settle(migration, stands, one, _resolved(wanted, one), constraint) for one in candidates]
    unnamed_check = wanted.kind == "check" and not has_name
    if not compared or (unnamed_check and all(compared)):
        missing = Difference(
            f"{wanted.kind} {wanted.name}", "missing", wanted.expression or f"({', '.join(wanted.columns)})"
        )
        return unexplained([missing], stands.name, wanted.name)
    best = min(compared, key=len)
    return [Difference(f"{one.part} of {wanted.kind} {wanted.name}", one.existing, one.wanted) for one in best]


def _alike(migration: Migration, stands: Table, wanted: Constraint) -> list[Constraint]:
    """Return what may be an unnamed constraint: of the same kind, on the same columns."""
    existing = [*stands.constraints.values(), *migration.database.safety.checks_of_columns(stands)]
    same_kind = (one for one in existing if one.kind == wanted.kind)
    folded = [*map(str.casefold, wanted.columns)]
    return [one for one in same_kind if [*map(str.casefold, one.columns)] == folded or wanted.expression]


def _resolved(wanted: Constraint, stands: Constraint) -> Constraint:
    """Give a referent without a schema that of the one that stands: the server found it by its search path."""
    if wanted.referent is None or wanted.referent.schema or stands.referent is None:
        return wanted
    return replace(wanted, referent=Name(wanted.referent.name, stands.referent.schema))


def drop_table_if_exists(table_name: str, *, schema: str | None = None, archive: bool = False) -> bool:
    """The table does not exist, nor its indexes and constraints.

    Steps: looks for the table and for what depends on it; forgets its backfills; drops it in one brief statement. With
    ``archive``: notes its foreign keys and drops them, so that they stop nobody; renames the table and what has a name
    beside it.

    Args:
        table_name: The table.
        schema: The schema of the table.
        archive: Keep the table with all its rows, so that ``restore_table`` brings it back.

    Returns:
        True if it was dropped, False if it was not there.

    Raises:
        DependentObjects: A view, or a foreign key of another table, stands on it.
        LockNotAcquired: The table, or one that it refers to, was in use for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE on the table and on those that it refers to, briefly; SQLite the file, with
    ``archive`` and foreign keys for a rebuild.

    Running it again: nothing is left to do.

    Offline: ``DROP TABLE IF EXISTS``; ``archive=True`` is ``OnlineOnly``.

    Example:
        drop_table_if_exists("teams")
    """
    right = call("drop_table_if_exists", table_name, schema=schema)
    with running("drop_table_if_exists") as migration:
        check_names(migration, right, table_name=table_name, schema=schema)
        check_flags(right, archive=archive)
        name = Name(table_name, schema)
        stands = table_or_none(look(migration, name, to_create=True), name)
        refuse_archive_offline(migration, f"table {name}", archive)
        if stands is None and not migration.offline:
            if archive:
                finish_archive(migration, Name(table_name, Archives.of(migration.database).schema_of_new(schema)), None)
            return skipped(f"table {name}", "it is not there")
        explain = explained_dependents(migration, f"table {name}")
        if stands is not None:
            dependents = look_into(migration, name, lambda: migration.database.dependents.dependents(stands))
            refuse_dependents(f"table {name}", dependents)
            forget_backfills_of(migration, stands.name)
            if archive:
                return archive_table(migration, stands, explain)
        return execute(migration, migration.database.ddl.drop_table(name, stands), explain)
