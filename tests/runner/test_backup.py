"""``safeops backup``: a file that is whole, or a clear refusal and nothing that looks like one."""

from __future__ import annotations

import dataclasses
import hashlib
import io
import json
import os
import resource
import signal
import sqlite3
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from alembic.config import Config
from tests.catalogue import all_rows
from tests.projects import log_lines
from tests.runner.hoard import (
    EACH,
    NASTY,
    dumps_of,
    fill,
    furnish,
    left_in,
    project,
    seen_in_processes,
    small_disk,
    with_user,
)
from tests.servers import Database, PostgreSQL, _MySQLFamily, _postgresql_home

from safeops.errors import BackupFailed, InvalidArgument
from safeops.runner import backup, restore

pytestmark = EACH
Make = Callable[[], Database]

SERVERS = pytest.mark.only("pg15", "pg18", "mysql")
ONE_EACH = pytest.mark.only("pg18", "mysql", "sqlite")
ENDINGS = {"postgresql": ".dump", "mysql": ".sql.gz", "sqlite": ".sqlite"}


@pytest.fixture(autouse=True)
def programs(database: Database, monkeypatch: pytest.MonkeyPatch) -> None:
    """Looking for them on the whole machine takes longer than a dump; tests/runner/test_restore.py does."""
    if isinstance(database.server, PostgreSQL):
        monkeypatch.setenv("SAFEOPS_PG_BIN", str(database.server.bin))


def test_the_file_is_next_to_the_project_with_a_description(database: Database, tmp_path: Path) -> None:
    done = backup(project(tmp_path, database).config)
    assert done.path.parent == tmp_path / "backups"
    assert done.path.name.startswith(f"{database.name if database.kind != 'sqlite' else Path(database.name).stem}-2")
    assert done.path.name.endswith(f"Z-r1{ENDINGS[database.kind]}")
    known = json.loads((done.path.parent / f"{done.path.name}.json").read_text())
    content = done.path.read_bytes()
    assert (known["sha256"], known["bytes"]) == (hashlib.sha256(content).hexdigest(), len(content))
    assert set(known) == {"sha256", "bytes", "revision", "server", "tool", "seconds"}
    assert known["revision"] == "r1"
    assert left_in(done.path.parent) == [done.path.name, f"{done.path.name}.json"]
    assert [one.stat().st_mode & 0o777 for one in (done.path.parent, *done.path.parent.glob("t*"))] == [
        0o700,
        0o600,
        0o600,
    ]


@ONE_EACH
def test_the_name_contains_the_revisions(database: Database, tmp_path: Path) -> None:
    made = project(tmp_path, database)
    made.write("r2", "pass", down=None)
    made.upgrade("heads")
    assert "-r1+r2." in backup(made.config).path.name
    made.downgrade()
    assert "-base." in backup(made.config).path.name


@pytest.mark.only("sqlite")
def test_a_revision_that_no_file_has_is_named_too(database: Database, tmp_path: Path) -> None:
    made = project(tmp_path, database)
    database.execute("UPDATE alembic_version SET version_num = '../x-y'")
    done = backup(made.config)
    assert (done.revision, done.path.parent) == ("../x-y", tmp_path / "backups")
    assert done.path.name.endswith("Z-%2E.%2Fx%2Dy.sqlite")


@ONE_EACH
def test_keep_removes_the_oldest_of_this_database_alone(database: Database, tmp_path: Path) -> None:
    config = project(tmp_path, database).config
    folder = tmp_path / "here"
    first = backup(config, folder)
    name, ending = first.path.name.split("-")[0], ENDINGS[database.kind]
    others = [
        f"other-20200101T000000Z-r1{ending}",
        f"{name}2-20200101T000000Z-r1{ending}",
        f"{name}-20200101T000000Z-r1.txt",
        f"{name}-notes{ending}",
        f"{name}-20200101T000000Z-x-20200101T000000Z-r1{ending}",
    ]
    old = [f"{name}-2020010{day}T000000Z-old{ending}" for day in (1, 2)]
    for one in (*others, *old, *(f"{one}.json" for one in old)):
        (folder / one).write_text("x")
    second = backup(config, folder, keep=2)
    kept = {one for done in (first, second) for one in (done.path.name, f"{done.path.name}.json")}
    assert set(left_in(folder)) == {*kept, *others}
    with pytest.raises(InvalidArgument, match="keep is 0"):
        backup(config, folder, keep=0)


def test_two_at_once_do_not_disturb_each_other(database: Database, tmp_path: Path) -> None:
    config = project(tmp_path, database).config
    inner: list[Path] = []

    def in_the_middle(_: int) -> None:
        if not inner:
            inner.append(tmp_path)
            inner[0] = backup(config).path

    outer = backup(config, progress=in_the_middle).path
    assert outer != inner[0]
    assert len(left_in(outer.parent)) == 4


@SERVERS
def test_a_server_that_dies_leaves_nothing(database: Database, tmp_path: Path) -> None:
    fill(database, 2)
    config = project(tmp_path, database).config
    killed: list[bool] = []

    def kill(_: int) -> None:
        if not killed:
            killed.append(True)
            database.server.kill9()

    try:
        with pytest.raises(BackupFailed, match="dump failed:\n") as caught:
            backup(config, progress=kill)
    finally:
        database.server.start()
    assert "No backup was made" in str(caught.value)
    assert left_in(tmp_path / "backups") == []


def test_a_limit_on_the_size_of_files_leaves_nothing(database: Database, tmp_path: Path) -> None:
    fill(database, 1)
    config = project(tmp_path, database).config
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, hard))
    try:
        with pytest.raises(BackupFailed, match=r"Cannot write to|SQLite"):
            backup(config)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
    assert left_in(tmp_path / "backups") == []


def test_a_full_disk_leaves_nothing(database: Database, tmp_path: Path) -> None:
    fill(database, 6)
    config = project(tmp_path, database).config
    # A copy of a file is known to need as much as the file: there another program fills the disk in the meantime.
    with small_disk(tmp_path / "disk", "9m" if database.kind == "sqlite" else "4m") as disk:
        with pytest.raises(BackupFailed, match=r"No space left|disk is full|disk I/O error") as caught:
            backup(config, disk, progress=lambda _: _take_all(tmp_path / "disk/x"))
        assert "No backup was made" in str(caught.value)
        assert left_in(disk) == ["x"]
    assert not dumps_of(database)


def _take_all(path: Path) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    with suppress(OSError):
        while os.write(descriptor, bytes(1 << 16)):
            pass
    os.close(descriptor)


def test_a_disk_that_is_obviously_too_small_is_refused_at_once(database: Database, tmp_path: Path) -> None:
    fill(database, 2)
    config = project(tmp_path, database).config
    with (
        small_disk(tmp_path / "disk", "64k") as disk,
        pytest.raises(BackupFailed, match=r"needs at least .*B, but only .* free"),
    ):
        backup(config, disk)


@ONE_EACH
def test_a_folder_that_cannot_be_written_to_is_reported(database: Database, tmp_path: Path) -> None:
    config = project(tmp_path, database).config
    (tmp_path / "file").write_text("x")
    with pytest.raises(BackupFailed, match=r"Not a directory|File exists"):
        backup(config, tmp_path / "file" / "backups")
    with pytest.raises(BackupFailed, match="/sys"):
        backup(config, "/sys")


@SERVERS
def test_a_wrong_password_or_database_is_reported(database: Database, tmp_path: Path) -> None:
    made = project(tmp_path, database)
    guest = with_user(database, "guest", "right")
    for url in (guest.url.set(password="s3cr3t"), database.url.set(database="nowhere")):
        made.database = dataclasses.replace(database, url=url)
        with pytest.raises(BackupFailed, match="cannot be reached") as caught:
            backup(made.config)
        assert "s3cr3t" not in str(caught.value)
    assert not (tmp_path / "backups").exists()


@SERVERS
def test_no_process_shows_the_password(database: Database, tmp_path: Path) -> None:
    own = with_user(database, "nas'ty", NASTY)
    fill(own)
    made = project(tmp_path, own)
    shown: list[list[str]] = []

    def look(_: int) -> None:
        if not shown:
            assert dumps_of(database), "nothing dumps any more"
            shown.append(seen_in_processes(NASTY))

    with log_lines() as lines:
        done = backup(made.config, progress=look)
    assert shown == [[]]
    assert NASTY not in "".join(lines)
    assert NASTY not in f"{done}{done.as_json()}"


@pytest.mark.only("pg18", "mysql")
def test_nasty_passwords_and_names_reach_the_programs(database: Database, tmp_path: Path) -> None:
    server = database.server
    name = "-a b'\"%$`é✓;=\\"
    if isinstance(server, PostgreSQL):
        create = psycopg.sql.SQL("CREATE DATABASE {}").format(psycopg.sql.Identifier(name))
        server.admin.execute(create)
    else:
        assert isinstance(server, _MySQLFamily)
        with server.admin.cursor() as cursor:
            cursor.execute(f"CREATE DATABASE {database.quoted(name)}")
    plain = Database(database.url.set(database=name), server)
    try:
        nasty = with_user(plain, "boss", NASTY) if isinstance(server, PostgreSQL) else plain
        done = backup(project(tmp_path, nasty).config, counts=True)
        assert done.path.name.startswith("%2Da%20b%27%22%25%24%60é%E2%9C%93%3B%3D%5C-")
        restore(done.path, database.url)
        assert all_rows(database) == {"made": []}
    finally:
        plain.drop() if isinstance(server, PostgreSQL) else server._administer(f"DROP DATABASE {database.quoted(name)}")


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("name", ["-a b.db", "100%?x=1#y.sqlite", "it's \"é✓", "x" * 200])
def test_nasty_files_of_sqlite(database: Database, tmp_path: Path, name: str) -> None:
    nasty = dataclasses.replace(database, url=database.url.set(database=str(tmp_path / name)))
    done = backup(project(tmp_path, nasty).config)
    restore(done.path, database.url)
    assert all_rows(database) == {"made": []}
    assert not done.path.name.startswith("-")


@pytest.mark.only("pg18")
def test_a_program_that_is_missing_or_too_old_is_reported(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    config = project(tmp_path, database).config
    monkeypatch.setenv("SAFEOPS_PG_BIN", str(tmp_path))
    with pytest.raises(BackupFailed, match="Found: none\\.") as caught:
        backup(config)
    assert "apt-get install postgresql-client-18" in str(caught.value)
    older = _postgresql_home("15") / "bin"
    monkeypatch.setenv("SAFEOPS_PG_BIN", str(older))
    with pytest.raises(BackupFailed, match=rf"Found: {older}/pg_dump is pg_dump \(PostgreSQL\) 15"):
        backup(config)
    assert not (tmp_path / "backups").exists()


@pytest.mark.only("mysql")
def test_a_missing_client_is_reported(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    config = project(tmp_path, database).config
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(
        BackupFailed, match=r"No (mariadb-dump and no mysqldump|mysqldump and no mariadb-dump) was found in PATH"
    ):
        backup(config)


@ONE_EACH
def test_a_migration_during_the_backup_has_it_deleted(database: Database, tmp_path: Path) -> None:
    made = project(tmp_path, database)
    config = made.config
    made.write("r2", "pass", down="r1")

    def migrate(_: int) -> None:
        if made.current() == ("r1",):
            made.upgrade()

    with pytest.raises(BackupFailed, match="changed from r1 to r2"):
        backup(config, progress=migrate)
    assert left_in(tmp_path / "backups") == []


RUNNER = """
import logging, sys, time
from alembic.config import Config
from safeops.runner import backup
config = Config(sys.argv[1])
def hold(_):
    print("dumping", flush=True)
    time.sleep(60)
config.attributes.update(url=sys.argv[2], foreign_keys=False, configure={"transaction_per_migration": True})
backup(config, progress=hold)
"""


@ONE_EACH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_a_runner_that_is_killed_leaves_nothing_whole(
    database: Database, tmp_path: Path, number: signal.Signals
) -> None:
    fill(database, 2)
    config = project(tmp_path, database).config
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-c", RUNNER, str(tmp_path / "alembic.ini"), url]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as runner:
        assert runner.stdout is not None and runner.stdout.readline() == b"dumping\n"
        runner.send_signal(number)
        assert runner.wait() != 0
    left = left_in(tmp_path / "backups")
    assert all(one.endswith(".partial") for one in left)
    assert len(left) == (number == signal.SIGKILL)
    _wait_until_gone(database)
    done = backup(config)
    assert left_in(tmp_path / "backups") == [done.path.name, f"{done.path.name}.json"]


def _wait_until_gone(database: Database) -> None:
    deadline = time.monotonic() + 30
    while dumps_of(database):
        assert time.monotonic() < deadline, "the program that dumps goes on without its runner"
        time.sleep(0.05)


@pytest.mark.only("postgresql")
@pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
def test_other_drivers_of_postgresql(database: Database, tmp_path: Path, driver: str) -> None:
    user = with_user(database, "drv", NASTY + "é✓").with_driver(driver)
    made = project(tmp_path, user, env="async" if driver == "asyncpg" else "sync")
    assert backup(made.config).revision == "r1"


@pytest.mark.only("pg18")
def test_a_socket_and_options_of_the_url_reach_the_program(database: Database, tmp_path: Path) -> None:
    assert isinstance(database.server, PostgreSQL)
    query = {
        "host": str(database.server.sockets),
        "port": str(database.server.port),
        "options": "-c search_path=x -c application_name=a\\ b",
    }
    url = sa.URL.create("postgresql+psycopg", "postgres", database=database.name, query={**query, "sslmode": "disable"})
    made = project(tmp_path, database)
    made.database = dataclasses.replace(database, url=url)
    assert backup(made.config).bytes


@pytest.mark.only("mysql")
def test_a_socket_of_mariadb_or_mysql_reaches_the_program(database: Database, tmp_path: Path) -> None:
    assert isinstance(database.server, _MySQLFamily)
    socket = {"unix_socket": str(database.server.socket)}
    url = sa.URL.create("mysql+pymysql", "safeops", "password", database=database.name, query=socket)
    made = project(tmp_path, database)
    made.database = dataclasses.replace(database, url=url)
    assert backup(made.config).server.startswith(("MariaDB", "MySQL 9.7"))


@pytest.mark.only("sqlite")
def test_async_sqlite(database: Database, tmp_path: Path) -> None:
    made = project(tmp_path, database.with_driver("aiosqlite"), env="async")
    assert backup(made.config).revision == "r1"


ENV = """
import sqlalchemy as sa
from alembic import context
{engine}
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""


def _config_with(folder: Path, engine: str) -> Config:
    (folder / "migrations/versions").mkdir(parents=True)
    (folder / "migrations/env.py").write_text(ENV.format(engine=textwrap.dedent(engine)))
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    return Config(folder / "alembic.ini")


@pytest.mark.only("pg18")
def test_an_engine_with_a_creator_cannot_be_passed_to_a_program(database: Database, tmp_path: Path) -> None:
    url = database.url.set(drivername="postgresql").render_as_string(hide_password=False)
    code = (
        f"import psycopg\nengine = sa.create_engine('postgresql+psycopg://', creator=lambda: psycopg.connect({url!r}))"
    )
    with pytest.raises(BackupFailed, match="A creator makes the connections") as caught:
        backup(_config_with(tmp_path, code))
    assert "do_connect" in str(caught.value)


@pytest.mark.only("pg18")
def test_what_env_sets_while_connecting_reaches_the_program(database: Database, tmp_path: Path) -> None:
    token = with_user(database, "tokened", "t0ken").url.set(password="expired")
    code = f"""
    engine = sa.create_engine({token.render_as_string(hide_password=False)!r}, connect_args={{"sslmode": "disable"}})

    @sa.event.listens_for(engine, "do_connect")
    def with_token(dialect, record, cargs, cparams):
        cparams["password"] = "t0ken"
    """
    assert backup(_config_with(tmp_path, code)).revision == "base"


@pytest.mark.only("sqlite")
def test_a_database_in_memory_is_reported(database: Database, tmp_path: Path) -> None:
    with pytest.raises(BackupFailed, match="in memory"):
        backup(_config_with(tmp_path, "engine = sa.create_engine('sqlite://')"))


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("mode", ["delete", "wal"])
def test_sqlite_is_copied_as_of_one_moment_while_others_write(database: Database, tmp_path: Path, mode: str) -> None:
    database.execute("CREATE TABLE a (x int)", "CREATE TABLE b (x int)")
    fill(database, 10)
    config = project(tmp_path, database).config
    with sqlite3.connect(database.name) as other:
        other.execute(f"PRAGMA journal_mode = {mode}")
    written = 0

    def write(_: int) -> None:
        nonlocal written
        written += 1
        with sqlite3.connect(database.name) as other:
            other.execute("INSERT INTO a VALUES (1)")
            other.execute("INSERT INTO b VALUES (1)")
        other.close()

    rows = backup(config, counts=True, progress=write).rows
    assert rows is not None and rows['"a"'] == rows['"b"']
    assert written > 2
    if mode == "wal":
        assert rows['"a"'] == 0


@pytest.mark.only("mysql")
def test_tables_without_transactions_are_named(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE old (a int) ENGINE=MyISAM", "INSERT INTO old VALUES (1)")
    done = backup(project(tmp_path, database).config)
    assert done.doubts == ("not as of one moment, because their engine has no transactions: old",)


@ONE_EACH
def test_the_command_line(
    database: Database,
    new_database: Make,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    from safeops.cli import main

    furnish(database)
    code = "import os\nprint('env.py is talkative')\nengine = sa.create_engine(os.environ['DATABASE_URL'])"
    _config_with(tmp_path, code)
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("DATABASE_URL", database.url.render_as_string(hide_password=False))

    def command(*arguments: str) -> tuple[int, str]:
        return main(arguments), capsys.readouterr().out

    status, told = command("backup", "--to", "here", "--keep", "1", "--counts", "--json")
    made = json.loads(told)
    assert (status, made["revision"]) == (0, "base") and Path(made["path"]).exists() and made["rows"]
    other = new_database()
    into = other.url.render_as_string(hide_password=False)
    status, told = command("restore", made["path"], "--into", into, "--json")
    assert (status, json.loads(told)["rows"]) == (0, made["rows"])
    assert main(["restore", made["path"], "--into", into]) == 4
    printed = capsys.readouterr()
    assert printed.out == "" and "not empty" in printed.err
    status, told = command("backup")
    assert status == 0 and told.startswith(str(tmp_path / "backups"))
    monkeypatch.setattr("sys.stdin", io.StringIO(f"{new_database().url.render_as_string(hide_password=False)}\n"))
    status, told = command("restore", made["path"], "--into", "-")
    assert status == 0 and "rows as in the backup" in told
