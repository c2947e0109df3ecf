"""The change of a column's type over three deploys."""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, ClassVar

import sqlalchemy as sa

from safeops.arguments import arguments_checked
from safeops.backfilling.status import forget_backfills_of
from safeops.databases.definitions import Table
from safeops.databases.triggers import Pair
from safeops.execution.helper import BRIEF_LOCK, CHECKED, IN_SYNC, Said, composite
from safeops.execution.inspect import check_has_columns, look_into, skipped
from safeops.execution.migration import Migration, running
from safeops.naming import Name, fitting
from safeops.schema.alter_column import refuse_in_place_only
from safeops.shadow.fill import OPTIONS
from safeops.shadow.original_types import OriginalType, check_sql, check_type, has_type, refuse_needless
from safeops.shadow.phases import ColumnChange, Phase
from safeops.shadow.port import ShadowColumns

log = logging.getLogger("safeops")


@arguments_checked()
@dataclass(frozen=True)
class TypeChange(ColumnChange):
    """A change of a column's type that would rewrite the table, while applications keep running.

    Args:
        table_name: The table.
        column_name: The column.
        type_: The new type, as in ``op.alter_column``.
        using: SQL over the column's name that returns a value of the new type; None is a CAST.
        reverse_using: SQL over the column's name, which then has the new type, that returns a value of the old type; None
            is a CAST.
        schema: The schema of the table.

    Example:
        TypeChange("orders", "id", sa.BigInteger()).expand()
    """

    _phases: ClassVar[tuple[str, ...]] = ("expand", "switch", "contract")

    table_name: str
    column_name: str
    type_: Any
    _: KW_ONLY
    using: str | None = None
    reverse_using: str | None = None
    schema: str | None = None

    @composite(
        Said(
            "adds a copy of {0}.{1} in its new type, filled and in sync",
            IN_SYNC,
            "1 of 3, expand.",
            kind="adds a copy of ... in its new type, filled and in sync",
        ),
        retried=True,
        keywords=OPTIONS,
    )
    def expand(self, **backfill_options: Any) -> bool:
        """A hidden shadow column of the new type exists, filled and in sync, with the indexes and constraints.

        Steps: adds ``safeops_<column>`` and its sync triggers (PostgreSQL: in one transaction); fills it in batches; copies
        indexes and constraints, each online.

        Args:
            **backfill_options: ``batch_size``, ``target_seconds``, ``pause``, ``throttles``, ``executor``, ``connect``,
                ``progress``, ``key``, as in ``backfill``.

        Returns:
            True if there was work left, False if it had been done.

        Raises:
            InvalidArgument: The change needs no rewrite; the message shows the call of ``alter_column_type``.
            UnknownTable, UnknownColumn: There is no such table or column.
            ViolatingRows: The new type rejects values of the column.
            UnsafeOperation: The column cannot be copied online, or the new column would stop subscribers of logical
                replication; the message explains why.
            BackfillIncomplete: A trigger of the table cancels the UPDATE or reverts the value; the message names it.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, to add the column; rows, a batch at a time; reads and writes continue
        while indexes are built and constraints validated. MariaDB and MySQL: each statement online. SQLite: the file.

        Running it again: continues after the last finished step.

        Offline: ``OnlineOnly``, because the live table must be inspected.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).expand()
        """

        def choose(phase: Phase) -> Pair | None:
            if phase.is_in_sync:
                if phase.pair.switched:
                    skipped(phase.code, "it was switched before")
                return None if phase.pair.switched else phase.pair
            if self._has_type(phase):
                self._skip_as_done(phase)
                return None
            if self.using is None:
                refuse_needless(phase.migration, phase.table, self.column_name, self._type, self.schema)
            self._refuse_in_place_only(phase.migration, phase.table)
            return phase.pair

        return self._start_sync("expand", choose, backfill_options, copies_indexes=True)

    @composite(
        Said(
            "gives {0}.{1} its new type; the old column stays in sync",
            CHECKED,
            "2 of 3, switch.",
            kind="gives ... its new type",
        ),
        retried=True,
    )
    def switch(self) -> bool:
        """The column has the new type; a hidden column of the old type stays in sync, so no value is lost.

        Steps: checks that ``expand`` has filled the column and that both agree on every row; builds the indexes and
        constraints that are new, or that ``undo_switch`` dropped, each online; moves foreign keys of other tables to the new
        column, one by one; exchanges the names in one brief transaction, including those of indexes and constraints, the
        default, the identity or sequence.

        Returns:
            True if it was switched, False if it had been.

        Raises:
            PhaseMissing: ``expand`` has not filled every row.
            ViolatingRows: The values of rows disagree: something bypassed the triggers, or a value cannot be converted.
            DependentObjects: A view, policy, trigger or generated column uses the column.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: a scan that blocks no reads or writes; then PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL the table,
        briefly; SQLite the file. PostgreSQL: clients must prepare statements again if their result has the column ("cached
        plan must not change result type").

        Running it again: continues after the last finished step.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).switch()
        """
        with self._running("switch") as phase:
            self._outline_swap(phase, phase.database.type_text(self._type))
            if not phase.is_in_sync:
                return self._done_or_missing(phase)
            if phase.pair.switched:
                return phase.finish_swap() or skipped(phase.code, "it was switched before")
            return self._swapped(phase)

    @composite(Said("drops the column of the old type of {0}.{1}", f"{BRIEF_LOCK}.", "3 of 3, contract."), retried=True)
    def contract(self) -> bool:
        """The hidden column of the old type is dropped.

        Steps: records the old type for ``undo_contract``; drops the column and its sync triggers in one brief transaction.

        Returns:
            True if it was contracted, False if it had been.

        Raises:
            PhaseMissing: ``switch`` has not been done.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL the table, briefly; SQLite the file.

        Running it again: does nothing.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).contract()
        """
        with self._running("contract") as phase:
            phase.outline(f"dropped the hidden column of {self._shown} with the values of the old type", loses=True)
            if not phase.is_in_sync:
                return self._done_or_missing(phase)
            if not phase.pair.switched:
                raise phase.out_of_order(f"{phase.table.name}.{self.column_name} still has its old type.")
            self._original(phase.migration).keep(phase.pair.type or "", phase.pair.default)
            return phase.stop_sync(phase.pair)

    @composite(Said("drops the copy of {0}.{1}", f"{BRIEF_LOCK}."), retried=True)
    def undo_expand(self) -> bool:
        """The hidden column of the new type is dropped: the inverse of ``expand``.

        Steps: drops the column and its sync triggers in one brief transaction.

        Returns:
            True if it was undone, False if there was nothing to undo.

        Raises:
            PhaseMissing: It was switched: ``undo_switch`` comes first.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``contract``.

        Running it again: does nothing.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).undo_expand()
        """
        with self._running("undo_expand") as phase:
            phase.outline(f"dropped the hidden column of {self._shown}, a copy of it in the new type")
            if phase.is_in_sync and phase.pair.switched:
                raise phase.out_of_order(f"{phase.table.name}.{self.column_name} has its new type.")
            if not phase.is_in_sync and not phase.columns.is_unfinished(phase.pair, phase.table):
                forget_backfills_of(phase.migration, phase.table.name, phase.pair.shadow)
                return skipped(phase.code, "there is nothing to undo")
            return phase.stop_sync(phase.pair)

    @composite(
        Said("restores the old type of {0}.{1}; both stay in sync", CHECKED, kind="restores the old type of ..."),
        retried=True,
    )
    def undo_switch(self) -> bool:
        """The column has its old type again, with every write: the inverse of ``switch``.

        Steps: checks that both agree on every row; builds the indexes and constraints of the old column again, each online;
        exchanges the names in one brief transaction. The hidden column keeps none of them; ``switch`` builds them again.

        Returns:
            True if it was undone, False if there was nothing to undo.

        Raises:
            PhaseMissing: It was contracted: ``undo_contract`` comes first.
            ViolatingRows: The old type rejects values that were written since.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``expand`` and ``switch``.

        Running it again: continues after the last finished step.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).undo_switch()
        """
        with self._running("undo_switch") as phase:
            self._outline_swap(phase, "its old type")
            if phase.is_in_sync and phase.pair.switched:
                return self._swapped(phase)
            if not phase.is_in_sync and self._original(phase.migration).read() is not None:
                raise phase.out_of_order(f"{phase.table.name}.{self.column_name} has no column of the old type.")
            finished = phase.is_in_sync and phase.finish_swap()
            return finished or skipped(phase.code, "it was not switched")

    @composite(
        Said(
            "adds the column of the old type of {0}.{1} again",
            IN_SYNC,
            kind="adds the column of the old type of ... again",
        ),
        retried=True,
        keywords=OPTIONS,
    )
    def undo_contract(self, **backfill_options: Any) -> bool:
        """The hidden column of the old type exists again, filled and in sync: the inverse of ``contract``.

        Steps: adds it with its sync triggers; fills it in batches.

        Args:
            **backfill_options: As in ``expand``.

        Returns:
            True if there was work left, False if there was nothing to undo.

        Raises:
            ViolatingRows: The old type rejects values of the column.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``expand``.

        Running it again: continues after the last finished step.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).undo_contract()
        """

        def choose(phase: Phase) -> Pair | None:
            original = self._original(phase.migration).read()
            if phase.is_in_sync and phase.pair.switched:
                return phase.pair
            if phase.is_in_sync or original is None:
                skipped(phase.code, "it was not contracted")
                return None
            return self._as_switched(phase.pair, *original)

        undone = self._start_sync("undo_contract", choose, backfill_options, copies_indexes=False)
        with running(self._call("undo_contract").removesuffix("()")) as migration:
            self._original(migration).forget()
        return undone

    # Swapping ---------------------------------------------------------------------------------------------------

    def _outline_swap(self, phase: Phase, type_: str) -> None:
        phase.outline(f"exchanged the names of {self._shown} and its hidden column: it now has {type_}")

    def _swapped(self, phase: Phase) -> bool:
        """Exchange the names of the hidden column and the visible one."""
        pair, table = phase.pair, phase.table
        phase.finish_swap()
        phase.refuse_unfilled()
        phase.refuse_out_of_sync()
        phase.refuse_dependents(self.column_name, pair)
        # The hidden column has no indexes after the reverse swap, and may lack new ones.
        phase.copy_indexes()
        was, default = phase.columns.full_type(table, self.column_name), table.columns[self.column_name].default
        kept = self._as_expanded(pair, was) if pair.switched else self._as_switched(pair, was, default)
        swapped = phase.swap(kept)
        log.info("changed the type of a column of %s: clients must prepare their statements again", table.name)
        return swapped

    def _as_switched(self, pair: Pair, original: str, default: str | None) -> Pair:
        """Return the pair as it is after the switch: the hidden column has the original type and follows."""
        return replace(pair, type=original, value=self.reverse_using, back=self.using, default=default, switched=True)

    def _as_expanded(self, pair: Pair, new: str) -> Pair:
        """Return the pair as it is before the switch: the hidden column has the new type and follows."""
        return replace(pair, type=new, value=self.using, back=self.reverse_using, default=None, switched=False)

    def _done_or_missing(self, phase: Phase) -> bool:
        if not self._has_type(phase):
            raise phase.out_of_order(f"{phase.table.name}.{self.column_name} has its old type and no shadow column.")
        if phase.columns.is_unfinished(phase.pair, phase.table):
            return phase.stop_sync(phase.pair)
        forget_backfills_of(phase.migration, phase.table.name, phase.pair.shadow)
        return self._skip_as_done(phase)

    def _skip_as_done(self, phase: Phase) -> bool:
        return skipped(phase.code, f"the column is {phase.table.columns[self.column_name].type}")

    # Looking ----------------------------------------------------------------------------------------------------

    @property
    def _shown(self) -> str:
        return f"{self._table_name}.{self.column_name}"

    @property
    def _type(self) -> sa.types.TypeEngine[Any]:
        return sa.types.to_instance(self.type_)

    def _has_type(self, phase: Phase) -> bool:
        return has_type(phase.migration, phase.table, self.column_name, self._type)

    def _refuse_in_place_only(self, migration: Migration, table: Table) -> None:
        refuse_in_place_only(migration, table, self._table_name, self.column_name, self._type)

    def _original(self, migration: Migration) -> OriginalType:
        """Return the record of the original type, by the new type: a column may change more than once."""
        type_ = migration.database.type_text(self._type)
        return OriginalType(migration, fitting(f"{self._shown} as {type_}", max_bytes=180))

    def _inspect(self, migration: Migration, code: str) -> Table:
        check_type(self.type_)
        check_sql("using", self.using, self.column_name)
        check_sql("reverse_using", self.reverse_using, self.column_name)
        table = super()._inspect(migration, code)
        check_has_columns(table, [self.column_name])
        return table

    def _find(self, migration: Migration, table: Table, phase: str = "") -> tuple[Pair, bool]:
        pair, is_in_sync = super()._find(migration, table, phase)
        if is_in_sync:
            return pair, True
        columns = ShadowColumns.of(migration.database)
        half_swapped = look_into(migration, table.name, lambda: columns.half_swapped_pair(pair, table))
        if half_swapped is None or self._original(migration).read() is not None:
            return pair, False
        return half_swapped, True

    def _pair(self, migration: Migration, table: Name, phase: str = "") -> Pair:
        longest = migration.database.abilities.max_identifier
        name = fitting("safeops", self.table_name, self.column_name, "type", max_bytes=longest - 8)
        shadow = fitting("safeops", self.column_name, max_bytes=longest)
        type_ = migration.database.type_text(self._type)
        return Pair(name, table, self.column_name, shadow, type=type_, value=self.using, back=self.reverse_using)


def check_change(migration: Migration, table: Table, change: TypeChange) -> None:
    """Raise the error of ``expand`` for a column that cannot have a shadow column of another type."""
    change._refuse_in_place_only(migration, table)
    ShadowColumns.of(migration.database).check_pair(change._pair(migration, table.name), table)


def standing_change(migration: Migration, table: Table, change: TypeChange) -> bool:
    """Return whether a change of type was expanded and not switched."""
    pair, is_in_sync = change._find(migration, table)
    return is_in_sync and not pair.switched
