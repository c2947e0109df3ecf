"""A revision runs without a database, and shows what it sends."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.review.recorded import PSYCOPG, project, recorded, recordings, sql, statements

from safeops.judging.bound import bound_text
from safeops.judging.sent import HelperSent, Place, Unseen

URLS = {
    "psycopg": "postgresql+psycopg://nobody@127.0.0.1:1/app",
    "psycopg2": "postgresql+psycopg2://nobody@127.0.0.1:1/app",
    "asyncpg": "postgresql+asyncpg://nobody@127.0.0.1:1/app",
    "pymysql": "mysql+pymysql://nobody@127.0.0.1:1/app",
    "mariadb": "mariadb+pymysql://nobody@127.0.0.1:1/app",
    "sqlite": "sqlite:////nowhere/app.db",
    "aiosqlite": "sqlite+aiosqlite:////nowhere/app.db",
}


@pytest.mark.parametrize("url", URLS.values(), ids=URLS)
def test_each_driver_shows_operations_connections_and_sessions(tmp_path: Path, url: str) -> None:
    body = """
        op.add_column("users", sa.Column("nick", sa.Text()))
        op.execute("UPDATE users SET nick = 'a%'")
        bind = op.get_bind()
        bind.execute(sa.text("UPDATE users SET nick = :nick"), {"nick": "b"})
        bind.exec_driver_sql("UPDATE users SET nick = 'c'")
        cursor = bind.connection.cursor()
        cursor.execute("UPDATE users SET nick = 'd'")
        users = sa.table("users", sa.column("id", sa.Integer), sa.column("nick", sa.Text))
        op.bulk_insert(users, [{"id": 1, "nick": "e"}, {"id": 2, "nick": "f"}])
        with bind.begin_nested():
            bind.execute(users.delete())
        with op.get_context().begin_transaction():
            op.execute(users.update().values(nick="g"))
    """
    recording = recorded(tmp_path, body, url=url)
    sent = statements(recording)
    assert recording.seen == "offline" and recording.error is None
    assert [" ".join(one.sql.split()[:2]).upper() for one in sent if one.call] == [
        "ALTER TABLE",
        "UPDATE USERS",
        "INSERT INTO",
        "UPDATE USERS",
    ]
    assert [one.sql for one in sent if "'" in one.sql] == [f"UPDATE users SET nick = '{x}'" for x in ("a%", "c", "d")]
    assert [one.times for one in sent if one.sql.startswith("INSERT")] == [2]
    assert {one.transaction for one in sent} == {0}
    assert sum(one.sql.startswith(("SAVEPOINT", "RELEASE")) for one in sent) == 2
    assert not [one for one in recording.events if isinstance(one, Unseen)]


@pytest.mark.parametrize("url", [PSYCOPG, "mariadb+pymysql://nobody@127.0.0.1:1/app", "sqlite://"])
def test_percent_signs_in_names_are_those_of_the_server(tmp_path: Path, url: str) -> None:
    body = """
        rates = op.create_table("50%", sa.Column("id", sa.Integer, primary_key=True), sa.Column("a%b", sa.String(9)))
        op.execute(rates.update().values({"a%b": "c%d"}).where(rates.c.id % 2 == 0))
        op.get_bind().execute(sa.select(rates.c["a%b"]))
    """
    sent = [one for one in statements(recorded(tmp_path, body, url=url)) if "50%" in one.sql]
    assert len(sent) == 3 and not any("%%" in one.sql for one in sent)
    assert "'c%d'" in bound_text(sent[1]) and ".id % 2" in bound_text(sent[1])


def test_a_statement_has_its_line_and_its_call(tmp_path: Path) -> None:
    body = """
        op.add_column("users", sa.Column("nick", sa.Text(), index=True))
        add()
        with op.batch_alter_table("users") as batch:
            batch.add_column(sa.Column("age", sa.Integer()))
            batch.drop_column("name")
    """
    head = """
        def add():
            op.create_index("ix", "users", ["nick"])
    """
    recording = recorded(tmp_path, body, head=head)
    lines = Path(recording.file).read_text().splitlines()
    place = lambda text: Place(recording.file, next(n for n, line in enumerate(lines, 1) if text in line))  # noqa: E731
    sent = statements(recording)
    assert [one.call.name for one in sent if one.call] == [
        "add_column",
        "add_column",
        "create_index",
        "add_column",
        "drop_column",
    ]
    assert sent[0].call is not None and sent[0].call is sent[1].call
    assert sent[0].call.operation.table_name == "users"
    assert [one.place for one in sent[2:]] == [place('"ix"'), place("batch.add"), place("batch.drop")]


@pytest.mark.parametrize(("driver", "number"), [("psycopg", 1), ("psycopg2", None), ("asyncpg", None)])
def test_a_commit_as_text_ends_the_transaction_as_the_driver_knows_it(
    tmp_path: Path, driver: str, number: int | None
) -> None:
    body = 'op.execute("COMMIT")\nop.execute("CREATE INDEX CONCURRENTLY ix ON users (id)")'
    sent = statements(recorded(tmp_path, body, url=URLS[driver]))
    assert [one.transaction for one in sent] == [0, number]


def test_transactions_are_those_of_the_connection(tmp_path: Path) -> None:
    body = """
        op.execute("SELECT 1")
        with op.get_context().autocommit_block():
            op.execute("SELECT 2")
            op.execute("BEGIN")
            op.execute("SELECT 3")
            op.execute("COMMIT")
            op.execute("SELECT 4")
        op.execute("SELECT 5")
        op.get_bind().commit()
        op.execute("SELECT 6")
    """
    sent = statements(recorded(tmp_path, body))
    numbers = {one.sql: one.transaction for one in sent if one.sql.startswith("SELECT")}
    assert list(numbers.values()) == [0, None, 1, None, 2, 3]


def test_a_loop_over_rows_shows_what_it_sends_for_each(tmp_path: Path) -> None:
    body = """
        bind = op.get_bind()
        for row in bind.execute(sa.text("SELECT id, name FROM users")):
            bind.execute(sa.text("UPDATE users SET name = :name WHERE id = :id"), {"name": "x", "id": row.id})
        users = sa.table("users", sa.column("id", sa.Integer), sa.column("at", sa.DateTime))
        for id_, at in bind.execute(sa.select(users.c.id, users.c.at).where(users.c.id > 7)).all():
            bind.execute(users.update().values(at=at.replace(year=2020)))
        op.execute("UPDATE users SET done = true")
    """
    recording = recorded(tmp_path, body)
    assert [one.synthetic for one in statements(recording)] == [False, True, False, False, False]
    assert recording.error is None


def test_an_orm_session_works(tmp_path: Path) -> None:
    head = """
        import enum
        from sqlalchemy.orm import DeclarativeBase, Session

        class Base(DeclarativeBase):
            pass

        class Kind(enum.Enum):
            one = "one"

        class User(Base):
            __tablename__ = "users"
            id = sa.Column(sa.Integer, primary_key=True)
            name = sa.Column(sa.String)
            kind = sa.Column(sa.Enum(Kind))
            data = sa.Column(sa.JSON)
            price = sa.Column(sa.Numeric)
    """
    body = """
        session = Session(bind=op.get_bind())
        for user in session.query(User).all():
            assert user.kind is Kind.one and user.price * 2
            user.name = user.name.lower()
        session.add(User(name="new"))
        session.commit()
    """
    recording = recorded(tmp_path, body, head=head)
    assert recording.error is None
    assert [text.split()[0] for text in sql(recording)] == ["SELECT", "UPDATE", "INSERT"]


def test_batches_by_the_highest_number_are_seen(tmp_path: Path) -> None:
    body = """
        bind = op.get_bind()
        highest = bind.execute(sa.text("SELECT max(id) FROM users")).scalar()
        for low in range(0, highest, 1000):
            bind.execute(sa.text("UPDATE users SET a = 1 WHERE id > :low AND id <= :low + 1000"), {"low": low})
    """
    recording = recorded(tmp_path, body)
    assert recording.error is None and len(statements(recording)) > 10


def test_a_loop_until_no_rows_are_left_ends(tmp_path: Path) -> None:
    body = """
        bind = op.get_bind()
        while True:
            rows = bind.execute(sa.text("SELECT id FROM users WHERE a IS NULL LIMIT 100")).fetchall()
            if not rows:
                break
            for row in rows:
                bind.execute(sa.text("UPDATE users SET a = 1 WHERE id = :id"), {"id": row[0]})
        while bind.execute(sa.text("UPDATE users SET b = 1 WHERE b IS NULL LIMIT 100")).rowcount:
            pass
        while bind.scalar(sa.text("SELECT count(*) FROM users WHERE c IS NULL")):
            bind.execute(sa.text("UPDATE users SET c = 1 WHERE id IN (SELECT id FROM users LIMIT 9)"))
    """
    recording = recorded(tmp_path, body)
    assert recording.error is None
    assert {text[:24] for text in sql(recording)} == {
        "SELECT id FROM users WHE",
        "SELECT count(*) FROM use",
        "UPDATE users SET a = %(?"[:21] + "1 W",
        "UPDATE users SET b = 1 W",
        "UPDATE users SET c = 1 W",
    }


def test_what_only_happens_without_rows_is_seen_too(tmp_path: Path) -> None:
    body = """
        if op.get_bind().execute(sa.text("SELECT 1 FROM users WHERE a IS NULL")).first():
            op.execute("UPDATE users SET a = 1")
        else:
            op.execute("UPDATE users SET b = 1")
        if op.get_bind().scalar(sa.text("SELECT count(*) FROM users GROUP BY a HAVING count(*) > 1")):
            raise RuntimeError("duplicates")
        op.execute("UPDATE users SET c = 1")
    """
    recording = recorded(tmp_path, body)
    assert recording.error is None
    assert [text[-5:] for text in sql(recording) if text.startswith("UPDATE")] == ["a = 1", "b = 1", "c = 1"]


@pytest.mark.parametrize(
    ("body", "told"),
    [
        ("raise ValueError('broken')", "It raised ValueError: broken"),
        ("import sys\nsys.exit(3)", "It raised SystemExit: 3"),
        ("open('/nowhere/rows.sql')", "FileNotFoundError"),
        ("import socket\nsocket.create_connection(('127.0.0.1', 9))", "connects to the network"),
        ("import subprocess\nsubprocess.run(['true'])", "starts another program"),
        ("import os\nos.fork()", "forks"),
        ("import os\nos._exit(0)", "ends the process"),
        ("input()", "prompts for input"),
        ("while True:\n    pass", "The review stopped it after 0.5 s"),
        ("while True:\n    op.execute('UPDATE users SET a = 1')", "The review stopped it after 10,000 statements"),
        (
            "while True:\n    try:\n        op.execute('UPDATE users SET a = 1')\n    except Exception:\n        pass",
            "The review stopped it after 10,000 statements",
        ),
    ],
)
def test_what_cannot_be_seen_is_reported_and_ends_no_review(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, body: str, told: str
) -> None:
    monkeypatch.setattr(
        "safeops.review.containment.LONGEST", 0.5 if "pass" in body[-8:] and "try" not in body else 30.0
    )
    config = project(
        tmp_path, f"op.execute('UPDATE users SET z = 1')\nprint('noise')\n{body}", "op.execute('SELECT 1')"
    )
    first, second = recordings(config)
    (unseen,) = [event for event in first.events if isinstance(event, Unseen)]
    assert told in unseen.why and unseen.place is not None
    assert sql(first)[0] == "UPDATE users SET z = 1"
    assert sql(second) == ["SELECT 1"]
    assert capsys.readouterr().out == ""


def test_a_refusal_is_reported_even_if_the_revision_continues(tmp_path: Path) -> None:
    body = """
        import subprocess, time
        try:
            subprocess.run(["true"])
        except Exception:
            pass
        time.sleep(1000)
        op.execute("SELECT 1")
    """
    recording = recorded(tmp_path, body)
    assert [event.why for event in recording.events if isinstance(event, Unseen)] == [
        "It starts another program, which a review does not allow."
    ]


def test_helpers_are_recorded_and_do_not_run(tmp_path: Path) -> None:
    body = """
        import safeops
        assert safeops.add_column_if_missing("users", sa.Column("nick", sa.Text())) is True
        report = safeops.backfill("users", {"nick": sa.column("name")})
        assert report.rows == report.remaining == 0
        safeops.ColumnRename("users", "name", "full_name").expand()
        with safeops.assured("few rows"), safeops.lock_timeout(3):
            op.execute("UPDATE users SET a = 1")
        op.execute("UPDATE users SET b = 1")
    """
    recording = recorded(tmp_path, body)
    assert recording.error is None
    helpers = [event for event in recording.events if isinstance(event, HelperSent)]
    assert [one.name for one in helpers] == ["add_column_if_missing", "backfill", "ColumnRename.expand"]
    assert helpers[2].given["new_name"] == "full_name"
    assert [(one.assured, one.transaction) for one in statements(recording)] == [("few rows", 0), (None, 0)]


def test_op_run_async_works(tmp_path: Path) -> None:
    head = """
        async def change(connection, value):
            await connection.execute(sa.text("UPDATE users SET a = :value"), {"value": value})
    """
    recording = recorded(tmp_path, "op.run_async(change, 7)", head=head, url=URLS["asyncpg"])
    assert recording.error is None
    assert [one.parameters for one in statements(recording)] == [(7,)]


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("SELECT 1 FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'name'", 1),
        ("SELECT 1 FROM information_schema.columns WHERE table_name = 'users' AND column_name = 'nick'", None),
        ("SELECT column_name FROM information_schema.columns WHERE table_name = 'users'", "id"),
        ("SELECT count(*) FROM information_schema.columns WHERE table_schema='public' AND table_name = 'users'", 3),
        ("SELECT is_nullable FROM information_schema.columns WHERE table_name='users' AND column_name='name'", "NO"),
        ("SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_name = 'users')", True),
        ("SELECT EXISTS (SELECT 1 FROM information_schema.tables WHERE table_name = 'gone')", False),
        ("SELECT 1 FROM pg_indexes WHERE indexname = 'ix_name'", 1),
        ("SELECT 1 FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relname = 'ix_name'", 1),
        ("SELECT 1 FROM pg_indexes WHERE indexname = 'ix_gone' AND tablename = 'users'", None),
        ("SELECT conname FROM pg_constraint WHERE conrelid = 'users'::regclass AND contype = 'c'", "ck"),
        ("SELECT 1 FROM pg_constraint WHERE conname = 'ck_gone'", None),
        ("SELECT 1 FROM pg_type WHERE typname = 'kind'", 1),
        ("SELECT to_regclass('public.users')", "public.users"),
        ("SELECT to_regclass('gone')", None),
    ],
)
def test_a_query_of_the_catalogue_is_answered_by_what_earlier_revisions_made(
    tmp_path: Path, query: str, answer: object
) -> None:
    base = """
        op.execute("CREATE TYPE kind AS ENUM ('a')")
        op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("at", sa.DateTime),
                        sa.Column("name", sa.Text, nullable=False))
        op.create_index("ix_name", "users", ["name"])
        op.execute("ALTER TABLE users ADD CONSTRAINT ck CHECK (id > 0)")
    """
    body = f"""
        found = op.get_bind().scalar(sa.text({query!r}))
        op.execute(f"SELECT {{found!r}}")
    """
    _, recording = recordings(project(tmp_path, base, body))
    assert sql(recording)[-1] == f"SELECT {answer!r}"


def test_what_the_revision_itself_has_made_is_there(tmp_path: Path) -> None:
    body = """
        op.create_table("users", sa.Column("id", sa.Integer, primary_key=True))
        op.add_column("users", sa.Column("nick", sa.Text()))
        assert sa.inspect(op.get_bind()).has_table("users")
        assert [one["name"] for one in sa.inspect(op.get_bind()).get_columns("users")] == ["id", "nick"]
        query = "SELECT 1 FROM information_schema.columns WHERE table_name = :table AND column_name = :column"
        assert op.get_bind().scalar(sa.text(query), {"table": "users", "column": "nick"}) == 1
        op.drop_column("users", "nick")
        assert op.get_bind().scalar(sa.text(query), {"table": "users", "column": "nick"}) is None
    """
    assert recorded(tmp_path, body).error is None
