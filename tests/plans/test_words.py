"""The text of a step or an error is for people: no decision depends on it."""

from __future__ import annotations

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import fields
from pathlib import Path
from typing import Any
from unittest import mock

import pytest
from tests.lifecycle.harness import state
from tests.plans.calls import CALLS, WORLD, on
from tests.projects import Project
from tests.servers import Database
from tests.whole import one_in

from safeops.databases.steps import Step
from safeops.errors import SafeOpsError
from safeops.planned import PlannedStatement
from safeops.runner import plan

pytestmark = pytest.mark.only("pg18", "mariadb", "sqlite")

IMPORTS = "from safeops import *\nimport sqlalchemy as sa"
TEXTS = ("detail", "refusal")
WORDS = (
    "added column",
    "dropped table",
    "dropped column",
    "filled",
    "renamed table",
    "blue",
    "users.email",
    "TYPE",
    "x",
)


@contextmanager
def other_words() -> Iterator[None]:
    """Each step has another text than its own, and so has each error."""
    choice = random.Random(4711)

    def talkative(kind: type) -> Any:
        original = kind.__init__

        def init(self: Any, *arguments: Any, **keywords: Any) -> None:
            original(self, *arguments, **keywords)
            object.__setattr__(self, "does", " ".join(choice.choices(WORDS, k=4)))

        return mock.patch.object(kind, "__init__", init)

    def other(error: SafeOpsError, *arguments: Any, **keywords: Any) -> None:
        made(error, *arguments, **keywords)
        error.problem, error.why, error.remedy, error.code = (" ".join(choice.choices(WORDS, k=4)) for _ in range(4))

    made = SafeOpsError.__init__
    with talkative(Step), talkative(PlannedStatement), mock.patch.object(SafeOpsError, "__init__", other):
        yield


def decisions(project: Project) -> list[list[dict[str, object]]]:
    """All of a plan but its prose."""

    def decided(step: Any) -> dict[str, object]:
        values = {one.name: getattr(step, one.name) for one in fields(step) if one.name not in TEXTS}
        return {**values, "refused": type(step.refusal).__name__}

    return [[decided(step) for step in revision.steps] for revision in plan(project.config).revisions]


def cases() -> list[Any]:
    """Every call; by default one in eight."""
    return one_in(8, [*CALLS])


@pytest.mark.parametrize("name", cases())
def test_other_words_change_no_decision(new_database: Any, tmp_path: Path, name: str) -> None:
    call = CALLS[name]
    ends = []
    for place in ("own", "other"):
        database: Database = new_database()
        if database.kind not in call.on:
            pytest.skip(f"{database.kind} has no {name}")
        database.execute(*WORLD, *call.world)
        bodies = [on(database.kind, code) for code in (*call.after, call.code)]
        project = Project(
            tmp_path / place,
            database,
            {f"r{number}": (body, "pass") for number, body in enumerate(bodies)},
            imports=IMPORTS,
        )
        for number in range(len(bodies)):
            own = decisions(project)
            with other_words():
                assert decisions(project) == own
                if place == "other":
                    project.upgrade(f"r{number}")
            if place == "own":
                project.upgrade(f"r{number}")
        ends.append(state(database))
    assert ends[0] == ends[1]
