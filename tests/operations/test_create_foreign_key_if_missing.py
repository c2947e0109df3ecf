"""create_foreign_key_if_missing"""

import pytest
from tests.catalogue import snapshot
from tests.operations.shape import WORLD, Defines, Expect, Named, OnTable, assert_refused
from tests.projects import migrate
from tests.servers import has_ability

from safeops import (
    InvalidArgument,
    OrphanedRows,
    UnknownColumn,
    UnknownTable,
    UnsupportedOnDatabase,
    create_foreign_key_if_missing,
    drop_constraint_if_exists,
    drop_index_if_exists,
    validate_constraint,
)

INDEXED = "CREATE INDEX ix_users_team ON users (team_id)"


def create(source="users", referent="teams", local=("team_id",), remote=("id",), **kw):
    kw = {"ondelete": "CASCADE", **kw}
    return create_foreign_key_if_missing("fk_users_team", source, referent, local, remote, **kw)


class TestCreateForeignKey(Defines, Named, OnTable):
    # MariaDB creates a missing index for the key, and keeps it when the key is dropped.
    prepare = (*WORLD, INDEXED)
    up = staticmethod(create)
    blocked_by = "ROW EXCLUSIVE"
    offline_needs = ("renders_constraints_offline",)

    @staticmethod
    def down(**kw):
        return drop_constraint_if_exists("fk_users_team", "users", type_="foreignkey", **kw)

    def up_in(self, schema):
        return lambda: create(source_schema=schema, referent_schema=schema)

    different = (
        Expect(
            lambda **kw: create(ondelete=None, **kw),
            ["fk_users_team", "ondelete is CASCADE, not none", "drop_constraint_if_exists("],
        ),
        Expect(lambda **kw: create(ondelete="SET NULL", **kw), ["ondelete is CASCADE, not SET NULL"]),
        Expect(lambda **kw: create(onupdate="CASCADE", **kw), ["onupdate is"]),
        Expect(lambda **kw: create(local=["age"], **kw), ["columns is (team_id), not (age)"]),
        Expect(lambda **kw: create(referent="users", **kw), ["referent table is", "teams", "users"]),
        Expect(
            lambda **kw: create(deferrable=True, **kw),
            ["deferrable is False, not True"],
            needs="has_deferrable_foreign_keys",
        ),
        Expect(
            lambda **kw: create(deferrable=True, initially="DEFERRED", **kw),
            ["deferrable", "initially is none, not DEFERRED"],
            needs="has_deferrable_foreign_keys",
        ),
    )
    same = (
        lambda: create(ondelete="cascade"),
        lambda: create(onupdate="NO ACTION"),
    )
    unknown = (
        Expect(lambda: create(source="user"), ["no table user", "users"], UnknownTable),
        Expect(lambda: create(referent="team"), ["no table team", "teams"], UnknownTable),
        Expect(lambda: create(local=["team"]), ["users has no column team", "team_id"], UnknownColumn),
        Expect(lambda: create(remote=["idd"]), ["teams has no column idd", "id"], UnknownColumn),
        Expect(
            lambda: create(remote=["title"]),
            ["teams(title), which is not unique", "create_unique_constraint_if_missing("],
            InvalidArgument,
        ),
    )
    bad = (
        Expect(lambda: create_foreign_key_if_missing("", "users", "teams", ["team_id"], ["id"]), ["constraint name"]),
        Expect(lambda: create(local="team_id"), ["local_cols is 'team_id'"]),
        Expect(lambda: create(local=["team_id", "age"]), ["local_cols has 2 columns, but remote_cols has 1"]),
        Expect(lambda: create(local=["id", "id"], remote=["id", "title"]), ["twice"]),
        Expect(lambda: create(ondelete="DELETE"), ["ondelete is 'DELETE'", "'CASCADE'"]),
        Expect(lambda: create(initially="LATER"), ["initially"]),
        Expect(lambda: create(match="SOME"), ["match"]),
        Expect(lambda: create(if_different="x"), ["if_different"]),
        Expect(lambda: create(remote=[None]), ["remote_cols"]),
    )


ORPHANS = [f"INSERT INTO users VALUES ({i}, {i}, 'x', 1, 'n')" for i in range(11, 18)]


def test_rows_that_refer_to_nothing(database):
    database.execute(*WORLD, *ORPHANS)
    words = ["7 rows of", "(team_id)", "11, 12, 13, 14, 15, ...", "NOT EXISTS", "Nothing was changed"]
    assert_refused(database, [Expect(create, words, OrphanedRows)])
    database.execute("UPDATE users SET team_id = 1 WHERE id > 10")
    assert migrate(database, create) is True


def test_later_validation(database, server):
    database.execute(*WORLD, *ORPHANS)
    later = lambda: create(validate=False)  # noqa: E731
    if not has_ability(server, "validates_constraints_later"):
        words = ["validate=False", "this server is", "would need"]
        assert_refused(database, [Expect(later, words, UnsupportedOnDatabase)])
        return
    assert [migrate(database, later), migrate(database, later)] == [True, False]
    validate = lambda: validate_constraint("fk_users_team", "users")  # noqa: E731
    assert_refused(database, [Expect(call, ["7 rows", "11, 12"], OrphanedRows) for call in (validate, create)])
    database.execute("DELETE FROM users WHERE id > 10")
    assert [migrate(database, create), migrate(database, validate)] == [True, False]


def test_its_index(database):
    database.execute(*WORLD)
    before = snapshot(database)
    make = lambda: create(index=True)  # noqa: E731
    assert [migrate(database, make), migrate(database, make)] == [True, False]
    assert "ix_users_team_id" in snapshot(database)

    def down():
        first = drop_constraint_if_exists("fk_users_team", "users", type_="foreignkey")
        return drop_index_if_exists("ix_users_team_id", "users") and first

    assert migrate(database, down, down=True) is True
    assert snapshot(database) == before


def test_several_columns_and_itself(database):
    database.execute(
        "CREATE TABLE t (a integer NOT NULL, b integer NOT NULL, pa integer, pb integer, PRIMARY KEY (a, b))",
        "INSERT INTO t VALUES (1, 1, NULL, 5), (2, 2, 1, 1)",
    )
    make = lambda: create_foreign_key_if_missing("fk_t_t", "t", "t", ["pa", "pb"], ["a", "b"])  # noqa: E731
    assert [migrate(database, make), migrate(database, make)] == [True, False]


@pytest.mark.only("postgresql")
def test_match_full_and_deferred(database):
    database.execute(*WORLD)
    make = lambda: create(match="FULL", deferrable=True, initially="DEFERRED", onupdate="SET NULL")  # noqa: E731
    assert [migrate(database, make), migrate(database, make)] == [True, False]


@pytest.mark.only("postgresql")
def test_the_same_name_on_another_table(database):
    """Validating by the name alone would take the wrong one."""
    database.execute(*WORLD, "CREATE TABLE pupils (id integer PRIMARY KEY, team_id integer)")
    database.execute("ALTER TABLE pupils ADD CONSTRAINT fk_users_team FOREIGN KEY (team_id) REFERENCES teams NOT VALID")
    assert migrate(database, create) is True
    assert database.query(
        "SELECT conrelid::regclass::text, convalidated FROM pg_constraint WHERE contype = 'f' ORDER BY 1"
    ) == [
        ("pupils", False),
        ("users", True),
    ]
