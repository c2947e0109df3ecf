"""``safeops plan``: what the pending revisions would do, told without doing it."""

from __future__ import annotations

import json
import sys
import textwrap
from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.shown import show
from safeops.cli.status import WIDTH
from safeops.foretold import RUN, SKIP, UNKNOWN, Foretold
from safeops.runner.planning import Plan, plan

SIGNS = {SKIP: "skip", RUN: "run", UNKNOWN: "?"}


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = verbs.add_parser(
        "plan",
        parents=[common],
        help="show what the pending revisions would do, and do nothing",
        description="Runs the pending revisions so that they only look, and shows for each\n"
        "helper what is there already and what it would do, lock and hold up.\n"
        "SQL that nobody can foresee is shown and not sent.\n\n"
        "Exit status: 0 nothing pending, 1 pending, 4 raised.",
        epilog="Example:\n  safeops plan +1",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("revision", metavar="REV", nargs="?", default="heads", help="where to (default: heads)")
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    with redirect_stdout(sys.stderr):
        found = plan(config_of(options), options.revision)
    show(json.dumps(found.as_json(), indent=2) if options.json else "\n".join(lines_of(found)))
    return found.exit_status


def lines_of(found: Plan) -> Iterator[str]:
    """Write a plan for people."""
    if not found.revisions:
        yield "Nothing is pending."
    for number, one in enumerate(found.revisions):
        if number:
            yield ""
        yield from _wrapped(f"{one.revision}  {one.message}".rstrip(), "  ")
        if not one.steps:
            yield "  It calls nothing."
        for step in one.steps:
            yield from _told(step)


def _told(step: Foretold) -> Iterator[str]:
    yield from _wrapped(f"  {SIGNS[step.action]:<6}{step.helper} {step.target or ''}".rstrip(), " " * 8)
    yield from _wrapped(f"{' ' * 8}{step.detail}", " " * 8)
    if step.locks is not None:
        yield from _wrapped(f"{' ' * 8}locks {step.locks}; blocks {step.blocks}", " " * 8)


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False)
