"""A required column on a table that is in use: added, populated and enforced in one call."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops import _sqlalchemy
from safeops.backfilling.run import BackfillReport
from safeops.backfilling.state import State
from safeops.databases.base import Database
from safeops.databases.definitions import Table
from safeops.databases.steps import Step
from safeops.errors import BackfillIncomplete, InvalidArgument, OnlineOnly, SafeOpsError, ViolatingRows
from safeops.execution.helper import ONLINE, Said, composite
from safeops.execution.inspect import check_names, existing, keeping, look_into, settle_names, skipped
from safeops.execution.lock_retry import execute
from safeops.execution.migration import Migration, running
from safeops.execution.replication import check_subscribers_of_column, check_subscribers_of_state
from safeops.naming import Name, call, column_code
from safeops.required_column.populating import NOTHING_DONE, OPTIONS, Populating, RequiredArguments
from safeops.schema import columns
from safeops.schema.alter_column import enforce_not_null
from safeops.schema.prerequisites import check_types, prepare
from safeops.schema.refusals import keep_or_raise
from safeops.schema.types import refuse_domain

ROUNDS = 4
"""How often new rows without a value are filled, if the database cannot fill them."""


@composite(
    Said(
        "adds column {1} to {0}, fills it, and makes it NOT NULL",
        f"It is added empty, filled in short batches, and checked {ONLINE}; new rows are filled from the start.",
        noun="column",
    ),
    keywords=OPTIONS,
)
def add_required_column(
    table_name: str,
    column: sa.Column[Any],
    *,
    populate: Any,
    where: Any = None,
    schema: str | None = None,
    keep_filled: bool = False,
    **backfill_options: Any,
) -> BackfillReport:
    """The table has the column, each row has a value in it, and it is NOT NULL.

    While it runs, the old application can insert rows without the column: they get the server default, or the value of
    ``populate`` from a trigger that is kept until the column is NOT NULL.

    Steps: checks all arguments; adds the column, nullable and empty, then its server default; without one, creates a
    trigger that fills new rows; fills existing rows as ``backfill`` does; builds the index, constraints and foreign keys of
    the column with the online helpers; checks all rows and sets NOT NULL; drops the trigger.

    Args:
        table_name: The table.
        column: The column as in ``add_column_if_missing``, with its index, unique constraint and foreign keys. It becomes
            NOT NULL, also with ``nullable=True``. ``populate`` fills existing rows; a server default fills new ones.
        populate: What the column becomes: a SQLAlchemy expression, ``sa.text("...")``, a plain value, or a function as for
            ``backfill`` (rows to mappings). Existing values are never overwritten.
        where: The rows that ``populate`` fills; the others get the server default. None: all rows.
        schema: The schema of the table.
        keep_filled: Keep the trigger, so an old application can still insert rows without the column. A later call with
            False, or ``drop_column_if_exists``, drops the trigger.
        **backfill_options: ``name``, ``key``, ``batch_size``, ``target_seconds``, ``pause``, ``throttles``, ``executor``,
            ``connect`` and ``progress`` as for ``backfill``.

    Returns:
        What the backfill did in this call; 0 rows if everything was complete.

    Raises:
        InvalidArgument, UnknownTable, UnknownColumn: An argument is wrong; nothing was changed.
        DefinitionMismatch: The column exists with another type, default or collation.
        UnsafeOperation: The table has no usable key, the server would rewrite it for the column's domain, or subscribers of
            logical replication would stop; nothing was changed.
        UnsupportedOnDatabase: ``keep_filled`` without a server default on SQLite.
        BackfillIncomplete: ``populate`` is NULL for some rows. The column exists, nullable, and new rows are still filled.
        ViolatingRows: Rows have no value, because ``where`` excludes them, or because the application keeps writing such
            rows while a function fills the column.
        DuplicateRows, OrphanedRows: The values break the unique constraint or the foreign key of the column.
        BackfillStopped, BackfillConflict, BackfillFunctionFailed: See ``backfill``.
        LockNotAcquired: The table stayed locked for the whole retry budget; finished work is kept.

    Locks: PostgreSQL ACCESS EXCLUSIVE, briefly, SHARE ROW EXCLUSIVE for the trigger, SHARE UPDATE EXCLUSIVE for the
    check; MariaDB and MySQL ALGORITHM=INSTANT for the column, INPLACE, LOCK=NONE for NOT NULL; SQLite the file, for a
    rebuild of the table. The backfill locks the rows of a batch.

    Without a server default, inserts that omit the column fail once it is NOT NULL. If a function populates the column,
    PostgreSQL 14 to 17 reject them one scan earlier, once the check exists.

    Running it again: continues after an interruption; else does nothing.

    Offline: PostgreSQL renders all steps, guarded, with one UPDATE. ``OnlineOnly`` with a function, and on MariaDB, MySQL
    and SQLite, which need the whole definition of the column for NOT NULL.

    Example:
        add_required_column(
            "users", sa.Column("email_lower", sa.Text, nullable=False), populate=sa.func.lower(sa.column("email"))
        )
    """
    with running("add_required_column") as migration:
        arguments = RequiredArguments(migration, table_name, column, schema)
        arguments.check_table()
        _check_column(arguments, column)
        required = _required(arguments, column)
        populating = Populating.of(arguments, required, populate, where, backfill_options)
        work = _Required(arguments, required, populating, keep_filled)
        work.check_support()
        return work.render() if migration.offline else work.execute()


def _check_column(arguments: RequiredArguments, column: Any) -> None:
    if not isinstance(column, sa.Column) or column.primary_key:
        raise InvalidArgument(
            f"The column is {column!r}, not a sa.Column outside the primary key.",
            remedy="To create a primary key, use create_primary_key_if_missing(). To add a required column, write:",
            code=arguments.corrected(),
        )
    check_names(arguments.migration, arguments.corrected(), column_name=column.name)
    if column.computed is not None or column.identity is not None:
        raise InvalidArgument(
            f"Column {column.name} is computed by the server, so populate cannot fill it.",
            remedy="Add it with:",
            code=call("add_column_if_missing", arguments.table_name, column_code(column), schema=arguments.schema),
        )


def _required(arguments: RequiredArguments, column: sa.Column[Any]) -> sa.Column[Any]:
    """Return the column in a separate table, with all that belongs to it."""
    alone = _alone(arguments.migration, arguments.name, _sqlalchemy.copied(column))
    columns.part_checks(alone, alone.columns[column.name])
    settle_names(arguments.migration, alone, arguments.corrected())
    return alone.columns[column.name]


def _alone(migration: Migration, name: Name, column: sa.Column[Any]) -> sa.Table:
    column.nullable = True
    return ops.CreateTableOp(name.name, [column], schema=name.schema).to_table(migration.context)


@dataclass(frozen=True)
class _Required:
    """One call: the column and what it is populated with.

    Args:
        arguments: Its arguments.
        column: The column, nullable, in a separate table.
        populating: What it is populated with.
        keep_filled: The trigger is kept.
        done: The completed steps, for messages.
    """

    arguments: RequiredArguments
    column: sa.Column[Any]
    populating: Populating
    keep_filled: bool
    done: list[str] = field(default_factory=list)

    @property
    def migration(self) -> Migration:
        return self.arguments.migration

    @property
    def database(self) -> Database:
        return self.migration.database

    @property
    def name(self) -> Name:
        return self.arguments.name

    @property
    def column_name(self) -> str:
        return self.populating.column_name

    @property
    def shown(self) -> str:
        return f"{self.name}.{self.column_name}"

    @property
    def default(self) -> str | None:
        return self.database.default_text(self.column)

    @property
    def by_trigger(self) -> bool:
        """A trigger can and must fill new rows."""
        return self.default is None and not self.populating.is_function

    def execute(self) -> BackfillReport:
        table = self._look()
        self._check(table)
        is_finished = self.column_name in table.columns and not table.columns[self.column_name].nullable
        with keeping(self.done):
            self._add(table)
            if self.by_trigger and (self.keep_filled or not is_finished):
                self._do("new rows are filled", self._fill_new_rows())
            report = NOTHING_DONE if is_finished else self._filled()
            columns.add_companions(self.migration, self.column.table, self.name, None, "raise")
            report = self._enforced(report)
            if not (self.by_trigger and self.keep_filled):
                self._do("new rows are no longer filled", self._stop_filling())
        if is_finished:
            skipped(f"column {self.shown}", "it exists and is NOT NULL")
        return report

    def render(self) -> BackfillReport:
        prepare(self.migration, [self.column])
        execute(self.migration, self._added(None))
        if self.by_trigger:
            execute(self.migration, self.database.triggers.fill_new_rows(self.populating.filler(None), None))
        self.populating.render(self.default)
        columns.add_companions(self.migration, self.column.table, self.name, None, "raise")
        enforce_not_null(self.name.name, self.column_name, schema=self.name.schema)
        if not self.keep_filled:
            execute(self.migration, self.database.triggers.stop_filling(self.name, self.column_name, None))
        return replace(NOTHING_DONE, resumed=False)

    # Before anything is touched ---------------------------------------------------------------------------------

    def check_support(self) -> None:
        """Raise the errors of what this database does not support."""
        database = self.database
        database.safety.check_column_support(self.column)
        check_types(self.migration, [self.column])
        if self.keep_filled and self.default is None:
            self._check_fills()
        if self.migration.offline and (
            self.populating.is_function or not database.abilities.renders_column_changes_offline
        ):
            raise self._online_only()
        if self.migration.offline and not database.safety.default_is_constant(
            sa.Column(self.column_name, self.column.type)
        ):
            raise self.migration.online_only(
                f"Column {self.shown}", "What its type checks is only known to the live database."
            )

    def _check_fills(self) -> None:
        if self.populating.is_function:
            raise InvalidArgument(
                f"keep_filled=True does not work for {self.shown}: the database cannot call a Python function.",
                remedy="Give the column a server default, or populate it by SQL:",
                code=self.arguments.corrected(keep_filled=True),
            )
        if not self.database.abilities.fills_before_not_null:
            raise self.database.unsupported(
                "keep_filled=True without a server default",
                "triggers that fill a row before NOT NULL is checked",
                "Give the column a server default, which always fills new rows.",
            )

    def _online_only(self) -> OnlineOnly:
        if self.populating.is_function:
            return self.migration.online_only(f"The backfill of {self.name}", "A Python function needs the rows.")
        return self.migration.online_only(
            f"NOT NULL of {self.shown}",
            f"{self.database.product} needs the whole definition again, which only the live table has.",
        )

    def _check(self, table: Table) -> None:
        current = table.columns.get(self.column_name)
        if current is not None:
            compared = {"type", "collation", "computed", "identity"}
            compared |= {"comment"} if self.column.comment else set()
            compared |= {"default"} if current.default is not None else set()
            found = columns.column_differences(
                self.migration, table, current, self.column, only=frozenset(compared), ahead=True
            )
            if found:
                keep_or_raise(f"column {self.shown}", found, "raise", "Change one of the two definitions.")
        else:
            columns.check_companions(self.migration, self.column.table, self.name, table, "raise")
            if look_into(self.migration, self.name, lambda: self.database.has_rows(table)):
                refuse_domain(self.migration, self.name, self.column, table)
            code = self.arguments.corrected("{...}")
            check_subscribers_of_column(self.migration, table, self.column_name, code)
            check_subscribers_of_state(self.migration, State.of(self.migration), code)
        fills = current is None or current.nullable or self.keep_filled
        if fills and self.by_trigger and (current is None or current.nullable or self._lacks_triggers()):
            change = f"add_required_column() of {self.shown} without a server default"
            self.database.triggers.check_triggers(change, table.name, locks_table=False)
        if current is None:
            self.done.extend(prepare(self.migration, [self.column]))
        if fills:
            with keeping(self.done):
                self.populating.check(table)

    def _lacks_triggers(self) -> bool:
        return look_into(self.migration, self.name, lambda: next(self._fill_new_rows(), None) is not None)

    # The column -------------------------------------------------------------------------------------------------

    def _add(self, table: Table) -> None:
        current = table.columns.get(self.column_name)
        if current is None:
            self._do("added the column", self._added(table))
        elif self.default is not None and current.default is None:
            self._do("set its default", self._defaulted(table))

    def _added(self, table: Table | None) -> Iterator[Step]:
        """Plan the column without its default, which would be the value of the existing rows, and then its default."""
        bare = self._bare(table)
        *first, last = self.database.ddl.add_column(self.name, bare, table)
        yield from first
        is_transactional = self.migration.context.impl.transactional_ddl
        if bare.server_default is not None or (self.default is not None and is_transactional):
            # Afterwards the default of the type applies again, or that of the column.
            yield replace(last, then=(*last.then, *(step.sql for step in self._defaulted(table))))
            return
        yield last
        if self.default is not None:
            yield from self._defaulted(None if table is None else self._look())

    def _bare(self, table: Table | None) -> sa.Column[Any]:
        checks = [check for check in self.column.constraints if isinstance(check, sa.CheckConstraint)]
        kept = [] if self.database.abilities.validates_constraints_later else map(_sqlalchemy.copied, checks)
        type_ = _sqlalchemy.copied(self.column).type
        # Otherwise existing rows would get the default of a domain, and count as filled.
        null = sa.text("NULL") if table is not None and self._has_default_of_type() else None
        bare: sa.Column[Any] = sa.Column(
            self.column.name, type_, *kept, server_default=null, comment=self.column.comment
        )
        return _alone(self.migration, self.name, bare).columns[self.column_name]

    def _has_default_of_type(self) -> bool:
        domain = look_into(self.migration, self.name, lambda: self.database.types.domain(self.column.type))
        return domain is not None and domain.has_default and not domain.required

    def _defaulted(self, table: Table | None) -> Iterator[Step]:
        return self.database.ddl.set_default(self.name, self.column_name, self.default, table)

    # Its values -------------------------------------------------------------------------------------------------

    def _fill_new_rows(self) -> Iterator[Step]:
        table = self._look()
        return self.database.triggers.fill_new_rows(self.populating.filler(table), table)

    def _stop_filling(self) -> Iterator[Step]:
        table = self._look()
        return self.database.triggers.stop_filling(table.name, self.column_name, table)

    def _filled(self) -> BackfillReport:
        try:
            report = self.populating.fill(self._look())
            if self.populating.where is not None and self.default is not None:
                report = _both(report, self.populating.fill_others(self._look(), self.default))
        except BackfillIncomplete as error:
            error.remedy = (
                f"The column must become NOT NULL: give each row a value, for example with coalesce().\n{error.remedy}"
            )
            raise
        return report

    def _enforced(self, report: BackfillReport) -> BackfillReport:
        """Set NOT NULL; first fill new rows without a value again, if the database cannot fill them."""
        for rounds_left in reversed(range(ROUNDS)):
            try:
                enforce_not_null(self.name.name, self.column_name, schema=self.name.schema)
            except ViolatingRows as error:
                again = NOTHING_DONE
                if rounds_left and not self.by_trigger:
                    again = self._filled()
                if again.rows == 0:
                    raise self._explained(error) from error
                report = _both(report, again)
            else:
                break
        return report

    def _explained(self, error: ViolatingRows) -> SafeOpsError:
        if self.populating.where is not None and self.default is None:
            error.why = "where= excludes these rows, and there is no server default for them."
        elif not self.by_trigger:
            error.why = (
                f"The application kept writing such rows during {ROUNDS} rounds; a function fills them only afterwards."
            )
            error.remedy = f"Give the column a server default, or populate it by SQL, and run again. {error.remedy}"
        return error

    # Details ----------------------------------------------------------------------------------------------------

    def _look(self) -> Table:
        return existing(self.migration, self.name)

    def _do(self, what: str, plan: Iterator[Step]) -> None:
        if execute(self.migration, plan):
            self.done.append(f"{what} of {self.shown}" if "column" in what else f"{self.shown}: {what}")


def _both(one: BackfillReport, other: BackfillReport) -> BackfillReport:
    rows, batches, seconds = one.rows + other.rows, one.batches + other.batches, one.seconds + other.seconds
    return BackfillReport(rows, batches, seconds, one.resumed, other.remaining)
