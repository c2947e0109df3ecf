"""Indexes."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Index, String, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import Change, only

# SQLAlchemy 2.0.16 knows it.
NULLS_ALIKE: dict[str, Any] = (
    {"postgresql_nulls_not_distinct": True}
    if "nulls_not_distinct" in str(postgresql.base.PGDialect.construct_arguments)
    else {}
)


class OfIndexes(Change, abstract=True):
    """Indexes on a table of cities."""

    rows = {
        "city": [
            {"id": 1, "name": "Paris", "rank": 1, "data": {"a": 1}},
            {"id": 2, "name": "Lyon", "rank": 3, "data": None},
        ]
    }
    writes = {"all": ["create_index_if_missing(", "drop_index_if_exists("]}
    data: Any = sa.JSON

    def old(self, t: Any) -> list[Any]:
        return []

    def new(self, t: Any) -> list[Any]:
        return []

    def before(self, Base: Any) -> None:
        self.table(Base, self.old)

    def after(self, Base: Any) -> None:
        self.table(Base, self.new)

    def table(self, Base: Any, indexes: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))
            rank: Mapped[int | None]
            data: Mapped[Any] = mapped_column(self.data, nullable=True)

        indexes(City)


class AddIndexes(OfIndexes):
    """A plain, a unique and a multi-column index."""

    def new(self, t: Any) -> list[Any]:
        return [Index(None, t.rank), Index("ux_name", t.name, unique=True), Index("ix_both", t.rank, t.name)]


class DropIndexes(OfIndexes):
    """The same indexes go."""

    def old(self, t: Any) -> list[Any]:
        return [Index(None, t.rank), Index("ux_name", t.name, unique=True), Index("ix_both", t.rank, t.name)]


class ChangedIndex(OfIndexes):
    """An index gets another column, one becomes unique."""

    writes = {"all": ['if_different="replace"']}

    def old(self, t: Any) -> list[Any]:
        return [Index("ix_a", t.rank), Index("ix_b", t.name)]

    def new(self, t: Any) -> list[Any]:
        return [Index("ix_a", t.rank, t.name), Index("ix_b", t.name, unique=True)]


class FunctionalIndex(OfIndexes):
    """An index over an expression."""

    skip = {"mysql": "there are no indexes over expressions", "sqlite": "Alembic skips them, and says so"}

    def new(self, t: Any) -> list[Any]:
        return [Index("ix_lower", sa.func.lower(t.name)), Index("ix_mixed", t.rank, text("lower(name)"), unique=True)]


class DropFunctionalIndex(OfIndexes):
    """An index over an expression is dropped."""

    skip = {"mysql": "there are no indexes over expressions", "sqlite": "Alembic does not see them"}

    def old(self, t: Any) -> list[Any]:
        return [Index("ix_lower", sa.func.lower(t.name))]


class PartialIndex(OfIndexes):
    """An index over some of the rows."""

    skip = {"mysql": "there are no partial indexes"}

    def new(self, t: Any) -> list[Any]:
        some = text("rank > 1 AND name <> 'it''s 5%'")
        return [Index("ix_some", t.name, unique=True, postgresql_where=some, sqlite_where=some)]


class DropPartialIndex(OfIndexes):
    """A partial index is dropped."""

    skip = {"mysql": "there are no partial indexes"}

    def old(self, t: Any) -> list[Any]:
        return [Index("ix_some", t.name, postgresql_where=t.rank > 1, sqlite_where=t.rank > 1)]


class DescendingIndex(OfIndexes):
    """A descending index."""

    def new(self, t: Any) -> list[Any]:
        return [Index("ix_down", t.rank.desc(), t.id)]


class IndexOfPostgreSQL(OfIndexes):
    """What only PostgreSQL has: gin, include, operator classes, nulls last."""

    skip = only("postgresql", "only PostgreSQL has these")
    data = postgresql.JSONB

    def new(self, t: Any) -> list[Any]:
        return [
            Index("ix_gin", t.data, postgresql_using="gin", postgresql_ops={"data": "jsonb_path_ops"}),
            Index("ix_include", t.rank, postgresql_include=["name"], postgresql_where=text("rank IS NOT NULL")),
            Index("ix_nulls", t.rank.desc().nulls_last()),
            Index("ux_nulls", t.rank, unique=True, **NULLS_ALIKE),
            Index("ix_like", t.name, postgresql_ops={"name": "text_pattern_ops"}, postgresql_with={"fillfactor": 50}),
        ]


class PrefixIndex(OfIndexes):
    """What only MariaDB has: an index over the beginning of a text."""

    skip = only("mysql", "only MariaDB has it")

    def new(self, t: Any) -> list[Any]:
        return [Index("ix_prefix", t.name, mysql_length=10, mariadb_length=10)]
