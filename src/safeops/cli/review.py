"""``review`` judges revisions before they are deployed: what they lock, for how long, and what to write instead."""

from __future__ import annotations

from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator

from safeops.cli.command import CODE, Argument, Command, config_of, fitting
from safeops.errors import InvalidArgument
from safeops.judging.finding import UNSAFE, Finding
from safeops.policy import Settings
from safeops.review.reports import FORMATS
from safeops.review.reports.words import instead_of, lock_of, page_of, sentence, work_of
from safeops.review.reviewed import Reviewed, ReviewedRevision, place_of, shown_path

HANG = " " * 12


def _review(options: Namespace) -> Reviewed:
    # The other commands need none of it.
    from safeops.review.reviewing import review

    if options.write_baseline and options.baseline is None:
        raise InvalidArgument(
            "There is no file to write the baseline to.",
            remedy="Say which:",
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


# For people -----------------------------------------------------------------------------------------------------


def review_lines(result: Reviewed) -> Iterator[str]:
    """Write a review for people."""
    for revision in result.revisions:
        if revision.all or revision.accepted:
            yield from _revision_lines(revision)
            yield ""
    for remark in result.remarks:
        yield from fitting(sentence(remark), "  ")
    yield from fitting(result.summary(), "  ")


def _revision_lines(revision: ReviewedRevision) -> Iterator[str]:
    yield from fitting(f"{revision.revision}  {revision.message}".rstrip() + f"  (seen {_rung(revision)})", "  ")
    for finding in revision.findings:
        yield ""
        yield from _finding_lines(revision, finding)
    if revision.notes or revision.accepted:
        yield ""
    for note in revision.notes:
        yield from fitting(f"  {_place(revision, note)}: note: {note.rule}: {sentence(note.why)}", "    ")
    for accepted in revision.accepted:
        reason = f": {accepted.reason}" if accepted.reason else ""
        what = f"accepted: {accepted.finding.rule}, by {ACCEPTED_BY[accepted.by]}{reason}"
        yield from fitting(f"  {_place(revision, accepted.finding)}: {what}", "    ")


ACCEPTED_BY = {"comment": "a comment", "assured": "assured()", "baseline": "the baseline"}


def _rung(revision: ReviewedRevision) -> str:
    rungs = {
        "offline": "offline",
        "live": "on the live database",
        "scratch": "on a scratch copy",
        "unseen": "by nobody",
    }
    return rungs.get(revision.seen, revision.seen)


def _place(revision: ReviewedRevision, finding: Finding) -> str:
    place = place_of(revision, finding)
    return f"{shown_path(place.file)}:{place.line}"


def _finding_lines(revision: ReviewedRevision, finding: Finding) -> Iterator[str]:
    yield from fitting(f"  {_place(revision, finding)}: {finding.verdict}: {finding.rule}", "    ")
    if finding.statement:
        yield from fitting(f"    {finding.statement}", "      ")
    yield from _row("Locks", lock_of(finding))
    yield from _row("Does", work_of(finding))
    if finding.verdict == UNSAFE:
        yield from _row("Why", sentence(finding.why))
        for place, code in instead_of(finding):
            yield f"    {place}"
            yield from (f"{CODE * 2}{line}" for line in code.splitlines())
        yield from _row("Advice", finding.advice and sentence(finding.advice))
        yield from _row("See", page_of(finding.rule))


def _row(name: str, value: str) -> Iterator[str]:
    return fitting(f"    {name:<8}{value}", HANG) if value else iter(())


# The command ----------------------------------------------------------------------------------------------------


def _version(text: str) -> str:
    if not text.replace(".", "", 2).isdigit():
        raise ArgumentTypeError(f"{text!r} is no version of a server: give it as 15 or 10.11")
    return text


def _rows(text: str) -> int:
    if not text.isdigit():
        raise ArgumentTypeError(f"{text!r} is no number of rows: give 0 or more")
    return int(text)


REVIEW = Command(
    "review",
    _review,
    help="judge revisions: what they lock, for how long, what to write instead",
    description="Runs upgrade() of the revisions so that nothing is changed, and judges each statement: the locks that it "
    "takes and the transaction holds, and the work that is done under them. Without a database it records what they "
    "would send; with --url it also reads the live one; on a scratch copy it runs them, and asks the server. A comment "
    "on a statement accepts what is found there: # safeops: allow RULE -- why",
    exit_statuses="0 fine, 1 unsafe, 2 something could not be seen, 4 raised",
    example="safeops review --since origin/main --format github",
    arguments=(
        Argument(
            "what",
            metavar="REV | FILE",
            nargs="*",
            help="a revision, a range as a:b, or files (default: what is pending on the project's database; if that cannot "
            "be reached, what the merge base with the main branch lacks)",
        ),
        Argument("--since", metavar="GITREF | REV", help="what has been added since a git ref, or follows a revision"),
        Argument("--all", action="store_true", help="all revisions, each on its own"),
        Argument("--url", metavar="URL", help="the live database, which is only read: sizes, what there is"),
        Argument("--scratch-url", metavar="URL", help="an empty database to run the revisions on"),
        Argument(
            "--scratch", action="store_true", help="run them on an empty database, made on the project's own server"
        ),
        Argument(
            "--server-version", metavar="VERSION", type=_version, help="if no server is asked (default: the newest)"
        ),
        Argument(
            "--small-table",
            metavar="ROWS",
            type=_rows,
            default=Settings.small_table,
            help=f"tables with fewer rows may be locked for as long as it takes (default: {Settings.small_table})",
        ),
        Argument(
            "--stats", metavar="FILE", help="the tables' numbers of rows (default: stats.json beside alembic.ini)"
        ),
        Argument("--write-stats", action="store_true", help="write that file, from the database at --url"),
        Argument("--fix", action="store_true", help="write the safe calls into the files, where they are equal"),
        Argument("--baseline", metavar="FILE", help="accept the findings in this file"),
        Argument("--write-baseline", action="store_true", help="write that file: accept all that is found now"),
    ),
    lines_of=review_lines,
    formats=FORMATS,
)
