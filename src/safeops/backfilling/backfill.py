"""The backfill of columns in batches, and what is known of it."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import closing
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from safeops.backfilling.functions import Function
from safeops.backfilling.offline import render
from safeops.backfilling.parallel import Connect
from safeops.backfilling.progress import Teller
from safeops.backfilling.range_walker import Pace, Throttle
from safeops.backfilling.running import BackfillReport, Run, Tell
from safeops.backfilling.state import LONGEST_NAME, State
from safeops.backfilling.work import Given, Work, targets_of, work_for
from safeops.errors import InvalidArgument
from safeops.execution.inspect import check_names, existing
from safeops.execution.migration import Migration, running
from safeops.execution.replication import heed_kept_table
from safeops.naming import Code, Name, call, fitting
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
        stands = existing(migration, table)
        work = work_for(migration, stands, table, values, where, key, label)
        state = State(migration.database, migration.settings.schema_for_state)
        heed_kept_table(migration, state.name, state.exists(), arguments.right("{...}"))
        with closing(Teller()) as teller:
            report = Run(migration, work, pace, progress or teller, executor, connect).execute()
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


class Arguments:
    """Checks the arguments of one call.

    Args:
        migration: The running migration.
        table_name: The table, for the call as it should be.
        schema: Its schema, likewise.
    """

    def __init__(self, migration: Migration, table_name: Any, schema: Any) -> None:
        self.migration, self.table_name, self.schema = migration, table_name, schema

    @property
    def sql(self) -> str:
        """Stands in a call for SQL that only its author knows: no column that another table has."""
        return f'sa.text("SQL over columns of {self.table_name}")'

    def right(self, values: str | None = None, **keywords: Any) -> str:
        """Write the call out as it should be."""
        values = values or f'{{"column to fill": {self.sql}}}'
        return call("backfill", self.table_name, Code(values), schema=self.schema, **keywords)

    def wrong(self, argument: str, value: Any, what: str, example: Any) -> InvalidArgument:
        code = self.right("{...}", **{argument: example})
        return InvalidArgument(f"{argument} is {value!r}, not {what}.", remedy="Write:", code=code)

    def check_table(self) -> None:
        check_names(self.migration, self.right(), table_name=self.table_name, schema=self.schema)

    def check_values(self, values: Any, where: Any) -> None:
        if isinstance(values, Mapping):
            self._check_mapping(values, where)
        elif not callable(values):
            raise InvalidArgument(
                f"The values of the backfill are {values!r}, neither a mapping of columns to what they become nor a"
                " function.",
                remedy="Write:",
                code=self.right(),
            )
        elif where is None and not targets_of(values):
            raise InvalidArgument(
                "The function does not say which columns it writes, so that nobody knows which rows need it.",
                remedy="Say so, or give where=:",
                code='@reads("name", writes=("name_ascii",))\ndef transliterated(rows):\n    ...',
            )

    def _check_mapping(self, values: Mapping[Any, Any], where: Any) -> None:
        if not values:
            raise InvalidArgument("The values of the backfill are empty.", remedy="Write:", code=self.right())
        for column, value in values.items():
            check_names(self.migration, self.right(), column_name=column)
            if value is None and where is None:
                raise InvalidArgument(
                    f"The value of {column} is None, and a row counts as filled once it is not NULL.",
                    remedy="To take values away, say from which rows:",
                    code=self.right(f'{{"{column}": None}}', where=True),
                )

    def check_where(self, where: Any) -> None:
        if isinstance(where, str):
            fits = bool(where.strip())
        else:
            fits = where is None or where is True or isinstance(where, sa.ClauseElement)
            fits = fits or hasattr(where, "__clause_element__")
        if not fits:
            example = Code(self.sql)
            raise self.wrong("where", where, "a condition, nor True for each row", example)

    def key(self, key: Any) -> tuple[str, ...] | None:
        """Return the columns of the key that is asked for."""
        if key is None:
            return None
        asked = (key,) if isinstance(key, str) else tuple(key) if isinstance(key, Iterable) else ()
        if not asked or not all(isinstance(one, str) and one for one in asked):
            raise self.wrong("key", key, "the columns of a unique key", ["id"])
        return asked

    def pace(self, target: Any, batch_size: Any, pause: Any, throttles: Any) -> Pace:
        """Return how fast the backfill may go."""
        seconds = self.migration.settings.target_seconds if target is None else target
        if not _is_number(seconds) or not 0 < seconds < float("inf"):
            raise self.wrong("target_seconds", target, "a number of seconds above 0", 0.1)
        if not _is_number(pause) or not 0 <= pause < float("inf"):
            raise self.wrong("pause", pause, "a number of seconds", 0.5)
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise self.wrong("batch_size", batch_size, "a number of rows above 0", 1000)
        asked = tuple(throttles) if isinstance(throttles, Iterable) else (None,)
        if not all(callable(one) for one in asked):
            raise self.wrong("throttles", throttles, "a list of callables", [Code("active_sessions(20)")])
        return Pace(float(seconds), batch_size, float(pause), asked)

    def check_workers(self, executor: Executor | None, connect: Any) -> None:
        if executor is not None and not callable(getattr(executor, "submit", None)):
            example = Code("ThreadPoolExecutor(2)")
            raise self.wrong("executor", executor, "a concurrent.futures.Executor", example)
        if connect is None or callable(connect):
            return
        try:
            sa.make_url(connect).get_dialect()
        except (SQLAlchemyError, ValueError, TypeError, AttributeError):
            # The error would show the text, which may have a password in it.
            raise InvalidArgument(
                "connect is neither the URL of a database nor a callable that returns an Engine.",
                remedy="Write:",
                code=self.right("{...}", connect="postgresql+psycopg://user:password@host/database"),
            ) from None

    def check_progress(self, progress: Callable[..., Any] | None) -> None:
        if progress is not None and not callable(progress):
            raise self.wrong("progress", progress, "a callable", Code("print"))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
