"""Runs ``upgrade()`` of a revision on a connection that records: as often as it takes to see what it may send."""

from __future__ import annotations

import asyncio
import traceback
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.operations import Operations
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy.engine import Connection, Dialect
from sqlalchemy.util import greenlet_spawn

from safeops import _alembic, _sqlalchemy
from safeops.databases.statements import words_of
from safeops.judging.schema import Schema
from safeops.judging.sent import Event, Recording, Sent, Unseen
from safeops.review.answers import EMPTY, FILLED, NULLS, OTHERS, SEVERAL, MadeUpAnswers, Manner
from safeops.review.connection import Answers
from safeops.review.containment import contained
from safeops.review.dialect import RecordingDialect, recording_connection, recording_dialect
from safeops.review.known import Effects, Known
from safeops.review.pretended import PretendedServer
from safeops.review.recorder import Endless, Recorder


@dataclass(frozen=True)
class Environment:
    """The environment of env.py: its database and its options.

    Args:
        config: The configuration of the project.
        script: Its revisions.
        dialect: The dialect.
        options: What env.py gives ``context.configure()``.
        arguments: What env.py gives ``context.run_migrations()``, and Alembic hands to each revision.
        others: The same for each further time that env.py runs the revisions, as for several databases.
        remark: What was assumed; empty if nothing was.
    """

    config: Config
    script: ScriptDirectory
    dialect: Dialect
    options: Mapping[str, Any] = field(repr=False)
    arguments: Mapping[str, Any] = field(default_factory=dict)
    others: tuple[Environment, ...] = ()
    remark: str = ""

    @property
    def models(self) -> tuple[sa.MetaData, ...]:
        """The metadata of the models."""
        found = self.options.get("target_metadata")
        return tuple(found) if isinstance(found, (list, tuple)) else () if found is None else (found,)

    @contextmanager
    def operations(self, connection: Connection) -> Iterator[MigrationContext]:
        """Have ``alembic.op`` and ``alembic.context`` work on a connection, as for a revision that runs."""
        with (
            _alembic.environment_kept(),
            EnvironmentContext(self.config, self.script, as_sql=False, destination_rev=None) as environment,
        ):
            environment.configure(connection=connection, **self.options)
            context = environment.get_context()
            with Operations.context(context):
                yield context


@dataclass(frozen=True)
class Rung:
    """A rung of the ladder on which a revision runs.

    Args:
        environment: The environment of env.py.
        seen: What the rung is called.
        answers: Gives what answers a run, from the answers that are made up; None for those alone.
        live: An inspector of the live database, if there is one.
    """

    environment: Environment
    seen: str = "offline"
    answers: Callable[[MadeUpAnswers], Answers] | None = None
    live: Any = None

    def record(self, script: Script, schema: Schema) -> Recording:
        """Return what a revision sends.

        A revision for which rows are made up runs several times: with a row that is made up, with one that is NULL, with
        several, and with none. What any of these sends counts.

        Args:
            script: The revision.
            schema: What is known of the tables before it.
        """
        first = self._run(script, schema, FILLED)
        run = self._in_each_manner(script, schema, first) if first.was_made_up else first
        error = run.error if isinstance(run.error, Exception) else None
        failures = [run.failure] if run.failure is not None else []
        return Recording(script.revision, script.path, self.seen, (*run.events, *failures), error)

    def _in_each_manner(self, script: Script, schema: Schema, first: _Run) -> _Run:
        if isinstance(first.error, Endless):
            return first
        filled = first if first.error is None or first.refuses_rows else self._most_done(script, schema, first)
        nulls, empty, several = (self._run(script, schema, manner) for manner in (NULLS, EMPTY, SEVERAL))
        events = _united(_united(_once_for_all(filled.events, several.events), nulls.events), empty.events)
        is_fine = filled.error is None or (filled.refuses_rows and empty.error is None)
        return _Run(events) if is_fine else replace(filled, events=events)

    def _most_done(self, script: Script, schema: Schema, first: _Run) -> _Run:
        """Return the first run that ends, with other texts made up; else the one that sent most before it failed."""
        runs = [first]
        for manner in OTHERS:
            run = self._run(script, schema, manner)
            if run.error is None:
                return run
            runs.append(run)
        return max(runs, key=lambda run: len(run.events))

    def _run(self, script: Script, schema: Schema, manner: Manner) -> _Run:
        recorder = Recorder(script.module.__file__ or script.path)
        known = Known(schema, recorder, Effects(self.environment.dialect), self.environment.models)
        dialect = recording_dialect(self.environment.dialect, known)
        dialect.live = self.live
        made_up = MadeUpAnswers(recorder, known, PretendedServer.for_dialect(dialect), manner)
        connection = recording_connection(dialect, recorder, self.answers(made_up) if self.answers else made_up)
        try:
            with contained() as refused, recorder.recording(), _leading_to(connection.engine):
                self._upgrade(script, connection)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:
            refuses = _raises_itself(script, error)
            return _Run(recorder.events, made_up.made_up, error, _failure(recorder, error), refuses)
        finally:
            with suppress(Exception):
                connection.close()
        # It continued, but the use of the answer is not known.
        return _Run([*recorder.events, *map(Unseen, refused)], made_up.made_up)

    def _upgrade(self, script: Script, connection: Connection) -> None:
        def upgrade() -> None:
            script.module.upgrade(**self.environment.arguments)

        with (
            self.environment.operations(connection) as context,
            context.begin_transaction(),
            context.begin_transaction(_per_migration=True),
        ):
            if self.environment.dialect.is_async and self.live is None:
                # op.run_async() awaits in a greenlet, as under an asynchronous env.py.
                asyncio.run(greenlet_spawn(upgrade))
            else:
                upgrade()


@dataclass(frozen=True)
class _Run:
    """A run of a revision.

    Args:
        events: What it sent.
        was_made_up: Whether rows were made up for it.
        error: What it raised; None if it ended.
        failure: That it was not seen in full; None if it ended.
        refuses_rows: Whether its own code raised an error, as after finding duplicates.
    """

    events: list[Event]
    was_made_up: bool = True
    error: BaseException | None = None
    failure: Unseen | None = None
    refuses_rows: bool = False


@contextmanager
def _leading_to(own: Any) -> Iterator[None]:
    """Make each engine of the block record what it is sent, as ``own`` does."""

    def connect(engine: Any) -> Connection:
        is_ours = isinstance(engine.dialect, RecordingDialect)
        return Connection(engine if is_ours else own)

    with _sqlalchemy.connecting_by(connect):
        yield


def _failure(recorder: Recorder, error: BaseException) -> Unseen:
    """Return an event for a revision that ended early: its later statements are not known."""
    said = str(error) if isinstance(error, Endless) else f"It raised {type(error).__name__}: {error}".rstrip(": ")
    return recorder.unseen(said, error)


def _raises_itself(script: Script, error: BaseException) -> bool:
    """Return whether a line of the revision raises an error or exits, not something that it calls."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    return last.filename == script.module.__file__ and (last.line or "").startswith(("raise", "assert", "sys.exit"))


# What several runs have sent ------------------------------------------------------------------------------------


def _once_for_all(events: Sequence[Event], several: Sequence[Event]) -> list[Event]:
    """Return the events; what is not sent more often for several rows is sent for none of them in particular."""
    once, more = Counter[Any](), Counter[Any]()
    for count, sent in ((once, events), (more, several)):
        for event in sent:
            count[_key(event)] += event.times if isinstance(event, Sent) else 1
    return [
        replace(event, synthetic=False)
        if isinstance(event, Sent)
        and event.synthetic
        and more[_key(event)] <= once[_key(event)]
        and not _has_list(event)
        else event
        for event in events
    ]


def _has_list(sent: Sent) -> bool:
    """Return whether a value is a list: it takes more rows without being sent more often."""
    values = sent.parameters.values() if isinstance(sent.parameters, Mapping) else sent.parameters or ()
    return any(isinstance(value, (list, tuple)) for value in values)


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


BEGINNING = 5
"""The first words of a statement, which identify it among those of the same line, without its values."""


def _key(event: Event) -> tuple[Any, ...]:
    if isinstance(event, Sent):
        return (words_of(event.sql)[:BEGINNING], event.place)
    return (type(event), getattr(event, "name", ""), event.place)
