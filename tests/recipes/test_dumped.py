"""Every phase of every change survives dump and restore by the server's own tools, and continues in the restored copy."""

from __future__ import annotations

import contextlib
import os
import re
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from tests.catalogue import all_rows, assert_same, snapshot
from tests.projects import migrate
from tests.runner.hoard import project
from tests.servers import Database, PostgreSQL

from safeops import (
    BackfillStopped,
    ColumnRename,
    TableRename,
    TypeChange,
    add_required_column,
    backfill,
    drop_column_if_exists,
    drop_table_if_exists,
    reads,
    restore_column,
    restore_table,
)
from safeops.databases.triggers import pair_of
from safeops.naming import Name
from safeops.runner import backup as safeops_backup
from safeops.runner import restore as safeops_restore

Make = Callable[[], Database]
Call = Callable[[], object]


@dataclass(frozen=True)
class Change:
    """A change that is dumped while it is open.

    Args:
        table: Its table, with the columns ``a`` and ``b``, and rows.
        before: The phases that have run when the database is dumped.
        after: The phases that follow in each of both databases.
        writes: What an application writes in between, in each of both.
    """

    table: str
    before: Sequence[Call]
    after: Sequence[Call]
    writes: str = "INSERT INTO {table} (id, a) VALUES (4, 'four')"


RENAMED = ColumnRename("renamed", "a", "the 'new' a")
NUMBER = "CAST(b AS {number}) /* of b; and: 'so' */ * 2"


def changes(database: Database) -> list[Change]:
    number = "SIGNED" if database.kind == "mysql" else "INTEGER"
    using = NUMBER.format(number=number)
    text = {"postgresql": "CAST(b / 2 AS VARCHAR(20))", "mysql": "CAST(b DIV 2 AS CHAR(20))"}
    back = text.get(database.kind, "CAST(b / 2 AS TEXT)")

    def typed(table: str) -> TypeChange:
        return TypeChange(table, "b", sa.Integer(), using=using, reverse_using=back)

    paired, switched, undone = map(typed, ("paired", "switched", "undone"))
    moved, taken_back, moved_back = (TableRename(one, f"{one} 2") for one in ("moved", "taken_back", "moved_back"))
    unwanted, contracted = ColumnRename("unwanted", "a", "c"), ColumnRename("contracted", "a", "c")
    b = sa.Column("b", sa.String(20))
    renames = [
        Change("moved", [moved.expand], [moved.contract]),
        Change("taken_back", [taken_back.expand], [taken_back.undo_expand]),
        Change("moved_back", [moved_back.expand, moved_back.contract], [moved_back.undo_contract], "SELECT 1"),
    ]
    return [
        Change("renamed", [RENAMED.expand], [RENAMED.expand, RENAMED.contract]),
        Change("unwanted", [unwanted.expand], [unwanted.undo_expand]),
        Change(
            "contracted",
            [contracted.expand, contracted.contract],
            [contracted.undo_contract, contracted.undo_expand],
            "INSERT INTO {table} (id, c) VALUES (4, 'four')",
        ),
        Change("paired", [paired.expand], [paired.switch, paired.contract], B),
        Change("switched", [switched.expand, switched.switch], [switched.undo_switch, switched.undo_expand], SWITCHED),
        Change("undone", [undone.expand, undone.switch], [undone.contract, undone.undo_contract], SWITCHED),
        *(renames if database.kind != "sqlite" else []),
        Change(
            "archived",
            [lambda: drop_column_if_exists("archived", "b", archive=True)],
            [lambda: restore_column("archived", b)],
        ),
        Change(
            "put_away",
            [lambda: drop_table_if_exists("put_away", archive=True)],
            [lambda: restore_table("put_away")],
            "SELECT 1",
        ),
        Change("required", [half(required)], [required]),
        Change("half", [half(ColumnRename("half", "a", "c").expand)], [ColumnRename("half", "a", "c").expand]),
        Change("stopped", [half(shouted)], [shouted]),
    ]


B = "INSERT INTO {table} (id, b) VALUES (4, '40')"
SWITCHED = "INSERT INTO {table} (id, b) VALUES (4, 40)"


@reads("a", "b", writes=("b",))
def shout(rows: Sequence[object]) -> list[dict[str, str]]:
    return [{"b": f"-{row['b']}"} for row in rows]  # type: ignore[index]


def shouted(**options: Any) -> None:
    backfill("stopped", shout, where=sa.text("b > '1'"), name="stopped", **options)


def required(**options: Any) -> None:
    column = sa.Column("r", sa.String(9), nullable=False)
    add_required_column("required", column, populate=sa.text("coalesce(b /* it */, 'none')"), **options)


def half(fill: Callable[..., object]) -> Call:
    """The fill, as it is after its first batch."""

    def first(_: object) -> None:
        raise BackfillStopped("after the first batch")

    def stopped() -> None:
        with contextlib.suppress(BackfillStopped):
            fill(batch_size=1, progress=first)

    return stopped


# --- the servers' own tools --------------------------------------------------------------------------------------


def piped(source: Sequence[object], target: Sequence[object], file: Path) -> None:
    """Writes a dump to a file by one program, and has another one read it."""
    environment = {**os.environ, "MYSQL_PWD": ""}
    with file.open("wb") as out:
        subprocess.run([*map(str, source)], stdout=out, env=environment, check=True, stderr=subprocess.PIPE)
    with file.open("rb") as lines:
        done = subprocess.run([*map(str, target)], stdin=lines, env=environment, check=False, capture_output=True)
    assert not done.returncode, done.stderr.decode()


def plain(one: Database, other: Database, file: Path) -> None:
    """As a team that knows nothing of safeops dumps and restores."""
    server = one.server
    if one.kind == "postgresql":
        assert isinstance(server, PostgreSQL)
        at = ["-h", "127.0.0.1", "-p", server.port, "-U", "postgres"]
        psql = [server.bin / "psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", *at, "-o", os.devnull, other.name]
        piped([server.bin / "pg_dump", *at, one.name], psql, file)
    elif one.kind == "mysql":
        at = ["--no-defaults", f"--socket={server.socket}", "--user=root"]  # type: ignore[attr-defined]
        gtid = ["--set-gtid-purged=OFF"] if server.product == "mysql" else []
        dump = [server.dump, *at, *gtid, "--routines", "--events", one.name]  # type: ignore[attr-defined]
        piped(dump, [server.client, *at, other.name], file)  # type: ignore[attr-defined]
    else:
        piped(["sqlite3", one.name, ".dump"], ["sqlite3", "-bail", other.name], file)


def custom(one: Database, other: Database, file: Path) -> None:
    """The other form of the server's own: pg_dump's custom one, a copy of SQLite's file."""
    server = one.server
    if one.kind == "sqlite":
        Path(other.name).write_bytes(Path(one.name).read_bytes())
        return
    assert isinstance(server, PostgreSQL)
    at = ["-h", "127.0.0.1", "-p", server.port, "-U", "postgres"]
    restore = [server.bin / "pg_restore", "--exit-on-error", *at, "-d", other.name]
    piped([server.bin / "pg_dump", "-Fc", *at, one.name], restore, file)


def own(one: Database, other: Database, file: Path) -> None:
    """``safeops backup`` and ``safeops restore``."""
    file.mkdir()
    done = safeops_backup(project(file, one).config, counts=True)
    safeops_restore(done.path, other.url)


# --- the tests ----------------------------------------------------------------------------------------------------


@pytest.fixture
def on_path(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """The programs of the server itself, if they are not those of the machine."""
    if database.server.product == "mysql":
        folder = Path(database.server.dump).parent  # type: ignore[attr-defined]
        monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")


def opened(database: Database) -> list[Change]:
    made = changes(database)
    for one in made:
        database.execute(
            f"CREATE TABLE {one.table} (id int PRIMARY KEY, a varchar(20) DEFAULT 'none', b varchar(20))",
            f"CREATE INDEX ix_{one.table} ON {one.table} (a)",
            f"INSERT INTO {one.table} VALUES (1, 'one', '10'), (2, 'it''s', '20'), (3, NULL, NULL)",
        )
        for phase in one.before:
            migrate(database, phase)
    return made


def continued(database: Database, made: Sequence[Change]) -> None:
    for one in made:
        database.execute(one.writes.format(table=one.table))
        for phase in one.after:
            migrate(database, phase)


@pytest.mark.whole
@pytest.mark.only("pg18", "mysql", "sqlite")
def test_every_phase_survives_dump_and_restore_and_continues(
    database: Database, new_database: Make, tmp_path: Path, on_path: None
) -> None:
    made = opened(database)
    ways = [plain, own] if database.kind == "mysql" else [plain, custom, own]
    copies = [(way, new_database()) for way in ways]
    for way, copy in copies:
        way(database, copy, tmp_path / way.__name__)
        assert_same(snapshot(database), snapshot(copy), f"the schema after {way.__name__}")
    before = all_rows(database)
    continued(database, made)
    for way, copy in copies:
        assert_same(before, all_rows(copy), f"the rows after {way.__name__}")
    # What another way has restored is the same, as seen.
    way, copy = copies[0]
    continued(copy, made)
    assert_same(snapshot(database), snapshot(copy), f"the schema at the end, after {way.__name__}")
    assert_same(all_rows(database), all_rows(copy), f"the rows at the end, after {way.__name__}")


def as_of_the_last_release(database: Database, table: str) -> None:
    """Writes the note of a pair into its triggers as a comment."""
    sql = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE()"
    for (name,) in database.query(f"{sql} AND event_object_table = '{table}'"):
        text = database.query(f"SHOW CREATE TRIGGER `{name}`")[0][2]
        pair = pair_of(text, Name(table))
        assert pair is not None
        note = re.escape(pair.literal_note)
        former = pair.note.join(re.split(f"DECLARE safeops_pair LONGTEXT DEFAULT {note};", text))
        database.execute(f"DROP TRIGGER `{name}`", former)


def commented(database: Database) -> int:
    return database.query(
        "SELECT count(*) FROM information_schema.triggers WHERE action_statement LIKE '%/*safeops%'"
        " AND trigger_schema = DATABASE()"
    )[0][0]


@pytest.mark.only("mysql")
def test_a_change_of_the_last_release_is_restored_continued_and_brought_up_to_date(
    database: Database, new_database: Make, tmp_path: Path, on_path: None, caplog: pytest.LogCaptureFixture
) -> None:
    database.execute(
        "CREATE TABLE u (id int PRIMARY KEY, a varchar(9), n varchar(9), z int)",
        "INSERT INTO u VALUES (1, 'x', '7', 5)",
    )
    renamed, typed = ColumnRename("u", "a", "b"), TypeChange("u", "n", sa.Integer(), using="CAST(n AS SIGNED)")
    for phase in (renamed.expand, typed.expand, lambda: drop_column_if_exists("u", "z", archive=True)):
        migrate(database, phase)
    database.execute("UPDATE safeops_archives SET of_schema = DATABASE()")
    as_of_the_last_release(database, "u")
    assert commented(database) == 4
    copy = new_database()
    own(database, copy, tmp_path / "own")
    assert "--comments, because there are comments in them: trigger safeops_" in caplog.text
    assert_same(snapshot(database), snapshot(copy), "the schema")
    for phase in (renamed.contract, typed.switch, typed.contract):
        assert migrate(copy, phase) is True
    assert migrate(copy, lambda: restore_column("u", sa.Column("z", sa.Integer())))
    assert copy.query("SELECT b, n, z FROM u") == [("x", 7, 5)]
    for phase in (renamed.expand, typed.expand):
        assert migrate(database, phase) is True
        assert migrate(database, phase) is False
    assert commented(database) == 0
    plain(database, new_database(), tmp_path / "plain")
