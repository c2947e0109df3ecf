"""A project whose revisions autogenerate writes, and what reads them."""

from __future__ import annotations

import textwrap
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic import command
from tests.projects import Project, log_lines
from tests.servers import Database

from safeops.autogenerate import safe_operations

MAKO = '''"""${message}"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = None
depends_on = None


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


class Authored:
    """A project whose revisions autogenerate writes, with `safe_operations` alone in its env.py."""

    def __init__(self, folder: Path, database: Database, **configure: Any) -> None:
        options = {"process_revision_directives": safe_operations, "compare_server_default": True, **configure}
        self.project = Project(folder, database, configure=options)
        (folder / "migrations/script.py.mako").write_text(MAKO)
        self.database, self.count, self.models = database, 0, [sa.MetaData()]
        self.log: list[str] = []

    def write(self, *models: sa.MetaData) -> str:
        """Write the next revision."""
        self.models = list(models)
        self.count += 1
        with log_lines() as self.log:
            script = command.revision(self.config, autogenerate=True, rev_id=f"r{self.count}")
        self.path = Path(script.path)
        text = self.path.read_text()
        compile(text, script.path, "exec")
        return text

    @property
    def config(self) -> Any:
        config = self.project.config
        config.attributes["target_metadata"] = self.models[0] if len(self.models) == 1 else self.models
        return config

    def upgrade(self) -> None:
        command.upgrade(self.config, "head")

    def downgrade(self) -> None:
        command.downgrade(self.config, "-1")

    def check(self) -> None:
        command.check(self.config)

    def rows(self, sql: str) -> list[tuple[Any, ...]]:
        with self.database.observer().connect() as connection:
            return [tuple(row) for row in connection.exec_driver_sql(sql)]

    def run(self, *models: sa.MetaData) -> str:
        """Write the next revision, run it, and have Alembic find nothing more."""
        text = self.write(*models)
        self.upgrade()
        self.check()
        return text

    def there_and_back(self, *models: sa.MetaData) -> str:
        """Run the next revision forth, back and forth again."""
        text = self.run(*models)
        self.downgrade()
        self.upgrade()
        self.check()
        return text


def body(text: str, of: str = "upgrade") -> str:
    """The statements of upgrade() or downgrade(), without Alembic's own comments and without imports."""
    found = text.split(f"def {of}():\n")[1].split("\n\n\ndef ")[0]
    return "\n".join(line for line in textwrap.dedent(found).splitlines() if not line.startswith("# ###")).strip()


def statements(text: str, of: str = "upgrade") -> list[str]:
    return [line for line in body(text, of).splitlines() if not line.startswith("#")]


def comments(text: str, of: str = "upgrade") -> str:
    return " ".join(line.removeprefix("# ") for line in body(text, of).splitlines() if line.startswith("#"))


def models(*tables: Any, **options: Any) -> sa.MetaData:
    metadata = sa.MetaData(**options)
    for name, *parts in tables:
        options = parts.pop() if isinstance(parts[-1], dict) else {}
        sa.Table(name, metadata, *parts, **options)
    return metadata


def users(*parts: Any) -> tuple[Any, ...]:
    return "users", sa.Column("id", sa.Integer, primary_key=True), *parts
