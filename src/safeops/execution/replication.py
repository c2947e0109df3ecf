"""What a change does to the subscribers of logical replication. Whether they have what is sent, the publisher cannot see."""

from __future__ import annotations

import logging

from safeops.databases.definitions import Published, Table
from safeops.errors import UnsafeOperation
from safeops.execution.inspect import look_into
from safeops.execution.migration import Migration
from safeops.naming import Name
from safeops.plan_mode import current_dry_run
from safeops.policy import assurance

log = logging.getLogger("safeops")

STOPS = (
    "A subscriber that lacks a column or a table which is sent to it stops at the next write of that table, and applies"
    " nothing more until it has it."
)


def heed_new_column(migration: Migration, stands: Table, column: str, written: str) -> None:
    """Raise UnsafeOperation where subscribers stop unless they have a column that is about to be added.

    Args:
        migration: The running migration.
        stands: The table.
        column: The column.
        written: The call that adds it, as its author writes it.
    """
    published = look_into(migration, stands.name, lambda: migration.database.dependents.published(stands))
    if published.listing:
        _tell(
            f"{_publications(published.listing)}: subscribers do not get {stands.name}.{column}, as columns are listed."
        )
    _heed(
        published, f"column {stands.name}.{column}", f"Add {column} to {stands.name} on each subscriber first.", written
    )


def heed_new_name(migration: Migration, stands: Table, new_name: str, written: str) -> None:
    """Raise UnsafeOperation where subscribers stop unless the table has its new name there too."""
    published = look_into(migration, stands.name, lambda: migration.database.dependents.published(stands))
    first = f"Rename {stands.name} on each subscriber right after: it goes on from where it stopped."
    _heed(published, f"table {new_name}", first, written)


def heed_new_table(migration: Migration, name: Name, written: str) -> None:
    """Raise UnsafeOperation where a new table is published by itself, and subscribers stop unless they have it."""
    _heed(
        migration.database.dependents.published_when_new(name),
        f"table {name}",
        f"Create {name} on each subscriber first.",
        written,
    )


def heed_kept_table(migration: Migration, kept: Name, exists: bool, written: str) -> None:
    """Raise UnsafeOperation where subscribers stop unless they have a table that safeops is about to keep."""
    if not exists:
        first = f"Create {kept} on each subscriber first, or publish the tables of the application alone."
        _heed(
            migration.database.dependents.published_when_new(kept), f"table {kept}, which safeops keeps", first, written
        )


def note_subscribers(migration: Migration, stands: Table, said: str) -> None:
    """Tell in a plan and in the log what subscribers of a table have to do as well."""
    published = look_into(migration, stands.name, lambda: migration.database.dependents.published(stands))
    names = (*published.names, *published.listing)
    if names:
        _tell(f"{_publications(names)}: {said}")


def _heed(published: Published, needs: str, first: str, written: str) -> None:
    if not published.names:
        return
    problem = f"{_publications(published.names)}: its subscribers stop unless they have {needs}."
    if not published.slots or assurance() is not None:
        _tell(problem)
        return
    raise UnsafeOperation(
        f"{problem} Subscribers read from replication slot {', '.join(published.slots)}.",
        why=STOPS,
        remedy=f"{first} Then say so:",
        code=f'with assured("each subscriber has it"):\n    {written}',
    )


def _publications(names: tuple[str, ...]) -> str:
    return f"Publication{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _tell(said: str) -> None:
    dry_run = current_dry_run()
    if dry_run is not None:
        dry_run.note(said)
    else:
        log.warning("%s", said)
