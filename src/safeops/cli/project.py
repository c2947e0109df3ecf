"""The commands that set up a project, and those that show, merge and check its revisions before a deploy."""

from __future__ import annotations

import os
from argparse import Namespace
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safeops.authoring.project import find_project
from safeops.cli.command import SCRATCH, Argument, Command, config_of
from safeops.cli.console import ATTENTION, FAILURE, PENDING, Line, fitting, row, shown_path
from safeops.cli.parser import UsageError
from safeops.planned import size_text
from safeops.runner.revision_run import DONE, Result
from safeops.runner.revision_run import PENDING as IS_PENDING
from safeops.runner.revisions import MERGE, Pending, heads_of, merge, scripts_of, stay_apart

# A command imports its tools when it runs: they take longer than many a command.
if TYPE_CHECKING:
    from safeops.review.checking import CheckedAndReviewed
    from safeops.runner.checks import Checked, Finding
    from safeops.runner.status_report import Attention, Status


def _init(options: Namespace) -> int:
    from safeops.authoring.init import init

    project = find_project(options.config, options.name, options.directory, options.x)
    return 0 if init(project, force=options.force, say=print) else 1


def _guide(options: Namespace) -> int:
    from safeops.authoring.init import guide

    print(guide(find_project(options.config, options.name)), end="")
    return 0


INIT = Command(
    "init",
    _init,
    help="set up a project: env.py, the template of revisions, the guide",
    description="Sets up a new Alembic project, or adds the template of revisions and the guide to an existing one. An "
    "existing env.py is never changed: the command shows the lines to change.",
    example="python -m safeops init migrations",
    exit_statuses="0 set up, 1 a changed file was kept and its difference shown, 4 failed",
    arguments=(
        Argument(
            "directory",
            metavar="DIRECTORY",
            nargs="?",
            help='the folder of the migrations (default: that of the configuration, else "migrations")',
        ),
        Argument("--force", action="store_true", help="replace script.py.mako and MIGRATIONS.md even if changed"),
    ),
)
GUIDE = Command(
    "guide",
    _guide,
    help="print the guide to migrations for this project",
    description="Prints the guide to migrations, written for the project in this folder.",
    example="python -m safeops guide > GUIDE.md",
)


# Revisions ------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Heads(Result):
    """The heads, and the revision that merges them."""

    heads: tuple[Pending, ...]
    merged: Path | None
    apart: bool
    merging: bool

    @property
    def exit_status(self) -> int:
        return IS_PENDING if len(self.heads) > 1 and not self.apart else DONE

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in super().as_json().items() if name != "merging"}


def _heads(options: Namespace) -> Heads:
    config = config_of(options)
    merged = merge(config, options.message) if options.merge else None
    script = scripts_of(config)
    return Heads(tuple(heads_of(script)), merged, stay_apart(script), options.merge)


def _heads_lines(result: Heads) -> Iterator[str]:
    if not result.heads:
        yield "There are no revisions yet."
    elif result.merging and result.merged is None:
        yield "There is one head: nothing to merge."
    if result.merged is not None:
        yield from fitting(f"Wrote {shown_path(str(result.merged))}. Review and commit it.")
    for head in result.heads:
        yield from fitting(f"{head.revision}  {head.message}".rstrip())
    if result.apart:
        yield "Each head has its own branch label: the branches stay separate."
    elif len(result.heads) > 1:
        yield from fitting(f"There should be one head. {MERGE}", colour=ATTENTION)


HEADS = Command(
    "heads",
    _heads,
    help="show the newest revisions, and merge several",
    description="Shows the newest revisions. There should be one, unless each has its own branch label. With --merge, it "
    "writes a revision that merges them. It does not connect to a database.",
    exit_statuses="0 one head, 1 several heads, 4 failed",
    example='safeops heads --merge -m "merge the two features"',
    arguments=(
        Argument("--merge", action="store_true", help="write the revision that merges them"),
        Argument(
            "-m", "--message", metavar="TEXT", help="the message of that revision (default: which ones it merges)"
        ),
    ),
    lines_of=_heads_lines,
)


# Check ----------------------------------------------------------------------------------------------------------


def _check(options: Namespace) -> CheckedAndReviewed:
    from safeops.review.checking import check_and_review, check_only

    if options.write_baseline and options.baseline is None:
        raise UsageError(
            "--write-baseline needs --baseline, the file to write.",
            remedy="Example:",
            code="safeops check --baseline check-baseline.json --write-baseline",
        )
    run = check_only if options.no_review else check_and_review
    return run(
        config_of(options),
        scratch_url=options.scratch_url,
        since=options.since,
        ignore=options.ignore,
        baseline=options.baseline,
        write_baseline=options.write_baseline,
    )


def check_lines(result: CheckedAndReviewed) -> Iterator[str]:
    """Write the verdict of a check for people: a line for each kind of check, and what is wrong."""
    from safeops.runner.checks import ERROR

    checked = result.checked
    yield from _verdicts(checked)
    for finding in checked.findings:
        place = f"{shown_path(finding.file)}:{finding.line}: " if finding.file else ""
        colour = FAILURE if finding.level == ERROR else ""
        first, _, rest = finding.message.partition("\n")
        yield from fitting(f"{place}{finding.level}: {first}", colour=colour)
        yield from fitting(rest)
        if os.environ.get("GITHUB_ACTIONS"):
            yield _annotation(finding)
    errors = sum(finding.level == ERROR for finding in checked.findings)
    outcome = f"{errors} error{'' if errors == 1 else 's'}" if errors else "no errors"
    accepted = f", {checked.accepted} accepted" if checked.accepted else ""
    yield f"{checked.revisions} revision{'' if checked.revisions == 1 else 's'}: {outcome}{accepted}"
    yield from _reviewed_lines(result)


def _verdicts(checked: Checked) -> Iterator[str]:
    from safeops.runner.checks import ERROR

    found = Counter((finding.kind, finding.level) for finding in checked.findings)
    for kind in checked.checks:
        counts = {level: number for (of, level), number in found.items() if of == kind}
        outcome = ", ".join(f"{number} {level}{'' if number == 1 else 's'}" for level, number in counts.items())
        yield from row(kind, outcome or "ok", COLUMN_OF_KINDS, colour=FAILURE if ERROR in counts else "")


COLUMN_OF_KINDS = 11


def _reviewed_lines(result: CheckedAndReviewed) -> Iterator[str]:
    from safeops.cli.review_lines import review_lines
    from safeops.review.reports.github import commands

    if result.not_reviewed:
        yield from fitting(f"Not reviewed: {result.not_reviewed}", "  ", ATTENTION)
    if result.reviewed is not None and result.reviewed.revisions:
        yield ""
        yield from review_lines(result.reviewed)
        if os.environ.get("GITHUB_ACTIONS"):
            yield from commands(result.reviewed)


def _annotation(finding: Finding) -> str:
    """Write a finding as a command of GitHub's runners, which show it at its line."""
    from safeops.review.reports.github import command
    from safeops.review.reviewed import path_in_repository
    from safeops.runner.checks import ERROR

    file = path_in_repository(finding.file) if finding.file else None
    level = "error" if finding.level == ERROR else "notice"
    return command(level, finding.message, title="safeops check", file=file, line=finding.line)


CHECK = Command(
    "check",
    _check,
    help="run the checks of continuous integration on the revisions",
    description="Checks that there is one head, that every revision has a downgrade, that up, down and up again succeeds "
    "on a scratch database, that the models match, and that --sql can render each revision. It also reviews the new "
    "revisions. On GitHub, each finding is shown at its line.\n\nA comment in a file accepts what is found in it:\n"
    "    # safeops: allow KIND -- why",
    exit_statuses="0 no errors, 1 errors, 2 something could not be reviewed, 3 gave up, 4 failed",
    example="safeops check --scratch-url postgresql+psycopg://ci@localhost/scratch",
    arguments=(
        SCRATCH,
        Argument("--since", metavar="REV", help="of REV and the revisions before it, require only that they run"),
        Argument("--no-review", action="store_true", help="do not review the new revisions"),
        Argument("--baseline", metavar="FILE", help="accept the findings in this file"),
        Argument("--write-baseline", action="store_true", help="write that file: accept all current findings"),
        Argument(
            "--ignore",
            metavar="KIND[:REV]",
            action="append",
            default=[],
            help="accept a kind of finding, or one finding: downgrade, downgrade:ae1027",
        ),
        Argument("-v", "--verbose", action="store_true", help="also show the log of the runs on the scratch database"),
    ),
    lines_of=check_lines,
)


# Status ---------------------------------------------------------------------------------------------------------


COLUMN = 16


def _status(options: Namespace) -> Status:
    from safeops.runner.status_report import status

    return status(config_of(options))


def status_lines(result: Status) -> Iterator[str]:
    """Write a status for people."""
    from safeops.runner.status_report import NORMAL, UNKNOWN_REVISION

    place = f"{result.database} on {result.host}" if result.host else result.database
    size = "" if result.size_bytes is None else f", {size_text(result.size_bytes)}"
    yield from row("Database", f"{place}{size}", COLUMN)
    yield from row("Server", result.server, COLUMN)
    yield from row("Revision", ", ".join(result.current) or "none yet", COLUMN)
    yield from row("Heads", ", ".join(result.heads) or "none yet", COLUMN)
    yield from row("Migration lock", f"held by {result.lock_holder}" if result.lock_holder else "free", COLUMN)
    unknown = any(item.kind == UNKNOWN_REVISION for item in result.attention)
    number, colour = len(result.pending), PENDING if result.pending else ""
    yield from row("Pending", str(number or ("unknown" if unknown else "none")), COLUMN, colour=colour)
    for pending in result.pending:
        yield from row(pending.revision, pending.message or " ", len(pending.revision) + 2, "  ", colour)
    yield from _section("Needs attention", [item for item in result.attention if item.kind not in NORMAL], ATTENTION)
    yield from _section("In progress", [item for item in result.attention if item.kind in NORMAL])


def _section(title: str, items: list[Attention], colour: str = "") -> Iterator[str]:
    if items:
        yield ""
        yield Line(title, colour)
    for item in items:
        yield from fitting(f"  {item.kind}: {item.name}", "    ", colour)
        yield from fitting(f"    {item.advice}", "    ")


STATUS = Command(
    "status",
    _status,
    help="show the current state of the database, and what is pending",
    description="Shows the database, its revision, the pending revisions, who holds the migration lock, what is in progress "
    "and what needs attention. It only reads, and waits for no lock.",
    exit_statuses="0 up to date, 1 pending, 2 needs attention, 4 failed",
    example="safeops status --json",
    lines_of=status_lines,
)
