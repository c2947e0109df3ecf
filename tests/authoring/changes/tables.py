"""Tables that come and go."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

import enum
from datetime import date, datetime
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy import CheckConstraint, Computed, Enum, ForeignKey, Index, String, Text, UniqueConstraint, func
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import CITIES, Change, only


class Size(enum.Enum):
    small = "small"
    large = "large"


class WithStamps:
    created_at: Mapped[datetime] = mapped_column(server_default=func.now(), sort_order=90)
    updated_at: Mapped[datetime | None] = mapped_column(sort_order=91)


def city(Base: Any) -> Any:
    class City(Base):
        __tablename__ = "city"
        id: Mapped[int] = mapped_column(primary_key=True)
        name: Mapped[str] = mapped_column(String(50))

    return City


class NewTable(Change):
    """A new table with all that a table may have."""

    rows = CITIES
    writes = {"all": ["create_table_if_missing("]}

    def before(self, Base: Any) -> None:
        city(Base)

    def after(self, Base: Any) -> None:
        city(Base)

        class Street(Base):
            __tablename__ = "street"
            __table_args__ = (
                UniqueConstraint("city_id", "name"),
                CheckConstraint("length_m > 0", name="length"),
                Index("ix_street_by_name", "name", "city_id"),
                {"comment": "Streets, and what they're made of"},
            )
            id: Mapped[int] = mapped_column(primary_key=True)
            city_id: Mapped[int] = mapped_column(ForeignKey("city.id", ondelete="CASCADE"), index=True)
            name: Mapped[str] = mapped_column(String(80))
            length_m: Mapped[int] = mapped_column(server_default="1")
            length_km: Mapped[int] = mapped_column(Computed("length_m / 1000", persisted=True), nullable=True)
            size: Mapped[Size]


class DropTable(Change):
    """A table is dropped; its rows are restored."""

    rows = {
        **CITIES,
        "mayor": [{"id": 7, "city_id": 1, "name": "Anne"}, {"id": 9, "city_id": 2, "name": None}],
    }
    writes = {"all": ["drop_table_if_exists(", "archive=True", "restore_table("]}

    def before(self, Base: Any) -> None:
        city(Base)

        class Mayor(Base):
            __tablename__ = "mayor"
            id: Mapped[int] = mapped_column(primary_key=True)
            city_id: Mapped[int] = mapped_column(ForeignKey("city.id"), index=True)
            name: Mapped[str | None] = mapped_column(String(50), unique=True)

    def after(self, Base: Any) -> None:
        city(Base)


class DropTwoTables(Change):
    """Two tables go, of which one refers to the other."""

    rows = {
        "country": [{"id": 1, "name": "France"}],
        "region": [{"id": 1, "country_id": 1}, {"id": 2, "country_id": 1}],
    }

    def before(self, Base: Any) -> None:
        city(Base)

        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), index=True)

        class Region(Base):
            __tablename__ = "region"
            id: Mapped[int] = mapped_column(primary_key=True)
            country_id: Mapped[int] = mapped_column(ForeignKey("country.id"))

    def after(self, Base: Any) -> None:
        city(Base)


class DropReferredTable(Change):
    """A table is dropped, and with it a foreign key to it from a table that is kept."""

    rows = {
        "country": [{"id": 1, "name": "France"}],
        "region": [{"id": 1, "country_id": 1}, {"id": 2, "country_id": None}],
    }

    def before(self, Base: Any) -> None:
        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

        class Region(Base):
            __tablename__ = "region"
            id: Mapped[int] = mapped_column(primary_key=True)
            country_id: Mapped[int | None] = mapped_column(ForeignKey("country.id"))

    def after(self, Base: Any) -> None:
        class Region(Base):
            __tablename__ = "region"
            id: Mapped[int] = mapped_column(primary_key=True)
            country_id: Mapped[int | None]


class Association(Change):
    """A table between two others, its key made of both."""

    rows = CITIES

    def before(self, Base: Any) -> None:
        city(Base)

    def after(self, Base: Any) -> None:
        city(Base)
        sa.Table(
            "city_tag",
            Base.metadata,
            sa.Column("city_id", ForeignKey("city.id", ondelete="CASCADE"), primary_key=True),
            sa.Column("tag_id", ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True, index=True),
        )

        class Tag(Base):
            __tablename__ = "tag"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(30), unique=True)


class SelfReference(Change):
    """A tree."""

    def before(self, Base: Any) -> None:
        city(Base)

    def after(self, Base: Any) -> None:
        city(Base)

        class Place(Base):
            __tablename__ = "place"
            id: Mapped[int] = mapped_column(primary_key=True)
            parent_id: Mapped[int | None] = mapped_column(ForeignKey("place.id", ondelete="SET NULL"), index=True)


class Cycle(Change):
    """Two new tables that refer to each other."""

    rows = CITIES

    def before(self, Base: Any) -> None:
        city(Base)

    def after(self, Base: Any) -> None:
        city(Base)
        two_that_refer_to_each_other(Base)


class DropCycle(Change):
    """Two tables go that refer to each other."""

    rows = {"team": [{"id": 1, "captain_id": None}], "player": [{"id": 1, "team_id": 1}]}

    def before(self, Base: Any) -> None:
        city(Base)
        two_that_refer_to_each_other(Base)

    def after(self, Base: Any) -> None:
        city(Base)


def two_that_refer_to_each_other(Base: Any) -> None:
    class Team(Base):
        __tablename__ = "team"
        id: Mapped[int] = mapped_column(primary_key=True)
        captain_id: Mapped[int | None] = mapped_column(
            ForeignKey("player.id", use_alter=True, name="fk_team_captain"), index=True
        )

    class Player(Base):
        __tablename__ = "player"
        id: Mapped[int] = mapped_column(primary_key=True)
        team_id: Mapped[int | None] = mapped_column(ForeignKey("team.id"), index=True)


class ManyTypes(Change):
    """A table with a column of each usual type, in the order of the model, with a mixin."""

    def before(self, Base: Any) -> None:
        city(Base)

    def after(self, Base: Any) -> None:
        city(Base)

        class Everything(WithStamps, Base):
            __tablename__ = "everything"
            zeta: Mapped[int] = mapped_column(sa.BigInteger, primary_key=True, autoincrement=False)
            alpha: Mapped[Decimal] = mapped_column(sa.Numeric(12, 2), server_default="0.00")
            flag: Mapped[bool] = mapped_column(server_default=sa.false())
            on: Mapped[bool] = mapped_column(sa.Boolean, server_default=sa.true())
            data: Mapped[dict[str, Any]] = mapped_column(sa.JSON)
            at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), server_default=func.now())
            day: Mapped[date | None]
            token: Mapped[Any] = mapped_column(sa.Uuid)
            raw: Mapped[bytes] = mapped_column(sa.LargeBinary)
            span: Mapped[float] = mapped_column(sa.Double)
            note: Mapped[str] = mapped_column(Text)
            said: Mapped[str] = mapped_column(String(40), server_default='100 %, "they" said: no')
            small: Mapped[int] = mapped_column(sa.SmallInteger, server_default=sa.text("7"))
            size: Mapped[Size] = mapped_column(Enum(Size, name="everything_size"), server_default="small")


class SecondSchema(Change):
    """Tables of a second schema, one of which refers to the first."""

    rows = CITIES
    skip = only("postgresql", "one database is one schema here")
    setup = {"postgresql": ["CREATE SCHEMA stats"]}
    configure = {"include_schemas": True}
    reordered = True

    def before(self, Base: Any) -> None:
        city(Base)

        class Old(Base):
            __tablename__ = "old"
            __table_args__ = {"schema": "stats"}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(50))

        class City(Base):
            __tablename__ = "city"
            __table_args__ = {"schema": "stats"}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(50))
            note: Mapped[str | None]

    def after(self, Base: Any) -> None:
        city(Base)

        class City(Base):
            __tablename__ = "city"
            __table_args__ = (UniqueConstraint("name"), Index("ix_it", "rank", "name"), {"schema": "stats"})
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(80), server_default="x")
            rank: Mapped[int | None] = mapped_column(sa.BigInteger)

        class Count(Base):
            __tablename__ = "count"
            __table_args__ = {"schema": "stats", "comment": "counts"}
            id: Mapped[int] = mapped_column(primary_key=True)
            city_id: Mapped[int] = mapped_column(ForeignKey("city.id"), index=True)
            other_id: Mapped[int] = mapped_column(ForeignKey("stats.city.id", ondelete="CASCADE"))
            size: Mapped[Size] = mapped_column(Enum(Size, name="stats_size", schema="stats"))


class NoConvention(Change):
    """Constraints without names, in a project without a naming convention."""

    convention = None
    rows = CITIES
    unlike = {"mysql": "safeops gives them names", "sqlite": "safeops gives them names"}

    def before(self, Base: Any) -> None:
        city(Base)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))
            twin_id: Mapped[int | None] = mapped_column(ForeignKey("city.id"))

        class Street(Base):
            __tablename__ = "street"
            __table_args__ = (UniqueConstraint("city_id", "name"), CheckConstraint("city_id > 0"))
            id: Mapped[int] = mapped_column(primary_key=True)
            city_id: Mapped[int] = mapped_column(ForeignKey("city.id"))
            name: Mapped[str] = mapped_column(String(50), unique=True)


class TableForTable(Change):
    """One table is dropped and another created, as when a model is renamed."""

    rows = {"town": [{"id": 1, "name": "Paris"}]}

    def before(self, Base: Any) -> None:
        class Town(Base):
            __tablename__ = "town"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), index=True)

    def after(self, Base: Any) -> None:
        city(Base)


class NoPrimaryKey(Change):
    """A table without a primary key gets another column, and one loses one."""

    rows = {"log": [{"line": "a", "level": None}, {"line": "a"}, {"line": None}]}
    writes = {"all": ["cannot be undone"]}

    def before(self, Base: Any) -> None:
        sa.Table("log", Base.metadata, sa.Column("line", String(50)), sa.Column("level", sa.Integer))

    def after(self, Base: Any) -> None:
        sa.Table("log", Base.metadata, sa.Column("line", String(50)), sa.Column("source", String(20), index=True))
