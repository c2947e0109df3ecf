"""Runs pytest as a team does, in a process, on a small project whose revisions a test writes."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.metadata import entry_points
from pathlib import Path

import sqlalchemy as sa

ROOT = Path(__file__).resolve().parents[2]
SECONDS = 120
INI = "[alembic]\nscript_location = %(here)s/migrations\n"
ENV = """
import sqlalchemy as sa
from alembic import context

config = context.config
url = config.get_main_option("sqlalchemy.url")
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True, dialect_opts={"paramstyle": "named"})
    with context.begin_transaction():
        context.run_migrations()
else:
    with sa.create_engine(url, poolclass=sa.pool.NullPool).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = '''"""{message}"""

import sqlalchemy as sa
from alembic import context, op

revision, down_revision, depends_on, branch_labels = {revision!r}, {down!r}, {needs!r}, {labels!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''
USERS = (
    "op.create_table('users', sa.Column('id', sa.Integer, primary_key=True), sa.Column('name', sa.String(50)))",
    "op.drop_table('users')",
)
EMAIL = (
    "op.add_column('users', sa.Column('email', sa.String(50)))",
    "with op.batch_alter_table('users') as batch: batch.drop_column('email')",
)
Body = tuple[str, str]


def plugin() -> list[str]:
    """Return the arguments with which pytest loads the plug-in, if the installed distribution does not have it yet."""
    installed = any(one.value == "safeops.testing.plugin" for one in entry_points(group="pytest11"))
    return [] if installed else ["-p", "safeops.testing.plugin"]


@dataclass(frozen=True)
class Outcome:
    """What a run of pytest ended with."""

    status: int
    output: str

    def __getitem__(self, kind: str) -> int:
        """How many tests were "passed", "failed", "skipped", "deselected" or ended with "errors"."""
        last = self.output.strip().splitlines()[-1]
        found = re.search(rf"(\d+) {kind}", last)
        return int(found[1]) if found else 0


@dataclass(frozen=True)
class TeamProject:
    """A project of a team, in a folder."""

    folder: Path

    def write(self, revision: str, body: Body, *, down: object = None, message: str = "", **more: object) -> Path:
        """Write a revision; ``more`` are ``needs`` and ``labels``."""
        upgrade, downgrade = (textwrap.indent(textwrap.dedent(one).strip(), "    ") for one in body)
        known = {"needs": None, "labels": None, **more, "message": message or revision, "down": down}
        file = self.folder / f"migrations/versions/{revision}.py"
        file.write_text(REVISION.format(revision=revision, upgrade=upgrade, downgrade=downgrade, **known))
        return file

    def chain(self, *bodies: Body) -> None:
        """Write the revisions 0001, 0002 and so on."""
        for number, body in enumerate(bodies, 1):
            self.write(f"{number:04}", body, down=f"{number - 1:04}" if number > 1 else None)

    def file(self, name: str, text: str) -> None:
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(textwrap.dedent(text))

    def pytest(self, *arguments: str, safeops: bool = True, **environment: str) -> Outcome:
        """Run pytest in the folder, by default with ``--safeops``."""
        options = [*plugin(), *(["--safeops"] if safeops else [])]
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("PYTEST_", "COV_"))}
        done = subprocess.run(
            [sys.executable, "-m", "pytest", *options, "-p", "no:alembic", "-q", *arguments],
            cwd=self.folder,
            env={**kept, "PYTHONPATH": str(ROOT / "src"), "COLUMNS": "200", **environment},
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=SECONDS,
        )
        return Outcome(done.returncode, done.stdout + done.stderr)


def project_in(
    folder: Path, url: sa.URL | str, *, env: str = ENV, settings: Mapping[str, str] | None = None
) -> TeamProject:
    """Make a project without revisions."""
    made = TeamProject(folder)
    text = url if isinstance(url, str) else url.render_as_string(hide_password=False)
    lines = {"sqlalchemy.url": text, **(settings or {})}
    made.file("alembic.ini", INI + "".join(f"{name} = {value.replace('%', '%%')}\n" for name, value in lines.items()))
    made.file("migrations/env.py", env)
    (folder / "migrations/versions").mkdir()
    return made
