"""``review`` judges revisions before they are deployed: what they lock, for how long, and what to write instead."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

from safeops.cli.command import Argument, Command, config_of
from safeops.cli.parser import UsageError
from safeops.policy import Settings
from safeops.review.reports import FORMATS

# The other commands need none of it.
if TYPE_CHECKING:
    from safeops.review.reviewed import Reviewed


def _review(options: Namespace) -> Reviewed:
    from safeops.review.reviewing import review

    if options.write_baseline and options.baseline is None:
        raise UsageError(
            "--write-baseline needs --baseline, the file to write.",
            remedy="Example:",
            code="safeops review --baseline review-baseline.json --write-baseline",
        )
    return review(
        config_of(options),
        options.what,
        since=options.since,
        all_revisions=options.all,
        url=options.url,
        scratch_url=options.scratch_url,
        scratch=options.scratch,
        server_version=options.server_version,
        small_table=options.small_table,
        stats=options.stats,
        write_stats=options.write_stats,
        fix=options.fix,
        baseline=options.baseline,
        write_baseline=options.write_baseline,
    )


def _lines(result: Reviewed) -> Iterator[str]:
    from safeops.cli.review_lines import review_lines

    return review_lines(result)


# The command ----------------------------------------------------------------------------------------------------


def _version(text: str) -> str:
    if not text.replace(".", "", 2).isdigit():
        raise ArgumentTypeError(f"{text!r} is not a version of a server: write it as 15 or 10.11")
    return text


def _rows(text: str) -> int:
    if not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is not a number of rows: give 0 or more")
    return int(text)


REVIEW = Command(
    "review",
    _review,
    help="find statements that lock or lose data, and the safe calls for them",
    description="Runs upgrade() of the revisions without changing anything, and reviews each statement: which locks it "
    "takes, which locks the transaction holds, and which work is done under them. Without a database, it records the "
    "statements. With --url, it also reads the live database. On a scratch copy, it runs them and queries the server."
    "\n\nA comment on a statement accepts what is found there:\n    # safeops: allow RULE -- why",
    exit_statuses="0 safe, 1 unsafe, 2 something could not be reviewed, 4 failed",
    example="safeops review --since origin/main --format github",
    arguments=(
        Argument(
            "what",
            metavar="REV | FILE",
            nargs="*",
            help="a revision, a range such as a:b, or files (default: the pending revisions; without a database, those that "
            "the main branch does not have)",
        ),
        Argument(
            "--since",
            metavar="GITREF | REV",
            help="revisions added since a git ref, or that follow a revision",
        ),
        Argument("--all", action="store_true", help="all revisions, each separately"),
        Argument("--url", metavar="URL", help="the live database, which is only read"),
        Argument("--scratch-url", metavar="URL", help="an empty database to run the revisions on"),
        Argument(
            "--scratch", action="store_true", help="run them on a temporary empty database on the server of the project"
        ),
        Argument(
            "--server-version",
            metavar="VERSION",
            type=_version,
            help="version to assume without a server (default: the newest)",
        ),
        Argument(
            "--small-table",
            metavar="ROWS",
            type=_rows,
            default=Settings.small_table,
            help=f"smaller tables may be locked for as long as it takes (default: {Settings.small_table})",
        ),
        Argument(
            "--stats", metavar="FILE", help="numbers of rows of the tables (default: stats.json next to alembic.ini)"
        ),
        Argument("--write-stats", action="store_true", help="write that file, from the database at --url"),
        Argument("--fix", action="store_true", help="replace statements in the files by equivalent safe calls"),
        Argument("--baseline", metavar="FILE", help="accept the findings in this file"),
        Argument("--write-baseline", action="store_true", help="write that file: accept all current findings"),
    ),
    lines_of=_lines,
    formats=FORMATS,
)
