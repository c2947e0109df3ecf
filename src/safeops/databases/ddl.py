"""The plans of plain changes of a schema, and the types and sequences that columns are made with."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import Dialect
from sqlalchemy.schema import CreateSequence
from sqlalchemy.sql import visitors

from safeops.databases.definitions import Column, Domain, Table
from safeops.databases.ports import Port
from safeops.databases.steps import Plan, Step
from safeops.naming import Name

NOT_A_TABLE = "safeops.the_name_is_not_that_of_a_table"
"""There is no such setting: a step that reads it fails, and its transaction with it."""


class DDL(Port):
    """The plans of plain changes of a schema: one method an operation, each a generator of steps."""

    place = "safeops.databases.{family}.ddl:DDL"
    asked = "Changes of a schema"

    confirms_tables: ClassVar[bool] = False
    """The plan of a new table fails by ``NOT_A_TABLE`` if an object of another kind has its name."""

    def awaits_default(self, column: Column) -> bool:
        """Return whether an interrupted run added a column without its default."""
        return False

    def comment_of(self, existing: Table, column: str | None) -> str | None:
        """Return the author's own comment of a column, or with None that of the table."""
        return existing.comment if column is None else existing.columns[column].comment

    def has_unfinished_not_null(self, existing: Table, column: str) -> bool:
        """Return whether an interrupted run left a part of NOT NULL on a column that still takes NULL."""
        return False

    @abstractmethod
    def create_table(self, table: sa.Table) -> Plan: ...

    @abstractmethod
    def drop_table(self, name: Name, existing: Table | None) -> Plan: ...

    @abstractmethod
    def add_column(self, name: Name, column: sa.Column[Any], existing: Table | None) -> Plan: ...

    @abstractmethod
    def drop_column(self, name: Name, column: str, existing: Table | None) -> Plan: ...

    @abstractmethod
    def set_default(self, name: Name, column: str, default: str | None, existing: Table | None) -> Plan: ...

    def set_comment(self, name: Name, column: str | None, comment: str | None, existing: Table | None) -> Plan:
        """Plan the comment of a column, or with None that of the table; ``comment`` None removes it."""
        return iter(())

    @abstractmethod
    def alter_type(self, name: Name, column: sa.Column[Any], existing: Table | None) -> Plan: ...

    @abstractmethod
    def set_not_null(self, name: Name, column: str, existing: Table | None) -> Plan: ...

    @abstractmethod
    def drop_not_null(self, name: Name, column: str, existing: Table | None) -> Plan: ...

    @abstractmethod
    def create_index(self, name: Name, index: sa.Index, existing: Table | None) -> Plan: ...

    @abstractmethod
    def drop_index(self, name: Name, index: str, existing: Table | None) -> Plan: ...

    @abstractmethod
    def add_constraint(self, name: Name, constraint: sa.Constraint, existing: Table | None, validate: bool) -> Plan:
        """Plan a foreign key, check, unique, primary key or exclusion constraint."""

    @abstractmethod
    def replace_index(self, name: Name, index: sa.Index, existing: Table | None) -> Plan:
        """Plan to replace the index of the same name; the old one is kept until the new one exists."""

    @abstractmethod
    def replace_constraint(self, name: Name, constraint: sa.Constraint, existing: Table | None, validate: bool) -> Plan:
        """Plan to replace the constraint of the same name and kind; it completes what an earlier run began."""

    def temporary_name(self, name: str) -> str:
        """Return the name under which the replacement of an index or a constraint is built."""
        return self.fitting("safeops_new", name)

    def under_temporary_name(self, thing: Any) -> Any:
        """Return the same index or constraint under its temporary name."""
        successor = copy.copy(thing)
        successor.name = self.temporary_name(str(thing.name))
        return successor

    @abstractmethod
    def validate_constraint(self, name: Name, constraint: str, existing: Table | None) -> Plan: ...

    @abstractmethod
    def drop_constraint(self, name: Name, constraint: str, kind: str | None, existing: Table | None) -> Plan: ...

    def create_enum(self, name: Name, values: Sequence[str]) -> Plan:
        return iter(())

    def add_enum_value(self, name: Name, value: str, before: str | None, after: str | None) -> Plan:
        return iter(())

    def drop_enum(self, name: Name) -> Plan:
        return iter(())

    def create_schema(self, schema: str) -> Plan:
        return iter(())

    def drop_schema(self, schema: str) -> Plan:
        return iter(())


def innermost(type_: Any, dialect: Dialect) -> Any:
    """Return the type that the server gets; of an array, that of its elements."""
    own = type_.dialect_impl(dialect)
    while isinstance(own, sa.types.TypeDecorator):
        own = own.impl_instance
    return innermost(own.item_type, dialect) if isinstance(own, sa.ARRAY) else own


def made_of(type_: Any, dialect: Dialect) -> Iterator[Any]:
    """Go through a type and the types below it, the lowest first: a domain has a base type."""
    own = innermost(type_, dialect)
    inner = getattr(own, "data_type", None)
    if isinstance(inner, sa.types.TypeEngine):
        yield from made_of(inner, dialect)
    yield own


def sequences_of(column: sa.Column[Any], dialect: Dialect) -> Iterator[sa.Sequence]:
    """Go through the sequences whose numbers a column gets, from the server or from SQLAlchemy."""
    if dialect.supports_sequences:
        yield from (own for own in _named(column) if not (dialect.sequences_optional and own.optional))


def _named(column: sa.Column[Any]) -> Iterator[sa.Sequence]:
    default: Any = column.default
    if isinstance(default, sa.Sequence):
        yield default
    server_default = getattr(column.server_default, "arg", None)
    for part in visitors.iterate(server_default) if isinstance(server_default, sa.sql.ClauseElement) else ():
        if isinstance(part, sa.sql.functions.next_value):
            yield part.sequence


class Types(Port):
    """What a column may be made with."""

    place = "safeops.databases.{family}.types:Types"
    asked = "Named types"

    def enum(self, name: Name) -> tuple[str, ...] | None:
        """Return the values of a named type in order; None if there is none."""
        return None

    def enum_names(self, schema: str | None) -> list[str]:
        return []

    def domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        """Return the domain that a type is; None for another type."""
        return None

    def is_domain(self, type_: Any) -> bool:
        return False

    def existing_domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        """Return the existing domain of this name; None if there is none."""
        return None

    def wanted_domain(self, type_: sa.types.TypeEngine[Any]) -> Domain | None:
        """Return the domain of the models, as the server spells it."""
        return None

    def domain_sql(self, type_: Any) -> str:
        """Render CREATE DOMAIN."""
        return ""

    def lacks_type(self, text: str) -> bool:
        """Return whether the server has no type of this spelling."""
        return False

    def creating_type(self, text: str) -> str:
        """Return a statement that creates a type, guessed from its name."""
        return ""

    def create_domain(self, type_: Any) -> Iterator[Step]:
        return iter(())

    def serial_as_identity(
        self, name: Name, column: str, identity: sa.Identity, existing: Table
    ) -> tuple[str, str] | None:
        """Return the statements that make a serial column an identity, and back; None for another column."""
        return None

    def create_sequence(self, sequence: sa.Sequence) -> Iterator[Step]:
        name = Name(str(sequence.name), sequence.schema)
        yield Step(self.database.rendered(CreateSequence(sequence, if_not_exists=True)), f"created sequence {name}")
