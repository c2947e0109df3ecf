"""What one runner at a time is kept by, as text: releases that differ in it would migrate side by side."""

from __future__ import annotations

import sqlite3
from contextlib import closing

from tests.servers import Database

from safeops import migration_lock


def lock_of(database: Database) -> str:
    """Takes the lock, and describes it."""
    with database.engine().connect() as connection, migration_lock(connection):
        looked = {"postgresql": _postgresql, "mysql": _mysql, "sqlite": _sqlite}[database.kind](database)
    return f"== runner lock\n{looked}\n\n"


def _postgresql(database: Database) -> str:
    sql = """SELECT classid, objid, objsubid FROM pg_locks WHERE locktype = 'advisory'
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
    return f"advisory lock {database.query(sql)}"


def _mysql(database: Database) -> str:
    name = f"safeops:migration_lock_{database.name}"
    (held,) = database.query(f"SELECT IS_USED_LOCK('{name}') IS NOT NULL")
    assert held == (1,)
    return "GET_LOCK('safeops:migration_lock_<database>')"


def _sqlite(database: Database) -> str:
    with closing(sqlite3.connect(f"{database.name}.safeops-lock")) as own:
        tables = own.execute("SELECT sql FROM sqlite_master").fetchall()
        rows = own.execute("SELECT count(*) FROM holder").fetchall()
    return f"<database>.safeops-lock: {tables}, rows {rows}"
