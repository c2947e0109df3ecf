"""Named types of the models, compared with those of the database, created before and dropped after their use."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic import util
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.dialects import postgresql
from tests.authoring.authored import Authored, body, comments, models, statements, users
from tests.projects import Project, log_lines
from tests.servers import Database


@pytest.fixture
def authored(tmp_path: Path, database: Database) -> Authored:
    return Authored(tmp_path, database)


def mood(*values: str, **options: Any) -> sa.Enum:
    return sa.Enum(*(values or ("sad", "happy")), name="mood", **options)


def live(authored: Authored) -> dict[str, list[str]]:
    return {one["name"]: one["labels"] for one in sa.inspect(authored.database.observer()).get_enums(schema="*")}


@pytest.mark.only("postgresql")
def test_a_new_one_is_created_before_its_column_and_dropped_after_it(authored: Authored) -> None:
    authored.run(models(users()))
    text = authored.there_and_back(models(users(sa.Column("mood", mood()), sa.Column("all", sa.ARRAY(mood())))))
    assert statements(text)[0] == "create_enum_if_missing('mood', ['sad', 'happy'])"
    assert statements(text)[1].startswith(
        "add_column_if_missing('users', sa.Column('mood', sa.Enum('sad', 'happy', name='mood')"
    )
    assert statements(text, "downgrade")[-1] == "drop_enum_if_exists('mood')"
    authored.downgrade()
    assert live(authored) == {}


@pytest.mark.only("postgresql")
def test_one_of_a_new_table(authored: Authored) -> None:
    text = authored.there_and_back(models(users(sa.Column("mood", mood(), nullable=False))))
    assert statements(text)[0] == "create_enum_if_missing('mood', ['sad', 'happy'])"
    authored.downgrade()
    assert live(authored) == {}


@pytest.mark.only("postgresql")
def test_one_of_the_metadata_alone_and_one_behind_a_decorator(authored: Authored) -> None:
    class Decorated(sa.types.TypeDecorator[str]):
        impl = sa.Enum("a", "b", name="decorated")
        cache_ok = True

    metadata = models(users(sa.Column("d", Decorated())))
    mood(metadata=metadata)
    text = authored.write(metadata)
    assert statements(text)[:2] == [
        "create_enum_if_missing('decorated', ['a', 'b'])",
        "create_enum_if_missing('mood', ['sad', 'happy'])",
    ]


@pytest.mark.only("postgresql")
def test_what_is_not_ours_to_create_is_left_alone(authored: Authored) -> None:
    foreign = postgresql.ENUM("a", name="foreign", create_type=False)
    text = authored.write(models(users(sa.Column("m", mood(native_enum=False)), sa.Column("f", foreign))))
    assert "create_enum_if_missing" not in text


@pytest.mark.only("postgresql")
def test_new_values_each_in_its_place(authored: Authored) -> None:
    authored.run(models(users(sa.Column("mood", mood("b", "d")))))
    text = authored.there_and_back(models(users(sa.Column("mood", mood("a", "b", "c", "d", "e", "f")))))
    assert statements(text) == [
        "add_enum_value_if_missing('mood', 'a', before='b')",
        "add_enum_value_if_missing('mood', 'c', after='b')",
        "add_enum_value_if_missing('mood', 'e', after='d')",
        "add_enum_value_if_missing('mood', 'f', after='e')",
    ]
    assert live(authored) == {"mood": list("abcdef")}
    assert statements(text, "downgrade") == ["pass"]
    assert "Nothing to undo: value 'a' of type mood stays" in comments(text, "downgrade")


@pytest.mark.only("postgresql")
def test_a_value_can_be_the_default_of_the_same_revision(authored: Authored) -> None:
    authored.run(models(users(sa.Column("mood", mood(), server_default="sad"))))
    column = sa.Column("mood", mood("sad", "happy", "new"), server_default="new")
    if not hasattr(util, "DispatchPriority"):
        pytest.skip("before 1.18 nobody can keep Alembic from asking the server about a value that it does not have")
    next_ = sa.Column("next", mood("sad", "happy", "new"), server_default="new")
    text = authored.there_and_back(models(users(column, next_)))
    assert [line.split("(")[0] for line in statements(text)] == [
        "add_enum_value_if_missing",
        "add_column_if_missing",
        "set_server_default",
    ]


@pytest.mark.only("postgresql")
def test_removed_and_reordered_values_are_reported_and_not_a_difference(authored: Authored) -> None:
    authored.run(models(users(sa.Column("mood", mood("a", "b", "c")))))
    with log_lines("safeops.autogenerate") as said:
        assert body(authored.write(models(users(sa.Column("mood", mood("b", "a")))))) == "pass"
    assert "type mood keeps ['c'], which the models lack" in said[0]
    assert "type mood has its values in the order ['a', 'b', 'c']" in said[1]


@pytest.mark.only("postgresql")
def test_a_type_of_an_archived_column_stays_with_it(authored: Authored) -> None:
    authored.run(models(users(sa.Column("mood", mood()))))
    authored.database.execute("INSERT INTO users VALUES (1, 'sad')")
    text = authored.there_and_back(models(users()))
    assert statements(text) == ["drop_column_if_exists('users', 'mood', archive=True)"]
    assert "The type mood is kept, because the archive" in comments(text)
    authored.downgrade()
    assert authored.rows("SELECT mood FROM users") == [("sad",)]


@pytest.mark.only("postgresql")
def test_another_type_over_several_deploys(authored: Authored) -> None:
    authored.run(models(users(sa.Column("mood", mood()))))
    authored.database.execute("INSERT INTO users VALUES (1, 'sad')")
    wanted = models(users(sa.Column("mood", sa.Enum("happy", "sad", "so", name="humor"))))
    text = authored.write(wanted)
    assert statements(text)[0] == "create_enum_if_missing('humor', ['happy', 'sad', 'so'])"
    assert (
        "using='CAST(CAST(mood AS TEXT) AS humor)', reverse_using='CAST(CAST(mood AS TEXT) AS mood)').expand()"
        in statements(text)[1]
    )
    authored.upgrade()
    authored.downgrade()
    authored.upgrade()
    assert ".switch()" in authored.there_and_back(wanted)


@pytest.mark.only("postgresql")
def test_one_in_a_schema(authored: Authored) -> None:
    authored.database.execute("CREATE SCHEMA other")
    authored.project.configure["include_schemas"] = True
    text = authored.there_and_back(models((*users(sa.Column("mood", mood(schema="other"))), {"schema": "other"})))
    assert statements(text)[0] == "create_enum_if_missing('mood', ['sad', 'happy'], schema='other')"
    assert statements(text, "downgrade") == [
        "drop_table_if_exists('users', schema='other')",
        "drop_enum_if_exists('mood', schema='other')",
    ]


@pytest.mark.only("postgresql")
def test_tables_that_env_py_leaves_out_bring_no_types(authored: Authored) -> None:
    authored.project.configure["include_object"] = lambda _, name, *rest: name != "users"
    assert body(authored.write(models(users(sa.Column("mood", mood()))))) == "pass"


@pytest.mark.only("postgresql")
def test_compare_metadata_reports_them_as_differences(authored: Authored) -> None:
    authored.database.execute("CREATE TYPE mood AS ENUM ('sad')")
    with authored.database.engine().connect() as connection:
        context = MigrationContext.configure(connection)
        metadata = models(users(sa.Column("mood", mood()), sa.Column("x", sa.Enum("a", name="x"))))
        found = compare_metadata(context, metadata)
    assert found[:2] == [("add_enum_value", None, "mood", "happy"), ("add_enum", None, "x", ["a"])]


def test_a_file_for_named_types_runs_if_there_are_none(tmp_path: Path, database: Database) -> None:
    up = """
        create_enum_if_missing('mood', ['sad', 'happy'])
        create_table_if_missing('users', sa.Column('mood', sa.Enum('sad', 'happy', name='mood')))
        add_enum_value_if_missing('mood', 'new', after='happy')
        """
    down = "drop_table_if_exists('users')\ndrop_enum_if_exists('mood')"
    project = Project(tmp_path, database, {"r1": (up, down)}, imports="from safeops import *")
    project.upgrade()
    project.downgrade()
    assert sa.inspect(database.observer()).get_table_names() == ["alembic_version"]


@pytest.mark.only("mysql", "sqlite")
def test_nothing_is_written_if_there_are_none(tmp_path: Path, database: Database) -> None:
    text = Authored(tmp_path, database).there_and_back(models(users(sa.Column("mood", mood()))))
    assert "enum_if" not in text
