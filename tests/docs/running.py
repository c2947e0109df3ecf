"""Run the Python of a page inside real migrations."""

from __future__ import annotations

import traceback
from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import pytest
import sqlalchemy as sa
from alembic import op

import safeops
from safeops.observation import observed
from tests.catalogue import assert_same, snapshot
from tests.docs.following import is_followed
from tests.docs.pages import Block
from tests.projects import Project, Statements, migrate, statements_of
from tests.servers import Database

NAMES = {"__name__": "revision", "op": op, "sa": sa, **{name: getattr(safeops, name) for name in safeops.__all__}}


def up_twice_and_down(database: Database, revisions: Sequence[Block], folder: Path) -> Statements:
    """Upgrade the revisions of a page one after the other, each of them twice, and downgrade all of them.

    Returns:
        The statements that the first upgrades sent.
    """
    sent, before = Statements(), _schema_before(database)
    done = [(block, module) for block in revisions if (module := _up_twice(database, block, folder, sent))]
    for block, module in reversed(done):
        _down(database, block, module)
    if not any(block.mark("stays") for block in revisions):
        assert_same(before, _schema(database), f"{revisions[0].page.name}, downgraded")
    return sent


def _up_twice(database: Database, block: Block, folder: Path, sent: Statements) -> ModuleType | None:
    module, number = block.load(folder), f"r{block.number}"
    refused = block.mark(f"on {database.kind}")
    if refused:
        with pytest.raises(getattr(safeops, refused)):
            migrate(database, module.upgrade, revision=number)
        return None
    # The pages show what is sent for tables with rows.
    with observed(), statements_of(database) as first:
        migrate(database, module.upgrade, revision=number)
    with statements_of(database) as again:
        migrate(database, module.upgrade, revision=number)
    assert not [one for one in again.ddl if not one.startswith("DO ")], f"{block.page.name}: run again it does more"
    sent.extend(first)
    return module


def _down(database: Database, block: Block, module: ModuleType) -> None:
    def down() -> None:
        migrate(database, module.downgrade, down=True, revision=f"r{block.number}")

    if block.mark("one way") is None:
        down()
    else:
        with pytest.raises(safeops.Irreversible):
            down()


_BEFORE: dict[str, str] = {}


def _schema_before(database: Database) -> str:
    """The scene is the same for each page: on a server it is read once."""
    if database.server.product not in _BEFORE:
        _BEFORE[database.server.product] = _schema(database)
    return _BEFORE[database.server.product]


def _schema(database: Database) -> str:
    """Return the schema without the order of columns: PostgreSQL adds a column at the end, even if it was elsewhere."""
    return "\n".join(sorted(line.rstrip(",") for line in snapshot(database).splitlines()))


def is_fragment(block: Block) -> bool:
    """Return whether the block has lines for the body of an upgrade()."""
    apart = block.is_revision or block.is_env or is_followed(block) or block.mark("not run") is not None
    elsewhere = block.page.stem == "tutorial" or (block.page.parent.name == "errors" and block.page.stem != "S000")
    elsewhere = elsewhere or block.page.parent.name == "rules"
    return block.language == "python" and not apart and not elsewhere


def execute(code: str) -> None:
    exec(compile(code, "a page", "exec"), dict(NAMES))


def run_fragment(database: Database, block: Block) -> list[str]:
    """Run lines as the body of an upgrade(), and return the locks that PostgreSQL then holds."""
    held: list[str] = []

    def body() -> None:
        execute(block.code)
        held.extend(_locks())

    fails = block.mark("fails")
    if fails is None:
        migrate(database, body)
    else:
        with pytest.raises(Exception) as raised:
            migrate(database, body)
        assert fails in "".join(traceback.format_exception(raised.value)), raised.value
    return held


def run_as_env(database: Database, block: Block, folder: Path) -> Statements:
    """Run lines as the end of an env.py, in a project of one revision, and return the statements sent."""
    if "create_async_engine" in block.code:
        database = database.with_driver({"sqlite": "aiosqlite", "postgresql": "asyncpg"}[database.kind])
    revision = ("safeops.create_table_if_missing('made', sa.Column('id', sa.Integer, primary_key=True))", "pass")
    project = Project(folder, database, {"r1": revision}, imports="import safeops")
    (folder / "migrations/env.py").write_text(
        "from alembic import context\nimport sqlalchemy\nconfig = context.config\ntarget_metadata = None\n"
        "url = config.attributes['url'].render_as_string(False)\n"
        "config.set_main_option('sqlalchemy.url', url.replace('%', '%%'))\n"
        + ("" if "create_async_engine" in block.code else "engine = sqlalchemy.create_engine(url)\n")
        + block.code
    )
    fails = block.mark("fails")
    with statements_of(database) as sent:
        if fails is None:
            project.upgrade()
            assert project.current() == ("r1",)
        else:
            with pytest.raises(getattr(safeops, fails)):
                project.upgrade()
    return sent


def _locks() -> list[str]:
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return []
    rows = connection.exec_driver_sql(
        "SELECT l.mode || ' on ' || c.relname FROM pg_locks l JOIN pg_class c ON c.oid = l.relation"
        " WHERE l.pid = pg_backend_pid() AND c.relkind = 'r'"
    )
    return [row for (row,) in rows]
