"""``safeops upgrade`` runs revisions, ``safeops rollback`` their downgrades; ``safeops stamp`` only notes a revision."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator
from contextlib import suppress
from functools import partial

from safeops.cli.command import (
    BACKUP_FIRST,
    SCRATCH,
    WAITING,
    Argument,
    Command,
    config_of,
    fitting,
    seconds,
    show,
    show_revision,
    show_warning,
)
from safeops.cli.project import plan_lines
from safeops.errors import NotReady
from safeops.planned import size_text
from safeops.runner import backup, restore
from safeops.runner.backups import Backup, reporting
from safeops.runner.health_check import PATIENCE
from safeops.runner.planning import Plan, plan
from safeops.runner.restoring import Restored
from safeops.runner.revisions import listed
from safeops.runner.stamping import Stamped, stamp
from safeops.runner.upgrades import Upgraded, rollback, upgrade


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
        progress=partial(show_revision, out=options.out),
        warn=show_warning,
    )


def _lines_of(result: Upgraded | Plan) -> Iterator[str]:
    if isinstance(result, Plan):
        yield from plan_lines(result)
        return
    if result.declined:
        yield from fitting(f"Left as it is: the database is at {listed(result.current)}.")
        return
    if not result.revisions and not result.stopped:
        yield from fitting(f"Nothing to do: the database is at {listed(result.current)}.")
        return
    if result.backup is not None:
        yield from fitting(f"Backup: {result.backup}")
    took = sum(applied.seconds for applied in result.revisions)
    ran = f"{len(result.revisions)} revision{'' if len(result.revisions) == 1 else 's'} in {took:.1f} s"
    stopped = f"Stopped by {result.stopped} before the next revision. " if result.stopped else ""
    yield from fitting(f"{stopped}{ran}: from {listed(result.before)} to {listed(result.current)}.")
    if result.stopped:
        yield "Running it again goes on."


UPGRADE = Command(
    "upgrade",
    _upgrade,
    help="run the pending revisions, one runner at a time",
    description="Looks what may be in the way, waits for another runner, and runs the pending revisions. Stopped by "
    "Ctrl-C or SIGTERM it ends before the next revision, and a backfill after its batch; running it again "
    "goes on.",
    exit_statuses="0 done or up to date, 3 gave up (another runner, a lock, the checklist, a signal), 4 raised",
    example="safeops upgrade --backup --health-check http://localhost:8000/health",
    arguments=(
        Argument("revision", metavar="REV", nargs="?", default="head", help="where to (default: head)"),
        *BACKUP_FIRST,
        *WAITING,
        Argument(
            "--health-check", metavar="URL_OR_COMMAND", help="what must answer with 2xx, or exit with 0, afterwards"
        ),
        Argument(
            "--health-patience",
            metavar="SECONDS",
            type=seconds,
            default=PATIENCE,
            help=f"how long that may take (default: {PATIENCE:g})",
        ),
        Argument(
            "--rollback-on-failure", action="store_true", help="if it does not, run the downgrades of what was run"
        ),
        Argument("--dry-run", action="store_true", help="only tell what it would do: safeops plan"),
    ),
    lines_of=_lines_of,
)


# Rolling back ---------------------------------------------------------------------------------------------------


def _rollback(options: Namespace) -> Upgraded:
    def confirm(result: Plan) -> bool:
        show("\n".join(_losses(result)), options.out)
        return options.yes or _confirmed(options.revision)

    return rollback(
        config_of(options),
        options.revision,
        confirm=confirm,
        backup=options.backup,
        wait=options.wait,
        progress=partial(show_revision, out=options.out),
    )


def _confirmed(revision: str) -> bool:
    if not sys.stdin.isatty():
        raise NotReady(
            "Nobody can be asked whether to go back: this is no terminal.",
            why="A downgrade may lose data.",
            remedy="Where what is shown above may go:",
            code=f"safeops rollback {revision} --yes",
        )
    print("Go back? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def _losses(result: Plan) -> Iterator[str]:
    """Write which revisions a rollback takes back, and what it loses."""
    yield "This takes back:"
    for revision in result.revisions:
        yield from fitting(f"  {revision.revision}  {revision.message}".rstrip())
    steps = [step for revision in result.revisions for step in revision.steps]
    unknown = [step for step in steps if step.action == "unknown" and not step.loses]
    yield "and loses:" if result.losses else "and loses nothing that can be foreseen."
    for step in result.losses:
        # A step that would be refused does not name its target itself.
        about = f"{step.helper} {step.target}: " if step.action == "unknown" and step.target else ""
        yield from fitting(f"  {about}{step.detail}")
    if unknown:
        yield "What nobody can foresee:"
    for step in unknown:
        yield from fitting(f"  {step.helper}: {step.detail}")


ROLLBACK = Command(
    "rollback",
    _rollback,
    help="take revisions back, after showing what that loses",
    description="Shows what the downgrades would lose, asks, and runs them.",
    exit_statuses="0 done, 3 not done (another runner, nobody to ask, the answer no, no one way back), 4 raised",
    example="safeops rollback -1 --backup",
    arguments=(
        Argument("revision", metavar="-N | REV", nargs="?", default="-1", help="where to (default: -1)"),
        Argument("--yes", action="store_true", help="do not ask"),
        *BACKUP_FIRST,
        *WAITING,
    ),
    lines_of=_lines_of,
)


# Stamping -------------------------------------------------------------------------------------------------------


def _stamp(options: Namespace) -> Stamped:
    config, url = config_of(options), options.scratch_url
    return stamp(config, options.revision, verify=options.verify, scratch_url=url, wait=options.wait)


def _stamp_lines(result: Stamped) -> Iterator[str]:
    if not result.differences:
        yield from fitting(f"The database is stamped: {listed(result.current)}.")
        return
    yield from fitting("Not stamped: the schema is not what the revisions would have made. This would bring it there:")
    for line in result.differences:
        yield from fitting(f"    {line}")


STAMP = Command(
    "stamp",
    _stamp,
    help="note at which revision the database is, if it is",
    description="With --verify the revisions are run on a scratch database, which is dropped again, and the database is "
    "stamped only where its schema is the same.",
    exit_statuses="0 stamped, 1 the schema differs, 3 gave up, 4 raised",
    example="safeops stamp head --verify",
    arguments=(
        Argument("revision", metavar="REV", help="the revision, or heads"),
        Argument("--verify", action="store_true", help="look first whether the schema is that of REV"),
        SCRATCH,
        *WAITING,
    ),
    lines_of=_stamp_lines,
)


def _backup(options: Namespace) -> Backup:
    progress = reporting(lambda line: None if options.json else print(line, file=sys.stderr))
    return backup(config_of(options), options.to, options.keep, counts=options.counts, progress=progress)


def _backup_lines(result: Backup) -> Iterator[str]:
    yield str(result.path)
    yield from fitting(f"{size_text(result.bytes)} of {result.server} at {result.revision}, {result.seconds:.1f} s")
    if result.rows is not None:
        yield f"{sum(result.rows.values()):,} rows counted"
    for doubt in result.doubts:
        yield from fitting(f"Beware: {doubt}")


def _number(text: str) -> int:
    """Read how many backups to keep: at least one."""
    with suppress(ValueError):
        if (number := int(text)) > 0:
            return number
    raise ArgumentTypeError(f"{text!r} is no number of backups: give 1 or more")


BACKUP = Command(
    "backup",
    _backup,
    help="write the whole database to a file",
    description="Writes the whole database to a file that is checked before it gets its name, with a checksum beside it. "
    "The application goes on meanwhile.",
    example="safeops backup --to /var/backups/app --keep 7",
    arguments=(
        Argument("--to", metavar="DIR", help="where to (default: backups/ beside alembic.ini)"),
        Argument("--keep", metavar="N", type=_number, help="remove all but the newest N of this database"),
        Argument("--counts", action="store_true", help="count the rows in it, for restore to compare"),
    ),
    lines_of=_backup_lines,
)


def _restore(options: Namespace) -> Restored:
    url = input().strip() if options.into == "-" else options.into
    return restore(options.file, url, owners=options.owners)


def _restore_lines(result: Restored) -> Iterator[str]:
    rows = "" if result.rows is None else f"; {sum(result.rows.values()):,} rows as in the backup"
    at = result.revision or "an unknown revision"
    yield from fitting(f"Restored into {result.database}, {result.server}, at {at}{rows}")


RESTORE = Command(
    "restore",
    _restore,
    help="fill an empty database from a backup",
    description="Fills an empty database from a backup, after comparing its checksum. A password in URL can be seen in "
    "the list of processes: write - instead of URL, and give it on standard input.",
    example="safeops restore backups/app-20270131T120000Z-4f2a.dump --into - < url",
    arguments=(
        Argument("file", metavar="FILE", help="the backup"),
        Argument("--into", metavar="URL", required=True, help="the empty database, or - to read its URL"),
        Argument("--owners", action="store_true", help="restore owners and grants too: the roles must exist"),
    ),
    lines_of=_restore_lines,
)
