"""TableRename is killed after each of its statements: the application continues, and the next run completes the phase."""

from __future__ import annotations

from functools import partial
from typing import Any

import pytest
from tests.catalogue import assert_same
from tests.lifecycle.harness import _by_sigkill, _reads, _spread, _stop, state
from tests.projects import migrate
from tests.recipes.test_table_rename import PHASES, Application, application_user, phase, prepare, run
from tests.servers import Database
from tests.whole import several


def schema(database: Database) -> str:
    """The schema without the database's name; the application's rows differ from run to run."""
    return "\n".join(state(database)["schema"]).replace(database.name, "DB")


@pytest.mark.only("mysql", "pg18")
@pytest.mark.parametrize("name", PHASES)
def test_the_application_continues_after_a_kill(new_database: Any, name: str) -> None:
    body, down = partial(phase, name), name.startswith("undo")

    def prepared() -> Database:
        database: Database = new_database()
        prepare(database)
        application_user(database)
        run(database, *PHASES[: PHASES.index(name)] if name != "undo_expand" else ["expand"])
        return database

    undisturbed = prepared()
    count = _stop(undisturbed, lambda sql: not _reads(sql))
    count.run(lambda: migrate(undisturbed, body, down=down))
    for point in _spread(len(count.points), several(2, len(count.points))):
        database = prepared()
        used = "people" if name in ("contract", "undo_contract") else "users"
        with Application(database, f"app_{database.name}", used).running() as application:
            stop = _stop(database, lambda sql: not _reads(sql), point)
            # The sessions of the application stay.
            stop.end_sessions = lambda: None
            _by_sigkill(stop, lambda: migrate(database, body, down=down))  # noqa: B023
            application.settle()
            migrate(database, body, down=down)
        assert_same(schema(undisturbed), schema(database), f"killed after {count.points[point - 1].sql}")
