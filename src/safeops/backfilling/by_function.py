"""The rows of a batch that a Python function fills: read, passed to the function, written in one UPDATE.

They are locked while the function runs, so what it has read cannot become outdated. Along the pages of a table nothing is
locked: the UPDATE finds only the versions of rows that were read, and a sweep fills those that have changed since.

Wide rows are read, passed and written in several portions, for the memory. The first query of a batch returns a wide row
without its values: no value is read twice.
"""

from __future__ import annotations

import gc
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import cached_property
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.backfilling.batch_size import BatchSize
from safeops.backfilling.pages import Heap
from safeops.backfilling.port import Batches, Bound
from safeops.backfilling.progress import Meter
from safeops.backfilling.spec import BackfillSpec
from safeops.backfilling.values import Function
from safeops.backfilling.walks import LISTED_AT_ONCE
from safeops.databases.base import Database
from safeops.databases.definitions import Column
from safeops.databases.server import OF_STATEMENT
from safeops.errors import BackfillFunctionFailed

PORTION = 2_000_000
"""The bytes of the rows that are in memory at a time. There are up to fifteen copies: of the driver, as rows, and as SQL."""
WITHOUT_ZONE = re.compile(r"(?:datetime|timestamp|time|date)\b(?!.*with time zone)", re.IGNORECASE)
NARROW = 250
"""The bytes that each row may have, however many rows a batch has."""


class ByFunction:
    """Fills the rows of a batch by a Python function.

    Args:
        database: The connection.
        spec: What the backfill does.
        size: The rows of the next batch.
        meter: Counts what is kept so far, for messages.
        heap: The table, if its rows are selected by their place in it; None: by their key.
    """

    def __init__(
        self, database: Database, spec: BackfillSpec, size: BatchSize, meter: Meter, heap: Heap | None = None
    ) -> None:
        self.database, self.spec, self.size, self.meter, self.heap = database, spec, size, meter, heap
        self.port = Batches.of(database)
        self.width = len(spec.key)

    def update(self, function: Function, selected: str, scanned: int = 0) -> tuple[int, int]:
        """Update the rows of the batch; return how many were processed, and how many of them have no value.

        Args:
            function: It returns their values.
            selected: The condition that selects them, as SQL.
            scanned: How many rows it selects, with those that need nothing; 0 if that is unknown.
        """
        with _collection_paused():
            return self._update(function, selected, scanned)

    def _update(self, function: Function, selected: str, scanned: int) -> tuple[int, int]:
        done = unfilled = 0
        # Of a portion, a trigger may have deleted every row while the one before it was written.
        for rows in filter(None, self._portions(function, selected)):
            written, without_value = self._fill(function, rows, selected if len(rows) == scanned else "")
            done += written
            unfilled += without_value
        return done, unfilled

    def _fill(self, function: Function, rows: Sequence[Sequence[Any]], selected: str) -> tuple[int, int]:
        """Pass rows to the function, and write what it returns; return how many rows, and how many have no value.

        Args:
            function: It returns their values.
            rows: The rows.
            selected: The condition that selects exactly these rows; empty if it may select others too.
        """
        heap, width, read = self.heap, self.width, self._read(function)
        # By columns: that is several times as fast as row by row.
        *values, _bytes = zip(*rows, strict=True)
        keys = [list(map(str, column)) for column in values[:width]]
        shown = keys[0] if width == 1 else list(zip(*keys, strict=True))
        new = function.results(_mappings(read, values[width : width + len(read)]), shown, self.meter.kept)
        self._check_columns(function, tuple(new), shown[0])
        self._check_zones(function, new, shown)
        found_by, places = (self.spec.key, keys) if heap is None else (heap.version, values[width + len(read) :])
        try:
            written = self.port.write(self.spec.target(tuple(new), found_by, selected), [*places, *new.values()])
        except (SQLAlchemyError, TypeError, ValueError, OverflowError) as error:
            if self._is_of_the_server(error):
                raise
            problem = f"returned values that cannot be written: {getattr(error, 'orig', None) or error}"
            raise function.refused(problem, function.span(shown), self.meter.kept) from error
        unfilled = self._unfilled(function, keys, new) if self.spec.keeps_values else 0
        return len(rows) if heap is None else written, unfilled

    def _read(self, function: Function) -> Sequence[str]:
        return function.reads or tuple(self.spec.columns_of_table)

    def _unfilled(self, function: Function, keys: Sequence[Sequence[str]], new: Mapping[str, Sequence[Any]]) -> int:
        """Count the written rows that have no value in a column for which the function returned none.

        The old values need not be read for this, and few functions return NULL.
        """
        names = [name for name in function.writes or () if type(None) in set(map(type, new[name]))]
        places = sorted({place for name in names for place, value in enumerate(new[name]) if value is None})
        bounds = [tuple(column[place] for column in keys) for place in places]
        empty = " OR ".join(f"{self.database.quoted(name)} IS NULL" for name in names)
        empty = f"({empty})" if self.heap is None else f"({empty}) AND {self.heap.written_now()}"
        table, unfilled = self.database.quoted_table(self.spec.table), 0
        for start in range(0, len(bounds), LISTED_AT_ONCE):
            listed = self.port.among(self.spec.key, bounds[start : start + LISTED_AT_ONCE])
            unfilled += int(self.database.scalar(f"SELECT count(*) FROM {table} WHERE {listed} AND {empty}"))
        return unfilled

    # Reading ----------------------------------------------------------------------------------------------------

    def _portions(self, function: Function, selected: str) -> Iterator[Sequence[Sequence[Any]]]:
        """Read the rows of the batch, at most ``PORTION`` of them at a time."""
        columns, narrow = self._read(function), max(2 * PORTION // self.size.rows, NARROW)
        where = f" AND {self.port.checked_row_by_row(f'({self.spec.where})')}" if self.spec.where else ""
        rows = self._rows(f"{selected}{where}", columns, narrow)
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
        """Return the rows of a portion with the values of the wide ones."""
        wide = [self._key(row) for row in portion if row[-1] is not None]
        if not wide:
            return portion
        read = {self._key(row): row for row in self._rows(self.port.among(self.spec.key, wide), columns)}
        # A trigger may have deleted some of them since, or if they are not locked another session.
        found = (row if row[-1] is None else read.get(self._key(row)) for row in portion)
        return [row for row in found if row is not None]

    def _key(self, row: Sequence[Any]) -> Bound:
        return tuple(map(str, row[: self.width]))

    def _rows(self, condition: str, columns: Sequence[str], narrow: int | None = None) -> Sequence[Sequence[Any]]:
        """Read rows: the keys as text, the columns, their version as text, the bytes if they are wide.

        By key they are locked, in its order; by place their versions are read instead.

        Args:
            condition: Which rows.
            columns: The columns.
            narrow: A row with more bytes has NULL for its columns, and its bytes after them; else None is there.
        """
        spec, quoted = self.spec, self.database.quoted
        weight = self._weight(tuple(columns)) if narrow is not None else None
        read = [*self._texts("safeops", spec.key)]
        for place, name in enumerate(columns):
            value = quoted(name)
            if weight and name in self._weights:
                value = f"CASE WHEN {weight} <= {narrow} THEN {value} END"
            type_ = spec.types[spec.columns_of_table[name].name]
            read.append(sa.literal_column(value, type_).label(f"read_{place}"))
        read += self._texts("version", self.heap.version if self.heap is not None else ())
        bytes_ = f"CASE WHEN {weight} > {narrow} THEN {weight} END" if weight else "NULL"
        read.append(sa.literal_column(bytes_).label("safeops_bytes"))
        table = sa.table(spec.table.name, schema=spec.table.schema)
        query = sa.select(*read).select_from(table).where(sa.literal_column(condition))
        if self.heap is None:
            order: list[Any] = [sa.literal_column(quoted(column.name)) for column in spec.key]
            query = query.order_by(*order).with_for_update(key_share=True)
        if hint := self.port.hint(spec.index) if self.heap is None else self.heap.hint:
            query = query.with_hint(table, hint.strip())
        try:
            return self.port.read_rows(query, spec.key, [spec.columns_of_table[name] for name in columns])
        except (ValueError, OverflowError) as error:
            raise BackfillFunctionFailed(
                f"The driver has no Python value for one of {', '.join(columns)} in {spec.table}: {error}.",
                why="Python has no date before the year 1 and no infinity, for example. Nothing of this batch was written.",
                remedy="Name in reads() only columns that the driver can read, or fill the rows by SQL.",
                state=self.meter.kept,
            ) from error

    def _texts(self, name: str, columns: Sequence[Column]) -> Iterator[sa.ColumnElement[Any]]:
        for place, column in enumerate(columns):
            yield sa.literal_column(self.port.key_text(column)).label(f"{name}_{place}")

    def _weight(self, columns: Sequence[str]) -> str | None:
        """Return SQL for the bytes of some columns of a row; None if they are always few."""
        weights = [f"COALESCE({self._weights[name]}, 0)" for name in dict.fromkeys(columns) if name in self._weights]
        return f"({' + '.join(weights)})" if weights else None

    @cached_property
    def _weights(self) -> Mapping[str, str]:
        # By the names as the function has them: on some servers their case does not count.
        columns = self.spec.columns_of_table
        names = {*columns, *((self.spec.function and self.spec.function.reads) or ())}
        weights = {name: self.port.weight(columns[name]) for name in names}
        return {name: weight for name, weight in weights.items() if weight is not None}

    # Checking ---------------------------------------------------------------------------------------------------

    def _check_columns(self, function: Function, columns: Sequence[str], first_key: object) -> None:
        unknown = next((column for column in columns if column not in self.spec.columns_of_table), None)
        if unknown is not None:
            problem = f"returned the column {unknown}, which {self.spec.table} does not have, for the row with the key"
            raise function.refused(f"{problem} {first_key}", "", self.meter.kept)
        written = {self.spec.columns_of_table[column].name for column in columns}
        moved = next((column.name for column in self.spec.key if column.name in written), None)
        if moved is not None:
            problem = f"returned the column {moved}, which is part of the key that the backfill scans along"
            raise function.refused(problem, "", self.meter.kept)

    def _check_zones(self, function: Function, new: Mapping[str, Sequence[Any]], keys: Sequence[object]) -> None:
        """Refuse a time with an offset for a column that cannot keep it.

        Some servers and drivers drop the offset, others convert the time to the zone of the session.
        """
        for name in filter(lambda name: WITHOUT_ZONE.match(self.spec.columns_of_table[name].type), new):
            place = next((p for p, value in enumerate(new[name]) if getattr(value, "tzinfo", None) is not None), None)
            if place is not None:
                raise BackfillFunctionFailed(
                    f"{function.name} returned a time with a time zone for {name}, which is"
                    f" {self.spec.columns_of_table[name].type} and keeps none, for the row with the key {keys[place]}.",
                    why="Drivers drop the offset or convert the time to the zone of the session. Nothing of this batch was"
                    " written.",
                    remedy="Convert it to the zone in which the application stores it, and drop the zone:",
                    code=f'return [{{"{name}": value.astimezone(datetime.timezone.utc).replace(tzinfo=None)}} ...]',
                    state=self.meter.kept,
                )

    def _is_of_the_server(self, error: Exception) -> bool:
        """Return whether an error is not about the values: a lock, a constraint, a trigger, a lost connection."""
        errors = self.database.errors
        return isinstance(error, DBAPIError) and (
            self.port.is_transient(error) or errors.is_violation(error) or errors.kind_of(error) not in OF_STATEMENT
        )


@contextmanager
def _collection_paused() -> Iterator[None]:
    """Pause the search for cyclic garbage: among the many objects of a batch it took half of the client's time.

    The objects must be freed within the block: at its end, a search among them took a sixth of what was left.
    """
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
