"""What helpers compare and refuse: other definitions, dependents, rows that break a rule, downgrades that cannot be."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any, NoReturn, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Column, Difference, Table, Thing, differences
from safeops.databases.steps import Step
from safeops.errors import (
    DefinitionMismatch,
    DependentObjects,
    DuplicateRows,
    InvalidArgument,
    Irreversible,
    OrphanedRows,
    SafeOpsError,
    UnsafeOperation,
    ViolatingRows,
)
from safeops.execution.helper import Said, described
from safeops.execution.inspect import look_into, refuse_hidden_rows, skipped
from safeops.execution.later_calls import unexplained
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Migration
from safeops.naming import Name, call
from safeops.plan_mode import current_dry_run
from safeops.policy import assurance

T = TypeVar("T")

log = logging.getLogger("safeops")

IF_DIFFERENT = ("raise", "replace", "keep")
"""What the helpers of indexes and constraints can do if a name is taken by another definition."""
KEEP_OR_RAISE = ("raise", "keep")
"""What other helpers can do then."""


def is_left(migration: Migration, table: Table, thing: str) -> bool:
    """Tell whether an interrupted build left parts of an index or constraint on partitions of the table."""
    if not table.is_partitioned:
        return False
    return look_into(migration, table.name, lambda: migration.database.dependents.left_on_partitions(table, thing))


def check_schema(migration: Migration, name: Name, example: str) -> None:
    """Raise InvalidArgument where a thing is to be created in a schema that does not exist."""
    database = migration.database
    if migration.offline or not name.schema or database.has_schema(name.schema):
        return
    problem = f"There is no schema {name.schema}, in which {name.name} is to be created."
    if not database.abilities.has_schemas:
        raise InvalidArgument(
            problem, remedy="Attach a file under that name in env.py, or leave schema= out:", code=example
        )
    raise InvalidArgument(
        problem, remedy="Create it first:", code=f"{call('create_schema_if_missing', name.schema)}\n{example}"
    )


def real_differences(
    migration: Migration,
    table: Table,
    existing: Thing,
    wanted: Thing,
    construct: sa.Column[Any] | sa.Index | sa.Constraint,
    *,
    ignoring: frozenset[str] = frozenset(),
    ahead: bool = False,
) -> list[Difference]:
    """Return in which parts what stands differs from what is wanted; where the spelling differs, ask the server.

    With ``ahead``, what the running revision itself goes on to change is no difference.
    """

    def counted(found: list[Difference]) -> list[Difference]:
        return unexplained(found, table.name, existing.name) if ahead else found

    found = counted(differences(existing, wanted, ignoring))
    if not found:
        return []
    asked = look_into(migration, table.name, lambda: migration.database.probe(table, construct))
    if isinstance(asked, Column):
        # A comment is not spelled, it is what it is; some servers set it by a statement of its own.
        asked = replace(asked, comment=wanted.comment)  # type: ignore[union-attr]
    return found if asked is None else counted(differences(existing, asked, ignoring))


def keep_or_raise(what: str, found: Sequence[Difference], if_different: str, remedy: str = "", code: str = "") -> bool:
    """Settle a taken name: nothing differs, or it is to be kept, or DefinitionMismatch."""
    if not found:
        return skipped(what, "it is there as asked")
    listed = "; ".join(map(str, found))
    if if_different == "keep":
        return skipped(what, f"it is there, with another definition that is kept: {listed}")
    raise DefinitionMismatch(
        f"{what[:1].upper()}{what[1:]} exists, but {listed}.",
        why="It was left untouched: skipping it would have hidden the difference.",
        remedy=remedy or 'Change one of the two definitions, or keep what stands with if_different="keep".',
        code=code,
    )


def refuse_unless_assured(problem: str, why: str, remedy: str = "", code: str = "") -> None:
    """Raise UnsafeOperation, or inside ``assured(...)`` log it and go on."""
    reason = assurance()
    if reason is None:
        raise UnsafeOperation(problem, why=why, remedy=remedy, code=code)
    log.warning("%s It is assured: %s", problem, reason)


def refuse_dependents(what: str, dependents: Sequence[str], remedy: str = "", code: str = "") -> None:
    """Raise DependentObjects where there are any."""
    if dependents:
        listed = "".join(f"\n  - {dependent}" for dependent in dependents)
        raise DependentObjects(
            f"Cannot drop {what}, because others depend on it:{listed}",
            why="Dropping them along with it would lose them.",
            remedy=remedy or "Drop or change them first, in this revision or an earlier one.",
            code=code,
            about=dependents,
        )


def refuse_archive_offline(migration: Migration, what: str, archive: bool) -> None:
    """Raise OnlineOnly where a script of ``--sql`` is to keep what it drops."""
    if archive and migration.offline:
        raise migration.online_only(
            f"Dropping {what} with archive=True", "Its values are copied, and its definition read."
        )


def explained_dependents(migration: Migration, what: str) -> Callable[[DBAPIError], SafeOpsError | None]:
    """Return what turns the server's own refusal to drop what others depend on into DependentObjects."""

    def explain(error: DBAPIError) -> SafeOpsError | None:
        if not migration.database.errors.is_dependency(error):
            return None
        return DependentObjects(
            f"Cannot drop {what}: {error.orig}", remedy="Drop or change them first, in this revision or an earlier one."
        )

    return explain


SHOWN = 5


@dataclass(frozen=True)
class Offenders:
    """Rows that break a rule, as a query.

    Args:
        error: The error that tells of them.
        problem: What is wrong with them, as the words before the verb, the verb of many, and the words after it.
        source: FROM and WHERE of the query that finds them.
        keys: The quoted columns that name a row.
        columns: The columns of the query that finds them all.
        remedy: What to do about them.
        grouped: GROUP BY and HAVING, if a value and not a row breaks the rule.
        referents: The other tables that the query reads.
    """

    error: type[SafeOpsError]
    problem: tuple[str, str, str]
    source: str
    keys: Sequence[str]
    columns: str = "*"
    remedy: str = "Mend or delete these rows, and run again. This finds them all:"
    grouped: str = ""
    referents: tuple[Name, ...] = ()

    @property
    def query(self) -> str:
        return f"SELECT {self.columns} {self.source}{self.grouped}"


def nulls(migration: Migration, table: Table, column: str) -> Offenders:
    database = migration.database
    source = f"FROM {database.quoted_table(table.name)} WHERE {database.quoted(column)} IS NULL"
    keys = _keys(migration, table, [])
    return Offenders(ViolatingRows, ("", "have", f"NULL in {table.name}.{column}"), source, keys)


def against_check(migration: Migration, table: Table, name: str, condition: str) -> Offenders:
    source = f"FROM {migration.database.quoted_table(table.name)} WHERE NOT ({condition})"
    return Offenders(
        ViolatingRows, ("", "break", f"the check {name} of {table.name}"), source, _keys(migration, table, [])
    )


def orphans(migration: Migration, table: Table, key: sa.ForeignKeyConstraint, referent: Name) -> Offenders:
    """Return the rows whose key is in no row of the referent table; rows with a NULL in the key refer to nothing."""
    database = migration.database
    local = [f"child.{database.quoted(column)}" for column in key.column_keys]
    remote = [f"parent.{database.quoted(element.column.name)}" for element in key.elements]
    matched = " AND ".join(f"{one} = {other}" for one, other in zip(remote, local, strict=True))
    given = " AND ".join(f"{column} IS NOT NULL" for column in local)
    source = (
        f"FROM {database.quoted_table(table.name)} AS child WHERE {given}"
        f" AND NOT EXISTS (SELECT 1 FROM {database.quoted_table(referent)} AS parent WHERE {matched})"
    )
    refer = f"by ({', '.join(key.column_keys)}) to rows that {referent} does not have"
    problem = (f"of {table.name}", "refer", refer)
    keys = [f"child.{one}" for one in _keys(migration, table, key.column_keys)]
    return Offenders(OrphanedRows, problem, source, keys, columns="child.*", referents=(referent,))


def duplicates(
    migration: Migration, table: Table, name: str, elements: Sequence[str], where: str | None, nulls_equal: bool = False
) -> Offenders:
    """Return the values that several rows share; ``elements`` are quoted columns or expressions."""
    conditions = [] if nulls_equal else [f"({element}) IS NOT NULL" for element in elements]
    conditions += [f"({where})"] if where else []
    listed = ", ".join(elements)
    filtered = f" WHERE {' AND '.join(conditions)}" if conditions else ""
    source = f"FROM {migration.database.quoted_table(table.name)}{filtered}"
    return Offenders(
        DuplicateRows,
        (f"of {table.name}", "stand", f"more than once, so that {name} cannot be unique"),
        source,
        elements,
        columns=f"{listed}, count(*)",
        grouped=f" GROUP BY {listed} HAVING count(*) > 1",
    )


def _keys(migration: Migration, table: Table, otherwise: Sequence[str]) -> list[str]:
    names = [*table.primary_key] or list(otherwise) or list(table.columns)[:3]
    return [migration.database.quoted(name) for name in names]


def refuse(migration: Migration, table: Table, offenders: Offenders) -> None:
    """Raise the error of the offenders if there are any. Reads under a lock that lets all others through."""
    try:
        broken = _read(migration, table, f"{offenders.query} LIMIT 1")
    except DBAPIError:
        dry_run = current_dry_run()
        if dry_run is not None and dry_run.would_add(table.name.name):
            # It names a column that does not exist yet, and so no value that breaks the rule.
            return
        raise
    if broken:
        raise told(migration, table, offenders)


def explained_by(
    migration: Migration, table: Table | None, offenders: Offenders | None, excluding: str = ""
) -> Callable[[DBAPIError], Any]:
    """Return what turns a violation that the server reports into the error that tells of the rows.

    The error has to see the rows, which is settled now, before anything is changed.
    """
    if table is not None and offenders is not None:
        refuse_hidden_rows(migration, table.name, *offenders.referents)

    def explain(error: DBAPIError) -> SafeOpsError | None:
        if table is None or not migration.database.errors.is_violation(error):
            return None
        if offenders is None:
            return excluded(table.name, excluding, error) if excluding else None
        return told(migration, table, offenders)

    return explain


def excluded(name: Name, constraint: str, error: DBAPIError) -> SafeOpsError:
    """Return the error of rows that exclude each other, of which only the server can tell."""
    return ViolatingRows(
        f"Rows of {name} exclude each other, so that {constraint} cannot be added.",
        why=f"The server says: {' '.join(str(error.orig).split())}",
        remedy="Mend or delete these rows, and run again.",
    )


def told(migration: Migration, table: Table, offenders: Offenders) -> SafeOpsError:
    """Return the error, with the number of the rows, some keys, and the query that finds them all."""
    counted = _read(migration, table, f"SELECT count(*) FROM ({offenders.query}) AS offenders")
    keys = ", ".join(offenders.keys)
    some = _read(migration, table, f"SELECT {keys} {offenders.source}{offenders.grouped} LIMIT {SHOWN}")
    shown = ", ".join(str(row[0]) if len(row) == 1 else str(tuple(row)) for row in some)
    number = counted[0][0] if counted else len(some)
    before, verb, after = offenders.problem
    noun = "value" if offenders.grouped else "row"
    if number == 1:
        verb = "has" if verb == "have" else f"{verb}s"
    what = " ".join(filter(None, (noun if number == 1 else f"{noun}s", before, verb, after)))
    return offenders.error(
        f"{number} {what}. The first, by {keys.replace('child.', '')}: {shown}{', ...' if number > SHOWN else ''}",
        remedy=offenders.remedy,
        code=offenders.query,
    )


def _read(migration: Migration, table: Table, sql: str) -> Sequence[Sequence[Any]]:
    step = Step(sql, f"read {table.name}", (table.name,), scans=True)
    return with_lock_retry(migration, step.does, lambda: migration.database.read(sql), step)


NOTHING_TO_UNDO = "# Nothing to undo"
"""A comment that begins with this marks a downgrade without a statement as intended."""


@described(Said("is refused: {0}", "Nothing is done."))
def irreversible(reason: str) -> NoReturn:
    """The downgrade has stopped before it changed anything, and the version stays where it is.

    For a ``downgrade()`` that nobody can write, as the only thing in it. What safeops drops with ``archive=True`` can be
    brought back, and so need not be irreversible.

    Steps: raises.

    Args:
        reason: Why there is no way back, for whoever reads it while a deploy is being rolled back.

    Returns:
        Never.

    Raises:
        Irreversible: Always.
        InvalidArgument: There is no reason.

    Locks: none.

    Running it again: raises again.

    Offline: raises too, so that no script pretends to be a way back.

    Example:
        irreversible("The addresses were made anonymous; the old ones are in the backup of 2026-11-20.")
    """
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidArgument(
            f"{call('irreversible', reason)} gives no reason.",
            why="It is read by the one who wants to roll back and cannot.",
            remedy="Say why there is no way back, and what is left to do:",
            code='irreversible("Rows were merged; the old ones are in the backup before this revision.")',
        )
    raise Irreversible(
        f"This revision cannot be undone: {reason.strip()}",
        why="Its author wrote irreversible() into downgrade().",
        state="From here on nothing was changed, and the version stays where it is. Running it again ends here again.",
        remedy="Go forward by a new revision, or restore the backup that was made before it:",
        code='alembic revision -m "put right what came of it"',
    )
