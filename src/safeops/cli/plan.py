"""``safeops plan``: what the pending revisions would do, told without doing it."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from safeops.cli.command import Argument, Command, config_of, fitting
from safeops.foretold import RUN, SKIP, UNKNOWN, Foretold
from safeops.runner.planning import Plan, plan

SIGNS = {SKIP: "skip", RUN: "run", UNKNOWN: "?"}


def _plan(options: Namespace) -> Plan:
    return plan(config_of(options), options.revision)


def lines_of(found: Plan) -> Iterator[str]:
    """Write a plan for people."""
    if not found.revisions:
        yield "Nothing is pending."
    for number, one in enumerate(found.revisions):
        if number:
            yield ""
        yield from fitting(f"{one.revision}  {one.message}".rstrip(), "  ")
        if not one.steps:
            yield "  It calls nothing."
        for step in one.steps:
            yield from _told(step)


def _told(step: Foretold) -> Iterator[str]:
    yield from fitting(f"  {SIGNS[step.action]:<6}{step.helper} {step.target or ''}".rstrip(), " " * 8)
    yield from fitting(f"{' ' * 8}{step.detail}", " " * 8)
    if step.locks is not None:
        yield from fitting(f"{' ' * 8}locks {step.locks}; blocks {step.blocks}", " " * 8)


PLAN = Command(
    "plan",
    _plan,
    help="show what the pending revisions would do, and do nothing",
    description="Runs the pending revisions so that they only look, and shows for each\n"
    "helper what is there already and what it would do, lock and hold up.\n"
    "SQL that nobody can foresee is shown and not sent.\n\n"
    "Exit status: 0 nothing pending, 1 pending, 3 several heads, or a revision in the\n"
    "database that no file has, 4 raised.",
    example="safeops plan +1",
    arguments=(Argument("revision", metavar="REV", nargs="?", default="heads", help="where to (default: heads)"),),
    lines_of=lines_of,
)
