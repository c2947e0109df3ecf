"""How many rows a statement reads, changes or locks, by its text, its values or a live database."""

from __future__ import annotations

from safeops.judging import operations as ops
from safeops.judging.bound import bound_text
from safeops.judging.operations import Operation
from safeops.judging.schema import Schema
from safeops.judging.sent import Sent

CHANGING = frozenset({ops.UPDATE, ops.DELETE, ops.MERGE})


def locks_rows(operation: Operation) -> bool:
    """Return whether an operation locks rows that exist."""
    traits = operation.traits
    replaces = operation.kind == ops.INSERT and traits >= {"from table", "on conflict update"}
    return operation.kind in CHANGING or replaces or (operation.kind == ops.SELECT and "for update" in traits)


def works_on_rows(operation: Operation) -> bool:
    """Return whether an operation takes longer the more rows it works on."""
    return locks_rows(operation) or (operation.kind == ops.INSERT and "from table" in operation.traits)


class Rows:
    """Counts the rows of the statements of a revision."""

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._read: list[int | None] = []

    def of(self, operation: Operation, sent: Sent) -> int | None:
        """Return how many rows an operation works on; None if that is not known."""
        if operation.kind == ops.SELECT:
            read = self._once(operation, sent)
            self._read.append(read)
            return read
        if not works_on_rows(operation):
            return 0
        if "in a loop" in operation.traits:
            return None
        rows = self._once(operation, sent)
        return rows if rows is None or not sent.synthetic else self._for_each_read(rows)

    def forget(self) -> None:
        self._read.clear()

    def _for_each_read(self, rows: int) -> int | None:
        """Return the rows of a statement that comes once for each row that was read before it."""
        read = [known for known in self._read if known is not None]
        return rows * max(read) if read and len(read) == len(self._read) else None

    def _once(self, operation: Operation, sent: Sent) -> int | None:
        if operation.rows is not None:
            return operation.rows * sent.times
        if "by key" in operation.traits:
            return sent.times
        if self.schema.facts is None:
            return None
        rows = self.schema.facts.rows_of(operation.sql or bound_text(sent))
        return None if rows is None else rows * sent.times
