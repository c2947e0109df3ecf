"""The SQL that is rendered for MariaDB, run in its own client, twice."""

import pytest
import sqlalchemy as sa
from tests.catalogue import snapshot
from tests.projects import migrate, render, run_sql

from safeops import (
    OnlineOnly,
    add_column_if_missing,
    alter_column_type,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_schema_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    drop_schema_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    relax_not_null,
    set_server_default,
    settings,
)

pytestmark = pytest.mark.only("mysql")

PREPARE = ("CREATE TABLE parent (id int PRIMARY KEY, code int)", "INSERT INTO parent VALUES (1, 1)")
NAME = 'it\'s `a` "b" 100% :x'


def up():
    create_table_if_missing(
        NAME,
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("p", sa.Integer, index=True),
        sa.UniqueConstraint("p", name=NAME[:-1]),
        comment="it's \\ :x 100%",
    )
    add_column_if_missing(NAME, sa.Column(NAME, sa.String(30), server_default="it's \\ :x 100%s", comment=NAME))
    create_index_if_missing("ix; --", NAME, [NAME, "p"])
    create_unique_constraint_if_missing("uq", NAME, [NAME])
    create_foreign_key_if_missing(NAME, NAME, "parent", ["p"], ["id"], ondelete="CASCADE")
    create_check_constraint_if_missing("ck", NAME, "p <> 7 AND p > -1")
    set_server_default(NAME, "p", "1")


def down():
    set_server_default(NAME, "p", None)
    set_server_default(NAME, NAME, None)
    drop_constraint_if_exists("ck", NAME, type_="check")
    drop_constraint_if_exists(NAME, NAME, type_="foreignkey")
    drop_constraint_if_exists("uq", NAME)
    drop_index_if_exists("ix; --", NAME)
    drop_column_if_exists(NAME, NAME)


def test_up_twice_and_down_twice(new_database):
    online, offline = new_database(), new_database()
    for database in (online, offline):
        database.execute(*PREPARE)
    migrate(online, up)
    script = render(offline, up)
    for _ in range(2):
        run_sql(offline, script)
        assert snapshot(offline) == snapshot(online)
    migrate(online, down)
    back = render(offline, down)
    for _ in range(2):
        run_sql(offline, back)
        assert snapshot(offline) == snapshot(online)
    for _ in range(2):
        run_sql(offline, render(offline, lambda: drop_table_if_exists(NAME)))


def test_a_key_over_orphans_stops_the_script_and_leaves_nothing(database):
    database.execute(
        *PREPARE, "CREATE TABLE child (id int PRIMARY KEY, p int)", "INSERT INTO child VALUES (1, 1), (2, 99)"
    )
    script = render(database, lambda: create_foreign_key_if_missing("fk", "child", "parent", ["p"], ["id"]))
    with pytest.raises(Exception, match="rows refer to nothing"):
        run_sql(database, script)
    assert "FOREIGN KEY" not in snapshot(database)
    database.execute("DELETE FROM child WHERE p = 99")
    for _ in range(2):
        run_sql(database, script)
    assert "FOREIGN KEY" in snapshot(database)


def test_the_timeout_is_restored(database):
    database.execute(*PREPARE)

    def body():
        with settings(lock_timeout=1.2, statement_timeout=5):
            add_column_if_missing("parent", sa.Column("a", sa.Integer))

    bound, zero = {"mariadb": ("max_statement_time", "0.000000"), "mysql": ("max_execution_time", "0")}[
        database.server.product
    ]
    variables = f"SELECT @@lock_wait_timeout, @@innodb_lock_wait_timeout, @@{bound}, @@foreign_key_checks"
    script = f"SET SESSION lock_wait_timeout = 77;\n{render(database, body)}\n{variables}"
    assert "lock_wait_timeout = 2," in script
    assert run_sql(database, script).split()[-4:] == ["77", "50", zero, "1"]


def test_a_primary_key(database):
    database.execute("CREATE TABLE t (a int NOT NULL)", "INSERT INTO t VALUES (1)")
    before = snapshot(database)
    for _ in range(2):
        run_sql(database, render(database, lambda: create_primary_key_if_missing("pk", "t", ["a"])))
    assert "PRIMARY KEY (`a`)" in snapshot(database)
    for _ in range(2):
        run_sql(database, render(database, lambda: drop_constraint_if_exists("pk", "t", type_="primary")))
    assert snapshot(database) == before


def test_schemas(database):
    schema = f"{database.name} `x`"
    for _ in range(2):
        run_sql(database, render(database, lambda: create_schema_if_missing(schema)))
    assert migrate(database, lambda: drop_schema_if_exists(schema)) is True
    with pytest.raises(OnlineOnly):
        render(database, lambda: drop_schema_if_exists(schema))


@pytest.mark.parametrize(
    "body",
    [
        lambda: enforce_not_null("parent", "code"),
        lambda: relax_not_null("parent", "code"),
        lambda: alter_column_type("parent", "code", sa.BigInteger()),
        lambda: add_column_if_missing("parent", sa.Column("a", sa.Integer, nullable=False)),
        lambda: add_column_if_missing("parent", sa.Column("a", sa.String(40), server_default=sa.text("uuid()"))),
    ],
)
def test_what_needs_the_table(database, body):
    with pytest.raises(OnlineOnly, match="--sql"):
        render(database, body)
