"""The rename of a column over two deploys."""

from __future__ import annotations

from dataclasses import KW_ONLY, dataclass
from typing import Any

from safeops.backfilling.status import forget_backfills_of
from safeops.databases.definitions import Table
from safeops.databases.triggers import Pair
from safeops.execution.helper import CHECKED, IN_SYNC, Said, composite
from safeops.execution.inspect import check_has_columns, check_names, look_into, skipped
from safeops.execution.lock_retry import execute, outline
from safeops.execution.migration import Migration, running
from safeops.naming import Name, call, fitting
from safeops.shadow import phases
from safeops.shadow.port import ShadowColumns


@dataclass(frozen=True)
class ColumnRename:
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
    )
    def expand(self, **backfill_options: Any) -> bool:
        """Both names stand, and what is written under one is read under the other.

        Steps: adds the new column and what keeps the two in step (PostgreSQL: in one transaction); fills it in batches;
        copies NOT NULL, default, indexes and constraints, each online.

        Args:
            **backfill_options: ``batch_size``, ``target_seconds``, ``pause``, ``throttles``, ``executor``, ``connect``,
                ``progress``, ``key``, as in ``backfill``.

        Returns:
            True if anything was left to do, False if both stood in step, or the rename had been contracted.

        Raises:
            UnknownTable, UnknownColumn: There is no such table or column.
            DefinitionMismatch: A column of the new name stands that is not ours.
            UnsafeOperation: The column cannot be copied online, or subscribers of logical replication would stop over the
                new one; the message says why.
            BackfillIncomplete: A trigger of the table cancels the UPDATE or takes the value back; the message names it.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, to add the column; rows, a batch at a time; indexes are built and
        constraints validated while all go on. MariaDB and MySQL: each statement online. SQLite: the file.

        Running it again: goes on after the last finished step.

        Offline: PostgreSQL: blocks that look for themselves, one UPDATE, and indexes built while writers wait; elsewhere
        ``OnlineOnly``, as only the live table tells what stands on the column.

        Example:
            ColumnRename("users", "name", "full_name").expand(throttles=[active_sessions(20)])
        """
        return self._start_sync("expand", self.old_name, self.new_name, backfill_options)

    @composite(
        Said(
            "drops {0}.{1}; {2} has taken its place", CHECKED, "2 of 2, contract.", kind="drops ... has taken its place"
        ),
        retried=True,
    )
    def contract(self) -> bool:
        """The old name is gone; the schema is what renaming in place would have made, names of indexes included.

        Steps: checks that ``expand`` has finished and that the two agree on every row; lets foreign keys of other
        tables refer to the new column, one by one; drops the old column, and what kept the two in step, in one brief
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
        return self._stop_sync("contract", self.new_name, self.old_name, "expand")

    @composite(Said("drops {0}.{2}; {1} has every write", CHECKED, kind="drops ... has every write"), retried=True)
    def undo_expand(self) -> bool:
        """The new name is gone, and the old one has every write: the inverse of ``expand``.

        Steps: drops the new column and what kept the two in step, in one brief transaction; MariaDB and MySQL: under one
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
        return self._stop_sync("undo_expand", self.old_name, self.new_name, "undo_contract")

    @composite(Said("brings {0}.{1} back, filled and in step with {2}", IN_SYNC), retried=True)
    def undo_contract(self, **backfill_options: Any) -> bool:
        """The old name stands again, filled and in step: the inverse of ``contract``.

        Steps: those of ``expand``, with the names exchanged.

        Args:
            **backfill_options: As in ``expand``.

        Returns:
            True if anything was left to do, False if both stood in step.

        Raises:
            DefinitionMismatch: A column of the old name stands that is not ours.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``expand``.

        Running it again: goes on after the last finished step.

        Offline: PostgreSQL: a block that looks for itself, holding up writers while it compares; elsewhere ``OnlineOnly``.

        Example:
            ColumnRename("users", "name", "full_name").undo_contract()
        """
        return self._start_sync("undo_contract", self.new_name, self.old_name, backfill_options)

    # Details ----------------------------------------------------------------------------------------------------

    def _rendered(self, phase: str, start_sync: bool, source: str, shadow: str, missing: str = "") -> bool | None:
        """Render the phase for ``--sql`` where the server's own language can look for itself; None online."""
        written = self._written(phase)
        with running(written.removesuffix("()")) as migration:
            database = migration.database
            if not (migration.offline and ShadowColumns.of(database).renders_offline):
                return None
            names = {"table_name": self.table_name, "old_name": self.old_name, "new_name": self.new_name}
            check_names(migration, written, schema=self.schema, **names)
            pair = self._pair(migration, Name(self.table_name, self.schema), source, shadow)
            plan = (
                ShadowColumns.of(database).script_start(pair)
                if start_sync
                else ShadowColumns.of(database).script_stop(pair, missing)
            )
            return execute(migration, plan)

    def _start_sync(self, phase: str, source: str, shadow: str, options: dict[str, Any]) -> bool:
        """Have both stand in step; ``shadow`` is the one that does not stand by itself."""
        written = self._written(phase)
        phases.check_options(written, options)
        if (rendered := self._rendered(phase, True, source, shadow)) is not None:
            return rendered

        def choose(migration: Migration) -> Pair | None:
            table = self._looked_at(migration, written)
            standing = self._standing(migration, table)
            if standing is not None:
                if (
                    ShadowColumns.of(migration.database).is_swapped(standing, table)
                    and standing.source not in table.columns
                ):
                    standing = standing.mirrored
                phases.refuse_missing_column(table, standing, self._undoing(standing))
                return standing
            if source not in table.columns and shadow in table.columns:
                skipped(written, f"{shadow} stands alone: there is nothing to bring in step")
                return None
            check_has_columns(table, [source])
            return self._pair(migration, table.name, source, shadow)

        return phases.start_sync(written, Name(self.table_name, self.schema), choose, equip=True, **options)

    def _stop_sync(self, phase: str, survivor: str, other: str, before: str) -> bool:
        """Let ``survivor`` stand alone; ``before`` is the phase that must have finished."""
        written, missing = self._written(phase), self._written(before)
        if (rendered := self._rendered(phase, False, survivor, other, missing)) is not None:
            return rendered
        with running(written.removesuffix("()")) as migration:
            table = self._looked_at(migration, written)
            does = f"dropped column {self.table_name}.{other}, whose values {survivor} has"
            outline(migration, table.name, does)
            standing = self._standing(migration, table)
            if standing is None:
                return self._already_stopped(migration, table, written, survivor, other, missing)
            if standing.source == survivor and standing.shadow not in table.columns:
                return phases.stop_sync(migration, standing)
            if other not in table.columns and ShadowColumns.of(migration.database).is_swapped(standing, table):
                return phases.stop_sync(migration, standing.mirrored)
            phases.refuse_missing_column(table, standing, self._undoing(standing))
            if standing.source == survivor and phase == "undo_expand":
                # The survivor never lacked a value, so that nothing has to have finished.
                phases.refuse_out_of_sync(migration, table, standing, written, unfilled=True)
                return phases.stop_sync(migration, standing)
            phases.refuse_unfilled(migration, standing, missing)
            phases.refuse_out_of_sync(migration, table, standing, written)
            if standing.source == survivor:
                return phases.stop_sync(migration, standing)
            # Not equipped here: what a slower runner built would stay behind, on a column that is nobody's twin any more.
            phases.refuse_missing_copies(migration, table, standing, missing)
            phases.refuse_dependents_on(migration, table, other, standing)
            return phases.swap(migration, standing, None)

    def _undoing(self, standing: Pair) -> str:
        """Return the phase that takes the twin away."""
        return self._written("undo_expand" if standing.source == self.old_name else "contract")

    def _already_stopped(
        self, migration: Migration, table: Table, written: str, survivor: str, other: str, missing: str
    ) -> bool:
        unfinished = self._pair(migration, table.name, survivor, other)
        if ShadowColumns.of(migration.database).is_unfinished(unfinished, table):
            return phases.stop_sync(migration, unfinished)
        if other in table.columns:
            raise phases.phase_missing(f"{other} of {table.name} and {survivor} are not in step.", missing)
        check_has_columns(table, [survivor])
        # A stop may have come between the drop and this.
        finished = phases.validate_keys(migration, table)
        forget_backfills_of(migration, table.name, self.new_name)
        forget_backfills_of(migration, table.name, self.old_name)
        return finished or skipped(written, f"{other} is gone")

    def _looked_at(self, migration: Migration, written: str) -> Table:
        names = {"table_name": self.table_name, "old_name": self.old_name, "new_name": self.new_name}
        return phases.inspect_table(migration, written, self.schema, **names)

    def _standing(self, migration: Migration, table: Table) -> Pair | None:
        name = self._pair(migration, table.name, self.old_name, self.new_name).name
        return look_into(migration, table.name, lambda: ShadowColumns.of(migration.database).find_pair(table, name))

    def _pair(self, migration: Migration, table: Name, source: str, shadow: str) -> Pair:
        parts = ("safeops", self.table_name, self.old_name, self.new_name)
        name = fitting(*parts, max_bytes=migration.database.abilities.max_identifier - 8)
        return Pair(name, table, source, shadow, winner=self.new_name)

    def _written(self, phase: str) -> str:
        change = call("ColumnRename", self.table_name, self.old_name, self.new_name, schema=self.schema)
        return f"{change}.{phase}()"
