"""``safeops status`` reports the state of the database, ``safeops plan`` what an upgrade would do; neither writes."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from safeops.cli.command import Argument, Command, config_of, fitting
from safeops.planned import RUN, SKIP, UNKNOWN, Foretold, spelled_size
from safeops.runner.planning import Plan, plan
from safeops.runner.status_report import NORMAL, UNKNOWN_REVISION, Attention, Status, status


def _status(options: Namespace) -> Status:
    return status(config_of(options))


def status_lines(found: Status) -> Iterator[str]:
    """Write a status for people."""
    place = f"{found.database} on {found.host}" if found.host else found.database
    size = "" if found.size_bytes is None else f", {spelled_size(found.size_bytes)}"
    yield from _row("Database", f"{place}{size}")
    yield from _row("Server", found.server)
    yield from _row("Revision", ", ".join(found.current) or "none yet")
    yield from _row("Heads", ", ".join(found.heads) or "none yet")
    yield from _row("Runner", found.lock_holder or "nobody is migrating")
    unknown = any(item.kind == UNKNOWN_REVISION for item in found.attention)
    yield from _row("Pending", str(len(found.pending) or ("unknown" if unknown else "none")))
    for pending in found.pending:
        yield from fitting(f"  {pending.revision}  {pending.message}", " " * (len(pending.revision) + 4))
    yield from _section("Attention", [item for item in found.attention if item.kind not in NORMAL])
    yield from _section("Open", [item for item in found.attention if item.kind in NORMAL])


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
    _status,
    help="show what stands, what is pending, what needs attention",
    description="Shows the database, its revision, what is pending and what needs\n"
    "attention. It only looks, and waits for nobody.\n\n"
    "Exit status: 0 up to date, 1 pending, 2 needs attention, 4 raised.",
    example="safeops status --json",
    lines_of=status_lines,
)


# Plan -----------------------------------------------------------------------------------------------------------


SIGNS = {SKIP: "skip", RUN: "run", UNKNOWN: "?"}


def _plan(options: Namespace) -> Plan:
    return plan(config_of(options), options.revision)


def plan_lines(found: Plan) -> Iterator[str]:
    """Write a plan for people."""
    if not found.revisions:
        yield "Nothing is pending."
    for number, revision in enumerate(found.revisions):
        if number:
            yield ""
        yield from fitting(f"{revision.revision}  {revision.message}".rstrip(), "  ")
        if not revision.steps:
            yield "  It calls nothing."
        for step in revision.steps:
            yield from _step_lines(step)


def _step_lines(step: Foretold) -> Iterator[str]:
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
    lines_of=plan_lines,
)
