"""The text of a statement as its server gets it: next to parameters, some drivers read ``%%`` as one percent sign."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from typing import Any

from sqlalchemy.engine import Connection, CursorResult, Dialect

from safeops.databases import sqltext

PERCENT_STYLES = frozenset({"format", "pyformat"})


def server_text(sql: str, parameters: Any, dialect: Dialect) -> str:
    """Return the text that a server gets, except that placeholders remain: to parse, and to show.

    Args:
        sql: The text that the driver is given.
        parameters: Its values, also an empty set of them; None if the driver sends the text as it is.
        dialect: Knows the placeholders of the driver.
    """
    if parameters is None or dialect.paramstyle not in PERCENT_STYLES or "%%" not in sql:
        return sql
    return "".join(_halved(sqltext.parts(sql)))


def sent_text(connection: Connection, sql: str, parameters: Any) -> str:
    """Return the text that a server gets of what SQLAlchemy is about to give to the cursor of a connection."""
    as_it_is = not parameters and connection.get_execution_options().get("no_parameters")
    return server_text(sql, None if as_it_is else parameters, connection.dialect)


def driver_text(sql: str, parameters: Any, dialect: Dialect) -> str:
    """Return the text that a driver is given for that of ``server_text``."""
    if parameters is None or dialect.paramstyle not in PERCENT_STYLES or "%" not in sql:
        return sql
    return "".join(_doubled(sqltext.parts(sql)))


def send_again(connection: Connection, sql: str, parameters: Any) -> CursorResult[Any]:
    """Send a text that ``server_text`` has returned, with the values of its placeholders, if it has any."""
    values = parameters or None
    options = {} if values else {"no_parameters": True}
    return connection.exec_driver_sql(driver_text(sql, values, connection.dialect), values, execution_options=options)


def _halved(parts: list[tuple[str, str]]) -> Iterator[str]:
    place = 0
    while place < len(parts):
        kind, text = parts[place]
        place += 1
        if kind == "op" and text == "%" and parts[place : place + 1] == [("op", "%")]:
            place += 1
            # What follows must not make it a placeholder.
            text = "% " if _begins_placeholder(parts[place : place + 1]) else "%"
        yield text.replace("%%", "%")


def _doubled(parts: list[tuple[str, str]]) -> Iterator[str]:
    for (kind, text), following in pairwise([*parts, ("", "")]):
        yield text if kind == "op" and text == "%" and _begins_placeholder([following]) else text.replace("%", "%%")


def _begins_placeholder(following: list[tuple[str, str]]) -> bool:
    """Return whether ``%`` before it would be a placeholder: ``%s``, or ``%(name)s``."""
    return any(text == "(" or text.startswith("s") for _, text in following)
