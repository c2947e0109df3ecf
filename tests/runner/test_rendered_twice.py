"""A script of ``--sql`` that is run again: from a revision on it may be, from base it stops at Alembic's own table."""

from __future__ import annotations

import io
from pathlib import Path

import pytest
from alembic import command
from tests.projects import run_sql
from tests.runner.deploys import ONE_EACH, Deploy, table
from tests.servers import Database


def rendered(project: Deploy, revisions: str) -> str:
    config = project.config
    config.output_buffer = io.StringIO()
    command.upgrade(config, revisions, sql=True)
    return config.output_buffer.getvalue()


@ONE_EACH
def test_a_script_is_run_again(database: Database, tmp_path: Path) -> None:
    index = 'create_index_if_missing("ix", "one", ["id"])'
    project = Deploy(tmp_path, database, {"r1": table("one"), "r2": table("two"), "r3": (index, "pass")})
    run_sql(database, rendered(project, "head"))
    with pytest.raises(Exception, match=r"alembic_version.* already exists"):
        run_sql(database, rendered(project, "head"))
    later = rendered(project, "r1:head")
    for _ in range(2):
        run_sql(database, later)
    assert database.query("SELECT version_num FROM alembic_version") == [("r3",)]
