"""What must be true at the end: of the schema, of every row, and of every write."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from app import FIRST_NEW_ID, Application
from load import POPULATION, Places, Row, cities, countries, legacy, stored_rows

LONGEST_WAIT = 2.0
"""Seconds that a write may wait on PostgreSQL: the lock timeout set in env.py, and some for a busy machine."""


def schema_of(engine: sa.Engine) -> dict[str, Any]:
    """All that the database says of the two tables, and its named types, in a form that compares."""
    inspector: Any = sa.inspect(engine)
    types = inspector.get_enums() if engine.name == "postgresql" else []
    return {"types": types} | {table: _table(inspector, table) for table in legacy.tables}


def claims_about_rows(engine: sa.Engine, places: Places, application: Application) -> dict[str, bool]:
    """What is claimed of the rows, and whether it is true; every row is compared."""
    with engine.connect() as connection:
        return {
            f"all {len(places.countries)} countries are as they were loaded": (
                stored_rows(connection, countries) == places.countries
            ),
            f"all {len(places.cities):,} cities, and {len(application.added):,} added, are as last written": (
                stored_rows(connection, cities) == _as_written(places, application)
            ),
            "every loaded city has its name in small letters": _small_names(connection),
            "loaded cities say geonames, new ones say app": _sources_told_apart(connection, places),
        }


def claims_about_writes(engine: sa.Engine, application: Application) -> dict[str, bool]:
    """What is claimed of the application's writes, and whether it is true."""
    claims = {"no write failed": bool(application.writes) and application.failure is None}
    if engine.name == "postgresql" and application.writes:
        claims[f"no write waited for {LONGEST_WAIT:.0f} s"] = application.longest.wait < LONGEST_WAIT
    return claims


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
        "columns": [{**column, "type": repr(column["type"])} for column in inspector.get_columns(table)],
        "primary key": inspector.get_pk_constraint(table),
        "indexes": _by_name(inspector.get_indexes(table)),
        "foreign keys": _by_name(inspector.get_foreign_keys(table)),
        "checks": _by_name(inspector.get_check_constraints(table)),
        "unique": _by_name(inspector.get_unique_constraints(table)),
    }


def _by_name(things: Any) -> dict[str | None, Any]:
    return {thing["name"]: thing for thing in things}
