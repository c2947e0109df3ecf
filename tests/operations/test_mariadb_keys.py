"""What is MariaDB's own about keys and checks: foreign keys added unchecked, checks that copy the table."""

import re
from contextlib import suppress

import pytest
import sqlalchemy as sa
from alembic import op
from tests.catalogue import snapshot
from tests.concurrency.harness import idle_holder
from tests.lifecycle.harness import crash_everywhere, up_up_down_down_up
from tests.projects import is_watched, listening, migrate, render, run_sql, statements_of

from safeops import (
    DefinitionMismatch,
    DependentObjects,
    DuplicateRows,
    LockNotAcquired,
    OnlineOnly,
    OrphanedRows,
    UnsafeOperation,
    UnsupportedOnDatabase,
    assured,
    create_check_constraint_if_missing,
    create_foreign_key_if_missing,
    create_index_if_missing,
    create_primary_key_if_missing,
    create_table_if_missing,
    create_unique_constraint_if_missing,
    drop_column_if_exists,
    drop_constraint_if_exists,
    drop_index_if_exists,
    drop_table_if_exists,
    set_comment,
    settings,
    validate_constraint,
)

pytestmark = pytest.mark.only("mysql")

FAMILY = (
    "CREATE TABLE parent (id int PRIMARY KEY, code varchar(10), UNIQUE KEY uq_code (code)) COMMENT 'it''s'",
    "CREATE TABLE child (id int PRIMARY KEY, parent_id int, code varchar(10)) COMMENT 'a ''child'''",
    "INSERT INTO parent VALUES (1, 'a'), (2, 'b')",
    "INSERT INTO child VALUES (1, 1, 'a'), (2, 2, NULL), (3, NULL, 'b')",
)


def up(**kw):
    return create_foreign_key_if_missing("fk_child", "child", "parent", ["parent_id"], ["id"], **kw)


def down():
    return drop_constraint_if_exists("fk_child", "child", type_="foreignkey")


def orphan_after(database, words):
    """Insert a row that refers to nothing just before the statement with these words is sent."""

    def before(_connection, _cursor, statement, *_):
        if words in statement and not database.query("SELECT 1 FROM child WHERE id = 99"):
            database.execute("INSERT INTO child VALUES (99, 99, NULL)")

    return listening({"before_cursor_execute": before})


@pytest.mark.parametrize(
    "index", ["", "CREATE INDEX ix ON child (parent_id)", "CREATE INDEX fk_child ON child (parent_id, id)"]
)
def test_the_index_of_a_key_is_created_and_dropped_with_it(database, index):
    prepare = [*FAMILY, *([index] if index else [])]
    results = up_up_down_down_up(database, up, down, prepare)
    assert results == [True, False, True, False, True]


def test_actions_and_several_columns(database):
    prepare = ["CREATE TABLE p (a int, b int, PRIMARY KEY (a, b))", "CREATE TABLE c (id int PRIMARY KEY, x int, y int)"]

    def make(ondelete="SET NULL", **kw):
        return create_foreign_key_if_missing(
            "fk", "c", "p", ["x", "y"], ["a", "b"], ondelete=ondelete, onupdate="CASCADE", **kw
        )

    up_up_down_down_up(database, make, lambda: drop_constraint_if_exists("fk", "c"), prepare)
    with pytest.raises(DefinitionMismatch, match="ondelete is SET NULL, not CASCADE"):
        migrate(database, lambda: make("CASCADE"))
    assert migrate(database, lambda: make("CASCADE", if_different="keep")) is False


def test_restrict_and_no_action_are_the_same_here(database):
    database.execute(*FAMILY)
    for action in (None, "RESTRICT", "NO ACTION"):
        migrate(database, lambda action=action: up(ondelete=action))


def test_new_rows_that_break_it_are_found_and_the_key_is_dropped_again(database):
    database.execute(*FAMILY)
    before = snapshot(database)
    with orphan_after(database, "ADD CONSTRAINT"), pytest.raises(OrphanedRows) as error:
        migrate(database, up)
    assert snapshot(database) == before
    assert "1 row of" in str(error.value)
    assert "99" in str(error.value)
    assert "Nothing was changed" in str(error.value)


def stopped_before_the_check(database, add=up):
    """Add the key, and stop before the old rows are looked at, of which one refers to nothing."""
    stop = RuntimeError("stopped")

    def after(_connection, _cursor, statement, *_):
        if "ADD CONSTRAINT" in statement:
            database.execute(
                "SET foreign_key_checks = 0", "INSERT INTO child VALUES (99, 99, NULL)", "SET foreign_key_checks = 1"
            )
            raise stop

    with listening({"after_cursor_execute": after}), pytest.raises(RuntimeError, match="stopped"):
        migrate(database, add)


def plain(comment):
    return lambda: op.create_table_comment("child", comment)


def without_comments(schema):
    return re.sub(r" COMMENT[ =]'([^']|'')*'", "", schema)


def marked_by_an_earlier_release(database):
    database.execute(
        "ALTER TABLE child DROP FOREIGN KEY safeops_unchecked_fk_child,"
        " COMMENT = 'mine [safeops: rows unchecked: fk_child] [safeops: rows unchecked: fk_other]'"
    )


@pytest.mark.parametrize(
    "between",
    [
        lambda database: None,
        lambda database: migrate(database, lambda: set_comment("child", None, "said")),
        lambda database: migrate(database, plain("said")),
        lambda database: migrate(database, lambda: (plain("x")(), set_comment("child", "id", "y"))),
        marked_by_an_earlier_release,
        lambda database: (
            marked_by_an_earlier_release(database),
            migrate(database, lambda: set_comment("child", None, "mine")),
            migrate(database, lambda: set_comment("child", None, "said")),
        ),
    ],
    ids=["nothing", "helper", "plain", "both", "earlier release", "earlier release, helper"],
)
def test_a_run_that_was_stopped_before_the_old_rows_were_checked_is_completed(database, between):
    database.execute(*FAMILY)
    before = snapshot(database)
    stopped_before_the_check(database)
    assert "CONSTRAINT `safeops_unchecked_fk_child` FOREIGN KEY" in snapshot(database)
    between(database)
    comments = [
        text for text in ("COMMENT='said", "COMMENT='mine", "unchecked: fk_other]'") if text in snapshot(database)
    ]
    with pytest.raises(OrphanedRows):
        migrate(database, up)
    with pytest.raises(OrphanedRows):
        migrate(database, lambda: validate_constraint("fk_child", "child"))
    database.execute("DELETE FROM child WHERE id = 99")
    assert [migrate(database, up) for _ in range(2)] == [True, False]
    assert "safeops_unchecked" not in snapshot(database)
    assert "unchecked: fk_child" not in snapshot(database)
    assert [text for text in comments if text not in snapshot(database)] == []
    migrate(database, down, down=True)
    assert without_comments(snapshot(database)) == without_comments(before)


def test_a_key_of_a_table_to_itself_is_validated(database):
    database.execute(*FAMILY)
    stopped_before_the_check(
        database, lambda: create_foreign_key_if_missing("fk_self", "child", "child", ["parent_id"], ["id"])
    )
    assert [migrate(database, lambda: validate_constraint("fk_self", "child")) for _ in range(2)] == [True, False]
    assert "safeops_unchecked" not in snapshot(database)


def test_the_mark_of_an_unchecked_key_is_dropped_with_its_key_column_or_table(database):
    database.execute(*FAMILY)
    before = snapshot(database)
    stopped_before_the_check(database)
    assert migrate(database, down, down=True) is True
    assert snapshot(database) == before
    database.execute("DELETE FROM child WHERE id = 99")
    stopped_before_the_check(database)
    assert migrate(database, lambda: drop_column_if_exists("child", "parent_id")) is True
    assert "safeops" not in snapshot(database)


def test_stopped_anywhere(new_database):
    assert crash_everywhere(new_database, up, FAMILY, kills=1) >= 2


def test_the_checks_are_on_again_afterwards(database):
    database.execute(*FAMILY)
    engine = database.engine()
    with engine.connect() as connection:
        migrate(database, up, connection=connection)
        assert connection.scalar(sa.text("SELECT @@foreign_key_checks")) == 1
    database.execute("ALTER TABLE child DROP FOREIGN KEY fk_child")
    variables = "SELECT @@foreign_key_checks, @@lock_wait_timeout, @@innodb_lock_wait_timeout"
    ((*before,),) = database.query(variables)
    with engine.connect() as connection, idle_holder(database, "child"), settings(lock_timeout=0.1, retry_budget=0.1):
        with pytest.raises(LockNotAcquired):
            migrate(database, up, connection=connection)
        assert [*connection.execute(sa.text(variables)).one()] == before


def test_the_name_of_a_key_on_another_table(database):
    database.execute(*FAMILY, "CREATE TABLE z (id int, CONSTRAINT fk_child FOREIGN KEY (id) REFERENCES parent (id))")
    before = snapshot(database)
    with pytest.raises(DefinitionMismatch, match="another table has a constraint of that name"):
        migrate(database, up)
    assert snapshot(database) == before


@pytest.mark.parametrize("filled", [True, False])
def test_a_check_that_another_runner_adds_or_drops_at_the_same_time(database, filled):
    database.execute("CREATE TABLE t (id int PRIMARY KEY, a int)", *(["INSERT INTO t VALUES (1, 1)"] if filled else []))
    added = "ALTER TABLE t ADD CONSTRAINT ck CHECK (a > 0)"
    dropped = "ALTER TABLE t DROP CONSTRAINT ck"

    def overtaken(change, faster):
        def overtake(connection, _cursor, statement, *_rest):
            if statement.startswith(faster) and is_watched(connection, database):
                with suppress(sa.exc.DBAPIError):
                    database.execute(faster)

        def assuredly():
            with assured("the table is small"):
                return change()

        with listening({"before_cursor_execute": overtake}):
            with pytest.raises(DefinitionMismatch, match="nother runner"):
                migrate(database, assuredly)
            assert migrate(database, assuredly) is False

    overtaken(lambda: create_check_constraint_if_missing("ck", "t", "a > 0"), added)
    overtaken(lambda: drop_constraint_if_exists("ck", "t"), dropped)


def test_an_index_that_a_key_needs_is_not_dropped(database):
    database.execute(*FAMILY, "CREATE INDEX ix ON child (parent_id)")
    migrate(database, up)
    with pytest.raises(DependentObjects, match="needed by foreign key fk_child"):
        migrate(database, lambda: drop_index_if_exists("ix", "child"))
    migrate(database, lambda: create_index_if_missing("ix2", "child", ["parent_id", "code"]))
    assert migrate(database, lambda: drop_index_if_exists("ix", "child")) is True
    with pytest.raises(DependentObjects, match="fk_child"):
        migrate(database, lambda: drop_constraint_if_exists("parent_pkey", "parent", type_="primary"))
    with pytest.raises(DependentObjects, match="fk_child"):
        migrate(database, lambda: drop_table_if_exists("parent"))


def test_a_key_into_another_schema(database, new_database):
    other = new_database()
    other.execute(*FAMILY[:1], FAMILY[2])
    database.execute(*FAMILY[1:2], FAMILY[3])

    def make(schema=other.name):
        return create_foreign_key_if_missing("fk", "child", "parent", ["parent_id"], ["id"], referent_schema=schema)

    assert [migrate(database, make) for _ in range(2)] == [True, False]
    assert f"REFERENCES `{other.name}`.`parent`" in snapshot(database)
    database.execute(*FAMILY[:1])
    with pytest.raises(DefinitionMismatch, match="referent table"):
        migrate(database, lambda: make(None))


@pytest.mark.parametrize(
    "options",
    [
        {"deferrable": True},
        {"initially": "DEFERRED"},
        {"match": "FULL"},
        {"ondelete": "SET DEFAULT"},
        {"validate": False},
    ],
)
def test_what_foreign_keys_have_not(database, options):
    database.execute(*FAMILY)
    with pytest.raises(UnsupportedOnDatabase, match=r"MariaDB 10\.11|MySQL 9\.7"):
        migrate(database, lambda: up(**options))
    assert migrate(database, lambda: up(match="SIMPLE", deferrable=False, initially="IMMEDIATE")) is True


# --- unique and primary keys -----------------------------------------------------------------------------


def test_a_unique_constraint_and_a_unique_index_are_one_thing(database):
    database.execute(*FAMILY)
    before = snapshot(database)
    assert migrate(database, lambda: create_unique_constraint_if_missing("uq", "child", ["code"])) is True
    assert migrate(database, lambda: create_index_if_missing("uq", "child", ["code"], unique=True)) is False
    with pytest.raises(DefinitionMismatch, match="unique is True, not False"):
        migrate(database, lambda: create_index_if_missing("uq", "child", ["code"]))
    assert migrate(database, lambda: drop_index_if_exists("uq", "child")) is True
    assert migrate(database, lambda: create_index_if_missing("uq", "child", ["code"], unique=True)) is True
    assert migrate(database, lambda: create_unique_constraint_if_missing("uq", "child", ["code"])) is False
    assert migrate(database, lambda: drop_constraint_if_exists("uq", "child", type_="unique")) is True
    assert snapshot(database) == before


def test_prefixes_directions_and_kinds_of_indexes(database):
    database.execute(
        "CREATE TABLE t (id int PRIMARY KEY, body text, a int)", "INSERT INTO t VALUES (1, 'abc', 1), (2, 'abd', 2)"
    )

    def make(length=10, **kw):
        return create_index_if_missing("ix", "t", ["body", "a"], mysql_length={"body": length}, **kw)

    def down():
        return create_index_if_missing("down", "t", ["id", sa.text("a DESC")])

    for call in (make, down):
        assert [migrate(database, call) for _ in range(2)] == [True, False]
    for call, words in (
        (lambda: make(9), r"columns is \(`body`\(10\), a\), not \(`body`\(9\), a\)"),
        (lambda: create_index_if_missing("down", "t", ["id", "a"]), r"columns is \(id, a DESC\), not \(id, a\)"),
        (
            lambda: create_index_if_missing("ix", "t", ["body"], mysql_prefix="FULLTEXT"),
            "method is btree, not fulltext",
        ),
    ):
        with pytest.raises(DefinitionMismatch, match=words):
            migrate(database, call)
    with pytest.raises(DuplicateRows, match="LEFT"):
        migrate(database, lambda: create_index_if_missing("uq", "t", ["body"], unique=True, mysql_length=2))
    with pytest.raises(UnsafeOperation, match="Fulltext"):
        migrate(database, lambda: create_index_if_missing("ft", "t", ["body"], mysql_prefix="FULLTEXT"))

    def fulltext():
        with assured("nobody writes"):
            return create_index_if_missing("ft", "t", ["body"], mysql_prefix="FULLTEXT")

    assert [migrate(database, fulltext) for _ in range(2)] == [True, False]


def test_a_primary_key_is_added_online_and_dropped_by_a_copy(database):
    database.execute(
        "CREATE TABLE t (a int DEFAULT 1 COMMENT 'x', b int NOT NULL)", "INSERT INTO t VALUES (1, 1), (2, 2)"
    )
    before = snapshot(database)
    assert migrate(database, lambda: create_primary_key_if_missing("pk_t", "t", ["a", "b"])) is True
    assert migrate(database, lambda: create_primary_key_if_missing("other", "t", ["a", "b"])) is False
    with pytest.raises(DefinitionMismatch, match=r"columns is \(a, b\), not \(b\)"):
        migrate(database, lambda: create_primary_key_if_missing("pk_t", "t", ["b"]))
    with pytest.raises(UnsafeOperation, match="cannot do this online"):
        migrate(database, lambda: drop_constraint_if_exists("pk_t", "t", type_="primary"))

    def drop():
        with assured("nobody writes"):
            return drop_constraint_if_exists("pk_t", "t", type_="primary")

    assert [migrate(database, drop, down=True) for _ in range(2)] == [True, False]
    assert snapshot(database) == before


# --- checks ----------------------------------------------------------------------------------------------


def check():
    return create_check_constraint_if_missing("ck", "child", "parent_id > 0 AND code <> 'it''s :x 50%'")


def test_a_check_copies_the_table_and_is_refused_if_there_are_rows(database):
    database.execute(*FAMILY)
    before = snapshot(database)
    with statements_of(database) as sent, pytest.raises(UnsafeOperation) as error:
        migrate(database, check)
    assert "ALGORITHM=COPY" in str(error.value)
    assert "assured(" in str(error.value)
    assert snapshot(database) == before
    assert [one for one in sent.ddl if "CHECK" in one and "LOCK=NONE" not in one] == []


def test_a_check_on_a_table_without_rows_and_an_assured_one(database):
    database.execute(*FAMILY, "DELETE FROM child")
    up_up_down_down_up(database, check, lambda: drop_constraint_if_exists("ck", "child", type_="check"))
    database.execute("ALTER TABLE child DROP CONSTRAINT ck", FAMILY[3])

    def surely():
        with assured("the table is small"):
            return check()

    assert [migrate(database, surely) for _ in range(2)] == [True, False]


def test_named_checks_and_all_constraints_of_a_new_table(database):
    database.execute(*FAMILY)

    def make():
        return create_table_if_missing(
            "made",
            sa.Column("id", sa.Integer, primary_key=True),
            sa.Column("age", sa.Integer, sa.CheckConstraint("age > 0", name="ck_age"), index=True, comment="it's"),
            sa.Column(
                "parent_id", sa.Integer, sa.ForeignKey("parent.id", name="fk_made", ondelete="CASCADE"), unique=True
            ),
            sa.UniqueConstraint("age", "id", name="uq_made"),
            sa.CheckConstraint("age < 1000 OR parent_id IN (1, 2)", name="ck_both"),
            comment="it's",
            mysql_engine="InnoDB",
        )

    up_up_down_down_up(database, make, lambda: drop_table_if_exists("made"))
    assert re.search(r"CONSTRAINT `ck_age` CHECK \(+`age` > 0\)", snapshot(database))


# --- indexes that are built under a lock -----------------------------------------------------------------


class Point(sa.types.UserDefinedType):
    cache_ok = True

    def get_col_spec(self, **kw):
        return "POINT"


LOCKED = {
    "full text": (sa.Column("x", sa.Text), {"mysql_prefix": "FULLTEXT"}),
    "spatial": (sa.Column("x", Point, nullable=False), {"mysql_prefix": "SPATIAL"}),
}


@pytest.mark.parametrize("kind", LOCKED)
def test_an_index_that_is_built_under_a_lock_is_built_if_there_are_no_rows(database, kind):
    column, options = LOCKED[kind]
    key = sa.Column("id", sa.Integer, primary_key=True)

    def with_index():
        return create_table_if_missing("new", key._copy(), column._copy(), sa.Index("ix", "x", **options))

    def beside():
        return create_index_if_missing("ix", "t", ["x"], **options)

    assert [migrate(database, with_index) for _ in range(2)] == [True, False]
    run_sql(database, render(database, lambda: with_index() and drop_table_if_exists("new")))
    migrate(database, lambda: create_table_if_missing("t", key._copy(), column._copy()))
    assert [migrate(database, beside) for _ in range(2)] == [True, False]
    assert migrate(database, lambda: drop_index_if_exists("ix", "t")) is True
    database.execute(
        "INSERT INTO t (x) VALUES (" + ("'x'" if kind == "full text" else "ST_GeomFromText('POINT(1 1)')") + ")"
    )
    before = snapshot(database)
    with pytest.raises(UnsafeOperation, match="online"):
        migrate(database, beside)
    with pytest.raises(OnlineOnly, match="empty table"):
        render(database, beside)
    assert snapshot(database) == before
