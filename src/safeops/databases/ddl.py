"""The plans of plain changes of a schema: one method an operation, each a generator of steps."""

from __future__ import annotations

import copy
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Column, Table
from safeops.databases.ports import Port
from safeops.databases.steps import Plan
from safeops.naming import Name


class DDL(Port):
    """The plans of plain changes of a schema: one method an operation, each a generator of steps."""

    place = "safeops.databases.{family}.ddl:DDL"
    asked = "Changes of a schema"

    def awaits_default(self, column: Column) -> bool:
        """Tell whether an interrupted run added a column without its default."""
        return False

    def comment_of(self, existing: Table, column: str | None) -> str | None:
        """Return the author's own comment of a column, or with None that of the table."""
        return existing.comment if column is None else existing.columns[column].comment

    def has_unfinished_not_null(self, existing: Table, column: str) -> bool:
        """Tell whether an interrupted run left a part of NOT NULL on a column that still takes NULL."""
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
        """Plan an index in the place of one of the same name; until the new one is there the old one is."""

    @abstractmethod
    def replace_constraint(self, name: Name, constraint: sa.Constraint, existing: Table | None, validate: bool) -> Plan:
        """Plan a constraint in the place of one of the same name and kind; it finishes what an earlier run began."""

    def temporary_name(self, name: str) -> str:
        """Return the name under which the successor of an index or a constraint is built."""
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
