"""The change of a column's type over three deploys."""

from __future__ import annotations

import logging
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any

import sqlalchemy as sa

from safeops.backfilling.status import forget_backfills_of
from safeops.databases.definitions import Table
from safeops.databases.triggers import Pair
from safeops.execution.helper import CHECKED, IN_SYNC, MOMENT, Said, composite
from safeops.execution.inspect import check_has_columns, look_into, skipped
from safeops.execution.lock_retry import outline
from safeops.execution.migration import Migration, running
from safeops.naming import Name, call, fitting, written_type
from safeops.schema.alter_column import refuse_in_place_only
from safeops.shadow import phases
from safeops.shadow.original_types import OriginalTypes, check_sql, check_type, has_type, refuse_needless
from safeops.shadow.port import ShadowColumns

log = logging.getLogger("safeops")


@dataclass(frozen=True)
class TypeChange:
    """A change of a column's type that would rewrite the table, without stopping anybody.

    Args:
        table_name: The table.
        column_name: The column.
        type_: The new type, as in ``op.alter_column``.
        using: SQL over the column's own name that makes a value of the new type; None is a CAST.
        reverse_using: SQL over the column's own name, then of the new type, that makes one of the old type; None is a
            CAST.
        schema: The schema of the table.

    Example:
        TypeChange("orders", "id", sa.BigInteger()).expand()
    """

    table_name: str
    column_name: str
    type_: Any
    _: KW_ONLY
    using: str | None = None
    reverse_using: str | None = None
    schema: str | None = None

    @composite(
        Said(
            "adds a copy of {0}.{1} in its new type, filled and in step",
            IN_SYNC,
            "1 of 3, expand.",
            kind="adds a copy of ... in its new type, filled and in step",
        ),
        retried=True,
    )
    def expand(self, **backfill_options: Any) -> bool:
        """A hidden column of the new type stands beside the column, filled and in step, with its indexes and constraints.

        Steps: adds ``safeops_<column>`` and what keeps it in step (PostgreSQL: in one transaction); fills it in batches;
        copies indexes and constraints, each online.

        Args:
            **backfill_options: ``batch_size``, ``target_seconds``, ``pause``, ``throttles``, ``executor``, ``connect``,
                ``progress``, ``key``, as in ``backfill``.

        Returns:
            True if anything was left to do, False if it had been done.

        Raises:
            InvalidArgument: The change needs no rewrite: the message shows the ``alter_column_type`` that does it.
            UnknownTable, UnknownColumn: There is no such table or column.
            ViolatingRows: Values that the new type does not take.
            UnsafeOperation: The column cannot be copied online, or subscribers of logical replication would stop over the
                new one; the message says why.
            BackfillIncomplete: A trigger of the table cancels the UPDATE or takes the value back; the message names it.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, to add the column; rows, a batch at a time; indexes are built and
        constraints validated while all go on. MariaDB and MySQL: each statement online. SQLite: the file.

        Running it again: goes on after the last finished step.

        Offline: ``OnlineOnly``: what stands on the column, only the live table tells.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).expand()
        """
        return self._expand(backfill_options)

    @composite(
        Said(
            "gives {0}.{1} its new type; the old column stays in step",
            CHECKED,
            "2 of 3, switch.",
            kind="gives ... its new type",
        ),
        retried=True,
    )
    def switch(self) -> bool:
        """The column has the new type; the one of the old type stays in step, hidden, so that nothing is lost.

        Steps: checks that ``expand`` has filled the column and that the two agree on every row; builds the indexes and
        constraints that came since, or that ``undo_switch`` let go, each online; lets foreign keys of other tables refer
        to the new column, one by one; exchanges the names in one brief transaction, with those of indexes and
        constraints, the default, the identity or sequence.

        Returns:
            True if it was switched, False if it had been.

        Raises:
            PhaseMissing: ``expand`` has not filled every row.
            ViolatingRows: Rows do not agree: something wrote past the triggers, or a value cannot be converted.
            DependentObjects: A view, policy, trigger or generated column uses the column.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: a scan that blocks nobody; then PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL the table,
        briefly; SQLite the file. PostgreSQL: statements that were prepared before and whose result has the column must be
        prepared again ("cached plan must not change result type").

        Running it again: goes on after the last finished step.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).switch()
        """
        return self._switch()

    @composite(Said("drops the column of the old type of {0}.{1}", f"{MOMENT}.", "3 of 3, contract."), retried=True)
    def contract(self) -> bool:
        """The hidden column of the old type is gone.

        Steps: notes the old type, for ``undo_contract``; drops the column and what kept it in step, in one brief
        transaction.

        Returns:
            True if it was contracted, False if it had been.

        Raises:
            PhaseMissing: ``switch`` has not been done.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE, briefly; MariaDB and MySQL the table, briefly; SQLite the file.

        Running it again: nothing is left to do.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).contract()
        """
        return self._contract()

    @composite(Said("drops the copy of {0}.{1}", f"{MOMENT}."), retried=True)
    def undo_expand(self) -> bool:
        """The hidden column of the new type is gone: the inverse of ``expand``.

        Steps: drops the column and what kept it in step, in one brief transaction.

        Returns:
            True if it was undone, False if there was nothing to undo.

        Raises:
            PhaseMissing: It was switched: ``undo_switch`` comes first.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``contract``.

        Running it again: nothing is left to do.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).undo_expand()
        """
        return self._undo_expand()

    @composite(
        Said("gives {0}.{1} its old type back; both stay in step", CHECKED, kind="gives ... its old type back"),
        retried=True,
    )
    def undo_switch(self) -> bool:
        """The column has its old type again, with every write: the inverse of ``switch``.

        Steps: checks that the two agree on every row; builds the indexes and constraints of the old column again, each
        online; exchanges the names in one brief transaction. The hidden column stays behind without them, and ``switch``
        builds them again.

        Returns:
            True if it was undone, False if there was nothing to undo.

        Raises:
            PhaseMissing: It was contracted: ``undo_contract`` comes first.
            ViolatingRows: Values that were written since and that the old type does not take.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``expand`` and ``switch``.

        Running it again: goes on after the last finished step.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).undo_switch()
        """
        return self._undo_switch()

    @composite(
        Said(
            "brings the column of the old type of {0}.{1} back",
            IN_SYNC,
            kind="brings the column of the old type of ... back",
        ),
        retried=True,
    )
    def undo_contract(self, **backfill_options: Any) -> bool:
        """The hidden column of the old type stands again, filled and in step: the inverse of ``contract``.

        Steps: adds it with what keeps it in step; fills it in batches.

        Args:
            **backfill_options: As in ``expand``.

        Returns:
            True if anything was left to do, False if there was nothing to undo.

        Raises:
            ViolatingRows: Values that the old type does not take.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: as ``expand``.

        Running it again: goes on after the last finished step.

        Offline: ``OnlineOnly``.

        Example:
            TypeChange("orders", "id", sa.BigInteger()).undo_contract()
        """
        return self._undo_contract(backfill_options)

    # Details ----------------------------------------------------------------------------------------------------

    def _expand(self, options: dict[str, Any]) -> bool:
        written = self._written("expand")

        def choose(migration: Migration) -> Pair | None:
            table = self._looked_at(migration, written)
            standing = self._standing(migration, table)
            if standing is not None:
                if standing.switched:
                    skipped(written, "it was switched before")
                return None if standing.switched else standing
            if self._has_type(migration, table):
                skipped(written, f"the column is {table.columns[self.column_name].type}")
                return None
            self._refuse_needless(migration, table)
            self._refuse_in_place_only(migration, table)
            return self._pair(migration, table)

        return phases.start_sync(written, self._name, choose, equip=True, **options)

    def _switch(self) -> bool:
        written, missing = self._written("switch"), self._written("expand")
        with running(written.removesuffix("()")) as migration:
            table = self._looked_at(migration, written)
            self._outline_exchange(migration, table, migration.database.type_text(self._type))
            standing = self._standing(migration, table)
            if standing is None:
                return self._done_or_missing(migration, table, written, missing)
            if standing.switched:
                return phases.finish_swap(migration, standing, table) or skipped(written, "it was switched before")
            return self._exchanged(migration, table, standing, written, missing)

    def _contract(self) -> bool:
        written, missing = self._written("contract"), self._written("switch")
        with running(written.removesuffix("()")) as migration:
            table = self._looked_at(migration, written)
            does = f"dropped the hidden column of {self._shown} with the values of the old type"
            outline(migration, table.name, does, loses=True)
            standing = self._standing(migration, table)
            if standing is None:
                return self._done_or_missing(migration, table, written, missing)
            if not standing.switched:
                raise phases.phase_missing(f"{table.name}.{self.column_name} has its old type still.", missing)
            self._former(migration).keep(self._kept_as(migration), standing.type or "", standing.default)
            return phases.stop_sync(migration, standing)

    def _undo_expand(self) -> bool:
        written, missing = self._written("undo_expand"), self._written("undo_switch")
        with running(written.removesuffix("()")) as migration:
            table = self._looked_at(migration, written)
            outline(migration, table.name, f"dropped the hidden column of {self._shown}, a copy of it in the new type")
            standing = self._standing(migration, table)
            if standing is not None and standing.switched:
                raise phases.phase_missing(f"{table.name}.{self.column_name} has its new type.", missing)
            pair = standing or self._pair(migration, table)
            if standing is None and not ShadowColumns.of(migration.database).is_unfinished(pair, table):
                forget_backfills_of(migration, table.name, pair.shadow)
                return skipped(written, "there is nothing to undo")
            return phases.stop_sync(migration, pair)

    def _undo_switch(self) -> bool:
        written, missing = self._written("undo_switch"), self._written("undo_contract")
        with running(written.removesuffix("()")) as migration:
            table = self._looked_at(migration, written)
            self._outline_exchange(migration, table, "its old type")
            standing = self._standing(migration, table)
            if standing is None and self._is_contracted(migration):
                raise phases.phase_missing(f"{table.name}.{self.column_name} has no column of the old type.", missing)
            if standing is None or not standing.switched:
                finish_swap = standing is not None and phases.finish_swap(migration, standing, table)
                return finish_swap or skipped(written, "it was not switched")
            return self._exchanged(migration, table, standing, written, missing)

    def _undo_contract(self, options: dict[str, Any]) -> bool:
        written = self._written("undo_contract")

        def choose(migration: Migration) -> Pair | None:
            table = self._looked_at(migration, written)
            standing, pair = self._standing(migration, table), self._pair(migration, table)
            former = self._former(migration).of(self._kept_as(migration))
            if standing is not None and standing.switched:
                return standing
            if standing is not None or former is None:
                skipped(written, "it was not contracted")
                return None
            return self._switched(pair, *former)

        done = phases.start_sync(written, self._name, choose, equip=False, **options)
        with running(written.removesuffix("()")) as migration:
            self._former(migration).forget(self._kept_as(migration))
        return done

    @property
    def _name(self) -> Name:
        return Name(self.table_name, self.schema)

    def _outline_exchange(self, migration: Migration, table: Table, type_: str) -> None:
        does = f"exchanged the names of {self._shown} and its hidden column, so that it has {type_}"
        outline(migration, table.name, does)

    @property
    def _shown(self) -> str:
        return f"{self._name}.{self.column_name}"

    def _exchanged(self, migration: Migration, table: Table, standing: Pair, written: str, missing: str) -> bool:
        """Let the hidden column and the one that applications know exchange their names."""
        phases.finish_swap(migration, standing, table)
        phases.refuse_unfilled(migration, standing, missing)
        phases.refuse_out_of_sync(migration, table, standing, written)
        phases.refuse_dependents_on(migration, table, self.column_name, standing)
        # The hidden column is bare after an exchange the other way, and indexes may have come since it was equipped.
        phases.copy_indexes(migration, standing, table)
        was = ShadowColumns.of(migration.database).full_type(table, self.column_name)
        default = table.columns[self.column_name].default
        kept = self._expanded(standing, was) if standing.switched else self._switched(standing, was, default)
        done = phases.swap(migration, standing, kept)
        log.info("%s has another type: statements that were prepared before must be prepared again", table.name)
        return done

    def _switched(self, pair: Pair, former: str, default: str | None) -> Pair:
        """Return the pair as it is after the switch: the hidden column has the former type and follows."""
        return replace(pair, type=former, value=self.reverse_using, back=self.using, default=default, switched=True)

    def _expanded(self, pair: Pair, new: str) -> Pair:
        """Return the pair as it is before the switch: the hidden column has the new type and follows."""
        return replace(pair, type=new, value=self.using, back=self.reverse_using, default=None, switched=False)

    def _former(self, migration: Migration) -> OriginalTypes:
        return OriginalTypes(migration.database, migration.settings.schema_for_state)

    def _kept_as(self, migration: Migration) -> str:
        """Return what the former type is kept under: a column may change more than once."""
        return fitting(f"{self._name}.{self.column_name} as {migration.database.type_text(self._type)}", max_bytes=180)

    def _done_or_missing(self, migration: Migration, table: Table, written: str, missing: str) -> bool:
        if not self._has_type(migration, table):
            raise phases.phase_missing(f"{table.name}.{self.column_name} has its old type, and no twin.", missing)
        pair = self._pair(migration, table)
        if ShadowColumns.of(migration.database).is_unfinished(pair, table):
            return phases.stop_sync(migration, pair)
        forget_backfills_of(migration, table.name, pair.shadow)
        return skipped(written, f"the column is {table.columns[self.column_name].type}")

    def _has_type(self, migration: Migration, table: Table) -> bool:
        return has_type(migration, table, self.column_name, self._type)

    def _refuse_in_place_only(self, migration: Migration, table: Table) -> None:
        name = Name(self.table_name, self.schema)
        refuse_in_place_only(migration, table, name, self.column_name, self._type)

    def _refuse_needless(self, migration: Migration, table: Table) -> None:
        if self.using is None:
            refuse_needless(migration, table, self.column_name, self._type, self.schema)

    @property
    def _type(self) -> sa.types.TypeEngine[Any]:
        return sa.types.to_instance(self.type_)

    def _looked_at(self, migration: Migration, written: str) -> Table:
        self._check()
        names = {"table_name": self.table_name, "column_name": self.column_name}
        table = phases.inspect_table(migration, written, self.schema, **names)
        check_has_columns(table, [self.column_name])
        return table

    def _check(self) -> None:
        check_type(self.type_)
        check_sql("using", self.using, self.column_name)
        check_sql("reverse_using", self.reverse_using, self.column_name)

    def _standing(self, migration: Migration, table: Table) -> Pair | None:
        database, pair = migration.database, self._pair(migration, table)
        found = look_into(migration, table.name, lambda: ShadowColumns.of(database).find_pair(table, pair.name))
        torn = (
            None
            if found
            else look_into(migration, table.name, lambda: ShadowColumns.of(database).half_swapped_pair(pair, table))
        )
        return found or (None if torn is None or self._is_contracted(migration) else torn)

    def _is_contracted(self, migration: Migration) -> bool:
        return self._former(migration).of(self._kept_as(migration)) is not None

    def _pair(self, migration: Migration, table: Table) -> Pair:
        longest = migration.database.abilities.max_identifier
        name = fitting("safeops", self.table_name, self.column_name, "type", max_bytes=longest - 8)
        shadow = fitting("safeops", self.column_name, max_bytes=longest)
        type_ = migration.database.type_text(self._type)
        return Pair(name, table.name, self.column_name, shadow, type=type_, value=self.using, back=self.reverse_using)

    def _written(self, phase: str) -> str:
        type_ = written_type(self._type) if isinstance(self.type_, (type, sa.types.TypeEngine)) else self.type_
        change = call(
            "TypeChange",
            self.table_name,
            self.column_name,
            type_,
            using=self.using,
            reverse_using=self.reverse_using,
            schema=self.schema,
        )
        return f"{change}.{phase}()"


def check_change(migration: Migration, table: Table, change: TypeChange) -> None:
    """Raise what ``expand`` would raise of a column that cannot have a twin of another type."""
    change._refuse_in_place_only(migration, table)
    ShadowColumns.of(migration.database).check_pair(change._pair(migration, table), table)


def standing_change(migration: Migration, table: Table, change: TypeChange) -> bool:
    """Tell whether a change of type has been expanded and not been switched."""
    pair = change._standing(migration, table)
    return pair is not None and not pair.switched
