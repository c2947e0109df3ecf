"""Keeping a column and its shadow column in sync, for renames and type changes: the interface to each database family."""

from __future__ import annotations

from abc import abstractmethod
from contextlib import AbstractContextManager, nullcontext
from typing import ClassVar

from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.databases.steps import Plan
from safeops.databases.triggers import Pair


class ShadowColumns(Port):
    """What each database does for a pair."""

    place = "safeops.shadow.{family}:ShadowColumns"
    asked = "Keeping two columns in sync"

    renders_offline: ClassVar[bool] = False
    """The phases of a rename can be rendered for ``--sql``."""

    @abstractmethod
    def find_pair(self, table: Table, name: str) -> Pair | None:
        """Return the pair of this name, read from its metadata, if the database keeps it in sync; else None."""

    def renew_triggers(self, pair: Pair, table: Table) -> Plan:
        """Plan to rewrite the triggers of an earlier release in the form of this one."""
        return iter(())

    def is_unfinished(self, pair: Pair, table: Table) -> bool:
        """Return whether an interrupted ``start_sync`` left the shadow column without its triggers."""
        return False

    def is_computed(self, pair: Pair, table: Table) -> bool:
        """Return whether the server computes the shadow column; it then needs no fill."""
        return False

    def half_swapped_pair(self, pair: Pair, table: Table) -> Pair | None:
        """Return the pair if an interrupted ``swap_columns`` exchanged the names and left no triggers that identify it."""
        return None

    def is_swapped(self, pair: Pair, table: Table) -> bool:
        """Return whether ``swap_columns`` dropped the former source, and was interrupted before the triggers."""
        return False

    def finish_swap(self, pair: Pair, table: Table) -> Plan:
        """Plan the rest of a ``swap_columns`` that was interrupted after the names were swapped."""
        return iter(())

    @abstractmethod
    def check_pair(self, pair: Pair, table: Table) -> None:
        """Raise what is wrong with a new pair, before anything is changed."""

    def check_row_security(self, pair: Pair, table: Table) -> None:
        """Raise UnsafeOperation if row security hides rows that the fill, the comparison or the checks need."""

    @abstractmethod
    def start_sync(self, pair: Pair, table: Table) -> Plan:
        """Plan to add the shadow column and its triggers. Existing rows have no value in it yet."""

    @abstractmethod
    def copy_indexes(self, pair: Pair, table: Table) -> Plan:
        """Plan to copy the missing default, NOT NULL, indexes and constraints to the shadow column."""

    @abstractmethod
    def swap_columns(self, pair: Pair, table: Table, kept: Pair | None) -> Plan:
        """Plan that the shadow column replaces the source: names of indexes and constraints, default, identity.

        Args:
            pair: The pair.
            table: The table.
            kept: The pair afterwards: the names are exchanged, and the former source follows without indexes. None: the
                former source is dropped.
        """

    @abstractmethod
    def drop_shadow(self, pair: Pair, table: Table) -> Plan:
        """Plan to drop the shadow column and its triggers."""

    @abstractmethod
    def shadow_value(self, pair: Pair) -> str:
        """Return the SQL of the value that a row should have in the shadow column."""

    def converting(self, pair: Pair) -> AbstractContextManager[None]:
        """Have this session convert values as the triggers of the pair do, for the block."""
        return nullcontext()

    @abstractmethod
    def unfilled(self, pair: Pair) -> str:
        """Return the condition of the rows whose shadow column has no value yet."""

    @abstractmethod
    def out_of_sync(self, pair: Pair) -> str:
        """Return the condition of the rows whose shadow column differs from its value in any bit."""

    def validate_keys(self, table: Table) -> Plan:
        """Plan to validate foreign keys to the table that an interrupted ``swap_columns`` left NOT VALID."""
        return iter(())

    def full_type(self, table: Table, column: str) -> str:
        """Return the type of a column, for a shadow column of that type."""
        return table.columns[column].type

    def moving_dependents(self, pair: Pair, table: Table) -> list[str]:
        """Describe what ``swap_columns`` moves with the source, as ``dependents`` describes it: foreign keys of other
        tables."""
        return []

    def script_start(self, pair: Pair) -> Plan:
        """Plan for ``--sql`` to add the shadow column, filled and in sync; the script inspects the table."""
        raise NotImplementedError

    def script_stop(self, pair: Pair, missing: str) -> Plan:
        """Plan for ``--sql`` to drop one of the two columns.

        Args:
            pair: The pair; ``source`` is the name that is kept.
            missing: The call that is missing if nothing keeps the two in sync.
        """
        raise NotImplementedError
