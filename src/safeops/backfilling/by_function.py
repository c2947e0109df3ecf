"""The rows of a batch that a Python function fills: read under a lock, passed to the function, written in one UPDATE.

Wide rows are read, passed and written in several portions, for the memory. The first query of a batch returns a wide row
without its values: no value is read twice.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.backfilling.batch_size import BatchSize
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.progress import Meter
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.values import Function
from safeops.databases.base import Database

PORTION = 2_000_000
"""The bytes of the rows that are in memory at a time. There are up to fifteen copies: of the driver, as rows, and as SQL."""
NARROW = 250
"""The bytes that each row may have, however many rows a batch has."""


class ByFunction:
    """Fills the rows of a batch by a Python function.

    Args:
        database: The connection.
        spec: What the backfill does.
        size: The rows of the next batch.
        meter: Counts what is kept so far, for messages.
    """

    def __init__(self, database: Database, spec: BackfillSpec, size: BatchSize, meter: Meter) -> None:
        self.database, self.spec, self.size, self.meter = database, spec, size, meter
        self.port = Batches.of(database)
        self.width = len(spec.key)

    def update(self, function: Function, keys: str, scanned: int = 0) -> tuple[int, int]:
        """Update the rows of the batch; return how many were processed, and how many of them have no value.

        Args:
            function: It returns their values.
            keys: The condition that selects them, as SQL.
            scanned: How many rows it selects, with those that need nothing; 0 if that is unknown.
        """
        done = unfilled = 0
        with _collection_paused():
            # Of a portion, a trigger may have deleted every row while the one before it was written.
            for rows in filter(None, self._portions(function, keys)):
                done += len(rows)
                unfilled += self._fill(function, rows, keys if len(rows) == scanned else "")
        return done, unfilled

    def _fill(self, function: Function, rows: Sequence[Sequence[Any]], selected: str) -> int:
        """Pass rows to the function, and write what it returns; return how many of them have no value.

        Args:
            function: It returns their values.
            rows: The rows.
            selected: The condition that selects exactly these rows; empty if it may select others too.
        """
        width, read = self.width, self._read(function)
        # By columns: that is several times as fast as row by row.
        *values, _bytes = zip(*rows, strict=True)
        keys = [list(map(str, column)) for column in values[:width]]
        shown = keys[0] if width == 1 else list(zip(*keys, strict=True))
        new = function.results(_mappings(read, values[width : width + len(read)]), shown, self.meter.kept)
        self._check_columns(function, tuple(new), shown[0])
        try:
            self.port.write(self.spec.target(tuple(new), selected), [*keys, *new.values()])
        except (SQLAlchemyError, TypeError, ValueError, OverflowError) as error:
            if self._is_of_the_server(error):
                raise
            problem = f"returned values that cannot be written: {getattr(error, 'orig', None) or error}"
            raise function.refused(problem, function.span(shown), self.meter.kept) from error
        before = dict(zip(self._filled(function), values[width + len(read) :], strict=True))
        return len({place for name, old in before.items() for place in _both_null(old, new[name])})

    def _read(self, function: Function) -> Sequence[str]:
        return function.reads or tuple(self.spec.columns_of_table)

    def _filled(self, function: Function) -> Sequence[str]:
        return function.writes if self.spec.keeps_values and function.writes else ()

    # Reading ----------------------------------------------------------------------------------------------------

    def _portions(self, function: Function, keys: str) -> Iterator[Sequence[Sequence[Any]]]:
        """Read the rows of the batch, in the order of their keys, at most ``PORTION`` of them at a time."""
        columns, narrow = [*self._read(function), *self._filled(function)], max(2 * PORTION // self.size.rows, NARROW)
        where = f" AND {self.port.checked_row_by_row(f'({self.spec.where})')}" if self.spec.where else ""
        rows = self._lock_rows(f"{keys}{where}", columns, narrow)
        weights = [row[-1] for row in rows]
        wide = [weight for weight in weights if weight is not None]
        self._adapt(len(rows), wide)
        if not wide:
            if rows:
                yield rows
            return
        portion: list[Sequence[Any]] = []
        left = PORTION
        for row, weight in zip(rows, weights, strict=True):
            if portion and left < (weight or 0):
                yield self._completed(portion, columns)
                portion, left = [], PORTION
            portion.append(row)
            left -= weight or 0
        yield self._completed(portion, columns)

    def _adapt(self, rows: int, wide: Sequence[int]) -> None:
        """Make the next batch so small that it is one portion if many rows are wide, and else larger."""
        if len(wide) > rows // 10:
            self.size.limit(PORTION * len(wide) // (sum(wide) or 1))
        else:
            self.size.limit(None)

    def _completed(self, portion: Sequence[Sequence[Any]], columns: Sequence[str]) -> Sequence[Sequence[Any]]:
        """Return the rows of a portion with the values of the wide ones, which this transaction has locked."""
        wide = [self._key(row) for row in portion if row[-1] is not None]
        if not wide:
            return portion
        read = {self._key(row): row for row in self._lock_rows(self.port.among(self.spec.key, wide), columns)}
        # A trigger may have deleted some of them since.
        found = (row if row[-1] is None else read.get(self._key(row)) for row in portion)
        return [row for row in found if row is not None]

    def _key(self, row: Sequence[Any]) -> Bound:
        return tuple(map(str, row[: self.width]))

    def _lock_rows(self, condition: str, columns: Sequence[str], narrow: int | None = None) -> list[Any]:
        """Read and lock rows in the order of their keys: the keys as text, the columns, the bytes if they are wide.

        Args:
            condition: Which rows.
            columns: The columns.
            narrow: A row with more bytes has NULL for its columns, and its bytes after them; else None is there.
        """
        spec, quoted = self.spec, self.database.quoted
        weight = self._weight(tuple(columns)) if narrow is not None else None
        read: list[Any] = []
        for place, column in enumerate(spec.key):
            read.append(sa.literal_column(self.port.key_text(column)).label(f"safeops_{place}"))
        for place, name in enumerate(columns):
            value = quoted(name)
            if weight and name in self._weights:
                value = f"CASE WHEN {weight} <= {narrow} THEN {value} END"
            read.append(sa.literal_column(value, spec.types[name]).label(f"read_{place}"))
        bytes_ = f"CASE WHEN {weight} > {narrow} THEN {weight} END" if weight else "NULL"
        read.append(sa.literal_column(bytes_).label("safeops_bytes"))
        table = sa.table(spec.table.name, schema=spec.table.schema)
        query = (
            sa.select(*read)
            .select_from(table)
            .where(sa.literal_column(condition))
            .order_by(*(sa.literal_column(quoted(column.name)) for column in spec.key))
            .with_for_update(key_share=True)
        )
        if hint := self.port.hint(spec.index):
            query = query.with_hint(table, hint.strip())
        # Each batch has its own text: kept compiled, they would only fill the memory.
        return list(self.database.connection.execute(query, execution_options={"compiled_cache": None}).all())

    def _weight(self, columns: Sequence[str]) -> str | None:
        """Return SQL for the bytes of some columns of a row; None if they are always few."""
        weights = [f"COALESCE({self._weights[name]}, 0)" for name in dict.fromkeys(columns) if name in self._weights]
        return f"({' + '.join(weights)})" if weights else None

    @cached_property
    def _weights(self) -> Mapping[str, str]:
        weights = {name: self.port.weight(column) for name, column in self.spec.columns_of_table.items()}
        return {name: weight for name, weight in weights.items() if weight is not None}

    # Checking ---------------------------------------------------------------------------------------------------

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


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Pause the search for cyclic garbage: among the many objects of a batch it took half of the client's time."""
    if not gc.isenabled():
        yield
        return
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _mappings(names: Sequence[str], columns: Sequence[Sequence[Any]]) -> list[dict[str, Any]]:
    """Return a mapping for each row. Column by column takes a fifth of the time of row by row."""
    rows = [{names[0]: value} for value in columns[0]]
    for name, column in zip(names[1:], columns[1:], strict=True):
        for row, value in zip(rows, column, strict=True):
            row[name] = value
    return rows


def _both_null(before: Sequence[Any], after: Sequence[Any]) -> Iterator[int]:
    return (place for place, new in enumerate(after) if new is None and before[place] is None)
