"""What `alembic revision --autogenerate` writes with safe_operations, and that it does what it declares."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.authoring.authored import Authored, body, comments, models, statements, users
from tests.projects import log_lines
from tests.servers import Database

from safeops import InvalidArgument, UnsafeOperation


@pytest.fixture
def authored(tmp_path: Path, database: Database) -> Authored:
    return Authored(tmp_path, database)


def teams(*parts: Any) -> tuple[Any, ...]:
    return "teams", sa.Column("id", sa.Integer, primary_key=True), *parts


def columns_of(authored: Authored, table: str) -> set[str]:
    return {one["name"] for one in sa.inspect(authored.database.observer()).get_columns(table)}


class TestTables:
    def test_a_new_one_with_its_indexes(self, authored: Authored) -> None:
        text = authored.there_and_back(models(users(sa.Column("name", sa.String(50), index=True))))
        assert "    create_table_if_missing,\n" in text
        assert body(text).startswith("create_table_if_missing('users',")
        assert "create_index_if_missing(op.f('ix_users_name'), 'users', ['name'], unique=False)" in body(text)
        assert body(text, "downgrade") == "drop_table_if_exists('users')"

    def test_a_dropped_one_is_kept_and_comes_back_with_rows_and_indexes(self, authored: Authored) -> None:
        before = models(users(), teams(sa.Column("name", sa.String(50), index=True)))
        authored.run(before)
        authored.database.execute("INSERT INTO teams VALUES (1, 'a')")
        text = authored.there_and_back(models(users()))
        assert body(text) == "drop_table_if_exists('teams', archive=True)"
        assert body(text, "downgrade") == "restore_table('teams')"
        authored.downgrade()
        assert authored.rows("SELECT id, name FROM teams") == [(1, "a")]
        assert [one["name"] for one in sa.inspect(authored.database.observer()).get_indexes("teams")] == [
            "ix_teams_name"
        ]

    def test_those_that_refer_to_others_are_dropped_before_them(self, authored: Authored) -> None:
        """Alembic drops tables before the foreign keys of those that stay, and in any order."""
        a = ("a", sa.Column("id", sa.Integer, primary_key=True))
        b = ("b", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a", sa.ForeignKey("a.id"), index=True))
        c = ("c", sa.Column("id", sa.Integer, primary_key=True), sa.Column("b", sa.ForeignKey("b.id"), index=True))
        authored.run(
            models(a, b, c, users(sa.Column("a", sa.Integer), sa.ForeignKeyConstraint(["a"], ["a.id"], "users_a")))
        )
        text = authored.there_and_back(models(users(sa.Column("a", sa.Integer))))
        assert statements(text) == [
            "drop_constraint_if_exists(op.f('users_a'), 'users', type_='foreignkey')",
            *(f"drop_table_if_exists('{name}', archive=True)" for name in "cba"),
        ]
        *restored, key = statements(text, "downgrade")
        assert restored == [f"restore_table('{name}')" for name in "abc"]
        assert key.startswith("create_foreign_key_if_missing(op.f('users_a'), 'users', 'a', ['a'], ['id']")

    def test_those_that_refer_to_each_other_get_their_keys_afterwards(self, authored: Authored) -> None:
        key = sa.ForeignKeyConstraint(["user_id"], ["users.id"], "teams_user", use_alter=True)
        both = (
            users(
                sa.Column("team_id", sa.Integer, index=True),
                sa.ForeignKeyConstraint(["team_id"], ["teams.id"], "users_team"),
            ),
            teams(sa.Column("user_id", sa.Integer, index=True), key),
        )
        text = authored.there_and_back(models(*both))
        assert "create_foreign_key_if_missing('" in body(text)
        assert "use_alter" not in text
        assert len(statements(text, "downgrade")) == 3
        assert statements(text, "downgrade")[0].startswith("drop_constraint_if_exists('")
        text = authored.there_and_back(sa.MetaData())
        assert [line.split("(")[0] for line in statements(text)] == [
            "drop_constraint_if_exists",
            *["drop_table_if_exists"] * 2,
        ]
        assert [line.split("(")[0] for line in statements(text, "downgrade")] == [
            *["restore_table"] * 2,
            "create_foreign_key_if_missing",
        ]


class TestColumns:
    def test_new_and_dropped_ones(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("old", sa.String(20), server_default="x", nullable=False))))
        authored.database.execute("INSERT INTO users VALUES (1, 'kept')")
        text = authored.there_and_back(models(users(sa.Column("n", sa.Integer, server_default="7", nullable=False))))
        assert statements(text)[0].startswith(
            "add_column_if_missing('users', sa.Column('n', sa.Integer(), server_default="
        )
        assert statements(text)[1:] == ["drop_column_if_exists('users', 'old', archive=True)"]
        restore, drop = statements(text, "downgrade")
        assert restore.startswith("restore_column('users', sa.Column('old', ")
        assert drop == "drop_column_if_exists('users', 'n')"
        authored.downgrade()
        assert authored.rows("SELECT id, old FROM users") == [(1, "kept")]

    @pytest.mark.parametrize("way", ["online", "offline"])
    def test_a_required_one_refuses_until_the_author_sets_its_value(self, authored: Authored, way: str) -> None:
        authored.run(models(users()))
        authored.database.execute("INSERT INTO users VALUES (1)")
        text = authored.write(models(users(sa.Column("name", sa.String(50), nullable=False))))
        assert "TODO: replace the three dots with the value of name" in comments(text)
        assert statements(text)[0].endswith("nullable=False), populate=...)")
        assert body(text, "downgrade") == "drop_column_if_exists('users', 'name')"
        with pytest.raises(InvalidArgument, match=r"still the three dots.*\n.*\n    add_required_column\(\"users\""):
            authored.upgrade() if way == "online" else authored.project.sql("r1:r2")
        assert columns_of(authored, "users") == {"id"}
        # Of another length: Python keeps what it compiled of a file of the same second and size.
        authored.path.write_text(text.replace("populate=...", "populate='other'"))
        authored.upgrade()
        authored.check()
        assert authored.rows("SELECT name FROM users") == [("other",)]

    def test_computed_and_identity_ones_are_not_required(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("n", sa.Integer))))
        # Before 18, PostgreSQL stores each of them; SQLite adds none that is stored.
        twice = sa.Computed("n * 2", persisted=True if authored.database.kind == "postgresql" else None)
        text = authored.there_and_back(models(users(sa.Column("n", sa.Integer), sa.Column("twice", sa.Integer, twice))))
        assert statements(text)[0].startswith(
            "add_column_if_missing('users', sa.Column('twice', sa.Integer(), sa.Computed("
        )
        text = authored.there_and_back(models(users(sa.Column("n", sa.Integer))))
        assert statements(text) == ["drop_column_if_exists('users', 'twice')"]
        assert statements(text, "downgrade")[0].startswith("add_column_if_missing('users', sa.Column('twice'")

    def test_without_a_key_a_comment_reports_that_nothing_is_kept(self, authored: Authored) -> None:
        authored.run(models(("notes", sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))))
        text = authored.there_and_back(models(("notes", sa.Column("a", sa.Integer))))
        assert statements(text) == ["drop_column_if_exists('notes', 'b')"]
        assert "no archive can be made" in comments(text)
        assert statements(text, "downgrade")[0].startswith("add_column_if_missing('notes', sa.Column('b'")

    def test_several_changes_of_one_are_split_and_undone_in_reverse(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("name", sa.String(50)))))
        text = authored.there_and_back(
            models(users(sa.Column("name", sa.String(60), nullable=False, server_default="x")))
        )
        assert statements(text) == [
            "alter_column_type('users', 'name', sa.String(length=60))",
            "set_server_default('users', 'name', 'x')",
            "enforce_not_null('users', 'name')",
        ]
        back = statements(text, "downgrade")
        assert back[:2] == ["relax_not_null('users', 'name')", "set_server_default('users', 'name', None)"]

    def test_a_default_that_is_only_spelled_otherwise_is_not_a_difference(self, authored: Authored) -> None:
        now = sa.Column("at", sa.DateTime, server_default=sa.func.now())
        flag = sa.Column("on", sa.Boolean, server_default=sa.false(), nullable=False)
        authored.run(models(users(now, flag)))
        text = authored.there_and_back(models(users(now._copy(), flag._copy(), sa.Column("n", sa.Integer))))
        assert len(statements(text)) == len(statements(text, "downgrade")) == 1

    @pytest.mark.only("postgresql", "mysql")
    def test_comments_are_set(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("name", sa.String(50), nullable=False, server_default="x"))))
        changed = models((*users(sa.Column("name", sa.String(50), comment="of birth")), {"comment": "people"}))
        text = authored.there_and_back(changed)
        written = ["set_comment('users', 'name', 'of birth')", "set_comment('users', None, 'people')"]
        assert [one for one in statements(text) if "comment" in one] == written
        back = ["set_comment('users', None, None)", "set_comment('users', 'name', None)"]
        assert [one for one in statements(text, "downgrade") if "comment" in one] == back

    @pytest.mark.only("mariadb")
    def test_a_note_reports_that_a_comment_would_block(self, authored: Authored) -> None:
        def twice(comment: str) -> sa.Column[int]:
            return sa.Column("twice", sa.Integer, sa.Computed("n * 2", persisted=True), comment=comment)

        authored.run(models(users(sa.Column("n", sa.Integer), twice("old"))))
        authored.database.execute("INSERT INTO users (id) VALUES (1)")
        text = authored.write(models(users(sa.Column("n", sa.Integer), twice("new"))))
        assert statements(text) == ["set_comment('users', 'twice', 'new')"]
        assert "This is refused if the table has rows" in comments(text)
        with pytest.raises(UnsafeOperation, match="cannot do this online"):
            authored.upgrade()

    @pytest.mark.only("mysql")
    def test_what_safeops_keeps_in_comments_is_not_the_authors(self, authored: Authored) -> None:
        def version(name: str | None, people: str | None) -> sa.MetaData:
            return models((*users(sa.Column("name", sa.String(50), comment=name)), {"comment": people}))

        authored.run(version(None, "people"))
        mark = "'safeops safeops_users_old_name'"
        authored.database.execute(
            "ALTER TABLE users COMMENT 'people [safeops: rows unchecked: fk]'",
            f"ALTER TABLE users MODIFY name varchar(50) COMMENT {mark}",
        )
        authored.check()
        text = authored.write(version("said", "folk"))
        written = ["set_comment('users', 'name', 'said')", "set_comment('users', None, 'folk')"]
        assert statements(text) == written
        back = ["set_comment('users', None, 'people')", "set_comment('users', 'name', None)"]
        assert statements(text, "downgrade") == back

    @pytest.mark.only("pg18")
    def test_a_foreign_key_that_is_not_enforced_is_replaced(self, authored: Authored) -> None:
        def version() -> sa.MetaData:
            return models(teams(), users(sa.Column("team", sa.ForeignKey("teams.id", name="fk"), index=True)))

        authored.run(version())
        authored.database.execute("ALTER TABLE users ALTER CONSTRAINT fk NOT ENFORCED")
        text = authored.write(version())
        assert statements(text) == [
            "create_foreign_key_if_missing('fk', 'users', 'teams', ['team'], ['id'], if_different='replace')"
        ]
        authored.upgrade()
        authored.check()
        assert authored.rows("SELECT conenforced, convalidated FROM pg_constraint WHERE conname = 'fk'") == [
            (True, True)
        ]

    def test_a_rename_is_offered(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("name", sa.String(50)), sa.Column("n", sa.Integer))))
        text = authored.write(models(users(sa.Column("full name", sa.String(50)))))
        assert 'ColumnRename("users", "name", "full name")' in comments(text)
        command = "alembic -x pattern=rename-column -x table=users -x old=name -x 'new=full name' revision"
        assert command.replace("-x 'new=full name'", "-x new='full name'") in comments(text)
        assert '"n"' not in comments(text)

    def test_one_comment_explains_several_renames(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("a", sa.Integer), sa.Column("b", sa.Integer))))
        text = authored.write(models(users(sa.Column("c", sa.Integer), sa.Column("d", sa.Integer))))
        assert "a, b would be dropped, and c, d of the same type added. With one of each as OLD and NEW:" in comments(
            text
        )
        assert comments(text).count("ColumnRename(") == comments(text).count("alembic -x") == 1

    def test_what_refers_to_something_else_is_not_a_rename(self, authored: Authored) -> None:
        def referring(column: str, to: str) -> sa.MetaData:
            key = sa.Column(column, sa.ForeignKey(f"{to}.id", name=f"users_{column}"), index=True)
            return models(teams(), ("others", sa.Column("id", sa.Integer, primary_key=True)), users(key))

        authored.run(referring("a", "teams"))
        assert "ColumnRename(" not in authored.write(referring("b", "others"))
        authored.path.unlink()
        assert "ColumnRename(" in authored.write(referring("b", "teams"))


class TestTypes:
    @pytest.mark.only("postgresql", "mysql")
    def test_what_needs_no_rewrite_is_changed_in_place_in_both_directions(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("name", sa.String(50)))))
        authored.database.execute("INSERT INTO users VALUES (1, 'a')")
        text = authored.there_and_back(models(users(sa.Column("name", sa.String(60)))))
        assert statements(text) == ["alter_column_type('users', 'name', sa.String(length=60))"]
        phases = [line.rpartition(".")[2] for line in statements(text, "downgrade")]
        assert phases == ["expand()", "switch()", "contract()"]

    def test_others_take_several_deploys(self, authored: Authored) -> None:
        authored.run(models(users(sa.Column("n", sa.String(20)))))
        authored.database.execute("INSERT INTO users VALUES (1, '7'), (2, 'x')")
        authored.database.execute("DELETE FROM users WHERE id = 2")
        wanted = models(users(sa.Column("n", sa.BigInteger)))
        if authored.database.kind == "sqlite":
            authored.database.execute("INSERT INTO users VALUES (3, '007')")
        text = authored.write(wanted)
        assert statements(text) == ["TypeChange('users', 'n', sa.BigInteger()).expand()"]
        assert statements(text, "downgrade") == ["TypeChange('users', 'n', sa.BigInteger()).undo_expand()"]
        for phase in ("switch", "contract"):
            assert (
                f"alembic -x pattern=type-change -x table=users -x column=n -x type='sa.BigInteger()' -x phase={phase}"
                f' revision -m "{phase} users.n"' in comments(text)
            )
        authored.upgrade()
        authored.downgrade()
        authored.upgrade()
        text = authored.there_and_back(wanted)
        assert statements(text) == ["TypeChange('users', 'n', sa.BigInteger()).switch()"]
        assert statements(text, "downgrade") == ["TypeChange('users', 'n', sa.BigInteger()).undo_switch()"]
        assert "Deploy it after the one that expanded it" in comments(text)


class TestConstraints:
    def test_each_kind(self, authored: Authored) -> None:
        authored.run(models(users(), teams(sa.Column("code", sa.String(9)), sa.Column("user_id", sa.Integer))))
        key = sa.ForeignKeyConstraint(["user_id"], ["users.id"], "teams_user", ondelete="CASCADE")
        unique = sa.UniqueConstraint("code", name="teams_code")
        added = models(
            users(), teams(sa.Column("code", sa.String(9)), sa.Column("user_id", sa.Integer, index=True), key, unique)
        )
        text = authored.there_and_back(added)
        assert (
            "create_foreign_key_if_missing('teams_user', 'teams', 'users', ['user_id'], ['id'], ondelete='CASCADE')"
            in text
        )
        assert "create_unique_constraint_if_missing('teams_code', 'teams', ['code'])" in text
        assert "drop_constraint_if_exists('teams_user', 'teams', type_='foreignkey')" in body(text, "downgrade")
        assert "op." not in body(text).replace("op.f(", "")

    def test_those_without_a_name_get_that_which_the_server_would_give(self, authored: Authored) -> None:
        authored.run(models(users(), teams(sa.Column("user_id", sa.Integer), sa.Column("code", sa.String(9)))))
        user = sa.Column("user_id", sa.ForeignKey("users.id"), index=True)
        text = authored.there_and_back(models(users(), teams(user, sa.Column("code", sa.String(9), unique=True))))
        assert "create_foreign_key_if_missing('teams_user_id_fkey', 'teams'" in body(text)
        assert "create_unique_constraint_if_missing('teams_code_key', 'teams', ['code'])" in body(text)
        assert "drop_constraint_if_exists('teams_user_id_fkey', 'teams', type_='foreignkey')" in body(text, "downgrade")
        text = authored.there_and_back(
            models(users(), teams(sa.Column("user_id", sa.Integer), sa.Column("code", sa.String(9))))
        )
        assert "'teams_user_id_fkey'" in body(text)

    def test_a_naming_convention_decides(self, authored: Authored) -> None:
        convention = {"naming_convention": {"fk": "fk_%(table_name)s_%(column_0_name)s", "uq": "uq_%(column_0_name)s"}}
        authored.run(models(users(), teams(sa.Column("user_id", sa.Integer)), **convention))
        key = sa.Column("user_id", sa.ForeignKey("users.id"), unique=True)
        text = authored.there_and_back(models(users(), teams(key), **convention))
        assert "create_foreign_key_if_missing(op.f('fk_teams_user_id'), 'teams'" in body(text)
        assert "(op.f('uq_user_id'), 'teams'" in body(text)

    def test_an_index_of_an_expression_and_a_partial_one(self, authored: Authored) -> None:
        if authored.database.kind == "mysql":
            pytest.skip("it has neither")
        authored.run(models(users(sa.Column("name", sa.String(50)))))
        where = {f"{authored.database.kind}_where": sa.text("name IS NOT NULL")}
        partial = sa.Index("ix_partial", "name", unique=True, **where)
        wanted = models(users(sa.Column("name", sa.String(50)), partial, sa.Index("ix_low", sa.text("lower(name)"))))
        text = authored.write(wanted)
        assert "_where=sa.text('name IS NOT NULL'))" in body(text)
        assert "create_index_if_missing('ix_partial', 'users', ['name'], unique=True," in body(text)
        assert "drop_index_if_exists('ix_partial', 'users')" in body(text, "downgrade")
        authored.upgrade()
        authored.downgrade()

    def test_a_unique_key_that_a_foreign_key_refers_to_stays(self, authored: Authored) -> None:
        def tables(*unique: Any) -> sa.MetaData:
            code = sa.Column("code", sa.String(5), nullable=False)
            key = sa.ForeignKeyConstraint(["code"], ["teams.code"], "users_code")
            return models(teams(code, *unique), users(sa.Column("code", sa.String(5), index=True), key))

        authored.run(tables(sa.UniqueConstraint("code", name="uq_teams_code")))
        text = authored.write(tables())
        assert statements(text) == statements(text, "downgrade") == ["pass"]
        told = "uq_teams_code of teams is kept, because the foreign key users_code of users depends on it"
        assert told in comments(text)
        assert told in " ".join(authored.log)
        authored.upgrade()

    def test_a_key_that_no_index_covers_is_reported(self, authored: Authored) -> None:
        key = sa.Column("user_id", sa.ForeignKey("users.id"))
        with log_lines("safeops.autogenerate") as said:
            text = authored.run(models(users(), teams(key)))
        if authored.database.kind == "mysql":
            assert said == []
            return
        assert "The foreign key of teams (user_id) has no index" in comments(text)
        assert "The foreign key of teams (user_id) has no index" in said[0]
        assert "create_index" not in text
        covered = sa.UniqueConstraint("user_id", "id", name="covers")
        text = authored.run(models(users(), teams(sa.Column("user_id", sa.ForeignKey("users.id", name="x")), covered)))
        assert "has no index" not in text


def test_defaults_that_the_server_cannot_compare_or_spells_differently_are_not_a_change(authored: Authored) -> None:
    defaults: list[tuple[Any, Any]] = [
        (sa.JSON(), "{}"),
        (sa.String(40), "it's"),
        (sa.String(40), "now()"),
        (sa.String(40), "100% of a:b"),
        (sa.Numeric(6, 2), sa.text("1.5")),
        (sa.DateTime(timezone=True), sa.func.now()),
    ]
    columns = [sa.Column(f"c{place}", type_, server_default=one) for place, (type_, one) in enumerate(defaults)]
    authored.run(models(users(*columns)))


@pytest.mark.only("pg18", "pg14")
def test_the_servers_own_keys_to_partitions_are_not_a_difference(authored: Authored) -> None:
    """PostgreSQL keeps a foreign key to a partitioned table to each of its partitions too, and SQLAlchemy reflects those."""

    def tables(*parts: Any) -> sa.MetaData:
        key = {"name": "id", "type_": sa.Integer, "primary_key": True}
        made = models(("parts", sa.Column(**key)), ("q", sa.Column(**key), *parts))
        made.tables["parts"].dialect_options["postgresql"]["partition_by"] = "RANGE (id)"
        return made

    authored.run(tables(sa.Column("bid", sa.ForeignKey("parts.id", name="fk"), index=True)))
    authored.database.execute("CREATE SCHEMA own", "CREATE TABLE own.p PARTITION OF parts DEFAULT")
    authored.check()
    text = authored.run(tables(sa.Column("bid", sa.Integer)))
    assert [line.split("(")[0] for line in statements(text)] == ["drop_constraint_if_exists", "drop_index_if_exists"]


@pytest.mark.only("mysql")
def test_what_mysql_alone_has_is_not_a_change_the_second_time(authored: Authored) -> None:
    """Defaults that are expressions; indexes on expressions and of a kind that is built under a lock."""
    is_mysql = authored.database.server.product == "mysql"
    lower = [sa.Index("ix_lower", sa.func.lower(sa.column("u")))] if is_mysql else []
    columns = (
        sa.Column("u", sa.String(36), server_default=sa.text("(uuid())")),
        sa.Column("c", sa.String(36), server_default=sa.text("(concat('a', 'b'))")),
        sa.Column("n", sa.Integer, server_default=sa.text("-1")),
        sa.Column("moment", sa.DateTime, server_default=sa.func.now()),
        sa.Column("story", sa.Text),
        sa.Index("ft", "story", mysql_prefix="FULLTEXT", mariadb_prefix="FULLTEXT"),
    )
    text = authored.there_and_back(models(users(*columns, *lower)))
    assert ("ix_lower" in text) is is_mysql


@pytest.mark.only("mysql97")
def test_indexes_on_expressions_come_back_with_their_expressions_on_mysql(authored: Authored) -> None:
    """SQLAlchemy reflects them without: on the plain columns that are left, or on none."""

    def indexed(*wanted: str) -> sa.MetaData:
        made = {
            "one": sa.Index("one", sa.func.lower(sa.column("s"))),
            "two": sa.Index("two", "a", sa.text("(upper(s)) DESC"), unique=True),
            "three": sa.Index("three", sa.text("(a + 1)"), "a"),
        }
        columns = sa.Column("a", sa.Integer), sa.Column("s", sa.String(20))
        return models(users(*columns, *(made[name] for name in wanted)))

    every = "SELECT INDEX_NAME, SEQ_IN_INDEX, COLUMN_NAME, EXPRESSION, COLLATION, NON_UNIQUE"
    every += (
        " FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME = 'users' ORDER BY 1, 2"
    )
    authored.there_and_back(indexed("one", "two", "three"))
    before = authored.rows(every)
    unchanged = authored.run(indexed("one", "two", "three"))
    assert (body(unchanged), body(unchanged, "downgrade")) == ("pass", "pass")
    text = authored.run(indexed("three"))
    assert sorted(statements(text)) == [
        "drop_index_if_exists(op.f('one'), 'users')",
        "drop_index_if_exists(op.f('two'), 'users')",
    ]
    authored.downgrade()
    assert authored.rows(every) == before


@pytest.mark.only("mysql")
def test_a_changed_prefix_of_an_index_is_found_on_mysql(authored: Authored) -> None:
    def indexed(length: int) -> sa.MetaData:
        return models(
            users(sa.Column("s", sa.String(20)), sa.Index("ix", "s", mysql_length=length, mariadb_length=length))
        )

    authored.run(indexed(5))
    authored.there_and_back(indexed(9))
    authored.downgrade()
    part = "SELECT SUB_PART FROM information_schema.STATISTICS WHERE TABLE_SCHEMA = DATABASE() AND INDEX_NAME = 'ix'"
    assert authored.rows(part) == [(5,)]
