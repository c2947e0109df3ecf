"""The guard on MariaDB, MySQL and SQLite: a handful of what is safe there, and of what is not."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.configured import Configured

from safeops import UnsafeOperation

RAISE = 'guard="raise", lock_timeout=2.0'
ROWS = 5_000
NUMBERS = (
    f"WITH RECURSIVE n (id) AS (SELECT 1 UNION ALL SELECT id + 1 FROM n WHERE id < {ROWS}) SELECT id, 'x', 1 FROM n"
)


@pytest.fixture
def users(database):
    limit = {"mysql": ["SET SESSION max_recursive_iterations = 10000"]}.get(database.kind, [])
    if database.server.__class__.__name__ == "MySQL":
        limit = ["SET SESSION cte_max_recursion_depth = 10000"]
    fill = f"INSERT INTO users {NUMBERS}"
    database.execute(
        "CREATE TABLE users (id int PRIMARY KEY, name varchar(50), age int)",
        "CREATE TABLE nobody (id int PRIMARY KEY, name varchar(50))",
        *limit,
        fill,
        "ANALYZE TABLE users" if database.kind == "mysql" else "ANALYZE",
    )
    return database


def columns(users, table="users"):
    return {column["name"]: str(column["type"]) for column in sa.inspect(users.observer()).get_columns(table)}


SAFE = {
    "a column": "op.add_column('users', sa.Column('nick', sa.String(20)))",
    "a table": "op.create_table('t', sa.Column('id', sa.Integer, primary_key=True))\n"
    "op.create_index('ix_t', 't', ['id'])",
    "few rows": "op.execute('UPDATE users SET age = 2 WHERE id < 50')",
    "an index of an empty table": "op.create_index('ix', 'nobody', ['name'])",
    "a drop of an empty table": "op.drop_table('nobody')",
    "a helper": "from safeops import create_index_if_missing\ncreate_index_if_missing('ix', 'users', ['name'])",
    "assured": "from safeops import assured\nwith assured('at night'):\n    op.execute('UPDATE users SET age = 2')",
}
UNSAFE = {
    "all rows": "op.execute('UPDATE users SET age = 2')",
    "a drop": "op.drop_table('users')",
    "a column's drop": "op.drop_column('users', 'age')",
}


@pytest.mark.only("mysql", "sqlite")
@pytest.mark.parametrize("case", SAFE)
def test_what_is_safe_passes(users, tmp_path, case):
    Configured(tmp_path, users, {"r1": (SAFE[case], "pass")}, settings=RAISE).upgrade()


@pytest.mark.only("mysql", "sqlite")
@pytest.mark.parametrize("case", UNSAFE)
def test_what_is_unsafe_is_refused(users, tmp_path, case):
    project = Configured(tmp_path, users, {"r1": (UNSAFE[case], "pass")}, settings=RAISE)
    with pytest.raises(UnsafeOperation, match="Nothing of this statement was done"):
        project.upgrade()
    assert users.query("SELECT count(*) FROM users WHERE age = 1") == [(ROWS,)]


@pytest.mark.only("mysql")
def test_a_type_that_copies_the_table_is_refused(users, tmp_path):
    body = "op.alter_column('users', 'age', existing_type=sa.Integer(), type_=sa.BigInteger())"
    with pytest.raises(UnsafeOperation, match="type-rewrites"):
        Configured(tmp_path, users, {"r1": (body, "pass")}, settings=RAISE).upgrade()
    assert columns(users)["age"].startswith("INTEGER")


@pytest.mark.only("sqlite")
def test_batch_mode_that_copies_the_table_is_refused(users, tmp_path):
    body = "with op.batch_alter_table('users') as batch:\n    batch.alter_column('age', type_=sa.String(20))"
    with pytest.raises(UnsafeOperation):
        Configured(tmp_path, users, {"r1": (body, "pass")}, settings=RAISE).upgrade()
    assert columns(users)["age"] == "INTEGER"
