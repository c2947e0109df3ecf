"""Databases on PostgreSQL: a clone is made of a template."""

from __future__ import annotations

import time

from sqlalchemy.exc import DBAPIError

from safeops.runner.temporary_database import TemporaryDatabases
from safeops.testing import places

IN_USE = "55006"
OTHERS = (
    "SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity"
    " WHERE datname = {name} AND pid <> pg_backend_pid() AND backend_type = 'client backend'"
)
NUMBERS = """SELECT nextval(format('%I.%I', schemaname, sequencename)::regclass)
  FROM pg_sequences CROSS JOIN generate_series(1, {taken})
  WHERE coalesce(last_value, start_value)::numeric + {taken} * increment_by BETWEEN min_value AND max_value"""
HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}
SECONDS = 10.0


class Databases(places.Databases):
    """By ``CREATE DATABASE ... TEMPLATE``."""

    drivers = ("psycopg", "psycopg2", "pg8000")

    def create(self, name: str) -> str:
        return TemporaryDatabases.of(self.database).create(name)

    def clone(self, source: str, name: str) -> str:
        # Copying the files needs a checkpoint, which is quick only if nothing is flushed.
        quick = self.scalar(
            "SELECT current_setting('fsync') = 'off' AND current_setting('server_version_num')::int >= 150000"
        )
        strategy = " STRATEGY file_copy" if quick else ""
        sql = f"CREATE DATABASE {self.quoted(name)} TEMPLATE {self.quoted(source)}{strategy}"
        try:
            self.run(sql)
        except DBAPIError as error:
            if getattr(error.orig, "sqlstate", getattr(error.orig, "pgcode", None)) != IN_USE:
                raise
            # env.py may have left a session in a pool.
            self.end_sessions(source)
            self.run(sql)
        return name

    def drop(self, database: str) -> None:
        TemporaryDatabases.of(self.database).drop(database)

    def end_sessions(self, database: str) -> None:
        deadline = time.monotonic() + SECONDS
        while self.scalar(OTHERS.format(name=self.literal(database))) and time.monotonic() < deadline:
            time.sleep(0.01)

    def take_numbers(self) -> None:
        self.read(NUMBERS.format(taken=places.TAKEN))

    def hasten(self) -> None:
        for name, value in HASTY.items():
            self.run(f"ALTER SYSTEM SET {name} = {value}")
        self.run("SELECT pg_reload_conf()")
