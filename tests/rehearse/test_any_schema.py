"""Random schemas are filled: the server accepts every row, and each table has as many as requested, or as its keys allow."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.servers import Database

from safeops.naming import Name
from safeops.rehearse.filling import fill
from safeops.rehearse.shapes import ColumnShape, TableShape

ROWS = 30
INTEGER, TEXT = ("integer", "bigint", "smallint"), ("varchar(12)", "char(3)", "text")
OTHER = ("numeric(6,2)", "double precision", "date", "boolean")
CHECKS = {
    INTEGER: ("{c} > 5", "{c} BETWEEN -3 AND 400", "{c} IN (1, 2, 77)", "{c} <> 4", "{c} % 2 = 0"),
    TEXT: ("length({c}) <= 12", "{c} IN ('ab', 'cd')", "{c} LIKE '%a%'", "{c} <> 'x'", "{c} = lower({c})"),
    OTHER: (),
}


@dataclass
class Random:
    """A table: the type of each column, and what is demanded of the rows."""

    name: str
    columns: dict[str, str]
    required: set[str]
    key: str
    uniques: list[tuple[str, ...]] = field(default_factory=list)
    checks: list[str] = field(default_factory=list)
    foreign: list[tuple[str, str, bool]] = field(default_factory=list)

    def ddl(self, has_text_keys: bool) -> str:
        parts = [f"id {self.key} PRIMARY KEY"]
        for name, type_ in self.columns.items():
            parts.append(f"{name} {_keyed(type_, has_text_keys)}{' NOT NULL' if name in self.required else ''}")
        parts += [f"{name} integer{' NOT NULL' if required else ''}" for name, _, required in self.foreign]
        parts += [f"UNIQUE ({', '.join(columns)})" for columns in self.uniques]
        parts += [f"CHECK ({check})" for check in self.checks]
        return f"CREATE TABLE {self.name} ({', '.join(parts)})"


def _keyed(type_: str, has_text_keys: bool) -> str:
    return type_ if has_text_keys or type_ != "text" else "varchar(200)"


def _kind(type_: str) -> tuple[str, ...]:
    return next(kind for kind in CHECKS if type_ in kind)


@st.composite
def schemas(draw: Callable) -> list[Random]:
    names = [f"t{number}" for number in range(draw(st.integers(1, 4)))]
    return [draw(tables(name, names)) for name in names]


@st.composite
def tables(draw: Callable, name: str, names: list[str]) -> Random:
    columns = {
        f"c{place}": one
        for place, one in enumerate(draw(st.lists(st.sampled_from(INTEGER + TEXT + OTHER), max_size=5)))
    }
    required = {one for one in columns if draw(st.booleans())}
    table = Random(name, columns, required, "integer")
    for number in range(draw(st.integers(0, 2))):
        table.foreign.append((f"f{number}", draw(st.sampled_from(names)), draw(st.booleans())))
    usable = [one for one, type_ in columns.items() if type_ != "boolean"] + [name for name, *_ in table.foreign]
    if usable:
        groups = st.lists(st.sampled_from(usable), min_size=1, max_size=3, unique=True).map(tuple)
        table.uniques = draw(st.lists(groups, max_size=2, unique_by=frozenset))
    for one, type_ in columns.items():
        if CHECKS[_kind(type_)] and draw(st.integers(0, 2)) == 0:
            table.checks.append(draw(st.sampled_from(CHECKS[_kind(type_)])).format(c=one))
    integers = [one for one, type_ in columns.items() if type_ in INTEGER]
    if len(integers) > 1 and draw(st.booleans()):
        table.checks.append(f"{integers[0]} < {integers[1]}")
    if len(columns) > 1 and draw(st.booleans()):
        first, second, *_ = sorted(columns)
        table.checks.append(f"{first} IS NOT NULL OR {second} IS NOT NULL")
    return table


def _create(database: Database, found: list[Random]) -> None:
    keys = [(table.name, name, to) for table in found for name, to, _ in table.foreign]
    if database.kind == "sqlite":
        inline = {
            table.name: [f", FOREIGN KEY ({name}) REFERENCES {to} (id)" for name, to, _ in table.foreign]
            for table in found
        }
        database.execute(*(f"{table.ddl(True)[:-1]}{''.join(inline[table.name])})" for table in found))
        return
    has_text_keys = database.kind == "postgresql"
    database.execute(
        *(table.ddl(has_text_keys) for table in found),
        *(f"ALTER TABLE {table} ADD FOREIGN KEY ({name}) REFERENCES {to} (id)" for table, name, to in keys),
    )


def _inline(table: Random) -> str:
    return "".join(f", FOREIGN KEY ({name}) REFERENCES {to} (id)" for name, to, _ in table.foreign)


def _orphans(database: Database, found: list[Random]) -> int:
    """Some databases do not check foreign keys while they are filled."""
    return sum(
        database.query(
            f"SELECT count(*) FROM {table.name} WHERE {name} IS NOT NULL AND {name} NOT IN (SELECT id FROM {to})"
        )[0][0]
        for table in found
        for name, to, _ in table.foreign
    )


def _drop(database: Database, found: list[Random]) -> None:
    if database.kind == "postgresql":
        database.execute(*(f"DROP TABLE {table.name} CASCADE" for table in found))
    elif database.kind == "mysql":
        database.execute("SET foreign_key_checks = 0", *(f"DROP TABLE {table.name}" for table in found))
    else:
        database.execute(*(f"DROP TABLE {table.name}" for table in found))


def _nulls(table: Random) -> dict[str, ColumnShape]:
    """Every second column is NULL in a third of the rows."""
    columns = [*table.columns, *(name for name, *_ in table.foreign)]
    return {name: ColumnShape(nulls=0.3) for name in columns[::2]}


@pytest.mark.only("pg18", "mysql", "sqlite")
@settings(
    max_examples=25, derandomize=True, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow]
)
@given(found=schemas())
def test_any_schema(database: Database, found: list[Random]) -> None:
    _create(database, found)
    try:
        engine = database.engine()
        shapes = {Name(table.name): TableShape(Name(table.name), ROWS, _nulls(table)) for table in found}
        rows = {str(name): count for name, count in fill(engine, shapes).items()}
        for table in found:
            assert database.query(f"SELECT count(*) FROM {table.name}")[0][0] == rows[table.name] > 0
            if not table.uniques:
                assert rows[table.name] == ROWS
        assert not _orphans(database, found)
    finally:
        _drop(database, found)
