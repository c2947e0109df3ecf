"""Records revisions without a database: ``upgrade()`` runs on a connection that records what it is sent."""

from __future__ import annotations

import asyncio
import io
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, redirect_stdout, suppress
from dataclasses import dataclass, field, replace
from typing import Any

from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.util import greenlet_spawn

from safeops import _sqlalchemy
from safeops.errors import SafeOpsError
from safeops.execution.migration_lock import without_migration_lock
from safeops.judging.schema import Schema
from safeops.judging.sent import Event, Recording, Sent, Unseen
from safeops.planned import summary
from safeops.review.answers import EMPTY, FILLED, NULLS, OTHERS, Manner
from safeops.review.containment import contained, silent_alembic
from safeops.review.dialect import recording_connection
from safeops.review.recorder import Endless, Recorder
from safeops.runner.revisions import scripts_of

OWN = frozenset(
    (
        "fn",
        "as_sql",
        "tag",
        "starting_rev",
        "destination_rev",
        "output_buffer",
        "script",
        "dont_mutate",
        "literal_binds",
    )
)
"""The options of a command, or of its way of rendering SQL."""


@dataclass(frozen=True)
class Environment:
    """What env.py says of its database.

    Args:
        config: The configuration of the project.
        script: Its revisions.
        dialect: The dialect, without a connection.
        options: What env.py gives ``context.configure()``.
        arguments: What env.py gives ``context.run_migrations()``, and Alembic hands to each revision.
    """

    config: Config
    script: ScriptDirectory
    dialect: Dialect
    options: Mapping[str, Any] = field(repr=False)
    arguments: Mapping[str, Any] = field(default_factory=dict)

    @contextmanager
    def operations(self, connection: Connection) -> Iterator[MigrationContext]:
        """Have ``alembic.op`` and ``alembic.context`` work on a connection, as for a revision that runs."""
        with EnvironmentContext(self.config, self.script, as_sql=False, destination_rev=None) as environment:
            environment.configure(connection=connection, **self.options)
            context = environment.get_context()
            with Operations.context(context):
                yield context


class _Reached(BaseException):
    """env.py has come to its revisions; it must not go on."""


def environment_of(config: Config) -> Environment:
    """Return what env.py says, without a database: as for ``--sql``, or else with a connection that only records."""
    script = scripts_of(config)
    try:
        return _described(config, script, as_sql=True)
    except Exception as offline:
        try:
            with _sqlalchemy.connecting_by(_recording_to_nowhere):
                return _described(config, script, as_sql=False)
        except Exception as online:
            raise _unreadable(offline, online) from online


def _described(config: Config, script: ScriptDirectory, *, as_sql: bool) -> Environment:
    found: list[Environment] = []

    class Step:
        """Takes the place of the revisions."""

        short_log = ""

        def __init__(self, context: MigrationContext) -> None:
            self.context = context

        def migration_fn(self, **arguments: Any) -> None:
            options = {name: value for name, value in self.context.opts.items() if name not in OWN}
            found.append(Environment(config, script, self.context.dialect, options, arguments))
            raise _Reached

    options: dict[str, Any] = {"starting_rev": None, "destination_rev": None, "tag": None}
    before, config.output_buffer = config.output_buffer, io.StringIO()
    try:
        with (
            redirect_stdout(io.StringIO()),
            silent_alembic(),
            without_migration_lock(),
            EnvironmentContext(config, script, fn=lambda _, context: [Step(context)], as_sql=as_sql, **options),
        ):
            script.run_env()
    except _Reached:
        pass
    finally:
        config.output_buffer = before
    if not found:
        raise SafeOpsError("env.py does not call context.run_migrations().")
    return found[0]


def _recording_to_nowhere(engine: Any) -> Connection:
    return recording_connection(engine.dialect, Recorder(""), Schema(), EMPTY)


def _unreadable(offline: Exception, online: Exception) -> SafeOpsError:
    return SafeOpsError(
        f"env.py cannot be run without a database: {summary(online)}",
        why=f"A review asks it for the database and the options of the migrations. In its offline way it failed too:"
        f" {summary(offline)}",
        remedy="Have it work as for --sql, which needs a URL and no server:",
        code="alembic upgrade head --sql",
    )


# Recording ------------------------------------------------------------------------------------------------------


def record_offline(environment: Environment, script: Script, schema: Schema) -> Recording:
    """Return what a revision sends.

    A revision that reads rows runs several times: with a row that is made up, with one that is NULL, and with none. What
    any of these sends counts.

    Args:
        environment: What env.py says.
        script: The revision.
        schema: What is known of the tables before it.
    """
    first = _run(environment, script, schema, FILLED)
    if not first.was_made_up:
        return first.recording(script)
    filled = first if first.error is None else _most_done(first, environment, script, schema)
    nulls, empty = (_run(environment, script, schema, manner) for manner in (NULLS, EMPTY))
    events = _united(_united(filled.events, nulls.events), empty.events)
    refuses = filled.refuses_rows and empty.error is None
    failed = None if refuses else filled.failure
    return _Run(events, filled.error if failed else None, True, failed).recording(script)


def _most_done(first: _Run, environment: Environment, script: Script, schema: Schema) -> _Run:
    """Return the first run that ends, with other texts made up; else the one that sent most before it failed."""
    if first.refuses_rows or isinstance(first.error, Endless):
        return first
    runs = [first]
    for manner in OTHERS:
        run = _run(environment, script, schema, manner)
        if run.error is None:
            return run
        runs.append(run)
    return max(runs, key=lambda run: len(run.events))


def unseen_recording(script: Script, why: str) -> Recording:
    """Return the recording of a revision that could not be run."""
    return Recording(script.revision, script.path, "unseen", (Unseen(why),))


@dataclass(frozen=True)
class _Run:
    """A run of a revision.

    Args:
        events: What it sent.
        error: What it raised; None if it ended.
        was_made_up: Whether rows were made up for it.
        failure: That it was not seen in full; None if it ended.
        refuses_rows: Whether it raised an error of its own, as a revision does that finds duplicates.
    """

    events: list[Event]
    error: BaseException | None
    was_made_up: bool = False
    failure: Unseen | None = None
    refuses_rows: bool = False

    def recording(self, script: Script) -> Recording:
        error = self.error if isinstance(self.error, Exception) else None
        failures = [self.failure] if self.failure is not None else []
        return Recording(script.revision, script.path, "offline", (*self.events, *failures), error)


def _run(environment: Environment, script: Script, schema: Schema, manner: Manner) -> _Run:
    recorder = Recorder(script.module.__file__ or script.path)
    connection = recording_connection(environment.dialect, recorder, schema, manner)
    answers = connection.connection.dbapi_connection.answers  # type: ignore[union-attr]
    error: BaseException | None = None
    try:
        with contained(), recorder.recording(), environment.operations(connection) as context, _in_transaction(context):
            _call(environment, script)
    except (KeyboardInterrupt, MemoryError):
        raise
    except BaseException as raised:
        error = raised
    finally:
        with suppress(Exception):
            connection.close()
    if error is None:
        return _Run(recorder.events, None, answers.made_up)
    own = _raises_itself(script, error)
    return _Run(recorder.events, error, answers.made_up, _failure(recorder, error), own)


@contextmanager
def _in_transaction(context: MigrationContext) -> Iterator[None]:
    """Begin a transaction for a revision, as env.py and Alembic do together."""
    with context.begin_transaction(), context.begin_transaction(_per_migration=True):
        yield


def _call(environment: Environment, script: Script) -> None:
    upgrade: Callable[..., Any] = script.module.upgrade
    if not environment.dialect.is_async:
        upgrade(**environment.arguments)
        return
    # op.run_async() awaits in a greenlet, as under an asynchronous env.py.
    asyncio.run(greenlet_spawn(upgrade, **environment.arguments))


def _failure(recorder: Recorder, error: BaseException) -> Unseen:
    """Return that a revision ended early, so that what would follow cannot be seen."""
    said = str(error) if isinstance(error, Endless) else f"It raised {type(error).__name__}: {error}".rstrip(": ")
    recorder.unseen(said, error=error)
    failure = recorder.events.pop()
    assert isinstance(failure, Unseen)
    return failure


def _raises_itself(script: Script, error: BaseException) -> bool:
    """Tell whether a line of the revision raises an error or exits, not something that it calls."""
    frames = traceback.extract_tb(error.__traceback__)
    last = frames[-1]
    return last.filename == script.module.__file__ and (last.line or "").startswith(("raise", "assert", "sys.exit"))


def _united(events: Sequence[Event], others: Sequence[Event]) -> list[Event]:
    """Return what either run has sent: what only the other one has comes before what both sent next."""
    last = {_key(event): place for place, event in enumerate(events)}
    before: defaultdict[int, list[Event]] = defaultdict(list)
    waiting: list[Event] = []
    for other in others:
        if _key(other) not in last:
            waiting.append(other)
            continue
        before[last[_key(other)]] += waiting
        waiting = []
    united = [one for place, event in enumerate(events) for one in (*before[place], event)]
    return list(_in_one_count([*united, *waiting], set(map(id, events))))


def _in_one_count(events: Iterable[Event], ours: set[int]) -> Iterator[Event]:
    """Yield statements of another run as part of the transaction of the one before, because each run counts its own."""
    number: int | None = None
    for event in events:
        if not isinstance(event, Sent) or event.transaction is None:
            yield event
        elif id(event) in ours or number is None:
            number = event.transaction
            yield event
        else:
            yield replace(event, transaction=number)


def _key(event: Event) -> tuple[Any, ...]:
    return (type(event), getattr(event, "sql", ""), getattr(event, "name", ""), event.place)
