"""Traffic from the statements that the server has counted: those that the running release sends."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection
from sqlalchemy.pool import NullPool

from safeops.databases import database_on
from safeops.databases.ports import Port, unsupported
from safeops.naming import Name
from safeops.rehearse.traffic.client import client_of
from safeops.rehearse.traffic.plan import Script, Step, TrafficPlan

MOST = 20
"""The statements that are taken: those with the most calls."""
RATE = 100.0
"""The calls a second of all of them together; each has its share of the calls that the server counted."""
LEAST = 0.5
NAME = r"(?:[\w.]|\"[^\"]+\")+"
_PLACE = re.compile(r"\$(\d+)")
# Since PostgreSQL 18 a list of constants is shown as its first one and a comment.
_CAST = re.compile(r"\s*/\*.*?\*/|(?<=\d)::\w+(?: (?:PRECISION|VARYING|WITH(?:OUT)? TIME ZONE))?(?:\([\d, ]+\))?", re.I)
_COMPARED = re.compile(rf"({NAME})\)*\s*(?:=|<>|!=|<=|>=|<|>|LIKE|ILIKE|~|[-+*/]|\|\|)\s*(?:\w+\()*\$(\d+)", re.I)
_IN = re.compile(rf"({NAME})\s+IN\s*\(\s*(\$\d+(?:\s*,\s*\$\d+)*)\s*\)", re.I)
_BETWEEN = re.compile(rf"({NAME})\s+BETWEEN\s+\$(\d+)\s+AND\s+\$(\d+)", re.I)
_INSERTED = re.compile(rf"INSERT\s+INTO\s+({NAME})\s*\(([^()]*)\)\s*VALUES\s*(\(.*)", re.I | re.S)
_FIXED = re.compile(r"(LIMIT|OFFSET|INTERVAL)\s+\$(\d+)", re.I)
FIXED = {"LIMIT": "10", "OFFSET": "0", "INTERVAL": "'1 day'"}
"""The values of parameters that are compared with no column."""
_NO_ALIAS = r"(?!(?:JOIN|LEFT|RIGHT|INNER|FULL|CROSS|NATURAL|ON|USING|WHERE|SET|VALUES|SELECT)\b)"
_TABLES = re.compile(rf"\b(?:FROM|JOIN|UPDATE|INTO)\s+(?:ONLY\s+)?({NAME})(?:\s+(?:AS\s+)?{_NO_ALIAS}(\w+))?", re.I)


class ServerStatements(Port):
    """Reads the statements that a server has counted, of any database."""

    place = "safeops.rehearse.{family}.counted:ServerStatements"
    asked = "Traffic from the statements that the server has counted"

    def counted(self, most: int) -> list[tuple[str, int]]:
        """Return the statements with the most calls, with ``$1`` for constants, and their calls; the server is only read."""
        raise unsupported(self.asked, self.database.describe(), "the extension pg_stat_statements of PostgreSQL")


def plan_from_server(url: URL | str) -> TrafficPlan:
    """Plan the statements that the running release sends most, in the proportion of their calls.

    No value of the server is read: each parameter gets values that the copy has in the column it is compared with.

    Args:
        url: The database of the running release, which is only read.

    Raises:
        UnsupportedOnDatabase: The server does not count statements.

    Example:
        plan = plan_from_server("postgresql+psycopg://reader@production/shop")
    """
    address = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    engine = sa.create_engine(client_of(address)[1], poolclass=NullPool)
    with engine.connect() as connection:
        counted = [one for one in ServerStatements.of(database_on(connection)).counted(MOST) if _TABLES.search(one[0])]
        whole = sum(calls for _, calls in counted)
        columns = _columns_on(connection)
        read = [_Counted(sql, columns) for sql, _ in counted]
    scripts = [
        Script((Step(sql=one.sql),), max(RATE * calls / whole, LEAST), one.columns, one.place, is_optional=True)
        for one, (_, calls) in zip(read, counted, strict=True)
        if not one.unknown
    ]
    notes = [f"{one.place}: left out, because no column is known for {one.unknown}." for one in read if one.unknown]
    return TrafficPlan(scripts=tuple(scripts), notes=tuple(notes))


def _columns_on(connection: Connection) -> Callable[[Name], list[str]]:
    database = database_on(connection)
    known: dict[Name, list[str]] = {}

    def columns_of(name: Name) -> list[str]:
        if name not in known:
            table = database.table(name)
            known[name] = list(table.columns) if table else []
        return known[name]

    return columns_of


class _Counted:
    """A counted statement, with a column for each parameter."""

    def __init__(self, sql: str, columns_of: Callable[[Name], list[str]]) -> None:
        found = {label: table for table, alias in _TABLES.findall(sql) for label in (alias, table) if label}
        self._tables = {_unquoted(label).rpartition(".")[2]: _name(table) for label, table in found.items()}
        self._columns_of = columns_of
        # The casts that SQLAlchemy writes stay in the statement; here they only separate a column from its parameter.
        bare = _CAST.sub("", sql)
        fixed = {number: FIXED[word.upper()] for word, number in _FIXED.findall(bare)}
        places = {number: self._column(name) for name, number in _named(bare) if number not in fixed}
        missing = [number for number in _PLACE.findall(sql) if number not in fixed and places.get(number) is None]
        self.unknown = f"${missing[0]}" if missing else ""
        self.sql = _PLACE.sub(lambda place: fixed.get(place[1], f":p{place[1]}"), sql)
        self.columns = tuple((f"p{number}", *column) for number, column in places.items() if column is not None)
        self.place = f"statement {' '.join(sql.split())[:60]}"

    def _column(self, name: str) -> tuple[str | None, str, str] | None:
        qualifier, _, column = _unquoted(name).rpartition(".")
        named = self._tables.get(qualifier.rpartition(".")[2])
        for table in [named] if named else list(self._tables.values()):
            if column in self._columns_of(table):
                return table.schema, table.name, column
        return None


def _named(sql: str) -> Iterator[tuple[str, str]]:
    """Return each parameter with the name of the column that it is compared with or written to."""
    yield from _COMPARED.findall(sql)
    for name, first, second in _BETWEEN.findall(sql):
        yield from ((name, first), (name, second))
    for name, numbers in _IN.findall(sql):
        yield from ((name, number) for number in _PLACE.findall(numbers))
    for _, names, values in _INSERTED.findall(sql):
        columns = [name.strip() for name in names.split(",")]
        for row in re.findall(r"\(([^()]*)\)", values):
            for name, value in zip(columns, row.split(","), strict=False):
                yield from ((name, number) for number in _PLACE.findall(value))


def _name(table: str) -> Name:
    schema, _, name = _unquoted(table).rpartition(".")
    return Name(name, schema or None)


def _unquoted(name: str) -> str:
    return name.replace('"', "")
