"""The named types and sequences that every database answers for: one without them has none."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateSequence
from sqlalchemy.sql import visitors

from safeops.databases.definitions import Domain
from safeops.databases.ports import Port
from safeops.databases.steps import Step
from safeops.naming import Name


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


class Types(Port):
    """What a column may be made with."""

    place = "safeops.databases.{family}.types:Types"
    asked = "Named types"

    def enum(self, name: Name) -> tuple[str, ...] | None:
        """Return the values of a named type in order; None where there is none."""
        return None

    def enum_names(self, schema: str | None) -> list[str]:
        return []

    def domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        """Return what the domain is that a type stands for; None for another type."""
        return None

    def is_domain(self, type_: Any) -> bool:
        return False

    def existing_domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        """Return the domain of a type's name; None where there is none."""
        return None

    def wanted_domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        """Return what a domain of the models would be, as the server spells it."""
        return None

    def domain_sql(self, type_: Any) -> str:
        """Render CREATE DOMAIN."""
        return ""

    def lacks_type(self, text: str) -> bool:
        """Tell whether the server has no type that is spelled so."""
        return False

    def creating_type(self, text: str) -> str:
        """Return a statement that creates a type, as far as can be told from its name."""
        return ""

    def create_domain(self, type_: Any) -> Iterator[Step]:
        return iter(())

    def create_sequence(self, sequence: sa.Sequence) -> Iterator[Step]:
        name = Name(str(sequence.name), sequence.schema)
        yield Step(self.database.rendered(CreateSequence(sequence, if_not_exists=True)), f"created sequence {name}")
