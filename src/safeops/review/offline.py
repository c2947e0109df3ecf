"""Records revisions without a database: ``upgrade()`` runs on a connection that records what it is sent."""

from __future__ import annotations

import io
from contextlib import redirect_stdout
from typing import Any

from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy.engine import Connection

from safeops import _sqlalchemy
from safeops.errors import SafeOpsError
from safeops.execution.migration_lock import without_migration_lock
from safeops.judging.schema import Schema
from safeops.judging.sent import Recording
from safeops.planned import summary
from safeops.review.answers import EMPTY, MadeUpAnswers
from safeops.review.containment import silent_alembic
from safeops.review.dialect import recording_connection, recording_dialect
from safeops.review.known import Effects, Known
from safeops.review.pretended import PretendedServer
from safeops.review.recorder import Recorder
from safeops.review.runs import Environment, Rung
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
    recorder = Recorder("")
    known = Known(Schema(), recorder, Effects(engine.dialect))
    dialect = recording_dialect(engine.dialect, known)
    answers = MadeUpAnswers(recorder, known, PretendedServer.for_dialect(dialect), EMPTY)
    return recording_connection(dialect, recorder, answers)


def _unreadable(offline: Exception, online: Exception) -> SafeOpsError:
    return SafeOpsError(
        f"env.py cannot be run without a database: {summary(online)}",
        why=f"A review asks it for the database and the options of the migrations. In its offline way it failed too:"
        f" {summary(offline)}",
        remedy="Have it work as for --sql, which needs a URL and no server:",
        code="alembic upgrade head --sql",
    )


def record_offline(environment: Environment, script: Script, schema: Schema) -> Recording:
    """Return what a revision sends, with rows that are made up; see ``Rung.record``.

    Args:
        environment: What env.py says.
        script: The revision.
        schema: What is known of the tables before it.
    """
    return Rung(environment).record(script, schema)
