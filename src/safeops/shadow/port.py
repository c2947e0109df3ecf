"""Keeping a column and its shadow column in sync: what a family of databases does for renames and type changes."""

from __future__ import annotations

from abc import abstractmethod
from typing import ClassVar

from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.databases.steps import Plan
from safeops.databases.triggers import Pair


class ShadowColumns(Port):
    """What each database does for a pair. ``stands`` is the table as it stands."""

    place = "safeops.shadow.{family}:ShadowColumns"
    asked = "Keeping two columns in sync"

    renders_offline: ClassVar[bool] = False
    """The phases of a rename can be rendered for ``--sql``."""

    @abstractmethod
    def find_pair(self, table: Table, name: str) -> Pair | None:
        """Return the pair of this name as its note tells it, while the database keeps it in step; None where it does not."""

    def renew_triggers(self, pair: Pair, table: Table) -> Plan:
        """Plan that what an earlier release wrote into the database has the form of this one."""
        return iter(())

    def is_unfinished(self, pair: Pair, table: Table) -> bool:
        """Tell whether an interrupted ``pair_up`` left the twin without all that keeps it in step, where a stop can."""
        return False

    def is_computed(self, pair: Pair, table: Table) -> bool:
        """Tell whether the server computes the twin, so that it is never filled."""
        return False

    def half_swapped_pair(self, pair: Pair, table: Table) -> Pair | None:
        """Return the pair if an interrupted ``promote_twin`` exchanged the names and left no triggers to find it by."""
        return None

    def is_swapped(self, pair: Pair, table: Table) -> bool:
        """Tell whether ``promote_twin`` dropped the former source, and was interrupted before the triggers."""
        return False

    def finish_swap(self, pair: Pair, table: Table) -> Plan:
        """Plan what an interrupted ``promote_twin`` left to do, where the names are exchanged."""
        return iter(())

    @abstractmethod
    def check_pair(self, pair: Pair, table: Table) -> None:
        """Raise what is wrong with a pair that does not stand yet, before anything is touched."""

    def check_row_security(self, pair: Pair, table: Table) -> None:
        """Raise UnsafeOperation if row security hides rows that the pair is filled, compared or checked by."""

    @abstractmethod
    def start_sync(self, pair: Pair, table: Table) -> Plan:
        """Plan that the twin stands and follows. Rows from before have no value in it yet."""

    @abstractmethod
    def copy_indexes(self, pair: Pair, table: Table) -> Plan:
        """Plan the twin's default, NOT NULL, indexes and constraints: nothing is left to do where it has them all."""

    @abstractmethod
    def swap_columns(self, pair: Pair, table: Table, kept: Pair | None) -> Plan:
        """Plan that the twin takes over, with the names of indexes and constraints, the default and the identity.

        Args:
            pair: The pair.
            stands: The table.
            kept: The pair that stands afterwards, in which the former source follows, bare: the two have exchanged
                their names. None: the former source is dropped.
        """

    @abstractmethod
    def drop_shadow(self, pair: Pair, table: Table) -> Plan:
        """Plan that the twin and what keeps it in step are gone."""

    @abstractmethod
    def shadow_value(self, pair: Pair) -> str:
        """Return the SQL of what a row's twin is to be."""

    @abstractmethod
    def unfilled(self, pair: Pair) -> str:
        """Return the condition of the rows whose twin has no value yet."""

    @abstractmethod
    def out_of_sync(self, pair: Pair) -> str:
        """Return the condition of the rows whose twin is not what it is to be, to the last bit."""

    def validate_keys(self, table: Table) -> Plan:
        """Plan that foreign keys to the table are valid which an interrupted ``promote_twin`` has made for new rows."""
        return iter(())

    def full_type(self, table: Table, column: str) -> str:
        """Return the type of a column, so that a twin of that type can be made."""
        return table.columns[column].type

    def moving_dependents(self, pair: Pair, table: Table) -> list[str]:
        """Describe what depends on the source and goes along with it, as ``dependents`` describes it: the foreign keys of
        other tables that ``promote_twin`` moves."""
        return []

    def script_start(self, pair: Pair) -> Plan:
        """Plan for ``--sql`` that the twin stands, filled and in step; the script looks for itself."""
        raise NotImplementedError

    def script_stop(self, pair: Pair, missing: str) -> Plan:
        """Plan for ``--sql`` that the source stands alone under its name, whichever of the two was there first.

        Args:
            pair: The pair; ``source`` is the name that stays.
            missing: The call that is missing where nothing keeps the two in step.
        """
        raise NotImplementedError
