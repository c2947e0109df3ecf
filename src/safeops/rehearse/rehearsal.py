"""Rehearses the pending revisions on a copy: on a tenth of the rows first, then on all of them."""

from __future__ import annotations

import logging
import uuid
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.errors import NotReady, RevisionFailed
from safeops.planned import summary
from safeops.rehearse.copying import INTO, ROWS, Copy, check_into, open_copy
from safeops.rehearse.measuring import Run, measured_run
from safeops.rehearse.production import production_of
from safeops.rehearse.rehearsing import Asked, Rehearsing
from safeops.rehearse.result import Rehearsal
from safeops.rehearse.running import pending_on
from safeops.rehearse.stage import AUTO, NONE
from safeops.rehearse.traffic import TrafficPlan, plan_from_file, plan_from_server
from safeops.review.copies import Copies
from safeops.runner.environment import explaining_errors
from safeops.runner.logs import ALEMBIC, SAFEOPS, quiet_logs
from safeops.runner.readiness import steps_to
from safeops.runner.revision_run import ending_on_signals
from safeops.runner.revisions import scripts_of
from safeops.runner.temporary_database import PREFIX, scratch_url_of

log = logging.getLogger("safeops.rehearse")

TENTH = 10
TRAFFIC = "--traffic"
WITHOUT_SIZE = "Times are not projected to production: its numbers of rows are not known. Name it by --like."
AS_IT_IS = "Times are not projected: the copy has the rows that it has."


def rehearse(
    config: Config,
    revision: str = "head",
    *,
    into: str | None = None,
    backup: str | Path | None = None,
    rows: int | None = None,
    as_is: bool = False,
    like: str | None = None,
    traffic: str = "auto",
    writers: int = 2,
    max_wait: float = 0.5,
    max_seconds: float = 600.0,
    project: bool = True,
) -> Rehearsal:
    """Run the pending revisions on a copy under traffic, and show what they would do to production.

    Steps: runs them on a tenth of the rows, which finds failures early and gives the slope of the times; makes the copy;
    starts the traffic; runs the revisions, and observes each statement, its locks and who waits for them; compares each
    write that the traffic was acknowledged with the tables; runs the downgrades under traffic, compares schema and rows with
    those from before, and upgrades again; projects the times to the rows of production; judges the budgets and the promises.

    Args:
        config: The configuration of the project.
        revision: The target, as for ``alembic upgrade``, or "START:TARGET": then the copy is filled at START.
        into: An empty database of the project's kind for the copy; by default a temporary one is made.
        backup: Restore this file of ``safeops backup`` into it.
        rows: Fill each table with so many rows.
        as_is: The database at ``into`` is a copy already, made by other means.
        like: The database of production, which is only read: its revision, and the statistics of its tables.
        traffic: "auto", "none", a file with the statements of the application, or the URL of a PostgreSQL database whose
            extension ``pg_stat_statements`` has counted them.
        writers: The clients that write each table.
        max_wait: The longest that a statement of the application may take, in seconds.
        max_seconds: The longest that the revisions may take, in seconds.
        project: Run them on a tenth of the rows too, to project the times to production.

    Returns:
        What was measured, and the verdict. Its ``exit_status`` is 1 if a budget or a promise was missed, 2 if that could
        not be judged.

    Raises:
        NotReady: The database at ``into`` is not empty, or the rehearsal was stopped.
        RevisionFailed: A revision failed on the copy.
        SafeOpsError: A database cannot be reached.

    Example:
        rehearsed = rehearse(Config("alembic.ini"), into="postgresql+psycopg://me@localhost/copy", rows=1_000_000)
        raise SystemExit(rehearsed.exit_status)
    """
    begin, _, target = revision.rpartition(":")
    # While there is a copy, no engine reaches another database.
    asked = Asked(target, _plan_of(traffic), writers, max_wait, max_seconds)
    place: dict[str, Any] = {"like": like, "revision": target, "start": begin or None}
    source: dict[str, Any] = {"backup": None if backup is None else Path(backup), "as_is": as_is}
    filled = backup is None and not as_is
    with ending_on_signals():
        # Neither a wrong name nor a database that must not be used may cost the time of a copy.
        steps_to(scripts_of(config), target, ())
        place["known"] = known = production_of(config, like, target, begin or None, with_shapes=filled)
        if into is not None:
            check_into(into, known, as_is=as_is)
        small = _small_run(config, asked, into, rows, place) if project and filled else None
        log.info("making the copy")
        with open_copy(config, into, rows=rows, **source, **place) as copy, explained(copy):
            production = {name: shape.rows for name, shape in copy.production.items()}
            remarks = [*copy.remarks, *([] if production else [WITHOUT_SIZE if filled else AS_IT_IS])]
            log.info("rehearsing %s", ", ".join(one.revision for one in pending_on(copy.config, target)) or "nothing")
            return Rehearsing(copy, asked, small, production, remarks).run()


def _plan_of(traffic: str) -> str | TrafficPlan:
    if traffic in (AUTO, NONE):
        return traffic
    if "://" not in traffic:
        return plan_from_file(Path(traffic))
    address = scratch_url_of(traffic, TRAFFIC)
    with explaining_errors(TRAFFIC):
        return plan_from_server(address)


# A tenth of the rows --------------------------------------------------------------------------------------------


def _small_run(
    config: Config, asked: Asked, into: str | None, rows: int | None, place: Mapping[str, Any]
) -> Run | None:
    """Run the revisions on a tenth of the rows; None if there is no place for that copy."""
    few = max((ROWS if rows is None else rows) // TENTH, 1)
    with _place_beside(into) as (url, is_possible):
        if not is_possible:
            return None
        log.info("running the revisions on a tenth of the rows")
        with (
            quiet_logs(ALEMBIC, SAFEOPS),
            open_copy(config, url, rows=few, **place) as copy,
            explained(copy, kept=False),
        ):
            return measured_run(copy.config, copy.engine, asked.revision, copy.rows)


@contextmanager
def _place_beside(into: str | None) -> Iterator[tuple[str | None, bool]]:
    """Provide the URL of an empty database next to the given one, and whether that is possible; drop it after the block."""
    if into is None:
        yield None, True
        return
    url = scratch_url_of(into, INTO)
    engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
    name = f"{PREFIX}{uuid.uuid4().hex[:12]}"
    try:
        made = run_on_connection(engine, lambda own: Copies.of(database_on(own)).create(name))
    except DBAPIError as error:
        log.info("the times are not projected, because no second database can be made: %s", summary(error))
        yield None, False
        return
    try:
        yield url.set(database=made).render_as_string(hide_password=False), True
    finally:
        run_on_connection(engine, lambda own: Copies.of(database_on(own)).drop(made))


# What went wrong ------------------------------------------------------------------------------------------------


@contextmanager
def explained(copy: Copy, *, kept: bool = True) -> Iterator[None]:
    """Raise what ends a rehearsal with what is left in the copy, and how to remove it.

    Args:
        copy: The copy.
        kept: Whether it is kept, if it is not a temporary one.
    """
    drop = copy.how_to_drop if kept else ""
    left = "The copy keeps what the revisions have done to it so far." if drop else "The copy was temporary."
    state = f"Production was not changed. {left}"
    try:
        yield
    except (KeyboardInterrupt, Exception) as error:
        if _is_interrupted(error):
            raise _stopped(drop, state) from error
        if isinstance(error, RevisionFailed):
            raise _on_the_copy(error, drop, state) from error
        raise


def _is_interrupted(error: BaseException | None) -> bool:
    """Return whether Ctrl-C caused an error: what cleans up after it may raise another one."""
    while error is not None and not isinstance(error, KeyboardInterrupt):
        error = error.__cause__ or error.__context__
    return error is not None


def _stopped(drop: str, state: str) -> NotReady:
    remedy = "Before another rehearsal, remove it:" if drop else "Run it again."
    return NotReady("The rehearsal was stopped by Ctrl-C or SIGTERM.", remedy=remedy, code=drop, state=state)


def _on_the_copy(error: RevisionFailed, drop: str, state: str) -> RevisionFailed:
    failed = RevisionFailed(f"On the copy: {error.problem}", why=error.why, code=drop, state=state)
    before = " Before that, remove the copy:" if drop else ""
    failed.remedy, failed.number = f"Correct the revision, and rehearse it again.{before}", error.number
    return failed
