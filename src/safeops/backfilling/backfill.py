"""The backfill of columns in batches, and under ``--sql`` as one guarded UPDATE."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import Executor
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa

from safeops.backfilling.batch import Limits
from safeops.backfilling.parallel import Connect
from safeops.backfilling.port import Batches
from safeops.backfilling.progress import Reporter, Throttle
from safeops.backfilling.replicas import url_of
from safeops.backfilling.run import BackfillReport, BackfillRun, OnProgress
from safeops.backfilling.spec import BackfillSpec, Values, condition_of, spec_for, targets_of
from safeops.backfilling.state import COUNTERS, LONGEST_NAME, State
from safeops.backfilling.values import RANGE, Expressions, Function
from safeops.errors import InvalidArgument
from safeops.execution.helper import Said, composite
from safeops.execution.inspect import check_names, existing
from safeops.execution.migration import Migration, running
from safeops.execution.replication import check_subscribers_of_state
from safeops.naming import Code, Name, call, fitting, sql_over
from safeops.planned import counted
from safeops.policy import is_above_zero, is_number

log = logging.getLogger("safeops")


@composite(Said("fills {1} of {0}", "Short batches, each committed with its checkpoint; a stopped run continues."))
def backfill(
    table_name: str,
    values: Values,
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
    progress: OnProgress | None = None,
    schema: str | None = None,
) -> BackfillReport:
    """The rows of the table have their new values, each written exactly once, while the application keeps running.

    Steps: takes the current last key as the end; scans the key ranges, each batch one UPDATE in one transaction with its
    checkpoint; under the default ``where`` counts the rows without a value, and scans again for new rows, at most 3 times.
    PostgreSQL: under the default ``where``, without ``key`` and ``batch_size``, scans a large table page by page instead.

    Args:
        table_name: The table.
        values: A mapping from columns to new values: a SQLAlchemy expression, ``sa.text("...")`` or a plain value.
            Or a function that gets a list of rows (mappings) and returns a list of mappings of new values, one for each
            row. ``@reads(...)`` declares the columns that it needs; without it each row has all columns. It can get a row
            again, for example after a rollback.
        where: Which rows need it. None: those with NULL in a target column; existing values are kept. ``True``: each
            row once. A condition (an expression, or SQL as text): each row that meets it when its batch runs, once.
        key: The columns of a unique NOT NULL key to scan along; None is the primary key. Values of the key must not
            change while a backfill with ``where=True`` runs.
        name: The name of the progress; None derives it from the revision, the table and the columns.
        batch_size: Rows per batch; None adapts it to ``target_seconds``.
        target_seconds: Seconds that a batch should take, and for which it locks its rows; None is the setting, 0.1.
        pause: Seconds between two batches.
        throttles: Callables that get a ``BackfillProgress`` before each batch, in each worker, and return None or a reason
            to wait. Shipped: ``replica_lag``, ``active_sessions``, ``time_window``, ``rows_per_second``, ``pause_file``.
        executor: A ``concurrent.futures.Executor`` whose workers (threads, processes or other machines) process the key
            ranges in parallel. None processes them in this thread.
        connect: How a worker connects: a URL, or a picklable callable that returns an Engine. None is the engine of the
            migration on threads, and its URL elsewhere.
        progress: Called with a ``BackfillProgress`` after each batch; with workers, every 0.5 s. None shows the progress on
            a terminal (as a bar if ``rich`` is installed), and logs it every 10 s elsewhere.
        schema: The schema of the table.

    Returns:
        What this call did; see ``BackfillReport``.

    Raises:
        UnsafeOperation: There is no key to scan along; the message names the usable keys.
        UnknownTable, UnknownColumn, InvalidArgument: Something is wrong with the arguments; nothing was changed.
        BackfillIncomplete: Rows have no value: the expression is NULL, or the application keeps inserting NULL.
        BackfillConflict: The name belongs to another backfill.
        BackfillStopped: A signal, a throttle or a lost connection ended it; its progress is kept.
        BackfillFunctionFailed: The function raised, or returned what cannot be written.
        ViolatingRows: The new values break a constraint.
        LockNotAcquired: Other sessions locked the rows of a batch for the whole retry budget.

    Locks: the rows of a batch, for about ``target_seconds``. A batch waits for a locked row at most twice that time, then
    the next batch is smaller. PostgreSQL: a batch does not wait for its flush to disk, because a crash loses its
    checkpoint with it (the setting ``flush_each_batch``). SQLite: the file, during a batch.

    Running it again: continues after the last committed batch; a finished backfill is skipped. A second runner waits for
    the first, and takes over a few seconds after that one has died.

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
        key = arguments.key(key)
        limits = arguments.limits(target_seconds, batch_size, pause, throttles)
        table = Name(table_name, schema)
        filled = ",".join(targets_of(values)) or Function.of(values).name  # type: ignore[arg-type]
        name = progress_name(arguments, name, table, filled)
        if migration.offline:
            render(migration, table, values, where, name)
            return BackfillReport(0, 0, 0.0, False, 0)
        spec = spec_for(migration, existing(migration, table), table, values, where, key, name)
        check_subscribers_of_state(migration, State.of(migration), arguments.corrected("{...}"))
        return execute(migration, spec, limits, progress, executor, connect)


def execute(
    migration: Migration,
    spec: BackfillSpec,
    limits: Limits,
    progress: OnProgress | None = None,
    executor: Executor | None = None,
    connect: Connect | None = None,
) -> BackfillReport:
    """Run a backfill, and report it in the log and for the errors of later calls."""
    with Reporter.of("backfilling", spec.table, spec.columns, migration.database) as reporter:
        report = BackfillRun(migration, spec, limits, progress or reporter, executor, connect).execute()
    # Without a batch a skip was logged.
    if report.batches:
        log.info("finished backfill %s: %s", spec.name, report)
    if report.rows:
        migration.done.append(f"filled {counted(report.rows)} of {spec.table}")
    return report


def progress_name(arguments: Arguments, name: str | None, table: Name, filled: str) -> str:
    """Return the name of the progress: the author's, or one derived from the revision, the table and the columns."""
    if name is None:
        parts = filter(None, (arguments.migration.revision, str(table), filled))
        return fitting("/".join(parts), max_bytes=LONGEST_NAME)
    if not isinstance(name, str) or not name.strip() or len(name.encode()) > LONGEST_NAME:
        raise arguments.wrong("name", name, f"a text of 1 to {LONGEST_NAME} bytes", "users_email_lower")
    return name


# Offline --------------------------------------------------------------------------------------------------------

OFFLINE_WARNING = (
    "-- safeops: one UPDATE instead of batches. It locks each row that it changes until it ends, cannot be resumed after a"
    " stop, and misses rows that the application writes while it runs. Run the migration online to fill in batches."
)


def render(migration: Migration, name: Name, values: Any, where: Any, progress_name: str) -> None:
    """Render the backfill as one UPDATE that does nothing when it is run again."""
    if not isinstance(values, Mapping):
        raise migration.online_only(f"The backfill of {name}", "A Python function needs the rows.")
    expressions = Expressions(migration.database, name, {})
    condition = condition_of(expressions, tuple(values), where)
    own = {column: expressions.own(value) for column, value in values.items()}
    expressions.check_order(own)
    if where is None:
        # A row that has its value no longer meets the condition.
        render_updates(migration, expressions.update(expressions.kept(own), condition))
        return
    spec = json.dumps({"table": name.name, "schema": name.schema, "columns": list(values)})
    with rendered_settings(migration):
        _render_once(migration, progress_name, spec, expressions.update(own, condition))


@contextmanager
def rendered_settings(migration: Migration) -> Iterator[None]:
    """Render a warning, and around the block the session settings of batches."""
    before, after = Batches.of(migration.database).rendered_session()
    for sql in (OFFLINE_WARNING, *before):
        migration.render(sql)
    yield
    for sql in after:
        migration.render(sql)


def render_updates(migration: Migration, *updates: str) -> None:
    """Render UPDATEs of batches, each over all rows at once."""
    with rendered_settings(migration):
        for update in updates:
            migration.render(update.replace(RANGE, "1 = 1"))


def _render_once(migration: Migration, progress_name: str, spec: str, update: str) -> None:
    """Render an UPDATE that must not run twice, and in the same transaction the row that records that it has run."""
    database = migration.database
    state = State.of(migration)
    columns = state.table.c
    recorded = f"SELECT 1 FROM {database.quoted_table(state.name)} WHERE name = {database.literal(progress_name)}"
    now: sa.ColumnElement[Any] = sa.literal_column(database.now)
    row: dict[str, sa.ColumnElement[Any]] = {
        "name": sa.literal(progress_name, columns.name.type),
        "part": sa.literal(0),
        "status": sa.literal("finished", columns.status.type),
        "fingerprint": sa.literal("", columns.fingerprint.type),
        "work": sa.literal(spec, columns.work.type),
        "started_at": now,
        "updated_at": now,
        **{counter: sa.literal(0) for counter in ("sweep", *COUNTERS)},
    }
    record = sa.insert(state.table).from_select(
        list(row), sa.select(*row.values()).where(sa.literal_column(f"NOT EXISTS ({recorded})"))
    )
    migration.render(state.creation())
    migration.render(database.abilities.begins)
    migration.render(update.replace(RANGE, f"NOT EXISTS ({recorded})"))
    migration.render(database.rendered(record))
    migration.render("COMMIT")


# Arguments ------------------------------------------------------------------------------------------------------


class Arguments:
    """Checks the arguments of one call.

    Args:
        migration: The running migration.
        table_name: The table, for the corrected call in messages.
        schema: Its schema, likewise.
    """

    def __init__(self, migration: Migration, table_name: Any, schema: Any) -> None:
        self.migration, self.table_name, self.schema = migration, table_name, schema

    @property
    def sql(self) -> str:
        """A placeholder in a call for SQL that only its author knows: no column of a real table."""
        return sql_over(self.table_name)

    def corrected(self, values: str | None = None, **keywords: Any) -> str:
        """Return the call as it should be."""
        values = values or f'{{"column to fill": {self.sql}}}'
        return call("backfill", self.table_name, Code(values), schema=self.schema, **keywords)

    def wrong(self, argument: str, value: Any, what: str, example: Any) -> InvalidArgument:
        code = self.corrected("{...}", **{argument: example})
        return self.invalid(f"{argument} is {value!r}, not {what}.", code)

    def invalid(self, problem: str, code: str = "", remedy: str = "Write:") -> InvalidArgument:
        return InvalidArgument(problem, remedy=remedy, code=code or self.corrected())

    def check_table(self) -> None:
        check_names(self.migration, self.corrected(), table_name=self.table_name, schema=self.schema)

    def check_values(self, values: Any, where: Any) -> None:
        if isinstance(values, Mapping):
            self._check_mapping(values, where)
        elif not callable(values):
            raise self.invalid(
                f"The values of the backfill are {values!r}, neither a mapping from columns to new values nor a function."
            )
        elif where is None and not targets_of(values):
            raise self.invalid(
                "The function does not declare which columns it writes, so it is unknown which rows need it.",
                '@reads("name", writes=("name_ascii",))\ndef transliterated(rows):\n    ...',
                "Declare them, or pass where=:",
            )

    def _check_mapping(self, values: Mapping[Any, Any], where: Any) -> None:
        if not values:
            raise self.invalid("The values of the backfill are empty.")
        for column, value in values.items():
            check_names(self.migration, self.corrected(), column_name=column)
            if value is None and where is None:
                raise self.invalid(
                    f"The value of {column} is None, but a row counts as filled when its value is not NULL.",
                    self.corrected(f'{{"{column}": None}}', where=True),
                    "To clear values, select the rows:",
                )

    def check_where(self, where: Any) -> None:
        is_text = isinstance(where, str) and bool(where.strip())
        is_element = isinstance(where, sa.ClauseElement) or hasattr(where, "__clause_element__")
        if not (where is None or where is True or is_text or is_element):
            raise self.wrong("where", where, "a condition, nor True for each row", Code(self.sql))

    def key(self, key: Any) -> tuple[str, ...] | None:
        """Return the columns of the key that the author names."""
        if key is None:
            return None
        columns = (key,) if isinstance(key, str) else tuple(key) if isinstance(key, Iterable) else ()
        if not columns or not all(isinstance(column, str) and column for column in columns):
            raise self.wrong("key", key, "the columns of a unique key", ["id"])
        return columns

    def limits(self, target: Any, batch_size: Any, pause: Any, throttles: Any) -> Limits:
        """Return how fast the backfill may run."""
        seconds = self.migration.settings.target_seconds if target is None else target
        if not is_above_zero(seconds):
            raise self.wrong("target_seconds", target, "a number of seconds above 0", 0.1)
        if not is_above_zero(pause) and not (is_number(pause) and pause == 0):
            raise self.wrong("pause", pause, "a number of seconds", 0.5)
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise self.wrong("batch_size", batch_size, "a number of rows above 0", 1000)
        callables = tuple(throttles) if isinstance(throttles, Iterable) else (None,)
        if not all(map(callable, callables)):
            raise self.wrong("throttles", throttles, "a list of callables", [Code("active_sessions(20)")])
        return Limits(float(seconds), batch_size, float(pause), callables)

    def check_workers(self, executor: Executor | None, connect: Any) -> None:
        if executor is not None and not callable(getattr(executor, "submit", None)):
            raise self.wrong("executor", executor, "a concurrent.futures.Executor", Code("ThreadPoolExecutor(2)"))
        if connect is None or callable(connect) or url_of(connect) is not None:
            return
        raise self.invalid(
            "connect is neither the URL of a database nor a callable that returns an Engine.",
            self.corrected("{...}", connect="postgresql+psycopg://user:password@host/database"),
        )

    def check_progress(self, progress: Callable[..., Any] | None) -> None:
        if progress is not None and not callable(progress):
            raise self.wrong("progress", progress, "a callable", Code("print"))
