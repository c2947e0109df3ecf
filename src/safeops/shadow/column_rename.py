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
    """A rename of a column that no application has to stop for.

    Args:
        table_name: The table.
        old_name: The column as it is called.
        new_name: The column as it is to be called.
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
            "adds {0}.{2} beside {1}, filled and in step",
            IN_SYNC,
            "1 of 2, expand.",
            kind="adds ..., filled and in step",
        ),
        retried=True,
        keywords=OPTIONS,
    )
    def expand(self, **backfill_options: Any) -> bool:
        """Both names exist, and what is written under one is read under the other.

        Steps: adds the new column and what keeps the two in sync (PostgreSQL: in one transaction); fills it in batches;
        copies NOT NULL, default, indexes and constraints, each online.

        Args:
            **backfill_options: ``batch_size``, ``target_seconds``, ``pause``, ``throttles``, ``executor``, ``connect``,
                ``progress``, ``key``, as in ``backfill``.

        Returns:
            True if anything was left to do, False if both were in sync, or the rename had been contracted.

        Raises:
            UnknownTable, UnknownColumn: There is no such table or column.
            DefinitionMismatch: A column of the new name exists that is not ours.
            UnsafeOperation: The column cannot be copied online, or subscribers of logical replication would stop over the
                new one; the message says why.
            BackfillIncomplete: A trigger of the table cancels the UPDATE or takes the value back; the message names it.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, to add the column; rows, a batch at a time; indexes are built and
        constraints validated while all go on. MariaDB and MySQL: each statement online. SQLite: the file.

        Running it again: goes on after the last finished step.

        Offline: PostgreSQL: blocks that look for themselves, one UPDATE, and indexes built while writers wait; elsewhere
        ``OnlineOnly``, as only the live table tells what depends on the column.

        Example:
            ColumnRename("users", "name", "full_name").expand(throttles=[active_sessions(20)])
        """
        return self._started("expand", backfill_options)

    @composite(
        Said(
            "drops {0}.{1}; {2} has taken its place", CHECKED, "2 of 2, contract.", kind="drops ... has taken its place"
        ),
        retried=True,
    )
    def contract(self) -> bool:
        """The old name is gone; the schema is what renaming in place would have made, names of indexes included.

        Steps: checks that ``expand`` has finished and that the two agree on every row; lets foreign keys of other
        tables refer to the new column, one by one; drops the old column, and what kept the two in sync, in one brief
        transaction in which the new one takes over the names of indexes and constraints.

        Returns:
            True if it was contracted, False if it had been.

        Raises:
            PhaseMissing: ``expand`` has not finished.
            ViolatingRows: Rows do not agree: something wrote past the triggers.
            DependentObjects: A view, policy, trigger or generated column uses the old name.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: a scan that blocks nobody; then PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL the table,
        briefly; SQLite the file.

        Running it again: nothing is left to do.

        Offline: PostgreSQL: a block that looks for itself, holding up writers while it compares; elsewhere ``OnlineOnly``.

        Example:
            ColumnRename("users", "name", "full_name").contract()
        """
        return self._stopped("contract")

    @composite(Said("drops {0}.{2}; {1} has every write", CHECKED, kind="drops ... has every write"), retried=True)
    def undo_expand(self) -> bool:
        """The new name is gone, and the old one has every write: the inverse of ``expand``.

        Steps: drops the new column and what kept the two in sync, in one brief transaction; MariaDB and MySQL: under one
        brief table lock, and a write under the new name that would be lost gets error 1054 (unknown column).

        Returns:
            True if it was undone, False if the new column was not there.

        Raises:
            PhaseMissing: The rename has been contracted: ``undo_contract`` comes first.
            DependentObjects: Something uses the new name.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``contract``.

        Running it again: nothing is left to do.

        Offline: PostgreSQL: a block that looks for itself, holding up writers while it compares; elsewhere ``OnlineOnly``.

        Example:
            ColumnRename("users", "name", "full_name").undo_expand()
        """
        return self._stopped("undo_expand")

    @composite(Said("brings {0}.{1} back, filled and in step with {2}", IN_SYNC), retried=True, keywords=OPTIONS)
    def undo_contract(self, **backfill_options: Any) -> bool:
        """The old name exists again, filled and in sync: the inverse of ``contract``.

        Steps: those of ``expand``, with the names exchanged.

        Args:
            **backfill_options: As in ``expand``.

        Returns:
            True if anything was left to do, False if both were in sync.

        Raises:
            DefinitionMismatch: A column of the old name exists that is not ours.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``expand``.

        Running it again: goes on after the last finished step.

        Offline: PostgreSQL: a block that looks for itself, holding up writers while it compares; elsewhere ``OnlineOnly``.

        Example:
            ColumnRename("users", "name", "full_name").undo_contract()
        """
        return self._started("undo_contract", backfill_options)

    # Details ----------------------------------------------------------------------------------------------------

    def _columns(self, phase: str) -> tuple[str, str]:
        """Return the column that exists by itself before or after a phase, and the one that comes or goes."""
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
        """Have both columns, in sync."""

        def choose(phase: Phase) -> Pair | None:
            pair, existing = phase.pair, phase.table.columns
            if phase.is_in_sync:
                is_half_dropped = phase.columns.is_swapped(pair, phase.table) and pair.source not in existing
                pair = pair.mirrored if is_half_dropped else pair
                self._refuse_missing_column(phase, pair)
                return pair
            if pair.source not in existing and pair.shadow in existing:
                skipped(phase.code, f"{pair.shadow} stands alone: there is nothing to bring in step")
                return None
            check_has_columns(phase.table, [pair.source])
            return pair

        return self._start_sync(name, choose, options, copies_indexes=True)

    def _stopped(self, name: str) -> bool:
        """Have one of the two columns alone."""
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
            # In undo_expand() the survivor never lacked a value, so that nothing has to have finished.
            never_lacked = pair.source == survivor and name == "undo_expand"
            if not never_lacked:
                phase.refuse_unfilled()
            phase.refuse_out_of_sync(unfilled=never_lacked)
            if pair.source == survivor:
                return phase.stop_sync(pair)
            # Not copied here: what a slower runner built would stay behind, on a column that is no shadow any more.
            phase.refuse_missing_copies()
            phase.refuse_dependents(other, pair)
            return phase.swap(None)

    def _stopped_before(self, phase: Phase) -> bool:
        """Finish what an interrupted run has left, where nothing keeps the two in sync."""
        pair, table = phase.pair, phase.table
        if phase.columns.is_unfinished(pair, table):
            return phase.stop_sync(pair)
        if pair.shadow in table.columns:
            raise phase.out_of_order(f"{pair.shadow} of {table.name} and {pair.source} are not in step.")
        check_has_columns(table, [pair.source])
        # A stop may have come between the drop and this.
        finished = phase.validate_keys()
        forget_backfills_of(phase.migration, table.name, self.new_name)
        forget_backfills_of(phase.migration, table.name, self.old_name)
        return finished or skipped(phase.code, f"{pair.shadow} is gone")

    def _refuse_missing_column(self, phase: Phase, pair: Pair) -> None:
        takes_away = "undo_expand" if pair.source == self.old_name else "contract"
        replace(phase, pair=pair).refuse_missing_column(self._call(takes_away))
