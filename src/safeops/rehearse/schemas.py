"""What a schema has, and how it differs from what it had: to see whether a downgrade leads back."""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from typing import Any, TypeAlias

from safeops.databases import Database
from safeops.databases.definitions import Column, Constraint, Index, Table, differences
from safeops.databases.ports import Port
from safeops.databases.triggers import MARK
from safeops.rehearse.shapes import tables_of
from safeops.review.tracing import is_own

NO_DEFAULT = re.compile(r"NULL(?:::[\w ]+(?:\(\d+\))?)?\Z", re.IGNORECASE)
"""A default that is NULL, as a script writes it, is none."""
WIDTH = 100
"""Characters of two definitions up to which both are shown."""
Schema: TypeAlias = Mapping[str, Any]
"""What there is, by a name that a person understands: "column users.email"."""


class OtherObjects(Port):
    """What a schema has in addition to columns, indexes and constraints: views, triggers, functions, types, privileges."""

    place = "safeops.rehearse.{family}.schemas:OtherObjects"
    asked = "A comparison of schemas"

    @abstractmethod
    def rows(self) -> Iterable[tuple[str, str, str]]:
        """Return kind, name and definition of each."""


def schema_now(database: Database) -> Schema:
    """Return what a database has now, except what Alembic and safeops keep for themselves."""
    found: dict[str, Any] = {}
    for _, table in tables_of(database):
        found.update(_parts(table))
    for kind, name, definition in OtherObjects.of(database).rows():
        what, _, whose = f"{kind} {name}".rpartition(" on ")
        if what and is_own(whose.rpartition(".")[2]):
            continue
        # What keeps columns in sync is written again by each phase.
        text = "" if is_own(name.partition(" on ")[0].rpartition(".")[2]) else definition
        # PostgreSQL has functions of one name for several types.
        found.setdefault(f"{kind} {name}", []).append(text)
    return {name: sorted(one) if isinstance(one, list) else one for name, one in found.items()}


def _parts(table: Table) -> Iterator[tuple[str, Any]]:
    yield f"table {table.name}", (table.kind, table.comment)
    for column in table.columns.values():
        yield f"column {table.name}.{column.name}", _without_marks(column)
    for index in table.indexes.values():
        if not index.of_constraint:
            yield f"index {index.name} on {table.name}", index
    for constraint in table.constraints.values():
        # PostgreSQL names those of columns since 18; whether a column takes NULLs is a part of the column.
        if constraint.kind == "not null" and constraint.valid:
            continue
        yield f"{constraint.kind} {constraint.name} on {table.name}", constraint


def _without_marks(column: Column) -> Column:
    """Return a column without a default that is NULL, and without the mark of a shadow column."""
    default = None if NO_DEFAULT.match(column.default or "") else column.default
    comment = None if (column.comment or "").startswith(MARK) else column.comment
    return replace(column, default=default, comment=comment)


def schema_differences(before: Schema, now: Schema) -> list[str]:
    """Describe how a schema differs from what it was."""
    missing = [f"{name} is missing" for name in before if name not in now and not _follows(name, before, now)]
    left = [f"{name} was left over" for name in now if name not in before and not _follows(name, now, before)]
    return [*missing, *left, *_changed(before, now)]


def _follows(name: str, here: Schema, there: Schema) -> bool:
    """Return whether a part differs only because its whole table does, which is named itself."""
    return any(
        one.startswith("table ") and one not in there and _is_of(name, one.removeprefix("table ")) for one in here
    )


def _is_of(name: str, table: str) -> bool:
    return name.startswith(f"column {table}.") or name.endswith(f" on {table}")


def _changed(before: Schema, now: Schema) -> Iterator[str]:
    for name, one in before.items():
        if name in now:
            yield from (f"{name}: {text}" for text in _differences(one, now[name]))


def _differences(one: Any, other: Any) -> Iterator[str]:
    if isinstance(one, (Column, Index, Constraint)):
        yield from (f"{part.part} was {part.existing}, and is {part.wanted}" for part in differences(one, other))
        if getattr(one, "valid", True) and not getattr(other, "valid", True):
            yield "it is not valid"
    elif one != other:
        was, now = ("; ".join(part) if isinstance(part, list) else "" for part in (one, other))
        is_short = was and now and len(was + now) <= WIDTH and "\n" not in was + now
        yield f"it was {was}, and is {now}" if is_short else "its definition differs"
