"""What is MySQL's own: checks that are not enforced, clauses that MariaDB lacks, and what the server refuses by number."""

from concurrent.futures import ThreadPoolExecutor

import pytest
import sqlalchemy as sa
from tests.catalogue import snapshot
from tests.projects import migrate
from tests.servers import numbers

from safeops import (
    DefinitionMismatch,
    InvalidArgument,
    TableRename,
    UnsafeOperation,
    ViolatingRows,
    add_column_if_missing,
    alter_column_type,
    archives,
    assured,
    backfill,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_table_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_table_if_exists,
    enforce_not_null,
    relax_not_null,
    restore_column,
    restore_table,
    set_server_default,
    validate_constraint,
)

pytestmark = pytest.mark.only("mysql97")

CHECKED = ("CREATE TABLE t (id int PRIMARY KEY, n int, CONSTRAINT ck CHECK (n > 0) NOT ENFORCED)",)


@pytest.mark.parametrize(
    "enforce",
    [lambda: create_check_constraint_if_missing("ck", "t", "n > 0"), lambda: validate_constraint("ck", "t")],
    ids=["create", "validate"],
)
def test_a_check_that_is_not_enforced_becomes_so(database, enforce):
    database.execute(*CHECKED, "INSERT INTO t VALUES (1, -1)")
    before = snapshot(database)
    with pytest.raises(ViolatingRows, match="1 row breaks the check ck"):
        migrate(database, enforce)
    database.execute("UPDATE t SET n = 1")
    with pytest.raises(UnsafeOperation, match="ALTER CHECK ck ENFORCED"):
        migrate(database, enforce)
    assert snapshot(database) == before

    def surely():
        with assured("the table is small"):
            return enforce()

    assert [migrate(database, surely) for _ in range(2)] == [True, False]
    assert "ENFORCED" not in snapshot(database)


def test_another_check_that_is_not_enforced_is_a_difference(database):
    database.execute(*CHECKED)
    with pytest.raises(DefinitionMismatch, match=r"n > 0.*; enforced is False, not True"):
        migrate(database, lambda: create_check_constraint_if_missing("ck", "t", "n > 5"))
    with pytest.raises(DefinitionMismatch, match="enforced of check ck is False, not True"):
        migrate(
            database,
            lambda: create_table_if_missing(
                "t",
                sa.Column("id", sa.Integer, primary_key=True, autoincrement=False),
                sa.Column("n", sa.Integer),
                sa.CheckConstraint("n > 0", name="ck"),
            ),
        )
    before = snapshot(database)

    def keep():
        return create_check_constraint_if_missing("ck", "t", "n > 0", if_different="keep")

    assert migrate(database, keep) is False
    assert snapshot(database) == before


def test_a_check_that_is_not_enforced_is_replaced_dropped_and_proves_nothing(database):
    database.execute(*CHECKED, "ALTER TABLE t ADD CONSTRAINT nn CHECK (n IS NOT NULL) NOT ENFORCED")

    def replace():
        return create_check_constraint_if_missing("ck", "t", "n > 0", if_different="replace")

    assert [migrate(database, replace) for _ in range(2)] == [True, False]
    assert snapshot(database).count("NOT ENFORCED") == 1
    database.execute("INSERT INTO t VALUES (1, NULL)")
    with pytest.raises(ViolatingRows):
        migrate(database, lambda: enforce_not_null("t", "n"))
    database.execute("UPDATE t SET n = 1")
    assert migrate(database, lambda: enforce_not_null("t", "n")) is True
    assert [migrate(database, lambda: drop_constraint_if_exists("nn", "t")) for _ in range(2)] == [True, False]


def test_an_archive_keeps_a_check_not_enforced(database):
    database.execute(*CHECKED)
    before = snapshot(database)
    migrate(database, lambda: drop_column_if_exists("t", "n", archive=True))
    migrate(database, lambda: restore_column("t", sa.Column("n", sa.Integer)))
    assert snapshot(database) == before


def test_a_check_is_enforced_if_that_is_all_it_lacks(database):
    database.execute(*CHECKED)
    assert migrate(database, lambda: validate_constraint("ck", "t")) is True


def test_clauses_that_mariadb_lacks_are_kept(database):
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, a int NOT NULL NOT SECONDARY COMMENT 'x', p point NOT NULL SRID 4326,"
        ' b varchar(9) SECONDARY_ENGINE_ATTRIBUTE=\'{"k": "v"}\', d int DEFAULT 3 INVISIBLE)'
    )
    before = snapshot(database)
    assert migrate(database, lambda: relax_not_null("t", "a")) is True
    assert migrate(database, lambda: alter_column_type("t", "b", sa.String(19))) is True
    changed = [line.strip() for line in snapshot(database).splitlines() if line not in before.splitlines()]
    assert changed[0].startswith("`a` int NOT SECONDARY DEFAULT NULL COMMENT 'x'")
    assert changed[1].startswith('`b` varchar(19) DEFAULT NULL /*!80021 SECONDARY_ENGINE_ATTRIBUTE \'{"k": "v"}\'')
    assert len(changed) == 2


WORLD = (
    "CREATE TABLE parent (id bigint unsigned PRIMARY KEY, code varchar(10) CHARACTER SET latin1 UNIQUE)",
    "CREATE TABLE t (id int PRIMARY KEY, p int, s varchar(10), CONSTRAINT ck_other CHECK (id > 0))",
    "CREATE TABLE u (id int PRIMARY KEY, p int)",
)
KEY = sa.Column("id", sa.Integer, primary_key=True)
REFUSED = {
    "a key over types that differ": (
        lambda: create_foreign_key_if_missing("fk", "t", "parent", ["p"], ["id"]),
        "incompatible",
    ),
    "a key over character sets": (
        lambda: create_foreign_key_if_missing("fk", "t", "parent", ["s"], ["code"]),
        "incompatible",
    ),
    "a new table with such a key": (
        lambda: create_table_if_missing("x", KEY._copy(), sa.Column("p", sa.Integer, sa.ForeignKey("parent.id"))),
        "incompatible",
    ),
    "a unique TEXT": (
        lambda: create_table_if_missing("x", KEY._copy(), sa.Column("p", sa.Text, unique=True)),
        "mysql_length",
    ),
    "an expression of no column": (lambda: create_index_if_missing("ix", "t", [sa.text("lower(zz)")]), "zz"),
    "an expression that is no SQL": (lambda: create_index_if_missing("ix", "t", [sa.text("lower(s s)")]), "s s"),
    "an expression by chance": (lambda: create_index_if_missing("ix", "t", [sa.func.rand()]), "same arguments"),
    "a check of no column": (lambda: create_check_constraint_if_missing("ck", "t", "zz > 1"), "zz"),
    "a check that is a number": (lambda: create_check_constraint_if_missing("ck", "t", "p + 1"), "true or false"),
    "a check by chance": (lambda: create_check_constraint_if_missing("ck", "t", "p > rand()"), "same arguments"),
    "too long": (lambda: add_column_if_missing("t", sa.Column("v", sa.String(20000))), "shorter"),
    "a default of another type": (
        lambda: add_column_if_missing("t", sa.Column("v", sa.Integer, server_default="abc")),
        "default of its type",
    ),
    "another such default": (lambda: set_server_default("t", "p", "abc"), "default of its type"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_the_server_refuses_is_reported_by_its_number(database, case):
    body, word = REFUSED[case]
    database.execute(*WORLD)
    before = snapshot(database)
    with pytest.raises(InvalidArgument, match=word) as error:
        migrate(database, body)
    assert "MySQL 9.7 refuses this" in str(error.value)
    assert "Nothing was changed" in str(error.value)
    assert snapshot(database) == before


def test_the_name_of_a_check_on_another_table(database):
    database.execute(*WORLD)
    with pytest.raises(DefinitionMismatch, match="another table has a constraint of that name"):
        migrate(database, lambda: create_check_constraint_if_missing("ck_other", "u", "p > 1"))


def test_what_earlier_calls_have_changed_is_not_called_nothing(database):
    database.execute(*WORLD)

    def up():
        add_column_if_missing("t", sa.Column("new", sa.Integer))
        create_check_constraint_if_missing("ck", "t", "p + 1")

    with pytest.raises(InvalidArgument, match=r"(?s)This step changed nothing.*added column t\.new"):
        migrate(database, up)


def test_a_table_without_a_primary_key_if_the_server_requires_one(database):
    database.execute(*WORLD, "SET GLOBAL sql_require_primary_key = ON")
    try:
        for body in (
            lambda: create_table_if_missing("x", sa.Column("a", sa.Integer)),
            lambda: drop_constraint_if_exists("u_pkey", "u", type_="primary"),
        ):
            with pytest.raises(InvalidArgument, match="SET SESSION sql_require_primary_key"):
                migrate(database, body)
    finally:
        database.execute("SET GLOBAL sql_require_primary_key = OFF")


RENAME = TableRename("t", "renamed")


@pytest.mark.parametrize("setting", ["sql_require_primary_key", "sql_generate_invisible_primary_key"])
def test_all_that_safeops_creates_has_a_primary_key_if_the_server_requires_one(database, setting):
    database.execute(f"SET GLOBAL {setting} = ON")
    try:
        keys = [KEY._copy()] if setting == "sql_require_primary_key" else []
        make = lambda: create_table_if_missing("t", *keys, sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))  # noqa: E731
        assert [migrate(database, make) for _ in range(2)] == [True, False]
        database.execute("INSERT INTO t (a) VALUES (1), (NULL)")
        before = snapshot(database)
        for phase in (RENAME.expand, RENAME.contract):
            assert migrate(database, phase) is True
        for phase in (RENAME.undo_contract, RENAME.undo_expand):
            assert migrate(database, phase, down=True) is True
        assert migrate(database, lambda: backfill("t", {"a": 2})).rows == 1
        assert migrate(database, lambda: drop_column_if_exists("t", "a", archive=True)) is True
        assert migrate(database, lambda: restore_column("t", sa.Column("a", sa.Integer)), down=True) is True
        assert migrate(database, lambda: drop_table_if_exists("t", archive=True)) is True
        assert migrate(database, lambda: restore_table("t"), down=True) is True
        assert before.splitlines()[0] in snapshot(database)
        assert database.query("SELECT a FROM t ORDER BY a") == [(1,), (2,)]
    finally:
        database.execute(f"SET GLOBAL {setting} = OFF")


def test_what_is_shown_instead_of_an_index_on_expressions_runs(database):
    """It is the requested index: unique, in the same order and direction."""
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a varchar(9), b int)", "INSERT INTO t VALUES (1, 'A', 2)")
    elements = [sa.text("lower(a) DESC"), "b", sa.text("(b + 1)")]
    with pytest.raises(UnsafeOperation) as error:
        migrate(database, lambda: create_index_if_missing("ix", "t", elements, unique=True))
    names = {
        "sa": sa,
        "add_column_if_missing": add_column_if_missing,
        "create_index_if_missing": create_index_if_missing,
    }
    assert [migrate(database, lambda one=one: eval(one, names)) for one in error.value.code.splitlines()] == [True] * 3
    assert "UNIQUE KEY `ix` (`ix_value_1` DESC,`b`,`ix_value_2`)" in snapshot(database)
    (plan,) = database.query("EXPLAIN FORMAT=TRADITIONAL SELECT 1 FROM t WHERE lower(a) = 'a'")
    assert "ix" in plan


def test_rows_are_counted(database):
    """9.7 explains a query as a tree, and takes no EXTENDED."""
    database.execute(
        "CREATE TABLE kept (id int PRIMARY KEY)",
        "INSERT INTO kept VALUES (1), (2), (3)",
        "CREATE TABLE t (id int PRIMARY KEY, n int)",
        f"INSERT INTO t (id) SELECT seq FROM {numbers(1, 12000)}",
    )
    assert migrate(database, lambda: drop_table_if_exists("kept", archive=True)) is True
    assert [one.rows for one in migrate(database, archives)] == [3]

    def fill():
        with ThreadPoolExecutor(2) as executor:
            return backfill("t", {"n": sa.column("id")}, where=True, executor=executor)

    assert migrate(database, fill).rows == 12000
    parts = [done for (done,) in database.query("SELECT processed FROM safeops_backfill WHERE part > 0")]
    assert max(parts) < 4000, parts
