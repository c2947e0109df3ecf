"""A server that keeps the names of tables in lower case (``lower_case_table_names=1``), as Azure's and on Windows."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import sqlalchemy as sa

from safeops import (
    TableRename,
    backfill,
    create_foreign_key_if_missing,
    create_table_if_missing,
    drop_table_if_exists,
    restore_table,
)
from tests.projects import migrate
from tests.servers import Database, MariaDB, MySQL, _MySQLFamily, start

pytestmark = pytest.mark.only("mysql")


@pytest.fixture
def folding(server_name: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Database]:
    family: type[_MySQLFamily] = MariaDB if server_name == "mariadb" else MySQL
    monkeypatch.setattr(family, "settings", (*family.settings, "--lower-case-table-names=1"))
    server = start(server_name)
    try:
        yield Database(server.new_database(), server)
    finally:
        server.stop()


def test_names_with_capitals_are_those_of_the_tables(folding: Database) -> None:
    def twice(change: object) -> list[bool]:
        return [migrate(folding, change) for _ in range(2)]  # type: ignore[arg-type]

    def made() -> bool:
        key = sa.Column("id", sa.Integer, primary_key=True)
        create_table_if_missing("Teams", key._copy())
        team = sa.Column("team", sa.Integer, sa.ForeignKey("Teams.id", name="fk_team"))
        return create_table_if_missing("Users", key, team, sa.Column("other", sa.Integer))

    assert twice(made) == [True, False]
    keyed = lambda: create_foreign_key_if_missing("fk_other", "Users", "Teams", ["other"], ["id"])  # noqa: E731
    assert twice(keyed) == [True, False]
    folding.execute("INSERT INTO Teams VALUES (1)", "INSERT INTO Users VALUES (1, 1, NULL)")
    assert migrate(folding, lambda: backfill("Users", {"other": sa.text("team")})).rows == 1
    rename = TableRename("Users", "People")
    for phase in (rename.expand, rename.contract, rename.undo_contract, rename.undo_expand):
        assert twice(phase) == [True, False]
    assert twice(lambda: drop_table_if_exists("Users", archive=True)) == [True, False]
    assert twice(lambda: restore_table("Users")) == [True, False]
    assert folding.query("SELECT * FROM Users") == [(1, 1, 1)]
