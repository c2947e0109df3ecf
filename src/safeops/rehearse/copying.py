"""The copy on which revisions are rehearsed: a database that is filled, restored from a backup, or used as it is."""

from __future__ import annotations

import logging
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import sqlalchemy as sa
from alembic.config import Config
from sqlalchemy.engine import URL, Connection, Engine
from sqlalchemy.pool import NullPool

from safeops.databases import Database, database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.definitions import Table
from safeops.errors import InvalidArgument, NotReady, RevisionFailed
from safeops.execution.migration_lock import without_migration_lock
from safeops.naming import Name
from safeops.planned import size_text
from safeops.rehearse.embedded import temporary_server
from safeops.rehearse.filling import fill
from safeops.rehearse.inserting import Inserts
from safeops.rehearse.later_constraints import later_tables
from safeops.rehearse.production import Identity, Production, identity_of, production_of
from safeops.rehearse.shapes import Statistics, TableShape, tables_of, uniform
from safeops.runner.environment import (
    Inspection,
    current_on,
    explaining_errors,
)
from safeops.runner.logs import ALEMBIC, SAFEOPS, quiet_logs
from safeops.runner.redirection import redirecting
from safeops.runner.restoring import restore
from safeops.runner.revision_run import ending_on_signals
from safeops.runner.revisions import steps_between
from safeops.runner.temporary_database import (
    PREFIX,
    TemporaryDatabase,
    check_empty,
    config_for,
    environment_variable,
    scratch_url_of,
)

log = logging.getLogger("safeops")

ROWS = 100_000
"""Rows of each table if neither a number nor a database to follow is given."""
WIDTH = 16
"""Bytes of a value of which nothing is known."""
FACTOR = 3
"""How much more than the values a table takes, with its indexes and what the server logs."""
INTO = "--into"
FILLED = "filled"


@dataclass(frozen=True)
class Copy:
    """A database on which revisions can be rehearsed.

    Args:
        config: The configuration of the project, for this database.
        engine: Connects to it.
        revision: The revisions that it is at, with commas; empty if none.
        rows: About how many rows each table has.
        kind: "filled", "backup" or "as is".
        production: The shapes of production, if it was read.
        how_to_drop: The command that removes it; empty if that is automatic.
        later: The tables with the constraints that the revisions add, which the application meets already.
        remarks: What was assumed about production, in sentences.
    """

    config: Config
    engine: Engine
    revision: str
    rows: Mapping[Name, int]
    kind: str
    production: Mapping[Name, TableShape] = field(default_factory=dict)
    how_to_drop: str = ""
    later: Mapping[Name, Table] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()


@contextmanager
def open_copy(
    config: Config,
    into: str | None,
    *,
    backup: Path | None = None,
    rows: int | None = None,
    as_is: bool = False,
    like: str | None = None,
    revision: str = "head",
    start: str | None = None,
    known: Production | None = None,
) -> Iterator[Copy]:
    """Provide a copy of production to rehearse on; env.py and the revisions reach no other database in the block.

    Args:
        config: The configuration of the project.
        into: The URL of an empty database; None makes a temporary one, and removes it.
        backup: A backup by ``safeops backup`` to restore; None fills the tables.
        rows: How many rows a table gets at most; with ``like`` at most as many as it has there.
        as_is: Use the database with the rows that it has.
        like: The URL of production, whose statistics the rows follow. It is only read.
        revision: The revision that is rehearsed: without production, the copy is at the one before it.
        start: The revision that the copy is at before; by default that of production.
        known: What was read of production already.

    Raises:
        NotReady: The database is not empty, is production itself, or has too little space.
        RevisionFailed: A revision that production has failed on the copy.
        FillingFailed: A table could not be filled.
        BackupFailed: The backup could not be restored.
    """
    if (backup is not None) + (rows is not None) + as_is > 1:
        raise InvalidArgument("--from-backup, --rows and --as-is exclude each other.", remedy="Give one of them.")
    if as_is and into is None:
        raise InvalidArgument(
            "--as-is needs a database that has rows.", remedy="Name it:", code="safeops rehearse --as-is --into URL"
        )
    if start is not None and (like is not None or backup is not None or as_is):
        raise InvalidArgument(
            f"{start}:{revision} names the revision of the copy, which --like, --from-backup and --as-is do too.",
            remedy="Name the target only:",
            code=f"safeops rehearse {revision}",
        )
    kind = "backup" if backup is not None else "as is" if as_is else FILLED
    with ending_on_signals():
        production = known or production_of(config, like, revision, start, with_shapes=kind == FILLED)
        with _place(config, into, production) as url:
            engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
            with explaining_errors(INTO if into is not None else ""):
                identity, drop = run_on_connection(engine, lambda own: _checked(own, production, as_is=as_is))
            # The database of the run on a tenth of the rows is dropped after it.
            left = drop if into is not None and PREFIX not in str(url.database) else ""
            with _telling_what_is_left(left):
                if backup is not None:
                    restore(backup, url)
                with redirecting(None, url), environment_variable(url), without_migration_lock():
                    here = _Here(config_for(config, url), engine, production, identity, revision)
                    yield here.made(kind, rows, left)


@contextmanager
def _telling_what_is_left(drop: str) -> Iterator[None]:
    try:
        yield
    except BaseException:
        if drop:
            log.warning("the copy keeps what was made in it so far. To remove it: %s", drop)
        raise


def check_into(into: str, production: Production, *, as_is: bool) -> None:
    """Raise NotReady if a database must not become the copy, because it is production or has something in it."""
    engine = sa.create_engine(scratch_url_of(into, INTO), poolclass=NullPool, hide_parameters=True)
    with explaining_errors(INTO):
        run_on_connection(engine, lambda own: _checked(own, production, as_is=as_is))


# The place of the copy ------------------------------------------------------------------------------------------


@contextmanager
def _place(config: Config, into: str | None, production: Production) -> Iterator[URL]:
    if into is not None:
        yield scratch_url_of(into, INTO)
        return
    own = production.url or _url_in(config)
    with temporary_server(own) as url:
        yield url


def _url_in(config: Config) -> URL | None:
    # get_main_option() raises if pyproject.toml alone has the configuration.
    text = config.file_config.get(config.config_ini_section, "sqlalchemy.url", fallback=None)
    try:
        return sa.make_url(text) if text else None
    except sa.exc.ArgumentError:
        return None


def _checked(connection: Connection, production: Production, *, as_is: bool) -> tuple[set[tuple[str, ...]], str]:
    """Return which database the copy is, and how to drop it; raise NotReady if it must not be used."""
    identity = Identity.of(database_on(connection))
    facts = identity.facts()
    for fact in facts & set(production.taken):
        raise NotReady(
            f"The database at {INTO} is {production.taken[fact]}.",
            why="The revisions are rehearsed there, up and down, under traffic that writes.",
            remedy="Create an empty database, and name that one:",
            code=f"safeops rehearse {INTO} URL",
        )
    if not as_is:
        check_empty(connection, INTO)
    return facts, identity.how_to_drop()


def _analyzed(connection: Connection) -> None:
    database = database_on(connection)
    Inserts.of(database).analyze([table for _, table in tables_of(database)])


class _Here:
    """The copy while env.py reaches nothing else."""

    def __init__(
        self, config: Config, engine: Engine, production: Production, identity: set[tuple[str, ...]], target: str
    ) -> None:
        self.config, self.engine, self.production, self.target = config, engine, production, target
        self.temporary = TemporaryDatabase(config, production.script, lambda own: bool(identity_of(own) & identity))

    def made(self, kind: str, rows: int | None, how_to_drop: str) -> Copy:
        """Return the copy, migrated and filled unless it has its rows already."""
        if kind == FILLED:
            with quiet_logs(ALEMBIC, SAFEOPS):
                self.migrate()
        later = self.later()
        if kind == FILLED:
            self.fill(rows, later)
        elif kind == "backup":
            run_on_connection(self.engine, _analyzed)
        made = self.config, self.engine, self.revision(), self.rows(), kind
        remarks = self.production.remarks if kind == FILLED else ()
        return Copy(*made, self.production.shapes, how_to_drop, later, remarks)

    def migrate(self) -> None:
        """Run the revisions that production has."""
        for target in self.production.revisions:
            failed = self.temporary.run(lambda heads, to=target: steps_between(self.production.script, to, heads))  # type: ignore[misc]
            if failed is not None:
                raise RevisionFailed(
                    f"{failed[0]} failed on the copy, before anything was rehearsed: {failed[1]}",
                    why="The copy is migrated to the revision of production first, from an empty database.",
                    remedy="Correct the revision, or rehearse on a backup:",
                    code="safeops rehearse --into URL --from-backup FILE",
                    state="The copy has the revisions before it.",
                )

    def later(self) -> dict[Name, Table]:
        """Return the tables with the constraints that the rehearsed revisions add."""
        return later_tables(self.config, self.production.script, self.engine, self._current(), self.target)

    def fill(self, rows: int | None, later: Mapping[Name, Table]) -> None:
        """Fill the tables as they are in production, or with the same number of rows each."""
        shapes = {
            name: shape.scaled(min(shape.rows, rows)) if rows is not None else shape
            for name, shape in self.production.shapes.items()
        } or uniform(self.engine, ROWS if rows is None else rows)
        run_on_connection(self.engine, lambda own: _check_space(database_on(own), shapes))
        fill(self.engine, shapes, later=later)

    def revision(self) -> str:
        """Return the revisions that the copy is at."""
        return ", ".join(self._current())

    def _current(self) -> tuple[str, ...]:
        return run_on_connection(self.engine, lambda own: current_on(own, dict(self.production.options)))

    def rows(self) -> dict[Name, int]:
        """Return about how many rows each table has."""

        def count(connection: Connection) -> dict[Name, int]:
            database = database_on(connection)
            return {name: Statistics.of(database).rows_of(table) for name, table in tables_of(database)}

        return run_on_connection(self.engine, count)


def _check_space(database: Database, shapes: Mapping[Name, TableShape]) -> None:
    folder = Inspection.of(database).data_folder()
    if folder is None:
        return
    tables = {name: table for name, table in tables_of(database) if name in shapes}
    needed = sum(
        shapes[name].rows * FACTOR * (40 + sum(shapes[name].of(one).width or WIDTH for one in table.columns.values()))
        for name, table in tables.items()
    )
    free = shutil.disk_usage(folder).free
    if needed > free:
        raise NotReady(
            f"The copy takes about {size_text(needed)}, and {folder} has {size_text(free)} free.",
            why="It has the rows and the indexes, and the server logs what is written.",
            remedy="Rehearse with fewer rows; times are projected to those of production:",
            code="safeops rehearse --into URL --rows 100000",
        )
