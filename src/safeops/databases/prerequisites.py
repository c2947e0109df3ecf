"""The named types and sequences that columns are made with."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.sql import visitors


def innermost(type_: Any, dialect: Dialect) -> Any:
    """Return the type that the server gets, of an array that of its elements."""
    own = type_.dialect_impl(dialect)
    while isinstance(own, sa.types.TypeDecorator):
        own = own.impl_instance
    return innermost(own.item_type, dialect) if isinstance(own, sa.ARRAY) else own


def made_of(type_: Any, dialect: Dialect) -> Iterator[Any]:
    """Go through a type and those that it is made of, the latter first: a domain is made of another type."""
    own = innermost(type_, dialect)
    inner = getattr(own, "data_type", None)
    if isinstance(inner, sa.types.TypeEngine):
        yield from made_of(inner, dialect)
    yield own


def sequences_of(column: sa.Column[Any], dialect: Dialect) -> Iterator[sa.Sequence]:
    """Go through the sequences whose numbers a column gets, from the server or from SQLAlchemy."""
    if dialect.supports_sequences:
        yield from (one for one in _named(column) if not (dialect.sequences_optional and one.optional))


def _named(column: sa.Column[Any]) -> Iterator[sa.Sequence]:
    default: Any = column.default
    if isinstance(default, sa.Sequence):
        yield default
    written = getattr(column.server_default, "arg", None)
    for part in visitors.iterate(written) if isinstance(written, sa.sql.ClauseElement) else ():
        if isinstance(part, sa.sql.functions.next_value):
            yield part.sequence
