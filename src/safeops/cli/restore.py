"""``safeops restore``: fill an empty database from a backup."""

from __future__ import annotations

import json
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import Any

from safeops.cli.shown import show
from safeops.runner.backups import Restored, restore


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = verbs.add_parser(
        "restore",
        parents=[common],
        help="fill an empty database from a backup",
        description="Fills an empty database from a backup, after comparing its checksum.\n"
        "A password in URL can be seen in the list of processes: write - instead of\n"
        "URL, and give it on standard input.",
        epilog="Example:\n  safeops restore backups/app-20270131T120000Z-4f2a.dump --into - < url",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("file", metavar="FILE", help="the backup")
    parser.add_argument("--into", metavar="URL", required=True, help="the empty database, or - to read its URL")
    parser.add_argument("--owners", action="store_true", help="restore owners and grants too: the roles must exist")
    parser.add_argument("--json", action="store_true", help="print one object and nothing else")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    url = input().strip() if options.into == "-" else options.into
    done = restore(options.file, url, owners=options.owners)
    show(json.dumps(done.as_json(), ensure_ascii=False) if options.json else _text(done))
    return 0


def _text(done: Restored) -> str:
    rows = "" if done.rows is None else f"; {sum(done.rows.values()):,} rows as in the backup"
    return f"Restored into {done.database}, {done.server}, at {done.revision or 'an unknown revision'}{rows}"
