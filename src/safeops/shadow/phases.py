"""The parts of the phases of renames and type changes: start the sync of two columns, compare, swap, stop."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any, TypeVar

from sqlalchemy.exc import DBAPIError

from safeops.backfilling.backfill import Arguments
from safeops.backfilling.spec import key_of
from safeops.backfilling.state import State
from safeops.backfilling.status import backfills_of, forget_backfills, forget_backfills_of
from safeops.databases.base import Database
from safeops.databases.definitions import Table
from safeops.databases.server import OF_ROWS, OF_STATEMENT
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import Pair
from safeops.errors import InvalidArgument, PhaseMissing, SafeOpsError, ViolatingRows
from safeops.execution.helper import PhasedChange, phase_missing
from safeops.execution.inspect import existing, look_into
from safeops.execution.lock_retry import Explain, execute, outline, with_lock_retry
from safeops.execution.migration import Migration, running
from safeops.execution.replication import check_subscribers_of_column, check_subscribers_of_state, note_subscribers
from safeops.naming import Name
from safeops.planned import infinitive
from safeops.schema import refusals
from safeops.schema.refusals import explained_dependents, refuse_dependents
from safeops.shadow.fill import Fill, progress_of, said, unchanged, unconvertible
from safeops.shadow.port import ShadowColumns

log = logging.getLogger("safeops")

T = TypeVar("T")


@dataclass(frozen=True)
class Phase:
    """A phase of a change of a column, as it runs.

    Args:
        migration: The running migration.
        table: The table.
        pair: The two columns, as the database keeps them in sync or would keep them.
        is_in_sync: Whether the database keeps them in sync.
        code: The phase as its author calls it.
        missing: The call of the phase before it.
    """

    migration: Migration
    table: Table
    pair: Pair
    is_in_sync: bool
    code: str
    missing: str = ""

    @property
    def database(self) -> Database:
        return self.migration.database

    @property
    def columns(self) -> ShadowColumns:
        return ShadowColumns.of(self.database)

    def ask(self, question: Callable[[], T]) -> T:
        """Query the server; it locks the table briefly for this."""
        return look_into(self.migration, self.table.name, question)

    def outline(self, does: str, *, loses: bool = False) -> None:
        """Describe the result of the phase to a plan."""
        outline(self.migration, self.table.name, does, loses=loses)

    def out_of_order(self, problem: str) -> PhaseMissing:
        return phase_missing(problem, self.missing)

    def _execute(self, plan: Plan, explain: Explain | None = None) -> bool:
        return execute(self.migration, plan, explain)

    # Starting ---------------------------------------------------------------------------------------------------

    def start_sync(self, table: Name, options: dict[str, Any]) -> bool:
        """Add the shadow column, in sync; ``table`` is what its author calls the table."""
        # Before the pair is read: another runner may start right after that, and begin to fill.
        known = backfills_of(self.migration, self.table.name, self.pair.shadow)
        found = self.ask(lambda: self.columns.find_pair(self.table, self.pair.name))
        if found is not None:
            return self._execute(self.columns.renew_triggers(found, self.table))
        for dependent in self._dependents(self.pair.source, self.pair):
            log.warning(
                "a later phase will fail while this depends on %s.%s: %s",
                self.table.name,
                self.pair.source,
                dependent,
            )
        self._check_pair()
        self._check_fill(Arguments(self.migration, table.name, table.schema), options)
        check_subscribers_of_column(self.migration, self.table, self.pair.shadow, self.code)
        check_subscribers_of_state(self.migration, State.of(self.migration), self.code)
        # With the progress of an earlier column of that name, this one would count as filled.
        forget_backfills(self.migration, known)
        return self._execute(self.columns.start_sync(self.pair, self.table))

    def _check_pair(self) -> None:
        """Raise what is wrong with a pair before anything is changed."""
        pair, database = self.pair, self.database
        self._check_triggers(f"Keeping {pair.source} and {pair.shadow} of {pair.table} in sync")
        conversion = f"SELECT {self.columns.shadow_value(pair)} FROM {database.quoted_table(pair.table)} WHERE 1 = 0"
        try:
            self.ask(lambda: self.columns.check_pair(pair, self.table))
            self.ask(lambda: database.read(conversion))
        except DBAPIError as error:
            if database.errors.is_lock_failure(error) or database.errors.kind_of(error) not in OF_STATEMENT:
                raise
            raise InvalidArgument(
                f"{database.product} rejects {pair.shadow} as a copy of {pair.table}.{pair.source}: {said(error)}",
                why="Indexes, checks, the default and the conversion were tried on an empty copy of the table.",
                remedy="Pass a conversion, or drop the object that the error names first:",
                code='TypeChange(..., using="...", reverse_using="...")',
            ) from error

    def _check_triggers(self, asked: str) -> None:
        triggers = self.database.triggers
        self.ask(lambda: triggers.check_triggers(asked, self.table.name, locks_table=True))

    def _check_fill(self, arguments: Arguments, options: dict[str, Any]) -> None:
        """Raise the errors of the fill in advance, such as no key to scan along."""
        arguments.check_workers(options.get("executor"), options.get("connect"))
        arguments.check_progress(options.get("progress"))
        seconds, rows = options.get("target_seconds"), options.get("batch_size")
        arguments.limits(seconds, rows, options.get("pause", 0.0), options.get("throttles", ()))
        key_of(self.migration, self.table, arguments.key(options.get("key")), [self.pair.shadow])

    def copy_indexes(self) -> bool:
        """Copy the missing default, indexes and constraints to the shadow column."""
        self.ask(lambda: self.columns.check_row_security(self.pair, self.table))

        def explain(error: DBAPIError) -> SafeOpsError | None:
            return unfitting(self.pair, error) if self.database.errors.is_violation(error) else None

        return self._execute(self.columns.copy_indexes(self.pair, self.table), explain)

    # Checks -----------------------------------------------------------------------------------------------------

    def refuse_missing_column(self, code: str) -> None:
        """Raise PhaseMissing if a column of the pair was dropped, but its triggers exist; ``code`` drops those."""
        gone = [name for name in (self.pair.source, self.pair.shadow) if name not in self.table.columns]
        if gone:
            is_shadow = gone[0] == self.pair.shadow
            raise PhaseMissing(
                f"{self.table.name}.{gone[0]} was dropped or renamed manually, but its sync triggers exist: writes fail.",
                why="The trigger writes a column that does not exist.",
                remedy="Drop the triggers:" if is_shadow else "Restore the name of the column, then:",
                code=code,
            )

    def refuse_unfilled(self) -> None:
        """Raise PhaseMissing if the previous phase was interrupted before every row had a value."""
        if self._is_unfilled():
            raise self._not_in_sync(f"existing rows have no value in {self.pair.shadow} yet")

    def _is_unfilled(self) -> bool:
        if not self.pair.switched:
            return self._has_rows(self.columns.unfilled(self.pair))
        # A row without a value in the old type may have a new value that the old type rejects.
        part = progress_of(self.migration, self.pair)
        return part is not None and not part.is_finished

    def _has_rows(self, condition: str) -> bool:
        sql = f"SELECT 1 FROM {self.database.quoted_table(self.table.name)} WHERE {condition} LIMIT 1"
        step = Step(sql, f"read {self.table.name}", (self.table.name,), scans=True)
        with _explaining_values(self.migration, self.pair):
            return bool(with_lock_retry(self.migration, step.does, lambda: self.database.read(sql), step))
        return False

    def refuse_missing_copies(self) -> None:
        """Raise PhaseMissing if the shadow column lacks an index or a constraint."""
        step = self.ask(lambda: next(self.columns.copy_indexes(self.pair, self.table), None))
        if step is not None:
            raise self._not_in_sync(f"this step is missing: {infinitive(step.does)}")

    def _not_in_sync(self, left: str) -> PhaseMissing:
        pair = self.pair
        return self.out_of_order(f"{pair.source} and {pair.shadow} of {pair.table} are not in sync yet: {left}.")

    def refuse_out_of_sync(self, *, unfilled: bool = False) -> None:
        """Raise ViolatingRows if the two values of a row disagree: something bypassed the triggers.

        Args:
            unfilled: Whether rows may have no value in the shadow column because they are not filled yet.
        """
        database, pair = self.database, self.pair
        condition = self.columns.out_of_sync(pair)
        condition = f"({condition}) AND NOT ({self.columns.unfilled(pair)})" if unfilled else condition
        source = f"FROM {database.quoted_table(pair.table)} WHERE {condition}"
        offenders = refusals.Offenders(
            ViolatingRows,
            ("", "have", f"values in {pair.table}.{pair.source} and {pair.shadow} that disagree"),
            source,
            lambda: [database.quoted(name) for name in self.table.primary_key or [*self.table.columns][:3]],
            remedy="Something bypassed the triggers that keep the two in sync: replication, a restore, or a session"
            " with session_replication_role = replica. Decide which value is right, write it to both columns, and run"
            f" {self.code} again. This query finds all such rows:",
        )
        with _explaining_values(self.migration, pair), self.columns.converting(pair):
            refusals.refuse(self.migration, self.table, offenders)

    def refuse_dependents(self, column: str, pair: Pair) -> None:
        """Raise DependentObjects if an object depends on the column to drop and does not move with it."""
        other = pair.shadow if pair.source == column else pair.source
        refuse_dependents(
            f"column {self.table.name}.{column}",
            self._dependents(column, pair),
            f"Drop or change them first, in this revision or an earlier one. Make them use {other} instead.",
        )

    def _dependents(self, column: str, pair: Pair) -> list[str]:
        """Describe what depends on a column and does not move with it."""

        def find() -> list[str]:
            moves = self.columns.moving_dependents(pair, self.table) if pair.source == column else []
            found = self.database.dependents.dependents(self.table, column)
            return [dependent for dependent in found if dependent not in moves]

        return self.ask(find)

    # Ending -----------------------------------------------------------------------------------------------------

    def finish_swap(self) -> bool:
        """Complete an interrupted swap; return whether there was anything to do."""
        return self._execute(self.columns.finish_swap(self.pair, self.table))

    def validate_keys(self) -> bool:
        """Validate the foreign keys that an interrupted swap left NOT VALID."""
        return self._execute(self.columns.validate_keys(self.table))

    def stop_sync(self, pair: Pair) -> bool:
        """Drop the shadow column of a pair, and discard the progress of its fill."""
        table = existing(self.migration, pair.table)
        replace(self, table=table).refuse_dependents(pair.shadow, pair.mirrored)
        explain = explained_dependents(self.migration, f"column {pair.table}.{pair.shadow}")
        dropped = self._execute(self.columns.drop_shadow(pair, table), explain)
        forget_backfills_of(self.migration, table.name, pair.shadow)
        return dropped

    def swap(self, kept: Pair | None) -> bool:
        """Replace the source by the shadow column, and discard the progress of its fill; ``kept`` is the pair afterwards."""
        pair, table = self.pair, unchanged(self.migration, self.pair)
        on_dependents = explained_dependents(self.migration, f"column {pair.table}.{pair.source}")

        def explain(error: DBAPIError) -> SafeOpsError | None:
            return unconvertible(pair, error) if self.database.errors.is_violation(error) else on_dependents(error)

        note_subscribers(
            self.migration,
            table,
            f"a subscriber whose {pair.source} is NOT NULL and has no default stops."
            if pair.type is None
            else f"a subscriber stops at a value that its {pair.source} rejects.",
        )
        if kept is not None:
            # The triggers are replaced; another account may have created them.
            self._check_triggers(f"Exchanging {pair.source} and {pair.shadow} of {pair.table}")
        # The new triggers convert as the former ones did.
        with self.columns.converting(pair):
            swapped = self._execute(self.columns.swap_columns(pair, table, kept), explain)
        forget_backfills_of(self.migration, table.name, pair.shadow)
        return swapped


@contextmanager
def _explaining_values(migration: Migration, pair: Pair) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if migration.database.errors.kind_of(error) not in OF_ROWS:
            raise
        unchanged(migration, pair)
        raise unconvertible(pair, error) from error


def unfitting(pair: Pair, error: DBAPIError) -> ViolatingRows:
    """Return the error of values that violate a constraint of the column after the conversion."""
    return ViolatingRows(
        f"Values of {pair.table}.{pair.shadow} violate a constraint that {pair.source} meets: {said(error)}",
        why="The conversion changes values: two may become equal, or one may violate a check.",
        remedy="Fix those rows, or drop the constraint first, and run again.",
    )


class ColumnChange(PhasedChange):
    """A change of a column, by a shadow column."""

    table_name: str
    schema: str | None

    @property
    def _table_name(self) -> Name:
        return Name(self.table_name, self.schema)

    def _inspect(self, migration: Migration, code: str) -> Table:
        """Check the arguments, and return the table."""
        self._check_names(migration, code)
        if migration.offline:
            raise migration.online_only(code, "It copies the indexes and constraints of the live column.")
        return existing(migration, self._table_name)

    def _pair(self, migration: Migration, table: Name, phase: str) -> Pair:
        """Return the pair of the change, as it begins with a phase."""
        raise NotImplementedError

    def _find(self, migration: Migration, table: Table, phase: str) -> tuple[Pair, bool]:
        """Return the pair of the change, and whether the database keeps it in sync."""
        pair, columns = self._pair(migration, table.name, phase), ShadowColumns.of(migration.database)
        found = look_into(migration, table.name, lambda: columns.find_pair(table, pair.name))
        return found or pair, found is not None

    def _rendered(self, name: str) -> bool | None:
        """Render a phase for ``--sql`` if the server's own language can inspect the table; None online."""
        return None

    @contextmanager
    def _running(self, name: str) -> Iterator[Phase]:
        """Yield the running phase."""
        code = self._call(name)
        with running(code.removesuffix("()")) as migration:
            table = self._inspect(migration, code)
            yield Phase(migration, table, *self._find(migration, table, name), code, self._call_before(name))

    def _start_sync(
        self, name: str, choose: Callable[[Phase], Pair | None], options: dict[str, Any], *, copies_indexes: bool
    ) -> bool:
        """Add the shadow column, fill it, and copy the indexes if requested; return whether there was work left.

        Args:
            name: The phase.
            choose: Returns the pair; None if there is nothing to do.
            options: Those of ``backfill``.
            copies_indexes: Whether the shadow column also gets the default, the indexes and the constraints.
        """
        if (rendered := self._rendered(name)) is not None:
            return rendered
        with self._running(name) as phase:
            pair = choose(phase)
            if pair is None:
                return False
            phase = replace(phase, pair=pair)
            changed = phase.start_sync(self._table_name, options)
            fill = Fill.of(phase.migration, pair, self._table_name, options)
            is_computed = phase.columns.is_computed(pair, phase.table)
        changed = (not is_computed and fill.run()) or changed
        if not copies_indexes:
            return changed
        with running(phase.code.removesuffix("()")) as migration:
            phase = replace(phase, migration=migration, table=unchanged(migration, pair))
            return phase.copy_indexes() or changed
