"""One database is one place: its abilities, its catalogue, its spelling, and the plans that differ."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import Any

from sqlalchemy.dialects import registry
from sqlalchemy.engine import Connection, Dialect

from safeops.databases.base import Database as Database
from safeops.databases.ports import SUPPORTED, unsupported
from safeops.databases.server import Abilities

_CLASSES = {
    "postgresql": ("safeops.databases.postgresql", "PostgreSQL"),
    "mysql": ("safeops.databases.mysql", "MySQL"),
    "mariadb": ("safeops.databases.mysql", "MariaDB"),
    "sqlite": ("safeops.databases.sqlite", "SQLite"),
}
KINDS = tuple(_CLASSES)
"""The databases that there are, by what SQLAlchemy calls them; the first is the one that most users have."""


def database_class(dialect: Dialect) -> type[Database]:
    """Return the class of the database that a dialect speaks to, or raise UnsupportedOnDatabase."""
    # MariaDB answers to a mysql URL too; SQLAlchemy distinguishes them when it connects.
    kind = "mariadb" if getattr(dialect, "is_mariadb", False) else dialect.name
    if kind not in _CLASSES:
        raise unsupported("A safeops helper", dialect.name, SUPPORTED, "Write this revision with alembic.op.")
    module, name = _CLASSES[kind]
    found: type[Database] = getattr(import_module(module), name)
    return found


def family_of(dialect: Dialect | type[Dialect]) -> str:
    """Return the family that a dialect belongs to; of an unknown one the name that SQLAlchemy gives it."""
    module, _ = _CLASSES.get(dialect.name, (dialect.name, ""))
    return module.rpartition(".")[-1]


def abilities_of(kind: str, version: tuple[int, ...] = ()) -> Abilities:
    """Return the abilities of a kind of databases ("postgresql", "mysql", "mariadb", "sqlite"), without a server."""
    dialect: Any = registry.load("mysql" if kind == "mariadb" else kind)()
    dialect.server_version_info = version or None
    dialect.is_mariadb = kind == "mariadb"
    return database_for(dialect, None).abilities


def database_for(dialect: Dialect, connection: Callable[[], Connection] | None) -> Database:
    """Return the database that a dialect speaks to."""
    return database_class(dialect)(dialect, connection)


def database_on(connection: Connection) -> Database:
    """Return the database that a connection reaches."""
    return database_for(connection.dialect, lambda: connection)
