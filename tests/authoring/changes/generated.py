"""Defaults, computed columns and identities as they come back from the server's catalogue."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

from typing import Any

import sqlalchemy as sa
from sqlalchemy import Computed, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import Change, only


class Colons(Change):
    """Words after colons, in what changes and in what is dropped."""

    rows = {"city": [{"id": 1, "name": "Paris"}]}
    refused_back = ("postgresql", "mysql")
    reordered = True

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            __table_args__ = (
                Index(
                    "ix_name", "name", postgresql_where=text(r"name <> ' \:x'"), sqlite_where=text(r"name <> ' \:x'")
                ),
                Index("ix_code", "code", postgresql_where="name <> 'a:b'", sqlite_where=text("name <> 'a:b'")),
            )
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), server_default="at :x, 5%")
            code: Mapped[str] = mapped_column(String(50), server_default=r"a\:b :x")
            options: Mapped[str] = mapped_column(String(50), server_default='{"on":true}', comment="old")
            short: Mapped[str | None] = mapped_column(
                String(50), Computed(r"replace(name, ' \:x', '')", persisted=True)
            )

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), server_default="x")
            code: Mapped[str] = mapped_column(String(50))
            options: Mapped[str] = mapped_column(String(50), server_default='{"on":true}', comment="new")


class CommentsOnRichColumns(Change):
    """Comments on columns that have a type that is the alias of another with a check, or characters that have a meaning."""

    skip = {"sqlite": "there are no comments"}
    rows = {"city": [{"id": 1, "size": 2, "data": {"a": 1}}]}

    def before(self, Base: Any) -> None:
        self.table(Base, "old")

    def after(self, Base: Any) -> None:
        self.table(Base, "the column's :x, 5%")

    def table(self, Base: Any, comment: str) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            data: Mapped[Any] = mapped_column(sa.JSON, comment=comment)
            size: Mapped[int]


class CommentsOnStoredColumns(Change):
    """Comments on stored columns: MariaDB copies the table for one, which it may if there are no rows."""

    skip = {"sqlite": "there are no comments"}

    def before(self, Base: Any) -> None:
        self.table(Base, "old")

    def after(self, Base: Any) -> None:
        self.table(Base, "new")

    def table(self, Base: Any, comment: str) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            size: Mapped[int]
            twice: Mapped[int | None] = mapped_column(Computed("size * 2", persisted=True), comment=comment)


class IdentityOptions(Change):
    """An identity that counts in other steps, and takes no other values."""

    skip = only("postgresql", "only PostgreSQL has identities")
    rows = {"city": [{"id": 1, "number": 7}]}

    def before(self, Base: Any) -> None:
        self.table(Base, sa.Identity(start=5), comment="old")

    def after(self, Base: Any) -> None:
        self.table(Base, sa.Identity(start=5, increment=2, always=True), comment="new")

    def table(self, Base: Any, identity: sa.Identity, comment: str) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            number: Mapped[int] = mapped_column(identity, comment=comment)


class SerialToIdentity(Change):
    """A column that a sequence numbers becomes an identity."""

    skip = only("postgresql", "only PostgreSQL has identities")
    rows = {"city": [{"name": "Paris"}, {"name": "Lyon"}]}
    writes = {"postgresql": ["safeops_last"]}

    def before(self, Base: Any) -> None:
        self.table(Base, comment="old")

    def after(self, Base: Any) -> None:
        self.table(Base, sa.Identity(start=1, increment=5), comment="new")

    def table(self, Base: Any, *identity: sa.Identity, comment: str) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(*identity, primary_key=True, comment=comment)
            name: Mapped[str] = mapped_column(String(50))


class ComputedBesideNamesakes(Change):
    """A computed column is dropped whose name is the end of another name."""

    refused_back = ("postgresql", "mysql")
    reordered = True
    rows = {"city": [{"id": 1, "size": 2}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            size: Mapped[int]
            sub_total: Mapped[int | None] = mapped_column(Computed("size + 1", persisted=True))
            total: Mapped[int | None] = mapped_column(Computed("size * 2", persisted=True))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            size: Mapped[int]
            sub_total: Mapped[int | None] = mapped_column(Computed("size + 1", persisted=True))


class DropBesideComputed(Change):
    """A column is dropped, and a virtual one with it."""

    skip = {"postgresql": "versions before 18 have no virtual columns"}
    reordered = True
    rows = {"city": [{"id": 1, "size": 2, "name": "a"}, {"id": 2, "size": 2, "name": None}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(9))
            size: Mapped[int]
            twice: Mapped[int | None] = mapped_column(Computed("size * 2", persisted=False))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            size: Mapped[int]
