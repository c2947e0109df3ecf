"""Offline is the same: the script of ``--sql`` ends in the schema and the rows that the revision ends in online."""

from __future__ import annotations

import re
import traceback
from pathlib import Path

import sqlalchemy as sa
from alembic.util import CommandError
from sqlalchemy.engine import Connection
from sqlalchemy.exc import CompileError
from sqlalchemy.pool import NullPool

from safeops.databases.connections import run_on_connection
from safeops.databases.statements import names_in
from safeops.errors import SafeOpsError
from safeops.planned import summary
from safeops.testing.checks.words import place_of, undisturbed_upgrade
from safeops.testing.failing import Failed, Untestable
from safeops.testing.kit import Kit, Trial
from safeops.testing.project import Revision
from safeops.testing.snapshots import differences

COMMENT = re.compile(r"(?:--[^\n]*(?:\n|\Z)|\s+)*\Z")
MANY_STATEMENTS = {"pymysql": {"client_flag": 1 << 16}}
"""With these options a driver takes several statements at once, as the client of its server does: helpers write such."""
NO_DATABASE = "Under --sql there is no database: op.get_bind() reads nothing, and execute() returns None."
LITERAL = "Under --sql values are written into the script, and SQLAlchemy writes no values of this type."
ONLINE_ONLY = """from alembic import context
from safeops import OnlineOnly

def upgrade() -> None:
    if context.is_offline_mode():
        raise OnlineOnly("It reads rows: run it online.")"""

ROWS = (
    "Under --sql no statement returns rows, and code that depends on them does something else. Write the change in SQL"
    " alone, or declare that it has no script:"
)
DOUBLED = (
    "The driver of the URL has parameters as %(name)s, so each % of the script is doubled. In the offline part of env.py,"
    " let them have another form, as Alembic's template does:"
)
NAMED = 'context.configure(url=url, dialect_opts={"paramstyle": "named"}, ...)'


def check(kit: Kit, revision: Revision) -> None:
    """Write the script, run it on a database like the one of an undisturbed upgrade, and compare the two."""
    with kit.before(revision) as trial:
        pieces = _script(trial)
        _check_versions(kit, pieces)
        undisturbed = undisturbed_upgrade(kit, revision)
        if written := differences(undisturbed.before, trial.state(), ignoring=undisturbed.varying):
            raise _writes(revision, written)
        _run(trial, pieces)
        found = differences(undisturbed.after, trial.state(), ignoring=undisturbed.varying)
        current = trial.current()
    if found:
        remedy, code = (DOUBLED, NAMED) if any("%%" in text for text in found) else (ROWS, ONLINE_ONLY)
        raise Failed(
            f"{revision}: the script of --sql does not do what the revision does.",
            why="After the script, compared with after an upgrade:",
            details=found,
            remedy=remedy,
            code=code,
        )
    if revision.revision not in current:
        raise Failed(
            f"{revision}: the script of --sql does not set the revision: it is at {', '.join(current) or 'none'}.",
            why="Alembic writes the statement for its version table itself, unless env.py or a revision keeps it from that.",
            remedy="In env.py, let the offline part end as Alembic's template does:",
            code="with context.begin_transaction():\n    context.run_migrations()",
        )


def _check_versions(kit: Kit, pieces: list[str]) -> None:
    """Raise Failed if the script writes the version to another table than an upgrade."""
    names = {name for piece in pieces for name in names_in(piece)}
    for option in ("version_table", "version_table_schema"):
        named = kit.environment.options.get(option)
        if named is not None and named not in names:
            raise Failed(
                f"Under --sql env.py does not set {option}: the script writes the version to another table.",
                why=f"With a connection, env.py calls context.configure({option}={named!r}, ...).",
                remedy="Pass it in the offline part of env.py too:",
                code=f"context.configure(url=url, {option}={named!r}, ...)",
            )


def _writes(revision: Revision, written: list[str]) -> Failed:
    return Failed(
        f"{revision} changes the database while --sql only writes its script.",
        why="The revision connects itself, as by create_engine(). After alembic upgrade --sql, compared with before:",
        details=written,
        remedy="Write the change by op, whose statements become the script. Or declare that it has no script:",
        code=ONLINE_ONLY,
    )


def _script(trial: Trial) -> list[str]:
    revision = trial.revision
    try:
        return trial.sql()
    except CommandError as error:
        if isinstance(error, SafeOpsError):
            raise Untestable(f"{revision} declares why it has no script: {error.problem}") from error
        # Alembic refuses by it too, as for a batch on SQLite.
        raise Untestable(f"{revision} has no script: {' '.join(str(error).split())}") from error
    except Exception as error:
        if not _is_raised_in(revision, error):
            raise Failed(
                f"{revision} has no script: env.py fails under --sql: {summary(error)}",
                why="Under --sql there is no connection.",
                remedy="Let env.py configure the context by the URL alone, as run_migrations_offline() of Alembic's template"
                " does. If the team does not use --sql, leave these tests out:",
                code='pytest --safeops -m "not offline"',
            ) from error
        is_literal = isinstance(error, CompileError)
        raise Failed(
            f"{revision} has no script: alembic upgrade --sql fails at {place_of(revision, error)}.",
            why=LITERAL if is_literal else NO_DATABASE,
            details=[summary(error)],
            remedy="Write the value as text, by op.inline_literal(). Or declare why there is no script:"
            if is_literal
            else "Write the change in SQL alone, as UPDATE ... SET ... FROM. Or declare why it has no script:",
            code=ONLINE_ONLY,
        ) from error


def _is_raised_in(revision: Revision, error: Exception) -> bool:
    frames = traceback.extract_tb(error.__traceback__)
    return any(Path(frame.filename).resolve() == revision.path.resolve() for frame in frames)


def _run(trial: Trial, pieces: list[str]) -> None:
    """Run the script as a client does: in autocommit, except between its own BEGIN and COMMIT."""
    # A client passes over the second semicolon of op.execute("...;"), and some drivers do not.
    statements = [text for piece in pieces if not COMMENT.match(text := piece.rstrip("; \n"))]
    engine, options = trial.engine, MANY_STATEMENTS.get(trial.engine.dialect.driver)
    if options is not None:
        engine = sa.create_engine(trial.url, poolclass=NullPool, connect_args=options)

    def run(connection: Connection) -> None:
        # By the driver alone: text with % and : has no parameters.
        cursor = connection.connection.cursor()
        for statement in statements:
            try:
                cursor.execute(statement)
                while options is not None and cursor.nextset():
                    pass
            except Exception as error:
                raise _refused(trial.revision, statement, error) from error
        cursor.close()

    run_on_connection(engine, run)


def _refused(revision: Revision, statement: str, error: Exception) -> Failed:
    return Failed(
        f"{revision}: the script of --sql fails, and the revision does not.",
        why=summary(error),
        details=statement.splitlines(),
        remedy="Write a change that needs no row of an earlier statement, or declare why there is no script:",
        code=ONLINE_ONLY,
    )
