"""``safeops restore``: a backup into an empty database, or a refusal with the reason and the state."""

from __future__ import annotations

import gzip
import json
import shutil
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from tests.runner.hoard import (
    EACH,
    NASTY,
    assert_equal_databases,
    dumps_of,
    fill,
    furnish,
    project,
    seen_in_processes,
    with_user,
)
from tests.servers import Database

from safeops.errors import BackupFailed, InvalidArgument
from safeops.runner import backup, restore
from safeops.runner.dumps import Dumps, Login
from safeops.runner.postgresql import PostgreSQLDumper

pytestmark = EACH
Make = Callable[[], Database]


def things(database: Database) -> list[str]:
    from safeops.databases import database_on

    with database.observer().connect() as connection:
        return Dumps.of(database_on(connection)).objects()


def test_a_backup_restored_equals_the_original(database: Database, new_database: Make, tmp_path: Path) -> None:
    furnish(database)
    made = backup(project(tmp_path, database).config, counts=True)
    other = new_database()
    # The definition of a routine contains its owner there.
    done = restore(made.path, other.url, owners=database.kind == "mysql")
    assert_equal_databases(database, other)
    assert (done.revision, done.rows) == ("r1", made.rows)
    assert project(tmp_path, other).current() == ("r1",)


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_the_counts_are_those_of_the_rows(database: Database, tmp_path: Path) -> None:
    furnish(database)
    rows = backup(project(tmp_path, database).config, counts=True).rows
    assert rows is not None
    # A table that keeps its history has more rows in the dump than it shows.
    assert rows and "`followed`" not in rows
    assert rows == {table: database.query(f"SELECT count(*) FROM {table}")[0][0] for table in rows}


def test_a_database_that_is_not_empty_is_left_alone(database: Database, new_database: Make, tmp_path: Path) -> None:
    made = backup(project(tmp_path, database).config)
    with pytest.raises(BackupFailed, match=r"not empty: it has .*alembic_version.*made") as caught:
        restore(made.path, database.url)
    assert "Nothing was changed" in str(caught.value)


@pytest.mark.parametrize(
    "statement",
    [
        "CREATE TYPE mood AS ENUM ('a')",
        "CREATE SCHEMA other",
        "CREATE SEQUENCE s",
        "CREATE FUNCTION one() RETURNS int LANGUAGE sql AS 'SELECT 1'",
        "CREATE DOMAIN d AS int",
        "CREATE VIEW v AS SELECT 1",
    ],
)
@pytest.mark.only("pg18")
def test_anything_that_a_user_made_counts(database: Database, statement: str) -> None:
    database.execute("CREATE EXTENSION IF NOT EXISTS hstore")
    assert things(database) == []
    database.execute(statement)
    assert len(things(database)) == 1


@pytest.mark.only("mysql")
def test_a_routine_counts(database: Database) -> None:
    database.execute("CREATE PROCEDURE p() SELECT 1")
    assert things(database) == ["procedure p"]


def test_a_file_that_was_changed_is_refused(database: Database, new_database: Make, tmp_path: Path) -> None:
    fill(database)
    path = backup(project(tmp_path, database).config).path
    content = path.read_bytes()
    path.write_bytes(content[:-100])
    other = new_database()
    made_by_connecting = Path(str(other.url.database))
    made_by_connecting.unlink(missing_ok=True)
    with pytest.raises(BackupFailed, match="its checksum differs"):
        restore(path, other.url)
    # Without the file next to it, by the content of the dump.
    path.with_name(path.name + ".json").unlink()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(BackupFailed, match="failed"):
        restore(path, other.url)
    assert not made_by_connecting.exists()
    path.write_bytes(b"none at all")
    with pytest.raises(BackupFailed, match="no backup"):
        restore(path, other.url)
    assert not made_by_connecting.exists()
    assert things(other) == []


def test_a_dump_of_another_kind_is_refused(database: Database, new_database: Make, tmp_path: Path) -> None:
    made = backup(project(tmp_path, database).config)
    endings = {"postgresql": b"SQLite format 3\0", "mysql": b"PGDMP", "sqlite": b"\x1f\x8b"}
    other = tmp_path / "other"
    other.write_bytes(endings[database.kind] + b"x" * 100)
    with pytest.raises(BackupFailed, match=r"is a backup of (SQLite|PostgreSQL|MySQL or MariaDB), and the database"):
        restore(other, new_database().url)
    other.write_text("hello")
    with pytest.raises(BackupFailed, match="is no backup of any database"):
        restore(other, new_database().url)
    partial = tmp_path / f"{made.path.name}.partial"
    shutil.copy(made.path, partial)
    with pytest.raises(BackupFailed, match="part of a backup that was not completed"):
        restore(partial, new_database().url)


@pytest.mark.only("mysql")
def test_a_dump_of_a_sibling_is_refused(database: Database, new_database: Make, tmp_path: Path) -> None:
    made = backup(project(tmp_path, database).config)
    beside = made.path.with_name(made.path.name + ".json")
    siblings = {"mariadb": ("MySQL", "MariaDB"), "mysql": ("MariaDB", "MySQL")}
    its, ours = siblings[database.server.product]
    beside.write_text(json.dumps({**json.loads(beside.read_text()), "server": f"{its} 8.4"}))
    with pytest.raises(BackupFailed, match=f"is a backup of {its}, and the database to restore into is {ours}"):
        restore(made.path, new_database().url)


@pytest.mark.only("mysql")
def test_if_nothing_can_be_rolled_back_it_reports_what_is_kept(database: Database, tmp_path: Path) -> None:
    dump = tmp_path / "x.sql.gz"
    with gzip.open(dump, "wt") as file:
        file.write("CREATE TABLE a (x int);\nCREATE NONSENSE;\n-- Dump completed on 2027-01-01\n")
    with pytest.raises(BackupFailed, match="contains a part of the backup: drop it"):
        restore(dump, database.url)
    assert things(database) == ["base table a"]


@pytest.mark.only("postgresql")
def test_owners_and_grants_are_restored_on_request(database: Database, new_database: Make, tmp_path: Path) -> None:
    reader = with_user(database, "reader", "x")
    database.execute("CREATE TABLE t (a int)", "ALTER TABLE t OWNER TO reader", "GRANT SELECT ON t TO PUBLIC")
    made = backup(project(tmp_path, database).config)
    plain, owned = new_database(), new_database()
    restore(made.path, plain.url)
    restore(made.path, owned.url, owners=True)
    owner = "SELECT relowner::regrole::text, relacl IS NULL FROM pg_class WHERE relname = 't'"
    assert [one.query(owner) for one in (plain, owned)] == [[("postgres", True)], [("reader", False)]]
    # If they do not exist: by default this succeeds, and else nothing at all.
    database.execute("ALTER TABLE t OWNER TO postgres", "REVOKE ALL ON t FROM reader")
    reader.execute("CREATE TABLE mine (a int)")
    database.execute("CREATE ROLE passing", "GRANT passing TO postgres", "ALTER TABLE mine OWNER TO passing")
    second = backup(project(tmp_path, database).config)
    database.execute("ALTER TABLE mine OWNER TO postgres", "DROP OWNED BY passing", "DROP ROLE passing")
    other = new_database()
    with pytest.raises(BackupFailed, match='role "passing" does not exist') as caught:
        restore(second.path, other.url, owners=True)
    assert "the database is empty again" in str(caught.value)
    assert things(other) == []
    restore(second.path, other.url)


@pytest.mark.only("pg18", "mysql")
def test_another_user_can_restore_it(database: Database, new_database: Make, tmp_path: Path) -> None:
    furnish(database)
    made = backup(project(tmp_path, database).config, counts=True)
    plain = with_user(new_database(), "restorer", NASTY)
    if database.server.product == "mysql":
        # With its binary log on the server lets only SUPER create triggers, unless it is configured to trust them.
        with pytest.raises(BackupFailed, match="log_bin_trust_function_creators"):
            restore(made.path, plain.url)
        database.execute("SET GLOBAL log_bin_trust_function_creators = ON")
        plain = with_user(new_database(), "restorer", NASTY)
    try:
        restore(made.path, plain.url)
    finally:
        if database.server.product == "mysql":
            database.execute("SET GLOBAL log_bin_trust_function_creators = DEFAULT")
    assert database.query("SELECT * FROM names ORDER BY 1") == plain.query("SELECT * FROM names ORDER BY 1")


@pytest.mark.only("pg18", "mysql")
def test_a_session_that_ends_in_the_middle_is_reported_and_showed_no_password(
    database: Database, new_database: Make, tmp_path: Path
) -> None:
    other = with_user(new_database(), "restorer", NASTY)
    if database.kind == "postgresql":
        sleep = f"CASE current_database() WHEN '{other.name}' THEN 60 ELSE 0 END"
        slow = f"CREATE FUNCTION slow(int) RETURNS bool LANGUAGE sql AS $$ SELECT pg_sleep({sleep}) IS NOT NULL $$"
        database.execute(slow, "CREATE TABLE t (a int CHECK (slow(a)))", "INSERT INTO t VALUES (1)")
        dump = backup(project(tmp_path, database).config).path
    else:
        dump = tmp_path / "x.sql.gz"
        with gzip.open(dump, "wt") as file:
            file.write("CREATE TABLE a (x int);\nSELECT SLEEP(60);\n-- Dump completed on 2027-01-01\n")
    over, shown = threading.Event(), []

    def end() -> None:
        while not over.wait(0.05):
            if dumps_of(other):
                shown.append(seen_in_processes(NASTY))
                other.end_sessions()

    ending = threading.Thread(target=end)
    ending.start()
    try:
        with pytest.raises(BackupFailed, match=r"the database is empty again|contains a part of the backup"):
            restore(dump, other.url)
    finally:
        over.set()
        ending.join()
    assert shown and not any(shown)
    assert bool(things(other)) == (database.kind == "mysql")


@pytest.mark.parametrize(
    "given",
    [
        {"dsn": "host=x"},
        {"ssl": object()},
        {"password": lambda: "x"},
        {"sslpassword": "x"},
    ],
)
def test_what_cannot_be_passed_to_a_program_is_refused(given: dict[str, object]) -> None:
    with pytest.raises(BackupFailed, match="which cannot be passed to another program"):
        PostgreSQLDumper(Login("asyncpg", (), given), "app", 18)


@pytest.mark.only("pg15")
def test_newer_programs_restore_into_an_older_server(
    database: Database, new_database: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tests.servers import _postgresql_home

    monkeypatch.setenv("SAFEOPS_PG_BIN", str(_postgresql_home("18") / "bin"))
    furnish(database)
    made = backup(project(tmp_path, database).config)
    assert made.tool.startswith("pg_dump 18")
    # Those of the server's own version are there too, but cannot read it.
    monkeypatch.setenv("SAFEOPS_PG_BIN", f"{_postgresql_home('15') / 'bin'}:{_postgresql_home('18') / 'bin'}")
    other = new_database()
    restore(made.path, other.url)
    assert_equal_databases(database, other)


@pytest.mark.only("pg18", "mysql")
def test_a_user_who_cannot_connect_gets_an_explanation(database: Database, tmp_path: Path) -> None:
    made = backup(project(tmp_path, database).config)
    for url in (database.url.set(database="nowhere"), with_user(database, "guest", "right").url.set(password="s3cr3t")):
        with pytest.raises(BackupFailed, match="cannot be reached") as caught:
            restore(made.path, url)
        assert "s3cr3t" not in str(caught.value)


@pytest.mark.only("sqlite")
def test_a_wrong_url_or_file_is_not_repeated(database: Database, tmp_path: Path) -> None:
    for url in ("postgres//user:s3cr3t@host/x", "postgresql://user@host:s3cr3t/x"):
        with pytest.raises(InvalidArgument) as caught:
            restore(tmp_path / "x", url)
        assert "s3cr3t" not in str(caught.value)
    with pytest.raises(BackupFailed, match="There is no file"):
        restore(tmp_path / "x", database.url)


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_rows_that_are_missing_afterwards_are_reported(database: Database, new_database: Make, tmp_path: Path) -> None:
    furnish(database)
    made = backup(project(tmp_path, database).config, counts=True)
    beside = made.path.with_name(made.path.name + ".json")
    known = json.loads(beside.read_text())
    beside.write_text(json.dumps({**known, "rows": {table: count + 1 for table, count in known["rows"].items()}}))
    with pytest.raises(BackupFailed, match="rows are missing"):
        restore(made.path, new_database().url)
