"""Renders the atlas: a table of helpers and one of plain statements for each database."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from tests.lock_atlas.results import Results
from tests.plans.calls import ASSURED, CALLS, on
from tests.servers import POSTGRESQL

PAGE = Path(__file__).parents[2] / "docs/reference/lock-atlas.md"
HEAD = Path(__file__).parent / "head.md"
"""The text above the tables."""
WORK = (("rewrote", "rewrites"), ("built", "builds an index of"), ("scanned", "scans"))
TITLES = {"mariadb": "MariaDB", "mysql97": "MySQL"}


def rendered(results: Results) -> str:
    """Return the page."""
    groups = [[name for name in reversed(POSTGRESQL) if name in results.servers]]
    groups += [[name] for name in TITLES if name in results.servers]
    parts = [HEAD.read_text()]
    for servers in filter(None, groups):
        parts += _section(results, sorted(servers))
    return "\n".join(parts)


def _section(results: Results, servers: Sequence[str]) -> Iterator[str]:
    kind = "postgresql" if servers[0].startswith("pg") else "mysql"
    title = "PostgreSQL" if kind == "postgresql" else _column(results, servers)
    names = list(results.entries(servers[0]))
    helpers = [name for name in CALLS if name in names]
    plain = [name for name in names if name not in CALLS]
    yield f"## {title}: helpers and phases\n"
    yield from _table(results, servers, helpers, "helper", kind)
    yield f"## {title}: plain statements\n"
    yield from _table(results, servers, plain, "statement", kind)


def _table(results: Results, servers: Sequence[str], names: Sequence[str], what: str, kind: str) -> Iterator[str]:
    columns = list(_columns(results, servers, names))
    yield f"| {what} | {' | '.join(_column(results, column) for column in columns)} |"
    yield f"|---|{'---|' * len(columns)}"
    for name in names:
        cells = [_cell(results.entries(column[0])[name]) for column in columns]
        yield f"| {_name(name, kind)} | {' | '.join(cells)} |"
    yield ""


def _columns(results: Results, servers: Sequence[str], names: Sequence[str]) -> Iterator[list[str]]:
    """Yield the servers whose results are equal, together."""
    found: dict[str, list[str]] = {}
    for server in servers:
        key = str([_cell(results.entries(server)[name]) for name in names])
        found.setdefault(key, []).append(server)
    yield from found.values()


def _column(results: Results, servers: Sequence[str]) -> str:
    versions = [results.servers[name]["version"] for name in servers]
    if not servers[0].startswith("pg"):
        return f"{TITLES[servers[0]]} {'.'.join(versions[0].split('.')[:2])}"
    majors = [int(version.split(".")[0]) for version in versions]
    if len(majors) > 2 and majors == list(range(majors[0], majors[-1] + 1)):
        return f"PostgreSQL {majors[0]}–{majors[-1]}"
    return f"PostgreSQL {', '.join(map(str, majors))}"


def _name(name: str, kind: str) -> str:
    if name not in CALLS:
        return _code(name)
    call, label = CALLS[name], name.replace("_", " ")
    is_alone = sum(other.code == call.code for other in CALLS.values()) == 1
    notes = [] if is_alone else [label]
    notes += ["assured"] if call.code.startswith(ASSURED) else []
    return ", ".join([_code(on(kind, call.code).removeprefix(ASSURED)), *notes])


def _code(text: str) -> str:
    return f"`{' '.join(text.split())}`".replace("|", "\\|")


def _cell(entry: Any) -> str:
    """Return what a case locks and does, in words."""
    if entry["error"]:
        return f"refused: {entry['error']}".replace("|", "\\|")
    tables: dict[str, list[str]] = {}
    for table, lock in entry["locks"].items():
        tables.setdefault(lock, []).append(table)
    locks = "; ".join(f"{lock} on {', '.join(names)}" for lock, names in tables.items())
    work = "; ".join(f"{verb} {', '.join(entry[key])}" for key, verb in WORK if entry[key])
    mark = "" if set(entry["seen"]) <= {"measured"} else " \\*"
    return f"**{entry['application']}**. {'. '.join(filter(None, (locks or 'no lock', work)))}{mark}"
