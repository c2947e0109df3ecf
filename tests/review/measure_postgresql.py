"""Measures a statement on real servers: the locks that it holds afterwards, and what it scanned, built or rewrote."""

from __future__ import annotations

import threading
import time
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from tests.review.postgresql_examples import SETUP, Example
from tests.servers import Database

from safeops.databases.postgresql import PostgreSQL
from safeops.judging.operations import ADD_COLUMN, ADD_FOREIGN_KEY, ALTER_TABLE, CREATE_TABLE, SET_SESSION
from safeops.judging.postgresql import Facts, JudgedServer
from safeops.judging.postgresql.truths import LOCKS
from safeops.judging.schema import Schema
from safeops.judging.server import Session
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN, Truth, truth_of

FOREIGN_KEYS = (ADD_FOREIGN_KEY, ADD_COLUMN, ALTER_TABLE)
HEAVY = (CATALOGUE, NO_WORK, ROWS, SCAN, BUILD, REWRITE)

_LOCKED = """
SELECT l.relation::bigint, l.mode FROM pg_locks l
WHERE l.pid = {pid} AND l.locktype = 'relation' AND l.relation >= 16384"""
_TABLES = "SELECT oid::bigint, oid::regclass::text FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'p', 'm', 'v')"
_FILES = """
SELECT oid::bigint, relfilenode FROM pg_class WHERE oid >= 16384 AND relkind IN ('r', 'm') AND pg_relation_size(oid) > 0"""
_INDEXES = """
SELECT i.indrelid::bigint, array_agg(c.relfilenode) FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid
WHERE c.oid >= 16384 GROUP BY 1"""
_READ = "SELECT relid::bigint, seq_tup_read FROM pg_stat_xact_user_tables"


@dataclass
class Seen:
    """Of each table that was there before: its lock, as LOCKS names it, unless it was held before, and the work."""

    locks: dict[str, str]
    work: dict[str, str]
    held: dict[str, str] = field(default_factory=dict)


def prepared(database: Database) -> None:
    """Make the tables of the examples."""
    with database.observer(isolation_level="AUTOCOMMIT").connect() as connection:
        connection.exec_driver_sql("DROP ROLE IF EXISTS somebody")
        if database.version >= (15,):
            connection.exec_driver_sql("SET allow_in_place_tablespaces = on")
            if not _sent(connection, "SELECT FROM pg_tablespace WHERE spcname = 'beside'"):
                connection.exec_driver_sql("CREATE TABLESPACE beside LOCATION ''")
    database.execute(SETUP, "ANALYZE")


def measured(connection: sa.Connection, sql: str) -> Seen:
    """Run a statement in the transaction of a connection, and return what it did."""
    names, before = _asked(connection, _TABLES), _looked(connection)
    held = _strongest(_sent(connection, _LOCKED.format(pid="pg_backend_pid()")))
    _sent(connection, sql)
    locks = _strongest(_sent(connection, _LOCKED.format(pid="pg_backend_pid()")))
    now = _looked(connection)
    work = {name: _work(table, before, now) for table, name in names.items()}
    return Seen(_named(locks, names), work, _named(held, names))


def _asked(connection: sa.Connection, sql: str) -> dict[int, Any]:
    return dict(tuple(row) for row in _sent(connection, sql))


def _looked(connection: sa.Connection) -> tuple[dict[int, Any], ...]:
    return tuple(_asked(connection, sql) for sql in (_FILES, _INDEXES, _READ))


def _named(locks: dict[int, str], names: dict[int, str]) -> dict[str, str]:
    return {names[table]: lock for table, lock in locks.items() if table in names}


def _sent(connection: sa.Connection, sql: str) -> list[Any]:
    result = connection.exec_driver_sql(sql, execution_options={"no_parameters": True})
    return list(result.all()) if result.returns_rows else []


def _work(table: int, before: tuple[dict[int, Any], ...], now: tuple[dict[int, Any], ...]) -> str:
    # A file with nothing in it is what TRUNCATE makes, at no cost.
    if table in before[0] and table in now[0] and before[0][table] != now[0][table]:
        return REWRITE
    new = set(now[1].get(table, ())) - set(before[1].get(table, ()))
    was_read = (now[2].get(table) or 0) > (before[2].get(table) or 0)
    return BUILD if new and was_read else SCAN if was_read else CATALOGUE


def _strongest(rows: Any) -> dict[int, str]:
    found: dict[int, str] = {}
    for table, mode in rows:
        lock = "".join(f" {letter}" if letter.isupper() else letter for letter in mode.removesuffix("Lock"))
        lock = lock.strip().upper()
        if LOCKS.index(lock) > LOCKS.index(found.get(table, LOCKS[0])) or table not in found:
            found[table] = lock
    return found


def wanted(database: Database, sql: str, table: str) -> dict[str, str]:
    """Return the lock that a statement waits for, while another session holds one that lets only the weaker ones pass."""
    with database.engine(isolation_level="AUTOCOMMIT").connect() as waiting, database.engine().begin() as holding:
        pid = waiting.exec_driver_sql("SELECT pg_backend_pid()").scalar()
        waiting.exec_driver_sql("SET lock_timeout = '20s'")
        holding.exec_driver_sql(f"LOCK TABLE {table} IN SHARE UPDATE EXCLUSIVE MODE")
        thread = threading.Thread(target=lambda: waiting.exec_driver_sql(sql))
        thread.start()
        found = _first_wish(holding, pid)
        holding.rollback()
        thread.join()
    return found


def _first_wish(holding: sa.Connection, pid: int) -> dict[str, str]:
    deadline = time.monotonic() + 15
    while time.monotonic() < deadline:
        rows = _sent(holding, _LOCKED.format(pid=pid) + " AND NOT l.granted")
        if rows:
            return _named(_strongest(rows), _asked(holding, _TABLES))
        time.sleep(0.005)
    raise AssertionError("it waits for no table")


# What the truths state -----------------------------------------------------------------------------------------------


@dataclass
class Told:
    """The truths that apply to a statement, with the lock and the work for each table."""

    truths: list[Truth] = field(default_factory=list)
    locks: dict[str, str] = field(default_factory=dict)
    work: dict[str, str] = field(default_factory=dict)
    looked_up: set[str] = field(default_factory=set)

    def add(self, table: str, lock: str, work: str) -> None:
        """Keep the strongest lock and the heaviest work of each table."""
        self.locks[table] = max(self.locks.get(table, LOCKS[0]), lock, key=LOCKS.index)
        self.work[table] = max(self.work.get(table, CATALOGUE), work, key=HEAVY.index)


def told(connection: sa.Connection, version: int, example: Example) -> Told:
    """Return the truths about an example, with the facts of the server itself."""
    ours = PostgreSQL(connection.dialect, lambda: connection)
    judged = JudgedServer(ours)
    schema, session = Schema(Facts(ours), "public"), Session("psycopg", {})
    for operation in judged.parse(example.before):
        # Only the statements before it show the settings of the session, and what is new.
        if operation.name is not None and operation.kind == SET_SESSION:
            session.settings[operation.name] = operation.expression or ""
        if operation.kind == CREATE_TABLE:
            schema.apply([operation], new=True)
    result = Told()
    for operation in judged.parse(example.sql):
        seen = judged.with_facts(operation, schema, session)
        truth = truth_of(seen, judged.truths, "PostgreSQL", (version,))
        assert truth is not None, f"nothing is true of {seen}"
        result.truths.append(truth)
        for effect in (one for one in truth.effects if one.on != "index"):
            for table in judged.tables_of(effect.on, seen, schema):
                result.add(str(table).removeprefix("public."), effect.lock, effect.work)
        result.looked_up |= {str(seen.other)} if seen.kind in FOREIGN_KEYS else set()
        schema.apply([operation], new=True)
    return result


def differences(seen: Seen, said: Told) -> list[str]:
    """Return the mistakes in the truths."""
    found = []
    for table in sorted({*seen.locks, *(set(said.locks) & set(seen.work))}):
        lock, expected = seen.locks.get(table, LOCKS[0]), said.locks.get(table, LOCKS[0])
        if lock != expected and seen.held.get(table) != lock:
            found.append(f"{table}: {lock}, not {expected}")
        work, wanted_work = seen.work.get(table, CATALOGUE), said.work.get(table, CATALOGUE)
        # Reads under a weak lock, what changes rows, and how a foreign key is looked up depend on the plan.
        free = wanted_work in (NO_WORK, ROWS) or LOCKS.index(lock) < 2 or (table in said.looked_up and work == SCAN)
        if seen.work and work != wanted_work and not free:
            found.append(f"{table}: {work}, not {wanted_work}")
    return found
