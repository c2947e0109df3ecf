"""Backs a project's database up: reach it, check the disk, dump, check the dump, describe it, remove old ones."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from alembic.config import Config
from sqlalchemy.engine import Connection, Engine

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.errors import BackupFailed, InvalidArgument
from safeops.planned import size_text
from safeops.runner.backup_files import (
    BackupFiles,
    checksum,
    complete,
    explaining_failures,
    explaining_unreachable,
    make_folder,
    partial_file,
    remove_left_over,
)
from safeops.runner.dumps import Dumper, Dumps, recorded_logins
from safeops.runner.environment import reach
from safeops.runner.revision_run import Result, ending_on_signals

log = logging.getLogger("safeops")

FOLDER = "backups"
DESCRIPTION = ".json"
"""What the name of the file that describes a backup ends with, after the name of the backup."""
EVERY = 2.0
"""Seconds between two reports of how much was written."""


@dataclass(frozen=True)
class Backup(Result):
    """A complete backup.

    Args:
        path: The file.
        sha256: The checksum of the file.
        bytes: How large the file is.
        revision: The revisions that the database was at, joined by "+"; "base" if there was none.
        server: What was backed up.
        tool: What wrote it.
        seconds: How long it took.
        rows: How many rows of each table it holds, possibly without empty ones; None if they were not counted.
        doubts: What it does not contain, or not as of one moment.
    """

    path: Path
    sha256: str
    bytes: int
    revision: str
    server: str
    tool: str
    seconds: float
    rows: dict[str, int] | None = None
    doubts: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return it as the object of ``--json``."""
        optional = ("rows", "doubts")
        return {name: value for name, value in super().as_json().items() if value or name not in optional}


@dataclass(frozen=True)
class Source:
    """The database to back up: what is known of it once its connection is closed."""

    name: str
    server: str
    ending: str
    least_size: int
    doubts: tuple[str, ...]
    dumper: Dumper
    tool: str


def backup(
    config: Config,
    to: str | Path | None = None,
    keep: int | None = None,
    *,
    counts: bool = False,
    progress: Callable[[int], None] | None = None,
) -> Backup:
    """Write the whole database of a project, with all its schemas, to one file that is checked before it gets its name.

    Steps: reaches the database as env.py does; checks the free disk space; writes a dump as of one moment to a file with the
    ending .partial (PostgreSQL: ``pg_dump``; MariaDB and MySQL: ``mariadb-dump`` or ``mysqldump``; SQLite: its own backup),
    while the application continues; checks that it is complete; gives it its name; writes its checksum and other facts to a
    JSON file next to it.

    Args:
        config: The configuration of the project.
        to: The folder; by default ``backups`` next to the configuration.
        keep: How many backups of this database to keep in the folder, this one included; None keeps all.
        counts: Also count the rows in the dump, which reads all of it; ``restore`` then compares them.
        progress: Called with how many bytes were written so far; by default there is a log line every two seconds.

    Returns:
        The file, and what is known of it.

    Raises:
        BackupFailed: No backup was made, and no file is left that looks like one.

    Locks: as a reader of every table, which changes of tables wait for. A SQLite file without a write-ahead log that is
        written to all the time is finally copied in one go, for which writers wait.

    Running it again: makes another one, and removes the leftovers of runs that were killed.

    Example:
        done = backup(Config("alembic.ini"), keep=7)
        print(done.path)
    """
    if keep is not None and keep < 1:
        raise InvalidArgument(
            f"keep is {keep}, but must be at least 1: the new backup is kept.",
            remedy="Set how many to keep:",
            code="keep=7",
        )
    started = time.monotonic()
    with ending_on_signals():
        engine, revision = _reached(config)
        source = _source(engine)
        files = BackupFiles(Path(to) if to is not None else _default_folder(config), source.name, source.ending)
        with explaining_failures(files.folder):
            make_folder(files.folder)
            remove_left_over(files.folder)
            _check_room(source, files.folder)
            with files.new(revision) as (final, partial):
                report = progress or reporting(lambda line: log.info("backup: %s", line))
                result = _dump(source, partial, final, revision, counts, report)
                _check_revision(config, revision)
                complete(partial, final)
        with explaining_failures(
            files.folder,
            f"The backup itself is complete: {final}. What follows it failed.",
        ):
            result = replace(result, seconds=round(time.monotonic() - started, 3))
            _describe(result)
            _remove(files.older(final)[keep - 1 :] if keep else [])
    log.info("backup: %s, %s in %.1f s", result.path, size_text(result.bytes), result.seconds)
    return result


def reporting(report: Callable[[str], None]) -> Callable[[int], None]:
    """Return a progress callback that reports every two seconds how much was written."""
    started = last = time.monotonic()

    def progress(written: int) -> None:
        nonlocal last
        now = time.monotonic()
        if now - last >= EVERY:
            last = now
            report(f"{size_text(written)} in {now - started:.0f} s")

    return progress


def _reached(config: Config) -> tuple[Engine, str]:
    with explaining_unreachable():
        reached = reach(config)
    return reached.engine, "+".join(sorted(reached.current)) or "base"


def _source(engine: Engine) -> Source:
    def look(connection: Connection) -> Source:
        database = database_on(connection)
        dumps = Dumps.of(database)
        dumper = dumps.dumper(logins)
        return Source(
            dumps.name(),
            database.describe(),
            dumps.ending,
            dumps.least_size(),
            tuple(dumps.doubts()),
            dumper,
            dumper.tool,
        )

    with explaining_unreachable(), recorded_logins(engine) as logins:
        return run_on_connection(engine, look)


def _default_folder(config: Config) -> Path:
    for name in (config.config_file_name, config.toml_file_name):
        if name is not None and Path(name).is_file():
            return Path(name).absolute().parent / FOLDER
    raise InvalidArgument(
        "There is no default folder for backups: the configuration was not read from a file.",
        remedy="Give the folder:",
        code='backup(config, to="/var/backups/app")',
    )


def _check_room(source: Source, folder: Path) -> None:
    disk = shutil.disk_usage(folder)
    # Some file systems report no size.
    if disk.total and disk.free < source.least_size:
        raise BackupFailed(
            f"The backup of {source.name} needs at least {size_text(source.least_size)},"
            f" but only {size_text(disk.free)} are free in {folder}.",
            remedy="Free some space, or write the backup to another folder:",
            code="safeops backup --to /a/larger/disk",
        )


def _dump(
    source: Source, partial: Path, final: Path, revision: str, counts: bool, progress: Callable[[int], None]
) -> Backup:
    """Write and check the dump."""
    log.info("backup: of %s by %s, to %s", source.server, source.tool, final)
    for doubt in source.doubts:
        log.warning("backup: %s", doubt)
    source.dumper.dump(partial, progress)
    source.dumper.check(partial)
    return Backup(
        path=final,
        sha256=checksum(partial),
        bytes=partial.stat().st_size,
        revision=revision,
        server=source.server,
        tool=source.tool,
        seconds=0.0,
        rows=source.dumper.count(partial) if counts else None,
        doubts=source.doubts,
    )


def _check_revision(config: Config, revision: str) -> None:
    _, now = _reached(config)
    if now != revision:
        raise BackupFailed(
            f"The revision of the database changed from {revision} to {now} during the backup.",
            why="Another runner migrated it during the backup. Which of the two revisions the backup contains is unknown.",
            state="The backup was deleted; running again is safe.",
        )


def _remove(old: list[Path]) -> None:
    for path in old:
        # In this order: a backup without its description can still be restored.
        description_of(path).unlink(missing_ok=True)
        path.unlink(missing_ok=True)
        log.info("backup: removed %s, which is older than those to keep", path.name)


# The file that describes a backup -------------------------------------------------------------------------------


def description_of(path: Path) -> Path:
    return path.with_name(path.name + DESCRIPTION)


def _describe(backup: Backup) -> None:
    description = description_of(backup.path)
    content = {name: value for name, value in backup.as_json().items() if name != "path"}
    with partial_file(description) as partial:
        partial.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        complete(partial, description)


def read_description(path: Path) -> dict[str, Any]:
    """Return what is known of a backup; nothing if no file describes it."""
    description = description_of(path)
    if not description.exists():
        return {}
    with suppress(ValueError):
        content = json.loads(description.read_text(encoding="utf-8"))
        if isinstance(content, dict):
            return content
    raise BackupFailed(
        f"{description}, the description of the backup, is not a JSON object.",
        remedy="Restore another backup. If you trust this one, move that file away and run again.",
    )
