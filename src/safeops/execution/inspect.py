"""What every helper does first: check its arguments and inspect the schema."""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa

from safeops import _sqlalchemy
from safeops.databases.definitions import Table
from safeops.databases.reflection import Reflection
from safeops.databases.steps import Step
from safeops.errors import InvalidArgument, SafeOpsError, UnknownColumn, UnknownTable
from safeops.execution.lock_retry import with_lock_retry
from safeops.execution.migration import Migration
from safeops.naming import Name, fitting, nearest
from safeops.plan_mode import current_dry_run

T = TypeVar("T")

log = logging.getLogger("safeops")


def check_name(migration: Migration, what: str, name: Any, example: str) -> None:
    """Raise InvalidArgument if a name is not a name, or longer than the server keeps.

    Args:
        migration: The running migration.
        what: What the name denotes, as a message calls it.
        name: The argument.
        right: The call as it should be.
    """
    database = migration.database
    if not isinstance(name, str) or not name or "\x00" in name:
        raise InvalidArgument(f"The {what} is {name!r}, not a name.", remedy="Write:", code=example)
    flaw = None if what == "value" else database.safety.invalid_name_reason(name)
    if flaw:
        raise InvalidArgument(
            f"{database.product} does not take the {what} {name!r}: {flaw}.",
            remedy="Choose another name:",
            code=example,
        )
    size = len(name) if database.abilities.counts_letters else len(name.encode())
    if size > database.abilities.max_identifier:
        unit = "letters" if database.abilities.counts_letters else "bytes"
        raise InvalidArgument(
            f"The {what} {name} has {size} {unit}; {database.product} keeps {database.abilities.max_identifier}.",
            why="The server cuts or refuses a longer name, and the object could not be found by its name again.",
            remedy="Choose a shorter name:",
            code=example,
        )


def check_names(migration: Migration, example: str, **names: Any) -> None:
    """Check several names, given by what they denote; a schema may be None."""
    for what, name in names.items():
        if name is None and what.endswith("schema"):
            continue
        check_name(migration, what.replace("_", " "), name, example)


def check_columns(migration: Migration, what: str, columns: Any, example: str) -> None:
    """Raise InvalidArgument unless ``columns`` is a list of different names."""
    if isinstance(columns, str) or not isinstance(columns, Sequence) or not columns:
        raise InvalidArgument(f"{what} is {columns!r}, not a list of columns.", remedy="Write:", code=example)
    for column in columns:
        check_name(migration, f"column in {what}", column, example)
    if len(set(columns)) < len(columns):
        raise InvalidArgument(f"{what} names a column twice: {columns!r}.", remedy="Write:", code=example)


def check_flags(example: str, **flags: Any) -> None:
    """Raise InvalidArgument unless each flag is True, False or None."""
    for argument, value in flags.items():
        if not (value is None or isinstance(value, (bool, int))):
            raise InvalidArgument(f"{argument} is {value!r}, not True or False.", remedy="Write:", code=example)


def check_choice(argument: str, value: Any, choices: tuple[str | None, ...]) -> None:
    # An expression of SQL has no truth value that a comparison could give.
    if not (value is None or isinstance(value, str)) or value not in choices:
        listed = " or ".join(repr(choice) for choice in choices)
        raise InvalidArgument(
            f"{argument} is {value!r}, not {listed}.", remedy="Write:", code=f"{argument}={choices[-1]!r}"
        )


@dataclass(frozen=True)
class Absent:
    """There is no such table."""


@dataclass(frozen=True)
class Unknown:
    """The table cannot be inspected: the migration is only rendered, for ``--sql``."""


Inspected: TypeAlias = "Table | Absent | Unknown"
"""What is known of a table: what it is now, that it is absent, or that it cannot be inspected."""


def inspect(
    migration: Migration, name: Name, *, to_create: bool = False, things: Collection[str] | None = None
) -> Inspected:
    """Return what is known of a table; with ``to_create`` only in the schema in which a new one would be made."""
    if migration.offline:
        return Unknown()
    return find(migration, name, to_create=to_create, things=things) or Absent()


def known(inspected: Inspected) -> Table | None:
    """Return the table if it is known; what to do without one, the caller has settled."""
    return inspected if isinstance(inspected, Table) else None


def find(
    migration: Migration, name: Name, *, to_create: bool = False, things: Collection[str] | None = None
) -> Table | None:
    """Return a table as it is in the live database, or None; see ``Database.table``."""
    look = partial(migration.database.table, name, to_create=to_create, things=things)
    return with_lock_retry(migration, f"looked at {name}", look, tables=lambda: (name,))


def inspect_both(migration: Migration, name: Name, referent: Name, key: str) -> tuple[Inspected, Inspected]:
    """Return what is known of the tables of a foreign key; see ``Reflection.tables_of_key``."""
    if migration.offline:
        return Unknown(), Unknown()
    look = partial(Reflection.of(migration.database).tables_of_key, name, referent, key)
    found = with_lock_retry(migration, f"looked at {name} and {referent}", look, tables=lambda: (name, referent))
    return found[0] or Absent(), found[1] or Absent()


def existing(migration: Migration, name: Name) -> Table:
    """Return a table as it is in the live database, or raise UnknownTable."""
    return required(migration, find(migration, name) or Absent(), name)


def required(migration: Migration, inspected: Table | Absent, name: Name) -> Table:
    """Return the table that was inspected, or raise UnknownTable if there is none, or if it is a view."""
    if isinstance(inspected, Absent):
        raise UnknownTable(
            f"There is no table {name}.",
            remedy=nearest(name.name, migration.database.table_names(name.schema), "tables"),
            about=(name.name,),
        )
    refuse_view(inspected, name)
    return inspected


def refuse_view(table: Table, name: Name) -> None:
    if table.kind.endswith("view"):
        statement, code = f"CREATE OR REPLACE VIEW {name} AS SELECT ...", "op.execute({!r})"
        if table.kind == "materialized view":
            statement = f"CREATE INDEX CONCURRENTLY ... ON {name} (...)"
            code = f"with op.get_context().autocommit_block():\n    {code}"
        raise UnknownTable(
            f"{name} is a {table.kind}, not a table.",
            why="Helpers change tables only: a view shows the columns and rows of its query.",
            remedy="Use the name of the table that it reads. The view itself is changed by plain SQL, for example:",
            code=code.format(statement),
            about=(name.name,),
        )


def look_into(migration: Migration, name: Name, action: Callable[[], T]) -> T:
    """Run a query that locks the table briefly, with bounded waiting."""
    step = Step("", f"looked into {name}", (name,))
    return with_lock_retry(migration, step.does, action, step)


def refuse_hidden_rows(migration: Migration, *tables: Name | Table) -> None:
    """Raise UnsafeOperation if row security hides rows of the tables from the migration: it would take a part for all."""
    asked = [table for table in tables if not (isinstance(table, Table) and table.shows_all_rows)]
    names = [table.name if isinstance(table, Table) else table for table in asked]
    if names and migration.database.abilities.has_row_security and not migration.offline:
        look_into(migration, names[0], lambda: migration.database.refuse_hidden_rows(names))


def check_has_columns(table: Table, columns: Iterable[str]) -> None:
    """Raise UnknownColumn unless the table has the columns, or a call before would have added them."""
    dry_run = current_dry_run()
    for column in columns:
        planned = dry_run is not None and dry_run.would_add(table.name.name, column)
        if column not in table.columns and not planned:
            raise UnknownColumn(
                f"Table {table.name} has no column {column}.",
                remedy=nearest(column, table.columns, "columns"),
                about=(table.name.name, column),
            )


def skipped(what: str, why: str) -> bool:
    """Report that there is nothing to do."""
    log.info("skipped %s: %s", what, why)
    if (dry_run := current_dry_run()) is not None:
        dry_run.skip(what, why)
    return False


@contextmanager
def keeping(done: Sequence[str]) -> Iterator[None]:
    """Add to an error from the block what was completed before it."""
    try:
        yield
    except SafeOpsError as error:
        error.kept = (*done, *error.kept)
        raise


Named = TypeVar("Named", bound=Any)

_SUFFIXES = {sa.ForeignKeyConstraint: "fkey", sa.UniqueConstraint: "key", sa.CheckConstraint: "check"}


def settle_name(migration: Migration, thing: Named, example: str = "") -> Named:
    """Give a thing the plain name that the server will keep; raise InvalidArgument if the author's own is too long.

    SQLAlchemy cuts the names that it generates when it renders them, and the server cuts what is still too long: by
    its uncut name the object would not be found again.
    """
    if not isinstance(thing.name, str):
        return thing
    if not _sqlalchemy.is_generated_name(thing.name):
        check_name(migration, "index name" if isinstance(thing, sa.Index) else "constraint name", thing.name, example)
        return thing
    database = migration.database
    name = _sqlalchemy.generated_name(thing, database.dialect)
    thing.name = (
        name if database.abilities.counts_letters else fitting(name, max_bytes=database.abilities.max_identifier)
    )
    return thing


def settle_names(migration: Migration, table: sa.Table, example: str) -> None:
    """Settle the names of all that a table was given, without the checks that its types bring for other databases."""
    for check in [constraint for constraint in table.constraints if isinstance(constraint, sa.CheckConstraint)]:
        # Boolean and Enum bring one for databases without such a type.
        if not _sqlalchemy.is_for_dialect(check, migration.context.impl):
            table.constraints.discard(check)
    for thing in (*table.indexes, *table.constraints):
        settle_name(migration, thing, example)


def named(constraint: Any, name: Name) -> Any:
    """Name a constraint that has no name as PostgreSQL would, on every database."""
    if not isinstance(constraint.name, str):
        suffix = _SUFFIXES.get(type(constraint), "excl")
        columns = [column.name for column in constraint.columns]
        constraint.name = fitting(name.name, *columns, suffix, max_bytes=63)
    return constraint
