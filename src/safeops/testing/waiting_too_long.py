"""The message about a statement that makes others wait too long, with what to write instead."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING

from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.execution.guarding import missing_parsers
from safeops.naming import Code, call
from safeops.rehearse.in_place import changed_table
from safeops.rehearse.waits import shortened
from safeops.testing.bounds import Bounds
from safeops.testing.failing import Failed
from safeops.testing.remedies import replacement_on
from safeops.testing.touched import ASSIGNED

if TYPE_CHECKING:
    from safeops.testing.kit import Kit
    from safeops.testing.project import Revision

LONGER = (
    "This timeout is set by env.py, the revision, the role or the server, and configure() keeps it. Remove it, or write"
    " before the statement:"
)


@dataclass(frozen=True)
class Flaw:
    """A statement that makes others wait too long.

    Args:
        sql: The statement.
        table: The table, or the tables, that it waits for.
        lock: The lock, as the server names it; empty if that is not known.
        reads: Seconds that a read of the table waited.
        writes: Seconds that a write of another row waited.
        declared: The bound of its session, in seconds; None if there is none.
        limit: Seconds that others may wait.
    """

    sql: str
    table: str
    lock: str
    reads: float
    writes: float
    declared: float | None
    limit: float

    @property
    def is_about_rows(self) -> bool:
        """Whether it waits for a row, which holds up only writes of others."""
        return not self.lock and self.holds_up_writes_only

    @property
    def holds_up_writes_only(self) -> bool:
        """Whether reads pass it."""
        return self.reads < self.writes / 2


def waits_too_long(kit: Kit, revision: Revision, flaw: Flaw) -> Failed:
    """Return the failure that names the statement, its lock, and what to write instead."""
    waiters = [f"{what} waited {seconds:.1f} s" for what, seconds in (("a read", flaw.reads), ("a write", flaw.writes))]
    bound = (
        f"It gives up after {flaw.declared:g} s only"
        if flaw.declared is not None
        else "It waits until that transaction ends, however long that takes"
    )
    lock = f"It needs {flaw.lock} on {flaw.table}. " if flaw.lock else ""
    queue = f"every later {'write to' if flaw.holds_up_writes_only else 'statement on'} the table queues behind it"
    if flaw.is_about_rows:
        queue = "every write of a row that it has changed already waits behind it"
    remedy, code = _instead(kit, revision, flaw)
    return Failed(
        f"Revision {revision.revision} makes others wait for {flaw.table} for as long as one open transaction uses it.",
        why=f"{lock}{bound}, and {queue}.",
        details=[
            f"the statement: {shortened(flaw.sql)}",
            f"a session held {flaw.table} until the test ended it: {', '.join(waiters)} (lock timeout: {flaw.limit:g} s)",
        ],
        remedy=remedy,
        code=code,
    )


def waits_for_file(revision: Revision, bound: float, limit: float) -> Failed:
    """Return the failure of a connection to SQLite that waits long for the file."""
    return Failed(
        f"Revision {revision.revision} waits up to {bound:g} s for the file of the database.",
        why="While SQLite waits to write, it lets no new reader in: all wait as long as the oldest reader reads. The"
        f" lock timeout is {limit:g} s.",
        remedy="Bound the waiting in env.py, also of plain op.* calls:",
        code=f"configure(lock_timeout={limit:g})",
    )


def _instead(kit: Kit, revision: Revision, flaw: Flaw) -> tuple[str, str]:
    """Return what to write instead of a statement, and the sentence that introduces it."""
    table = changed_table(flaw.sql, "UPDATE") if flaw.is_about_rows else None
    if table is not None:
        values = {name: Code("sa.text(...)") for name in ASSIGNED.findall(flaw.sql)}
        batches = "Change the rows in short batches, each of which is committed and waits for its rows briefly:"
        return batches, call("backfill", table.name, values, where=True, schema=table.schema)
    with kit.before(revision) as trial:
        found, own = run_on_connection(trial.engine, lambda connection: _found(connection, flaw.sql, kit.lock_timeout))
    if found:
        return "Write this instead: it gives up after the lock timeout, lets the others pass, and tries again:", found
    if flaw.declared is not None:
        return LONGER, f'op.execute("{own}")'
    return (
        "Bound the waiting of all revisions in env.py; a statement that gives up is then tried again:",
        f'configure(lock_timeout={kit.lock_timeout:g})\n\n# or in the revision, before the statement:\nop.execute("{own}")',
    )


def _found(connection: Connection, sql: str, seconds: float) -> tuple[str, str]:
    """Return the call of safeops for a statement, empty if there is none, and the statement that bounds a plain one."""
    own = Bounds.of(database_on(connection)).code(seconds)
    if not missing_parsers():
        with suppress(Exception):
            return replacement_on(connection, sql), own
    return "", own
