"""Names that must be quoted, or are long."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, CheckConstraint, Enum, ForeignKey, Index, Integer, String, UniqueConstraint
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import Change

LONG = "the_number_of_inhabitants_at_the_last_census_of_all"


class Hostile(Change):
    """Names with capitals, spaces, reserved words, quotes, percent signs, colons."""

    table_name = "Order"
    column = "user name"
    rows = {"Order": [{"select": 1, "user name": "a"}, {"select": 2, "user name": "b"}]}

    def before(self, Base: Any) -> None:
        class Order(Base):
            __tablename__ = "Order"
            key: Mapped[int] = mapped_column("select", primary_key=True)
            name: Mapped[str] = mapped_column("user name", String(50))

    def after(self, Base: Any) -> None:
        class Order(Base):
            __tablename__ = "Order"
            __table_args__ = (Index("ix Of%It's", "user name"), UniqueConstraint("user name", "From"))
            key: Mapped[int] = mapped_column("select", primary_key=True)
            name: Mapped[str | None] = mapped_column("user name", String(50), server_default="100 %")
            rate: Mapped[int | None] = mapped_column("rate %", comment='what\'s "this"?')
            quoted: Mapped[str | None] = mapped_column('a "quoted" it\'s', String(10))
            from_: Mapped[int] = mapped_column("From", Integer, server_default="1", index=True)
            colon: Mapped[int | None] = mapped_column("a:b", Integer)

        class Group(Base):
            __tablename__ = "group by %"
            key: Mapped[int] = mapped_column("Key", primary_key=True)
            order: Mapped[int] = mapped_column("order", ForeignKey("Order.select"), index=True)
            mood: Mapped[Any] = mapped_column(Enum("it's", "5%", name="Mood Of"))


class HostileDrops(Change):
    """The same go."""

    reordered = True
    rows = {
        "Order": [{"select": 1, "user name": "a", "rate %": 2, "From": 3}],
        "group by %": [{"Key": 1, "order": 1}],
    }

    def before(self, Base: Any) -> None:
        class Order(Base):
            __tablename__ = "Order"
            __table_args__ = (Index("ix Of%It's", "user name"),)
            key: Mapped[int] = mapped_column("select", primary_key=True)
            name: Mapped[str] = mapped_column("user name", String(50))
            rate: Mapped[int | None] = mapped_column("rate %", unique=True)
            from_: Mapped[int | None] = mapped_column("From", index=True)

        class Group(Base):
            __tablename__ = "group by %"
            key: Mapped[int] = mapped_column("Key", primary_key=True)
            order: Mapped[int] = mapped_column("order", ForeignKey("Order.select"), index=True)

    def after(self, Base: Any) -> None:
        class Order(Base):
            __tablename__ = "Order"
            key: Mapped[int] = mapped_column("select", primary_key=True)
            name: Mapped[str] = mapped_column("user name", String(50))


class HostileTypes(Change):
    """A column with such a name changes its type."""

    rows = {"Order": [{"select": 1, "rate %": 2}, {"select": 2, "rate %": None}]}
    phases = {"postgresql": ("switch", "contract"), "mysql": ("switch", "contract")}

    def before(self, Base: Any) -> None:
        self.table(Base, Integer())

    def after(self, Base: Any) -> None:
        self.table(Base, BigInteger())

    def table(self, Base: Any, type_: Any) -> None:
        class Order(Base):
            __tablename__ = "Order"
            key: Mapped[int] = mapped_column("select", primary_key=True)
            rate: Mapped[int | None] = mapped_column("rate %", type_)


class HostileForeignKey(Change):
    """A foreign key with such a name changes."""

    rows = {"city": [{"id": 1, "parent": 1}]}

    def before(self, Base: Any) -> None:
        self.table(Base, "RESTRICT")

    def after(self, Base: Any) -> None:
        self.table(Base, "CASCADE")

    def table(self, Base: Any, ondelete: str) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            parent: Mapped[int] = mapped_column(ForeignKey("city.id", name='fk "x"', ondelete=ondelete), index=True)


class LongNames(Change):
    """Names as long as they may be, and longer ones that SQLAlchemy cuts."""

    rows = {LONG: [{"id": 1}]}

    def before(self, Base: Any) -> None:
        class Long(Base):
            __tablename__ = LONG
            id: Mapped[int] = mapped_column(primary_key=True)

    def after(self, Base: Any) -> None:
        class Long(Base):
            __tablename__ = LONG
            __table_args__ = (UniqueConstraint(f"{LONG}_b", "id"),)
            id: Mapped[int] = mapped_column(primary_key=True)
            one: Mapped[int | None] = mapped_column(f"{LONG}_a", index=True)
            two: Mapped[int | None] = mapped_column(f"{LONG}_b", ForeignKey(f"{LONG}.id"))

        class Other(Base):
            __tablename__ = f"{LONG}_other"
            __table_args__ = (CheckConstraint("weight > 0", name=LONG),)
            id: Mapped[int] = mapped_column(primary_key=True)
            one: Mapped[int | None] = mapped_column(f"{LONG}_a", ForeignKey(f"{LONG}.id"), index=True, unique=True)
            weight: Mapped[int]


class QuotedName(Change):
    """Names that the author always quotes."""

    rows = {"city": [{"id": 1}]}

    def before(self, Base: Any) -> None:
        sa.Table(sa.sql.quoted_name("city", True), Base.metadata, sa.Column("id", Integer, primary_key=True))

    def after(self, Base: Any) -> None:
        sa.Table(
            sa.sql.quoted_name("city", True),
            Base.metadata,
            sa.Column("id", Integer, primary_key=True),
            sa.Column(sa.sql.quoted_name("rank", True), Integer, index=True),
            sa.Column("other", ForeignKey("city.id")),
        )
