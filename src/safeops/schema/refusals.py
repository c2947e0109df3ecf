"""What every helper's story is made of: check the arguments, look, settle what stands, report."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Column, Difference, Table, Thing, differences
from safeops.errors import (
    DefinitionMismatch,
    DependentObjects,
    InvalidArgument,
    SafeOpsError,
    UnsafeOperation,
)
from safeops.execution.inspect import look_into, skipped
from safeops.execution.migration import Migration
from safeops.naming import Name, call
from safeops.policy import assurance
from safeops.schema.later_calls import is_dropped, unexplained

T = TypeVar("T")

log = logging.getLogger("safeops")

IF_DIFFERENT = ("raise", "replace", "keep")
"""What the helpers of indexes and constraints can do where a name is taken by another definition."""


def is_gone(migration: Migration, stands: Table | None, name: Name, *parts: str) -> bool:
    """Tell whether what a step of ``downgrade()`` works on was dropped by a later step, before an interruption.

    Args:
        migration: The running migration.
        stands: The table as it stands.
        name: The table, as the author calls it.
        *parts: The columns, or the constraint, that the step works on.
    """
    if migration.offline:
        return False
    if stands is None:
        return is_dropped(name)
    return any(one not in stands.columns and one not in stands.constraints and is_dropped(name, one) for one in parts)


GONE = "a later step of this revision has dropped it"


def is_left(migration: Migration, stands: Table | None, name: Name, thing: str) -> bool:
    """Tell whether an interrupted build left parts of an index or constraint on partitions of the table."""
    database = migration.database
    if stands is None or not stands.is_partitioned:
        return False
    return look_into(migration, name, lambda: database.dependents.left_on_partitions(stands, thing))


def check_schema(migration: Migration, name: Name, right: str) -> None:
    """Raise InvalidArgument where a thing is to be created in a schema that does not exist."""
    database = migration.database
    if migration.offline or not name.schema or database.has_schema(name.schema):
        return
    problem = f"There is no schema {name.schema}, in which {name.name} is to be created."
    if not database.abilities.has_schemas:
        raise InvalidArgument(
            problem, remedy="Attach a file under that name in env.py, or leave schema= out:", code=right
        )
    raise InvalidArgument(
        problem,
        remedy="Create it first:",
        code=f"{call('create_schema_if_missing', name.schema)}\n{right}",
    )


def settle(
    migration: Migration,
    table: Table,
    stands: Thing,
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
        return unexplained(found, table.name, stands.name) if ahead else found

    found = counted(differences(stands, wanted, ignoring))
    if not found:
        return []
    asked = look_into(migration, table.name, lambda: migration.database.ask(table, construct))
    if isinstance(asked, Column):
        # A comment is not spelled, it is what it is; some servers set it by a statement of its own.
        asked = replace(asked, comment=wanted.comment)  # type: ignore[union-attr]
    return found if asked is None else counted(differences(stands, asked, ignoring))


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
        listed = "".join(f"\n  - {one}" for one in dependents)
        raise DependentObjects(
            f"Cannot drop {what}, because others depend on it:{listed}",
            why="Dropping them along with it would lose them.",
            remedy=remedy or "Drop or change them first, in this revision or an earlier one.",
            code=code,
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
