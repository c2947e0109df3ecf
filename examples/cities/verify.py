"""What must be true at the end: of the schema, of every row, and of every write."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from app import FIRST_NEW_ID, Application
from load import POPULATION, Places, Row, cities, countries, stored_rows

territories = countries.to_metadata(sa.MetaData(), name="territories")
"""The countries as they are called at head; the capitals are in an archive then."""

LONGEST_WAIT = 2.0
"""Seconds that a write may wait on PostgreSQL: the lock timeout set in env.py, and some for a busy machine."""


def schema_of(engine: sa.Engine) -> dict[str, Any]:
    """The definitions of all tables and named types, in a comparable form."""
    inspector: Any = sa.inspect(engine)
    types = inspector.get_enums() if engine.name == "postgresql" else []
    tables = [name for name in inspector.get_table_names() if not name.startswith(("alembic_", "safeops_"))]
    return {"types": types} | {table: _table(inspector, table) for table in tables}


def countries_as_loaded(engine: sa.Engine, places: Places) -> bool:
    """Whether every column of every country is as it was loaded; true at base."""
    with engine.connect() as connection:
        return stored_rows(connection, countries) == places.countries


def claims_about_rows(engine: sa.Engine, places: Places, application: Application) -> dict[str, bool]:
    """What is claimed of the rows, and whether it is true; every row is compared."""
    with engine.connect() as connection:
        return {
            f"all {len(places.countries)} countries are as they were loaded": _territories(connection, places),
            f"all {len(places.cities):,} cities, and {len(application.added):,} added, are as last written": (
                stored_rows(connection, cities) == _as_written(places, application)
            ),
            "every loaded city has its name in lower case": _small_names(connection),
            "the source of loaded cities is geonames, that of new ones is app": _sources_told_apart(connection, places),
        }


def claims_about_writes(engine: sa.Engine, application: Application) -> dict[str, bool]:
    """What is claimed of the application's writes, and whether it is true."""
    claims = {"no write failed": bool(application.writes) and application.failure is None}
    if engine.name == "postgresql" and application.writes:
        claims[f"no write waited for {LONGEST_WAIT:.0f} s"] = application.longest.wait < LONGEST_WAIT
    return claims


def _territories(connection: sa.Connection, places: Places) -> bool:
    kept = [column for column in territories.c if column.name != "capital"]
    loaded = [dict(zip(territories.c.keys(), row, strict=True)) for row in places.countries.values()]
    wanted = {tuple(row[column.name] for column in kept) for row in loaded}
    return {tuple(row) for row in connection.execute(sa.select(*kept))} == wanted


def _as_written(places: Places, application: Application) -> dict[int, Row]:
    known = places.cities | application.added
    return {number: _grown(city, application.grown[number]) for number, city in known.items()}


def _grown(city: Row, growth: int) -> Row:
    return (*city[:POPULATION], city[POPULATION] + growth, *city[POPULATION + 1 :])


def _sources_told_apart(connection: sa.Connection, places: Places) -> bool:
    source = sa.column("source", sa.String)
    loaded = sa.select(sa.func.count()).select_from(cities).where(source == "geonames")
    newest = sa.select(source).select_from(cities).order_by(cities.c.id.desc()).limit(1)
    return (connection.scalar(loaded) or 0) >= len(places.cities) and connection.scalar(newest) == "app"


def _small_names(connection: sa.Connection) -> bool:
    small = sa.column("small_name", sa.String)
    without = small.is_(None) | (small != sa.func.lower(cities.c.name))
    loaded = sa.select(sa.func.count()).select_from(cities).where(cities.c.id < FIRST_NEW_ID, without)
    return connection.scalar(loaded) == 0


def _table(inspector: sa.Inspector, table: str) -> dict[str, Any]:
    return {
        # By name: on PostgreSQL a column that was dropped and restored comes last.
        "columns": _by_name({**column, "type": repr(column["type"])} for column in inspector.get_columns(table)),
        "primary key": inspector.get_pk_constraint(table),
        "indexes": _by_name(inspector.get_indexes(table)),
        "foreign keys": _by_name(inspector.get_foreign_keys(table)),
        "checks": _by_name(inspector.get_check_constraints(table)),
        "unique": _by_name(inspector.get_unique_constraints(table)),
    }


def _by_name(things: Any) -> dict[str | None, Any]:
    return {thing["name"]: thing for thing in things}
