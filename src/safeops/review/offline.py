"""Records revisions without a database: ``upgrade()`` runs on a connection that records what it is sent."""

from __future__ import annotations

import io
import logging
from contextlib import redirect_stdout, suppress
from dataclasses import replace
from itertools import count
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import Script, ScriptDirectory
from sqlalchemy.engine import Connection

from safeops import _sqlalchemy
from safeops.databases import KINDS, family_of
from safeops.errors import SafeOpsError
from safeops.execution.migration_lock import without_migration_lock
from safeops.judging.schema import Schema
from safeops.judging.sent import Recording, Sent, Unseen
from safeops.planned import summary
from safeops.review.answers import EMPTY, MadeUpAnswers
from safeops.review.containment import refusing_scripts, silent_alembic
from safeops.review.dialect import recording_connection, recording_dialect
from safeops.review.known import Effects, Known
from safeops.review.pretended import PretendedServer
from safeops.review.recorder import Recorder
from safeops.review.runs import Environment, Rung
from safeops.runner.revisions import scripts_of
from safeops.runner.temporary_database import config_for, environment_variable

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
"""The options of a command, or of its ``--sql`` mode."""
MOST_TIMES = 10
"""How often env.py can run the revisions."""
log = logging.getLogger("safeops")


class _Reached(BaseException):
    """env.py has reached its revisions, and must stop."""


def environment_of(config: Config) -> Environment:
    """Return the environment of env.py, without a database.

    It runs as for ``--sql``; if that fails, as online, with connections that only record; if that fails, as for ``--sql``
    with an assumed URL, because env.py can require one that this process does not have.

    Raises:
        SafeOpsError: It fails in each of these ways.
    """
    script = scripts_of(config)
    errors: list[Exception] = []
    for way in (_as_for_sql, _as_online, _with_a_url):
        try:
            first, *others = way(config, script)
            return replace(first, others=tuple(others))
        except Exception as error:
            log.debug("env.py could not be run", exc_info=True)
            errors.append(error)
    raise _unreadable(errors[0], errors[1])


def _as_for_sql(config: Config, script: ScriptDirectory) -> list[Environment]:
    with refusing_scripts():
        return _each(config, script, as_sql=True)


def _as_online(config: Config, script: ScriptDirectory) -> list[Environment]:
    with _sqlalchemy.connecting_by(_recording_to_nowhere):
        return _each(config, script, as_sql=False)


def _with_a_url(config: Config, script: ScriptDirectory) -> list[Environment]:
    texts = [Path(one.path).read_text(errors="replace") for one in script.walk_revisions()]
    # The first is the one that most users have.
    kind = max(
        KINDS, key=lambda kind: sum(f"dialects.{kind}" in one or f"dialects import {kind}" in one for one in texts)
    )
    url = sa.make_url(f"{kind}://assumed@127.0.0.1/assumed")
    with environment_variable(url), refusing_scripts():
        found = _each(config_for(config, url), script, as_sql=True)
    remark = f"env.py needs a URL that it does not have here: the review assumed {url.get_backend_name()}"
    return [replace(one, config=config, remark=remark) for one in found]


def _each(config: Config, script: ScriptDirectory, *, as_sql: bool) -> list[Environment]:
    """Return the environment of each time that env.py runs the revisions."""
    found: list[Environment] = []
    while len(found) < MOST_TIMES:
        another = _described(config, script, len(found), as_sql)
        if another is None:
            break
        found.append(another)
    if not found:
        raise SafeOpsError("env.py does not call context.run_migrations().")
    return found


def _described(config: Config, script: ScriptDirectory, skipped: int, as_sql: bool) -> Environment | None:
    """Run env.py until it runs the revisions for the next time; None if it ends before."""
    found: list[Environment] = []
    times = count()

    class Step:
        """Replaces the revisions."""

        short_log = ""

        def __init__(self, context: MigrationContext) -> None:
            self.context = context

        def migration_fn(self, **arguments: Any) -> None:
            options = {name: value for name, value in self.context.opts.items() if name not in OWN}
            found.append(Environment(config, script, self.context.dialect, options, arguments))
            raise _Reached

    def steps(_: Any, context: MigrationContext) -> list[Any]:
        return [Step(context)] if next(times) == skipped else []

    options: dict[str, Any] = {"starting_rev": None, "destination_rev": None, "tag": None}
    before, config.output_buffer = config.output_buffer, io.StringIO()
    try:
        with (
            redirect_stdout(io.StringIO()),
            silent_alembic(),
            without_migration_lock(),
            suppress(_Reached),
            EnvironmentContext(config, script, fn=steps, as_sql=as_sql, **options),
        ):
            script.run_env()
    finally:
        config.output_buffer = before
    return found[0] if found else None


def _recording_to_nowhere(engine: Any) -> Connection:
    recorder = Recorder("")
    known = Known(Schema(), recorder, Effects(engine.dialect))
    dialect = recording_dialect(engine.dialect, known)
    answers = MadeUpAnswers(recorder, known, PretendedServer.for_dialect(dialect), EMPTY)
    return recording_connection(dialect, recorder, answers)


def _unreadable(offline: Exception, online: Exception) -> SafeOpsError:
    return SafeOpsError(
        f"env.py cannot run without a database: {summary(online)}",
        why=f"A review runs env.py for the database and the options of the migrations. Its offline mode failed too:"
        f" {summary(offline)}",
        remedy="Make this command work, which needs a URL and no server:",
        code="alembic upgrade head --sql",
    )


def record_offline(environment: Environment, script: Script, schema: Schema) -> Recording:
    """Return what a revision sends, with made-up rows; see ``Rung.record``.

    Args:
        environment: The environment of env.py.
        script: The revision.
        schema: What is known of the tables before it.
    """
    first = Rung(environment).record(script, schema)
    for other in environment.others:
        first = _joined(first, environment, other, Rung(other).record(script, schema))
    return first


def _joined(first: Recording, environment: Environment, other: Environment, second: Recording) -> Recording:
    """Return what a revision sends to several databases, one after the other."""
    if family_of(other.dialect) != family_of(environment.dialect):
        why = f"env.py also runs it on {other.dialect.dialect_description}: review that database separately."
        return replace(first, events=(*first.events, Unseen(why)))
    begun = {one.transaction for one in first.events if isinstance(one, Sent) and one.transaction is not None}
    after = max(begun, default=-1) + 1
    events = [
        replace(one, transaction=one.transaction + after)
        if isinstance(one, Sent) and one.transaction is not None
        else one
        for one in second.events
    ]
    return replace(first, events=(*first.events, *events), error=first.error or second.error)
