"""``init`` and ``guide`` set a project up; ``heads`` and ``check`` show, merge and check its revisions before a deploy."""

from __future__ import annotations

import os
from argparse import Namespace
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safeops.authoring.init import guide, init
from safeops.authoring.project import find_project
from safeops.cli.command import SCRATCH, Argument, Command, config_of, fitting, shown_path
from safeops.cli.review import review_lines
from safeops.errors import InvalidArgument
from safeops.planned import RUN, SKIP, UNKNOWN, PlannedCall, size_text
from safeops.review.reports.github import command, commands
from safeops.review.reviewed import path_in_repository
from safeops.runner.checks import ERROR, Finding
from safeops.runner.planning import Plan, plan
from safeops.runner.revision_run import DONE, PENDING, Result
from safeops.runner.revisions import MERGE, Pending, heads, merge, scripts_of, stay_apart
from safeops.runner.status_report import NORMAL, UNKNOWN_REVISION, Attention, Status, status

if TYPE_CHECKING:
    from safeops.review.checking import CheckedAndReviewed


def _init(options: Namespace) -> int:
    project = find_project(options.config, options.name, options.directory, options.x)
    return 0 if init(project, force=options.force, say=print) else 1


def _guide(options: Namespace) -> int:
    print(guide(find_project(options.config, options.name)), end="")
    return 0


INIT = Command(
    "init",
    _init,
    help="write env.py, script.py.mako and the guide",
    description="Sets up a new Alembic project, or fits an existing one out with the template for revisions and the "
    "guide. Your env.py is never changed: the lines to change are shown.",
    example="python -m safeops init migrations",
    arguments=(
        Argument(
            "directory",
            metavar="DIRECTORY",
            nargs="?",
            help='where the migrations are, or go (default: as the configuration says, else "migrations")',
        ),
        Argument("--force", action="store_true", help="replace script.py.mako and MIGRATIONS.md though changed"),
    ),
)
GUIDE = Command(
    "guide",
    _guide,
    help="print the guide for this project",
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
        return PENDING if len(self.heads) > 1 and not self.apart else DONE

    def as_json(self) -> dict[str, Any]:
        return {name: value for name, value in super().as_json().items() if name != "merging"}


def _heads(options: Namespace) -> Heads:
    config = config_of(options)
    merged = merge(config, options.message) if options.merge else None
    return Heads(tuple(heads(config)), merged, stay_apart(scripts_of(config)), options.merge)


def _heads_lines(result: Heads) -> Iterator[str]:
    if not result.heads:
        yield "There are no revisions yet."
    elif result.merging and result.merged is None:
        yield "There is one head: nothing to merge."
    if result.merged is not None:
        yield from fitting(f"Wrote {shown_path(str(result.merged))}: look at it, and commit it.")
    for head in result.heads:
        yield from fitting(f"{head.revision}  {head.message}".rstrip())
    if result.apart:
        yield "Each has a branch label of its own: they stay apart."
    elif len(result.heads) > 1:
        yield from fitting(f"There should be one head. {MERGE}")


HEADS = Command(
    "heads",
    _heads,
    help="show the newest revisions; --merge brings several together",
    description="Shows the newest revisions. There should be one, unless each has a branch label of its own; with --merge "
    "several get a revision that merges them. No database is asked.",
    exit_statuses="0 one head, 1 several, 4 raised",
    example='safeops heads --merge -m "merge the two features"',
    arguments=(
        Argument("--merge", action="store_true", help="write the revision that merges them"),
        Argument("-m", "--message", help="its message (default: which ones it merges)"),
    ),
    lines_of=_heads_lines,
)


def _check(options: Namespace) -> CheckedAndReviewed:
    # The other commands need none of it.
    from safeops.review.checking import check_and_review, check_only

    if options.write_baseline and options.baseline is None:
        raise InvalidArgument(
            "There is no file to write the baseline to.",
            remedy="Say which:",
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


def _check_lines(result: CheckedAndReviewed) -> Iterator[str]:
    checked = result.checked
    for finding in checked.findings:
        place = f"{shown_path(finding.file)}:{finding.line}: " if finding.file else ""
        yield from fitting(f"{place}{finding.level}: {finding.message}")
        if os.environ.get("GITHUB_ACTIONS"):
            yield _annotation(finding)
    errors = sum(finding.level == ERROR for finding in checked.findings)
    outcome = f"{errors} error{'' if errors == 1 else 's'}" if errors else "all well"
    accepted = f", {checked.accepted} accepted" if checked.accepted else ""
    yield f"{checked.revisions} revision{'' if checked.revisions == 1 else 's'}: {outcome}{accepted}"
    yield from _reviewed_lines(result)


def _reviewed_lines(result: CheckedAndReviewed) -> Iterator[str]:
    if result.not_reviewed:
        yield from fitting(f"Not reviewed: {result.not_reviewed}", "  ")
    if result.reviewed is not None and result.reviewed.revisions:
        yield ""
        yield from review_lines(result.reviewed)
        if os.environ.get("GITHUB_ACTIONS"):
            yield from commands(result.reviewed)


def _annotation(finding: Finding) -> str:
    """Write a finding as a command of GitHub's runners, which show it at its line."""
    file = path_in_repository(finding.file) if finding.file else None
    level = "error" if finding.level == ERROR else "notice"
    return command(level, finding.message, title="safeops check", file=file, line=finding.line)


CHECK = Command(
    "check",
    _check,
    help="check the revisions: for continuous integration",
    description="Looks for one head, a way back from every revision, up, down and up again on a scratch database, models "
    "that agree, and SQL that can be rendered; and reviews what is new. On GitHub what it finds is shown at its line. A "
    "comment in a file accepts what is found in it: # safeops: allow KIND -- why",
    exit_statuses="0 all well, 1 found wanting, 2 something could not be seen, 3 gave up, 4 raised",
    example="safeops check --scratch-url postgresql+psycopg://ci@localhost/scratch",
    arguments=(
        SCRATCH,
        Argument("--since", metavar="REV", help="of REV and what is before it, ask only that it loads and runs"),
        Argument("--no-review", action="store_true", help="do not review what is new, as safeops review does"),
        Argument("--baseline", metavar="FILE", help="accept the findings in this file"),
        Argument("--write-baseline", action="store_true", help="write that file: accept all that is found now"),
        Argument(
            "--ignore",
            metavar="KIND[:REV]",
            action="append",
            default=[],
            help="accept a kind of finding, or one: downgrade, downgrade:ae1027",
        ),
    ),
    lines_of=_check_lines,
)


def status_lines(result: Status) -> Iterator[str]:
    """Write a status for people."""
    place = f"{result.database} on {result.host}" if result.host else result.database
    size = "" if result.size_bytes is None else f", {size_text(result.size_bytes)}"
    yield from _row("Database", f"{place}{size}")
    yield from _row("Server", result.server)
    yield from _row("Revision", ", ".join(result.current) or "none yet")
    yield from _row("Heads", ", ".join(result.heads) or "none yet")
    yield from _row("Runner", result.lock_holder or "nobody is migrating")
    unknown = any(item.kind == UNKNOWN_REVISION for item in result.attention)
    yield from _row("Pending", str(len(result.pending) or ("unknown" if unknown else "none")))
    for pending in result.pending:
        yield from fitting(f"  {pending.revision}  {pending.message}", " " * (len(pending.revision) + 4))
    yield from _section("Attention", [item for item in result.attention if item.kind not in NORMAL])
    yield from _section("Open", [item for item in result.attention if item.kind in NORMAL])


def _section(title: str, items: list[Attention]) -> Iterator[str]:
    if items:
        yield ""
        yield title
    for item in items:
        yield from fitting(f"  {item.kind}: {item.name}", "    ")
        yield from fitting(f"    {item.advice}", "    ")


def _row(name: str, value: str) -> Iterator[str]:
    return fitting(f"{name:<10}{value}", " " * 10)


STATUS = Command(
    "status",
    lambda options: status(config_of(options)),
    help="show what stands, what is pending, what needs attention",
    description="Shows the database, its revision, what is pending and what needs attention. It only looks, and waits for "
    "nobody.",
    exit_statuses="0 up to date, 1 pending, 2 needs attention, 4 raised",
    example="safeops status --json",
    lines_of=status_lines,
)


# Plan -----------------------------------------------------------------------------------------------------------


SIGNS = {SKIP: "skip", RUN: "run", UNKNOWN: "?"}


def plan_lines(result: Plan) -> Iterator[str]:
    """Write a plan for people."""
    if not result.revisions:
        yield "Nothing is pending."
    for number, revision in enumerate(result.revisions):
        if number:
            yield ""
        yield from fitting(f"{revision.revision}  {revision.message}".rstrip(), "  ")
        if not revision.steps:
            yield "  It calls nothing."
        for step in revision.steps:
            yield from _step_lines(step)


def _step_lines(step: PlannedCall) -> Iterator[str]:
    yield from fitting(f"  {SIGNS[step.action]:<6}{step.helper} {step.target or ''}".rstrip(), " " * 8)
    yield from fitting(f"{' ' * 8}{step.detail}", " " * 8)
    if step.locks is not None:
        yield from fitting(f"{' ' * 8}locks {step.locks}; blocks {step.blocks}", " " * 8)


PLAN = Command(
    "plan",
    lambda options: plan(config_of(options), options.revision),
    help="show what the pending revisions would do, and do nothing",
    description="Runs the pending revisions so that they only look, and shows for each helper what is there already and "
    "what it would do, lock and hold up. SQL that nobody can foresee is shown and not sent.",
    exit_statuses="0 nothing pending, 1 pending, 3 several heads, or a revision in the database that no file has, 4 raised",
    example="safeops plan +1",
    arguments=(Argument("revision", metavar="REV", nargs="?", default="heads", help="where to (default: heads)"),),
    lines_of=plan_lines,
)
