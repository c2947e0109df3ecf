"""Queries of the catalogue with their values in them: a text without parameters can follow others in one message."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from safeops.databases.postgresql.sealing import sealed

if TYPE_CHECKING:
    from safeops.databases import Database

_PLAIN = re.compile(r"[\w .,{}*\"-]*")
_PARAMETER = re.compile(r"(?<!:):(\w+)")


def is_plain(value: str) -> bool:
    """Return whether a text, as nearly every name, has nothing to escape in a literal: SQLAlchemy need not compile it."""
    return _PLAIN.fullmatch(value) is not None


@lru_cache
def parameters_of(sql: str) -> tuple[str, ...]:
    """Return the names of the parameters of a query, in order."""
    return tuple(dict.fromkeys(_PARAMETER.findall(sql)))


def with_places(sql: str, place: Callable[[str], str]) -> str:
    """Return a query of the catalogue, sealed, with what is in the place of each parameter."""
    return _PARAMETER.sub(lambda found: place(found[1]), sealed(sql))


def with_values(database: Database, sql: str, parameters: Mapping[str, Any]) -> str:
    """Return a query of the catalogue with its values; one without parameters may be the author's, with its own colons."""
    return with_places(sql, lambda name: _rendered(database, parameters[name])) if parameters else sql


def _rendered(database: Database, value: object) -> str:
    if isinstance(value, str):
        return database.literal(value)
    if isinstance(value, (list, tuple)):
        return f"ARRAY[{', '.join(_rendered(database, one) for one in value)}]" if value else "'{}'"
    if value is None or isinstance(value, (bool, int, float)):
        return "NULL" if value is None else str(value).lower()
    raise TypeError(f"a query of the catalogue was given {value!r}: this is a defect of safeops")
