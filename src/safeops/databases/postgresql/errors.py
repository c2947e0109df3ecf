"""What the errors of PostgreSQL mean."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from safeops.databases import server_errors
from safeops.databases.postgresql.session import CANCELLED, DEPENDENT, GONE, KINDS, LOCK_FAILURES, VIOLATIONS
from safeops.databases.postgresql.spelling import sqlstate
from safeops.databases.server_errors import Kind
from safeops.databases.steps import Step

# A duplicate and an undefined table, column and other object.
CAME = {"42P07", "42701", "42710"}

# The session was ended: by an administrator, a crash, or a timeout of its own.
ENDED = {"57P01", "57P02", "57P03", "57P05", "25P03", "25P04"}

# An index that a constraint has already, or that is not valid yet.
NOT_READY = "55000"

UNCONVERTIBLE = "42804"


class ServerErrors(server_errors.ServerErrors):
    """Tells by their codes."""

    def kind_of(self, error: DBAPIError) -> Kind:
        code = sqlstate(error) or ""
        if error.connection_invalidated or code in ENDED:
            return "lost"
        return KINDS.get(code) or KINDS.get(code[:2], "other")

    def is_lock_failure(self, error: BaseException) -> bool:
        return sqlstate(error) in LOCK_FAILURES

    def is_cut_short(self, error: BaseException) -> bool:
        return sqlstate(error) == CANCELLED

    def is_race(self, error: BaseException, step: Step) -> bool:
        # Other statements may name things of the author's own that never were.
        needs_it = "DROP " in step.sql or "VALIDATE " in step.sql
        attaches = any(" USING INDEX " in sql for sql in (step.sql, *step.then))
        code = sqlstate(error)
        return code in CAME or (needs_it and code in GONE) or (attaches and code == NOT_READY)

    def is_violation(self, error: BaseException) -> bool:
        return sqlstate(error) in VIOLATIONS

    def is_dependency(self, error: BaseException) -> bool:
        return sqlstate(error) == DEPENDENT

    def is_unconvertible(self, error: BaseException) -> bool:
        return sqlstate(error) == UNCONVERTIBLE
