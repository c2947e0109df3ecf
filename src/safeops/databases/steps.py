"""One statement of a plan: what it does, what it locks and for how long. The databases plan, ``execution`` executes."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeAlias
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Dialect

from safeops import _sqlalchemy
from safeops.naming import Name
from safeops.planned import Effect, Lock

if TYPE_CHECKING:
    from safeops.databases import Database


@dataclass
class WhileEmpty:
    """That a table has no rows, on which a step relies: the server looks again under its lock.

    If it has rows by then the step does nothing, ``has_rows`` is True, and its plan continues in another way.
    """

    table: Name
    has_rows: bool = False


@dataclass(frozen=True)
class Step:
    """One statement.

    Args:
        sql: The statement, ready for the driver: no parameters, no doubled percent signs.
        does: What is true afterwards, for the log: "added column users.email".
        locks: The tables whose lock it waits for; they name the blockers when it gives up.
        lock: How it locks them; None is the strongest lock of the database.
        then: Further statements of the same transaction.
        effect: What it makes that a later step may need.
        loses: It drops what cannot be restored.
        may_rewrite: It rewrites or scans the table under its lock, if the author has assured that this is fine.
        caveat: What may keep it from working, as the end of ``does``.
        skips_partitions: It locks no partition of its tables.
        constant_time: Its duration does not depend on the rows of the table.
        tidies: It removes leftovers of an interrupted run, if there are any: neither the log nor a message lists it.
        scans: It reads or builds for long under locks that let reads and writes through, so no statement timeout
            cuts it short.
        waits_inside: It waits for other transactions in the middle of its work, so no lock timeout cuts it short;
            a watcher bounds that waiting instead.
        outside_transaction: The server refuses it inside a transaction block.
        offline: The guarded spelling for ``--sql``; None if ``sql`` is guarded itself.
        cleanup: What to run when it fails, before trying again or giving up.
        needed_if: A condition on the server; the step is skipped if it is false when its turn comes.
        while_empty: The table that must have no rows: then the statement is brief, and none that works online is needed.
        leaves: What remains if a cleanup fails, for the message.
        when_assured: The statement to run inside ``assured(...)`` if the server refuses the online ones; without it that
            is UnsafeOperation.
        alternatives: Other online spellings to try in turn if the server refuses ``sql``.
        variables: Session variables and their values, in force for this statement alone.
        finds_violations: It is a query for rows that break what was done: one is a violation, and ``then`` undoes it.
        undoes: The step before that ``then`` undoes.
    """

    sql: str
    does: str = ""
    locks: tuple[Name, ...] = ()
    then: tuple[str, ...] = ()
    scans: bool = False
    waits_inside: bool = False
    outside_transaction: bool = False
    offline: str | None = None
    cleanup: tuple[Step, ...] = ()
    needed_if: str | None = None
    while_empty: WhileEmpty | None = None
    leaves: str = ""
    when_assured: str | None = None
    alternatives: tuple[str, ...] = ()
    variables: tuple[tuple[str, str], ...] = ()
    finds_violations: bool = False
    undoes: Step | None = None
    lock: Lock | None = None
    effect: Effect | None = None
    loses: bool = False
    may_rewrite: bool = False
    caveat: str = ""
    skips_partitions: bool = False
    constant_time: bool = False
    tidies: bool = False

    @property
    def reads_rows(self) -> bool:
        """Its duration grows with the rows of its table."""
        return self.scans and not self.constant_time

    def execute(self, database: Database) -> bool:
        """Send the step, several statements in one transaction; return False if it is no longer needed."""
        if self.needed_if is not None and not database.scalar(f"SELECT {self.needed_if}"):
            return False
        if not self.then:
            database.run(self.sql)
            return True
        with database.transaction():
            for sql in (self.sql, *self.then):
                database.run(sql)
        return True


Plan: TypeAlias = Iterator[Step]


FACTS = ("server_version_info", "is_mariadb", "default_schema_name", "supports_sequences")
"""What a dialect knows of its server."""


def rendering_dialect(dialect: Dialect) -> Dialect:
    """Return a dialect that compiles to the SQL that the server reads, without the driver's doubled percent signs."""
    own: Any = type(dialect)
    copy = own(paramstyle="named")
    for attribute in FACTS:
        if hasattr(dialect, attribute):
            setattr(copy, attribute, getattr(dialect, attribute))
    _sqlalchemy.copy_backslashes(dialect, copy)
    copy.identifier_preparer = copy.preparer(copy)
    copy.statement_compiler = _sqlalchemy.closed_compiler(own.statement_compiler)
    return copy  # type: ignore[no-any-return]


_copies: WeakKeyDictionary[Dialect, tuple[tuple[object, ...], Dialect]] = WeakKeyDictionary()


def kept_rendering_dialect(dialect: Dialect) -> Dialect:
    """Return the same copy each time, with the types that it has compiled, until the dialect is changed."""
    facts = tuple(getattr(dialect, attribute, None) for attribute in FACTS)
    if dialect not in _copies or _copies[dialect][0] != facts:
        _copies[dialect] = facts, rendering_dialect(dialect)
    return _copies[dialect][1]


def ddl_compiler(dialect: Dialect) -> Any:
    """Return what renders the parts of CREATE TABLE: columns, constraints, defaults."""
    return dialect.ddl_compiler(dialect, None)  # type: ignore[arg-type]


def rendered(construct: Any, dialect: Dialect, **options: Any) -> str:
    """Compile a construct to the SQL that the server reads, with its values in it."""
    compiled = construct.compile(dialect=dialect, compile_kwargs={"literal_binds": True, **options})
    return str(compiled).strip()
