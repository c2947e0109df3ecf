"""A trace on an empty copy shows the locks and rewrites that were measured apart from it, on tables with rows."""

from __future__ import annotations

from pathlib import Path

import pytest
from alembic.config import Config
from tests.review import keys
from tests.servers import Database, PostgreSQL
from tests.whole import sample

from safeops.rehearse import TracedRevision, trace
from safeops.review.postgresql.state import MODES, STRENGTH

WITHOUT_ROWS = {"k006", "k075", "k127", "k128", "k147", "k225", "k233", "k234", "m103", "m104", "m106", "n060", "n061"}
"""Revisions that do something else if there are no rows."""
ON_INDEXES = {"k040", "k089", "k092", "n005"}
"""In a trace a lock on an index counts as one on its table."""
MISSED = {"r024"}
"""The key was measured by sampling alone, which has missed DROP INDEX CONCURRENTLY."""
WEAK = STRENGTH["ROW EXCLUSIVE"]
ENTRIES = [one for one in keys.load() if one["revision"] not in WITHOUT_ROWS | ON_INDEXES | MISSED]


@pytest.mark.only("pg18", "pg15")
@pytest.mark.by_hand("pg15")
def test_a_trace_agrees_with_the_key(tmp_path: Path, database: Database, server_name: str) -> None:
    version = server_name.removeprefix("pg")
    entries = [one for one in sample(ENTRIES, 12) if version in one["truth"]]
    equip(database)
    ini = keys.project(tmp_path, ["*"], database.url.render_as_string(hide_password=False))
    found = {one.revision: one for one in trace(Config(ini), [one["revision"] for one in entries]).revisions}
    different = {}
    for entry in entries:
        truth, traced = entry["truth"][version], found[entry["revision"]]
        known = {
            table: MODES[lock] for table, lock in truth["locks"].items() if not is_weak_on_sequence(table, MODES[lock])
        }
        # Of a table without rows the key does not count a rewrite.
        rewritten = {one for one in rewritten_by(traced) if one != "empty_table"}
        if locks_of(traced) != known or rewritten != set(truth["rewritten"]):
            different[entry["revision"]] = locks_of(traced), known, rewritten
    assert different == {}
    assert len(entries) > 30


def equip(database: Database) -> None:
    """Create what revisions of the key need of the server."""
    assert isinstance(database.server, PostgreSQL)
    execute = database.server.admin.execute
    execute("SET allow_in_place_tablespaces = on")
    if not execute("SELECT 1 FROM pg_tablespace WHERE spcname = 'ts1'").fetchone():
        execute("CREATE TABLESPACE ts1 LOCATION ''")


def is_weak_on_sequence(table: str, lock: str) -> bool:
    return table.endswith("_seq") and STRENGTH[lock] <= WEAK


def locks_of(revision: TracedRevision) -> dict[str, str]:
    """Return the strongest lock on each table."""
    found: dict[str, str] = {}
    for statement in revision.statements:
        for table, lock in statement.locks.items():
            name = table.removeprefix("public.")
            found[name] = max(lock, found.get(name, lock), key=STRENGTH.__getitem__)
    return found


def rewritten_by(revision: TracedRevision) -> set[str]:
    return {table.removeprefix("public.") for statement in revision.statements for table in statement.rewrote}
