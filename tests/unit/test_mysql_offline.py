"""What is rendered for MySQL, by its text: guarded by prepared statements. tests/operations run it on 9.7."""

import re

import pytest
import sqlalchemy as sa
from tests.projects import render

from safeops import (
    OnlineOnly,
    UnsupportedOnDatabase,
    add_column_if_missing,
    create_check_constraint_if_missing,
    create_enum_if_missing,
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
)
from safeops.databases import abilities_of
from safeops.databases.mysql import MySQL, showcreate, spelling
from safeops.databases.mysql.catalogue import definition_of, table_of
from safeops.naming import Name

URL = "mysql+pymysql://host/app"
GUARDED = [
    (
        lambda: add_column_if_missing("t", sa.Column("a", sa.Integer)),
        "COLUMNS",
        "= 0",
        "ADD COLUMN a INTEGER, ALGORITHM=INSTANT",
    ),
    (lambda: drop_column_if_exists("t", "a"), "COLUMNS", "> 0", "DROP COLUMN a, ALGORITHM=INPLACE, LOCK=NONE"),
    (
        lambda: create_index_if_missing("ix", "t", ["a"]),
        "STATISTICS",
        "= 0",
        "INDEX ix ON t (a) ALGORITHM=INPLACE LOCK=NONE",
    ),
    (lambda: drop_index_if_exists("ix", "t"), "STATISTICS", "> 0", "DROP INDEX ix, ALGORITHM=INPLACE, LOCK=NONE"),
    (
        lambda: create_unique_constraint_if_missing("uq", "t", ["a"]),
        "STATISTICS",
        "= 0",
        "CREATE UNIQUE INDEX uq ON t (a)",
    ),
    (
        lambda: create_primary_key_if_missing("pk", "t", ["a"]),
        "STATISTICS",
        "NOT EXISTS",
        "ADD PRIMARY KEY (a), ALGORITHM=",
    ),
    (
        lambda: create_check_constraint_if_missing("ck", "t", "a > 0"),
        "TABLE_CONSTRAINTS",
        "= 0",
        "ADD CONSTRAINT ck CHECK (a > 0)",
    ),
    (
        lambda: create_foreign_key_if_missing("fk", "t", "p", ["a"], ["id"]),
        "TABLE_CONSTRAINTS",
        "= 0",
        "ADD CONSTRAINT fk FOREIGN KEY (a) REFERENCES p (id), ALGORITHM=INPLACE, LOCK=NONE",
    ),
    (
        lambda: drop_constraint_if_exists("fk", "t", type_="foreignkey"),
        "TABLE_CONSTRAINTS",
        "> 0",
        "DROP FOREIGN KEY fk",
    ),
    (lambda: drop_constraint_if_exists("ck", "t", type_="check"), "TABLE_CONSTRAINTS", "> 0", "DROP CONSTRAINT ck"),
    (
        lambda: set_server_default("t", "a", sa.text("now()")),
        "COLUMNS",
        "EXISTS",
        "SET DEFAULT (now()), ALGORITHM=INSTANT",
    ),
    (lambda: set_server_default("t", "a", None), "COLUMNS", "EXISTS", "DROP DEFAULT, ALGORITHM=INSTANT"),
]


@pytest.mark.parametrize("body, view, guard, statement", GUARDED)
def test_each_statement_is_guarded_by_a_look_into_the_catalogue(body, view, guard, statement):
    script = render(URL, body)
    assert f"information_schema.{view}" in script
    assert guard in script
    assert statement in script
    assert (
        script.count("PREPARE safeops FROM")
        == script.count("EXECUTE safeops")
        == script.count("DEALLOCATE PREPARE safeops")
    )
    assert not re.search(r"(ADD|DROP|CREATE)[ \w]* IF (NOT )?EXISTS", script)
    assert "INSTANT, LOCK" not in script
    assert script.index("SET SESSION lock_wait_timeout = 2") < script.index(statement)
    assert "lock_wait_timeout = @safeops_lock_wait_timeout" in script


@pytest.mark.parametrize(
    "body, statement",
    [
        (lambda: create_table_if_missing("t", sa.Column("a", sa.Integer), comment="x"), "CREATE TABLE IF NOT EXISTS t"),
        (lambda: drop_table_if_exists("t"), "DROP TABLE IF EXISTS t"),
        (lambda: create_schema_if_missing("s"), "CREATE DATABASE IF NOT EXISTS s"),
    ],
)
def test_what_guards_itself(body, statement):
    assert statement in render(URL, body)


def test_schemas_and_quotes():
    script = render(URL, lambda: add_column_if_missing("o'neil \\", sa.Column("a`b", sa.Text), schema="other"))
    assert r"TABLE_SCHEMA = 'other' AND TABLE_NAME = 'o''neil \\' AND COLUMN_NAME = 'a`b'" in script
    assert r"'ALTER TABLE other.`o''neil \\` ADD COLUMN `a``b` TEXT, ALGORITHM=INSTANT'" in script


def test_foreign_keys_are_added_unchecked_and_then_checked():
    script = render(
        URL, lambda: create_foreign_key_if_missing("fk", "t", "p", ["a", "b"], ["x", "y"], ondelete="CASCADE")
    )
    places = [
        script.index(one)
        for one in ("foreign_key_checks = 0", "ADD CONSTRAINT fk", "SET @safeops_orphans", "DROP FOREIGN KEY fk")
    ]
    assert places == sorted(places)
    assert "foreign_key_checks = @safeops_foreign_key_checks" in script


@pytest.mark.parametrize(
    "body",
    [
        lambda: enforce_not_null("t", "a"),
        lambda: relax_not_null("t", "a"),
        lambda: drop_schema_if_exists("s"),
        lambda: set_server_default("t", "a", sa.text("now() ON UPDATE now()")),
    ],
)
def test_what_needs_the_table(body):
    with pytest.raises(OnlineOnly):
        render(URL, body)


def test_what_it_has_not():
    with pytest.raises(UnsupportedOnDatabase):
        render(URL, lambda: create_unique_constraint_if_missing("uq", "t", ["a"], deferrable=True))
    assert render(URL, lambda: create_enum_if_missing("mood", ["a"])).strip() == ""
    assert abilities_of("mysql", (8, 0, 36)).has_expression_indexes
    assert not abilities_of("mysql", (8, 0, 12)).has_expression_indexes
    assert not abilities_of("mariadb", (10, 11, 6)).has_expression_indexes
    with pytest.raises(OnlineOnly, match="blocks writes"):
        render(URL, lambda: create_index_if_missing("ix", "t", [sa.text("(lower(a))")]))
    columns = [sa.Column("a", sa.String(9)), sa.Index("ix", sa.text("lower(a) DESC"))]
    assert "((lower(a)) DESC)" in render(URL, lambda: create_table_if_missing("t", *columns))


# --- reading SHOW CREATE TABLE of MySQL ------------------------------------------------------------------

SHOWN = r"""CREATE TABLE `t, (x` (
  `id` int unsigned NOT NULL AUTO_INCREMENT,
  `we``ird, (name` varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NOT NULL DEFAULT 'it''s, \\ (' COMMENT 'a, b\n',
  `hidden` int DEFAULT NULL /*!80023 INVISIBLE */,
  `at` datetime(3) DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3),
  `u` char(36) DEFAULT (uuid()),
  `g` int GENERATED ALWAYS AS ((`id` + 1)) STORED NOT NULL,
  `doc` json DEFAULT NULL,
  PRIMARY KEY (`id`),
  UNIQUE KEY `uq` (`hidden`),
  KEY `low` ((lower(`u`)),`at` DESC) /*!80000 INVISIBLE */,
  KEY `part` (`we``ird, (name`(5)) USING BTREE COMMENT 'c''c',
  FULLTEXT KEY `ft` (`u`) /*!50100 WITH PARSER `ngram` */ ,
  CONSTRAINT `fk` FOREIGN KEY (`hidden`) REFERENCES `other`.`p` (`id`) ON DELETE SET NULL ON UPDATE RESTRICT,
  CONSTRAINT `ck` CHECK ((`id` > 0)),
  CONSTRAINT `off` CHECK ((`id` < 9)) /*!80016 NOT ENFORCED */
) ENGINE=InnoDB AUTO_INCREMENT=4 DEFAULT CHARSET=utf8mb4 COLLATE=utf8mb4_0900_ai_ci COMMENT='it''s'
/*!50100 PARTITION BY HASH (`id`)
PARTITIONS 2 */"""


def test_a_table_of_mysql_is_read():
    table = table_of(SHOWN, Name("t, (x", "app"))
    weird = table.columns["we`ird, (name"]
    assert list(table.columns) == ["id", "we`ird, (name", "hidden", "at", "u", "g", "doc"]
    assert (weird.type, weird.nullable, weird.collation, weird.comment) == (
        "varchar(20)",
        False,
        "latin1_bin",
        "a, b\n",
    )
    assert table.columns["at"].default == "current_timestamp(3) ON UPDATE current_timestamp(3)"
    assert (table.columns["u"].default, table.columns["id"].identity) == ("uuid()", "auto_increment")
    assert table.columns["g"].computed == "(id + 1) stored"
    assert table.comment == "it's"
    assert (table.indexes["ft"].method, table.indexes["part"].names, table.indexes["part"].comment) == (
        "fulltext",
        ("we`ird, (name",),
        "c'c",
    )
    key = table.constraints["fk"]
    assert (key.columns, key.referent, key.remote, key.ondelete, key.onupdate) == (
        ("hidden",),
        Name("p", "other"),
        ("id",),
        "SET NULL",
        None,
    )
    assert (table.constraints["ck"].valid, table.constraints["off"].valid) == (True, False)
    assert table.primary_key == ("id",)


def test_a_changed_definition_repeats_everything_else():
    table = table_of(SHOWN, Name("t", "app"))
    weird = str(definition_of(table, "WE`IRD, (NAME").with_(NULL="NULL"))
    assert weird == r"varchar(20) CHARACTER SET latin1 COLLATE latin1_bin NULL DEFAULT 'it''s, \\ (' COMMENT 'a, b\n'"
    assert str(definition_of(table, "hidden").with_(type="bigint")) == "bigint DEFAULT NULL INVISIBLE"
    assert "ON UPDATE CURRENT_TIMESTAMP(3)" in str(definition_of(table, "at"))
    assert str(definition_of(table, "g")) == "int GENERATED ALWAYS AS ((`id` + 1)) STORED NOT NULL"


@pytest.mark.parametrize(
    "one, other",
    [
        ("BOOL", "tinyint(1)"),
        ("INTEGER", "int(11)"),
        ("int unsigned", "INT(10) UNSIGNED"),
        ("NUMERIC", "decimal(10,0)"),
        ("NUMERIC(8, 2)", "decimal(8,2)"),
        ("FLOAT(53)", "double"),
        ("DOUBLE PRECISION", "double"),
        ("CHAR", "char(1)"),
        ("ENUM('a','B, c')", "enum('a','B, c')"),
        ("DATETIME(0)", "datetime"),
    ],
)
def test_types_that_are_the_same(one, other):
    assert spelling.type_name(one) == spelling.type_name(other)


@pytest.mark.parametrize(
    "one, other",
    [("tinyint(1)", "tinyint(4)"), ("ENUM('a')", "enum('A')"), ("int", "int unsigned"), ("bit(1)", "bit(2)")],
)
def test_types_that_are_not(one, other):
    assert spelling.type_name(one) != spelling.type_name(other)


def test_what_widens():
    assert spelling.widened("varchar(10)", "varchar(20)")
    assert not spelling.widened("varchar(20)", "varchar(10)")
    assert spelling.widened("enum('a', 'b')", "enum('a', 'b', 'c')")
    assert not spelling.widened("enum('a', 'b')", "enum('b', 'a', 'c')")
    assert not spelling.widened("int", "bigint")


def test_atoms():
    assert showcreate.atoms("a (b, 'c)') , `d ``e`(3) DESC") == ["a", "(b, 'c)')", ",", "`d ``e`(3)", "DESC"]
    assert issubclass(type(abilities_of("mariadb").database), MySQL)


@pytest.mark.parametrize("depth", [1, 6, 7, 8, 40])
def test_parentheses_are_read_at_any_depth(depth):
    nested = "(" * depth + "a, ')', (b) c" + ")" * depth
    assert showcreate.atoms(f"x {nested}y , z") == ["x", f"{nested}y", ",", "z"]
    assert [*showcreate.entries(f"({nested} DESC, d)")] == [[nested, "DESC"], ["d"]]


def test_a_text_without_the_last_parentheses_is_read_without_trying_all_ways():
    text = "(" * 20 + "'a''b' , c `d` " * 2_000
    assert showcreate.atoms(text) == ["("]
