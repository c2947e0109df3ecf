"""Projects as a team deploys them: an ordinary env.py that takes its URL from alembic.ini, and the command line."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.config import Config
from tests.projects import Project

from safeops.cli import main

ONE_EACH = pytest.mark.only("pg18", "mysql", "sqlite")

ENV = """
import sqlalchemy as sa
from alembic import context
from safeops import migration_lock

config = context.config
URL = config.get_main_option("sqlalchemy.url")
{before}
OPTIONS = dict(target_metadata={models}, transaction_per_migration=True, compare_type=True, {options})
if context.is_offline_mode():
    context.configure(url=URL, literal_binds=True, **OPTIONS)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = {engine}

    def migrate(connection):
        with migration_lock(connection):
            context.configure(connection=connection, **OPTIONS)
            with context.begin_transaction():
                context.run_migrations()

    {run}
"""
RUN = """with engine.connect() as connection:
        migrate(connection)"""
RUN_ASYNC = """async def main():
        from sqlalchemy.ext.asyncio import AsyncEngine
        async with AsyncEngine(engine).connect() as connection:
            await connection.run_sync(migrate)

    import asyncio
    asyncio.run(main())"""
TEMPLATE = """\"\"\"${message}\"\"\"
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
def upgrade(): pass
def downgrade(): pass
"""


class Runner(subprocess.Popen[str]):
    """A process that a failed test does not wait for."""

    def __exit__(self, kind: Any, *rest: Any) -> None:
        if kind is not None:
            self.kill()
        super().__exit__(kind, *rest)


ENGINE = "sa.create_engine(URL, poolclass=sa.pool.NullPool)"


@dataclasses.dataclass
class Deploy(Project):
    """An Alembic project whose configuration is its alembic.ini alone."""

    imports: str = "from safeops import *\nimport time, os, pathlib"
    before: str = ""
    models: str = "None"
    engine: str = ENGINE
    options: str = ""
    is_async: bool = False

    def __post_init__(self) -> None:
        super().__post_init__()
        url = self.database.url.render_as_string(hide_password=False).replace("%", "%%")
        (self.folder / "alembic.ini").write_text(
            f"[alembic]\nscript_location = %(here)s/migrations\nsqlalchemy.url = {url}\n"
        )
        (self.folder / "migrations/script.py.mako").write_text(TEMPLATE)
        parts = {"before": self.before, "models": self.models, "engine": self.engine, "options": self.options}
        parts["run"] = RUN_ASYNC if self.is_async else RUN
        (self.folder / "migrations/env.py").write_text(textwrap.dedent(ENV).format(**parts))

    @property
    def config(self) -> Config:
        return Config(str(self.folder / "alembic.ini"))

    def main(self, *arguments: str) -> int:
        """Runs a command in this process."""
        return main([arguments[0], "-c", str(self.folder / "alembic.ini"), *arguments[1:]])

    def start(self, *arguments: str) -> Runner:
        """Runs a command in a separate process."""
        command = [
            sys.executable,
            "-m",
            "safeops",
            arguments[0],
            "-c",
            str(self.folder / "alembic.ini"),
            *arguments[1:],
        ]
        pipe = subprocess.PIPE
        return Runner(command, stdin=subprocess.DEVNULL, stdout=pipe, stderr=pipe, text=True)


def said(capsys: pytest.CaptureFixture[str]) -> str:
    """Returns all output, and checks that it fits a terminal."""
    out, err = capsys.readouterr()
    for line in (out + err).splitlines():
        # A long path cannot be broken, and code must not be.
        assert len(line) <= 80 or " " not in line.strip() or line.startswith("    "), line
    return out + err


def printed(capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """The one object that --json prints."""
    return json.loads(capsys.readouterr().out)  # type: ignore[no-any-return]


def until(condition: Callable[[], object]) -> None:
    """Waits for what another process does: far longer than it takes, since a busy machine may need as long."""
    deadline = time.monotonic() + 120
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def table(name: str, more: str = "") -> tuple[str, str]:
    """A revision that makes a table, and its downgrade."""
    column = f", {more}" if more else ""
    return (
        f'create_table_if_missing("{name}", sa.Column("id", sa.Integer, primary_key=True){column})',
        f'drop_table_if_exists("{name}")',
    )


def gate(folder: Path, name: str) -> str:
    """Lines of a revision that touch a file, and wait until ``folder/go`` exists; not while it is only planned."""
    return (
        "from safeops.plan_mode import current_dry_run\nif current_dry_run() is None:\n"
        f'    pathlib.Path("{folder}/at_{name}").touch()\n'
        f'    while not os.path.exists("{folder}/go"):\n        time.sleep(0.02)\n'
    )
