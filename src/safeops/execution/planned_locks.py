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
from safeops.policy import assurance

MOST = 20
"""Steps of a plan that are told."""


def tell_plan(forecast: Forecast, database: Database, plan: Iterable[Step]) -> bool:
    """Tell the steps of a plan; return whether it had any.

    A plan may look again between two steps, and does not find what the one before would have done: it is told as far as it
    comes.
    """
    seen: set[tuple[object, ...]] = set()
    try:
        for step in plan:
            what = (step.sql, step.locks, step.then)
            if what in seen or len(seen) == MOST:
                break
            seen.add(what)
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
    forecast.outline(Deed(does, migration.database.sizes.strongest_lock, (table,), rows, size, loses=loses))


def _deed(database: Database, step: Step) -> Deed:
    assured = assurance() is not None
    lock, does = database.sizes.lock_of(step), step.does if assured else f"{step.does}{step.doubt}"
    rewrites = assured and step.may_rewrite
    rows, size = measured(database, step.locks[0]) if step.locks and (step.loses or step.reads_rows) else (None, None)
    return Deed(
        does,
        lock.for_long() if rewrites else lock,
        (*step.locks, *database.sizes.partitions_locked(step)),
        rows,
        size,
        loses=step.loses,
        rewrites=rewrites,
        effect=step.effect,
    )


def measured(database: Database, table: Name) -> tuple[int | None, int | None]:
    """Return about how many rows and bytes a table has; nothing of one that is not there yet."""
    try:
        return database.sizes.rows_of(table), database.sizes.bytes_of(table)
    except SQLAlchemyError:
        return None, None
