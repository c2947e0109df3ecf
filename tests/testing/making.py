"""Small Alembic projects in git repositories: the first commit is what is deployed, and each further one adds a revision."""

from __future__ import annotations

import os
import subprocess
import textwrap
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

INI = """
[alembic]
script_location = %(here)s/migrations
prepend_sys_path = %(here)s
path_separator = os
"""

REVISION = '''"""{message}"""

import sqlalchemy as sa
from alembic import context, op
{imports}
revision = "{number}"
down_revision = {down!r}


def upgrade():
{upgrade}


def downgrade():
{downgrade}
'''

MODELS = """
from datetime import datetime
from uuid import UUID

import sqlalchemy as sa
from sqlalchemy import ForeignKey, String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(200), unique=True)
    name: Mapped[str | None] = mapped_column(String(100))
    state: Mapped[str] = mapped_column(String(20), server_default="new")
    balance: Mapped[int] = mapped_column(server_default="0")


class Order(Base):
    __tablename__ = "orders"

    id: Mapped[int] = mapped_column(primary_key=True)
    user_id: Mapped[int] = mapped_column(ForeignKey("users.id"), index=True)
    amount: Mapped[int]
    note: Mapped[str | None] = mapped_column(Text)


class Event(Base):
    __tablename__ = "events"

    id: Mapped[str] = mapped_column(String(36), primary_key=True)
    what: Mapped[str] = mapped_column(String(100))
"""


@dataclass(frozen=True)
class Step:
    """A revision, and the models of its commit.

    Args:
        message: What the id of its tests is made of.
        upgrade: The body of `upgrade()`.
        downgrade: The body of `downgrade()`.
        finds: The tests that must fail; all others must not.
        imports: A line of imports.
        models: What its commit changes in models.py: old text to new text.
    """

    message: str
    upgrade: str
    downgrade: str
    finds: tuple[str, ...] = ()
    imports: str = ""
    models: Mapping[str, str] = field(default_factory=dict)


DEPLOYED = Step(
    "deployed",
    """
    op.create_table(
        "users",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("email", sa.String(200), nullable=False),
        sa.Column("name", sa.String(100)),
        sa.Column("state", sa.String(20), nullable=False, server_default="new"),
        sa.Column("balance", sa.Integer, nullable=False, server_default="0"),
        sa.UniqueConstraint("email", name="users_email_key"),
    )
    op.create_table(
        "orders",
        sa.Column("id", sa.Integer, primary_key=True),
        sa.Column("user_id", sa.Integer, nullable=False),
        sa.Column("amount", sa.Integer, nullable=False),
        sa.Column("note", sa.Text),
        sa.ForeignKeyConstraint(["user_id"], ["users.id"], name="orders_user_id_fkey"),
    )
    op.create_index("ix_orders_user_id", "orders", ["user_id"])
    op.create_table(
        "events",
        sa.Column("id", sa.String(36), nullable=False),
        sa.Column("what", sa.String(100), nullable=False),
        sa.PrimaryKeyConstraint("id", name="events_pkey"),
    )
    """,
    """
    op.drop_table("events")
    op.drop_table("orders")
    op.drop_table("users")
    """,
)


def of_user(line: str) -> dict[str, str]:
    """Return the change of models.py that adds a column of users."""
    return {"    balance: Mapped": f"    {line}\n    balance: Mapped"}


def of_order(line: str) -> dict[str, str]:
    """Return the change of models.py that adds a column of orders."""
    return {"    amount: Mapped": f"    {line}\n    amount: Mapped"}


def of_table(name: str, *lines: str) -> dict[str, str]:
    """Return the change of models.py that adds a table."""
    columns = "".join(f"    {line}\n" for line in lines)
    return {
        "class Event(Base)": f'class {name.title()}(Base):\n    __tablename__ = "{name}"\n\n{columns}\n\nclass Event(Base)'
    }


@dataclass(frozen=True)
class Made:
    """A project.

    Args:
        name: Its name in the ids of the tests.
        env: The text of its env.py.
        steps: Its revisions after the one that is deployed.
        finds: The tests that fail for each revision of the project, because its env.py is at fault.
    """

    name: str
    env: str
    steps: tuple[Step, ...]
    finds: tuple[str, ...] = ()

    def __str__(self) -> str:
        return self.name

    @property
    def numbered(self) -> Iterator[tuple[str, Step]]:
        for place, step in enumerate((DEPLOYED, *self.steps), 1):
            yield f"{place:04}", step

    @property
    def expected(self) -> set[str]:
        """The tests that must fail, as pytest names them, without those of the deployed revision."""
        numbered = list(self.numbered)[1:]
        return {
            f"{finds}[{number}_{step.message.replace(' ', '_')}]"
            for number, step in numbered
            for finds in (*step.finds, *self.finds)
        }

    def write(self, folder: Path, url: str) -> Path:
        """Write the project and its history to an empty folder."""
        versions = folder / "migrations" / "versions"
        versions.mkdir(parents=True)
        (folder / ".gitignore").write_text("__pycache__/\n")
        (folder / "alembic.ini").write_text(INI.lstrip() + f"sqlalchemy.url = {url.replace('%', '%%')}\n")
        (folder / "migrations" / "env.py").write_text(self.env.lstrip())
        git(folder, "init", "--quiet", "--initial-branch", "main")
        models, down = MODELS.lstrip(), None
        for number, step in self.numbered:
            for old, new in step.models.items():
                assert models.count(old) == 1, (step.message, old)
                models = models.replace(old, new)
            (folder / "models.py").write_text(models)
            (versions / f"{number}_{step.message.replace(' ', '_')}.py").write_text(_revision(number, down, step))
            git(folder, "add", "--all")
            git(folder, "commit", "--quiet", "--message", step.message)
            down = number
        return folder


def git(folder: Path, *arguments: str) -> str:
    """Run git without the configuration of this machine."""
    who = {
        f"GIT_{role}_{what}": "someone@example.org" for role in ("AUTHOR", "COMMITTER") for what in ("NAME", "EMAIL")
    }
    environment = {**os.environ, **who, "GIT_CONFIG_GLOBAL": os.devnull, "GIT_CONFIG_SYSTEM": os.devnull}
    command = ["git", "-C", str(folder), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout


def _revision(number: str, down: str | None, step: Step) -> str:
    return REVISION.format(
        message=step.message,
        imports=f"{step.imports}\n" if step.imports else "",
        number=number,
        down=down,
        upgrade=_body(step.upgrade),
        downgrade=_body(step.downgrade),
    )


def _body(code: str) -> str:
    return textwrap.indent(textwrap.dedent(code).strip(), "    ")
