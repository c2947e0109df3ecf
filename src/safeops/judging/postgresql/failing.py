"""Statements that PostgreSQL certainly rejects."""

from __future__ import annotations

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.postgresql.functions import built_in
from safeops.judging.postgresql.nodes import functions_in
from safeops.judging.server import Session

Version = tuple[int, ...]
_OUTSIDE = {
    op.CREATE_INDEX: "CREATE INDEX CONCURRENTLY",
    op.DROP_INDEX: "DROP INDEX CONCURRENTLY",
    op.REINDEX: "REINDEX CONCURRENTLY",
    op.DETACH_PARTITION: "DETACH PARTITION CONCURRENTLY",
}


def failure(operation: Operation, session: Session, version: Version, *, in_transaction: bool) -> str | None:
    """Return why the server certainly rejects an operation; None if it might accept it."""
    in_transaction = in_transaction or "in a transaction" in operation.traits
    if in_transaction and (what := _needs_no_transaction(operation)):
        return f"{what} cannot run inside a transaction. Put it into op.get_context().autocommit_block()."
    if in_transaction and "uses new value" in operation.traits:
        return "It uses an enum value that its own transaction has added. PostgreSQL requires a commit in between."
    if in_transaction and "in a block" in operation.traits:
        return "A DO block with COMMIT or ROLLBACK cannot run inside a transaction. Put it into an autocommit_block()."
    if "not unique" in operation.traits:
        return f"The key needs a unique, valid, non-partial index, and {operation.expression} is not one."
    return _on_partitioned(operation, version) or _too_new(operation, version) or _used(operation)


def _needs_no_transaction(operation: Operation) -> str | None:
    if "concurrently" in operation.traits:
        return _OUTSIDE.get(operation.kind)
    return "VACUUM" if operation.kind == op.VACUUM else None


def _on_partitioned(operation: Operation, version: Version) -> str | None:
    if operation.kind == op.DETACH_PARTITION and operation.traits >= {"concurrently", "default partition exists"}:
        return f"DETACH PARTITION CONCURRENTLY is not possible while {operation.table} has a default partition."
    if "partitioned" not in operation.traits:
        return None
    if operation.kind == op.CREATE_INDEX and "concurrently" in operation.traits:
        return f"{operation.table} is partitioned, and CREATE INDEX CONCURRENTLY is not possible on such a table."
    not_valid_key = operation.kind == op.ADD_FOREIGN_KEY and "not valid" in operation.traits
    if not_valid_key and version and version < (18,):
        return (
            f"{operation.table} is partitioned, and a foreign key of such a table can be NOT VALID only from"
            " PostgreSQL 18 on."
        )
    return None


def _too_new(operation: Operation, version: Version) -> str | None:
    """Return what a server of this version does not support yet."""
    if not version or operation.node is None:
        return None
    for name in functions_in(operation.node):
        since = built_in()[name.name].since if name.schema is None and name.name in built_in() else 0
        if since > version[0]:
            return f"The function {name}() exists from PostgreSQL {since} on, and this server is {version[0]}."
    needed = 18 if _is_of_18(operation) else _SINCE.get(operation.kind, 0)
    if needed > version[0]:
        return f"This syntax exists from PostgreSQL {needed} on, and this server is {version[0]}."
    return None


_SINCE = {op.MERGE: 15}


def _is_of_18(operation: Operation) -> bool:
    kind, traits = operation.kind, operation.traits
    return (
        (kind == op.ADD_COLUMN and "virtual" in traits)
        or kind == op.ADD_NOT_NULL_CONSTRAINT
        or (kind in (op.ADD_COLUMN, op.ADD_CHECK, op.ADD_FOREIGN_KEY) and "not enforced" in traits)
        or (kind == op.ALTER_TABLE and "constraint option" in traits and "deferrable" not in traits)
    )


def _used(operation: Operation) -> str | None:
    if "used by a view" not in operation.traits:
        return None
    if operation.kind == op.CHANGE_TYPE:
        return f"A view reads column {operation.column}, and PostgreSQL does not change the type of such a column."
    return f"A view reads {operation.table}, and PostgreSQL drops what a view reads only with CASCADE."
