"""A batch by a Python function: the rows are read and locked, the function is asked, and its values are written at once."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.backfilling.functions import Function
from safeops.backfilling.port import Batches
from safeops.backfilling.work import Work
from safeops.databases.base import Database


def transform(database: Database, work: Work, function: Function, in_range: str, state: str) -> tuple[int, int]:
    """Write the new values of a batch; return how many rows it had, and how many of them are left without a value.

    Args:
        database: In the transaction of the batch.
        work: What is done.
        function: Gives the values.
        in_range: The condition of the keys of the batch.
        state: What stands, for messages.
    """
    stands = work.stands or {}
    read = function.reads or tuple(stands)
    kept = function.writes if work.keeps and function.writes else ()
    rows = _rows(database, work, in_range, [*read, *kept])
    if not rows:
        return 0, 0
    width = len(work.key)
    keys = [tuple(map(str, row[:width])) for row in rows]
    shown = [key[0] if width == 1 else key for key in keys]
    given = [dict(zip(read, row[width:], strict=False)) for row in rows]
    results = function.results(given, shown, state)
    columns = tuple(results[0])
    unknown = next((one for one in columns if one not in stands), None)
    if unknown is not None:
        problem = (
            f"returned the column {unknown}, which {work.table} does not have, for the row with the key {shown[0]}"
        )
        raise function.refused(problem, "", state)
    moved = next((one.name for one in work.key if one.name in columns), None)
    if moved is not None:
        raise function.refused(f"returned the column {moved}, which is of the key that the walk goes along", "", state)
    values = [(key, [new[one] for one in columns]) for key, new in zip(keys, results, strict=True)]
    try:
        Batches.of(database).write(work.target(columns), values)
    except (SQLAlchemyError, TypeError, ValueError) as error:
        if isinstance(error, DBAPIError) and (
            Batches.of(database).is_transient(error)
            or database.errors.is_violation(error)
            or error.connection_invalidated
        ):
            raise
        problem = f"returned values that cannot be written: {getattr(error, 'orig', None) or error}"
        raise function.refused(problem, function.span(shown), state) from error
    before = [dict(zip(kept, row[width + len(read) :], strict=True)) for row in rows]
    pairs = zip(before, results, strict=True)
    left = [old for old, new in pairs if any(old[one] is None and new[one] is None for one in old)]
    return len(rows), len(left)


def _rows(database: Database, work: Work, in_range: str, columns: Sequence[str]) -> list[Any]:
    """Read and lock the rows of a batch in the order of their keys: the keys as text, then the columns."""
    types = work.types or {}
    keys = map(Batches.of(database).key_text, work.key)
    texts: list[Any] = [sa.literal_column(one).label(f"safeops_{i}") for i, one in enumerate(keys)]
    labels = [(database.quoted(one), types[one]) for one in columns]
    given = [sa.literal_column(name, type_).label(f"read_{i}") for i, (name, type_) in enumerate(labels)]
    needs = f" AND {Batches.of(database).checked_row_by_row(f'({work.needs})')}" if work.needs else ""
    source = sa.table(work.table.name, schema=work.table.schema)
    query = (
        sa.select(*texts, *given)
        .select_from(source)
        .where(sa.literal_column(f"{in_range}{needs}"))
        .order_by(*(sa.literal_column(database.quoted(one.name)) for one in work.key))
        .with_for_update(key_share=True)
    )
    if Batches.of(database).hint(work.index):
        query = query.with_hint(source, Batches.of(database).hint(work.index).strip())
    # Each batch has its own text: kept compiled, they would only fill the memory.
    return list(database.connection.execute(query, execution_options={"compiled_cache": None}).all())
