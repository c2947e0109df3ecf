"""Tells the steps of a plan instead of carrying them out."""

from __future__ import annotations

from collections.abc import Iterable

from sqlalchemy.exc import SQLAlchemyError

from safeops.databases.base import Database
from safeops.databases.steps import Step
from safeops.execution.migration import Terms
from safeops.naming import Name
from safeops.plan_mode import Forecast, foreseeing
from safeops.planned import Deed
from safeops.settings import assurance

MOST = 20
"""Steps of a plan that are told."""
LOST = ("dropped table", "dropped column", "dropped archive")
BRIEFLY = ", briefly"


def tell_plan(forecast: Forecast, database: Database, plan: Iterable[Step]) -> bool:
    """Tell the steps of a plan; return whether it had any.

    A plan may look again between two steps, and does not find what the one before would have done: it is told as far as it
    comes.
    """
    seen: set[tuple[str, str]] = set()
    try:
        for step in plan:
            if (step.sql, step.does) in seen or len(seen) == MOST:
                break
            seen.add((step.sql, step.does))
            if step.still is None or database.scalar(f"SELECT {step.still}"):
                forecast.deed(_deed(database, step))
    except Exception:
        if not seen:
            raise
    return bool(seen)


def outline(migration: Terms, table: Name, does: str, *, loses: bool = False) -> None:
    """Tell what a phase of a change comes to, also if the phase before it is still pending."""
    forecast = foreseeing()
    if forecast is None:
        return
    rows, size = measured(migration.database, table) if loses else (None, None)
    locks, blocks = migration.database.sizes.locking_of(Step(f"DROP TABLE {table}", does, (table,)))
    forecast.outline(Deed(does, locks, blocks, rows, size, loses=loses))


def _deed(database: Database, step: Step) -> Deed:
    locks, blocks = database.sizes.locking_of(step)
    assured = assurance() is not None
    if assured and not database.sizes.is_brief(step):
        blocks = f"{blocks.removesuffix(BRIEFLY)}, for as long as it takes"
    does = step.does if assured else f"{step.does}{database.sizes.doubt(step)}"
    loses = step.does.startswith(LOST)
    rows, size = (None, None)
    if step.locks and (loses or database.sizes.reads_rows(step)):
        rows, size = measured(database, step.locks[0])
    return Deed(does, locks, blocks, rows, size, loses=loses)


def measured(database: Database, table: Name) -> tuple[int | None, int | None]:
    """Return about how many rows and bytes a table has; nothing of one that is not there yet."""
    try:
        return database.sizes.rows_of(table), database.sizes.bytes_of(table)
    except SQLAlchemyError:
        return None, None
