"""Backups by the command line of the imported release."""

from __future__ import annotations

import json
import re
from pathlib import Path

from tests.servers import Database

from safeops.cli import main

ENV = """
import sqlalchemy as sa
from alembic import context

engine = sa.create_engine({url!r}, poolclass=sa.pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection)
    with context.begin_transaction():
        context.run_migrations()
"""

VARIES = ("sha256", "bytes", "server", "tool", "seconds", "doubts")
"""What is another each time, or with each version of the server."""


def back_up(database: Database, folder: Path) -> None:
    """Makes one backup of a database that is at revision r1."""
    versions = folder / "migrations/versions"
    versions.mkdir(parents=True)
    (versions / "r1.py").write_text("revision, down_revision = 'r1', None\n")
    url = database.url.render_as_string(hide_password=False)
    (versions.parent / "env.py").write_text(ENV.format(url=url))
    (folder / "alembic.ini").write_text("[alembic]\nscript_location = %(here)s/migrations\n")
    assert main(["-c", str(folder / "alembic.ini"), "backup"]) == 0


def restored(folder: Path, into: Database) -> None:
    """Fills an empty database from the backup in a folder."""
    (backup,) = (one for one in (folder / "backups").iterdir() if one.suffix != ".json" and one.name[0] != ".")
    url = into.url.render_as_string(hide_password=False)
    assert main(["restore", str(backup), "--into", url]) == 0


def described(folder: Path) -> str:
    """The name of the backup in a folder and the file next to it, without what changes each time."""
    (found,) = (folder / "backups").glob("*.json")
    name = re.sub(r"^.*-\d{8}T\d{6}Z", "<database>-<time>", found.name)
    said = {
        key: type(value).__name__ if key in VARIES else value for key, value in json.loads(found.read_text()).items()
    }
    return f"== backup {name}\n{json.dumps(said, indent=2)}\n"
