"""``safeops status``: what stands in the database, what is pending, and what needs attention."""

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
from safeops.foretold import spelled_size
from safeops.runner.surveying import NORMAL, Attention, Status, status

WIDTH = 80


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = verbs.add_parser(
        "status",
        parents=[common],
        help="show what stands, what is pending, what needs attention",
        description="Shows the database, its revision, what is pending and what needs\n"
        "attention. It only looks, and waits for nobody.\n\n"
        "Exit status: 0 up to date, 1 pending, 2 needs attention, 4 raised.",
        epilog="Example:\n  safeops status --json",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    # What env.py prints is no part of the object.
    with redirect_stdout(sys.stderr):
        found = status(config_of(options))
    show(json.dumps(found.as_json(), indent=2) if options.json else "\n".join(lines_of(found)))
    return found.exit_status


def lines_of(found: Status) -> Iterator[str]:
    """Write a status for people."""
    place = f"{found.database} on {found.host}" if found.host else found.database
    size = "" if found.size_bytes is None else f", {spelled_size(found.size_bytes)}"
    yield from _row("Database", f"{place}{size}")
    yield from _row("Server", found.server)
    yield from _row("Revision", ", ".join(found.current) or "none yet")
    yield from _row("Heads", ", ".join(found.heads) or "none yet")
    yield from _row("Runner", found.lock_holder or "nobody is migrating")
    yield from _row("Pending", str(len(found.pending) or "none"))
    for one in found.pending:
        yield from _wrapped(f"  {one.revision}  {one.message}", " " * (len(one.revision) + 4))
    yield from _things("Attention", [one for one in found.attention if one.kind not in NORMAL])
    yield from _things("Open", [one for one in found.attention if one.kind in NORMAL])


def _things(title: str, found: list[Attention]) -> Iterator[str]:
    if found:
        yield ""
        yield title
    for one in found:
        yield from _wrapped(f"  {one.kind}: {one.name}", "    ")
        yield from _wrapped(f"    {one.advice}", "    ")


def _row(name: str, value: str) -> Iterator[str]:
    return _wrapped(f"{name:<10}{value}", " " * 10)


def _wrapped(text: str, indent: str) -> Iterator[str]:
    yield from textwrap.wrap(text, WIDTH, subsequent_indent=indent, break_on_hyphens=False) or [""]
