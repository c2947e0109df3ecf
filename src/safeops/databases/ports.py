"""Ports: what a part of safeops needs of a database, as an abstract class with one implementation a family.

A port is given a database; it is not a part of it. A family without an implementation is refused with a clear error. If the
port has no abstract methods, it is its own default implementation.
"""

from __future__ import annotations

from abc import ABC
from collections.abc import Callable, Sequence
from importlib import import_module
from importlib.util import find_spec
from inspect import isabstract, isclass
from typing import TYPE_CHECKING, Any, ClassVar, Generic, TypeVar

from typing_extensions import Self

from safeops.errors import UnsupportedOnDatabase
from safeops.naming import Name, fitting

if TYPE_CHECKING:
    from safeops.databases import Database


_found: dict[tuple[str, str, str], type[Any] | None] = {}
"""The implementations by place, family and product: the separate database of each helper needs them again."""


class Port(ABC):
    """One ability of databases; ``of`` gives the implementation of a database's family.

    Args:
        database: The database that it works on.
    """

    place: ClassVar[str]
    """The place of the implementations: a module with ``{family}`` in it, a colon, and the name of the class."""
    asked: ClassVar[str] = "This"
    """What the message calls it if a family has no implementation."""

    def __init__(self, database: Database) -> None:
        self.database = database

    # Shortcuts ---------------------------------------------------------------------------------------------------

    @property
    def product(self) -> str:
        return self.database.product

    def quoted(self, *names: str) -> str:
        return self.database.quoted(*names)

    def quoted_table(self, name: Name) -> str:
        return self.database.quoted_table(name)

    def literal(self, value: str) -> str:
        return self.database.literal(value)

    def read(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        return self.database.read(sql, **parameters)

    def scalar(self, sql: str, **parameters: Any) -> Any:
        return self.database.scalar(sql, **parameters)

    def run(self, sql: str) -> int:
        return self.database.run(sql)

    def fitting(self, *parts: str) -> str:
        """Join the parts to a name that is not too long for the server."""
        return fitting(*parts, max_bytes=self.database.abilities.max_identifier)

    # The implementations ----------------------------------------------------------------------------------------

    @classmethod
    def of(cls, database: Any) -> Self:
        """Return the port of a database, or raise UnsupportedOnDatabase."""
        made: dict[str, Any] = database.__dict__.setdefault("_ports", {})
        if cls.place not in made:
            made[cls.place] = cls.class_of(database)(database)
        found: Self = made[cls.place]
        return found

    @classmethod
    def serves(cls, database: Any) -> bool:
        """Return whether the family has an implementation, or the port itself is one."""
        return cls._implementation(database) is not None or not isabstract(cls)

    @classmethod
    def class_of(cls, database: Any) -> type[Self]:
        """Return the implementation of a family, or raise UnsupportedOnDatabase."""
        if not cls.serves(database):
            given = not isclass(database)
            server = database.describe() if given else database.product
            raise unsupported(cls.asked, server, SUPPORTED, "Write this change with alembic.op.")
        return cls._implementation(database) or cls

    @classmethod
    def _implementation(cls, database: Any) -> type[Self] | None:
        known = (cls.place, database.family, database.product)
        if known not in _found:
            module, _, name = cls.place.format(family=database.family).partition(":")
            found = import_module(module) if _exists(module) else None
            # A product that differs within its family has its own class.
            _found[known] = getattr(found, f"{database.product}{name}", None) or getattr(found, name, None)
        return _found[known]


SUPPORTED = "PostgreSQL, MariaDB, MySQL or SQLite"


def unsupported(asked: str, server: str, needed: str, remedy: str = "", code: str = "") -> UnsupportedOnDatabase:
    """Return the error for what a server does not have."""
    problem = f"{asked} was requested, this server is {server}, and it would need {needed}."
    return UnsupportedOnDatabase(problem, remedy=remedy, code=code)


P_co = TypeVar("P_co", bound=Port, covariant=True)


class PortAttribute(Generic[P_co]):
    """Gives the port of a database as an attribute of it, which is looked up once."""

    def __init__(self, port_of: Callable[[Any], P_co]) -> None:
        self._port_of = port_of

    def __set_name__(self, _owner: object, name: str) -> None:
        self._name = name

    def __get__(self, database: Any, _owner: object = None) -> P_co:
        found = database.__dict__[self._name] = self._port_of(database)
        return found


def _exists(module: str) -> bool:
    try:
        return find_spec(module) is not None
    except ModuleNotFoundError:
        return False
