"""What the tests share: the line of a revision that raised, the flaw of one that fails undisturbed, errors of locks."""

from __future__ import annotations

from pathlib import Path

from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.statements import words_of
from safeops.errors import LockNotAcquired
from safeops.planned import summary
from safeops.runner.checks import ALLOWED, names_of
from safeops.runner.revisions import line_in
from safeops.testing.failing import Failed, Untestable
from safeops.testing.kit import Kit, Trial, Undisturbed
from safeops.testing.project import Revision
from safeops.testing.stopping import refused_statement

IN_TRANSACTION = "cannot run inside a transaction block"
"""How PostgreSQL refuses a statement that commits itself."""
OLDER = """\
import pytest
import sqlalchemy as sa

@pytest.fixture(scope="session")
def safeops_older_tables():
    return lambda connection: connection.execute(sa.text("CREATE TABLE ..."))"""


def undisturbed_upgrade(kit: Kit, revision: Revision) -> Undisturbed:
    """Return what an undisturbed upgrade does; raise Untestable if it fails, which ``test_up_down_up`` reports."""
    try:
        return kit.undisturbed(revision)
    except Untestable:
        raise
    except Exception as error:
        raise Untestable(f"{revision} fails, undisturbed: {summary(error)}") from error


def place_of(revision: Revision, error: BaseException) -> str:
    """Return the file and the line of a revision that raised."""
    shown = Path(revision.path)
    return f"{shown.name}:{line_in(shown, error)}" if isinstance(error, Exception) else shown.name


def upgrade_failed(revision: Revision, error: BaseException, *, has_rows: bool = False) -> Failed:
    """Return the flaw of a revision whose upgrade fails, undisturbed."""
    said = summary(error)
    remedy = "If the rows of production are different, make such rows by the fixture safeops_rows." if has_rows else ""
    code = ""
    if not revision.down and not has_rows:
        remedy = "If it needs tables that are older than it, create them in conftest.py, as they were then:"
        code = OLDER
    if words_of(refused_statement(error))[:2] == ("CREATE", "EXTENSION"):
        remedy = "Name an empty database on a server that has it:"
        code = "pytest --safeops --safeops-url URL"
    if IN_TRANSACTION in said:
        remedy = "Send it outside of the transaction, as the helpers of safeops do:"
        code = "with op.get_context().autocommit_block():\n    ..."
    return Failed(
        f"{revision} cannot be run: upgrade() fails at {place_of(revision, error)}.",
        why="The database has sample rows, which meet the constraints of its tables." if has_rows else "",
        details=[said],
        remedy=remedy,
        code=code,
    )


def allowed_reason(revision: Revision, rule: str) -> str | None:
    """Return the reason of a comment in the file of a revision that accepts a rule: # safeops: allow RULE -- reason."""
    text = revision.path.read_text(encoding="utf-8", errors="replace")
    found = (match for match in ALLOWED.finditer(text) if match[2] and rule in names_of(match))
    return next((str(match[2]).strip() for match in found), None)


def is_lock_failure(trial: Trial, error: BaseException) -> bool:
    """Return whether a lock that was not given caused an error: a runner tries again after it."""

    def is_one(connection: Connection) -> bool:
        errors = database_on(connection).errors
        cause: BaseException | None = error
        while cause is not None:
            if isinstance(cause, LockNotAcquired) or (isinstance(cause, DBAPIError) and errors.is_lock_failure(cause)):
                return True
            cause = cause.__cause__ or cause.__context__
        return False

    return run_on_connection(trial.engine, is_one)
