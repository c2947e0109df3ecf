"""The kit of a small project, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tests.servers import Database
from tests.testing.sessions import ENV, project_in

from safeops.testing.kit import Kit
from safeops.testing.places import Place
from safeops.testing.project import Project

LOCKED = "from safeops import migration_lock\n        with migration_lock(connection), context.begin_transaction():"
PLAIN = "with context.begin_transaction():"
USERS = "op.create_table('users', sa.Column('id', sa.Integer, primary_key=True), sa.Column('n', sa.Integer))"


@contextmanager
def kit_of(folder: Path, database: Database, *upgrades: str, begin: str = PLAIN) -> Iterator[Kit]:
    """The kit of a project with a revision for each of the bodies: 0001, 0002 and so on.

    Args:
        folder: For its files.
        database: An empty database next to which others are made.
        upgrades: The bodies of ``upgrade()``.
        begin: How env.py begins the run of the revisions.
    """
    env = ENV.replace(f"\n        {PLAIN}", f"\n        {begin}")
    project_in(folder, database.url, env=env).chain(*((body, "raise NotImplementedError") for body in upgrades))
    kit = Kit(Project.at(folder / "alembic.ini"), Place(database.url))
    try:
        yield kit
    finally:
        kit.close()
