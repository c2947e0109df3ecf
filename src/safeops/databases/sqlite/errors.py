"""What the errors of SQLite mean."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.databases import server_errors
from safeops.databases.server_errors import Kind
from safeops.databases.sqlite.session import KINDS, LOCK_FAILURES
from safeops.databases.steps import Step

CAME = ("already exists", "duplicate column name")

LOCKED = ("database is locked", "database table is locked", "database schema is locked")


class ServerErrors(server_errors.ServerErrors):
    """Tells by their codes."""

    def kind_of(self, error: DBAPIError) -> Kind:
        if error.connection_invalidated:
            return "lost"
        code = getattr(error.orig, "sqlite_errorcode", None)
        # Python 3.10 does not tell the code.
        if code is None:
            return "violation" if isinstance(error, sa.exc.IntegrityError) else "other"
        return KINDS.get(code) or KINDS.get(code & 0xFF, "other")

    def is_lock_failure(self, error: BaseException) -> bool:
        original = getattr(error, "orig", None) or error
        code = getattr(original, "sqlite_errorcode", None)
        # Python 3.10 does not tell the code.
        return str(original).startswith(LOCKED) if code is None else code & 0xFF in LOCK_FAILURES

    def is_race(self, error: BaseException, step: Step) -> bool:
        said = str(getattr(error, "orig", None) or error)
        return any(one in said for one in CAME) or ("DROP " in step.sql and "no such" in said)

    def is_violation(self, error: BaseException) -> bool:
        return isinstance(error, sa.exc.IntegrityError)
