"""The calls of safeops to write instead of a statement, made of the revision's own names and arguments.

A statement of ``alembic.op`` brings Alembic's operation, with the author's arguments. Raw SQL is first read as the
equivalent call, so each replacement is made in one place:

    columns.py      add, change, rename and drop a column
    generated.py    identities, computed columns, domains with rules
    tables.py       tables, indexes, constraints
    rows.py         UPDATE and DELETE
    others.py       what has no call of the same meaning: advice
    raw.py          reads SQL as a call; postgresql.py all of it, by PostgreSQL's own parser
    code.py         writes columns, defaults and expressions out as code
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from alembic.operations import ops

from safeops.databases import Database
from safeops.judging import operations
from safeops.judging.bound import bound_text
from safeops.judging.operations import Operation
from safeops.judging.replacements import columns, others, rows, tables
from safeops.judging.replacements.others import index_for_key
from safeops.judging.replacements.raw import RawSql, executed
from safeops.judging.replacements.replacement import NO_KEY, NOTHING_TO_UNDO, About, Replacement, lacks_key, lines
from safeops.judging.schema import Schema
from safeops.judging.sent import Sent

__all__ = ["NOTHING_TO_UNDO", "Replacement", "index_for_key", "replacement_of"]

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
    operation: Operation,
    sent: Sent,
    schema: Schema,
    database: Database,
    *,
    rule: str = "",
    repeated: bool = False,
) -> Replacement | None:
    """Return what to write instead of a statement: all of it, also if only one of its operations is unsafe.

    Of a call of ``alembic.op`` that sends several statements, each gets what takes the place of the whole call.

    Args:
        operation: What the statement does, with all its traits.
        sent: The statement.
        schema: What is known of the tables before it.
        database: The database, also offline.
        rule: The rule of the finding.
        repeated: The same line sent it several times, as a loop over ranges of a key does.

    Returns:
        The calls; ``upgrade`` is empty if there is only advice. None if there is neither.
    """
    about = About(operation, schema, database)
    if rule in others.BY_RULE and (special := others.BY_RULE[rule](operation, about)) is not None:
        return special
    raw = RawSql.of(database)
    given = sent.call.operation if sent.call is not None else None
    parts = [] if type(given) in _WRITERS else raw.parts(sent)
    if parts is None:
        return _of_all(about, sent, raw, repeated)
    if len(parts) > 1:
        return _joined([_of_part(part, about, operation) for part in parts])
    return _single(about, sent, raw, repeated or sent.times > 1 or sent.synthetic)


def _single(about: About, sent: Sent, raw: RawSql, repeated: bool = False) -> Replacement | None:
    operation = about.operation
    if operation.kind in (operations.UPDATE, operations.DELETE) and operation.table is not None:
        return _of_rows(about, sent, raw, repeated)
    given = sent.call.operation if sent.call is not None else None
    if type(given) not in _WRITERS:
        given = raw.call_of(operation, sent)
    writer = _WRITERS.get(type(given))
    made: Replacement | None = writer(given, about) if writer is not None else None
    return made or raw.own(operation, sent, about) or others.advised(operation, about)


def _of_all(about: About, sent: Sent, raw: RawSql, repeated: bool) -> Replacement | None:
    """Return what to write instead of a statement that cannot be taken apart: all that it does, or nothing."""
    found = about.judged(bound_text(sent))
    made = [_single(replace(about, operation=one), sent, raw, repeated) for one in found]
    if len(found) < 2:
        return _single(about, sent, raw, repeated or sent.times > 1 or sent.synthetic)
    whole = [one for one in made if one is not None and one.upgrade]
    if len(whole) == len(found):
        return _joined(whole)
    own = _single(about, sent, raw, repeated)
    return None if own is None else Replacement("", note=own.note)


def _of_part(sql: str, about: About, wanted: Operation) -> Replacement:
    """Return what to write instead of one operation of a statement that has several; itself, if there is nothing."""
    found = about.judged(sql)
    same = next((one for one in found if one == wanted), None)
    for operation in [same] if same is not None else found:
        made = _single(replace(about, operation=operation), Sent(sql), RawSql.of(about.database))
        if made is not None and made.upgrade:
            return made
    return Replacement(executed(sql))


def _joined(parts: list[Replacement]) -> Replacement:
    """Return several replacements as one: the calls in order, what undoes them in the opposite one."""
    undone = [part.downgrade for part in reversed(parts)]
    return Replacement(
        lines(*(part.upgrade for part in parts)),
        lines(*undone) if all(undone) else "",
        note=" ".join(dict.fromkeys(part.note for part in parts if part.note)),
    )


def _of_rows(about: About, sent: Sent, raw: RawSql, repeated: bool) -> Replacement | None:
    name, updates = about.operation.table, about.operation.kind == operations.UPDATE
    assert name is not None
    if updates and lacks_key(about, name):
        return Replacement("", note=NO_KEY.format(name))
    found = raw.rows_of(about, sent, repeated)
    if found is None:
        return Replacement("", note=rows.ADVICE)
    if updates:
        return rows.update(found, name, about)
    return rows.delete(raw.deleted_batch(name, rows.key_column(about, name), found.condition))
