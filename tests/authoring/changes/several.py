"""Several things at once, and things that hang together."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Computed, Enum, ForeignKey, Index, Integer, String, UniqueConstraint, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import CITIES, CONVENTION, Change, only


class EverythingOfAColumn(Change):
    """A column changes its type over several deploys, and its nullability, and its comment."""

    rows = {"city": [{"id": 1, "value": 12}, {"id": 2, "value": 7}]}
    phases = {"postgresql": ("switch", "contract"), "mysql": ("switch", "contract")}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            value: Mapped[int | None] = mapped_column(Integer, comment="old", unique=True)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            value: Mapped[int] = mapped_column(BigInteger, comment="new", unique=True)


class UniqueIndexToConstraint(Change):
    """A unique index becomes a unique constraint over the same column."""

    rows = CITIES
    skip = {"mysql": "they are the same thing"}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), unique=True, index=True)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), unique=True)


class ReferredColumnsGo(Change):
    """A key moves from one column to another, and the foreign key with it; the old columns go."""

    rows = {
        "country": [{"id": 1, "code": "F", "name": "France"}, {"id": 2, "code": "D", "name": "Germany"}],
        "city": [{"id": 1, "country_code": "F"}, {"id": 2, "country_code": None}],
    }
    reordered = True

    def before(self, Base: Any) -> None:
        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)
            code: Mapped[str] = mapped_column(String(5), unique=True)
            name: Mapped[str] = mapped_column(String(50))

        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            country_code: Mapped[str | None] = mapped_column(ForeignKey("country.code"), index=True)

    def after(self, Base: Any) -> None:
        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            country_id: Mapped[int | None] = mapped_column(ForeignKey("country.id"), index=True)


class PercentSigns(Change):
    """Percent signs and quotes in every expression that a table may have."""

    rows = {"city": [{"id": 1, "name": "Paris"}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))
            rate: Mapped[str | None] = mapped_column(String(20), server_default=text("'5 %'"))

        class Like(Base):
            __tablename__ = "like"
            __table_args__ = (
                sa.CheckConstraint(r"name LIKE 'a%' AND name <> '\:x'", name="like"),
                {"comment": "100 %\nand 'more' \\ so: ünïcode"},
            )
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), comment="first\n  second\t'third' %s %(x)s")
            rest: Mapped[int] = mapped_column(Computed("length(name) % 3", persisted=True), nullable=True)


class PercentInIndexes(Change):
    """Percent signs in the expression and the condition of an index, which come, and go."""

    rows = CITIES
    skip = {"mysql": "there are no such indexes", "sqlite": "Alembic skips them, and says so"}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            __table_args__ = (Index("ix_old", text("(name || '1%')"), postgresql_where=text("name LIKE 'a%'")),)
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            __table_args__ = (Index("ix_new", text("(name || '2%')"), postgresql_where=text("name LIKE 'b%'")),)
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))


class AllInOneSchema(Change):
    """All models in one schema that is not the default one, whose types live there too."""

    skip = only("postgresql", "one database is one schema here")
    setup = {"postgresql": ["CREATE SCHEMA app"]}
    configure = {"include_schemas": True}
    rows = {"app.city": [{"id": 1, "mood": "sad", "size": 4, "note": "a"}]}
    phases = {"postgresql": ("switch", "contract")}
    stays = {"postgresql": r"\n    'calm'"}
    reordered = True

    def models(self, version: str) -> sa.MetaData:
        class Base(sa.orm.DeclarativeBase):
            metadata = sa.MetaData(schema="app", naming_convention=CONVENTION)

        getattr(self, version)(Base)
        return Base.metadata

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            mood: Mapped[Any] = mapped_column(Enum("happy", "sad", name="mood", schema="app"))
            size: Mapped[int | None] = mapped_column(Integer, index=True)
            note: Mapped[str | None]

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            mood: Mapped[Any] = mapped_column(Enum("happy", "calm", "sad", name="mood", schema="app"))
            size: Mapped[int | None] = mapped_column(BigInteger, index=True)
            colour: Mapped[Any] = mapped_column(Enum("red", "blue", name="colour", schema="app"), nullable=True)
            twin_id: Mapped[int | None] = mapped_column(ForeignKey("app.city.id", ondelete="SET NULL"), index=True)


class EnumOfTheDialect(Change):
    """PostgreSQL's own ENUM, in two columns, one of which has a default."""

    skip = only("postgresql", "only PostgreSQL has named types")
    rows = CITIES

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        kind = postgresql.ENUM("happy", "it's", name="mood")

        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))
            mood: Mapped[Any] = mapped_column(kind, nullable=True)
            second: Mapped[Any] = mapped_column(kind, server_default="it's")
            domain: Mapped[Any] = mapped_column(String(10), nullable=True)


class ThreeLevels(Change):
    """Three new tables, each of which refers to the one before, in an order against the alphabet."""

    rows = CITIES

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))
            zone_id: Mapped[int | None] = mapped_column(ForeignKey("zone.id"), index=True)

        class Zone(Base):
            __tablename__ = "zone"
            id: Mapped[int] = mapped_column(primary_key=True)
            head_id: Mapped[int | None] = mapped_column(ForeignKey("mid.id"), index=True)

        class Mid(Base):
            __tablename__ = "mid"
            __table_args__ = (UniqueConstraint("a_id", "id"),)
            id: Mapped[int] = mapped_column(primary_key=True)
            a_id: Mapped[int | None] = mapped_column(ForeignKey("a.id"))

        class A(Base):
            __tablename__ = "a"
            id: Mapped[int] = mapped_column(primary_key=True)


class CompositeKey(Change):
    """A table with a key of three columns loses a column and gets one; its values come back by that key."""

    rows = {
        "stay": [
            {"guest": "a'b", "room": 1, "day": 1, "note": "x", "paid": 5},
            {"guest": "ü", "room": -1, "day": 2, "note": None, "paid": 6},
        ]
    }
    reordered = True

    def before(self, Base: Any) -> None:
        class Stay(Base):
            __tablename__ = "stay"
            guest: Mapped[str] = mapped_column(String(20), primary_key=True)
            room: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            note: Mapped[str | None] = mapped_column(String(20))
            paid: Mapped[int] = mapped_column(server_default="0")

    def after(self, Base: Any) -> None:
        class Stay(Base):
            __tablename__ = "stay"
            guest: Mapped[str] = mapped_column(String(20), primary_key=True)
            room: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            day: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            paid_on: Mapped[Any] = mapped_column(sa.Date, nullable=True)
