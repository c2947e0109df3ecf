"""``safeops status``: what stands in the database, what is pending, and what needs attention."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.outcome import fitting, told
from safeops.cli.parsing import add_json, add_verb
from safeops.foretold import spelled_size
from safeops.runner.status_report import NORMAL, UNKNOWN, Attention, Status, status


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="show what stands, what is pending, what needs attention",
        description="Shows the database, its revision, what is pending and what needs\n"
        "attention. It only looks, and waits for nobody.\n\n"
        "Exit status: 0 up to date, 1 pending, 2 needs attention, 4 raised.",
        example="safeops status --json",
    )
    add_json(parser)


def run(options: Namespace) -> int:
    return told(options, lambda: status(config_of(options)), lines_of)


def lines_of(found: Status) -> Iterator[str]:
    """Write a status for people."""
    place = f"{found.database} on {found.host}" if found.host else found.database
    size = "" if found.size_bytes is None else f", {spelled_size(found.size_bytes)}"
    yield from _row("Database", f"{place}{size}")
    yield from _row("Server", found.server)
    yield from _row("Revision", ", ".join(found.current) or "none yet")
    yield from _row("Heads", ", ".join(found.heads) or "none yet")
    yield from _row("Runner", found.lock_holder or "nobody is migrating")
    unknown = any(one.kind == UNKNOWN for one in found.attention)
    yield from _row("Pending", str(len(found.pending) or ("unknown" if unknown else "none")))
    for one in found.pending:
        yield from fitting(f"  {one.revision}  {one.message}", " " * (len(one.revision) + 4))
    yield from _things("Attention", [one for one in found.attention if one.kind not in NORMAL])
    yield from _things("Open", [one for one in found.attention if one.kind in NORMAL])


def _things(title: str, found: list[Attention]) -> Iterator[str]:
    if found:
        yield ""
        yield title
    for one in found:
        yield from fitting(f"  {one.kind}: {one.name}", "    ")
        yield from fitting(f"    {one.advice}", "    ")


def _row(name: str, value: str) -> Iterator[str]:
    return fitting(f"{name:<10}{value}", " " * 10)
