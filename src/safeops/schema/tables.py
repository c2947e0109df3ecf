"""Tables: create and drop them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops
from sqlalchemy.exc import DBAPIError

from safeops import _sqlalchemy
from safeops.archive.archiving import abandon_archive, archive_table, finish_archive
from safeops.archive.port import Archives
from safeops.arguments import Keywords
from safeops.backfilling.status import forget_backfills_of
from safeops.databases.ddl import NOT_A_TABLE
from safeops.databases.definitions import Constraint, Difference, Table
from safeops.errors import DefinitionMismatch, InvalidArgument, UnknownTable
from safeops.execution.helper import BRIEF_LOCK, UNUSED, HelperCall, Said, helper, skipping
from safeops.execution.inspect import (
    Absent,
    check_names,
    find,
    inspect,
    keeping,
    known,
    look_into,
    named,
    settle_name,
    settle_names,
)
from safeops.execution.later_calls import unexplained
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration
from safeops.execution.replication import check_subscribers_of_table
from safeops.naming import Code, Name, call
from safeops.plan_mode import current_dry_run
from safeops.schema import foreign_keys, indexes
from safeops.schema.columns import column_differences, shown_column
from safeops.schema.prerequisites import prepare
from safeops.schema.refusals import (
    KEEP_OR_RAISE,
    check_schema,
    explained_dependents,
    keep_or_raise,
    real_differences,
    refuse_archive_offline,
    refuse_dependents,
)

SHOWN = 3
"""More columns than these are left out in a call that a message shows."""


def _shown(table_name: Any, columns: Sequence[Any]) -> Code:
    """Return the columns of a call for messages."""
    shown = [shown_column(table_name, one) for one in columns[:SHOWN] if isinstance(one, (str, sa.Column))]
    rest = ["..."] if len(shown) < len(columns) else []
    return Code(", ".join([*shown, *rest]) or shown_column(table_name, None))


@helper(
    Said("creates table {0}", "A new table is not in use yet.", noun="table"),
    "table {table}",
    example={"columns": lambda given: _shown(given["table_name"], given["columns"])},
    choices={"if_different": KEEP_OR_RAISE},
    keywords=Keywords(
        ("if_not_exists", "implicit_returning", "info", "listeners", "prefixes", "quote", "quote_schema"), sa.Table
    ),
)
def create_table_if_missing(
    migration: HelperCall,
    /,
    table_name: str,
    *columns: Any,
    schema: str | None = None,
    comment: str | None = None,
    if_different: str = "raise",
    **kw: Any,
) -> bool:
    """The table exists with these columns, constraints and indexes.

    Steps: looks for the table; creates missing named types, as ``op.create_table`` does, and the sequences of its defaults;
    creates the table with its indexes and comments, in one transaction on servers with transactional DDL.

    Args:
        table_name: The table.
        *columns: Columns, constraints and indexes, as in ``op.create_table``.
        schema: The schema of the table.
        comment: The comment of the table.
        if_different: "raise" or "keep": what to do if a table of that name differs. Additional columns do not count as a
            difference, nor do changes by later calls of the same revision.
        **kw: As in ``op.create_table``.

    Returns:
        True if anything was created, False if everything already existed as requested.

    Raises:
        DefinitionMismatch: A column, constraint or comment differs or is missing.
        UnknownType: A type does not exist, and the columns do not define how to create it or have ``create_type=False``.
        LockNotAcquired: A table that it refers to stayed locked for the whole retry budget.

    Locks: the new table; PostgreSQL SHARE ROW EXCLUSIVE on tables that it refers to, briefly.

    Running it again: creates indexes that an interrupted run did not reach.

    Offline: ``CREATE TABLE IF NOT EXISTS`` and ``CREATE INDEX IF NOT EXISTS``.

    Example:
        create_table_if_missing("teams", sa.Column("id", sa.BigInteger, primary_key=True), sa.Column("name", sa.Text))
    """
    table = _asked_table(migration, columns, comment, kw)
    inspected = inspect(migration, migration.name, to_create=True)
    if isinstance(inspected, Table):
        keep_or_raise(migration.about, _differences(migration, inspected, table), if_different)
        return _add_indexes(migration, table, inspected, if_different)
    _check_new(migration, table)
    for key in table.foreign_key_constraints:
        key.use_alter = key.use_alter and _is_made_later(migration, migration.name, key)
    typed = prepare(migration, list(table.columns), creates_enums=True)
    with keeping(typed):
        made = execute(migration, migration.database.ddl.create_table(table), partial(_explained, migration.name))
        _confirm(migration, migration.name)
    return made or bool(typed)


def _asked_table(migration: HelperCall, columns: Sequence[Any], comment: str | None, kw: dict[str, Any]) -> sa.Table:
    """Return the requested table, or raise InvalidArgument."""
    example = migration.right
    wrong = [column for column in columns if not isinstance(column, sa.sql.base.SchemaEventTarget)]
    if not columns or wrong:
        problem = f"These are not columns or constraints: {wrong!r}." if wrong else f"{migration.name} has no columns."
        raise InvalidArgument(problem, remedy="Write:", code=example)
    kw.pop("if_not_exists", None)
    name = migration.name
    operation = ops.CreateTableOp(name.name, columns, schema=name.schema, comment=comment, **kw)
    table = operation.to_table(migration.context)
    check_names(migration, example, **{f"column {column.name}": column.name for column in table.columns})
    settle_names(migration, table, example)
    return table


def _check_new(migration: HelperCall, table: sa.Table) -> None:
    """Raise what would stop the creation of the table, before anything is touched."""
    for column in table.columns:
        migration.database.safety.check_column_support(column)
    things: list[sa.Index | sa.Constraint] = [*table.indexes, *table.constraints]
    for thing in things:
        migration.database.safety.check_virtual(None, thing)
    check_schema(migration, migration.name, migration.right)
    if not migration.offline:
        check_subscribers_of_table(migration, migration.name, migration.right)


def _is_made_later(migration: Migration, name: Name, key: sa.ForeignKeyConstraint) -> bool:
    """Return whether the revision adds the key later; SQLAlchemy leaves a key with ``use_alter`` out of CREATE TABLE.

    Raises:
        UnknownTable: No later call adds it, and the table that it refers to does not exist.
    """
    referent, remote = foreign_keys.referent_of(key)
    if referent == name or not migration.context.dialect.supports_alter:
        return False
    same_name = migration.offline or current_dry_run() is not None or find(migration, referent) is not None
    missing = Difference(f"foreign key {key.name}", "missing", referent.name)
    if not unexplained([missing], name, str(key.name)):
        return True
    if same_name:
        return False
    raise UnknownTable(
        f"Foreign key {key.name} of {name} refers to table {referent}, which does not exist.",
        why="With use_alter=True a separate call adds the key after both tables, and this revision has no such call.",
        remedy="Remove the key from this table, create the other table, then add the key:",
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
    """Raise DefinitionMismatch if IF NOT EXISTS found another object of this name, and created nothing."""
    if migration.offline or current_dry_run() is not None or migration.database.ddl.confirms_tables:
        return
    if find(migration, name, to_create=True) is None:
        raise _taken(name)


def _explained(name: Name, error: DBAPIError) -> DefinitionMismatch | None:
    return _taken(name) if NOT_A_TABLE in str(error.orig) else None


def _taken(name: Name) -> DefinitionMismatch:
    return DefinitionMismatch(
        f"Could not create table {name}: the name is taken by a sequence or an index.",
        why="In a schema, the names of tables, indexes, sequences and views must differ.",
        remedy="Give the table another name, or drop or rename the other object.",
    )


def _add_indexes(migration: HelperCall, table: sa.Table, now: Table, if_different: str) -> bool:
    create = partial(indexes.create, migration, name=migration.name, seen=now, if_different=if_different)
    changed = [skipping(partial(create, index)) for index in sorted(table.indexes, key=lambda index: str(index.name))]
    return any(changed)


def _differences(migration: Migration, existing: Table, table: sa.Table) -> list[Difference]:
    if existing.kind.endswith("view"):
        return [Difference("kind", existing.kind, "table")]
    found = []
    for column in table.columns:
        same_name = existing.columns.get(column.name)
        if same_name is None:
            missing = Difference(f"column {column.name}", "missing", migration.database.type_text(column.type))
            found += unexplained([missing], existing.name, column.name)
            continue
        # The server itself gives the key's column a sequence or a counter.
        counted = (
            column is _sqlalchemy.counted_column(table) and column.server_default is None and column.identity is None
        )
        differs = column_differences(migration, existing, same_name, column, autoincrement=counted, ahead=True)
        found += [
            Difference(f"{difference.part} of column {column.name}", difference.existing, difference.wanted)
            for difference in differs
        ]
        for check in _checks_of(migration, column):
            found += _constraint_differences(migration, existing, check, str(column.name))
    for group in migration.database.equal_keys(table):
        keyed = isinstance(group[0], sa.PrimaryKeyConstraint)
        compared = [_constraint_differences(migration, existing, key) for key in (group[:1] if keyed else group)]
        found += compared[0] if all(compared) else []
    if table.comment is not None and migration.database.abilities.has_comments and table.comment != existing.comment:
        found.append(Difference("comment", existing.comment, table.comment))
    return found


def _checks_of(migration: Migration, column: sa.Column[Any]) -> list[sa.CheckConstraint]:
    """Return the checks that are declared on a column, which its table does not list."""
    written = [constraint for constraint in column.constraints if isinstance(constraint, sa.CheckConstraint)]
    if not written:
        return []
    checks = [sa.CheckConstraint(check.sqltext, name=check.name) for check in written]
    sa.Table(column.table.name, sa.MetaData(), *checks, schema=column.table.schema)
    return [settle_name(migration, check) for check in checks]


def _constraint_differences(
    migration: Migration, table: Table, constraint: sa.Constraint, *columns: str
) -> list[Difference]:
    """Compare a named constraint by its name, an unnamed one by its definition.

    Args:
        migration: The running migration.
        table: The existing table.
        constraint: The constraint that the table should have.
        *columns: The column that declares the constraint, which becomes part of a generated name.
    """
    database = migration.database
    if isinstance(constraint, sa.PrimaryKeyConstraint) and not constraint.columns:
        return []
    has_name = isinstance(constraint.name, str)
    keyed = isinstance(constraint, sa.PrimaryKeyConstraint)
    owner = Name("_".join([table.name.name, *columns]))
    wanted = database.wanted_constraint(constraint if has_name or keyed else named(constraint, owner))
    same_name = database.same_named(table, wanted)
    candidates = [same_name] if same_name else [] if has_name else _alike(migration, table, wanted)
    compared = [
        real_differences(migration, table, candidate, _resolved(wanted, candidate), constraint)
        for candidate in candidates
    ]
    unnamed_check = wanted.kind == "check" and not has_name
    if not compared or (unnamed_check and all(compared)):
        missing = Difference(
            f"{wanted.kind} {wanted.name}", "missing", wanted.expression or f"({', '.join(wanted.columns)})"
        )
        return unexplained([missing], table.name, wanted.name)
    best = min(compared, key=len)
    return [
        Difference(f"{difference.part} of {wanted.kind} {wanted.name}", difference.existing, difference.wanted)
        for difference in best
    ]


def _alike(migration: Migration, table: Table, wanted: Constraint) -> list[Constraint]:
    """Return the constraints that may be an unnamed one: of the same kind, on the same columns."""
    same_name = [*table.constraints.values(), *migration.database.safety.checks_of_columns(table)]
    same_kind = (one for one in same_name if one.kind == wanted.kind)
    folded = [*map(str.casefold, wanted.columns)]
    return [one for one in same_kind if [*map(str.casefold, one.columns)] == folded or wanted.expression]


def _resolved(wanted: Constraint, table: Constraint) -> Constraint:
    """Give a referent without a schema that of the existing one: the server found it by its search path."""
    if wanted.referent is None or wanted.referent.schema or table.referent is None:
        return wanted
    return replace(wanted, referent=Name(wanted.referent.name, table.referent.schema))


@helper(
    Said("drops table {0}", f"{BRIEF_LOCK}.", UNUSED, noun="table"),
    "table {table}",
    changes={"missing table"},
    loses=True,
)
def drop_table_if_exists(
    migration: HelperCall, table_name: str, *, schema: str | None = None, archive: bool = False
) -> bool:
    """The table and its indexes and constraints do not exist.

    Steps: looks for the table and for what depends on it; deletes the progress of its backfills; drops the table in one
    brief statement. With ``archive``: records its foreign keys and drops them, so they do not block changes of other tables;
    renames the table and its indexes and constraints.

    Args:
        table_name: The table.
        schema: The schema of the table.
        archive: Keep the table with all its rows for ``restore_table``.

    Returns:
        True if it was dropped, False if it did not exist.

    Raises:
        DependentObjects: A view, or a foreign key of another table, depends on it.
        LockNotAcquired: The table, or a table that it refers to, stayed locked for the whole retry budget.

    Locks: PostgreSQL ACCESS EXCLUSIVE on the table and on the tables that it refers to, briefly; SQLite the file; with
    ``archive`` and foreign keys, for a rebuild.

    Running it again: does nothing.

    Offline: ``DROP TABLE IF EXISTS``; ``archive=True`` is ``OnlineOnly``.

    Example:
        drop_table_if_exists("teams")
    """
    name, about, inspected = migration.name, migration.about, migration.inspect(to_create=True)
    refuse_archive_offline(migration, about, archive)
    explain = explained_dependents(migration, about)
    match inspected:
        case Absent():
            if archive:
                home = Archives.of(migration.database).schema_of_new(schema)
                finish_archive(migration, Name(table_name, home), None)
            return migration.skip("it does not exist")
        case Table() as table:
            dependents = look_into(migration, name, lambda: migration.database.dependents.dependents(table))
            refuse_dependents(about, dependents)
            forget_backfills_of(migration, table.name)
            if archive:
                return archive_table(migration, table, explain)
            abandon_archive(migration, table.name, None)
    return execute(migration, migration.database.ddl.drop_table(name, known(inspected)), explain)
