"""The calls of safeops to write instead of a statement, made of the revision's own names and arguments.

A statement of ``alembic.op`` brings Alembic's operation, with its arguments as the author gave them. Raw SQL is read as the
call that it equals first, so that each replacement is made in one place:

    columns.py      add, change, rename and drop a column
    generated.py    identities, computed columns, domains with rules
    tables.py       tables, indexes, constraints
    rows.py         UPDATE and DELETE
    others.py       what has no call of the same meaning: advice
    raw.py          reads SQL as a call; postgresql.py all of it, by PostgreSQL's own parser
    code.py         writes columns, defaults and expressions out as code
"""

from __future__ import annotations

from typing import Any

from alembic.operations import ops

from safeops.databases import Database
from safeops.judging import operations
from safeops.judging.operations import Operation
from safeops.judging.replacements import columns, others, rows, tables
from safeops.judging.replacements.raw import RawSql
from safeops.judging.replacements.replacement import NOTHING_TO_UNDO, About, Replacement
from safeops.judging.schema import Schema
from safeops.judging.sent import Sent

__all__ = ["NOTHING_TO_UNDO", "Replacement", "replacement_of"]

_WRITERS: dict[type[Any], Any] = {
    ops.AddColumnOp: columns.add_column,
    ops.AlterColumnOp: columns.alter_column,
    ops.DropColumnOp: columns.drop_column,
    ops.DropTableOp: tables.drop_table,
    ops.RenameTableOp: tables.rename_table,
    ops.CreateTableCommentOp: tables.comment,
    ops.DropTableCommentOp: tables.comment,
    ops.CreateIndexOp: tables.create_index,
    ops.DropIndexOp: tables.drop_index,
    ops.CreateForeignKeyOp: tables.create_foreign_key,
    ops.CreateCheckConstraintOp: tables.create_check,
    ops.CreateUniqueConstraintOp: tables.create_unique,
    ops.CreatePrimaryKeyOp: tables.create_primary_key,
    ops.DropConstraintOp: tables.drop_constraint,
}


def replacement_of(
    operation: Operation, sent: Sent, schema: Schema, database: Database, *, repeated: bool = False
) -> Replacement | None:
    """Return what to write instead of a statement, or of the part of it that an operation is.

    Of a call of ``alembic.op`` that sends several statements each gets the call for its own part; a new column with an
    index, a key or a check is one call, the same for each of them.

    Args:
        operation: What the statement does, with all its traits.
        sent: The statement.
        schema: What is known of the tables before it.
        database: The database, also offline.
        repeated: The same line sent it several times, as a loop over ranges of a key does.

    Returns:
        The calls; ``upgrade`` is empty if there is only advice. None if there is neither.
    """
    about = About(operation, schema, database)
    raw = RawSql.of(database)
    if operation.kind in (operations.UPDATE, operations.DELETE) and operation.table is not None:
        return _of_rows(about, sent, raw, repeated or sent.times > 1 or sent.synthetic)
    given = sent.call.operation if sent.call is not None else None
    if type(given) not in _WRITERS:
        given = raw.call_of(operation, sent)
    writer = _WRITERS.get(type(given))
    made: Replacement | None = writer(given, about) if writer is not None else None
    return made or raw.own(operation, sent, about) or others.advised(operation, about)


def _of_rows(about: About, sent: Sent, raw: RawSql, repeated: bool) -> Replacement | None:
    assert about.operation.table is not None
    found = raw.rows_of(about.operation, sent, repeated)
    if found is None:
        return Replacement("", note=rows.ADVICE)
    if about.operation.kind == operations.UPDATE:
        return rows.update(found, about.operation.table)
    return rows.delete(found, about.operation.table, about)
