"""Fills an empty database from a backup: check the file, check the target, fill it, count the rows."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import Connection, Engine
from sqlalchemy.exc import ArgumentError
from sqlalchemy.pool import NullPool

from safeops.databases import KINDS, abilities_of, database_class, database_on
from safeops.databases.base import Database
from safeops.databases.connections import check_host, run_on_connection
from safeops.errors import BackupFailed, InvalidArgument
from safeops.planned import size_text
from safeops.runner.backup_files import PARTIAL, checksum, explaining_failures, explaining_unreachable
from safeops.runner.backups import read_description
from safeops.runner.dumps import Dumper, Dumps, Login, recorded_logins
from safeops.runner.environment import Inspection
from safeops.runner.revision_run import Result, ending_on_signals

log = logging.getLogger("safeops")

T = TypeVar("T")

UNTOUCHED = "Nothing was restored, and the database is as it was; running again is safe."


@dataclass(frozen=True)
class Restored(Result):
    """A database that was filled from a backup.

    Args:
        path: The backup.
        database: The URL of the database, without the password.
        revision: The revisions that it is at, as the file next to the backup records; "" if there is none.
        server: The kind and version of the server.
        seconds: How long it took.
        rows: How many rows each table has; None if those of the backup were not counted.
    """

    path: Path
    database: str
    revision: str
    server: str
    seconds: float
    rows: dict[str, int] | None = None


def restore(file: str | Path, into_url: str | sa.URL, *, owners: bool = False) -> Restored:
    """Fill an empty database from a backup.

    Steps: compares the file with the checksum next to it; checks that it is complete; checks that the database is of its
    kind and empty; fills it; if the rows of the backup were counted, counts them again.

    Args:
        file: The backup.
        into_url: The database, by any driver; its password appears nowhere.
        owners: Restore owners, grants and definers too: all those roles must exist there. By default everything belongs to
            the user who restores it, and nothing is granted to others.

    Returns:
        What was restored, and into which database.

    Raises:
        BackupFailed: It was not restored; the message describes what is in the database.

    Locks: none that others could wait for, as the database is empty.

    Running it again: after a failure, on PostgreSQL and SQLite, safe, for it is all or nothing. On MariaDB and MySQL a part
        of it is left, and the database must be emptied first. After a success, it refuses.

    Example:
        restore("backups/app-20270131T120000Z-4f2a.dump", "postgresql+psycopg://me@localhost/app_copy")
    """
    started = time.monotonic()
    path = Path(file)
    with ending_on_signals():
        target = _Target(_url(into_url))
        with explaining_failures(path.parent, UNTOUCHED):
            description, head = _checked_file(path)
        with target.created_only_if_filled():
            server, dumper = target.inspect(partial(_checked_target, path, description, head))
            log.info("restore: %s into %s, %s", path, target.name, server)
            _fill(path, dumper, owners)
        rows = description.get("rows")
        if rows is not None:
            target.inspect(lambda database, _: _check_rows(database, rows))
    seconds = round(time.monotonic() - started, 3)
    log.info("restore: done in %.1f s", seconds)
    return Restored(path, target.name, str(description.get("revision", "")), server, seconds, rows)


class _Target:
    """The database to fill."""

    def __init__(self, url: sa.URL) -> None:
        self.engine: Engine = sa.create_engine(url, poolclass=NullPool, hide_parameters=True)
        self.name = url.set(query={}).render_as_string(hide_password=True)

    @contextmanager
    def created_only_if_filled(self) -> Iterator[None]:
        """Remove the file that connecting has created, if it is not filled."""
        dialect = self.engine.dialect
        arguments, options = dialect.create_connect_args(self.engine.url)
        missing = Inspection.class_of(database_class(dialect)).missing_file(arguments, dict(options))
        try:
            yield
        except BaseException:
            if missing is not None and Path(missing).is_file() and not Path(missing).stat().st_size:
                Path(missing).unlink()
            raise

    def inspect(self, body: Callable[[Database, list[Login]], T]) -> T:
        def run(connection: Connection) -> T:
            return body(database_on(connection), logins)

        with explaining_unreachable(), recorded_logins(self.engine) as logins:
            return run_on_connection(self.engine, run)


def _url(text: str | sa.URL) -> sa.URL:
    try:
        url = sa.make_url(text)
        check_host(url)
        return url
    except (ArgumentError, ValueError):
        # Its message would show the password.
        raise InvalidArgument(
            "The address of the database to restore into is not a URL.",
            remedy="Write it as for create_engine(), with special characters of the password as %XX:",
            code="postgresql+psycopg://user:password@host/database",
        ) from None


def _checked_file(path: Path) -> tuple[dict[str, Any], bytes]:
    """Return the description of a backup and its first bytes, or raise if it is incomplete or was changed."""
    if path.name.endswith(PARTIAL):
        raise BackupFailed(f"{path} is a part of a backup that was not completed.", remedy="Restore another one.")
    if not path.is_file():
        raise BackupFailed(f"There is no file {path}.")
    description = read_description(path)
    if description and description.get("sha256") != checksum(path):
        raise BackupFailed(
            f"{path} was changed or damaged: its checksum differs from the one in the file next to it.",
            why=f"It has {size_text(path.stat().st_size)}, and had {size_text(description.get('bytes', 0))}.",
            remedy="Restore another backup, or copy this one again from its source.",
        )
    with path.open("rb") as file:
        return description, file.read(16)


def _checked_target(
    path: Path, description: dict[str, Any], head: bytes, database: Database, logins: list[Login]
) -> tuple[str, Dumper]:
    _check_kind(path, description, head, database)
    dumps = Dumps.of(database)
    if objects := dumps.objects():
        raise BackupFailed(
            f"The database is not empty: it has {', '.join(objects)}{' and more' if len(objects) > 4 else ''}.",
            why="A restore never changes or replaces existing data.",
            remedy="Create an empty database, and restore into it:",
            code=f"safeops restore {path} --into URL",
        )
    return database.describe(), dumps.dumper(logins)


def _check_kind(path: Path, description: dict[str, Any], head: bytes, database: Database) -> None:
    product = str(description.get("server", "")).split(" ")[0]
    if head.startswith(Dumps.of(database).magic) and product in ("", database.product):
        return
    others = [abilities_of(kind).database for kind in KINDS]
    products = [product] if product else [other.product for other in others if head.startswith(Dumps.of(other).magic)]
    content = f"a backup of {' or '.join(products)}" if products else "no backup of any database"
    raise BackupFailed(f"{path} is {content}, and the database to restore into is {database.describe()}.")


def _fill(path: Path, dumper: Dumper, owners: bool) -> None:
    with explaining_failures(path.parent, UNTOUCHED):
        dumper.check(path)
    emptied = "The restore was rolled back, and the database is empty again; running again is safe."
    partly = "The database contains a part of the backup: drop it, create it again, and run again."
    with explaining_failures(path.parent, emptied if dumper.is_atomic else partly):
        dumper.load(path, owners)


def _check_rows(database: Database, rows: dict[str, int]) -> None:
    restored = {table: int(database.scalar(f"SELECT count(*) FROM {table}")) for table in rows}
    different = [
        f"    {table}: {rows[table]} in the backup, {count} restored"
        for table, count in restored.items()
        if count != rows[table]
    ]
    if different:
        raise BackupFailed(
            "\n".join(["After the restore, rows are missing, or there are too many:", *different]),
            state="The database contains everything that could be restored; do not use it.",
        )
