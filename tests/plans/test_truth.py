"""What a plan says of a call is what the call does: which tables it locks how, whether it rewrites them, what it loses."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from tests.plans.calls import CALLS, WORLD, on
from tests.plans.observed import Observed
from tests.plans.observing import observed
from tests.plans.on_mysql import KEEPS_READERS_OUT
from tests.plans.on_postgresql import STRENGTH
from tests.projects import Project
from tests.servers import Database

from safeops.planned import Foretold
from safeops.runner import plan

pytestmark = pytest.mark.every_postgresql


# What a plan says wrongly so far.
WRONG = {
    "postgresql": {
        *("add_column_with_default", "set_default", "set_default_that_looks_stronger"),
        *("create_index_on_partitions", "drop_schema", "backfill_over_values"),
    },
    "mysql": {"backfill_over_values"},
    "sqlite": {"backfill_over_values"},
}


@pytest.mark.parametrize("name", CALLS)
def test_a_plan_says_what_is_done(
    database: Database, tmp_path: Path, request: pytest.FixtureRequest, name: str
) -> None:
    call = CALLS[name]
    if database.kind not in call.on:
        pytest.skip(f"{database.kind} has no {name}")
    if name in WRONG[database.kind]:
        request.applymarker(pytest.mark.xfail)
    database.execute(*WORLD, *call.world)
    bodies = [on(database.kind, code) for code in (*call.after, call.code)]
    revisions = {f"r{number}": (body, "pass") for number, body in enumerate(bodies)}
    project = Project(tmp_path, database, revisions, imports="from safeops import *\nimport sqlalchemy as sa")
    if call.after:
        project.upgrade(f"r{len(call.after) - 1}")
    (said,) = plan(project.config).revisions[0].steps
    with observed(database) as done:
        project.upgrade()
    assert said.action == "run", said.detail
    is_said, is_seen = said_of(database, said), seen_of(database, done)
    different = [
        f"{key}: {is_said[key]} is said, {is_seen[key]} is done" for key in is_said if is_said[key] != is_seen[key]
    ]
    assert not different, f"{'; '.join(different)}; {said.detail}; {done}"


BLOCKED = {"": set(), "SHARE UPDATE EXCLUSIVE": set(), "ACCESS EXCLUSIVE": {"reads", "writes"}}
"""What PostgreSQL's locks hold up; the others hold up writes."""


def said_of(database: Database, step: Foretold) -> dict[str, object]:
    locks = [one for one in (step.locks or "").split("; ") if one in STRENGTH]
    parts = [part for part in (step.blocks or "").split("; ") if not part.startswith("writes to those rows")]
    said: dict[str, object] = {"loses": step.loses}
    if database.kind == "postgresql":
        said |= {"lock": max(locks, key=STRENGTH.index, default="")}
    if database.kind != "sqlite":
        said |= {"blocks": set(re.findall(r"\b(reads|writes)\b", "; ".join(parts)))}
    return said


def seen_of(database: Database, done: Observed) -> dict[str, object]:
    seen: dict[str, object] = {"loses": bool(done.lost)}
    if database.kind == "postgresql":
        strongest = max((lock for locks in done.locks.values() for lock in locks), key=STRENGTH.index, default="")
        seen |= {"lock": strongest, "blocks": BLOCKED.get(strongest, {"writes"})}
    if database.kind == "mysql":
        modes = set().union(*done.locks.values())
        readers = {"reads"} if modes & set(KEEPS_READERS_OUT) else set()
        seen |= {"blocks": readers | ({"writes"} if readers or modes & {"SHARED_NO_WRITE"} else set())}
    return seen
