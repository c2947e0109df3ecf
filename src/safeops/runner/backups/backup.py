"""Backs a project's database up: reach it, make room, dump, check, name, describe, and let old ones go."""

from __future__ import annotations

import json
import logging
import shutil
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from alembic.config import Config
from sqlalchemy.engine import Connection, Engine

from safeops.databases import database_for
from safeops.databases.beside import on_a_connection
from safeops.databases.dumping import Dumper, logins
from safeops.errors import BackupFailed, InvalidArgument
from safeops.foretold import spelled_size
from safeops.runner.backups.failing import ending_on_signals, reaching, told
from safeops.runner.backups.files import Place, checksum, claimed, complete, make_folder, remove_left_over
from safeops.runner.backups.report import BESIDE, Backup, paced
from safeops.runner.environment import reach

log = logging.getLogger("safeops")

FOLDER = "backups"


@dataclass(frozen=True)
class Source:
    """What is backed up."""

    name: str
    server: str
    ending: str
    least: int
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

    Steps: reaches the database as env.py does; looks whether there is room; writes a dump as of one moment to a file
    with the ending .partial (PostgreSQL: ``pg_dump``; MariaDB and MySQL: ``mariadb-dump`` or ``mysqldump``; SQLite: its
    own backup), while the application goes on; checks that it is whole; gives it its name; writes its checksum and
    what else is known of it to a JSON file beside it.

    Args:
        config: The configuration of the project.
        to: The folder; by default ``backups`` beside the configuration.
        keep: How many backups of this database to keep in the folder, this one included; None keeps all.
        counts: Also count the rows in the dump, which reads all of it; ``restore`` then compares them.
        progress: Called with how many bytes were written so far; by default there is a log line every two seconds.

    Returns:
        Where it is, and what is known of it.

    Raises:
        BackupFailed: No backup was made, and no file is left that looks like one; the message says why.

    Locks: as a reader of every table, which changes of tables wait for. A SQLite file without a write-ahead log that
        is written to all the time is copied in one go at last, for which writers wait.

    Running it again: makes another one, and removes what runs that were killed have left over.

    Example:
        done = backup(Config("alembic.ini"), keep=7)
        print(done.path)
    """
    if keep is not None and keep < 1:
        raise InvalidArgument(
            f"keep is {keep}: at least the new backup is kept.", remedy="Say how many:", code="keep=7"
        )
    began = time.monotonic()
    with ending_on_signals():
        engine, revision = _reached(config)
        source = _source(engine)
        place = Place(Path(to) if to is not None else _beside(config), source.name, source.ending)
        with told(place.folder):
            make_folder(place.folder)
            remove_left_over(place.folder)
            _check_room(source, place.folder)
            with place.new(revision) as (final, partial):
                made = _made(
                    source,
                    partial,
                    final,
                    revision,
                    counts,
                    progress or paced(lambda line: log.info("backup: %s", line)),
                )
                _check_revision(config, revision)
                complete(partial, final)
        with told(place.folder, f"The backup itself is whole: {final}. What goes with it is not."):
            made = _described(made, began)
            _remove(place.older(final)[keep - 1 :] if keep else [])
    log.info("backup: %s, %s in %.1f s", made.path, spelled_size(made.bytes), made.seconds)
    return made


def _reached(config: Config) -> tuple[Engine, str]:
    with reaching():
        found = reach(config)
    return found.engine, "+".join(sorted(found.current)) or "base"


def _source(engine: Engine) -> Source:
    def look(connection: Connection) -> Source:
        database = database_for(connection.dialect, lambda: connection)
        dumper = database.dumper(seen[-1] if seen else None)
        return Source(
            database.dump_name(),
            database.describe(),
            database.dump_ending,
            database.least_dump_size(),
            tuple(database.dump_doubts()),
            dumper,
            dumper.tool,
        )

    with reaching(), logins(engine) as seen:
        return on_a_connection(engine, look)


def _beside(config: Config) -> Path:
    for name in (config.config_file_name, config.toml_file_name):
        if name is not None and Path(name).is_file():
            return Path(name).absolute().parent / FOLDER
    raise InvalidArgument(
        "The configuration has no file that a folder for backups could stand beside.",
        remedy="Say where they go:",
        code='backup(config, to="/var/backups/app")',
    )


def _check_room(source: Source, folder: Path) -> None:
    disk = shutil.disk_usage(folder)
    # Where nobody says how large it is, nobody can tell.
    if disk.total and disk.free < source.least:
        raise BackupFailed(
            f"The backup of {source.name} takes {spelled_size(source.least)} at least,"
            f" and {spelled_size(disk.free)} are free in {folder}.",
            remedy="Make room there, or write it elsewhere:",
            code="safeops backup --to /a/larger/disk",
        )


def _made(
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
            f"The database went from {revision} to {now} while it was backed up.",
            why="Somebody migrated meanwhile, so that nobody can tell which of both the backup holds.",
            state="The backup was thrown away; running again is safe.",
        )


def _described(made: Backup, began: float) -> Backup:
    """Write the file beside the backup."""
    made = replace(made, seconds=time.monotonic() - began)
    beside = made.path.with_name(made.path.name + BESIDE)
    with claimed(beside) as partial:
        partial.write_text(json.dumps(made.described(), indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
        complete(partial, beside)
    return made


def _remove(old: list[Path]) -> None:
    for one in old:
        # In this order: a description of nothing would only puzzle, a backup without one can be restored.
        one.with_name(one.name + BESIDE).unlink(missing_ok=True)
        one.unlink(missing_ok=True)
        log.info("backup: removed %s, which is older than those to keep", one.name)
