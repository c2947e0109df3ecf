"""``safeops backup``: write the whole database to a file."""

from __future__ import annotations

import json
import sys
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from contextlib import redirect_stdout
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.shown import show
from safeops.foretold import spelled_size
from safeops.runner.backups import Backup, backup
from safeops.runner.backups.report import paced


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = verbs.add_parser(
        "backup",
        parents=[common],
        help="write the whole database to a file",
        description="Writes the whole database to a file that is checked before it gets its\n"
        "name, with a checksum beside it. The application goes on meanwhile.",
        epilog="Example:\n  safeops backup --to /var/backups/app --keep 7",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--to", metavar="DIR", help="where to (default: backups/ beside alembic.ini)")
    parser.add_argument("--keep", metavar="N", type=int, help="remove all but the newest N of this database")
    parser.add_argument("--counts", action="store_true", help="count the rows in it, for restore to compare")
    parser.add_argument("--json", action="store_true", help="print one object and nothing else")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    progress = paced(lambda line: None if options.json else print(line, file=sys.stderr))
    # What env.py prints is no part of the object.
    with redirect_stdout(sys.stderr):
        done = backup(config_of(options), options.to, options.keep, counts=options.counts, progress=progress)
    show(json.dumps(done.as_json(), ensure_ascii=False) if options.json else _text(done))
    return 0


def _text(done: Backup) -> str:
    rows = "" if done.rows is None else f"\n{sum(done.rows.values()):,} rows counted"
    doubts = "".join(f"\nBeware: {doubt}" for doubt in done.doubts)
    return f"{done.path}\n{spelled_size(done.bytes)} of {done.server} at {done.revision}, {done.seconds:.1f} s{rows}{doubts}"
