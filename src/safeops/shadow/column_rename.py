"""The rename of a column over two deploys."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

from safeops.arguments import arguments_checked
from safeops.backfilling.status import forget_backfills_of
from safeops.databases.triggers import Pair
from safeops.execution.helper import CHECKED, IN_SYNC, Said, composite
from safeops.execution.inspect import check_has_columns, skipped
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration, running
from safeops.naming import Name, fitting
from safeops.shadow.fill import OPTIONS
from safeops.shadow.phases import ColumnChange, Phase
from safeops.shadow.port import ShadowColumns


@arguments_checked()
@dataclass(frozen=True)
class ColumnRename(ColumnChange):
    """A rename of a column while applications keep running.

    Args:
        table_name: The table.
        old_name: The current name of the column.
        new_name: The new name of the column.
        schema: The schema of the table.

    Example:
        ColumnRename("users", "name", "full_name").expand()
    """

    table_name: str
    old_name: str
    new_name: str
    _: KW_ONLY
    schema: str | None = None

    @composite(
        Said(
            "adds {0}.{2} next to {1}, filled and in sync",
            IN_SYNC,
            "1 of 2, expand.",
            kind="adds ..., filled and in sync",
        ),
        retried=True,
        keywords=OPTIONS,
    )
    def expand(self, **backfill_options: Any) -> bool:
        """Both names exist, and a value that is written to one can be read from the other.

        Steps: adds the new column and its sync triggers (PostgreSQL: in one transaction); fills it in batches; copies
        NOT NULL, default, indexes and constraints, each online.

        Args:
            **backfill_options: ``batch_size``, ``target_seconds``, ``pause``, ``throttles``, ``executor``, ``connect``,
                ``progress``, ``key``, as in ``backfill``.

        Returns:
            True if there was work left, False if both were in sync, or the rename had been contracted.

        Raises:
            UnknownTable, UnknownColumn: There is no such table or column.
            DefinitionMismatch: A column of the new name exists that this rename did not add.
            UnsafeOperation: The column cannot be copied online, or the new column would stop subscribers of logical
                replication; the message explains why.
            BackfillIncomplete: A trigger of the table cancels the UPDATE or reverts the value; the message names it.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, to add the column; rows, a batch at a time; reads and writes continue
        while indexes are built and constraints validated. MariaDB and MySQL: each statement online. SQLite: the file.

        Running it again: continues after the last finished step.

        Offline: PostgreSQL: blocks that inspect the table when they run, one UPDATE, and indexes built while writers wait.
        Other databases: ``OnlineOnly``, because the live table must be inspected.

        Example:
            ColumnRename("users", "name", "full_name").expand(throttles=[active_sessions(20)])
        """
        return self._started("expand", backfill_options)

    @composite(
        Said("drops {0}.{1}; {2} has replaced it", CHECKED, "2 of 2, contract.", kind="drops ... has replaced it"),
        retried=True,
    )
    def contract(self) -> bool:
        """The old name is dropped; the schema is the same as after a rename in place, including the names of indexes.

        Steps: checks that ``expand`` has finished and that both columns agree on every row; moves foreign keys of other
        tables to the new column, one by one; drops the old column and the sync triggers in one brief transaction, in which
        the new column gets the names of indexes and constraints.

        Returns:
            True if it was contracted, False if it had been.

        Raises:
            PhaseMissing: ``expand`` has not finished.
            ViolatingRows: The values of rows disagree: something bypassed the triggers.
            DependentObjects: A view, policy, trigger or generated column uses the old name.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: a scan that blocks no reads or writes; then PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL the table,
        briefly; SQLite the file.

        Running it again: does nothing.

        Offline: PostgreSQL: a block that inspects the table, and blocks writers while it compares; else ``OnlineOnly``.

        Example:
            ColumnRename("users", "name", "full_name").contract()
        """
        return self._stopped("contract")

    @composite(Said("drops {0}.{2}; {1} has every write", CHECKED, kind="drops ... has every write"), retried=True)
    def undo_expand(self) -> bool:
        """The new name is dropped, and the old one has every write: the inverse of ``expand``.

        Steps: drops the new column and the sync triggers in one brief transaction; MariaDB and MySQL: under one brief table
        lock, and a write to the new name that would be lost gets error 1054 (unknown column).

        Returns:
            True if it was undone, False if the new column did not exist.

        Raises:
            PhaseMissing: The rename has been contracted: ``undo_contract`` comes first.
            DependentObjects: Something uses the new name.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``contract``.

        Running it again: does nothing.

        Offline: PostgreSQL: a block that inspects the table, and blocks writers while it compares; else ``OnlineOnly``.

        Example:
            ColumnRename("users", "name", "full_name").undo_expand()
        """
        return self._stopped("undo_expand")

    @composite(Said("adds {0}.{1} again, filled and in sync with {2}", IN_SYNC), retried=True, keywords=OPTIONS)
    def undo_contract(self, **backfill_options: Any) -> bool:
        """The old name exists again, filled and in sync: the inverse of ``contract``.

        Steps: those of ``expand``, with the names exchanged.

        Args:
            **backfill_options: As in ``expand``.

        Returns:
            True if there was work left, False if both were in sync.

        Raises:
            DefinitionMismatch: A column of the old name exists that this rename did not add.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``expand``.

        Running it again: continues after the last finished step.

        Offline: PostgreSQL: a block that inspects the table, and blocks writers while it compares; else ``OnlineOnly``.

        Example:
            ColumnRename("users", "name", "full_name").undo_contract()
        """
        return self._started("undo_contract", backfill_options)

    # Details ----------------------------------------------------------------------------------------------------

    def _columns(self, phase: str) -> tuple[str, str]:
        """Return the column that exists before and after a phase, and the one that the phase adds or drops."""
        names = self.old_name, self.new_name
        return names if phase in ("expand", "undo_expand") else (self.new_name, self.old_name)

    def _pair(self, migration: Migration, table: Name, phase: str) -> Pair:
        parts = ("safeops", self.table_name, self.old_name, self.new_name)
        name = fitting(*parts, max_bytes=migration.database.abilities.max_identifier - 8)
        return Pair(name, table, *self._columns(phase), winner=self.new_name)

    def _rendered(self, name: str) -> bool | None:
        code = self._call(name)
        with running(code.removesuffix("()")) as migration:
            columns = ShadowColumns.of(migration.database)
            if not (migration.offline and columns.renders_offline):
                return None
            self._check_names(migration, code)
            pair = self._pair(migration, self._table_name, name)
            starts = name in ("expand", "undo_contract")
            plan = columns.script_start(pair) if starts else columns.script_stop(pair, self._call_before(name))
            return execute(migration, plan)

    def _started(self, name: str, options: dict[str, Any]) -> bool:
        """Add the second column, in sync."""

        def choose(phase: Phase) -> Pair | None:
            pair, existing = phase.pair, phase.table.columns
            if phase.is_in_sync:
                is_half_dropped = phase.columns.is_swapped(pair, phase.table) and pair.source not in existing
                pair = pair.mirrored if is_half_dropped else pair
                self._refuse_missing_column(phase, pair)
                return pair
            if pair.source not in existing and pair.shadow in existing:
                skipped(phase.code, f"only {pair.shadow} exists: there is no second column to keep in sync")
                return None
            check_has_columns(phase.table, [pair.source])
            return pair

        return self._start_sync(name, choose, options, copies_indexes=True)

    def _stopped(self, name: str) -> bool:
        """Drop one of the two columns."""
        if (rendered := self._rendered(name)) is not None:
            return rendered
        survivor, other = self._columns(name)
        with self._running(name) as phase:
            phase.outline(f"dropped column {self.table_name}.{other}, whose values {survivor} has")
            pair, existing = phase.pair, phase.table.columns
            if not phase.is_in_sync:
                return self._stopped_before(phase)
            if pair.source == survivor and pair.shadow not in existing:
                return phase.stop_sync(pair)
            if other not in existing and phase.columns.is_swapped(pair, phase.table):
                return phase.stop_sync(pair.mirrored)
            self._refuse_missing_column(phase, pair)
            # In undo_expand() the remaining column never lacked a value: nothing must have finished.
            never_lacked = pair.source == survivor and name == "undo_expand"
            if not never_lacked:
                phase.refuse_unfilled()
            phase.refuse_out_of_sync(unfilled=never_lacked)
            if pair.source == survivor:
                return phase.stop_sync(pair)
            # Not copied here: copies of a slower runner would remain on a column that is no longer a shadow column.
            phase.refuse_missing_copies()
            phase.refuse_dependents(other, pair)
            return phase.swap(None)

    def _stopped_before(self, phase: Phase) -> bool:
        """Complete an interrupted run if nothing keeps the two in sync."""
        pair, table = phase.pair, phase.table
        if phase.columns.is_unfinished(pair, table):
            return phase.stop_sync(pair)
        if pair.shadow in table.columns:
            raise phase.out_of_order(f"{pair.source} and {pair.shadow} of {table.name} are not in sync.")
        check_has_columns(table, [pair.source])
        # The run may have stopped between the drop and this.
        finished = phase.validate_keys()
        forget_backfills_of(phase.migration, table.name, self.new_name)
        forget_backfills_of(phase.migration, table.name, self.old_name)
        return finished or skipped(phase.code, f"{pair.shadow} does not exist")

    def _refuse_missing_column(self, phase: Phase, pair: Pair) -> None:
        takes_away = "undo_expand" if pair.source == self.old_name else "contract"
        replace(phase, pair=pair).refuse_missing_column(self._call(takes_away))
