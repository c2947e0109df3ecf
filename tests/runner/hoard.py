"""Databases that are worth a backup, and what is looked at around one."""

from __future__ import annotations

import dataclasses
import os
import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psycopg
import pytest
import sqlalchemy as sa
from tests.catalogue import all_rows, assert_same, snapshot
from tests.projects import Project, run_sql
from tests.servers import Database, PostgreSQL, _MySQLFamily, numbers

EACH = pytest.mark.only("pg15", "pg18", "mysql", "sqlite")

# All that a command line, a connection string or an option file may take for something else.
NASTY = "-p:/@'\"\\%$ #;*` "

BYTES = "".join(f"{one:02X}" for one in range(256))
TEXT = "it''s \"100%\" – ✓ 😀 \\ -- /*!50000 DEFINER=`a`@`b` */ (1),(2); \t"

POSTGRESQL = f"""
CREATE SCHEMA "other one";
CREATE TYPE mood AS ENUM ('sad', 'it''s ok');
CREATE DOMAIN positive AS int CHECK (VALUE > 0);
CREATE SEQUENCE counter START 42;
SELECT nextval('counter'), nextval('counter');
CREATE TABLE parents (
    id serial PRIMARY KEY, name text NOT NULL, data bytea, how mood DEFAULT 'sad',
    twice int GENERATED ALWAYS AS (length(name) * 2) STORED
);
CREATE TABLE "other one"."Child (x)" (
    id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, "the parent" int REFERENCES parents ON DELETE CASCADE, n positive
);
CREATE TABLE empty ();
CREATE TABLE parted (at date NOT NULL) PARTITION BY RANGE (at);
CREATE TABLE parted_2027 PARTITION OF parted FOR VALUES FROM ('2027-01-01') TO ('2028-01-01');
CREATE INDEX ON parents (lower(name)) WHERE how = 'sad';
CREATE VIEW names AS SELECT upper(name) AS name FROM parents;
CREATE MATERIALIZED VIEW counted AS SELECT count(*) FROM parents;
CREATE FUNCTION shout() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN NEW.name := upper(NEW.name); RETURN NEW; END $$;
INSERT INTO parents (name, data) VALUES ('{TEXT}', '\\x{BYTES}'),
    (E'a\\nb\\r\\n\\\\.\\nSET transaction_timeout = 0;\\n', NULL);
CREATE TRIGGER shouts BEFORE INSERT ON parents FOR EACH ROW EXECUTE FUNCTION shout();
INSERT INTO "other one"."Child (x)" ("the parent", n) SELECT 1, g FROM generate_series(1, 100) g;
INSERT INTO parted VALUES ('2027-02-03');
SELECT lo_from_bytea(4711, '\\x00ff');
"""
MARIADB = f"""
CREATE SEQUENCE counter START WITH 42;
SELECT NEXT VALUE FOR counter;
CREATE TABLE parents (
    id int AUTO_INCREMENT PRIMARY KEY, name varchar(100) NOT NULL, data blob, how enum('sad', 'it''s ok') DEFAULT 'sad',
    twice int GENERATED ALWAYS AS (id2 * 2) STORED, id2 int NOT NULL DEFAULT 1 CHECK (id2 > 0), flags bit(3)
);
CREATE TABLE `Child (x)` (
    id bigint AUTO_INCREMENT PRIMARY KEY, `the parent` int, FOREIGN KEY (`the parent`) REFERENCES parents (id)
);
CREATE TABLE followed (a int) WITH SYSTEM VERSIONING;
CREATE VIEW names AS SELECT upper(name) AS name FROM parents;
INSERT INTO parents (name, data, flags) VALUES ('{TEXT.replace(chr(92), chr(92) * 2)}', X'{BYTES}', b'101'),
    ('a\\nb\\r\\n\\0', NULL, NULL);
INSERT INTO `Child (x)` (`the parent`) SELECT 1 FROM {numbers(1, 100)};
INSERT INTO followed VALUES (1);
UPDATE followed SET a = 2;
DELIMITER //
CREATE TRIGGER shouts BEFORE INSERT ON parents FOR EACH ROW BEGIN SET NEW.name = UPPER(NEW.name); END//
CREATE PROCEDURE hello() BEGIN SELECT 'a;b'; END//
CREATE EVENT nightly ON SCHEDULE EVERY 1 DAY DISABLE DO DELETE FROM parents WHERE id < 0//
DELIMITER ;
"""
SQLITE = f"""
PRAGMA journal_mode = WAL;
PRAGMA user_version = 7;
CREATE TABLE parents (
    id integer PRIMARY KEY AUTOINCREMENT, name text NOT NULL, data blob, twice int GENERATED ALWAYS AS (id * 2) VIRTUAL
);
CREATE TABLE "Child (x)" (a int REFERENCES parents, b int, PRIMARY KEY (a, b)) WITHOUT ROWID;
CREATE INDEX ix ON parents (lower(name)) WHERE id > 1;
CREATE VIEW names AS SELECT upper(name) AS name FROM parents;
INSERT INTO parents (name, data) VALUES ('{TEXT}', X'{BYTES}'), ('a' || char(10) || char(0) || 'b', NULL);
INSERT INTO "Child (x)" SELECT 1, value FROM json_each('[1,2,3]');
CREATE TRIGGER shouts AFTER INSERT ON parents BEGIN UPDATE parents SET name = upper(name) WHERE id = NEW.id; END;
"""
# Without the sequence and the table that keeps its history, which MariaDB alone has.
MYSQL = re.sub(
    r"(?m)^(CREATE SEQUENCE|SELECT NEXT VALUE|CREATE TABLE followed|INSERT INTO followed|UPDATE followed).*\n",
    "",
    MARIADB,
)
SCRIPTS = {"postgresql": POSTGRESQL, "mariadb": MARIADB, "mysql": MYSQL, "sqlite": SQLITE}
EVENTS = (
    "SELECT event_name, event_definition, interval_value FROM information_schema.events WHERE event_schema = DATABASE()"
)
BESIDES = {
    "postgresql": ["SELECT last_value, is_called FROM counter", "SELECT lo_get(4711)"],
    "mariadb": [
        "SELECT next_not_cached_value FROM counter",
        "SELECT a FROM followed FOR SYSTEM_TIME ALL ORDER BY a",
        EVENTS,
    ],
    "mysql": [EVENTS],
    "sqlite": ["PRAGMA user_version", "PRAGMA journal_mode", "SELECT * FROM sqlite_sequence"],
}


def furnish(database: Database) -> None:
    """Makes something of every sort in a database."""
    run_sql(database, SCRIPTS[database.server.product])


def assert_equal_databases(one: Database, other: Database) -> None:
    assert_same(snapshot(one), snapshot(other), "the schema")
    assert_same(all_rows(one), all_rows(other), "the rows")
    for question in BESIDES[one.server.product]:
        assert other.query(question) == one.query(question)


def fill(database: Database, megabytes: int = 1) -> None:
    """Makes a table of bytes that cannot be compressed."""
    kinds = {"postgresql": "bytea", "mysql": "longblob", "sqlite": "blob"}
    engine = database.observer()
    table = sa.table("heap", sa.column("data", sa.LargeBinary()))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"CREATE TABLE heap (data {kinds[database.kind]})")
        connection.execute(table.insert(), [{"data": os.urandom(1 << 18)} for _ in range(4 * megabytes)])


def project(folder: Path, database: Database, **options: str) -> Project:
    """A project whose one revision has been run."""
    made = Project(folder, database, {"r1": ("op.execute('CREATE TABLE made (a int)')", "pass")}, **options)
    made.upgrade()
    return made


def with_user(database: Database, user: str, password: str) -> Database:
    """The same database by a user who may do all in it, and must give a password."""
    server = database.server
    if isinstance(server, PostgreSQL):
        rules = server.data / "pg_hba.conf"
        line = f'host all "{user}" 127.0.0.1/32 scram-sha-256\n'
        if line not in rules.read_text():
            rules.write_text(line + rules.read_text())
        server.admin.execute("SELECT pg_reload_conf()")
        make = "DO $$ BEGIN CREATE ROLE {0} LOGIN; EXCEPTION WHEN duplicate_object THEN NULL; END $$"
        server.admin.execute(psycopg.sql.SQL(make).format(psycopg.sql.Identifier(user)))
        sql = psycopg.sql.SQL("ALTER ROLE {} PASSWORD {}").format(psycopg.sql.Identifier(user), password)
        server.admin.execute(sql)
        owner = psycopg.sql.SQL("ALTER DATABASE {} OWNER TO {}")
        server.admin.execute(owner.format(*map(psycopg.sql.Identifier, (database.name, user))))
        database.execute(f'ALTER SCHEMA public OWNER TO "{user}"')
    if isinstance(server, _MySQLFamily):
        with server.admin.cursor() as cursor:
            cursor.execute("DROP USER IF EXISTS %s@'%%'", (user,))
            cursor.execute("CREATE USER %s@'%%' IDENTIFIED BY %s", (user, password))
            cursor.execute(f"GRANT ALL PRIVILEGES ON `{database.name}`.* TO %s@'%%'", (user,))
    return dataclasses.replace(database, url=database.url.set(username=user, password=password))


def seen_in_processes(text: str) -> list[str]:
    """Which processes but this one show a text: in their arguments or in their environment."""
    found = []
    for folder in Path("/proc").glob("[0-9]*"):
        if folder.name == str(os.getpid()):
            continue
        for file in ("cmdline", "environ"):
            try:
                shown = (folder / file).read_bytes()
            except OSError:
                continue
            if text.encode() in shown:
                found.append(f"{folder.name} {file} {shown!r}")
    return found


def dumps_of(database: Database) -> list[str]:
    """The programs that dump or restore a database at this moment."""
    ends = {"postgresql": f"dbname='{database.name}'", "mysql": f"--\0{database.name}\0"}
    return seen_in_processes(ends[database.kind]) if database.kind in ends else []


def left_in(folder: Path) -> list[str]:
    """The files in a folder of backups, but for the one that keeps git away."""
    return sorted(one.name for one in folder.iterdir() if one.name != ".gitignore") if folder.exists() else []


@contextmanager
def small_disk(folder: Path, size: str) -> Iterator[Path]:
    """A file system of so many bytes; only root can mount one."""
    folder.mkdir()
    if os.system(f"mount -t tmpfs -o size={size},mode=700 tmpfs '{folder}' 2>/dev/null"):
        pytest.skip("no file system can be mounted here")
    try:
        yield folder
    finally:
        assert os.system(f"umount -l '{folder}'") == 0
