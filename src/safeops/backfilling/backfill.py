"""The backfill of columns in batches, and what is known of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from contextlib import closing
from typing import Any

from safeops.backfilling.functions import Function
from safeops.backfilling.limits import Arguments
from safeops.backfilling.offline import render
from safeops.backfilling.parallel import Connect
from safeops.backfilling.progress import Teller
from safeops.backfilling.range_walker import Throttle
from safeops.backfilling.running import BackfillReport, Run, Tell
from safeops.backfilling.state import LONGEST_NAME, State
from safeops.backfilling.work import Given, Work, targets_of, work_for
from safeops.execution.inspect import look_at
from safeops.execution.migration import Migration, running
from safeops.execution.replication import heed_kept_table
from safeops.naming import Name, fitting
from safeops.planned import counted

log = logging.getLogger("safeops")


def backfill(
    table_name: str,
    values: Given,
    *,
    where: Any = None,
    key: str | Iterable[str] | None = None,
    name: str | None = None,
    batch_size: int | None = None,
    target_seconds: float | None = None,
    pause: float = 0.0,
    throttles: Iterable[Throttle] = (),
    executor: Executor | None = None,
    connect: Connect | None = None,
    progress: Tell | None = None,
    schema: str | None = None,
) -> BackfillReport:
    """The rows of the table have their new values, each written exactly once, while the application goes on.

    Steps: fixes the last key of now as the end; walks along the key, a range of rows a batch, each batch one UPDATE in one
    transaction with the note of how far it came; under the default ``where`` counts the rows without a value, and walks
    again over what came meanwhile, 3 times at most.

    Args:
        table_name: The table.
        values: A mapping from columns to what they become: a SQLAlchemy expression, ``sa.text("...")`` or a plain value.
            Or a function that gets a list of rows (mappings) and returns a list of mappings of new values, one a row; it
            says what it needs by ``@reads(...)``, else each row has all columns.
        where: Which rows need it. None: those where a target column is NULL; a value that stands is kept. ``True``: each
            row once. A condition (an expression, or SQL as text): each row that meets it when its batch comes, once.
        key: The columns of a unique key that is NOT NULL, to walk along; None is the primary key. Values of the key must
            not change while a backfill with ``where=True`` runs.
        name: What the progress is kept under; None makes it from the revision, the table and the columns.
        batch_size: Rows of a batch; None adapts it to ``target_seconds``.
        target_seconds: Seconds that a batch should take, and that a row of it is locked at most; None is the setting, 0.1.
        pause: Seconds between two batches.
        throttles: Callables that get a ``BackfillProgress`` before each batch and return None, or why to wait; in each
            worker. ``replica_lag``, ``active_sessions``, ``time_window``, ``rows_per_second`` and ``pause_file`` are there.
        executor: A ``concurrent.futures.Executor``: ranges of the keys are then done in parallel by its workers, on threads,
            processes or other machines. None does them here.
        connect: How a worker connects: a URL, or a callable that travels to it and returns an Engine. None is the engine
            of the migration on threads, and its URL elsewhere.
        progress: Called with a ``BackfillProgress`` after each batch, with workers now and then. None writes a log line
            every 10 s, and draws a bar on a terminal where ``tqdm`` is installed.
        schema: The schema of the table.

    Returns:
        What this call did; see ``BackfillReport``.

    Raises:
        UnsafeOperation: There is no key to walk along; the message names those that there are.
        UnknownTable, UnknownColumn, InvalidArgument: Something is wrong with the arguments; nothing was touched.
        BackfillIncomplete: Rows are left without a value: it came out NULL, or the application goes on writing them so.
        BackfillConflict: The name stands for other work.
        BackfillStopped: A signal, a throttle or a lost connection ended it; its progress is kept.
        BackfillFunctionFailed: The function raised, or returned what cannot be written.
        ViolatingRows: The new values break a constraint.
        LockNotAcquired: Others held the rows of a batch for the whole retry budget.

    Locks: the rows of a batch, for about ``target_seconds``. A batch waits for a row of others no longer than twice
    that, and then becomes smaller. PostgreSQL: a batch does not wait for its flush to the disk, as its note would
    be lost together with it (the setting ``flush_each_batch``). SQLite: the file, for a batch.

    Running it again: goes on after the last batch that was committed; a finished one is done. A second runner waits for the
    first, and takes over some seconds after that one has died.

    Offline: an expression renders one UPDATE that does nothing the second time; a function is ``OnlineOnly``.

    Example:
        backfill("users", {"email_lower": sa.func.lower(sa.column("email"))}, throttles=[active_sessions(20)])
    """
    with running("backfill") as migration:
        arguments = Arguments(migration, table_name, schema)
        arguments.check_table()
        arguments.check_values(values, where)
        arguments.check_where(where)
        arguments.check_workers(executor, connect)
        arguments.check_progress(progress)
        key, pace = arguments.key(key), arguments.pace(target_seconds, batch_size, pause, throttles)
        table = Name(table_name, schema)
        label = label_for(migration, table, arguments, name)
        if migration.offline:
            render(migration, table, values, where, label(targets_of(values), None))
            return BackfillReport(0, 0, 0.0, False, 0)
        stands = look_at(migration, table)
        if stands is None:
            raise RuntimeError("a table was neither found nor missed: this is a defect of safeops")
        work = work_for(migration, stands, table, values, where, key, label)
        state = State(migration.database, migration.settings.schema_for_state)
        heed_kept_table(migration, state.name, state.exists(), arguments.right("{...}"))
        with closing(Teller()) as teller:
            report = Run(migration, work, pace, progress or teller, executor, connect).carry_out()
        return reported(migration, work, report)


def reported(migration: Migration, work: Work, report: BackfillReport) -> BackfillReport:
    """Report a backfill that has ended, in the log and for the errors of later calls."""
    log.info("backfill %s: %d rows in %d batches (%.1f s)", work.name, report.rows, report.batches, report.seconds)
    if report.rows:
        migration.done.append(f"filled {counted(report.rows)} of {work.table}")
    return report


def label_for(migration: Migration, table: Name, arguments: Arguments, name: str | None) -> Callable[..., str]:
    """Return what names the work, from what it fills."""
    if name is not None:
        if not isinstance(name, str) or not name.strip() or len(name.encode()) > LONGEST_NAME:
            raise arguments.wrong("name", name, f"a text of 1 to {LONGEST_NAME} bytes", "users_email_lower")
        return lambda *_: name

    def made(columns: tuple[str, ...], function: Function | None) -> str:
        filled = ",".join(columns) or (function.name if function else "")
        return fitting("/".join(filter(None, (migration.revision, str(table), filled))), max_bytes=LONGEST_NAME)

    return made
