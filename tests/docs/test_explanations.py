"""The tables of the explanations are right for each database and each env.py."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
import sqlalchemy as sa

import safeops as s
from tests.docs.pages import DOCS
from tests.projects import Project, render
from tests.servers import Database


def _table(page: str, first: str) -> list[list[str]]:
    """Return the rows of the table whose head begins with these cells."""
    _, _, table = (DOCS / "explanation" / page).read_text().partition(f"| {first} |")
    lines = table.split("\n\n")[0].splitlines()[2:]
    return [[cell.strip() for cell in line.strip("|").split(" | ")] for line in lines]


@s.reads("name", writes=("email",))
def lowered(rows: list[dict[str, str]]) -> list[dict[str, str]]:
    return [{"email": row["name"].lower()} for row in rows]


CHANGE = s.TypeChange("t", "a", sa.Numeric(12, 2))
RENAME = s.ColumnRename("t", "a", "b")
TABLE = s.TableRename("t", "u")

OFFLINE: dict[str, list[Callable[[], object]]] = {
    "tables, indexes": [
        lambda: s.create_table_if_missing("t", sa.Column("id", sa.Integer, primary_key=True)),
        lambda: s.drop_table_if_exists("t"),
        lambda: s.create_index_if_missing("ix", "t", ["a"]),
        lambda: s.drop_index_if_exists("ix", "t"),
    ],
    "columns, defaults, constraints": [
        lambda: s.add_column_if_missing("t", sa.Column("a", sa.Integer)),
        lambda: s.drop_column_if_exists("t", "a"),
        lambda: s.set_server_default("t", "a", sa.text("1")),
        lambda: s.create_foreign_key_if_missing("fk", "t", "u", ["a"], ["id"]),
        lambda: s.create_check_constraint_if_missing("ck", "t", "a > 0"),
        lambda: s.create_unique_constraint_if_missing("uq", "t", ["a"]),
        lambda: s.create_primary_key_if_missing("pk", "t", ["a"]),
        lambda: s.drop_constraint_if_exists("ck", "t", type_="check"),
    ],
    "`enforce_not_null`, `relax_not_null`": [lambda: s.enforce_not_null("t", "a"), lambda: s.relax_not_null("t", "a")],
    "`alter_column_type`": [lambda: s.alter_column_type("t", "a", sa.BigInteger())],
    "`backfill` by expressions": [lambda: s.backfill("t", {"b": sa.text("a")})],
    "`backfill` by a function": [lambda: s.backfill("t", lowered)],
    "`ColumnRename`": [RENAME.expand, RENAME.contract, RENAME.undo_contract, RENAME.undo_expand],
    "`TableRename`": [TABLE.expand, TABLE.contract, TABLE.undo_contract, TABLE.undo_expand],
    "`TypeChange`": [CHANGE.expand, CHANGE.switch, CHANGE.contract, CHANGE.undo_contract, CHANGE.undo_switch],
    "archives": [
        lambda: s.drop_table_if_exists("t", archive=True),
        lambda: s.drop_column_if_exists("t", "a", archive=True),
        lambda: s.restore_table("t"),
        lambda: s.restore_column("t", sa.Column("a", sa.Integer)),
    ],
}
URLS = ("postgresql+psycopg://", "mariadb+pymysql://", "sqlite://")


@pytest.mark.parametrize("row", _table("offline.md", "under `--sql`"), ids=lambda row: row[0])
def test_what_renders_offline(row: list[str]) -> None:
    for said, url in zip(row[1:], URLS, strict=True):
        for call in OFFLINE[row[0]]:
            if said.startswith(("`OnlineOnly`", "`UnsupportedOnDatabase`")):
                with pytest.raises(getattr(s, said.strip("`"))):
                    render(url, call)
            else:
                assert render(url, call).strip(), (row[0], url)


def test_every_row_of_the_offline_table_is_tried() -> None:
    assert [row[0] for row in _table("offline.md", "under `--sql`")] == list(OFFLINE)


ENVS = ["begin", "execute_before", "commit_before", "no_begin", "one_transaction", "autocommit", "async"]


@pytest.mark.only("sqlite", "pg18")
@pytest.mark.parametrize("place", range(len(ENVS)), ids=ENVS)
def test_what_each_shape_of_env_py_does(database: Database, place: int, tmp_path: Path) -> None:
    said = _table("transactions.md", "env.py")[place][2]
    if ENVS[place] == "async":
        database = database.with_driver({"sqlite": "aiosqlite", "postgresql": "asyncpg"}[database.kind])
    code = "s.create_table_if_missing('t', sa.Column('id', sa.Integer, primary_key=True))"
    configure = {"transaction_per_migration": ENVS[place] != "no_begin"}
    revisions = {"r1": (code, "pass")}
    project = Project(tmp_path, database, revisions, ENVS[place], "import safeops as s", configure)
    refused = "elsewhere" not in said or database.kind == "postgresql"
    if "`TransactionNotOurs`" in said and refused:
        with pytest.raises(s.TransactionNotOurs):
            project.upgrade()
    else:
        assert "works" in said
        project.upgrade()
        assert project.current() == ("r1",)
