"""Own code of a revision under ``safeops plan``: it is refused or not sent, and the rest is planned."""

from __future__ import annotations

from pathlib import Path

import pytest
import sqlalchemy as sa
from tests.runner.test_plan import made, told
from tests.servers import Database

TABLE = ("CREATE TABLE users (id integer PRIMARY KEY, name varchar(30))", "INSERT INTO users VALUES (1, 'a'), (2, 'b')")
NEXT = 'add_column_if_missing("users", sa.Column("age", sa.Integer))'
CONNECTION = (
    "from safeops import *\nfrom alembic import op\nimport sqlalchemy as sa\nfrom sqlalchemy.orm import Session\n"
)
OWN = "engine = sa.create_engine(op.get_bind().engine.url)\n"

ENDING = {
    "commit": 'c = op.get_bind()\nc.execute(sa.text("SELECT 1"))\nc.commit()',
    "rollback": 'c = op.get_bind()\nc.execute(sa.text("SELECT 1"))\nc.rollback()',
    "savepoint": 'c = op.get_bind()\nwith c.begin_nested():\n    c.execute(sa.text("SELECT * FROM users")).all()',
    "savepoint left open": 'op.get_bind().begin_nested()\nraise KeyError("x")',
    "savepoint that fails": "with op.get_bind().begin_nested():\n    raise KeyError(1)",
    "session": 's = sa.orm.Session(op.get_bind())\ns.execute(sa.text("SELECT * FROM users")).all()\ns.commit()',
    "session that writes": 's = sa.orm.Session(op.get_bind())\ns.execute(sa.text("DELETE FROM users"))\ns.commit()',
    "session of mapped rows": (
        "from sqlalchemy.orm import declarative_base\nBase = declarative_base()\n"
        "class User(Base):\n    __tablename__ = 'users'\n    id = sa.Column(sa.Integer, primary_key=True)\n"
        "    name = sa.Column(sa.String(30))\n"
        "s = sa.orm.Session(op.get_bind())\nfor one in s.query(User): one.name = one.name.upper()\n"
        "s.add(User(name='c'))\ns.commit()"
    ),
}


@pytest.mark.parametrize("code", ENDING.values(), ids=ENDING)
def test_a_revision_that_ends_the_transaction_hides_no_other(database: Database, tmp_path: Path, code: str) -> None:
    database.execute(*TABLE)
    found = told(made(tmp_path, database, {"r1": code, "r2": NEXT}))
    assert [(step.helper, step.action) for step in found["r2"]] == [("add_column_if_missing", "run")]
    assert not [step for step in found["r1"] if "inactive" in step.detail]


WRITING = {
    "engine of its own": OWN + "with engine.begin() as c:\n    {}",
    "engine of env.py": "with op.get_bind().engine.begin() as c:\n    {}",
    "raw connection": OWN + "c = engine.raw_connection()\n{}\nc.commit()",
    "cursor": OWN + "with engine.begin() as c:\n    {}",
}
SENDING = {
    "engine of its own": 'c.execute(sa.text("{}"))',
    "engine of env.py": 'c.execute(sa.text("{}"))',
    "raw connection": 'c.cursor().execute("{}")',
    "cursor": 'c.connection.cursor().execute("{}")',
}


@pytest.mark.parametrize("way", WRITING)
def test_a_separate_connection_cannot_write_either(database: Database, tmp_path: Path, way: str) -> None:
    database.execute(*TABLE)
    statement = _writing(database)
    code = WRITING[way].format(SENDING[way].format(statement))
    steps = told(made(tmp_path, database, {"r1": code, "r2": NEXT}))["r1"]
    assert [step.action for step in steps] == ["unknown"]
    assert any(word in steps[0].detail.lower() for word in ("read-only", "readonly", "read only", "insert"))


def _writing(database: Database) -> str:
    """A statement that writes, and looks as if it only reads, if the server has one."""
    insert = "INSERT INTO users VALUES (3, 'c')"
    if database.kind == "sqlite":
        return insert
    if database.kind == "mysql":
        database.execute(f"CREATE FUNCTION writes() RETURNS int DETERMINISTIC BEGIN {insert}; RETURN 1; END")
    else:
        database.execute(f"CREATE FUNCTION writes() RETURNS int LANGUAGE plpgsql AS $$BEGIN {insert}; RETURN 1; END$$")
    return "SELECT writes()"


def test_separate_connections_write_again_afterwards(database: Database, tmp_path: Path) -> None:
    database.execute(*TABLE)
    # A pool, unlike that of the tests' engines.
    engine = sa.create_engine(database.url)
    with engine.connect() as connection:
        project = made(
            tmp_path, database, {"r1": "with op.get_bind().engine.connect() as c:\n    c.execute(sa.text('SELECT 1'))"}
        )
        project.config.attributes["connection"] = connection
        assert told(project)["r1"] == []
    with engine.connect() as one, engine.connect() as other:
        for number, connection in enumerate((one, other), 10):
            connection.execute(sa.text(f"INSERT INTO users VALUES ({number}, 'd')"))
            connection.commit()
    engine.dispose()


UNLOCKING = {
    "postgresql": [
        "BEGIN READ WRITE",
        "START TRANSACTION READ WRITE",
        "BEGIN /* a */ READ /* b */ WRITE",
        "SET TRANSACTION READ WRITE",
        "SELECT set_config('transaction_read_only', 'off', false)",
    ],
    "mysql": [
        "START TRANSACTION READ WRITE",
        "SET SESSION TRANSACTION READ WRITE",
        "SELECT 1 /**/INTO/**/OUTFILE '/tmp/nothing'",
        "SELECT 1 /*! INTO OUTFILE '/tmp/nothing' */",
        "/*! DELETE FROM users */",
    ],
    "sqlite": [
        "PRAGMA query_only(0)",
        "PRAGMA query_only = 0",
        "PRAGMA journal_mode(wal)",
        "PRAGMA main.user_version(7)",
    ],
}


def test_what_would_let_it_write_is_shown_and_not_sent(database: Database, tmp_path: Path) -> None:
    database.execute(*TABLE)
    statements = UNLOCKING[database.kind]
    calls = [f'op.get_bind().exec_driver_sql("{one}")' for one in statements]
    steps = told(made(tmp_path, database, {"r1": "\n".join(calls), "r2": NEXT}))["r1"]
    assert [(step.action, step.detail) for step in steps] == [("unknown", one) for one in statements]


def test_what_only_reads_is_sent(database: Database, tmp_path: Path) -> None:
    database.execute(*TABLE)
    reads = ["SELECT count(*) FROM users /* a read only look */", "-- a comment\nSELECT 1", "(SELECT 1)"]
    if database.kind == "sqlite":
        reads = [*reads[:2], "PRAGMA table_info(users)", "PRAGMA main.index_list('users')", "PRAGMA query_only"]
    code = "\n".join(f"op.get_bind().execute(sa.text({one!r})).all()" for one in reads)
    assert told(made(tmp_path, database, {"r1": code}))["r1"] == []
