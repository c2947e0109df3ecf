"""Traces the cases of the atlas on a server, with the tracer of `safeops trace`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from safeops.judging.mysql.truths import STRENGTH as MYSQL_STRENGTH
from safeops.judging.postgresql.truths import LOCKS
from safeops.rehearse import TracedRevision, trace
from tests.lock_atlas.cases import Case
from tests.projects import Project
from tests.servers import Database

IMPORTS = "from safeops import *\nimport sqlalchemy as sa"
SHOW_LOCKS = "UPDATE performance_schema.setup_instruments SET ENABLED = 'YES' WHERE NAME = 'wait/lock/metadata/sql/mdl'"
"""MariaDB does not record its metadata locks by default."""
OWN = re.compile(r"^public\.")
Entry = dict[str, Any]


def traced(database: Database, folder: Path, cases: Iterable[Case]) -> Iterator[tuple[Case, Entry]]:
    """Yield each case with what it locked and did, all traced in one project."""
    if database.kind == "mysql":
        database.execute(SHOW_LOCKS)
    project = Project(folder, database, imports=IMPORTS)
    last: dict[str, Case] = {}
    roots: dict[str, str] = {}
    for number, case in enumerate(cases):
        down: str | None = None
        for place, body in enumerate((*case.before, case.body)):
            name = roots.get(body) if place == 0 else None
            if name is None:
                name = f"r{number}x{place}"
                project.write(name, body, down=down)
            if place == 0:
                roots[body] = name
            down = name
        assert down is not None
        last[down] = case
    for revision in trace(project.config, [*last]).revisions:
        entry = entry_of(revision)
        if database.kind == "mysql":
            # The strongest lock does not show by which algorithms a helper works.
            entry["every"] = sorted({lock for one in revision.statements for lock in one.locks.values()})
        yield last[revision.revision], entry


def entry_of(revision: TracedRevision) -> Entry:
    """Return what the statements of a case locked and did together."""
    locks: dict[str, str] = {}
    done: dict[str, set[str]] = {"rewrote": set(), "built": set(), "scanned": set()}
    for one in revision.statements:
        for table, lock in one.locks.items():
            locks[short(table)] = max(lock, locks.get(short(table), ""), key=strength)
        for kind, found in done.items():
            found.update(map(short, getattr(one, kind)))
    return {
        "locks": dict(sorted(locks.items())),
        **{kind: sorted(found) for kind, found in done.items()},
        "application": revision.verdict,
        "seen": sorted({one.seen for one in revision.statements}),
        "error": revision.error,
    }


def short(table: str) -> str:
    return OWN.sub("", table)


def strength(lock: str) -> int:
    known = LOCKS if lock in LOCKS else MYSQL_STRENGTH
    return known.index(lock) if lock in known else -1
