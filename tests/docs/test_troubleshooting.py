"""An error that a heading of the page about troubleshooting quotes is one that really comes."""

from __future__ import annotations

import re
import sys
from collections.abc import Callable
from importlib.abc import MetaPathFinder
from pathlib import Path

import pytest
import sqlalchemy as sa
from alembic import command, op
from alembic.config import Config

from safeops import add_column_if_missing
from tests.crossings.pgbouncer import pooled
from tests.docs.pages import DOCS
from tests.docs.scene import set_the_scene
from tests.projects import Project, migrate
from tests.servers import Database

HEADINGS = re.findall(r"^### (.*)$", (DOCS / "how-to/troubleshooting.md").read_text(), re.MULTILINE)
NO_ERROR = {
    "`No module named 'safeops'`",
    "The migration hangs",
    '"Running upgrade" is printed, but nothing has changed',
    "An invalid index",
    "Columns, triggers or tables named `safeops_*`",
}
Calls = list[Callable[[], object]]


def _connect(url: str | sa.URL) -> None:
    sa.create_engine(url).connect()


def _run(database: Database, *statements: str) -> Calls:
    """In one transaction, which is rolled back: the roles that it creates are dropped."""

    def run() -> None:
        with database.engine().begin() as connection:
            for one in statements:
                connection.exec_driver_sql(one)

    return [run]


def _locked(database: Database) -> None:
    with database.engine().begin() as holder:
        holder.exec_driver_sql("LOCK TABLE users")
        _run(database, "SET LOCAL lock_timeout = 10", "ALTER TABLE users ADD COLUMN x int")[0]()


def _prepared(database: Database) -> None:
    with database.engine(connect_args={"prepare_threshold": 0}).connect() as connection:
        for _ in range(2):
            connection.exec_driver_sql("SELECT * FROM users")
            connection.commit()
            database.execute("ALTER TABLE users ALTER age TYPE bigint")


def _over_a_pooler(database: Database) -> None:
    with pooled(database, "transaction") as through:
        migrate(through, lambda: add_column_if_missing("users", sa.Column("x", sa.Integer)))


def _autocommit() -> None:
    with op.get_context().autocommit_block():
        raise NotImplementedError


def _begun_by_env(database: Database) -> None:
    with database.engine().begin() as connection:
        migrate(database, _autocommit, connection=connection, transaction_per_migration=False)


def _project(database: Database, folder: Path) -> Config:
    project = Project(folder, database, {"r1": ("pass", "pass"), "r2": ("pass", "pass")})
    project.upgrade("r1")
    return project.config


def _two_heads(database: Database, folder: Path) -> None:
    project = Project(folder, database, {"r1": ("pass", "pass"), "r2": ("pass", "pass")})
    project.write("r3", "pass", down="r1")
    command.upgrade(project.config, "head")


def _lost(database: Database, folder: Path) -> None:
    config = _project(database, folder)
    (folder / "migrations/versions/r1.py").unlink()
    (folder / "migrations/versions/r2.py").unlink()
    command.upgrade(config, "head")


def _provoked(heading: str, database: Database, folder: Path) -> Calls:
    """What the heading is about, as calls that raise it."""
    foreign = ("CREATE ROLE stranger", "SET LOCAL ROLE stranger")
    hidden = (
        "CREATE ROLE stranger",
        "GRANT SELECT ON users TO stranger",
        "ALTER TABLE users ENABLE ROW LEVEL SECURITY",
        "SET LOCAL ROLE stranger",
        "SET LOCAL row_security = off",
    )

    def add_twice() -> None:
        op.add_column("users", sa.Column("x", sa.Integer))
        op.add_column("users", sa.Column("x", sa.Integer))

    at = f"user:p@ss@localhost:{database.url.port}/db"
    begun: dict[str, Calls] = {
        "`invalid": [lambda: Config().set_main_option("sqlalchemy.url", "postgresql://user:p%40ss@host/db")],
        "`failed to": [lambda: _connect(f"postgresql+psycopg://{at}"), lambda: _connect(f"postgresql+psycopg2://{at}")],
        "`Can't load": [lambda: sa.create_engine("postgres://")],
        "`No 'script": [lambda: command.current(Config(folder / "alembic.ini"))],
        "`does not": [lambda: command.revision(Project(folder, database, {}).config, autogenerate=True)],
        "`No module": [lambda: sa.create_engine("postgresql+psycopg2://"), lambda: sa.create_engine("mysql://")],
        "`greenlet": [lambda: _connect(database.with_driver("asyncpg").url)],
        "`Connection": [lambda: _connect("postgresql+psycopg://user@127.0.0.1:1/db")],
        "`over a": [lambda: _over_a_pooler(database)],
        "`must be": _run(database, *foreign, "ALTER TABLE users ADD COLUMN x int"),
        "`permission": _run(database, *foreign, "CREATE TABLE x (id int)"),
        "`query": _run(database, *hidden, "SELECT count(*) FROM users"),
        "`canceling": [lambda: _locked(database)],
        "`AssertionError`": [lambda: _begun_by_env(database)],
        "`CREATE INDEX": _run(database, "CREATE INDEX CONCURRENTLY ix ON users (email)"),
        "`cached": [lambda: _prepared(database)],
        "`Multiple": [lambda: _two_heads(database, folder)],
        "`Target": [lambda: command.revision(_project(database, folder), autogenerate=True)],
        "`Can't locate": [lambda: _lost(database, folder)],
        "`the proxy": [op.get_bind],
        "`already": [lambda: migrate(database, add_twice)],
    }
    return next(calls for beginning, calls in begun.items() if heading.startswith(beginning))


class _WithoutDrivers(MetaPathFinder):
    def find_spec(self, name: str, *_: object) -> None:
        if name in ("psycopg2", "MySQLdb"):
            raise ModuleNotFoundError(f"No module named {name!r}", name=name)


def _message(call: Callable[[], object]) -> str:
    with pytest.raises(Exception) as raised:
        call()
    return f"{type(raised.value).__name__}: {raised.value}"


@pytest.mark.only("pg18")
@pytest.mark.filterwarnings("ignore:coroutine:RuntimeWarning")
@pytest.mark.parametrize("heading", [one for one in HEADINGS if one not in NO_ERROR and "SUPER" not in one])
def test_the_error_of_a_heading_is_real(
    database: Database, heading: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    set_the_scene(database)
    if heading.startswith("`No module"):
        monkeypatch.setattr(sys, "meta_path", [_WithoutDrivers(), *sys.meta_path])
        for name in [one for one in sys.modules if one.partition(".")[0] in ("psycopg2", "MySQLdb")]:
            monkeypatch.delitem(sys.modules, name)
    # A migration that failed leaves it behind.
    monkeypatch.delattr("alembic.op._proxy", raising=False)
    seen = "\n".join(map(_message, _provoked(heading, database, tmp_path)))
    quoted = [one for one in re.findall(r"`([^`]+)`", heading) if one != "autocommit_block()"]
    assert not [one for one in quoted if one not in seen], seen


@pytest.mark.only("mysql97")
def test_triggers_need_super_when_there_is_a_binary_log(database: Database) -> None:
    set_the_scene(database)
    database.execute(
        "CREATE USER 'trigger-maker'@'%' IDENTIFIED BY 'p'",
        f"GRANT ALL PRIVILEGES ON {database.name}.* TO 'trigger-maker'@'%'",
    )
    url = database.url.set(username="trigger-maker", password="p")
    with sa.create_engine(url).connect() as connection:
        seen = _message(
            lambda: connection.exec_driver_sql("CREATE TRIGGER t BEFORE INSERT ON users FOR EACH ROW SET @a = 1")
        )
    (heading,) = [one for one in HEADINGS if "SUPER" in one]
    assert heading.strip("`") in seen
