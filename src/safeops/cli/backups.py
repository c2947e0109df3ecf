"""``safeops backup`` writes the whole database to a file, and ``safeops restore`` fills an empty database from it."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import suppress

from safeops.cli.command import Argument, Command, config_of, fitting
from safeops.planned import spelled_size
from safeops.runner.backups import Backup, Restored, backup, restore
from safeops.runner.backups.backup import reporting


def _backup(options: Namespace) -> Backup:
    progress = reporting(lambda line: None if options.json else print(line, file=sys.stderr))
    return backup(config_of(options), options.to, options.keep, counts=options.counts, progress=progress)


def _backup_lines(done: Backup) -> Iterator[str]:
    yield str(done.path)
    yield from fitting(f"{spelled_size(done.bytes)} of {done.server} at {done.revision}, {done.seconds:.1f} s")
    if done.rows is not None:
        yield f"{sum(done.rows.values()):,} rows counted"
    for doubt in done.doubts:
        yield from fitting(f"Beware: {doubt}")


def _number(text: str) -> int:
    """Read how many backups to keep: at least one."""
    with suppress(ValueError):
        if (found := int(text)) > 0:
            return found
    raise ArgumentTypeError(f"{text!r} is no number of backups: give 1 or more")


BACKUP = Command(
    "backup",
    _backup,
    help="write the whole database to a file",
    description="Writes the whole database to a file that is checked before it gets its\n"
    "name, with a checksum beside it. The application goes on meanwhile.",
    example="safeops backup --to /var/backups/app --keep 7",
    arguments=(
        Argument("--to", metavar="DIR", help="where to (default: backups/ beside alembic.ini)"),
        Argument("--keep", metavar="N", type=_number, help="remove all but the newest N of this database"),
        Argument("--counts", action="store_true", help="count the rows in it, for restore to compare"),
    ),
    lines_of=_backup_lines,
)


def _restore(options: Namespace) -> Restored:
    url = input().strip() if options.into == "-" else options.into
    return restore(options.file, url, owners=options.owners)


def _restore_lines(done: Restored) -> Iterator[str]:
    rows = "" if done.rows is None else f"; {sum(done.rows.values()):,} rows as in the backup"
    at = done.revision or "an unknown revision"
    yield from fitting(f"Restored into {done.database}, {done.server}, at {at}{rows}")


RESTORE = Command(
    "restore",
    _restore,
    help="fill an empty database from a backup",
    description="Fills an empty database from a backup, after comparing its checksum.\n"
    "A password in URL can be seen in the list of processes: write - instead of\n"
    "URL, and give it on standard input.",
    example="safeops restore backups/app-20270131T120000Z-4f2a.dump --into - < url",
    arguments=(
        Argument("file", metavar="FILE", help="the backup"),
        Argument("--into", metavar="URL", required=True, help="the empty database, or - to read its URL"),
        Argument("--owners", action="store_true", help="restore owners and grants too: the roles must exist"),
    ),
    lines_of=_restore_lines,
)
