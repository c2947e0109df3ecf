"""What to write instead of a statement, as code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from safeops.databases import Database
from safeops.homes import HOME_OF
from safeops.judging.operations import Operation
from safeops.judging.schema import Schema
from safeops.judging.server import JudgedServer, Session
from safeops.naming import Name

NOTHING_TO_UNDO = "# Nothing to undo"


@dataclass(frozen=True)
class Replacement:
    """The calls to write instead of a statement, for ``upgrade()`` and for ``downgrade()``.

    The code needs ``import sqlalchemy as sa``, ``from alembic import op`` and the names in ``imports`` from ``safeops``;
    anything else it imports itself.

    Args:
        upgrade: The calls, one a line; empty if safeops has none; ``note`` then has the advice.
        downgrade: The calls that undo them; empty if it is not known what was there before.
        one_to_one: It is a single call with the same resulting schema, so ``--fix`` can insert it.
        note: What the code does not show: another schema, several deploys, what only the author knows.
    """

    upgrade: str
    downgrade: str = ""
    one_to_one: bool = False
    note: str = ""
    imports: tuple[str, ...] = field(init=False, default=())

    def __post_init__(self) -> None:
        object.__setattr__(self, "imports", names_called(f"{self.upgrade}\n{self.downgrade}"))


_NAME = re.compile(r"""'(?:[^'\\]|\\.)*'|"(?:[^"\\]|\\.)*"|#[^\n]*|(?<![\w.])[A-Za-z_]\w*(?=\()""")


def names_called(code: str) -> tuple[str, ...]:
    """Return the public names of safeops that code calls, sorted as imports are."""
    found = {match[0] for match in _NAME.finditer(code)} & {*HOME_OF}
    return tuple(sorted(found, key=lambda name: (name[:1].islower(), name)))


@dataclass(frozen=True)
class About:
    """What a replacement is made for.

    Args:
        operation: What the statement does, or this part of it.
        schema: What is known of the tables before it.
        database: The database, also offline.
    """

    operation: Operation
    schema: Schema
    database: Database

    def judged(self, sql: str) -> list[Operation]:
        """Return what a statement does, with what the server and the schema add."""
        server = JudgedServer.of(self.database)
        return [server.with_facts(operation, self.schema, Session()) for operation in server.parse(sql)]

    def column_type(self, table: Name, column: str) -> str | None:
        """Return the type of a column as the server writes it; None if it is not known."""
        known = self.schema.table(table)
        found = known.columns.get(column) if known else None
        return found.type if found else None


def keys_of(about: About, name: Name) -> list[tuple[str, ...]] | None:
    """Return the unique keys that are NOT NULL, the primary key first; None if they are not known."""
    table = about.schema.table(name)
    if table is None or not table.complete:
        return None
    primary = [one.columns for one in table.constraints.values() if one.kind == "primary key"]
    unique = [one.columns for one in table.constraints.values() if one.kind == "unique"]
    unique += [index.columns for index in table.indexes.values() if index.unique and index.valid]
    required = {own for own, column in table.columns.items() if column.nullable is False}
    return [*primary, *(columns for columns in unique if columns and required.issuperset(columns))]


def lacks_key(about: About, name: Name, column: str = "") -> bool:
    """Return whether a table certainly has no unique key of other columns, which batches and an archive need."""
    keys = keys_of(about, name)
    return keys is not None and not any(column not in key for key in keys)


def key_of(about: About, name: Name) -> list[str] | None:
    """Return the columns to name as ``key=``; None if the primary key does, or nothing is known."""
    table, keys = about.schema.table(name), keys_of(about, name)
    if table is None or not keys or any(one.kind == "primary key" for one in table.constraints.values()):
        return None
    return [*keys[0]]


NO_KEY = (
    "Rows can be written in batches only along a unique key that is NOT NULL, and {0} has none: first add one with"
    ' create_primary_key_if_missing(). If blocking is acceptable instead: with assured("why").'
)


def lines(*parts: str) -> str:
    """Join lines of code; those that are empty are left out."""
    return "\n".join(part for part in parts if part)


def comment(text: str) -> str:
    return f"# {text}"
