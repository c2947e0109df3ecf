"""``safeops upgrade``: the checklist, the lock, a backup, the revisions, the health check."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from safeops.cli import plan
from safeops.cli.configuration import config_of
from safeops.cli.outcome import fitting, revisions, show_progress, show_warning, told
from safeops.cli.parsing import add_backup, add_json, add_verb, add_wait, seconds
from safeops.runner.health_check import PATIENCE
from safeops.runner.upgrades import Upgraded, upgrade


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="run the pending revisions, one runner at a time",
        description="Looks what may be in the way, waits for another runner, and runs the pending\n"
        "revisions. Stopped by Ctrl-C or SIGTERM it ends before the next revision, and a\n"
        "backfill after its batch; running it again goes on.\n\n"
        "Exit status: 0 done or up to date, 3 gave up (another runner, a lock, the\n"
        "checklist, a signal), 4 raised.",
        example="safeops upgrade --backup --health-check http://localhost:8000/health",
    )
    parser.add_argument("revision", metavar="REV", nargs="?", default="head", help="where to (default: head)")
    add_backup(parser)
    add_wait(parser)
    said = "what must answer with 2xx, or exit with 0, afterwards"
    parser.add_argument("--health-check", metavar="URL_OR_COMMAND", help=said)
    patience = f"how long that may take (default: {PATIENCE:g})"
    parser.add_argument("--health-patience", metavar="SECONDS", type=seconds, default=PATIENCE, help=patience)
    back = "if it does not, run the downgrades of what was run"
    parser.add_argument("--rollback-on-failure", action="store_true", help=back)
    parser.add_argument("--dry-run", action="store_true", help="only tell what it would do: safeops plan")
    add_json(parser)


def run(options: Namespace) -> int:
    if options.dry_run:
        return plan.run(options)

    progress = show_progress(options)

    def do() -> Upgraded:
        return upgrade(
            config_of(options),
            options.revision,
            backup=options.backup,
            wait=options.wait,
            health_check=options.health_check,
            health_patience=options.health_patience,
            rollback_on_failure=options.rollback_on_failure,
            progress=progress,
            warn=show_warning,
        )

    return told(options, do, lines_of)


def lines_of(done: Upgraded) -> Iterator[str]:
    if done.declined:
        yield from fitting(f"Left as it is: the database is at {revisions(done.current)}.")
        return
    if not done.revisions and not done.stopped:
        yield from fitting(f"Nothing to do: the database is at {revisions(done.current)}.")
        return
    if done.backup is not None:
        yield from fitting(f"Backup: {done.backup}")
    took = sum(one.seconds for one in done.revisions)
    ran = f"{len(done.revisions)} revision{'' if len(done.revisions) == 1 else 's'} in {took:.1f} s"
    stopped = f"Stopped by {done.stopped} before the next revision. " if done.stopped else ""
    yield from fitting(f"{stopped}{ran}: from {revisions(done.before)} to {revisions(done.current)}.")
    if done.stopped:
        yield "Running it again goes on."
