"""Changes of models as a person makes them: each a class with the models before and after.

A change is a subclass of `Change`; its docstring is its name in a failure. Import the modules to have them all in `CHANGES`.
"""

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase

CONVENTION = {
    "ix": "ix_%(column_0_label)s",
    "uq": "uq_%(table_name)s_%(column_0_name)s",
    "ck": "ck_%(table_name)s_%(constraint_name)s",
    "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
    "pk": "pk_%(table_name)s",
}

CHANGES: list[type["Change"]] = []
CITIES = {"city": [{"id": 1, "name": "Paris"}, {"id": 2, "name": "Lyon"}, {"id": 3, "name": 'It\'s 100 % "ours"'}]}


class Change:
    """Two versions of the models of a project."""

    rows: ClassVar[Mapping[str, Sequence[Mapping[str, Any]]]] = {}
    """The rows in the tables before."""
    convention: ClassVar[Mapping[str, str] | None] = CONVENTION
    skip: ClassVar[Mapping[str, str]] = {}
    """Why not, for each kind of database on which a person would not make the change."""
    needs: ClassVar[str | None] = None
    """A module of Alembic without which it cannot see the change."""
    oldest: ClassVar[tuple[int, ...]] = ()
    """The version of Alembic before which its own operation fails."""
    configure: ClassVar[Mapping[str, Any]] = {}
    """Further arguments of `context.configure()`."""
    refused: ClassVar[Sequence[str]] = ()
    """The kinds of database that would block: the revision refuses, with a reason, until its author assures it."""
    refused_back: ClassVar[Sequence[str]] = ()
    """The same for the downgrade."""
    populate: ClassVar[str | None] = None
    """What the author of the migration writes in the place of `populate=...`."""
    does_more: ClassVar[bool] = False
    """Other operations precede it, and a first attempt finishes them."""
    phases: ClassVar[Mapping[str, Sequence[str]]] = {}
    """On each kind of database: the phases that the comments in the revision must announce."""
    later: ClassVar[Sequence[str]] = ()
    """The kinds of database on which autogenerate finds more once the phases are through, as a comment explains."""
    writes: ClassVar[Mapping[str, Sequence[str]]] = {}
    """On each kind of database, or on "all": what the revision must contain."""
    reordered: ClassVar[bool] = False
    """A column that is added again is the last one of its table."""
    stays: ClassVar[Mapping[str, str]] = {}
    """On each kind of database: a pattern of what is in the schema after a downgrade that did not before."""
    unlike: ClassVar[Mapping[str, str]] = {}
    """On each kind of database: why the schema differs from one that the models make at once."""
    setup: ClassVar[Mapping[str, Sequence[str]]] = {}
    """On each kind of database: SQL that runs first."""
    attached: ClassVar[Sequence[str]] = ()
    """SQL that runs when the tables exist."""

    def __init_subclass__(cls, abstract: bool = False) -> None:
        if not abstract:
            CHANGES.append(cls)

    def before(self, Base: Any) -> None:
        raise NotImplementedError

    def after(self, Base: Any) -> None:
        raise NotImplementedError

    def models(self, version: str) -> sa.MetaData:
        class Base(DeclarativeBase):
            metadata = sa.MetaData(naming_convention=self.convention)

        getattr(self, version)(Base)
        return Base.metadata


def only(kind: str, reason: str) -> dict[str, str]:
    return {other: reason for other in ("postgresql", "mysql", "sqlite") if other != kind}


from tests.authoring.changes import columns, constraints, generated, indexes, names, nasty, several, tables, types  # noqa: E402, F401
