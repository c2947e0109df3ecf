"""No model has the table of the progress, and autogenerate does not drop it."""

from __future__ import annotations

import logging

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from tests.projects import migrate
from tests.servers import Database

from safeops import backfill


@pytest.mark.smoke
def test_autogenerate_drops_what_no_model_has_but_not_what_is_ours(
    database: Database, caplog: pytest.LogCaptureFixture
) -> None:
    database.execute(
        "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(20), plain varchar(20))",
        "CREATE TABLE left_over (id int)",
        "INSERT INTO users VALUES (1, 'Ada', NULL)",
    )
    migrate(database, lambda: backfill("users", {"plain": sa.func.lower(sa.column("name"))}))
    assert "safeops_backfill" in sa.inspect(database.observer()).get_table_names()
    with database.engine().connect() as connection, caplog.at_level(logging.INFO, "alembic"):
        found = compare_metadata(MigrationContext.configure(connection), sa.MetaData())
    assert {one[1].name for one in found} - {"alembic_version"} == {"left_over", "users"}
    told = [record.getMessage() for record in caplog.records if record.name.startswith("alembic.autogenerate")]
    assert "Detected removed table 'left_over'" in told
    assert not [line for line in told if "safeops" in line]
