"""``safeops restore``: fill an empty database from a backup."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from safeops.cli.outcome import fitting, told
from safeops.cli.parsing import add_json, add_verb
from safeops.runner.backups import Restored, restore


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="fill an empty database from a backup",
        description="Fills an empty database from a backup, after comparing its checksum.\n"
        "A password in URL can be seen in the list of processes: write - instead of\n"
        "URL, and give it on standard input.",
        example="safeops restore backups/app-20270131T120000Z-4f2a.dump --into - < url",
    )
    parser.add_argument("file", metavar="FILE", help="the backup")
    parser.add_argument("--into", metavar="URL", required=True, help="the empty database, or - to read its URL")
    parser.add_argument("--owners", action="store_true", help="restore owners and grants too: the roles must exist")
    add_json(parser)


def run(options: Namespace) -> int:
    url = input().strip() if options.into == "-" else options.into
    return told(options, lambda: restore(options.file, url, owners=options.owners), lines_of)


def lines_of(done: Restored) -> Iterator[str]:
    rows = "" if done.rows is None else f"; {sum(done.rows.values()):,} rows as in the backup"
    at = done.revision or "an unknown revision"
    yield from fitting(f"Restored into {done.database}, {done.server}, at {at}{rows}")
