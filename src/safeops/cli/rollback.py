"""``safeops rollback``: show what going back loses, ask, and go back."""

from __future__ import annotations

import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from safeops.cli import upgrade as upgrade_verb
from safeops.cli.configuration import config_of
from safeops.cli.outcome import fitting, show_progress, told
from safeops.cli.parsing import add_backup, add_json, add_verb, add_wait
from safeops.cli.shown import show
from safeops.errors import NotReady
from safeops.runner.planning import Plan
from safeops.runner.upgrades import Upgraded, rollback


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="take revisions back, after showing what that loses",
        description="Shows what the downgrades would lose, asks, and runs them.\n\n"
        "Exit status: 0 done, 3 not done (another runner, nobody to ask, the answer no,\n"
        "no one way back), 4 raised.",
        example="safeops rollback -1 --backup",
    )
    parser.add_argument("revision", metavar="-N | REV", nargs="?", default="-1", help="where to (default: -1)")
    parser.add_argument("--yes", action="store_true", help="do not ask")
    add_backup(parser)
    add_wait(parser)
    add_json(parser)


def run(options: Namespace) -> int:
    # What is asked goes to whoever sits there, also where the answer is JSON.
    out = sys.stderr if options.json else sys.stdout

    def confirm(found: Plan) -> bool:
        show("\n".join(losses_of(found)), out)
        return options.yes or _asked(options.revision)

    progress = show_progress(options)

    def do() -> Upgraded:
        return rollback(
            config_of(options),
            options.revision,
            confirm=confirm,
            backup=options.backup,
            wait=options.wait,
            progress=progress,
        )

    return told(options, do, upgrade_verb.lines_of)


def _asked(revision: str) -> bool:
    if not sys.stdin.isatty():
        raise NotReady(
            "Nobody can be asked whether to go back: this is no terminal.",
            why="A downgrade may lose data.",
            remedy="Where what is shown above may go:",
            code=f"safeops rollback {revision} --yes",
        )
    print("Go back? [y/N] ", end="", file=sys.stderr, flush=True)
    return sys.stdin.readline().strip().lower() in ("y", "yes")


def losses_of(found: Plan) -> Iterator[str]:
    """Write what a way back takes back and loses, for people."""
    yield "This takes back:"
    for one in found.revisions:
        yield from fitting(f"  {one.revision}  {one.message}".rstrip())
    unknown = [step for one in found.revisions for step in one.steps if step.action == "unknown" and not step.loses]
    yield "and loses:" if found.losses else "and loses nothing that can be foreseen."
    for step in found.losses:
        # What would be refused as things stand says of itself not what it is about.
        about = f"{step.helper} {step.target}: " if step.action == "unknown" and step.target else ""
        yield from fitting(f"  {about}{step.detail}")
    if unknown:
        yield "What nobody can foresee:"
    for step in unknown:
        yield from fitting(f"  {step.helper}: {step.detail}")
