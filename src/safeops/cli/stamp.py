"""``safeops stamp``: say at which revision a database is, after looking whether that is so."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.outcome import fitting, revisions, told
from safeops.cli.parsing import add_json, add_scratch, add_verb, add_wait
from safeops.runner.stamping import Stamped, stamp


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="note at which revision the database is, if it is",
        description="With --verify the revisions are run on a scratch database, which is dropped\n"
        "again, and the database is stamped only where its schema is the same.\n\n"
        "Exit status: 0 stamped, 1 the schema differs, 3 gave up, 4 raised.",
        example="safeops stamp head --verify",
    )
    parser.add_argument("revision", metavar="REV", help="the revision, or heads")
    parser.add_argument("--verify", action="store_true", help="look first whether the schema is that of REV")
    add_scratch(parser)
    add_wait(parser)
    add_json(parser)


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
