"""The scratch rung on MariaDB, MySQL and SQLite: the server shows the algorithm of a change."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from alembic.script import ScriptDirectory
from tests.projects import Project
from tests.servers import Database

from safeops.judging.sent import Recording, Sent
from safeops.review.mysql.ways import changed_table
from safeops.review.scratch import record_scratch

BASE = """
for one in [
    "CREATE TABLE users (id int AUTO_INCREMENT PRIMARY KEY, email varchar(100) NOT NULL, name text, age int)",
    "CREATE INDEX ix_users_email ON users (email)",
    "CREATE TABLE orders (id int AUTO_INCREMENT PRIMARY KEY, user_id int, state varchar(20))",
]:
    op.execute(one)
"""
INSTANT = ("ALGORITHM=INSTANT", "catalogue only")
REBUILT = ("ALGORITHM=INPLACE, LOCK=NONE", "rewrite")
COPIED = ("ALGORITHM=COPY, LOCK=SHARED", "rewrite")
BUILT = {"mariadb": ("ALGORITHM=NOCOPY, LOCK=NONE", "build"), "mysql97": ("ALGORITHM=INPLACE, LOCK=NONE", "build")}
INPLACE_ON_MYSQL = {"mariadb": INSTANT, "mysql97": ("ALGORITHM=INPLACE, LOCK=NONE", "catalogue only")}
STATEMENTS: dict[str, tuple[str, str] | dict[str, tuple[str, str]]] = {
    "ALTER TABLE users ADD COLUMN nick text": INSTANT,
    "ALTER TABLE users ADD COLUMN n int DEFAULT 5": INSTANT,
    "ALTER TABLE users ADD COLUMN made datetime DEFAULT (now())": {"mariadb": INSTANT, "mysql97": COPIED},
    "ALTER TABLE users MODIFY email varchar(200) NOT NULL": INPLACE_ON_MYSQL,
    "ALTER TABLE users MODIFY email varchar(50) NOT NULL": COPIED,
    "ALTER TABLE users MODIFY id bigint AUTO_INCREMENT": COPIED,
    "ALTER TABLE users MODIFY age int NOT NULL": REBUILT,
    "CREATE INDEX ix_age ON users (age)": BUILT,
    "CREATE UNIQUE INDEX ix_age ON `users` (age);": BUILT,
    # The first one of a table adds a hidden column to its rows.
    "CREATE FULLTEXT INDEX ix_name ON users (name)": ("ALGORITHM=INPLACE, LOCK=SHARED", "rewrite"),
    "DROP INDEX ix_users_email ON users": {
        "mariadb": ("ALGORITHM=NOCOPY, LOCK=NONE", "catalogue only"),
        "mysql97": ("ALGORITHM=INPLACE, LOCK=NONE", "catalogue only"),
    },
    "ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (age) REFERENCES orders (id)": COPIED,
    "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 0) -- all": COPIED,
    "ALTER TABLE users ENGINE=InnoDB;": REBUILT,
    "ALTER TABLE users COMMENT 'for 100 %'": INPLACE_ON_MYSQL,
    "ALTER TABLE users RENAME TO people": INSTANT,
}
OTHERS = [
    "ALTER TABLE orders ADD COLUMN n int, ALGORITHM=COPY",
    "ALTER TABLE orders PARTITION BY HASH (id) PARTITIONS 4",
    "UPDATE users SET name = 'x'",
    "DROP TABLE users",
]


def project_of(folder: Path, database: Database, **upgrades: str) -> Project:
    project = Project(folder, database)
    project.write("tables", BASE, down=None)
    for revision, upgrade in upgrades.items():
        project.write(revision, upgrade, down="tables")
    return project


def recorded(project: Project, *revisions: str, scratch_url: str | None = None) -> list[Recording]:
    config = project.config
    script = ScriptDirectory.from_config(config)
    selected: list[Any] = [script.get_revision(one) for one in revisions]
    return list(record_scratch(config, selected, scratch_url))


def sent_by(recording: Recording) -> list[Sent]:
    return [event for event in recording.events if isinstance(event, Sent)]


@pytest.mark.only("mariadb", "mysql97")
def test_each_statement(tmp_path: Path, database: Database, server_name: str) -> None:
    """The server refuses what it cannot do, so the first one that it accepts is the one it has."""
    names = {f"r{place}": statement for place, statement in enumerate([*STATEMENTS, *OTHERS])}
    project = project_of(tmp_path, database, **{name: f"op.execute({sql!r})" for name, sql in names.items()})
    found, others = {}, []
    for recording in recorded(project, *names):
        assert (recording.seen, recording.error) == ("scratch", None)
        [sent] = sent_by(recording)
        assert sent.sql == names[recording.revision]
        assert sent.measured is not None
        if sent.measured.exact:
            [(table, lock, work)] = sent.measured.effects
            assert table.name == "users"
            found[sent.sql] = lock, work
        else:
            others.append(sent.sql)
    expected = {sql: one[server_name] if isinstance(one, dict) else one for sql, one in STATEMENTS.items()}
    different = {sql: (one, expected[sql]) for sql, one in found.items() if one != expected[sql]}
    assert (different, found.keys(), others) == ({}, expected.keys(), OTHERS)
    databases = [name for (name,) in database.query("SHOW DATABASES")]
    assert not [name for name in databases if name.startswith("safeops")]


@pytest.mark.only("mariadb", "mysql97")
def test_the_change_is_made_once(tmp_path: Path, database: Database) -> None:
    """What was tried has been done: the rest of the revision continues from there."""
    upgrade = """
        op.add_column("users", sa.Column("nick", sa.String(20)))
        op.create_index("ix_nick", "users", ["nick"])
        op.drop_column("users", "nick")
        """
    project = project_of(tmp_path, database, r1=upgrade)
    [recording] = recorded(project, "r1")
    assert recording.error is None
    assert len(sent_by(recording)) == 3


@pytest.mark.only("mariadb", "mysql97", "sqlite")
def test_errors_and_a_given_database(tmp_path: Path, database: Database, new_database: Any) -> None:
    given = new_database()
    upgrades = {
        "good": "op.add_column('users', sa.Column('nick', sa.String(20)))",
        "bad": "op.execute('ALTER TABLE users ADD COLUMN email int')",
        "rows": "op.execute('INSERT INTO users (email) VALUES (NULL)')",
        "again": "op.add_column('users', sa.Column('nick', sa.String(20)))",
    }
    project = project_of(tmp_path, database, **upgrades)
    if database.kind == "sqlite":
        file = tmp_path / "migrations/versions/tables.py"
        file.write_text(file.read_text().replace("int AUTO_INCREMENT", "INTEGER"))
    url = given.url.render_as_string(hide_password=False)
    for scratch_url in (None, url):
        found = {one.revision: one for one in recorded(project, *upgrades, scratch_url=scratch_url)}
        assert {name: one.seen for name, one in found.items()} == {
            **dict.fromkeys(("good", "bad", "again"), "scratch"),
            "rows": "unseen",
        }
        measured = sent_by(found["bad"])[-1].measured
        assert measured is not None
        assert "uplicate column name" in str(measured.error)


@pytest.mark.parametrize(
    ("sql", "table"),
    [
        ("ALTER TABLE a ADD b int", "a"),
        ("ALTER ONLINE IGNORE TABLE IF EXISTS `x`.`a` ADD b int", "x.a"),
        ("CREATE OR REPLACE INDEX i ON a (b)", "None"),
        ("CREATE UNIQUE INDEX i ON x.a (b)", "x.a"),
        ("DROP INDEX `on` ON a", "a"),
        ("DROP TABLE a", "None"),
    ],
)
def test_which_table_changes(sql: str, table: str) -> None:
    assert str(changed_table(sql)) == table


@pytest.mark.only("pg18", "mariadb", "sqlite")
def test_tables_that_something_else_makes(tmp_path: Path, database: Database) -> None:
    """A chain that begins with a change of a table does not prove that it fails: the copy lacks what came before it."""
    project = Project(
        tmp_path,
        database,
        {
            "a": ("op.execute('SELECT 1')", "pass"),
            "b": ("op.add_column('users', sa.Column('a', sa.Integer()))", "pass"),
            "c": ("op.create_table('mine', sa.Column('id', sa.Integer()))", "pass"),
        },
    )
    assert [one.seen for one in recorded(project, "a", "b", "c")] == ["scratch", "unseen", "unseen"]
    project.write("b", "op.create_table('mine', sa.Column('id', sa.Integer()))", down="a")
    project.write("c", "op.add_column('users', sa.Column('a', sa.Integer()))", down="b")
    assert [one.seen for one in recorded(project, "a", "b", "c")] == ["scratch"] * 3


@pytest.mark.only("mariadb", "mysql97")
def test_a_user_of_one_database(tmp_path: Path, database: Database, new_database: Any) -> None:
    """Who may create no other is given the database itself, which is empty again afterwards."""
    given = new_database()
    user = f"plain_{given.name}"
    given.execute(
        f"CREATE USER '{user}'@'%' IDENTIFIED BY 'pw'",
        f"GRANT ALL ON `{given.name}`.* TO '{user}'@'%'",
    )
    upgrade = "op.execute('CREATE VIEW seen AS SELECT id FROM users')\nop.drop_column('orders', 'state')"
    project = project_of(tmp_path, database, r1=upgrade, r2=upgrade)
    url = given.url.set(username=user, password="pw").render_as_string(hide_password=False)
    assert [one.seen for one in recorded(project, "r1", "r2", scratch_url=url)] == ["scratch", "scratch"]
    assert given.query("SHOW TABLES") == []
    given.execute(f"DROP USER '{user}'@'%'")
