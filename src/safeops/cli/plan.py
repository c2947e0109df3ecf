"""``plan`` shows what the pending revisions would do: numbered steps, each with its locks and its time."""

from __future__ import annotations

from collections.abc import Iterator

from safeops.cli.command import Argument, Command, config_of
from safeops.cli.console import ATTENTION, FAILURE, PENDING, fitting, row
from safeops.planned import NOTHING, SKIP, UNKNOWN, Lock, PlannedCall
from safeops.runner.planning import Plan, plan

SIGNS = {SKIP: "  [skip]", UNKNOWN: "  [cannot be predicted]"}
COLUMN = 6


def plan_lines(result: Plan) -> Iterator[str]:
    """Write a plan for people."""
    if not result.revisions:
        yield "Nothing is pending."
    for number, revision in enumerate(result.revisions):
        if number:
            yield ""
        yield from fitting(f"{revision.revision}  {revision.message}".rstrip(), "  ", PENDING)
        if not revision.steps:
            yield "  No steps."
        for place, step in enumerate(revision.steps, 1):
            yield from _step_lines(f"  {place}. ", step)


def _step_lines(number: str, step: PlannedCall) -> Iterator[str]:
    indent = " " * len(number)
    sign = "  [refused]" if step.refusal else SIGNS.get(step.action, "")
    name = f"{step.helper} {step.target or ''}".rstrip()
    colour = FAILURE if step.refusal else ATTENTION if step.action == UNKNOWN else ""
    yield from fitting(f"{number}{name}{sign}", indent, colour)
    yield from fitting(f"{indent}{step.detail}", indent)
    for text, blocks in _locks(step):
        yield from row("Lock", text, COLUMN, indent, ATTENTION if blocks else "")
    if step.seconds is not None:
        yield from row("Time", f"about {step.seconds:.1f} s", COLUMN, indent)


def _locks(step: PlannedCall) -> Iterator[tuple[str, bool]]:
    """Yield each lock of a step with its tables and what it blocks, and whether it blocks anything."""
    tables: dict[Lock, list[str]] = {}
    for table, lock in step.table_locks:
        if lock.name is not None and str(table) not in tables.setdefault(lock, []):
            tables[lock].append(str(table))
    for lock, names in tables.items():
        yield f"{lock.name} on {', '.join(names)}: blocks {lock.blocks}", lock.blocked != NOTHING
    if not tables and step.locks is not None:
        yield f"{step.locks}: blocks {step.blocks}", step.blocks != NOTHING


PLAN = Command(
    "plan",
    lambda options: plan(config_of(options), options.revision),
    help="show what an upgrade would do, without doing it (dry run)",
    description="Runs the pending revisions as a dry run, and shows for each step what it would do, which locks it takes "
    "and what they block. Nothing is written. Plain SQL is shown and not sent: its effect cannot be predicted.",
    exit_statuses="0 nothing pending, 1 pending, 3 several heads, or no file has the revision of the database, "
    "4 failed",
    example="safeops plan +1",
    arguments=(Argument("revision", metavar="REV", nargs="?", default="heads", help="the target (default: heads)"),),
    lines_of=plan_lines,
)
