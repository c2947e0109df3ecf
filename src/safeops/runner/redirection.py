"""Leads every connection that SQLAlchemy makes to another database, for a block."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from sqlalchemy.engine import URL, Dialect, Engine

from safeops.databases import database_class, family_of
from safeops.databases.connections import listening
from safeops.databases.server import Abilities
from safeops.errors import SafeOpsError

Change = Callable[[Dialect, list[Any], dict[str, Any]], None]
OF_A_SESSION = frozenset(
    re.findall(
        r"\w+",
        """application_name autocommit charset client_flag command_timeout conv detect_types factory init_command
    isolation_level options prepare_threshold row_factory server_settings sql_mode timeout""",
    )
)
"""Arguments of drivers that set up a session, as its lock timeout; the others lead to a database."""
_is_paused: ContextVar[bool] = ContextVar("safeops_redirection_paused", default=False)


@contextmanager
def rerouting(change: Change) -> Iterator[None]:
    """Have ``change`` alter the arguments of every connection that SQLAlchemy makes, for the block."""
    changed: list[tuple[list[Any], list[Any], dict[str, Any], dict[str, Any]]] = []

    def reroute(dialect: Dialect, _record: Any, arguments: list[Any], options: dict[str, Any]) -> None:
        changed.append((arguments, list(arguments), options, dict(options)))
        change(dialect, arguments, options)

    try:
        with listening(Engine, "do_connect", reroute):
            yield
    finally:
        # Up to SQLAlchemy 2.0 an engine keeps the changed arguments.
        for arguments, before, options, named_before in reversed(changed):
            arguments[:] = before
            options.clear()
            options.update(named_before)


@contextmanager
def redirecting(live: URL | None, scratch: URL) -> Iterator[None]:
    """Have every engine that would connect to a database connect to a scratch one, for the block.

    An engine that would connect to a third database of that kind is refused.

    Args:
        live: The database that env.py connects to; None redirects every engine of that kind.
        scratch: The scratch database.
    """
    family = family_of(scratch.get_dialect())
    homes: dict[Any, Any] = {}

    def redirect(dialect: Dialect, arguments: list[Any], options: dict[str, Any]) -> None:
        if _is_paused.get() or family_of(dialect) != family:
            return
        if Abilities.class_of(database_class(dialect)).schema_is_database and getattr(
            dialect, "default_schema_name", None
        ):
            # An engine that has connected before would keep looking for tables in its first database.
            homes.setdefault(dialect, dialect.default_schema_name)
            dialect.default_schema_name = scratch.database
        if live is not None:
            _replace(dialect, live, scratch, arguments, options)
            return
        kept = {name: value for name, value in options.items() if name in OF_A_SESSION}
        arguments[:], named = _arguments(dialect, scratch)
        options.clear()
        options.update(kept | named)

    try:
        with rerouting(redirect):
            yield
    finally:
        for dialect, home in homes.items():
            dialect.default_schema_name = home


@contextmanager
def not_redirecting() -> Iterator[None]:
    """Have engines connect to their own databases, for a block inside that of ``redirecting``."""
    token = _is_paused.set(True)
    try:
        yield
    finally:
        _is_paused.reset(token)


def _arguments(dialect: Dialect, url: URL) -> tuple[list[Any], dict[str, Any]]:
    arguments, options = dialect.create_connect_args(url)
    return list(arguments), dict(options)


def _replace(dialect: Dialect, live: URL, scratch: URL, arguments: list[Any], options: dict[str, Any]) -> None:
    """Replace the arguments by which the scratch database differs, and keep the others: tokens, certificates."""
    before, after = (_by_key(*_arguments(dialect, url)) for url in (live, scratch))
    changes = {key: value for key, value in after.items() if before.get(key) != value}
    given = _by_key(arguments, options)
    for key, value in changes.items():
        if given.get(key) not in (before.get(key), value):
            raise elsewhere(str(given.get(key)))
        container: Any = arguments if isinstance(key, int) else options
        container[key] = value
    if not changes:
        raise elsewhere(str(live.database))


def _by_key(arguments: list[Any], options: dict[str, Any]) -> dict[Any, Any]:
    return {**dict(enumerate(arguments)), **options}


def elsewhere(database: str) -> SafeOpsError:
    """Return the error for code that would work on another database than the scratch one."""
    return SafeOpsError(
        f"env.py or a revision works on {database} instead of the scratch database.",
        why="The revisions must run on a scratch database. A connection that was opened before, one that a creator of the"
        " engine makes, or one to a third database cannot be redirected to it.",
        remedy="Let env.py connect by a URL, as with create_engine(url, poolclass=NullPool), and read the URL from:",
        code='context.get_x_argument(as_dictionary=True).get("url")',
    )
