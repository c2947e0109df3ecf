"""Keys of MariaDB and MySQL that the servers tie down: by the partitioning of their table, and by foreign keys."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.projects import migrate
from tests.servers import Database

from safeops import (
    DefinitionMismatch,
    DependentObjects,
    SafeOpsError,
    TypeChange,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    add_column_if_missing,
    alter_column_type,
    assured,
    backfill,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
)

pytestmark = pytest.mark.only("mysql")

RUNS = {
    one.__name__: one
    for one in (
        alter_column_type,
        assured,
        create_foreign_key_if_missing,
        create_unique_constraint_if_missing,
        drop_constraint_if_exists,
    )
}


def follow(database: Database, error: SafeOpsError) -> None:
    """Run the code that an error shows."""
    migrate(database, lambda: exec(error.code, {**RUNS, "sa": sa}))


def shown(database: Database, table: str) -> str:
    return str(database.query(f"SHOW CREATE TABLE `{table}`")[0][1])


def test_a_key_that_lacks_a_column_of_the_partitioning_is_refused_first(database: Database) -> None:
    database.execute(
        "CREATE TABLE ev (id int NOT NULL, `The Day` date NOT NULL, a int, b int NOT NULL)"
        " PARTITION BY RANGE (YEAR(`The Day`)) SUBPARTITION BY HASH (b) SUBPARTITIONS 2"
        " (PARTITION p0 VALUES LESS THAN (2020), PARTITION p1 VALUES LESS THAN MAXVALUE)",
        "INSERT INTO ev VALUES (1, '2024-01-01', 1, 1)",
        "CREATE TABLE other (id int PRIMARY KEY)",
        "CREATE TABLE k (id int PRIMARY KEY, a int) PARTITION BY KEY () PARTITIONS 2",
    )
    before = shown(database, "ev")
    for refused, code in (
        (lambda: create_primary_key_if_missing("pk", "ev", ["id"]), '["id", "The Day", "b"]'),
        (lambda: create_index_if_missing("ix", "ev", ["a", "B"], unique=True), '["a", "B", "The Day"], unique=True'),
        (lambda: add_column_if_missing("ev", sa.Column("c", sa.Integer, unique=True)), '["c", "The Day", "b"]'),
        (lambda: create_unique_constraint_if_missing("uq", "k", ["a"]), '["a", "id"]'),
        (lambda: create_unique_constraint_if_missing("uq", "ev", ["a"]), '["a", "The Day", "b"]'),
    ):
        with pytest.raises(UnsafeOperation) as error:
            migrate(database, refused)
        assert code in error.value.code
        assert shown(database, "ev") == before
    with pytest.raises(UnsupportedOnDatabase):
        migrate(database, lambda: add_column_if_missing("ev", sa.Column("c", sa.Integer, sa.ForeignKey("other.id"))))
    with pytest.raises(UnsupportedOnDatabase):
        migrate(database, lambda: create_foreign_key_if_missing("fk", "other", "k", ["id"], ["id"]))
    with pytest.raises(DependentObjects, match="partitioning"):
        migrate(database, lambda: drop_column_if_exists("ev", "b"))
    assert shown(database, "ev") == before
    follow(database, error.value)
    assert "UNIQUE KEY `uq` (`a`,`The Day`,`b`)" in shown(database, "ev")


def test_the_type_of_a_key_changes_on_all_sides_by_the_code_of_the_message(database: Database) -> None:
    database.execute(
        "CREATE TABLE `Par'ent` (Id int NOT NULL AUTO_INCREMENT PRIMARY KEY, up int, CONSTRAINT self FOREIGN KEY (up)"
        " REFERENCES `Par'ent` (Id))",
        "CREATE TABLE child (id int PRIMARY KEY, pid int NOT NULL, CONSTRAINT fk FOREIGN KEY (pid) REFERENCES `Par'ent` (Id)"
        " ON DELETE CASCADE)",
        "INSERT INTO `Par'ent` VALUES (1, 1)",
        "INSERT INTO child VALUES (1, 1)",
    )
    for table, column in (("Par'ent", "Id"), ("child", "pid")):
        with pytest.raises(UnsupportedOnDatabase) as unsupported:
            migrate(database, TypeChange(table, column, sa.BigInteger).expand)
        with pytest.raises(DependentObjects) as error:
            migrate(database, lambda table=table, column=column: alter_column_type(table, column, sa.BigInteger))
        assert error.value.code == unsupported.value.code
    follow(database, error.value)
    child, parent = shown(database, "child"), shown(database, "Par'ent")
    assert "`pid` bigint" in child
    assert "FOREIGN KEY (`pid`) REFERENCES `Par'ent` (`Id`) ON DELETE CASCADE" in child
    assert "`up` bigint" in parent
    assert "NOT NULL AUTO_INCREMENT" in parent
    assert not migrate(database, lambda: alter_column_type("Par'ent", "Id", sa.BigInteger))


def test_the_type_of_a_lonely_key_is_not_sent_in_a_circle(database: Database) -> None:
    database.execute("CREATE TABLE t (id int NOT NULL AUTO_INCREMENT PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    with pytest.raises(UnsafeOperation) as error:
        migrate(database, lambda: alter_column_type("t", "id", sa.BigInteger))
    follow(database, error.value)
    assert "`id` bigint" in shown(database, "t")


@pytest.mark.only("mysql97")
def test_the_key_that_the_server_made_gives_way_online(database: Database) -> None:
    with database.observer().connect() as connection:
        for sql in (
            "SET SESSION sql_generate_invisible_primary_key = ON",
            "CREATE TABLE t (a int, `b'c` int)",
            "INSERT INTO t VALUES (1, 1), (2, NULL)",
            "COMMIT",
        ):
            connection.exec_driver_sql(sql)
    with pytest.raises(ViolatingRows):
        migrate(database, lambda: create_primary_key_if_missing("pk", "t", ["a", "b'c"]))
    assert "PRIMARY KEY (`my_row_id`)" in shown(database, "t")
    assert migrate(database, lambda: create_primary_key_if_missing("pk", "t", ["a"]))
    assert "PRIMARY KEY (`a`)" in shown(database, "t")
    assert "my_row_id" not in shown(database, "t")
    assert not migrate(database, lambda: create_primary_key_if_missing("pk", "t", ["a"]))


@pytest.mark.only("mysql97")
def test_a_key_in_descending_order_is_a_key(database: Database) -> None:
    database.execute(
        "CREATE TABLE t (a int, `b'c` int, x int NOT NULL, v int, PRIMARY KEY (a, `b'c` DESC), UNIQUE KEY uq (x DESC))",
        "INSERT INTO t VALUES (1, 1, 1, NULL), (1, 2, 2, NULL), (2, 1, 3, NULL), (-1, 7, 4, NULL)",
    )
    report = migrate(database, lambda: backfill("t", {"v": sa.text("a * 10 + x")}, batch_size=1))
    assert (report.rows, report.remaining) == (4, 0)
    assert database.query("SELECT v - a * 10 - x FROM t") == [(0,)] * 4
    assert not migrate(database, lambda: create_primary_key_if_missing("pk", "t", ["a", "b'c"]))
    assert not migrate(database, lambda: create_unique_constraint_if_missing("uq", "t", ["x"]))
    with pytest.raises(DefinitionMismatch):
        migrate(database, lambda: create_primary_key_if_missing("pk", "t", ["a", "x"]))
    assert migrate(database, lambda: drop_constraint_if_exists("uq", "t", type_="unique"))
    assert "uq" not in shown(database, "t")
