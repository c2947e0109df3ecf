"""``safeops backup``: write the whole database to a file."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.outcome import fitting, told
from safeops.cli.parsing import add_json, add_verb, number
from safeops.foretold import spelled_size
from safeops.runner.backups import Backup, backup
from safeops.runner.backups.backup import reporting


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="write the whole database to a file",
        description="Writes the whole database to a file that is checked before it gets its\n"
        "name, with a checksum beside it. The application goes on meanwhile.",
        example="safeops backup --to /var/backups/app --keep 7",
    )
    parser.add_argument("--to", metavar="DIR", help="where to (default: backups/ beside alembic.ini)")
    parser.add_argument("--keep", metavar="N", type=number, help="remove all but the newest N of this database")
    parser.add_argument("--counts", action="store_true", help="count the rows in it, for restore to compare")
    add_json(parser)


def run(options: Namespace) -> int:
    progress = reporting(lambda line: None if options.json else print(line, file=sys.stderr))

    def do() -> Backup:
        return backup(config_of(options), options.to, options.keep, counts=options.counts, progress=progress)

    return told(options, do, lines_of)


def lines_of(done: Backup) -> Iterator[str]:
    yield str(done.path)
    yield from fitting(f"{spelled_size(done.bytes)} of {done.server} at {done.revision}, {done.seconds:.1f} s")
    if done.rows is not None:
        yield f"{sum(done.rows.values()):,} rows counted"
    for doubt in done.doubts:
        yield from fitting(f"Beware: {doubt}")
