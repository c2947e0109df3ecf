"""Reads the live database for a review: what exists, how many rows there are, and which revisions it has had."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection
from sqlalchemy.pool import NullPool

from safeops.databases import Database, database_on
from safeops.databases.connections import check_host, run_on_connection
from safeops.errors import InvalidArgument
from safeops.judging.existing import Facts
from safeops.naming import Name
from safeops.review.before import Live
from safeops.review.reads import record_live
from safeops.review.runs import Environment
from safeops.review.stats import Stats
from safeops.runner.environment import VERSION_OPTIONS, current_on, explaining_errors, refuse_missing
from safeops.runner.revisions import unknown_revisions

T = TypeVar("T")


def reading(url: str, environment: Environment, body: Callable[[Database, Live], T]) -> T:
    """Run ``body`` with the live database at a URL, in a session that only reads.

    Args:
        url: The URL.
        environment: The environment of env.py.
        body: Gets the database and its facts.

    Raises:
        InvalidArgument: The URL cannot be read.
        Unreachable: No server answers there, or there is no such database.
    """

    def read(connection: Connection) -> T:
        database = database_on(connection)
        with database.read_only_session():
            applied = frozenset(_applied(connection, environment))
            home = connection.dialect.default_schema_name
            record = partial(record_live, environment, database)
            return body(database, Live(Facts.of(database), home, applied, record))

    with explaining_errors():
        return run_on_connection(_engine(url), read)


def _engine(url: str) -> sa.Engine:
    try:
        parsed = sa.make_url(url)
    except sa.exc.ArgumentError as error:
        raise InvalidArgument(
            "--url is not a database URL.",
            remedy="Write it as an SQLAlchemy URL:",
            code="--url postgresql+psycopg://reader@db/app",
        ) from error
    check_host(parsed)
    engine = sa.create_engine(parsed, poolclass=NullPool, hide_parameters=True)
    sa.event.listen(
        engine, "do_connect", lambda dialect, _, arguments, named: refuse_missing(dialect, arguments, named)
    )
    return engine


def applied_at(url: str, environment: Environment) -> frozenset[str]:
    """Return the revisions that the database at a URL has had."""
    return reading(url, environment, lambda _, live: live.applied)


def _applied(connection: Connection, environment: Environment) -> set[str]:
    options = {name: environment.options[name] for name in VERSION_OPTIONS if environment.options.get(name)}
    current, script = current_on(connection, options), environment.script
    known = tuple(set(current) - set(unknown_revisions(script, current)))
    return {one.revision for one in script.iterate_revisions(known, "base")} if known else set()


def counted(database: Database, live: Live) -> Stats:
    """Return how many rows each table has, as far as the server knows."""
    inspector = sa.inspect(database.connection)
    rows: dict[str, int] = {}
    for schema in _schemas(database, inspector):
        for table in inspector.get_table_names(schema):
            found = live.facts.table(Name(table, schema).at(live.home))
            if found is not None and found.rows is not None:
                rows[str(Name(table, schema))] = found.rows
    return Stats(rows)


def _schemas(database: Database, inspector: sa.Inspector) -> list[str | None]:
    # If a schema is a database, its name can differ between the servers of a project.
    if database.abilities.schema_is_database:
        return [None]
    return [name for name in inspector.get_schema_names() if name != "information_schema"]
