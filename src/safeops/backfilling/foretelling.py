"""Tells what a backfill would do: how many rows, and how long at the rate that was last measured."""

from __future__ import annotations

import json

from safeops.backfilling.parts import WHOLE, Part
from safeops.backfilling.state import State
from safeops.backfilling.work import Work
from safeops.databases.base import Database
from safeops.execution.migration import Terms
from safeops.naming import Name
from safeops.plan_mode import Forecast
from safeops.planned import BRIEFLY, ROWS, Deed, Lock, counted

LOCK = Lock("the rows of a batch", ROWS, BRIEFLY)


def tell_fill(forecast: Forecast, terms: Terms, work: Work) -> None:
    """Tell what is left of a backfill."""
    database, parts = terms.database, _known(terms)
    mine = [one for one in parts if one.name == work.name]
    what = f"backfill {work.name}"
    rows = _left(database, work, mine)
    if rows == 0:
        finished = any(one.part == WHOLE and one.is_finished for one in mine)
        forecast.skip(what, "it was finished before" if finished else "no row needs it")
        return
    _tell(forecast, parts, work, rows)


def _known(terms: Terms) -> list[Part]:
    state = State(terms.database, terms.settings.schema_for_state)
    return state.parts() if state.exists() else []


def _left(database: Database, work: Work, mine: list[Part]) -> int | None:
    if any(one.part == WHOLE and one.is_finished for one in mine) and not work.keeps:
        return 0
    rows = database.sizes.rows_meeting(work.table, work.needs, work.columns)
    # Of what does not tell by itself whether it is done, the progress does.
    done = 0 if work.keeps else sum(one.walked for one in mine)
    return None if rows is None else max(rows - done, 0)


def _tell(forecast: Forecast, parts: list[Part], work: Work, rows: int | None) -> None:
    table, name = work.table, work.name
    rate = _rate([one for one in parts if one.name == name]) or _rate(_of_table(parts, table))
    seconds = None if rows is None or rate is None else round(rows / rate, 1)
    does = f"filled {'an unknown number of rows' if rows is None else f'about {counted(rows)}'} of {table}"
    does += f", about {seconds:,.0f} s at the last measured rate" if seconds is not None else ""
    forecast.deed(Deed(does, LOCK, (table,), rows, None, seconds, loses=not work.keeps, tells_rows=True))


def _of_table(parts: list[Part], table: Name) -> list[Part]:
    works = {one.name: json.loads(one.work or "{}") for one in parts if one.part == WHOLE}
    names = {name for name, work in works.items() if work.get("table") == table.name}
    return [one for one in parts if one.name in names]


def _rate(parts: list[Part]) -> float | None:
    """Return the rows that were done in a second of the batches."""
    rows, seconds = sum(one.walked for one in parts), sum(one.seconds for one in parts)
    return rows / seconds if rows and seconds else None
