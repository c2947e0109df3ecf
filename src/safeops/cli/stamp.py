"""``safeops stamp``: say at which revision a database is, after looking whether that is so."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.outcome import add_json, add_wait, fitting, revisions, told
from safeops.runner.stamping import Stamped, stamp
from safeops.runner.upgrading import WAIT


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = verbs.add_parser(
        "stamp",
        parents=[common],
        help="note at which revision the database is, if it is",
        description="With --verify the revisions are run on a scratch database, which is dropped\n"
        "again, and the database is stamped only where its schema is the same.\n\n"
        "Exit status: 0 stamped, 1 the schema differs, 3 gave up, 4 raised.",
        epilog="Example:\n  safeops stamp head --verify",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("revision", metavar="REV", help="the revision, or heads")
    parser.add_argument("--verify", action="store_true", help="look first whether the schema is that of REV")
    scratch = "an empty database to run the revisions on; what they make stays there"
    parser.add_argument("--scratch-url", metavar="URL", help=scratch)
    add_wait(parser, WAIT)
    add_json(parser)
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    def do() -> Stamped:
        config, url = config_of(options), options.scratch_url
        return stamp(config, options.revision, verify=options.verify, scratch_url=url, wait=options.wait)

    return told(options, do, lines_of)


def lines_of(done: Stamped) -> Iterator[str]:
    if not done.differences:
        yield from fitting(f"The database is stamped: {revisions(done.current)}.")
        return
    yield from fitting("Not stamped: the schema is not what the revisions would have made. This would bring it there:")
    for line in done.differences:
        yield from fitting(f"    {line}")
