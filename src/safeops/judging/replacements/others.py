"""What to do instead of a statement without an equivalent call of safeops."""

from __future__ import annotations

from safeops.judging import operations
from safeops.judging.operations import Operation
from safeops.judging.replacements.raw import executed
from safeops.judging.replacements.replacement import NOTHING_TO_UNDO, About, Replacement, key_of, lines
from safeops.naming import Name, call

ADVICE = {
    operations.REWRITE_TABLE: "No database rewrites a table online, and safeops has no call for it: use a maintenance"
    ' window and assured("why they can wait"), or a tool that copies it online (pg_repack, pg_squeeze, gh-ost).',
    operations.CLUSTER: "CLUSTER copies the table under a lock. pg_repack orders the rows online.",
    operations.VACUUM: "VACUUM FULL copies the table under a lock. A plain VACUUM does not; pg_repack frees space"
    " online.",
    operations.LOCK_TABLE: "Leave it out: each helper takes the weakest lock that it needs, for milliseconds, with a lock"
    " timeout. To run one migration at a time, use migration_lock().",
    operations.TRUNCATE: "First deploy an application that does not need the rows. Then keep them with"
    " drop_table_if_exists(..., archive=True), or delete them in batches.",
    operations.REVOKE: "First deploy an application that does not need the privilege; revoke it in a later revision.",
    operations.SELECT: "Read without FOR UPDATE, or change the rows with backfill(), which locks one batch at a time.",
    operations.INSERT: "Insert only missing rows, with ON CONFLICT DO NOTHING, and change existing rows with backfill().",
    operations.MERGE: "Insert missing rows with INSERT ... SELECT, and change existing rows in batches with backfill().",
    operations.ADD_EXCLUSION: "PostgreSQL cannot do this online: it builds the index under a lock that blocks reads and"
    ' writes. If they can wait: with assured("why they can wait"): create_exclude_constraint_if_missing(...).',
    operations.ROW_LEVEL_SECURITY: "Create the policies first, then enable row-level security in the same transaction, in a"
    ' block: with assured("the policies exist").',
    operations.DROP_SCHEMA: "Drop its tables one by one with drop_table_if_exists(..., archive=True, schema=...): then they"
    " can be restored.",
    operations.OPAQUE: "Use calls of safeops, or measure it on a scratch database: safeops review --scratch-url URL.",
}


def _needed(operation: Operation, about: About) -> Replacement | None:
    """Return the advice for a statement that the server rejects because other objects depend on its target."""
    if operation.kind in (operations.DROP_COLUMN, operations.DROP_TABLE, operations.CHANGE_TYPE):
        return Replacement("", note="First drop the objects that depend on it, and create them again afterwards.")
    return None


def _committed_first(operation: Operation, about: About) -> Replacement | None:
    """Return the advice for work that is only unsafe because of an earlier lock."""
    if operation.kind in (operations.INSERT, operations.SELECT, operations.CREATE_TABLE, operations.OTHER):
        return Replacement(
            "",
            note="Replace the earlier statement that takes the lock with calls of safeops, which commit after each step.",
        )
    return None


BY_RULE = {"fails": _needed, "held-lock": _committed_first}
"""Advice that depends on the rule of a finding, not only on its operation."""


def advised(operation: Operation, about: About) -> Replacement | None:
    """Return the code or the advice for a kind of operation; None if there is neither."""
    make = _MADE.get(operation.kind)
    made = make(operation, about) if make is not None else None
    if made is None and operation.kind in ADVICE:
        return Replacement("", note=ADVICE[operation.kind])
    return made


def _validate(operation: Operation, about: About) -> Replacement | None:
    if operation.table is None or operation.name is None:
        return None
    code = call("validate_constraint", operation.name, operation.table.name, schema=operation.table.schema)
    return Replacement(code, f"{NOTHING_TO_UNDO}: the constraint remains valid", one_to_one=True)


def index_for_key(operation: Operation) -> Replacement | None:
    """Return the index that a new foreign key lacks."""
    if operation.table is None or not operation.columns:
        return None
    name, columns = operation.table, [*operation.columns]
    own = "_".join(["ix", name.name, *columns])
    return Replacement(
        call("create_index_if_missing", own, name.name, columns, schema=name.schema),
        call("drop_index_if_exists", own, name.name, schema=name.schema),
        note="create_foreign_key_if_missing(..., index=True) builds the index together with the key.",
    )


def _refresh(operation: Operation, about: About) -> Replacement | None:
    if operation.table is None:
        return None
    view = about.database.quoted_table(operation.table)
    code = executed(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {view}")
    note = "Readers are not blocked. CONCURRENTLY needs a unique index on columns of the view."
    return Replacement(code, f"{NOTHING_TO_UNDO}: the view has the same rows", note=note)


def _attach(operation: Operation, about: About) -> Replacement | None:
    note = "First prove the bounds with create_check_constraint_if_missing(): the bounds on the new partition, their"
    note += " negation on the default partition. Then attach it, and drop the checks."
    return Replacement("", note=note)


def renamed_value(about: About, type_: Name, old: str, new: str) -> Replacement:
    """Return the calls that add a value to an enum and write it to the rows that have the other one."""
    columns = [
        (table.name, column.name)
        for table in about.schema.tables.values()
        for column in table.columns.values()
        if column.type is not None and column.type.strip('"') in (type_.name, str(type_))
    ]
    fills = [
        call(
            "backfill",
            table.name,
            {column: new},
            where=f"{about.database.quoted(column)} = {about.database.literal(old)}",
            key=key_of(about, table),
            schema=table.schema,
        )
        for table, column in columns
    ]
    added = call("add_enum_value_if_missing", type_.name, new, after=old, schema=type_.schema)
    backwards = [code.replace(f'"{new}"', f'"{old}"').replace(f"'{old}'", f"'{new}'") for code in fills]
    return Replacement(
        lines(added, *fills),
        lines(*backwards) or f"{NOTHING_TO_UNDO}: the value {new!r} can stay",
        note=f"First deploy an application that knows both values. The type keeps {old!r}: no server can remove a value.",
    )


_MADE = {
    operations.VALIDATE_CONSTRAINT: _validate,
    operations.REFRESH_VIEW: _refresh,
    operations.ATTACH_PARTITION: _attach,
}
