"""What helpers compare and refuse: other definitions, dependents, rows that break a constraint, irreversible downgrades."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
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
"""What the other helpers can do in this case."""


def is_left(migration: Migration, table: Table, thing: str) -> bool:
    """Return whether an interrupted build left parts of an index or constraint on partitions of the table."""
    if not table.is_partitioned:
        return False
    return look_into(migration, table.name, lambda: migration.database.dependents.left_on_partitions(table, thing))


def check_schema(migration: Migration, name: Name, example: str) -> None:
    """Raise InvalidArgument if an object should be created in a schema that does not exist."""
    database = migration.database
    if migration.offline or not name.schema or database.has_schema(name.schema):
        return
    problem = f"Could not create {name}: there is no schema {name.schema}."
    if not database.abilities.has_schemas:
        raise InvalidArgument(
            problem, remedy="Attach a file under that name in env.py, or omit schema=. The call is:", code=example
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
    """Return the parts that differ from the requested definition. If only the spelling may differ, the server decides.

    With ``ahead``, what later calls of the running revision change does not count as a difference.
    """

    def counted(found: list[Difference]) -> list[Difference]:
        found = [one for one in found if not migration.database.safety.is_spelling(one)]
        return unexplained(found, table.name, existing.name) if ahead else found

    found = counted(differences(existing, wanted, ignoring))
    if not found or all(migration.database.safety.is_certain(one) for one in found):
        return found
    asked = look_into(migration, table.name, lambda: migration.database.probe(table, construct))
    if isinstance(asked, Column):
        # A comment has one spelling; some servers set it in a separate statement.
        asked = replace(asked, comment=wanted.comment)  # type: ignore[union-attr]
    return found if asked is None else counted(differences(existing, asked, ignoring))


def keep_or_raise(what: str, found: Sequence[Difference], if_different: str, remedy: str = "", code: str = "") -> bool:
    """Return False if nothing differs or the difference should be kept; else raise DefinitionMismatch."""
    if not found:
        return skipped(what, "it already exists as requested")
    listed = "; ".join(map(str, found))
    if if_different == "keep":
        return skipped(what, f"it exists with another definition, which is kept: {listed}")
    raise DefinitionMismatch(
        f"{what[:1].upper()}{what[1:]} exists, but {listed}.",
        why="It was not changed. Skipping it would hide the difference.",
        remedy=remedy or 'Change one of the two definitions, or keep the existing one with if_different="keep".',
        code=code,
    )


def refuse_unless_assured(problem: str, why: str, remedy: str = "", code: str = "") -> None:
    """Raise UnsafeOperation; inside ``assured(...)`` log the problem instead."""
    reason = assurance()
    if reason is None:
        raise UnsafeOperation(problem, why=why, remedy=remedy, code=code)
    log.warning("%s Allowed by assured(): %s", problem, reason)


def refuse_dependents(what: str, dependents: Sequence[str], remedy: str = "", code: str = "") -> None:
    """Raise DependentObjects if there are any."""
    if dependents:
        listed = "".join(f"\n  - {dependent}" for dependent in dependents)
        raise DependentObjects(
            f"Could not drop {what}: other objects depend on it:{listed}",
            why="Dropping them too would lose them.",
            remedy=remedy or "Drop or change these objects first, in this revision or an earlier one.",
            code=code,
            about=dependents,
        )


def refuse_archive_offline(migration: Migration, what: str, archive: bool) -> None:
    """Raise OnlineOnly if a script of ``--sql`` should archive what it drops."""
    if archive and migration.offline:
        raise migration.online_only(
            f"Dropping {what} with archive=True", "Its values must be copied and its definition read."
        )


def explained_dependents(migration: Migration, what: str) -> Callable[[DBAPIError], SafeOpsError | None]:
    """Return a function that turns the server's refusal to drop an object with dependents into DependentObjects."""

    def explain(error: DBAPIError) -> SafeOpsError | None:
        if not migration.database.errors.is_dependency(error):
            return None
        return DependentObjects(
            f"Could not drop {what}: {error.orig}",
            remedy="Drop or change these objects first, in this revision or an earlier one.",
        )

    return explain


SHOWN = 5


@dataclass(frozen=True)
class Offenders:
    """Rows that break a constraint, as a query.

    Args:
        error: The error that reports them.
        problem: What is wrong with them: the words before the verb, the verb in the plural, the words after it.
        source: FROM and WHERE of the query that finds them.
        keys: Returns the quoted columns that identify a row.
        columns: The columns of the query that finds them all.
        remedy: What to do about them.
        grouped: GROUP BY and HAVING, if a value and not a row breaks the constraint.
        referents: The other tables that the query reads.
    """

    error: type[SafeOpsError]
    problem: tuple[str, str, str]
    source: str
    keys: Callable[[], Sequence[str]]
    columns: str = "*"
    remedy: str = "Fix or delete these rows, and run again. This query finds all of them:"
    grouped: str = ""
    referents: tuple[Name | Table, ...] = ()

    @property
    def query(self) -> str:
        return f"SELECT {self.columns} {self.source}{self.grouped}"


def nulls(migration: Migration, table: Table, column: str) -> Offenders:
    database = migration.database
    source = f"FROM {database.quoted_table(table.name)} WHERE {database.quoted(column)} IS NULL"
    keys = partial(_keys, migration, table)
    return Offenders(ViolatingRows, ("", "have", f"NULL in {table.name}.{column}"), source, keys)


def against_check(migration: Migration, table: Table, name: str, condition: str) -> Offenders:
    source = f"FROM {migration.database.quoted_table(table.name)} WHERE NOT ({condition})"
    keys = partial(_keys, migration, table)
    return Offenders(ViolatingRows, ("", "break", f"the check {name} of {table.name}"), source, keys)


def orphans(migration: Migration, table: Table, key: sa.ForeignKeyConstraint, referent: Name | Table) -> Offenders:
    """Return the rows that refer to a missing row of the referent table; a NULL in the key refers to none."""
    database, other = migration.database, referent.name if isinstance(referent, Table) else referent
    local = [f"child.{database.quoted(column)}" for column in key.column_keys]
    remote = [f"parent.{database.quoted(element.column.name)}" for element in key.elements]
    matched = " AND ".join(f"{one} = {other}" for one, other in zip(remote, local, strict=True))
    given = " AND ".join(f"{column} IS NOT NULL" for column in local)
    source = (
        f"FROM {database.quoted_table(table.name)} AS child WHERE {given}"
        f" AND NOT EXISTS (SELECT 1 FROM {database.quoted_table(other)} AS parent WHERE {matched})"
    )
    refer = f"by ({', '.join(key.column_keys)}) to rows that do not exist in {other}"
    problem = (f"of {table.name}", "refer", refer)
    keys = partial(_keys, migration, table, key.column_keys, prefix="child.")
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
        (f"of {table.name}", "occur", f"more than once, so {name} cannot be unique"),
        source,
        lambda: elements,
        columns=f"{listed}, count(*)",
        grouped=f" GROUP BY {listed} HAVING count(*) > 1",
    )


def _keys(migration: Migration, table: Table, otherwise: Sequence[str] = (), prefix: str = "") -> list[str]:
    names = [*table.primary_key] or list(otherwise) or list(table.columns)[:3]
    return [f"{prefix}{migration.database.quoted(name)}" for name in names]


def refuse(migration: Migration, table: Table, offenders: Offenders) -> None:
    """Raise the error of the offenders if there are any. The read blocks neither reads nor writes."""
    if table.is_empty:
        return
    try:
        broken = _read(migration, table, f"{offenders.query} LIMIT 1")
    except DBAPIError:
        dry_run = current_dry_run()
        if dry_run is not None and dry_run.would_add(table.name.name):
            # The query names a column that does not exist yet, so no value breaks the constraint.
            return
        raise
    if broken:
        raise told(migration, table, offenders)


def explained_by(
    migration: Migration, table: Table | None, offenders: Offenders | None, excluding: str = ""
) -> Callable[[DBAPIError], Any]:
    """Return a function that turns a violation that the server reports into the error that lists the rows.

    Whether row security hides rows from that error is checked now, before anything is changed.
    """
    if table is not None and offenders is not None:
        refuse_hidden_rows(migration, table, *offenders.referents)

    def explain(error: DBAPIError) -> SafeOpsError | None:
        if table is None or not migration.database.errors.is_violation(error):
            return None
        if offenders is None:
            return excluded(table.name, excluding, error) if excluding else None
        return told(migration, table, offenders)

    return explain


def excluded(name: Name, constraint: str, error: DBAPIError) -> SafeOpsError:
    """Return the error of rows that exclude each other, as the server reports it."""
    return ViolatingRows(
        f"Could not add {constraint}: rows of {name} exclude each other.",
        why=f"The server reports: {' '.join(str(error.orig).split())}",
        remedy="Fix or delete these rows, and run again.",
    )


def told(migration: Migration, table: Table, offenders: Offenders) -> SafeOpsError:
    """Return the error, with the number of the rows, some keys, and the query that finds them all."""
    counted = _read(migration, table, f"SELECT count(*) FROM ({offenders.query}) AS offenders")
    keys = ", ".join(offenders.keys())
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
"""A comment that begins with this marks an empty downgrade as intended."""


@described(Said("is refused: {0}", "Nothing is changed."))
def irreversible(reason: str) -> NoReturn:
    """The downgrade has stopped before it changed anything, and the database stays at this revision.

    Use it as the only statement of a ``downgrade()`` that cannot be written. A drop with ``archive=True`` can be restored,
    so it need not be irreversible.

    Steps: raises.

    Args:
        reason: Why the revision cannot be undone. It is shown to the person who rolls back a deploy.

    Returns:
        Never.

    Raises:
        Irreversible: Always.
        InvalidArgument: The reason is empty.

    Locks: none.

    Running it again: raises again.

    Offline: raises too; otherwise the script would look like a downgrade.

    Example:
        irreversible("The addresses were made anonymous; the old ones are in the backup of 2026-11-20.")
    """
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidArgument(
            f"{call('irreversible', reason)} gives no reason.",
            why="The reason is shown to the person who tries to roll back.",
            remedy="Explain why the revision cannot be undone, and what can be done instead:",
            code='irreversible("Rows were merged; the old ones are in the backup before this revision.")',
        )
    raise Irreversible(
        f"This revision cannot be undone: {reason.strip()}",
        why="Its downgrade() calls irreversible().",
        state="This call changed nothing, and the database stays at this revision. Running it again will fail again.",
        remedy="Write a new revision that corrects the data, or restore the backup that was made before the upgrade:",
        code='alembic revision -m "correct the data"',
    )
