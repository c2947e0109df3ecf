"""A revision reads the live database, and writes nothing to it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import command
from tests.review.recorded import project, sql, statements
from tests.servers import Database

from safeops.judging.schema import Schema
from safeops.judging.sent import HelperSent, Recording, Unseen
from safeops.review.live import reading
from safeops.review.offline import environment_of
from safeops.review.reads import MOST_ROWS

BASE = """
op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(50)),
                sa.Column("at", sa.DateTime), sa.Column("kind", sa.Enum("one", "two", name="kind")))
op.create_index("ix_name", "users", ["name"])
op.execute("INSERT INTO users (id, name, at, kind) VALUES (3, 'A', '2026-01-02 03:04:05', 'two'), (5, 'B', NULL, 'one')")
"""


def recorded(database: Database, folder: Path, body: str, base: str = BASE, head: str = "") -> Recording:
    """Return what a revision sends on a database that has had the one before it."""
    url = database.url.render_as_string(hide_password=False)
    config = project(folder, base, body, url=url.replace("%", "%%"), head=head)
    command.upgrade(config, "r0")
    environment = environment_of(config)
    before = _state(database)

    def record(_: Any, live: Any) -> Recording:
        found: Recording = live.record(environment.script.get_revision("r1"), Schema(live.facts, live.home))
        return found

    recording = reading(url, environment, record)
    assert _state(database) == before
    assert recording.seen == "live"
    return recording


def _state(database: Database) -> Any:
    with sa.create_engine(database.url).connect() as connection:
        metadata = sa.MetaData()
        metadata.reflect(connection)
        return {
            name: ([str(column.name) for column in table.columns], connection.execute(sa.select(table)).fetchall())
            for name, table in metadata.tables.items()
        }


def test_reads_are_answered_and_writes_are_not_sent(database: Database, tmp_path: Path) -> None:
    body = """
        bind = op.get_bind()
        for row in bind.execute(sa.text("SELECT id, name FROM users ORDER BY id")):
            bind.execute(sa.text("UPDATE users SET name = :name WHERE id = :id"), {"name": row.name.lower(), "id": row.id})
        users = sa.table("users", sa.column("id", sa.Integer), sa.column("at", sa.DateTime),
                         sa.column("kind", sa.Enum("one", "two", name="kind")))
        first = bind.execute(sa.select(users).order_by(users.c.id)).first()
        assert first.at.year == 2026 and first.kind == "two"
        assert bind.scalar(sa.text("SELECT count(*) FROM users WHERE name LIKE 'A%'")) == 1
        beginning = sa.text("SELECT count(*) FROM users WHERE name LIKE 'A%' AND id < :most")
        assert bind.scalar(beginning, {"most": 1000}) == 1
        op.execute("DELETE FROM users")
        op.drop_table("users")
    """
    recording = recorded(database, tmp_path, body)
    assert recording.error is None
    updates = [one for one in statements(recording) if one.sql.startswith("UPDATE")]
    values = [one.parameters.values() if isinstance(one.parameters, dict) else one.parameters for one in updates]
    assert [sorted(map(str, each or ())) for each in values] == [["3", "a"], ["5", "b"]]
    assert not any(one.synthetic for one in statements(recording))
    assert [" ".join(text.split()) for text in sql(recording)[-2:]] == ["DELETE FROM users", "DROP TABLE users"]


def test_an_inspector_sees_what_is_there_and_what_the_revision_has_made(database: Database, tmp_path: Path) -> None:
    body = """
        inspector = sa.inspect(op.get_bind())
        assert inspector.has_table("users") and not inspector.has_table("orders")
        assert {"users"} <= set(inspector.get_table_names())
        assert [column["name"] for column in inspector.get_columns("users")] == ["id", "name", "at", "kind"]
        assert isinstance(inspector.get_columns("users")[2]["type"], sa.DateTime)
        assert "ix_name" in [index["name"] for index in inspector.get_indexes("users")]
        assert sa.Table("users", sa.MetaData(), autoload_with=op.get_bind()).primary_key.columns.keys() == ["id"]
        op.add_column("users", sa.Column("nick", sa.Text()))
        op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True))
        inspector = sa.inspect(op.get_bind())
        assert inspector.has_table("orders") and {"users", "orders"} <= set(inspector.get_table_names())
        assert "nick" in [column["name"] for column in inspector.get_columns("users")]
        for row in op.get_bind().execute(sa.text("SELECT id, nick FROM users")):
            op.get_bind().execute(sa.text("UPDATE users SET nick = 'x' WHERE id = :id"), {"id": row.id})
    """
    recording = recorded(database, tmp_path, body)
    assert recording.error is None, recording.error
    assert [one.synthetic for one in statements(recording) if one.sql.startswith("UPDATE")] == [True]


def test_loops_that_wait_for_their_own_writes_end(database: Database, tmp_path: Path) -> None:
    body = """
        bind = op.get_bind()
        while bind.scalar(sa.text("SELECT count(*) FROM users WHERE name IS NOT NULL")):
            bind.execute(sa.text("UPDATE users SET name = NULL WHERE id < 4"))
        while True:
            rows = bind.execute(sa.text("SELECT id FROM users WHERE at IS NULL LIMIT 10")).fetchall()
            if not rows:
                break
            bind.execute(sa.text("UPDATE users SET at = '2026-01-01' WHERE id = :id"), {"id": rows[0][0]})
    """
    recording = recorded(database, tmp_path, body)
    assert recording.error is None
    assert not [event for event in recording.events if isinstance(event, Unseen)]


def test_many_rows_are_cut(database: Database, tmp_path: Path) -> None:
    base = """
        op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))
        users = sa.table("users", sa.column("id", sa.Integer))
        op.bulk_insert(users, [{"id": number} for number in range(1, 3001)])
    """
    body = """
        for row in op.get_bind().execute(sa.text("SELECT id FROM users")).fetchall():
            op.get_bind().execute(sa.text("DELETE FROM users WHERE id = :id"), {"id": row.id})
    """
    recording = recorded(database, tmp_path, body, base)
    assert len(statements(recording)) == MOST_ROWS + 1


def test_an_orm_session_and_helpers(database: Database, tmp_path: Path) -> None:
    head = """
        import enum
        from sqlalchemy.orm import DeclarativeBase, Session

        class Base(DeclarativeBase):
            pass

        class User(Base):
            __tablename__ = "users"
            id = sa.Column(sa.Integer, primary_key=True)
            name = sa.Column(sa.String(50))
            at = sa.Column(sa.DateTime)
    """
    body = """
        import safeops
        session = Session(bind=op.get_bind())
        for user in session.query(User).all():
            user.name = user.name.lower()
        session.commit()
        safeops.add_column_if_missing("users", sa.Column("nick", sa.Text()))
    """
    recording = recorded(database, tmp_path, body, head=head)
    assert recording.error is None
    assert [text.split()[0] for text in sql(recording)] == ["SELECT", "UPDATE"]
    assert [event.name for event in recording.events if isinstance(event, HelperSent)] == ["add_column_if_missing"]


@pytest.mark.only("postgresql")
def test_functions_that_act_are_not_called(database: Database, tmp_path: Path) -> None:
    body = """
        bind = op.get_bind()
        assert bind.scalar(sa.text("SELECT pg_try_advisory_lock(7)")) is True
        bind.execute(sa.text("SELECT pg_terminate_backend(pg_backend_pid())"))
        bind.execute(sa.text("SELECT set_config('default_transaction_read_only', 'off', false)"))
        bind.execute(sa.text("SELECT nextval('users_id_seq')"))
        bind.execute(sa.text("SELECT id FROM users FOR UPDATE"))
        bind.exec_driver_sql("WITH gone AS (DELETE FROM users RETURNING id) SELECT count(*) FROM gone")
        other = sa.create_engine(bind.engine.url)
        with other.begin() as connection:
            connection.execute(sa.text("DELETE FROM users"))
    """
    recording = recorded(database, tmp_path, body)
    assert recording.error is None
    assert len(statements(recording)) == 7
