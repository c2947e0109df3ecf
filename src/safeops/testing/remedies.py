"""The calls that make a revision restartable: those that a review writes instead of its statements."""

from __future__ import annotations

import logging
from collections.abc import Collection, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.engine import Connection, Dialect

from safeops.autogenerate.operations import CreateTable, become
from safeops.databases import database_for, database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.statements import words_of
from safeops.judging.bound import bound_text
from safeops.judging.replacements import Replacement, replacement_of
from safeops.judging.replacements.replacement import names_called
from safeops.judging.schema import Schema
from safeops.judging.sent import Sent
from safeops.judging.server import JudgedServer, Session
from safeops.review.known import Effects
from safeops.review.offline import environment_of
from safeops.review.replay import Replay

if TYPE_CHECKING:
    from safeops.testing.kit import Trial

log = logging.getLogger("safeops")

CALLS = 5
"""How many calls are shown."""
GENERAL = "# {sql}\n# Look before it acts, as with sa.inspect(op.get_bind()), or commit it together with the version."
RENDERED = {"sqlalchemy_module_prefix": "sa.", "alembic_module_prefix": "op.", "user_module_prefix": None}


@dataclass(frozen=True)
class Remedy:
    """What to write instead of statements of a revision.

    Args:
        code: The calls, and a comment for each statement without one.
        calls: Whether there is a call for each statement.
    """

    code: str
    calls: bool


def remedy_for(trial: Trial, statements: Sequence[str]) -> Remedy:
    """Return what to write instead of some statements of a revision, to make it restartable.

    Args:
        trial: A database before the revision.
        statements: The statements, each in one line, the most important first.
    """
    known: dict[str, Replacement] = {}
    try:
        with trial.redirected():
            known.update(_replacements(trial.config, trial.revision.revision, set(statements)))
    except Exception:
        # The flaw is reported without it: the parsers might be missing.
        log.debug("no replacement is known", exc_info=True)
    if not known:
        # The revision cannot be run offline.
        known = run_on_connection(trial.engine, lambda own: _known_on(own, statements))
    found = [known.get(sql) for sql in statements]
    texts = list(dict.fromkeys(_text(sql, one) for sql, one in zip(statements, found, strict=True)))
    code = "\n".join(texts[:CALLS])
    if len(texts) > CALLS:
        more = len(texts) - CALLS
        code += f"\n# ... and likewise for {more} other statement{'' if more == 1 else 's'}"
    names = names_called(code)
    imported = f"from safeops import {', '.join(names)}\n\n" if names else ""
    return Remedy(f"{imported}{code}", all(one is not None and one.upgrade for one in found))


def _text(sql: str, found: Replacement | None) -> str:
    if found is not None and found.upgrade:
        return found.upgrade
    return f"# {sql}\n# {found.note}" if found is not None and found.note else GENERAL.format(sql=sql)


def _replacements(config: Config, revision: str, wanted: Collection[str]) -> Iterator[tuple[str, Replacement]]:
    environment = environment_of(config)
    script: Any = environment.script.get_revision(revision)
    effects = Effects(environment.dialect)
    for _, schema, recording in Replay(environment, [script]):
        for event in recording.events:
            if isinstance(event, Sent) and _line(event.sql) in wanted:
                found = _replacement(event, schema, environment.dialect)
                if found is not None:
                    yield _line(event.sql), found
            effects.apply(schema, event)


def _replacement(sent: Sent, schema: Schema, dialect: Dialect) -> Replacement | None:
    given = sent.call.operation if sent.call is not None else None
    if isinstance(given, ops.CreateTableOp) and words_of(sent.sql)[:2] == ("CREATE", "TABLE"):
        # Its indexes are separate statements.
        columns = [one for one in given.columns if not isinstance(one, sa.Index)]
        table = become(CreateTable, given, columns=columns)
        first, *parts, last = table.lines(_rendering(dialect))[0].splitlines()
        return Replacement("\n".join([first, *(f"    {part}" for part in parts), last]))
    database = database_for(dialect, None)
    server = JudgedServer.of(database)
    found = [server.with_facts(one, schema, Session()) for one in server.parse(bound_text(sent))]
    return replacement_of(found[0], sent, schema, database) if found else None


def _known_on(connection: Connection, statements: Sequence[str]) -> dict[str, Replacement]:
    """Return the replacements that are known from a database alone."""
    found: dict[str, Replacement] = {}
    for sql in statements:
        with suppress(Exception):
            found[sql] = Replacement(replacement_on(connection, sql))
    return found


def replacement_on(connection: Connection, sql: str) -> str:
    """Return the call to write instead of a statement, as far as it is known from a database; empty if there is none."""
    # The judge needs the parsers, which are an extra.
    from safeops.judging.existing import Facts
    from safeops.judging.judge import Judge

    database = database_on(connection)
    facts = Facts.of(database)
    schema = Schema(facts, home=connection.dialect.default_schema_name)
    judge = Judge(database, schema, Session(connection.dialect.driver, facts.settings()), small_table=0, seen="live")
    found = judge.judge(Sent(sql))
    return next((one.replacement for one in found if one.replacement), "")


def _rendering(dialect: Dialect) -> AutogenContext:
    context = MigrationContext.configure(dialect=dialect, opts={"as_sql": True})
    return AutogenContext(context, opts={**RENDERED, "render_item": None, "render_as_batch": False}, autogenerate=False)


def _line(sql: str) -> str:
    return " ".join(sql.split())
