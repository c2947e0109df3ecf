"""What a review reads from env.py without a database."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.review.recorded import PSYCOPG, project, recordings, sql

from safeops.errors import SafeOpsError
from safeops.judging.sent import Unseen
from safeops.review.offline import environment_of

ONLINE = """
from alembic import context
from sqlalchemy import create_engine, text

engine = create_engine(context.config.get_main_option("sqlalchemy.url"))
with engine.begin() as connection:
    connection.execute(text("SET search_path TO app"))
    assert connection.scalar(text("SELECT pg_try_advisory_lock(3)"))
    context.configure(connection=connection, transaction_per_migration=True)
    with context.begin_transaction():
        context.run_migrations()
"""
ASYNC = """
import asyncio
from alembic import context
from sqlalchemy.ext.asyncio import create_async_engine

def migrate(connection):
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()

async def main():
    engine = create_async_engine(context.config.get_main_option("sqlalchemy.url"))
    async with engine.connect() as connection:
        await connection.run_sync(migrate)

asyncio.run(main())
"""
NEEDS_A_URL = """
import os
from alembic import context

context.configure(url=os.environ["DATABASE_URL"])
with context.begin_transaction():
    context.run_migrations()
"""
TWO = """
from alembic import context

for name in ("first", "second"):
    with open(f"{name}.sql", "w") if context.is_offline_mode() else context.config.attributes["nothing"] as file:
        pass
"""
BOTH = """
from alembic import context

for name in ("first", "second"):
    context.configure(url=context.config.get_main_option("sqlalchemy.url"))
    with context.begin_transaction():
        context.run_migrations(name=name)
"""


@pytest.mark.parametrize(
    ("env", "url"),
    [(ONLINE, PSYCOPG), (ASYNC, PSYCOPG), (ASYNC, "postgresql+asyncpg://nobody@127.0.0.1:1/app")],
    ids=["online", "async psycopg", "asyncpg"],
)
def test_an_env_py_that_only_works_online(tmp_path: Path, env: str, url: str) -> None:
    (recording,) = recordings(project(tmp_path, "op.execute('SELECT 5')", env=env, url=url))
    assert sql(recording) == ["SELECT 5"]


def test_a_url_is_assumed_if_there_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("DATABASE_URL", raising=False)
    config = project(tmp_path, "op.execute('SELECT 5')", env=NEEDS_A_URL)
    assert (
        environment_of(config).remark == "env.py needs a URL that it does not have here: the review assumed postgresql"
    )
    text = (tmp_path / "versions/r0_one.py").read_text()
    (tmp_path / "versions/r0_one.py").write_text(f"from sqlalchemy.dialects import mysql\n{text}")
    assert environment_of(config).remark == "env.py needs a URL that it does not have here: the review assumed mysql"


def test_an_env_py_that_fails_is_reported(tmp_path: Path) -> None:
    with pytest.raises(SafeOpsError, match=r"env\.py cannot run without a database: ZeroDivisionError"):
        environment_of(project(tmp_path, "", env="1 / 0"))
    with pytest.raises(SafeOpsError, match=r"does not call context.run_migrations\(\)"):
        environment_of(project(tmp_path, "", env=""))


def test_no_script_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "first.sql").write_text("precious")
    with pytest.raises(SafeOpsError, match="It writes an SQL script"):
        environment_of(project(tmp_path / "project", "", env=TWO))
    assert (tmp_path / "first.sql").read_text() == "precious"


def test_each_database_counts(tmp_path: Path) -> None:
    config = project(tmp_path, "op.execute(f'SELECT 1 AS {name}')", env=BOTH)
    file = tmp_path / "versions/r0_one.py"
    file.write_text(file.read_text().replace("def upgrade():", "def upgrade(name):"))
    (recording,) = recordings(config)
    assert sql(recording) == ["SELECT 1 AS first", "SELECT 1 AS second"]
    assert not [event for event in recording.events if isinstance(event, Unseen)]


def test_models_add_tables_that_no_revision_has_made(tmp_path: Path) -> None:
    env = """
from alembic import context
import sqlalchemy as sa
metadata = sa.MetaData()
sa.Table("users", metadata, sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))
context.configure(url="sqlite://", target_metadata=metadata)
with context.begin_transaction():
    context.run_migrations()
"""
    body = """
        with op.batch_alter_table("users", recreate="always") as batch:
            batch.alter_column("name", nullable=False)
    """
    (recording,) = recordings(project(tmp_path, body, env=env))
    assert recording.error is None
    assert sql(recording)[0].partition("(")[0].strip() == "CREATE TABLE _alembic_tmp_users"


def test_a_batch_copies_a_table_that_an_earlier_revision_has_made(tmp_path: Path) -> None:
    base = 'op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(20)))'
    body = """
        with op.batch_alter_table("users") as batch:
            batch.alter_column("name", nullable=False)
            batch.add_column(sa.Column("age", sa.Integer))
    """
    _, recording = recordings(project(tmp_path, base, body, url="sqlite:////nowhere/app.db"))
    assert [text.split()[0] for text in sql(recording)] == ["CREATE", "INSERT", "DROP", "ALTER"]


def test_a_batch_on_a_table_that_nothing_is_known_of(tmp_path: Path) -> None:
    body = """
        with op.batch_alter_table("users", recreate="always") as batch:
            batch.alter_column("name", nullable=False)
            batch.drop_column("age")
            batch.drop_constraint("fk_team", type_="foreignkey")
            batch.add_column(sa.Column("nick", sa.Text()))
    """
    (recording,) = recordings(project(tmp_path, body, url="sqlite:////nowhere/app.db"))
    assert recording.error is None
    assert [text.split()[0] for text in sql(recording)] == ["CREATE", "INSERT", "DROP", "ALTER"]
