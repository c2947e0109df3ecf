"""The rows of a batch that a Python function fills: read under a lock, passed to the function, written in one UPDATE."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.backfilling.port import Batches
from safeops.backfilling.progress import Meter
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.values import Function
from safeops.databases.base import Database


class ByFunction:
    """Fills the rows of a batch by a Python function.

    Args:
        database: The connection.
        spec: What the backfill does.
        meter: Counts what is kept so far, for messages.
    """

    def __init__(self, database: Database, spec: BackfillSpec, meter: Meter) -> None:
        self.database, self.spec, self.meter = database, spec, meter
        self.port = Batches.of(database)

    def update(self, function: Function, keys: str) -> tuple[int, int]:
        """Update the rows of the batch; return how many were processed, and how many of them have no value."""
        spec = self.spec
        read = function.reads or tuple(spec.columns_of_table)
        filled = function.writes if spec.keeps_values and function.writes else ()
        rows = self._lock_rows(keys, [*read, *filled])
        if not rows:
            return 0, 0
        width = len(spec.key)
        row_keys = [tuple(map(str, row[:width])) for row in rows]
        shown = [key[0] if width == 1 else key for key in row_keys]
        results = function.results([dict(zip(read, row[width:], strict=False)) for row in rows], shown, self.meter.kept)
        columns = tuple(results[0])
        self._check_columns(function, columns, shown[0])
        values = [(key, [new[column] for column in columns]) for key, new in zip(row_keys, results, strict=True)]
        try:
            self.port.write(spec.target(columns), values)
        except (SQLAlchemyError, TypeError, ValueError) as error:
            if self._is_of_the_server(error):
                raise
            problem = f"returned values that cannot be written: {getattr(error, 'orig', None) or error}"
            raise function.refused(problem, function.span(shown), self.meter.kept) from error
        before = [dict(zip(filled, row[width + len(read) :], strict=True)) for row in rows]
        pairs = zip(before, results, strict=True)
        unfilled = [old for old, new in pairs if any(old[column] is None and new[column] is None for column in old)]
        return len(rows), len(unfilled)

    def _lock_rows(self, keys: str, columns: Sequence[str]) -> list[Any]:
        """Read and lock the rows of the batch in the order of their keys: the keys as text, then the columns."""
        spec, quoted = self.spec, self.database.quoted
        read: list[Any] = []
        for place, column in enumerate(spec.key):
            read.append(sa.literal_column(self.port.key_text(column)).label(f"safeops_{place}"))
        for place, name in enumerate(columns):
            read.append(sa.literal_column(quoted(name), spec.types[name]).label(f"read_{place}"))
        where = f" AND {self.port.checked_row_by_row(f'({spec.where})')}" if spec.where else ""
        table = sa.table(spec.table.name, schema=spec.table.schema)
        query = (
            sa.select(*read)
            .select_from(table)
            .where(sa.literal_column(f"{keys}{where}"))
            .order_by(*(sa.literal_column(quoted(column.name)) for column in spec.key))
            .with_for_update(key_share=True)
        )
        if hint := self.port.hint(spec.index):
            query = query.with_hint(table, hint.strip())
        # Each batch has its own text: kept compiled, they would only fill the memory.
        return list(self.database.connection.execute(query, execution_options={"compiled_cache": None}).all())

    def _check_columns(self, function: Function, columns: Sequence[str], first_key: object) -> None:
        unknown = next((column for column in columns if column not in self.spec.columns_of_table), None)
        if unknown is not None:
            problem = f"returned the column {unknown}, which {self.spec.table} does not have, for the row with the key"
            raise function.refused(f"{problem} {first_key}", "", self.meter.kept)
        moved = next((column.name for column in self.spec.key if column.name in columns), None)
        if moved is not None:
            problem = f"returned the column {moved}, which is part of the key that the backfill scans along"
            raise function.refused(problem, "", self.meter.kept)

    def _is_of_the_server(self, error: Exception) -> bool:
        """Return whether an error is not about the values: a lock, a constraint, a lost connection."""
        return isinstance(error, DBAPIError) and (
            self.port.is_transient(error) or self.database.errors.is_violation(error) or error.connection_invalidated
        )
