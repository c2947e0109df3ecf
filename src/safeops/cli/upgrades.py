"""The commands that change a database, or what it is recorded to be at: upgrade, rollback, stamp, backup, restore."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import suppress
from functools import partial
from typing import TYPE_CHECKING, TextIO

from safeops.cli.command import BACKUP_FIRST, SCRATCH, WAITING, Argument, Command, config_of, seconds
from safeops.cli.console import ATTENTION, FAILURE, Line, fitting, show, show_warning, width
from safeops.cli.plan import plan_lines
from safeops.errors import NotReady
from safeops.planned import UNKNOWN, PlannedCall, size_text
from safeops.runner.environment import shorten
from safeops.runner.health_check import PATIENCE
from safeops.runner.planning import Plan, plan
from safeops.runner.revision_run import Applied, command_line
from safeops.runner.revisions import listed
from safeops.runner.upgrades import Upgraded, rollback, upgrade

if TYPE_CHECKING:
    from safeops.runner.backups import Backup
    from safeops.runner.restoring import Restored
    from safeops.runner.stamping import Stamped


def _upgrade(options: Namespace) -> Upgraded | Plan:
    if options.dry_run:
        return plan(config_of(options), options.revision)
    return upgrade(
        config_of(options),
        options.revision,
        backup=options.backup,
        wait=options.wait,
        health_check=options.health_check,
        health_patience=options.health_patience,
        rollback_on_failure=options.rollback_on_failure,
        progress=partial(_show_revision, out=options.out),
        warn=show_warning,
    )


def _show_revision(applied: Applied, out: TextIO) -> None:
    """Print a revision that was run."""
    seconds = f"{applied.seconds:.1f} s"
    room = width() - len(applied.revision) - len(seconds) - 6
    show([f"  {applied.revision}  {shorten(applied.message, room):<{room}}  {seconds}"], out)


def _lines_of(result: Upgraded | Plan) -> Iterator[str]:
    if isinstance(result, Plan):
        yield from plan_lines(result)
        return
    if result.declined:
        yield from fitting(
            f"Cancelled. Nothing was changed: the database is at {listed(result.current)}.", colour=ATTENTION
        )
        return
    if not result.revisions and not result.stopped:
        yield from fitting(f"Nothing to do: the database is at {listed(result.current)}.")
        return
    if result.backup is not None:
        yield from fitting(f"Backup: {result.backup}")
    took = sum(applied.seconds for applied in result.revisions)
    ran = f"{len(result.revisions)} revision{'' if len(result.revisions) == 1 else 's'} in {took:.1f} s"
    stopped = f"Stopped by {result.stopped} before the next revision. " if result.stopped else ""
    colour = ATTENTION if result.stopped else ""
    yield from fitting(f"{stopped}{ran}: from {listed(result.before)} to {listed(result.current)}.", colour=colour)
    if result.stopped:
        yield "Run the same command again to continue."


UPGRADE = Command(
    "upgrade",
    _upgrade,
    help="run the pending revisions, one runner at a time",
    description="Runs pre-flight checks, waits for other runners, and applies the pending revisions. Ctrl-C or SIGTERM "
    "stops it before the next revision, and a backfill after the current batch. Run the same command again to continue.",
    exit_statuses="0 done or up to date, 3 gave up (another runner, a lock, a pre-flight check, a signal), 4 failed",
    example="safeops upgrade --backup --health-check http://localhost:8000/health",
    arguments=(
        Argument("revision", metavar="REV", nargs="?", default="head", help="the target (default: head)"),
        *BACKUP_FIRST,
        *WAITING,
        Argument(
            "--health-check",
            metavar="URL_OR_COMMAND",
            help="after the upgrade, a URL that must answer with 2xx, or a command that must exit with 0",
        ),
        Argument(
            "--health-patience",
            metavar="SECONDS",
            type=seconds,
            default=PATIENCE,
            help=f"how long the health check may take to succeed (default: {PATIENCE:g})",
        ),
        Argument(
            "--rollback-on-failure",
            action="store_true",
            help="if the health check fails, run the downgrades of the revisions that were run",
        ),
        Argument("--dry-run", action="store_true", help="only show what it would do, as safeops plan does"),
    ),
    lines_of=_lines_of,
)


# Rolling back ---------------------------------------------------------------------------------------------------


def _rollback(options: Namespace) -> Upgraded:
    def confirm(result: Plan) -> bool:
        show(list(rollback_lines(result)), options.out)
        return options.yes or _confirmed(options)

    return rollback(
        config_of(options),
        options.revision,
        confirm=confirm,
        backup=options.backup,
        wait=options.wait,
        progress=partial(_show_revision, out=options.out),
    )


def _confirmed(options: Namespace) -> bool:
    if not sys.stdin.isatty():
        raise NotReady(
            "Cannot prompt for confirmation: stdin is not a terminal. Pass --yes to proceed.",
            why="A downgrade may lose data.",
            remedy="If the data that is shown above may be lost:",
            code=f"{command_line(config_of(options), 'rollback', options.revision)} --yes",
        )
    print("Roll back? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def rollback_lines(result: Plan) -> Iterator[str]:
    """Write which revisions a rollback reverts, and which data is lost."""
    yield "Will do:"
    for revision in result.revisions:
        yield from fitting(f"  downgrade {revision.revision}  {revision.message}".rstrip(), "    ")
        for number, step in enumerate(revision.steps, 1):
            yield from fitting(f"    {number}. {step.helper} {step.target or ''}".rstrip(), "       ")
    steps = [step for revision in result.revisions for step in revision.steps]
    yield ""
    if result.losses:
        yield Line("Data that will be lost:", FAILURE)
        for step in result.losses:
            yield from fitting(_loss(step), "    ", FAILURE)
    else:
        yield "Data that will be lost: none that can be predicted."
    if unknown := [step for step in steps if step.action == UNKNOWN and not step.loses]:
        yield ""
        yield Line("Cannot be predicted:", ATTENTION)
        for step in unknown:
            yield from fitting(f"  {step.helper}: {step.detail}", "    ", ATTENTION)
    yield ""


def _loss(step: PlannedCall) -> str:
    # A step that would be refused does not name its target itself.
    about = f"{step.helper} {step.target}: " if step.action == UNKNOWN and step.target else ""
    return f"  {about}{step.detail}"


ROLLBACK = Command(
    "rollback",
    _rollback,
    help="run downgrades, after showing which data is lost",
    description="Shows what the downgrades would do and which data would be lost, prompts for confirmation, and runs them.",
    exit_statuses="0 done, 3 not done (another runner, no confirmation, an ambiguous target), 4 failed",
    example="safeops rollback -1 --backup",
    arguments=(
        Argument("revision", metavar="-N | REV", nargs="?", default="-1", help="the target (default: -1)"),
        Argument("--yes", action="store_true", help="do not prompt for confirmation"),
        *BACKUP_FIRST,
        *WAITING,
    ),
    lines_of=_lines_of,
)


# Stamping -------------------------------------------------------------------------------------------------------


def _stamp(options: Namespace) -> Stamped:
    from safeops.runner.stamping import stamp

    config, url = config_of(options), options.scratch_url
    return stamp(config, options.revision, verify=options.verify, scratch_url=url, wait=options.wait)


def _stamp_lines(result: Stamped) -> Iterator[str]:
    if not result.differences:
        yield from fitting(f"The database is stamped: {listed(result.current)}.")
        return
    yield from fitting(
        "Not stamped: the schema differs from what the revisions create. These changes are missing:", colour=FAILURE
    )
    for line in result.differences:
        yield from fitting(f"    {line}")


STAMP = Command(
    "stamp",
    _stamp,
    help="record the revision of the database (--verify: if the schema matches)",
    description="Records the revision of the database, without running anything on it. With --verify, it runs the revisions "
    "on a scratch database, which is dropped afterwards, and stamps the database only if its schema is the same.",
    exit_statuses="0 stamped, 1 the schema differs, 3 gave up, 4 failed",
    example="safeops stamp head --verify",
    arguments=(
        Argument("revision", metavar="REV", help="the revision, or heads"),
        Argument("--verify", action="store_true", help="stamp only if the schema is that of REV"),
        SCRATCH,
        *WAITING,
    ),
    lines_of=_stamp_lines,
)


def _backup(options: Namespace) -> Backup:
    from safeops.runner.backups import backup, reporting

    progress = reporting(lambda line: None if options.json else print(line, file=sys.stderr))
    return backup(config_of(options), options.to, options.keep, counts=options.counts, progress=progress)


def _backup_lines(result: Backup) -> Iterator[str]:
    yield str(result.path)
    yield from fitting(f"{size_text(result.bytes)} of {result.server} at {result.revision}, {result.seconds:.1f} s")
    if result.rows is not None:
        yield f"{sum(result.rows.values()):,} rows counted"
    for doubt in result.doubts:
        yield from fitting(f"Warning: {doubt}", colour=ATTENTION)


def _number(text: str) -> int:
    """Read how many backups to keep: at least one."""
    with suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise ArgumentTypeError(f"{text!r} is not a number of backups: give 1 or more")


BACKUP = Command(
    "backup",
    _backup,
    help="write the whole database to a file",
    description="Writes the whole database to a file, which is verified before it gets its name, and a checksum next to it. "
    "Reads and writes of the application are not blocked.",
    exit_statuses="0 done, 4 failed",
    example="safeops backup --to /var/backups/app --keep 7",
    arguments=(
        Argument("--to", metavar="DIR", help="the folder (default: backups/ next to alembic.ini)"),
        Argument("--keep", metavar="N", type=_number, help="remove all but the newest N of this database"),
        Argument("--counts", action="store_true", help="count the rows, which a restore then compares"),
    ),
    lines_of=_backup_lines,
)


def _restore(options: Namespace) -> Restored:
    from safeops.runner.restoring import restore

    url = input().strip() if options.into == "-" else options.into
    return restore(options.file, url, owners=options.owners)


def _restore_lines(result: Restored) -> Iterator[str]:
    rows = "" if result.rows is None else f"; {sum(result.rows.values()):,} rows as in the backup"
    at = result.revision or "an unknown revision"
    yield from fitting(f"Restored into {result.database}, {result.server}, at {at}{rows}")


RESTORE = Command(
    "restore",
    _restore,
    help="restore a backup into an empty database",
    description="Restores a backup into an empty database, after it has verified the checksum. A password in URL is visible "
    "in the list of processes: to hide it, write - and pass the URL on standard input.",
    exit_statuses="0 done, 4 failed",
    example="safeops restore backups/app-20270131T120000Z-4f2a.dump --into - < url",
    arguments=(
        Argument("file", metavar="FILE", help="the backup"),
        Argument("--into", metavar="URL", required=True, help="an empty database; - reads the URL from standard input"),
        Argument("--owners", action="store_true", help="also restore owners and grants: the roles must exist"),
    ),
    lines_of=_restore_lines,
)
