"""The database that a copy represents, which is only read: its revision, and the shapes of its tables."""

from __future__ import annotations

import logging
from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import URL, Connection
from sqlalchemy.pool import NullPool

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.ports import Port
from safeops.errors import SafeOpsError, Unreachable
from safeops.naming import Name
from safeops.planned import summary
from safeops.rehearse.shapes import TableShape, shapes_of
from safeops.runner.environment import VERSION_OPTIONS, ReachedDatabase, current_on, explaining_errors, reach_existing
from safeops.runner.revisions import no_such_revision, scripts_of
from safeops.runner.temporary_database import scratch_url_of

log = logging.getLogger("safeops")

LIKE = "--like"
ASSUMED = (
    "The project's own database could not be read: only the revision before {target} is taken as done. Name production by "
    "--like URL, or the revisions to rehearse, as START:{target}."
)


class Identity(Port):
    """Which database this is, and how to remove it."""

    place = "safeops.rehearse.{family}.identity:Identity"
    asked = "A copy"

    @abstractmethod
    def facts(self) -> set[tuple[str, ...]]:
        """Return facts about the server with the name of the database: two databases that share one are the same."""

    @abstractmethod
    def how_to_drop(self) -> str:
        """Return the command that removes the database."""


@dataclass(frozen=True)
class Production:
    """What is known of the database that the copy represents, which is only read.

    Args:
        script: The revisions of the project.
        revisions: Those that it is at.
        options: How env.py names the table of versions.
        shapes: The shapes of its tables, if they were requested.
        taken: Facts about databases that must not become the copy, each with what it is.
        url: The URL of the project's own database, if that was reached.
        remarks: What was assumed, because no database could be read, in sentences.
    """

    script: ScriptDirectory
    revisions: tuple[str, ...]
    options: Mapping[str, str]
    shapes: Mapping[Name, TableShape]
    taken: Mapping[tuple[str, ...], str]
    url: URL | None
    remarks: tuple[str, ...] = ()


def production_of(
    config: Config, like: str | None, revision: str, start: str | None = None, *, with_shapes: bool
) -> Production:
    script, reached = scripts_of(config), _reached(config)
    options = {key: reached.options[key] for key in VERSION_OPTIONS if reached.options.get(key)} if reached else {}
    taken: dict[tuple[str, ...], str] = {}
    if reached is not None:
        taken |= dict.fromkeys(reached.connected(identity_of), "the project's own database")
    if like is None:
        url = reached.engine.url if reached is not None else None
        if start is not None:
            return Production(script, _named(script, start), options, {}, taken, url)
        current = reached.current if reached is not None else _before(script, revision)
        remarks = () if reached is not None else (ASSUMED.format(target=revision),)
        return Production(script, current, options, {}, taken, url, remarks)
    engine = sa.create_engine(scratch_url_of(like, LIKE), poolclass=NullPool, hide_parameters=True)
    with explaining_errors(LIKE):
        taken |= dict.fromkeys(run_on_connection(engine, identity_of), f"the database of {LIKE}")
        current = run_on_connection(engine, lambda own: current_on(own, dict(options)))
        shapes = shapes_of(engine) if with_shapes else {}
    return Production(script, current, options, shapes, taken, engine.url)


def _reached(config: Config) -> ReachedDatabase | None:
    """Return the project's own database; None if there is none yet, or it cannot be reached from here."""
    try:
        return reach_existing(config)
    except Exception as error:
        if isinstance(error, SafeOpsError) and not isinstance(error, Unreachable):
            raise
        # In continuous integration env.py often has no URL at all, and raises another error.
        log.info("the project's own database is not read: %s", summary(error))
        return None


def _named(script: ScriptDirectory, revision: str) -> tuple[str, ...]:
    try:
        return tuple(one.revision for one in script.get_revisions(revision) if one is not None)
    except CommandError as error:
        raise no_such_revision(f"There is no revision {revision}", error) from error


def _before(script: ScriptDirectory, revision: str) -> tuple[str, ...]:
    found = script.get_revisions(revision)
    down = [one.down_revision for one in found if one is not None]
    return tuple(one for each in down for one in ((each,) if isinstance(each, str) else each or ()))


def identity_of(connection: Connection) -> set[tuple[str, ...]]:
    """Return facts about a database that no other one shares."""
    return Identity.of(database_on(connection)).facts()
