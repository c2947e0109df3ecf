"""Runs a revision against the live database: its reads run there, its writes are only recorded."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import sqlalchemy as sa
from alembic.script import Script
from sqlalchemy.engine import Connection
from sqlalchemy.exc import DBAPIError

from safeops.databases import sqltext
from safeops.databases.base import Database
from safeops.databases.driver_text import send_again
from safeops.databases.statements import Kind, allows_writes, kind_of, words_of
from safeops.judging.schema import Schema
from safeops.judging.sent import Recording
from safeops.review.answers import AGAIN, MadeUpAnswers
from safeops.review.connection import Answer
from safeops.review.runs import Environment, Rung

MOST_ROWS = 2_500
"""The limit on the rows of a query: enough for a mass update, if the revision sends a statement for each."""
ACTING = (
    *("PG_ADVISORY", "PG_TRY_ADVISORY", "PG_TERMINATE", "PG_CANCEL", "PG_SLEEP", "PG_RELOAD", "PG_ROTATE", "PG_NOTIFY"),
    *("PG_SWITCH", "PG_PROMOTE", "PG_LOGICAL", "PG_REPLICATION", "PG_CREATE", "PG_DROP", "PG_WAL", "PG_FILE", "LO_"),
    *("DBLINK", "SET_CONFIG", "GET_LOCK", "RELEASE_LOCK", "RELEASE_ALL_LOCKS", "SLEEP", "BENCHMARK", "LOAD_EXTENSION"),
)
"""Prefixes of functions that have an effect even in a read-only transaction."""


def record_live(environment: Environment, database: Database, script: Script, schema: Schema) -> Recording:
    """Return what a revision sends when it reads the live database.

    Args:
        environment: The environment of env.py.
        database: The live database, in a session that only reads.
        script: A revision that it has not had.
        schema: What exists before it.
    """
    connection = database.connection
    rung = Rung(
        replace(environment, dialect=connection.dialect),
        "live",
        lambda made_up: LiveAnswers(connection, made_up),
        sa.inspect(connection),
    )
    return rung.record(script, schema)


class LiveAnswers:
    """Answers queries from the live database; other statements, and failed queries, with made-up rows.

    Args:
        connection: The connection to it, in a session that only reads.
        made_up: Answers the statements that do not run there.
    """

    def __init__(self, connection: Connection, made_up: MadeUpAnswers) -> None:
        self._connection, self._made_up = connection, made_up
        self._asked: Counter[tuple[str, str]] = Counter()

    def answer(self, sql: str, parameters: Any, columns: Sequence[tuple[str, Any]]) -> Answer:
        """Return what a statement returns; ``columns`` are those that SQLAlchemy expects, with their types."""
        if kind_of(sql) is not Kind.READS or allows_writes(sql) or _acts(sql):
            return self._made_up.answer(sql, parameters, columns)
        self._asked[sql, repr(parameters)] += 1
        if self._asked[sql, repr(parameters)] > AGAIN:
            # A loop that ends once its own statements, which are not sent, have worked.
            return self._made_up.none_of(sql, columns)
        try:
            return self._read(sql, parameters)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            # As for a column that the revision has just added.
            return self._made_up.answer(sql, parameters, columns)

    def _read(self, sql: str, parameters: Any) -> Answer:
        try:
            return self._fetched(_limited(sql), parameters)
        except DBAPIError as error:
            if error.connection_invalidated:
                raise
            return self._fetched(sql, parameters)

    def _fetched(self, sql: str, parameters: Any) -> Answer:
        with send_again(self._connection, sql, parameters) as result:
            if not result.returns_rows:
                return Answer(is_real=True)
            return Answer(list(result.keys()), [tuple(row) for row in result.fetchmany(MOST_ROWS)], is_real=True)


def _acts(sql: str) -> bool:
    return any(word.startswith(ACTING) for word in words_of(sql))


def _limited(sql: str) -> str:
    """Return a query with a limit on its rows; other statements unchanged."""
    words = words_of(sql)
    if words[:1] not in (("SELECT",), ("WITH",)) or "FROM" not in words or ";" in words[:-1]:
        return sql
    plain = sqltext.without_comments(sql).rstrip().rstrip(";")
    return f"SELECT * FROM ({plain}\n) AS safeops_read LIMIT {MOST_ROWS}"
