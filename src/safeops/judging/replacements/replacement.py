"""What to write instead of a statement, as code."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from safeops.databases import Database
from safeops.homes import HOME_OF
from safeops.judging.operations import Operation
from safeops.judging.schema import Schema
from safeops.naming import Name

NOTHING_TO_UNDO = "# Nothing to undo"


@dataclass(frozen=True)
class Replacement:
    """The calls to write instead of a statement, for ``upgrade()`` and for ``downgrade()``.

    The code needs ``import sqlalchemy as sa``, ``from alembic import op`` and the names in ``imports`` from ``safeops``;
    anything else it imports itself.

    Args:
        upgrade: The calls, one a line; empty if safeops has none, and ``note`` then says what to do.
        downgrade: The calls that undo them; empty if it is not known what was there before.
        one_to_one: It is a single call that ends in the same schema, so that ``--fix`` may put it in place.
        note: What the code does not say: another schema, several deploys, what only the author knows.
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

    def column_type(self, table: Name, column: str) -> str | None:
        """Return the type of a column as the server writes it; None if it is not known."""
        known = self.schema.table(table)
        found = known.columns.get(column) if known else None
        return found.type if found else None


def lines(*parts: str) -> str:
    """Join lines of code; those that are empty are left out."""
    return "\n".join(part for part in parts if part)


def comment(text: str) -> str:
    return f"# {text}"
