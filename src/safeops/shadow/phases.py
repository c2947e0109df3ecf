"""The steps that renames and type changes are made of: bring a column and its twin in step, compare them, part them."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.backfilling.backfill import Arguments, backfill
from safeops.backfilling.batch import CANCELLED
from safeops.backfilling.spec import key_of
from safeops.backfilling.state import Part, State
from safeops.backfilling.status import backfills_of, forget_backfill, forget_backfills, forget_backfills_of
from safeops.databases.base import Database
from safeops.databases.definitions import Table
from safeops.databases.server import OF_ROWS, OF_STATEMENT
from safeops.databases.steps import Step
from safeops.databases.triggers import Pair, overtaken
from safeops.errors import (
    BackfillIncomplete,
    InvalidArgument,
    PhaseMissing,
    SafeOpsError,
    ViolatingRows,
)
from safeops.execution.inspect import check_names, existing, look_into
from safeops.execution.lock_retry import execute, with_lock_retry
from safeops.execution.migration import Migration, running
from safeops.execution.replication import check_subscribers_of_column, check_subscribers_of_state, note_subscribers
from safeops.naming import Name, fitting
from safeops.schema import refusals
from safeops.schema.refusals import explained_dependents, refuse_dependents
from safeops.shadow.port import ShadowColumns

log = logging.getLogger("safeops")

ROUNDS = 4
"""How often rows are filled that are found without a value after a walk: their keys moved while it went on."""
OPTIONS = frozenset({"batch_size", "target_seconds", "pause", "throttles", "executor", "connect", "progress", "key"})


def inspect_table(migration: Migration, written: str, schema: str | None, **names: Any) -> Table:
    """Check the arguments of a phase, and return the table as it stands.

    Args:
        migration: The running migration.
        written: The phase as its author calls it.
        schema: The schema of the table.
        **names: The names, by what they stand for; ``table_name`` among them.
    """
    check_names(migration, written, schema=schema, **names)
    if migration.offline:
        raise migration.online_only(written, "It copies what stands on the column, which only the live table tells.")
    return existing(migration, Name(names["table_name"], schema))


def check_options(written: str, options: dict[str, Any]) -> None:
    """Raise InvalidArgument for what is no option of a phase that fills."""
    unknown = sorted(set(options) - OPTIONS)
    if unknown:
        raise InvalidArgument(
            f"{written} has no option {', '.join(unknown)}.",
            remedy=f"It takes {', '.join(sorted(OPTIONS))}, as backfill() does:",
            code=f"{written.removesuffix('()')}(batch_size=1000)",
        )


def start_sync(
    written: str, table: Name, choose: Callable[[Migration], Pair | None], *, equip: bool, **options: Any
) -> bool:
    """Have the twin stand, filled, and equipped where asked; return whether anything was left to do.

    Args:
        written: The phase as its author calls it.
        table: The table, as the author calls it.
        choose: Returns the pair that stands or is to stand; None where there is nothing to do.
        equip: Whether the twin gets the default, the indexes and the constraints too.
        **options: Those of ``backfill``.
    """
    with running(written.removesuffix("()")) as migration:
        check_options(written, options)
        pair = choose(migration)
        if pair is None:
            return False
        paired = _paired(migration, pair, table, options, written)
        state = State.of(migration)
        computed = _is_computed(migration, pair)
        filled = not computed and not is_filled(state, pair)
        texts = (
            ShadowColumns.of(migration.database).shadow_value(pair),
            ShadowColumns.of(migration.database).unfilled(pair),
        )
        name = fill_name(pair, migration.database.home)
    if not computed:
        filled = _fill(name, pair, table, *texts, options) or filled
    if not equip:
        return paired or filled
    with running(written.removesuffix("()")) as migration:
        existing = _unchanged(migration, pair)
        return copy_indexes(migration, pair, existing) or paired or filled


def _is_computed(migration: Migration, pair: Pair) -> bool:
    table = existing(migration, pair.table)
    return ShadowColumns.of(migration.database).is_computed(pair, table)


def copy_indexes(migration: Migration, pair: Pair, table: Table) -> bool:
    """Have the twin get what it lacks of the default, the indexes and the constraints."""

    look_into(migration, pair.table, lambda: ShadowColumns.of(migration.database).check_row_security(pair, table))

    def explain(error: DBAPIError) -> SafeOpsError | None:
        return unfitting(pair, error) if migration.database.errors.is_violation(error) else None

    return execute(migration, ShadowColumns.of(migration.database).copy_indexes(pair, table), explain)


def finish_swap(migration: Migration, pair: Pair, table: Table) -> bool:
    """Finish what an interrupted exchange left to do; return whether there was anything."""
    return execute(migration, ShadowColumns.of(migration.database).finish_swap(pair, table))


def _unchanged(migration: Migration, pair: Pair) -> Table:
    """Return the table as it stands, or raise where another runner has parted or exchanged the two since."""
    database, table = migration.database, existing(migration, pair.table)
    if look_into(migration, pair.table, lambda: ShadowColumns.of(database).find_pair(table, pair.name)) != pair:
        raise overtaken(pair)
    return table


def _paired(migration: Migration, pair: Pair, table: Name, options: dict[str, Any], written: str) -> bool:
    database, now = migration.database, existing(migration, pair.table)
    # Before the look at the pair: another runner may pair the two up and begin to fill right after that.
    known = backfills_of(migration, now.name, pair.shadow)
    found = look_into(migration, pair.table, lambda: ShadowColumns.of(database).find_pair(now, pair.name))
    if found is not None:
        return execute(migration, ShadowColumns.of(database).renew_triggers(found, now))
    _warn_of_dependents(migration, pair, now)
    _check(migration, pair, now)
    _check_fill(migration, pair, now, Arguments(migration, table.name, table.schema), options)
    check_subscribers_of_column(migration, now, pair.shadow, written)
    check_subscribers_of_state(migration, State.of(migration), written)
    # What is known of an earlier column of that name would keep this one from being filled.
    forget_backfills(migration, known)
    return execute(migration, ShadowColumns.of(database).start_sync(pair, now))


def _check_fill(migration: Migration, pair: Pair, table: Table, arguments: Arguments, options: dict[str, Any]) -> None:
    """Raise what would be wrong with the fill: no key to walk along, above all."""
    asked = {name: options.get(name) for name in OPTIONS}
    arguments.check_workers(asked["executor"], asked["connect"])
    arguments.check_progress(asked["progress"])
    arguments.limits(
        asked["target_seconds"], asked["batch_size"], options.get("pause", 0.0), options.get("throttles", ())
    )
    key_of(migration, table, arguments.key(asked["key"]), [pair.shadow])


def _warn_of_dependents(migration: Migration, pair: Pair, table: Table) -> None:
    """Say early what will be in the way of the phase that drops or exchanges the column."""
    for one in _dependents(migration, table, pair.source, pair):
        log.warning("a later phase will refuse as long as this depends on %s.%s: %s", pair.table, pair.source, one)


def _check(migration: Migration, pair: Pair, table: Table) -> None:
    """Raise what is wrong with a pair before anything is touched."""
    database = migration.database
    asked = f"Keeping {pair.source} and {pair.shadow} of {pair.table} in sync"
    look_into(migration, pair.table, lambda: database.triggers.check_triggers(asked, pair.table, locks_table=True))
    try:
        look_into(migration, pair.table, lambda: ShadowColumns.of(database).check_pair(pair, table))
        look_into(migration, pair.table, lambda: database.read(_conversion(database, pair)))
    except DBAPIError as error:
        if database.errors.is_lock_failure(error) or database.errors.kind_of(error) not in OF_STATEMENT:
            raise
        raise InvalidArgument(
            f"{database.product} does not take {pair.table}.{pair.source} as {pair.shadow}: {_said(error)}",
            why="Indexes, checks, the default and the conversion were tried on an empty copy of the table.",
            remedy="Say how a value is converted, or drop what stands in the way first:",
            code='TypeChange(..., using="...", reverse_using="...")',
        ) from error


def _conversion(database: Database, pair: Pair) -> str:
    return (
        f"SELECT {ShadowColumns.of(database).shadow_value(pair)} FROM {database.quoted_table(pair.table)} WHERE 1 = 0"
    )


def _said(error: DBAPIError) -> str:
    return " ".join(str(error.orig).split())


def _fill(name: str, pair: Pair, table: Name, value: str, unfilled: str, options: dict[str, Any]) -> bool:
    """Fill the twin, and rows that a walk missed once more: their keys moved, or their partition was attached since.

    Returns whether a walk had missed any.
    """
    left = None
    for count in range(ROUNDS):
        report = _filled(name, pair, table, value, unfilled, options)
        if not report.remaining:
            return count > 0
        # What is left would otherwise count as finished.
        forget_backfill(name)
        if report.batches and report.remaining == left:
            break
        left = report.remaining
    with running("backfill") as migration:
        raise _cancelled(migration, pair, unfilled, report.remaining)


def _cancelled(migration: Migration, pair: Pair, unfilled: str, left: int) -> BackfillIncomplete:
    """Return the error of rows that have no value although it was written again and again."""
    database = migration.database
    triggers = look_into(migration, pair.table, lambda: database.triggers.update_triggers(pair.table))
    unknown = (
        "Something takes the value back, or writes rows past the triggers that keep the two in sync. Find it first."
    )
    return BackfillIncomplete(
        f"{left:,} rows of {pair.table} have no value in {pair.shadow} although it was written.",
        remedy=f"{CANCELLED.format(', '.join(triggers)) if triggers else unknown} This query finds them all:",
        code=f"SELECT * FROM {database.quoted_table(pair.table)} WHERE {unfilled}",
        state=f"{pair.source} has all values. {pair.shadow} exists, and running again continues from there.",
    )


def _filled(name: str, pair: Pair, table: Name, value: str, unfilled: str, options: dict[str, Any]) -> Any:
    try:
        return backfill(
            table.name,
            {pair.shadow: sa.literal_column(value)},
            where=sa.literal_column(unfilled, sa.Boolean()),
            name=name,
            schema=table.schema,
            **options,
        )
    except ViolatingRows as error:
        cause = error.__cause__
        if not isinstance(cause, DBAPIError):
            raise
        with running("backfill") as migration:
            _unchanged(migration, pair)
            if migration.database.errors.kind_of(cause) == "violation":
                raise
        raise unconvertible(pair, cause, error.problem) from cause


def fill_name(pair: Pair, home: str | None) -> str:
    """Return what the progress of the fill is kept under."""
    way = "back to" if pair.switched else "to"
    return fitting(f"{pair.table.at(home)}.{pair.source} {way} {pair.shadow}", max_bytes=180)


def is_filled(state: State, pair: Pair) -> bool:
    part = _fill_of(state, pair)
    return part is not None and part.is_finished


def _fill_of(state: State, pair: Pair) -> Part | None:
    """Return the progress of the fill; earlier releases kept it under the name of the schema too."""
    homes = dict.fromkeys((state.database.home, None))
    found = (state.part(fill_name(pair, home)) for home in homes) if state.exists() else ()
    return next(filter(None, found), None)


def refuse_missing_column(table: Table, pair: Pair, code: str) -> None:
    """Raise PhaseMissing where a column of the pair is gone, though what kept them in step stands."""
    gone = [one for one in (pair.source, pair.shadow) if one not in table.columns]
    if gone:
        raise PhaseMissing(
            f"{table.name}.{gone[0]} was dropped or renamed by hand, and what kept it in step still stands: writes fail.",
            why="The trigger writes a column that is not there.",
            remedy="Take away what is left of it:"
            if gone[0] == pair.shadow
            else "Give the column its name again, then:",
            code=code,
        )


def refuse_unfilled(migration: Migration, pair: Pair, missing: str) -> None:
    """Raise PhaseMissing where the phase that brought the two in step was interrupted before every row had a value."""
    if _is_unfilled(migration, pair):
        raise _not_in_sync(pair, f"rows from before have no value in {pair.shadow} yet", missing)


def refuse_missing_copies(migration: Migration, table: Table, pair: Pair, missing: str) -> None:
    """Raise PhaseMissing where the twin lacks an index or a constraint."""
    step = look_into(
        migration, table.name, lambda: next(ShadowColumns.of(migration.database).copy_indexes(pair, table), None)
    )
    if step is not None:
        raise _not_in_sync(pair, f"this is not done: {step.does}", missing)


def _not_in_sync(pair: Pair, left: str, missing: str) -> PhaseMissing:
    return phase_missing(f"{pair.source} and {pair.shadow} of {pair.table} are not in step yet: {left}.", missing)


def _is_unfilled(migration: Migration, pair: Pair) -> bool:
    if not pair.switched:
        return _has_rows(migration, pair, ShadowColumns.of(migration.database).unfilled(pair))
    # A row without a value in the old type may be one that was written since and that it does not take.
    state = State.of(migration)
    part = _fill_of(state, pair)
    return part is not None and not part.is_finished


def _has_rows(migration: Migration, pair: Pair, condition: str) -> bool:
    sql = f"SELECT 1 FROM {migration.database.quoted_table(pair.table)} WHERE {condition} LIMIT 1"
    step = Step(sql, f"read {pair.table}", (pair.table,), scans=True)
    with _explaining_values(migration, pair):
        return bool(with_lock_retry(migration, step.does, lambda: migration.database.read(sql), step))
    return False


def phase_missing(problem: str, missing: str) -> PhaseMissing:
    return PhaseMissing(
        problem,
        why="Each phase stands on the one before it.",
        remedy="Call that first, in an earlier revision; where it was interrupted, it goes on:",
        code=missing,
    )


def refuse_out_of_sync(migration: Migration, table: Table, pair: Pair, code: str, *, unfilled: bool = False) -> None:
    """Raise ViolatingRows where a row's two values disagree: something wrote past what keeps them in step.

    Args:
        migration: The running migration.
        stands: The table.
        pair: The pair.
        code: The call to repeat.
        unfilled: Whether rows may be without a value in the twin, as those that are not filled yet.
    """
    database = migration.database
    condition = ShadowColumns.of(database).out_of_sync(pair)
    condition = f"({condition}) AND NOT ({ShadowColumns.of(database).unfilled(pair)})" if unfilled else condition
    source = f"FROM {database.quoted_table(pair.table)} WHERE {condition}"
    keys = [database.quoted(name) for name in table.primary_key or [*table.columns][:3]]
    offenders = refusals.Offenders(
        ViolatingRows,
        f"have values in {pair.table}.{pair.source} and {pair.shadow} that disagree",
        source,
        keys,
        remedy="Something wrote past the triggers that keep the two in step: replication, a restore, or a session with"
        f" session_replication_role = replica. Decide which value is right, write it to both, and run {code} again."
        " This finds them all:",
    )
    with _explaining_values(migration, pair):
        refusals.refuse(migration, table, offenders)


@contextmanager
def _explaining_values(migration: Migration, pair: Pair) -> Iterator[None]:
    try:
        yield
    except DBAPIError as error:
        if migration.database.errors.kind_of(error) not in OF_ROWS:
            raise
        _unchanged(migration, pair)
        raise unconvertible(pair, error) from error


def unfitting(pair: Pair, error: DBAPIError) -> ViolatingRows:
    """Return the error of values that do not fit a constraint of the column any more, once they are converted."""
    return ViolatingRows(
        f"The values of {pair.table}.{pair.shadow} break a constraint that those of {pair.source} keep: {_said(error)}",
        why="The conversion makes others of them: two may become the same, or one that a check refuses.",
        remedy="Mend those rows, or drop the constraint first, and run again.",
    )


def unconvertible(pair: Pair, error: DBAPIError, where: str = "") -> ViolatingRows:
    """Return the error of values that the conversion does not take."""
    converts = pair.winner is None
    return ViolatingRows(
        f"Values of {pair.table}.{pair.source} cannot become those of {pair.shadow}: {_said(error)}",
        why=where or "Each row is written, and the server refuses one of them.",
        remedy="Mend those rows, or give a conversion that takes them:"
        if converts
        else "Mend those rows, and run again.",
        code='TypeChange(..., using="...", reverse_using="...")' if converts else "",
        state="The column itself was not changed; what was finished is kept, and running again goes on from there.",
    )


def _dependents(migration: Migration, table: Table, column: str, pair: Pair | None) -> list[str]:
    """Describe what depends on a column and does not move along with it."""
    database = migration.database

    def find() -> list[str]:
        moves = (
            set(ShadowColumns.of(database).moving_dependents(pair, table))
            if pair is not None and pair.source == column
            else set()
        )
        return [dependent for dependent in database.dependents.dependents(table, column) if dependent not in moves]

    return look_into(migration, table.name, find)


def refuse_dependents_on(migration: Migration, table: Table, column: str, pair: Pair | None) -> None:
    """Raise DependentObjects where something depends on a column that goes away, and does not move along."""
    found = _dependents(migration, table, column, pair)
    other = "" if pair is None else f" Make them use {pair.shadow if pair.source == column else pair.source} instead."
    refuse_dependents(
        f"column {table.name}.{column}",
        found,
        f"Drop or change them first, in this revision or an earlier one.{other}",
    )


def validate_keys(migration: Migration, table: Table) -> bool:
    """Have the foreign keys be valid that an interrupted exchange or contraction has left for new rows alone."""
    plan = ShadowColumns.of(migration.database).validate_keys(table)
    return execute(migration, plan)


def stop_sync(migration: Migration, pair: Pair) -> bool:
    """Drop the twin, and forget what is known of its fill."""
    table = existing(migration, pair.table)
    refuse_dependents_on(migration, table, pair.shadow, pair.mirrored)
    explain = explained_dependents(migration, f"column {pair.table}.{pair.shadow}")
    done = execute(migration, ShadowColumns.of(migration.database).drop_shadow(pair, table), explain)
    forget_backfills_of(migration, table.name, pair.shadow)
    return done


def swap(migration: Migration, pair: Pair, kept: Pair | None) -> bool:
    """Have the twin take over, and forget what is known of its fill."""
    table = _unchanged(migration, pair)
    explain_dependents = explained_dependents(migration, f"column {pair.table}.{pair.source}")

    def explain(error: DBAPIError) -> SafeOpsError | None:
        return (
            unconvertible(pair, error) if migration.database.errors.is_violation(error) else explain_dependents(error)
        )

    note_subscribers(
        migration,
        table,
        f"a subscriber whose {pair.source} is NOT NULL and has no default stops."
        if pair.type is None
        else f"a subscriber stops at a value that its {pair.source} does not take.",
    )
    if kept is not None:
        # The triggers are replaced by others; this account may be another than the one that made them.
        asked = f"Exchanging {pair.source} and {pair.shadow} of {pair.table}"
        look_into(
            migration,
            pair.table,
            lambda: migration.database.triggers.check_triggers(asked, pair.table, locks_table=True),
        )
    done = execute(migration, ShadowColumns.of(migration.database).swap_columns(pair, table, kept), explain)
    forget_backfills_of(migration, table.name, pair.shadow)
    return done
