"""What to write, or to do, instead of a statement that safeops has no call of the same meaning for."""

from __future__ import annotations

from safeops.judging import operations
from safeops.judging.operations import Operation
from safeops.judging.replacements.raw import executed
from safeops.judging.replacements.replacement import NOTHING_TO_UNDO, About, Replacement, key_of, lines
from safeops.naming import Name, call

ADVICE = {
    operations.REWRITE_TABLE: "No database rewrites a table online, and safeops has no call for it: open a maintenance"
    ' window, with assured("why they can wait"), or let a tool copy it beside the table (pg_repack, pg_squeeze, gh-ost).',
    operations.CLUSTER: "It copies the table under a lock: pg_repack orders the rows while all go on.",
    operations.VACUUM: "A plain VACUUM lets all go on; VACUUM FULL copies the table under a lock: pg_repack does not.",
    operations.LOCK_TABLE: "Take no lock by hand: each helper takes the weakest that it needs, for a moment, and waits"
    " for it with a timeout. To keep others out of a migration, use migration_lock().",
    operations.TRUNCATE: "Deploy an application that does without the rows, keep them by drop_table_if_exists(...,"
    " archive=True), or delete them in batches.",
    operations.REVOKE: "Deploy an application that does without the right first, then revoke it in a later revision.",
    operations.SELECT: "Read without FOR UPDATE, or lock in batches: backfill() locks the rows of a batch for a moment.",
    operations.INSERT: "Insert only what is missing, with ON CONFLICT DO NOTHING, and change the rows that exist by"
    " backfill().",
    operations.MERGE: "Insert what is missing by an INSERT ... SELECT, and change rows in batches by backfill().",
    operations.ADD_EXCLUSION: "PostgreSQL has no online way: it builds the index under a lock that blocks reads and writes."
    ' Where they can wait: with assured("why they can wait"): create_exclude_constraint_if_missing(...).',
    operations.ROW_LEVEL_SECURITY: "Without a policy other roles see no rows: create the policies first, and enable row"
    ' security in the same transaction, in a block: with assured("the policies are there").',
    operations.DROP_SCHEMA: "Drop its tables one by one, with drop_table_if_exists(..., archive=True) in their schema: then"
    " they can be restored.",
    operations.OPAQUE: "What it runs cannot be seen: write it as calls of safeops, or try it with --scratch-url.",
}


def _needed(operation: Operation, about: About) -> Replacement | None:
    """Return the advice for what the server refuses because others depend on it."""
    if operation.kind in (operations.DROP_COLUMN, operations.DROP_TABLE, operations.CHANGE_TYPE):
        return Replacement("", note="Drop what depends on it first, and create that again afterwards.")
    return None


def _committed_first(operation: Operation, about: About) -> Replacement | None:
    """Return the advice for work that is only unsafe for the lock that is held meanwhile."""
    if operation.kind in (operations.INSERT, operations.SELECT, operations.CREATE_TABLE, operations.OTHER):
        return Replacement("", note="Write what takes the lock as calls of safeops: they commit by themselves.")
    return None


BY_RULE = {"fails": _needed, "held-lock": _committed_first}
"""What depends on the rule of a finding, and not on its operation alone."""


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
    return Replacement(code, f"{NOTHING_TO_UNDO}: what was checked stays so", one_to_one=True)


def index_for_key(operation: Operation) -> Replacement | None:
    """Return the index that a new foreign key lacks."""
    if operation.table is None or not operation.columns:
        return None
    name, columns = operation.table, [*operation.columns]
    own = "_".join(["ix", name.name, *columns])
    return Replacement(
        call("create_index_if_missing", own, name.name, columns, schema=name.schema),
        call("drop_index_if_exists", own, name.name, schema=name.schema),
        note="create_foreign_key_if_missing(..., index=True) builds it together with the key.",
    )


def _refresh(operation: Operation, about: About) -> Replacement | None:
    if operation.table is None:
        return None
    view = about.database.quoted_table(operation.table)
    code = executed(f"REFRESH MATERIALIZED VIEW CONCURRENTLY {view}")
    note = "Readers go on; it needs a unique index on columns of the view."
    return Replacement(code, f"{NOTHING_TO_UNDO}: it holds the same rows", note=note)


def _attach(operation: Operation, about: About) -> Replacement | None:
    note = "Prove the bounds first: create_check_constraint_if_missing() with them on the partition, and with their opposite"
    note += " on the default partition; then attach it, and drop the checks."
    return Replacement("", note=note)


def renamed_value(operation: Operation, about: About, type_: Name, old: str, new: str) -> Replacement:
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
        lines(*backwards) or f"{NOTHING_TO_UNDO}: the value {new!r} stays, which harms nothing",
        note=f"The type keeps the value {old!r}, which no server takes back. Deploy an application that knows both first.",
    )


_MADE = {
    operations.VALIDATE_CONSTRAINT: _validate,
    operations.REFRESH_VIEW: _refresh,
    operations.ATTACH_PARTITION: _attach,
}
