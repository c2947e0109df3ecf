"""A plan predicts what the call does: which tables it locks how, whether it rewrites them, what it loses."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from pathlib import Path
from typing import Any

import pytest
from tests.lock_atlas.results import Results
from tests.plans.calls import CALLS, WORLD, on
from tests.plans.observed import Observed
from tests.plans.observing import observed
from tests.plans.on_mysql import KEEPS_READERS_OUT
from tests.plans.on_postgresql import STRENGTH
from tests.projects import Project
from tests.servers import Database

from safeops.planned import NOTHING, ROWS, Lock, PlannedCall
from safeops.runner import plan

pytestmark = pytest.mark.every_postgresql


@pytest.mark.parametrize("name", CALLS)
def test_a_plan_predicts_what_is_done(database: Database, server_name: str, tmp_path: Path, name: str) -> None:
    call = CALLS[name]
    if database.kind not in call.on:
        pytest.skip(f"{database.kind} has no {name}")
    database.execute(*WORLD, *call.world)
    bodies = [on(database.kind, code) for code in (*call.after, call.code)]
    revisions = {f"r{number}": (body, "pass") for number, body in enumerate(bodies)}
    project = Project(tmp_path, database, revisions, imports="from safeops import *\nimport sqlalchemy as sa")
    if call.after:
        project.upgrade(f"r{len(call.after) - 1}")
    (said,) = plan(project.config).revisions[0].steps
    tables = {row[0] for row in database.query(EXISTING)} if database.kind == "postgresql" else set()
    with observed(database) as done:
        project.upgrade()
    assert said.action == "run", said.detail
    is_said, is_seen = said_of(database, said, tables), seen_of(database, done)
    different = [
        f"{key}: {is_said[key]} is said, {is_seen[key]} is done"
        for key in is_said
        if key in is_seen and is_said[key] != is_seen[key]
    ]
    assert not different, f"{'; '.join(different)}; {said.detail}; {done}"
    if database.kind == "postgresql" and name not in LOCKS_INDEXES:
        assert of_the_user(is_said["locks"]) == locks_in_atlas(server_name, name)
    if database.kind == "mysql":
        recorded = Results.read().entries(server_name)[name]
        assert said.rewrites == (recorded["application"] in WAITS)
        assert set(recorded["locks"]) <= {table.name for table, lock in said.table_locks if lock.blocked != NOTHING}


WAITS = {"writes wait", "all wait"}
LOCKS_INDEXES = {"create_index_on_partitions"}
"""In the atlas a lock on an index counts as one on its table: attaching one takes ACCESS EXCLUSIVE on it."""


def of_the_user(locks: Any) -> dict[str, str]:
    return {table: lock for table, lock in locks.items() if not table.startswith("safeops_")}


def locks_in_atlas(server: str, name: str) -> dict[str, str]:
    """Return the locks of a call that the atlas has recorded, without those that block no other change."""
    recorded = Results.read().entries(server)[name]["locks"]
    return {table: lock for table, lock in recorded.items() if lock in STRENGTH}


EXISTING = "SELECT relname FROM pg_class WHERE relkind IN ('r', 'p', 'v')"
BLOCKED = {"": set(), "SHARE UPDATE EXCLUSIVE": set(), "ACCESS EXCLUSIVE": {"reads", "writes"}}
"""What PostgreSQL's locks hold up; the others hold up writes."""


def said_of(database: Database, step: PlannedCall, tables: Collection[str]) -> dict[str, object]:
    held: dict[str, list[Lock]] = {}
    for table, lock in step.table_locks:
        if table.name in tables and lock.name in STRENGTH:
            held.setdefault(table.name, []).append(lock)
    said: dict[str, object] = {"loses": step.loses, "rewrites": step.rewrites}
    if database.kind == "postgresql":
        said["locks"] = {table: strongest(one.name for one in found) for table, found in held.items()}
    if database.kind != "sqlite":
        blocks = "; ".join(lock.blocks for _, lock in step.table_locks if lock.blocked != ROWS)
        said["blocks"] = set(re.findall(r"\b(reads|writes)\b", blocks))
    return said


def seen_of(database: Database, done: Observed) -> dict[str, object]:
    seen: dict[str, object] = {"loses": bool(done.lost), "rewrites": bool(done.rewritten)}
    if database.kind == "postgresql":
        locks = {table: strongest(found) for table, found in done.locks.items()}
        seen |= {"locks": locks, "blocks": BLOCKED.get(strongest(locks.values()), {"writes"})}
    if database.kind == "mysql":
        modes = set().union(*done.locks.values())
        readers = {"reads"} if modes & set(KEEPS_READERS_OUT) else set()
        seen["blocks"] = readers | ({"writes"} if readers or "SHARED_NO_WRITE" in modes else set())
    if database.kind == "sqlite":
        # Writes always wait for the file.
        del seen["rewrites"]
    return seen


def strongest(locks: Iterable[str | None]) -> str:
    return max((one for one in locks if one), key=STRENGTH.index, default="")
