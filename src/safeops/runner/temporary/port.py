"""What an upgrade asks of a database before it begins, and scratch databases of the same kind."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, Dialect, Engine

from safeops.databases import database_class, family_of
from safeops.databases.abilities import Abilities
from safeops.databases.ports import Port
from safeops.errors import SafeOpsError

PREFIX = "safeops_scratch_"
"""What the name of every scratch database begins with."""


class TemporaryDatabases(Port):
    """The questions of the checklist, and a database that lives as long as a check."""

    place = "safeops.runner.temporary.{family}:TemporaryDatabases"
    asked = "A temporary database"

    # Before it begins -------------------------------------------------------------------------------------------

    def refuses_writes(self) -> str | None:
        """Say why nothing can be written here; None where nothing tells that."""
        return None

    @abstractmethod
    def long_transactions(self, seconds: float) -> list[str]:
        """Describe the other transactions that have been open for so long: each may block a step."""

    @abstractmethod
    def data_folder(self) -> Path | None:
        """Return the folder that the database is in, where it is on this machine and this user may know it."""

    # A scratch database -----------------------------------------------------------------------------------------

    @classmethod
    def connect_nowhere(cls, arguments: list[Any], options: dict[str, Any]) -> None:
        """Have a connection that would create a database go to one that ends with it."""
        return

    @abstractmethod
    def make_scratch(self, name: str) -> str:
        """Make an empty database like this one; return what stands for it in a URL."""

    @abstractmethod
    def drop_scratch(self, place: str) -> None:
        """Drop it, whoever is connected to it."""

    @abstractmethod
    def is_at(self, place: str | None) -> bool:
        """Tell whether this connection is to the database that stands so in a URL."""

    @abstractmethod
    def schemas_beside(self) -> list[str]:
        """Return the other schemas of this database, but for those of the server itself."""


Change = Callable[[Dialect, list[Any], dict[str, Any]], None]


@contextmanager
def rerouting(change: Change) -> Iterator[None]:
    """Have ``change`` alter the arguments of every connection that SQLAlchemy makes, for the block."""
    kept: list[tuple[list[Any], list[Any], dict[str, Any], dict[str, Any]]] = []

    def reroute(dialect: Dialect, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        kept.append((arguments, list(arguments), options, dict(options)))
        change(dialect, arguments, options)

    sa.event.listen(Engine, "do_connect", reroute)
    try:
        yield
    finally:
        sa.event.remove(Engine, "do_connect", reroute)
        # Up to SQLAlchemy 2.0 an engine goes on with the arguments that were altered.
        for arguments, before, options, named_before in reversed(kept):
            arguments[:] = before
            options.clear()
            options.update(named_before)


@contextmanager
def redirecting(live: URL | None, scratch: URL) -> Iterator[None]:
    """Have every engine that would connect to a database connect to a scratch one, for the block.

    One that would connect to a third database of that kind is refused.

    Args:
        live: The database that env.py connects to; None has every engine of that kind go to the scratch one.
        scratch: The scratch database.
    """
    family = family_of(scratch.get_dialect())
    homes: dict[Any, Any] = {}

    def redirect(dialect: Dialect, arguments: list[Any], options: dict[str, Any]) -> None:
        if family_of(dialect) != family:
            return
        if Abilities.class_of(database_class(dialect)).schema_is_database and getattr(
            dialect, "default_schema_name", None
        ):
            # An engine that has connected before would go on looking for tables where it was then.
            homes.setdefault(dialect, dialect.default_schema_name)
            dialect.default_schema_name = scratch.database
        if live is not None:
            _replace(dialect, live, scratch, arguments, options)
            return
        arguments[:], named = _arguments(dialect, scratch)
        options.clear()
        options.update(named)

    try:
        with rerouting(redirect):
            yield
    finally:
        for dialect, home in homes.items():
            dialect.default_schema_name = home


def _arguments(dialect: Dialect, url: URL) -> tuple[list[Any], dict[str, Any]]:
    arguments, options = dialect.create_connect_args(url)
    return list(arguments), dict(options)


def _replace(dialect: Dialect, live: URL, scratch: URL, arguments: list[Any], options: dict[str, Any]) -> None:
    """Replace the arguments by which the scratch database differs, and keep the others: tokens, certificates."""
    before, named_before = _arguments(dialect, live)
    after, named_after = _arguments(dialect, scratch)
    places: list[tuple[Any, Any, Any, Any]] = [
        (arguments, number, one, other) for number, (one, other) in enumerate(zip(before, after, strict=True))
    ]
    places += [(options, key, named_before.get(key), named_after[key]) for key in named_after]
    differing = [place for place in places if place[2] != place[3]]
    for container, key, one, other in differing:
        given = container.get(key) if container is options else (container[key] if key < len(container) else None)
        if given not in (one, other):
            raise elsewhere(str(given))
        container[key] = other
    if not differing:
        raise elsewhere(str(live.database))


def elsewhere(where: str) -> SafeOpsError:
    """Say that something would work on another database than the scratch one."""
    return SafeOpsError(
        f"env.py or a revision works on {where}, and not on the scratch database.",
        why="All of a check runs on a scratch database. A connection that stood before, one that a creator of the engine"
        " makes, or one to a third database cannot be led there.",
        remedy="Have env.py connect by a URL, as with create_engine(url, poolclass=NullPool), and take it from:",
        code='context.get_x_argument(as_dictionary=True).get("url")',
    )
