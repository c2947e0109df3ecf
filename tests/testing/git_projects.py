"""An Alembic project in a git repository, whose models change from release to release."""

from __future__ import annotations

import subprocess
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from alembic.config import Config
from tests.servers import Database

from safeops.testing.kit import Kit
from safeops.testing.places import Place
from safeops.testing.project import Project

ENV = """
import sqlalchemy as sa
from alembic import context
from shop.models import metadata

config = context.config
if context.is_offline_mode():
    context.configure(url=config.get_main_option("sqlalchemy.url"), target_metadata=metadata)
    with context.begin_transaction():
        context.run_migrations()
else:
    engine = sa.create_engine(config.get_main_option("sqlalchemy.url"))
    with engine.connect() as connection:
        context.configure(connection=connection, target_metadata=metadata, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
    engine.dispose()
"""
INI = """
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = %(here)s/src
path_separator = os
sqlalchemy.url = {url}
"""
REVISION = """
import sqlalchemy as sa
from alembic import op
from safeops import *

revision, down_revision = {revision!r}, {down!r}


def upgrade():
{upgrade}


def downgrade():
    raise NotImplementedError
"""


class GitProject:
    """A project in a repository; each release is a commit.

    Example:
        shop = GitProject(tmp_path, database)
        shop.release("users = sa.Table('users', metadata, sa.Column('id', sa.Integer, primary_key=True))")
        shop.revision("r1", "op.create_table('users', sa.Column('id', sa.Integer, primary_key=True))")
    """

    def __init__(self, folder: Path, database: Database) -> None:
        self.folder, self.database = folder, database
        self.versions = folder / "migrations/versions"
        self.package = folder / "src/shop"
        for made in (self.versions, self.package):
            made.mkdir(parents=True)
        (self.package / "__init__.py").touch()
        (folder / "migrations/env.py").write_text(ENV)
        url = database.url.render_as_string(hide_password=False).replace("%", "%%")
        (folder / "alembic.ini").write_text(INI.format(url=url))
        self.newest: str | None = None
        self.git("init", "-q", "-b", "main")
        self.models("")
        self.commit("empty")

    def git(self, *arguments: str) -> str:
        author = ["-c", "user.name=shop", "-c", "user.email=shop@example.org"]
        command = ["git", *author, "-C", str(self.folder), *arguments]
        return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()

    def models(self, tables: str) -> None:
        """Write the models, which are not committed yet."""
        head = "import enum\nimport sqlalchemy as sa\n\nmetadata = sa.MetaData()\n"
        (self.package / "models.py").write_text(head + textwrap.dedent(tables))

    def revision(self, name: str, upgrade: str) -> None:
        """Write a revision that follows the newest one, which is not committed yet."""
        body = textwrap.indent(textwrap.dedent(upgrade).strip() or "pass", "    ")
        text = REVISION.format(revision=name, down=self.newest, upgrade=body)
        (self.versions / f"{name}.py").write_text(text)
        self.newest = name

    def commit(self, message: str) -> str:
        self.git("add", "-A")
        self.git("commit", "-q", "--allow-empty", "-m", message)
        return self.git("rev-parse", "HEAD")

    @contextmanager
    def kit(self, since: str | None = None) -> Iterator[Kit]:
        """The tools of the tests, with databases next to the one of this project."""
        project = Project(Config(str(self.folder / "alembic.ini")))
        kit = Kit(project, Place(self.database.url), since=since)
        try:
            yield kit
        finally:
            kit.close()
