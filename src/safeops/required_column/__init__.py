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
"""How often rows are filled that came without a value, where nothing in the database can fill them."""


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

    Rows that the old application inserts without the column meanwhile do not break: they get the server default, or the
    value of ``populate`` by a trigger that the database keeps until the column is NOT NULL.

    Steps: checks all arguments; adds the column, nullable and empty, then its server default; without one, has new rows
    filled by a trigger; fills the existing rows as ``backfill`` does; builds the index, the constraints and the foreign
    keys of the column by the online helpers; proves and sets NOT NULL; drops the trigger.

    Args:
        table_name: The table.
        column: The column as in ``add_column_if_missing``, with its index, unique constraint and foreign keys. It becomes
            NOT NULL whatever its ``nullable`` says. A server default is for new rows, ``populate`` for those that stand.
        populate: What the column becomes: a SQLAlchemy expression, ``sa.text("...")``, a plain value, or a function as for
            ``backfill`` (rows to mappings). An existing value is never overwritten.
        where: The rows that ``populate`` is for; the others get the server default. None: all.
        schema: The schema of the table.
        keep_filled: The trigger stays, so that an old application goes on inserting without the column. A later call with
            False, or ``drop_column_if_exists``, takes it away.
        **backfill_options: ``name``, ``key``, ``batch_size``, ``target_seconds``, ``pause``, ``throttles``, ``executor``,
            ``connect`` and ``progress`` as for ``backfill``.

    Returns:
        What the backfill did in this call; 0 rows where all was done before.

    Raises:
        InvalidArgument, UnknownTable, UnknownColumn: Something is wrong with the arguments; nothing was touched.
        DefinitionMismatch: The column exists with another type, default or collation.
        UnsafeOperation: The table has no key to walk along, the server would rewrite it for the column's domain, or
            subscribers of logical replication would stop over the column; nothing was touched.
        UnsupportedOnDatabase: ``keep_filled`` without a server default on SQLite.
        BackfillIncomplete: ``populate`` came out NULL for rows. The column exists, nullable, and new rows are filled on.
        ViolatingRows: Rows stay without a value that ``where`` leaves out, or that the application goes on writing while
            a function fills.
        DuplicateRows, OrphanedRows: The values break the unique constraint or the foreign key of the column.
        BackfillStopped, BackfillConflict, BackfillFunctionFailed: See ``backfill``.
        LockNotAcquired: The table stayed locked for the whole retry budget; finished work stays.

    Locks: PostgreSQL ACCESS EXCLUSIVE for moments, SHARE ROW EXCLUSIVE for the trigger, SHARE UPDATE EXCLUSIVE for the
    proof; MariaDB and MySQL ALGORITHM=INSTANT for the column, INPLACE, LOCK=NONE for NOT NULL; SQLite the file, for a
    rebuild of the table. The backfill locks the rows of a batch.

    Without a server default an old application that omits the column is refused from the moment that it is NOT NULL. Where
    a function populates, PostgreSQL 14 to 17 refuse it from the check on that proves it, which is a scan earlier.

    Running it again: goes on where it stopped; finished, there is nothing to do.

    Offline: PostgreSQL renders all of it, guarded, with one UPDATE. A function, and MariaDB, MySQL and SQLite, where NOT
    NULL wants the live table, are ``OnlineOnly``.

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
            remedy="A new key is made by create_primary_key_if_missing(). A required column is added so:",
            code=arguments.corrected(),
        )
    check_names(arguments.migration, arguments.corrected(), column_name=column.name)
    if column.computed is not None or column.identity is not None:
        raise InvalidArgument(
            f"Column {column.name} is computed by the server: it has values of its own, which nothing can populate.",
            remedy="Add it by:",
            code=call("add_column_if_missing", arguments.table_name, column_code(column), schema=arguments.schema),
        )


def _required(arguments: RequiredArguments, column: sa.Column[Any]) -> sa.Column[Any]:
    """Return the column in a table of its own, with all that belongs to it."""
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
        column: The column, nullable, in a table of its own.
        populating: What it is populated with.
        keep_filled: The trigger stays.
        done: What was finished, for messages.
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
        """New rows can be, and have to be, filled by a trigger."""
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
                self._do("new rows are not filled any more", self._stop_filling())
        if is_finished:
            skipped(f"column {self.shown}", "it is there and NOT NULL")
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
        """Raise what this database, or nobody, can do."""
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
                f"Column {self.shown}", "Only the live database tells what its type checks."
            )

    def _check_fills(self) -> None:
        if self.populating.is_function:
            raise InvalidArgument(
                f"keep_filled=True was asked for {self.shown}, but the database cannot call a function of Python.",
                remedy="Give the column a server default, or populate it by SQL:",
                code=self.arguments.corrected(keep_filled=True),
            )
        if not self.database.abilities.fills_before_not_null:
            raise self.database.unsupported(
                "keep_filled=True without a server default",
                "triggers that fill a row before NOT NULL is checked",
                "Give the column a server default, which keeps new rows filled for good.",
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
            asked = f"add_required_column() of {self.shown} without a server default"
            self.database.triggers.check_triggers(asked, table.name, locks_table=False)
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
            # From now on the default of the type counts again, or that of the column.
            yield replace(last, then=(*last.then, *(step.sql for step in self._defaulted(table))))
            return
        yield last
        if self.default is not None:
            yield from self._defaulted(None if table is None else self._look())

    def _bare(self, table: Table | None) -> sa.Column[Any]:
        checks = [check for check in self.column.constraints if isinstance(check, sa.CheckConstraint)]
        kept = [] if self.database.abilities.validates_constraints_later else map(_sqlalchemy.copied, checks)
        type_ = _sqlalchemy.copied(self.column).type
        # Else a domain would give its default to the rows, and they would count as filled.
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
                f"The column is to be NOT NULL: give each row a value, as sa.func.coalesce(...) does.\n{error.remedy}"
            )
            raise
        return report

    def _enforced(self, report: BackfillReport) -> BackfillReport:
        """Set NOT NULL; where rows came without a value and nothing in the database fills them, fill again first."""
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
            error.why = "where= leaves them out, and there is no server default to give them."
        elif not self.by_trigger:
            error.why = (
                f"The application goes on writing such rows, through {ROUNDS} rounds, and a function fills them later."
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
