"""What a change does to the subscribers of logical replication. The publisher cannot see what they have."""

from __future__ import annotations

import logging

from safeops.databases.definitions import Published, Table
from safeops.databases.state_table import StateTable
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


def check_subscribers_of_column(migration: Migration, table: Table, column: str, code: str) -> None:
    """Raise UnsafeOperation if subscribers stop unless they have a column that is about to be added.

    Args:
        migration: The running migration.
        table: The table.
        column: The column.
        code: The call that adds it, as its author writes it.
    """
    published = _published(migration, table)
    if published.listing:
        publications = _publications(published.listing)
        _warn(f"{publications}: subscribers do not get {table.name}.{column}, as columns are listed.")
    first = f"Add {column} to {table.name} on each subscriber first."
    _check(published, f"column {table.name}.{column}", first, code)


def check_subscribers_of_rename(migration: Migration, table: Table, new_name: str, code: str) -> None:
    """Raise UnsafeOperation if subscribers stop unless the table has its new name there too."""
    first = f"Rename {table.name} on each subscriber right after. Replication then resumes."
    _check(_published(migration, table), f"table {new_name}", first, code)


def check_subscribers_of_table(migration: Migration, name: Name, code: str) -> None:
    """Raise UnsafeOperation if a new table is published automatically, and subscribers stop unless they have it."""
    published = migration.database.dependents.published_when_new(name)
    _check(published, f"table {name}", f"Create {name} on each subscriber first.", code)


def check_subscribers_of_kept_table(migration: Migration, name: Name, code: str) -> None:
    """Raise UnsafeOperation if subscribers stop unless they have a table that safeops is about to create for itself."""
    published = migration.database.dependents.published_when_new(name)
    first = f"Create {name} on each subscriber first, or publish the tables of the application alone."
    _check(published, f"table {name}, which safeops keeps", first, code)


def check_subscribers_of_state(migration: Migration, state: StateTable, code: str) -> None:
    """Check the subscribers of a state table, unless it exists already."""
    if not state.exists():
        check_subscribers_of_kept_table(migration, state.name, code)


def note_subscribers(migration: Migration, table: Table, note: str) -> None:
    """Note in a plan and in the log what subscribers of a table need as well."""
    published = _published(migration, table)
    names = (*published.names, *published.listing)
    if names:
        _warn(f"{_publications(names)}: {note}")


def _published(migration: Migration, table: Table) -> Published:
    return look_into(migration, table.name, lambda: migration.database.dependents.published(table))


def _check(published: Published, needed: str, first: str, code: str) -> None:
    if not published.names:
        return
    problem = f"{_publications(published.names)}: its subscribers stop unless they have {needed}."
    if not published.slots or assurance() is not None:
        _warn(problem)
        return
    raise UnsafeOperation(
        f"{problem} Subscribers read from replication slot {', '.join(published.slots)}.",
        why=STOPS,
        remedy=f"{first} Then confirm that:",
        code=f'with assured("each subscriber has it"):\n    {code}',
        about=published.names,
    )


def _publications(names: tuple[str, ...]) -> str:
    return f"Publication{'s' if len(names) > 1 else ''} {', '.join(names)}"


def _warn(note: str) -> None:
    dry_run = current_dry_run()
    if dry_run is not None:
        dry_run.note(note)
    else:
        log.warning("%s", note)
