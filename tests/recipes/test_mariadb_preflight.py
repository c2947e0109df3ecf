"""What an account or a server of MariaDB and MySQL cannot do is reported before the first change."""

import dataclasses
from contextlib import contextmanager

import pytest
import sqlalchemy as sa
from alembic import op
from tests.catalogue import snapshot
from tests.projects import migrate
from tests.servers import Database, MariaDB, MissingServer, start

from safeops import (
    ColumnRename,
    LockNotAcquired,
    TypeChange,
    UnsafeOperation,
    UnsupportedOnDatabase,
    add_required_column,
    backfill,
    drop_column_if_exists,
    migration_lock,
)

pytestmark = pytest.mark.only("mysql")

TABLE = ("CREATE TABLE t (id int PRIMARY KEY, a int, b int)", "INSERT INTO t (id, a) VALUES (1, 1), (2, 2)")
ADDED = sa.Column("r", sa.Integer, nullable=False)
WITH_TRIGGERS = {
    "rename": ColumnRename("t", "a", "c").expand,
    "type": TypeChange("t", "a", sa.BigInteger()).expand,
    "archive": lambda: drop_column_if_exists("t", "a", archive=True),
    "required": lambda: add_required_column("t", ADDED, populate=sa.text("a")),
}


@contextmanager
def account(database, *rights):
    """The database as an account sees it that has these rights on it."""
    user = f"few_{database.name}"
    database.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'few'")
    try:
        for right in rights:
            database.execute(f"GRANT {right} TO {user}@'%'")
        yield dataclasses.replace(database, url=database.url.set(username=user, password="few"))
    finally:
        database.execute(f"DROP USER {user}@'%'")


def refused(database, by, helper, error, match):
    before = snapshot(database)
    with pytest.raises(error, match=match) as raised:
        migrate(by, helper)
    assert snapshot(database) == before
    assert database.query("SHOW TABLES LIKE 'safeops%'") == []
    assert "Nothing was changed" in str(raised.value)
    return raised.value


@pytest.mark.only("mysql97")
@pytest.mark.parametrize("helper", WITH_TRIGGERS)
def test_an_account_that_cannot_create_triggers_with_a_binary_log(database, helper):
    database.execute(*TABLE)
    with account(database, f"ALL ON `{database.name}`.*") as few:
        error = refused(database, few, WITH_TRIGGERS[helper], UnsafeOperation, "1419")
        assert "log_bin_trust_function_creators = 1" in error.code
        database.execute("SET GLOBAL log_bin_trust_function_creators = 1")
        try:
            migrate(few, WITH_TRIGGERS[helper])
        finally:
            database.execute("SET GLOBAL log_bin_trust_function_creators = 0")


@pytest.mark.only("mysql97")
def test_another_account_than_that_of_expand_is_checked_before_the_switch(database):
    change = TypeChange("t", "a", sa.BigInteger)
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL)", "INSERT INTO t VALUES (1, 1)")
    migrate(database, change.expand)
    before = snapshot(database)
    with account(database, f"ALL ON `{database.name}`.*") as few:
        with pytest.raises(UnsafeOperation, match="1419") as raised:
            migrate(few, change.switch)
        assert "Nothing was changed" in str(raised.value)
        assert snapshot(database) == before


def test_an_account_without_the_right_to_triggers(database):
    database.execute(*TABLE)
    rights = f"SELECT, INSERT, UPDATE, DELETE, CREATE, DROP, ALTER, INDEX, LOCK TABLES ON `{database.name}`.*"
    with account(database, rights) as few:
        error = refused(database, few, WITH_TRIGGERS["rename"], UnsafeOperation, "1419|TRIGGER privilege on")
        if database.server.product == "mariadb":
            assert "GRANT TRIGGER" in error.code
            # On the table alone it is enough.
            database.execute(f"GRANT TRIGGER ON `{database.name}`.t TO {few.url.username}@'%'")
            assert migrate(few, WITH_TRIGGERS["rename"]) is True


@pytest.mark.only("mysql97")
def test_a_log_of_statements(database):
    database.execute(*TABLE, "SET GLOBAL binlog_format = STATEMENT", "SET GLOBAL log_bin_trust_function_creators = 1")
    try:
        with account(database, f"ALL ON `{database.name}`.*") as few:
            refused(database, few, WITH_TRIGGERS["rename"], UnsafeOperation, "binlog_format=STATEMENT")
            with pytest.raises(UnsafeOperation, match="binlog_format=STATEMENT"):
                migrate(few, lambda: backfill("t", {"b": sa.text("a")}))
        # An account that may changes it for the session, as long as rows are filled.
        assert migrate(database, WITH_TRIGGERS["rename"]) is True
        assert migrate(database, lambda: backfill("t", {"b": sa.text("a")})).rows == 2
    finally:
        database.execute("SET GLOBAL binlog_format = ROW", "SET GLOBAL log_bin_trust_function_creators = 0")


class Node(MariaDB):
    """A Galera cluster of one node."""

    settings = (
        *MariaDB.settings,
        "--binlog-format=ROW",
        "--innodb-autoinc-lock-mode=2",
        "--wsrep-on=ON",
        "--wsrep-provider=/usr/lib/galera/libgalera_smm.so",
        "--wsrep-cluster-address=gcomm://",
        "--wsrep-node-address=127.0.0.1",
        "--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:0;gcache.size=1M",
    )


@pytest.fixture(scope="module")
def node():
    """One that runs; Debian's mariadb-server brings the provider along."""
    try:
        like = start("mariadb")
    except MissingServer as error:
        pytest.skip(str(error))
    like.stop()
    server = Node(like.binary, like.client, like.dump)
    yield server
    server.stop()


@pytest.fixture
def cluster(node):
    database = Database(node.new_database(), node)
    yield database
    database.drop()


@pytest.mark.only("mariadb")
@pytest.mark.parametrize("helper", ["rename", "type", "archive"])
def test_what_locks_a_table_is_refused_in_a_cluster(cluster, helper):
    cluster.execute(*TABLE)
    refused(cluster, cluster, WITH_TRIGGERS[helper], UnsupportedOnDatabase, "Galera")


@pytest.mark.only("mariadb")
def test_rows_are_filled_in_a_cluster(cluster):
    cluster.execute(*TABLE)
    assert migrate(cluster, lambda: backfill("t", {"b": sa.text("a")})).rows == 2
    assert migrate(cluster, WITH_TRIGGERS["required"]).rows == 2


@pytest.mark.only("mariadb")
def test_the_runner_lock_of_a_cluster_is_a_row_that_all_nodes_see(cluster):
    holder = "SELECT name, runner LIKE 'process %', lease_until > UNIX_TIMESTAMP(SYSDATE(6)) FROM safeops_runner"
    with cluster.engine().connect() as first, cluster.engine().connect() as second:
        with migration_lock(first):
            [[name, *rest]] = cluster.query(holder)
            assert rest == [1, 1]
            with pytest.raises(LockNotAcquired, match="process"), migration_lock(second, timeout=0.1):
                pass
        # Of a runner that died the lease ends.
        cluster.execute(f"INSERT INTO safeops_runner VALUES ('{name}', 'dead', 'dead', 1)")
        with migration_lock(second, timeout=5):
            assert [tuple(row) for row in cluster.query(holder)] == [(name, 1, 1)]
    assert cluster.query("SELECT * FROM safeops_runner") == []


@pytest.mark.only("mariadb")
def test_a_runner_of_a_cluster_whose_lock_was_taken_gets_an_error(cluster, caplog):
    with cluster.engine().connect() as connection, migration_lock(connection):
        cluster.execute("UPDATE safeops_runner SET token = 'another'")
    assert "the migration lock was lost" in caplog.text


def test_what_a_dropped_fulltext_index_left_is_found_before_anything_is_copied(database):
    database.execute(
        "CREATE TABLE `T'ö_t` (id int PRIMARY KEY, a int, s varchar(20), FULLTEXT KEY ft (s))",
        "INSERT INTO `T'ö_t` VALUES (1, 1, 'x')",
        "ALTER TABLE `T'ö_t` DROP INDEX ft",
    )
    before = snapshot(database)
    for helper in (
        ColumnRename("T'ö_t", "a", "c").expand,
        lambda: drop_column_if_exists("T'ö_t", "a", archive=True),
    ):
        with pytest.raises(UnsafeOperation, match="hidden column") as raised:
            migrate(database, helper)
        assert snapshot(database) == before
    migrate(database, lambda: exec(raised.value.code, {"op": op}))
    assert migrate(database, helper) is True
