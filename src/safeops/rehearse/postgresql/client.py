"""PostgreSQL: values are texts, which the server reads as the type of their place; statements are prepared or not."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

from safeops.databases.postgresql.types import sqlstate
from safeops.naming import Name
from safeops.rehearse.traffic import client
from safeops.rehearse.traffic.client import Row, Session
from safeops.rehearse.traffic.sql import Statement


class Client(client.Client):
    """A session whose waiting ends when its client has ended, and whose texts do not depend on the settings of a role."""

    drivers = ("psycopg", "psycopg2")
    session = (
        "SET application_name = 'safeops traffic {name}'",
        "SET client_connection_check_interval = '1s'",
        "SET standard_conforming_strings = on",
        "SET DateStyle = 'ISO'",
        "SET IntervalStyle = 'postgres'",
        "SET extra_float_digits = 1",
        "SET bytea_output = 'hex'",
    )
    prepares = True
    returns_key = True
    given_key = " OVERRIDING SYSTEM VALUE"
    effects = (
        "SELECT 1 FROM pg_catalog.pg_trigger WHERE tgrelid = {table}::regclass AND NOT tgisinternal UNION ALL"
        " SELECT 1 FROM pg_catalog.pg_constraint WHERE confrelid = {table}::regclass AND contype = 'f'"
        " AND (confupdtype IN ('c', 'n', 'd') OR confdeltype IN ('c', 'n', 'd'))"
    )

    def column(self, name: str) -> str:
        return f"{self.quoted(name)}::text"

    def typed(self, parameter: Any, type_: str) -> list[Any]:
        return ["CAST(", parameter, f" AS {type_})"]

    def opened(self, session: Session) -> None:
        # What psycopg 3 prepares after some repetitions is not what an application prepares.
        if hasattr(session.driver_connection, "prepare_threshold"):
            session.driver_connection.prepare_threshold = None

    def execute(self, session: Session, statement: Statement, values: Row, *, prepared: bool) -> Any:
        # First, since a new connection has nothing prepared.
        cursor = session.driver_connection.cursor()
        literals = [_literal(value) for value in values]
        if prepared:
            arguments = f"({', '.join(literals)})" if literals else ""
            cursor.execute(f"EXECUTE {self._prepared(session, statement)}{arguments}")
        else:
            cursor.execute(statement.rendered(literals.__getitem__))
        return cursor

    def can_prepare(self, session: Session, statement: Statement) -> bool:
        session.connect()
        try:
            self._prepared(session, statement)
        except Exception:
            session.recover()
            return False
        return True

    def _prepared(self, session: Session, statement: Statement) -> str:
        # By PREPARE and EXECUTE it is the same with each driver.
        name = session.prepared.get(statement)
        if name is None:
            name = f"safeops_traffic_{len(session.prepared)}"
            text = statement.rendered(lambda place: f"${place + 1}")
            session.driver_connection.cursor().execute(f"PREPARE {name} AS {text}")
            session.prepared[statement] = name
        return name

    def code_of(self, error: Exception) -> str:
        return sqlstate(error) or ""

    def forget_prepared(self, session: Session) -> None:
        if session.prepared:
            session.driver_connection.cursor().execute("DEALLOCATE ALL")
            session.prepared = {}

    def written(self, session: Session, table: Name) -> dict[Name, int]:
        counted = "n_tup_ins + n_tup_upd + n_tup_del"
        rows = session.rows(
            f"SELECT schemaname, relname, {counted} FROM pg_catalog.pg_stat_xact_user_tables WHERE {counted} > 0"
            f" AND relid <> {self.literal(self.quoted_table(table))}::regclass"
        )
        return {Name(name, schema): number for schema, name, number in rows}

    def cancel(self, session: Session) -> None:
        with suppress(Exception):
            session.driver_connection.cancel()


def _literal(value: Any) -> str:
    if value is None or isinstance(value, (int, float)):
        return "NULL" if value is None else repr(value)
    doubled = str(value).replace("'", "''")
    return f"'{doubled}'"
