"""Databases on PostgreSQL: a clone is made of a template."""

from __future__ import annotations

from safeops.runner.temporary_database import TemporaryDatabases
from safeops.testing import places

NUMBERS = """SELECT nextval(format('%I.%I', schemaname, sequencename)::regclass)
  FROM pg_sequences CROSS JOIN generate_series(1, {taken})
  WHERE coalesce(last_value, start_value)::numeric + {taken} * increment_by BETWEEN min_value AND max_value"""
HASTY = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off", "autovacuum": "off"}


class Databases(places.Databases):
    """By ``CREATE DATABASE ... TEMPLATE``."""

    drivers = ("psycopg", "psycopg2", "pg8000")

    def create(self, name: str) -> str:
        return TemporaryDatabases.of(self.database).create(name)

    def clone(self, source: str, name: str) -> str:
        TemporaryDatabases.of(self.database).copy(source, name)
        return name

    def drop(self, database: str) -> None:
        TemporaryDatabases.of(self.database).drop(database)

    def end_sessions(self, database: str) -> None:
        TemporaryDatabases.of(self.database).end_sessions(database)

    def take_numbers(self) -> None:
        self.read(NUMBERS.format(taken=places.TAKEN))

    def hasten(self) -> None:
        for name, value in HASTY.items():
            self.run(f"ALTER SYSTEM SET {name} = {value}")
        self.run("SELECT pg_reload_conf()")
