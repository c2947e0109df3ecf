"""An Alembic project with our template, in which commands write revisions."""

from __future__ import annotations

import contextlib
import io
import shutil
from pathlib import Path
from types import ModuleType
from typing import Any

import sqlalchemy as sa
from alembic import command
from alembic.config import CommandLine, Config
from alembic.script import ScriptDirectory

import safeops.authoring

TEMPLATES = Path(safeops.authoring.__file__).parent / "templates"

_ENV = """
from alembic import context
from sqlalchemy import create_engine, pool

config = context.config
url = config.attributes.get("url") or config.get_main_option("sqlalchemy.url")
with create_engine(url, poolclass=pool.NullPool).connect() as connection:
    context.configure(
        connection=connection, transaction_per_migration=True, **config.attributes.get("configure", {})
    )
    with context.begin_transaction():
        context.run_migrations()
"""


class Revisions:
    """An Alembic project on disk whose revisions the template writes.

    Example:
        project = Revisions(tmp_path, database.url)
        file = project.written("-x", "pattern=not-null", "-x", "table=users", "-x", "column=email")
        project.upgrade()
    """

    def __init__(self, folder: Path, url: sa.URL | str = "sqlite://", *, template: str = "", **configure: Any) -> None:
        self.folder, self.url, self.configure = folder, url, configure
        self.versions = folder / "migrations/versions"
        self.versions.mkdir(parents=True)
        shutil.copy(TEMPLATES / f"{template}script.py.mako", folder / "migrations/script.py.mako")
        (folder / "migrations/env.py").write_text(_ENV)
        (folder / "alembic.ini").write_text(
            "[alembic]\nscript_location = %(here)s/migrations\ndatabases = one, two\n"
            f"sqlalchemy.url = {url if isinstance(url, str) else ''}\n"
        )

    @property
    def config(self) -> Config:
        config = Config(str(self.folder / "alembic.ini"), stdout=io.StringIO())
        config.attributes.update(url=self.url, configure=self.configure)
        return config

    def run(self, *arguments: str) -> str:
        """Run `alembic` with these arguments in this process; return its output, or raise SystemExit with its status."""
        said = io.StringIO()
        with contextlib.redirect_stdout(said), contextlib.redirect_stderr(said):
            line = CommandLine()
            options = line.parser.parse_args(arguments)
            config = Config(str(self.folder / "alembic.ini"), cmd_opts=options)
            config.attributes.update(url=self.url, configure=self.configure)
            try:
                line.run_cmd(config, options)
            except SystemExit as end:
                raise Refused(said.getvalue(), end.code) from end
        return said.getvalue()

    def written(self, *arguments: str, message: str = "a change", command: str = "revision") -> Path:
        """Write a revision; return its file."""
        before = self.files
        self.run(*arguments, command, "-m", message)
        (new,) = self.files - before
        return new

    def pattern(self, pattern: str, **values: str) -> Path:
        """Write the revision of a pattern."""
        typed = {"pattern": pattern, **values}
        return self.written(*(part for name, value in typed.items() for part in ("-x", f"{name}={value}")))

    @property
    def files(self) -> set[Path]:
        return set(self.versions.glob("*.py"))

    def upgrade(self, revision: str = "heads") -> None:
        command.upgrade(self.config, revision)

    def downgrade(self, revision: str = "-1") -> None:
        command.downgrade(self.config, revision)

    def current(self) -> set[str]:
        with sa.create_engine(self.url).connect() as connection:
            return set(connection.execute(sa.text("SELECT version_num FROM alembic_version")).scalars())

    def module(self, file: Path) -> ModuleType:
        script = next(
            one for one in ScriptDirectory.from_config(self.config).walk_revisions() if Path(one.path) == file
        )
        return script.module


class Refused(Exception):
    """A command ended with a status; the text is its output."""

    def __init__(self, text: str, status: object) -> None:
        super().__init__(text)
        self.status = status
