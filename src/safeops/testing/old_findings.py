"""The failure of a release that a revision breaks: which columns, which error, and what to write instead."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.naming import Name, type_code
from safeops.rehearse.shapes import tables_of
from safeops.table_rename.port import TableRenames
from safeops.testing.checks.words import allowed_reason
from safeops.testing.failing import Failed
from safeops.testing.kit import Trial
from safeops.testing.old_remedies import Change, Described, mentioned, remedy_of, rule_of
from safeops.testing.old_statements import Sent

WHY = (
    "While a deploy replaces its processes one after the other, the old release runs on the new schema, and so it does after"
    " a rollback of the application."
)
WHY_NEW = "The new release is deployed on this schema."

Tables = Mapping[Name, Sequence[str]]
"""The tables of a release that exist, with the columns that its models have."""


@dataclass(frozen=True)
class Broken:
    """A statement that does not work.

    Args:
        sent: The statement, and its error.
        during: Whether the upgrade was running.
    """

    sent: Sent
    during: bool = False


@dataclass(frozen=True)
class Place:
    """A place at which statements do not work.

    Args:
        table: The table.
        column: The column; empty for the whole table, or if the column is not known.
        during: Whether the upgrade was running.
        kind: The kind of the errors.
    """

    table: Name
    column: str
    during: bool
    kind: str

    def __str__(self) -> str:
        return f"{self.table}.{self.column}" if self.column else str(self.table)


def failed_old(release: str, trial: Trial, tables: Tables, broken: Sequence[Broken]) -> Failed | None:
    """Return the failure of an old release; None if comments of the revision accept all of it, as for a review.

    Args:
        release: What it is called.
        trial: The database as it is now.
        tables: Its tables.
        broken: The statements that no longer work.
    """
    with trial.another() as same:
        before = _described(same)
    now, (home, *traits) = _described(trial), run_on_connection(trial.engine, _traits)
    changes = {name: Change(name.at(home), tuple(columns), before, now, *traits) for name, columns in tables.items()}
    found = _places(broken, tables, lambda table, error: changes[table].concerned(error))
    rules = {place: rule_of(changes[place.table], place.column) for place in found}
    places = {one: seen for one, seen in found.items() if not allowed_reason(trial.revision, rules[one] or "-")}
    if not places:
        return None
    unread = {one.sent.table for one in broken if one.sent.operation == "SELECT"}
    # A view may have taken the place of a table.
    gone = {name for name, change in changes.items() if change.is_gone and str(name) in unread}
    when = "while the upgrade runs" if all(one.during for one in broken) else "after the upgrade"
    remedy = remedy_of((changes[place.table], place.column) for place in places)
    return Failed(
        f"The old release ({release}) does not work {when}: {_named(places, gone)}.",
        why=WHY,
        details=[*_lines(places, gone)],
        remedy=remedy.text,
        code=remedy.code,
    )


def _traits(connection: Connection) -> tuple[str | None, bool, bool]:
    """Return the default schema, and whether a view can keep the old name of a table, and a trigger a column filled."""
    database = database_on(connection)
    return (
        connection.dialect.default_schema_name,
        TableRenames.serves(database),
        database.abilities.fills_before_not_null,
    )


def failed_new(release: str, tables: Tables, broken: Sequence[Broken]) -> Failed:
    """Return the failure of the new release; ``tables`` has the columns that exist."""
    places = _places(broken, tables, lambda table, error: mentioned(error, tables[table]))
    return Failed(
        f"The new release ({release}) does not work after the upgrade: {_named(places)}.",
        why=WHY_NEW,
        details=[*_lines(places)],
        remedy="Have the revision make what the models need, or correct the models. This shows how they differ:",
        code="alembic check",
    )


def _described(trial: Trial) -> dict[Name, Described]:
    """Return the tables of a database."""

    def read(connection: Connection) -> dict[Name, Described]:
        inspector = sa.inspect(connection)
        return {
            name: Described(table, {one["name"]: _type(one["type"]) for one in _columns(inspector, name)})
            for name, table in tables_of(database_on(connection))
        }

    return run_on_connection(trial.engine, read)


def _type(type_: sa.types.TypeEngine[Any]) -> str:
    """Return a type as code, as people write it: not as that of one dialect, if it has a general form."""
    with suppress(NotImplementedError):
        return type_code(type_.as_generic())
    return type_code(type_)


def _columns(inspector: sa.Inspector, name: Name) -> Sequence[sa.engine.interfaces.ReflectedColumn]:
    return inspector.get_columns(name.name, schema=name.schema)


# The places of the errors ---------------------------------------------------------------------------------------


@dataclass
class _Seen:
    """The statements that show it, and the first error."""

    error: str
    statements: list[tuple[str, str]] = field(default_factory=list)

    def __str__(self) -> str:
        plain = {operation for operation, what in self.statements if not what}
        shown = [
            f"{operation} of {what}" if what else operation
            for operation, what in self.statements
            if not what or operation not in plain
        ]
        return f"{', '.join(dict.fromkeys(shown))}: {self.error}"


def _places(
    broken: Sequence[Broken], tables: Tables, concerned: Callable[[Name, str], Sequence[str]]
) -> dict[Place, _Seen]:
    """Return the places at which it does not work.

    Args:
        broken: The statements that do not work.
        tables: The tables that they are about.
        concerned: Returns the columns that an error is about.
    """
    found: dict[Place, _Seen] = {}
    unread = {
        (one.sent.table, column) for one in broken if one.sent.operation == "SELECT" for column in one.sent.columns
    }
    for one in broken:
        sent = one.sent
        table = next(name for name in tables if str(name) == sent.table)
        named = concerned(table, sent.error)
        # An UPDATE also sets what the models set in each row, such as the time of the change.
        culprits = [column for column in named if (sent.table, column) in unread]
        for column in culprits or sent.columns or named or ("",):
            seen = found.setdefault(Place(table, column, one.during, sent.kind), _Seen(sent.error))
            seen.statements.append((sent.operation, sent.what))
    # What fails afterwards too is listed once.
    later = {(place.table, place.column) for place in found if not place.during}
    return {one: seen for one, seen in found.items() if not one.during or (one.table, one.column) not in later}


def _named(places: Iterable[Place], gone: Collection[Name] = ()) -> str:
    return ", ".join(dict.fromkeys(str(one.table if one.table in gone else one) for one in places))


def _lines(places: Mapping[Place, _Seen], gone: Collection[Name] = ()) -> Iterator[str]:
    for name in dict.fromkeys(place.table for place in places if place.table in gone):
        error = next(seen.error for place, seen in places.items() if place.table == name)
        yield f"{name}: every statement: {error}"
    for place, seen in places.items():
        if place.table not in gone:
            yield f"{place}{' (while the upgrade runs)' if place.during else ''}: {seen}"
