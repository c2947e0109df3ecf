"""``safeops status``: the state of the database, what is pending, and what needs attention."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Iterator

from safeops.cli.command import Command, config_of, fitting
from safeops.foretold import spelled_size
from safeops.runner.status_report import NORMAL, UNKNOWN, Attention, Status, status


def _status(options: Namespace) -> Status:
    return status(config_of(options))


def lines_of(found: Status) -> Iterator[str]:
    """Write a status for people."""
    place = f"{found.database} on {found.host}" if found.host else found.database
    size = "" if found.size_bytes is None else f", {spelled_size(found.size_bytes)}"
    yield from _row("Database", f"{place}{size}")
    yield from _row("Server", found.server)
    yield from _row("Revision", ", ".join(found.current) or "none yet")
    yield from _row("Heads", ", ".join(found.heads) or "none yet")
    yield from _row("Runner", found.lock_holder or "nobody is migrating")
    unknown = any(item.kind == UNKNOWN for item in found.attention)
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
    lines_of=lines_of,
)
