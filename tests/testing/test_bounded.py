"""A statement that waits for a lock without a bound is found, with its lock and what to write; others are not."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.servers import Database
from tests.testing.kits import PLAIN
from tests.testing.users import USERS, kit_over

from safeops.testing.checks.bounded import check
from safeops.testing.failing import Failed, Untestable

SERVERS = ("pg18", "mariadb", "mysql97")
ADD = 'op.add_column("users", sa.Column("x", sa.Integer))'
VARIABLE = {"postgresql": "lock_timeout = '{}s'", "mysql": "SESSION lock_wait_timeout = {}"}


def found(folder: Path, database: Database, body: str) -> str:
    with kit_over(folder, database, body) as kit, pytest.raises(Failed) as caught:
        check(kit, kit.project.revision("0002"))
    return str(caught.value)


def bound(database: Database, seconds: int) -> str:
    """A statement that sets the bound of the session; 0 is none on PostgreSQL."""
    return f"op.execute({f'SET {VARIABLE[database.kind].format(seconds)}'!r})"


@pytest.mark.only(*SERVERS)
def test_a_plain_statement_without_a_bound(database: Database, tmp_path: Path) -> None:
    said = found(tmp_path, database, ADD)
    assert said.startswith("Revision 0002 makes others wait for users for as long as one open transaction uses it.")
    assert "the statement: ALTER TABLE users ADD COLUMN x INTEGER" in said
    lock = "ACCESS EXCLUSIVE" if database.kind == "postgresql" else "table metadata lock"
    assert f"It needs {lock} on users. It waits until that transaction ends" in said
    assert "a read waited 1." in said
    assert said.endswith('\n    add_column_if_missing("users", sa.Column("x", sa.Integer()))')


@pytest.mark.only(*SERVERS)
def test_a_bound_that_is_too_long(database: Database, tmp_path: Path) -> None:
    said = found(tmp_path, database, f"{bound(database, 60)}\n{ADD}")
    assert "It gives up after 60 s only" in said
    assert said.endswith('add_column_if_missing("users", sa.Column("x", sa.Integer()))')
    assert "a read waited 2." in said


@pytest.mark.only(*SERVERS)
def test_a_later_statement_without_a_bound(database: Database, tmp_path: Path) -> None:
    """The statement before it gives up, and ends the first upgrade: in a second one the later statement is tried."""
    longest = 0 if database.kind == "postgresql" else 600
    body = f"""
with op.get_context().autocommit_block():
    {bound(database, 1)}
    {ADD}
    {bound(database, longest)}
    op.create_index("ix_users_name", "users", ["name"])
"""
    said = found(tmp_path, database, body)
    assert "the statement: CREATE INDEX ix_users_name ON users (name)" in said


@pytest.mark.only(*SERVERS)
def test_a_statement_that_names_no_table(database: Database, tmp_path: Path) -> None:
    dropped = (
        "DROP INDEX ix_users_name" if database.kind == "postgresql" else "ALTER TABLE users DROP INDEX ix_users_name"
    )
    bodies = 'op.create_index("ix_users_name", "users", ["name"])', f"op.execute({dropped!r})"
    with kit_over(tmp_path, database, *bodies) as kit, pytest.raises(Failed) as caught:
        check(kit, kit.project.revision("0003"))
    assert f"the statement: {dropped}" in str(caught.value)


@pytest.mark.only("pg18")
def test_rows_that_an_update_holds_while_it_waits_for_another_one(database: Database, tmp_path: Path) -> None:
    said = found(tmp_path, database, 'op.execute("UPDATE users SET age = 1")')
    assert "a write waited 1." in said
    assert "a read waited 0.0 s" in said
    assert 'backfill("users", {"age":' in said


@pytest.mark.only("pg18")
def test_a_table_of_another_schema(database: Database, tmp_path: Path) -> None:
    first = f"op.execute('CREATE SCHEMA \"Shop\"')\n{USERS.strip()[:-1]}    schema='Shop',\n)"
    body = "op.execute('UPDATE \"Shop\".users SET age = 1')"
    with kit_over(tmp_path, database, body, first=first) as kit, pytest.raises(Failed) as caught:
        check(kit, kit.project.revision("0002"))
    said = str(caught.value)
    assert said.startswith("Revision 0002 makes others wait for Shop.users ")
    assert said.endswith('backfill("users", {"age": sa.text(...)}, where=True, schema="Shop")')


@pytest.mark.only("pg18")
def test_a_lock_that_no_helper_takes_with_a_longer_timeout(database: Database, tmp_path: Path) -> None:
    """configure() keeps the timeout, so it is not what to write."""
    said = found(tmp_path, database, f"{bound(database, 60)}\nop.execute('LOCK TABLE users')")
    assert "It needs ACCESS EXCLUSIVE on users. It gives up after 60 s only" in said
    assert "the role or the server, and configure() keeps it. Remove it, or write before the statement:" in said
    assert said.endswith("""op.execute("SET LOCAL lock_timeout = '2s'")""")


SOUND = {
    "a bound of its own": "BOUND\nop.add_column('users', sa.Column('x', sa.Integer))",
    "helpers": """
        add_column_if_missing("users", sa.Column("x", sa.Integer))
        create_index_if_missing("ix_users_x", "users", ["x"])
        enforce_not_null("users", "name")
    """,
    "a recipe": 'ColumnRename("users", "name", "full_name").expand()',
    "a table that nobody has": 'op.create_table("other", sa.Column("id", sa.Integer, primary_key=True))',
    "a few new rows": "op.execute(\"INSERT INTO users (id, name, email) VALUES (1000, 'a', 'a')\")",
}


@pytest.mark.only(*SERVERS)
@pytest.mark.parametrize("body", SOUND.values(), ids=SOUND)
def test_no_long_wait_for(body: str, database: Database, tmp_path: Path) -> None:
    with kit_over(tmp_path, database, body.replace("BOUND", bound(database, 1))) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.only(*SERVERS)
def test_plain_statements_that_safeops_bounds(database: Database, tmp_path: Path) -> None:
    begin = f"from safeops import configure\n        configure()\n        {PLAIN}"
    body = f'{ADD}\nop.create_index("ix_users_name", "users", ["name"])\nop.execute("UPDATE users SET age = 1")'
    with kit_over(tmp_path, database, body, begin=begin) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.only(*SERVERS)
def test_a_block_with_a_longer_timeout(database: Database, tmp_path: Path) -> None:
    body = 'with lock_timeout(30):\n    add_column_if_missing("users", sa.Column("x", sa.Integer))'
    assert "It gives up after 30 s only" in found(tmp_path, database, body)


@pytest.mark.only("pg18")
def test_an_online_build_waits_and_blocks_nothing(database: Database, tmp_path: Path) -> None:
    body = """
        with op.get_context().autocommit_block():
            op.create_index("ix_users_name", "users", ["name"], postgresql_concurrently=True)
    """
    with kit_over(tmp_path, database, body) as kit:
        check(kit, kit.project.revision("0002"))


@pytest.mark.only("sqlite")
def test_sqlite_has_no_locks_of_tables(database: Database, tmp_path: Path) -> None:
    with kit_over(tmp_path, database, ADD) as kit, pytest.raises(Untestable) as caught:
        check(kit, kit.project.revision("0002"))
    assert "wait for it 5 s at most, the busy timeout of their connection" in str(caught.value)


@pytest.mark.only("sqlite")
def test_a_long_busy_timeout(database: Database, tmp_path: Path) -> None:
    said = found(tmp_path, database, f'op.execute("PRAGMA busy_timeout = 60000")\n{ADD}')
    assert said.startswith("Revision 0002 waits up to 60 s for the file of the database.")
