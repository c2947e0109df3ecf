"""A comment that is set in the middle of a change, by the helper or past it, is kept and stops no phase."""

import pytest
import sqlalchemy as sa
from alembic import op
from tests.catalogue import snapshot, unordered
from tests.lifecycle.harness import crash_everywhere, prepared, state
from tests.projects import migrate
from tests.whole import one_in

from safeops import ColumnRename, DefinitionMismatch, TypeChange, UnsafeOperation, set_comment

pytestmark = pytest.mark.needs("has_comments")

RENAME = ColumnRename("t", "old", "new")
TABLE = (
    "CREATE TABLE t (id integer PRIMARY KEY, old varchar(20) NOT NULL DEFAULT 'd', n integer)",
    "CREATE INDEX ix ON t (old)",
    "INSERT INTO t (id, old, n) VALUES (1, 'a', 1), (2, 'b', 2)",
)


def by_helper(table, column, comment):
    set_comment(table, column, comment)


def past_it(table, column, comment):
    """As op.alter_column does, which knows only its arguments of the column."""
    if op.get_context().dialect.name == "postgresql":
        return op.alter_column(table, column, comment=comment)
    existing = {"existing_type": sa.String(20), "existing_nullable": False, "existing_server_default": sa.text("'d'")}
    return op.alter_column(table, column, comment=comment, **{**existing, "existing_nullable": column == "new"})


WAYS = pytest.mark.parametrize("commented", [by_helper, past_it])


def renamed_in_place(database, comment):
    return prepared(
        database,
        [
            *TABLE,
            "ALTER TABLE t RENAME COLUMN old TO new",
            *(
                ["COMMENT ON COLUMN t.new IS 'said'"]
                if database.kind == "postgresql"
                else ["ALTER TABLE t MODIFY new varchar(20) NOT NULL DEFAULT 'd' COMMENT 'said'"]
            )[: comment is not None],
        ],
    )


@WAYS
@pytest.mark.parametrize("comment", ["said", None])
def test_a_rename_continues_and_keeps_it(new_database, commented, comment):
    database = prepared(new_database(), TABLE)
    migrate(database, RENAME.expand)
    migrate(database, lambda: commented("t", "new", "first"))
    migrate(database, lambda: commented("t", "new", comment))
    assert migrate(database, RENAME.expand) is False
    database.execute("INSERT INTO t (id, new, n) VALUES (3, 'c', 3)", "UPDATE t SET old = 'z' WHERE id = 1")
    assert migrate(database, RENAME.contract) is True
    expected = renamed_in_place(new_database(), comment)
    expected.execute("INSERT INTO t (id, new, n) VALUES (3, 'c', 3)", "UPDATE t SET new = 'z' WHERE id = 1")
    if database.kind != "postgresql":
        assert unordered(database) == unordered(expected)
    assert database.query("SELECT id, new FROM t ORDER BY id") == expected.query("SELECT id, new FROM t ORDER BY id")
    assert migrate(database, RENAME.contract) is False


@WAYS
def test_a_rename_is_undone(database, commented):
    prepared(database, TABLE)
    before = state(database)
    migrate(database, RENAME.expand)
    migrate(database, lambda: commented("t", "new", "said"))
    assert migrate(database, RENAME.undo_expand) is True
    assert state(database) == before


@WAYS
def test_the_old_name_is_added_and_dropped_again(database, commented):
    prepared(database, TABLE)
    migrate(database, lambda: (RENAME.expand(), RENAME.contract()))
    contracted = unordered(database)
    migrate(database, RENAME.undo_contract)
    migrate(database, lambda: commented("t", "old", "said"))
    assert migrate(database, RENAME.undo_contract) is False
    assert migrate(database, RENAME.contract) is True
    assert unordered(database) == contracted
    migrate(database, RENAME.undo_contract)
    migrate(database, lambda: commented("t", "old", "said"))
    assert migrate(database, RENAME.undo_expand) is True
    assert [name for (name,) in database.query("SELECT old FROM t ORDER BY id")] == ["a", "b"]


@pytest.mark.parametrize("phase", one_in(2, [RENAME.contract, RENAME.undo_expand]), ids=["contract", "undo_expand"])
@WAYS
def test_stopped_anywhere_it_continues(new_database, commented, phase):
    def half(database):
        prepared(database, TABLE)
        migrate(database, RENAME.expand)
        migrate(database, lambda: commented("t", "new", "said"))

    crash_everywhere(new_database, phase, half, kills=1)


@WAYS
def test_a_column_of_the_authors_is_not_taken_for_the_new_name(database, commented):
    """It comes last and has no mark, as the new name does whose comment is set; but nothing keeps it in sync."""
    prepared(database, (*TABLE, "ALTER TABLE t ADD new varchar(20)"))
    migrate(database, lambda: commented("t", "new", "mine"))
    before = state(database)
    with pytest.raises(DefinitionMismatch, match=r"already has a column new|new already|new exists"):
        migrate(database, RENAME.expand)
    assert state(database) == before


@pytest.mark.parametrize("column", ["n", None])
@WAYS
def test_a_type_change_continues_and_keeps_it(database, commented, column):
    if column is None and commented is past_it:

        def commented(table, column, comment):
            op.create_table_comment(table, comment)

    change = TypeChange("t", "n", sa.BigInteger)
    prepared(database, TABLE)
    for place, phase in enumerate((change.expand, change.switch, change.contract)):
        assert migrate(database, phase) is True
        migrate(database, lambda place=place: commented_as(database, commented, column, f"said {place}"))
    assert snapshot(database).count("said 2") == 1
    for phase in (change.undo_contract, change.undo_switch, change.undo_expand):
        assert migrate(database, phase) is True
    assert snapshot(database).count("said 2") == 1


def commented_as(database, commented, column, text):
    if column == "n" and commented is past_it and database.kind != "postgresql":
        (type_,) = database.query(
            "SELECT DATA_TYPE FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 't'"
            " AND COLUMN_NAME = 'n'"
        )[0]
        op.execute(f"ALTER TABLE t MODIFY n {type_} COMMENT '{text}'")
    else:
        commented("t", column, text)


# --- MariaDB and MySQL: what safeops keeps in comments ---------------------------------------------------------------

COMMENTED = (TABLE[0].replace("DEFAULT 'd'", "DEFAULT 'd' COMMENT 'its own'"), *TABLE[1:])


def expanded(database):
    prepared(database, COMMENTED)
    migrate(database, RENAME.expand)
    assert "`new` varchar(20) DEFAULT 'd' COMMENT 'safeops safeops_t_old_new'" in snapshot(database)


@pytest.mark.only("mysql")
@pytest.mark.parametrize("comment", [None, "said"])
@WAYS
def test_the_note_in_the_comment_of_the_new_name_may_go(database, commented, comment):
    expanded(database)
    if comment:
        migrate(database, lambda: commented("t", "new", comment))
    assert migrate(database, RENAME.contract) is True
    assert f"`new` varchar(20) NOT NULL DEFAULT 'd' COMMENT '{comment or 'its own'}'" in snapshot(database)
    assert "KEY `ix` (`new`)" in snapshot(database)


@pytest.mark.only("mysql")
@WAYS
def test_without_that_note_a_rename_is_undone(database, commented):
    expanded(database)
    migrate(database, lambda: commented("t", "new", "said"))
    assert migrate(database, RENAME.undo_expand) is True
    assert "`old` varchar(20) NOT NULL DEFAULT 'd' COMMENT 'its own'" in snapshot(database)
    assert "`new`" not in snapshot(database)


@pytest.mark.only("mysql")
def test_the_hidden_column_of_a_type_change_keeps_its_mark(database):
    prepared(database, TABLE)
    migrate(database, TypeChange("t", "n", sa.BigInteger).expand)
    hidden = next(word for word in snapshot(database).split("`") if word.startswith("safeops_"))
    with pytest.raises(UnsafeOperation, match="holds the state of a change"):
        migrate(database, lambda: set_comment("t", hidden, "x"))


@pytest.mark.only("mysql")
def test_the_new_name_has_the_comment_that_it_will_have(database):
    expanded(database)
    assert migrate(database, lambda: set_comment("t", "new", "its own")) is False
    assert [migrate(database, lambda: set_comment("t", "new", "said")) for _ in range(2)] == [True, False]


@pytest.mark.only("mysql97")
@WAYS
def test_the_old_name_may_change_its_type_in_between(database, commented):
    """Its column then comes after that of the new name; dependent objects distinguish the two."""
    prepared(database, TABLE)
    migrate(database, RENAME.expand)
    migrate(database, lambda: commented("t", "new", "said"))
    change = TypeChange("t", "old", sa.String(300))
    for phase in (change.expand, change.switch, change.contract, RENAME.contract):
        assert migrate(database, phase) is True
    assert "`new` varchar(300) NOT NULL DEFAULT 'd' COMMENT 'said'" in snapshot(database)
    assert "KEY `ix` (`new`)" in snapshot(database)
