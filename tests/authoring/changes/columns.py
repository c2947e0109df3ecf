"""Columns that come, go and change."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

import enum
import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Computed, Enum, ForeignKey, String, Text, func
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import CITIES, Change


class Mood(enum.Enum):
    happy = "happy"
    sad = "sad"


class Named:
    __tablename__ = "city"
    id: Mapped[int] = mapped_column(primary_key=True)
    name: Mapped[str] = mapped_column(String(50))


class OfCity(Change, abstract=True):
    """Something happens to the table of cities."""

    rows = CITIES

    def before(self, Base: Any) -> None:
        class City(Named, Base):
            pass


class AddNullableColumn(OfCity):
    """A column that may be NULL."""

    writes = {"all": ["add_column_if_missing(", "drop_column_if_exists("]}

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            mayor: Mapped[str | None] = mapped_column(Text, comment="who's in charge, 100 %")


class AddColumnWithServerDefault(OfCity):
    """Columns with a constant default."""

    writes = {"all": ["add_column_if_missing("]}

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            population: Mapped[int] = mapped_column(server_default="0")
            motto: Mapped[str] = mapped_column(String(40), server_default='100 % "ours"')
            twinned: Mapped[bool] = mapped_column(server_default=sa.false())


class AddStamps(OfCity):
    """A column whose default is the time."""

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            created_at: Mapped[datetime] = mapped_column(sa.DateTime(timezone=True), server_default=func.now())


class AddVolatileDefault(OfCity):
    """A column whose default differs from row to row."""

    skip = {
        "sqlite": "no column is added with an expression as its default",
        "mysql": "a person would write a trigger",
    }

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            token: Mapped[uuid.UUID] = mapped_column(server_default=sa.text("gen_random_uuid()"))


class AddRequiredColumn(OfCity):
    """A NOT NULL column whose values the author must set."""

    populate = 'sa.text("length(name)")'
    writes = {"all": ["add_required_column(", "populate=...", "TODO"]}

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            letters: Mapped[int]


class AddRequiredColumns(OfCity):
    """Two such columns, indexed, unique and referring."""

    populate = 'sa.text("id")'
    rows = {**CITIES, "country": [{"id": 1}, {"id": 2}, {"id": 3}]}

    def before(self, Base: Any) -> None:
        super().before(Base)

        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            country_id: Mapped[int] = mapped_column(ForeignKey("country.id"), index=True)
            code: Mapped[int] = mapped_column(unique=True)

        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)


class AddReference(OfCity):
    """A column with a foreign key and an index, and one without an index."""

    writes = {"all": ["create_foreign_key_if_missing(", "create_index_if_missing("]}

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            country_id: Mapped[int | None] = mapped_column(ForeignKey("country.id", ondelete="SET NULL"), index=True)
            twin_id: Mapped[int | None] = mapped_column(ForeignKey("city.id"))

        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)


class AddUniqueColumn(OfCity):
    """A column whose values are unique."""

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            code: Mapped[str | None] = mapped_column(String(5), unique=True)
            slug: Mapped[str | None] = mapped_column(String(50), unique=True, index=True)


class AddEnumColumn(OfCity):
    """A column of a new named type."""

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            mood: Mapped[Mood | None]
            other: Mapped[Mood] = mapped_column(Enum(Mood, name="mood"), server_default="happy")


class AddCheckedColumns(OfCity):
    """Columns that bring a check."""

    refused = ("mysql",)

    # Without the extension, Alembic sees a check only if its column is new.
    def after(self, Base: Any) -> None:
        class City(Named, Base):
            twinned: Mapped[bool | None] = mapped_column(sa.Boolean(name="twinned", create_constraint=True))
            mood: Mapped[str | None] = mapped_column(
                Enum("happy", "sad", name="mood", native_enum=False, create_constraint=True)
            )


class AddComputed(OfCity):
    """A computed column."""

    refused = ("postgresql", "mysql")
    skip = {"sqlite": "a stored computed column is not added to a table that stands"}

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            upper_name: Mapped[str | None] = mapped_column(String(50), Computed("upper(name)", persisted=True))


class DropColumn(OfCity):
    """A column is dropped; its values are restored."""

    rows = {"city": [{"id": 1, "name": "Paris", "note": "a"}, {"id": 2, "name": "Lyon", "note": None}]}
    writes = {"all": ["drop_column_if_exists(", "archive=True", "restore_column("]}
    reordered = True

    def before(self, Base: Any) -> None:
        class City(Named, Base):
            note: Mapped[str | None] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            pass


class DropRichColumns(OfCity):
    """Columns go that have an index, a default, a foreign key, a unique constraint, JSON (a text, as MariaDB shows it)."""

    reordered = True
    rows = {
        "country": [{"id": 1}],
        "city": [{"id": 1, "name": "Paris", "country_id": 1, "code": "P"}, {"id": 2, "name": "Lyon"}],
    }

    def before(self, Base: Any) -> None:
        class City(Named, Base):
            country_id: Mapped[int | None] = mapped_column(ForeignKey("country.id"), index=True)
            code: Mapped[str | None] = mapped_column(String(5), unique=True)
            rank: Mapped[int] = mapped_column(server_default="3", index=True)
            facts: Mapped[Any] = mapped_column(sa.JSON, nullable=True)

        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            pass

        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)


class DropMiddleColumn(Change):
    """A required column is dropped from the middle of a table."""

    rows = {"city": [{"id": 1, "code": "P", "name": "Paris"}, {"id": 2, "code": "L", "name": None}]}
    reordered = True

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            code: Mapped[str] = mapped_column(String(5))
            name: Mapped[str | None] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(50))


class Renamed(Change):
    """A column is dropped and another of the same type is added: perhaps it was renamed."""

    rows = {"city": [{"id": 1, "name": "Paris"}, {"id": 2, "name": None}]}
    writes = {"all": ["ColumnRename("]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            full_name: Mapped[str | None] = mapped_column(String(50))


class RenamedRequired(Renamed):
    """The same with a new column that is NOT NULL."""

    populate = "sa.text(\"'x'\")"
    rows = CITIES

    def before(self, Base: Any) -> None:
        class City(Named, Base):
            pass

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            full_name: Mapped[str] = mapped_column(String(50))


class BecomesRequired(Change):
    """A column becomes NOT NULL."""

    rows = {"city": [{"id": 1, "name": "Paris", "rank": 1}, {"id": 2, "name": "Lyon", "rank": 2}]}
    writes = {"all": ["enforce_not_null(", "relax_not_null("]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(50), server_default="x", comment="the name")
            rank: Mapped[int | None] = mapped_column(index=True)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), server_default="x", comment="the name")
            rank: Mapped[int] = mapped_column(index=True)


class BecomesOptional(OfCity):
    """A column becomes nullable."""

    writes = {"all": ["relax_not_null(", "enforce_not_null("]}

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(50))


class Defaults(Change):
    """Server defaults set, changed and removed."""

    rows = {"city": [{"id": 1, "name": "Paris"}]}
    writes = {"all": ["set_server_default("]}

    def before(self, Base: Any) -> None:
        class City(Named, Base):
            none_yet: Mapped[str | None] = mapped_column(String(20))
            number: Mapped[int] = mapped_column(server_default="1")
            text: Mapped[str] = mapped_column(String(20), server_default="a")
            leaves: Mapped[str | None] = mapped_column(String(20), server_default="50 %")
            stamp: Mapped[datetime | None]

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            none_yet: Mapped[str | None] = mapped_column(String(20), server_default='"quoted" 5%')
            number: Mapped[int] = mapped_column(server_default=sa.text("2"))
            text: Mapped[str] = mapped_column(String(20), server_default="b")
            leaves: Mapped[str | None] = mapped_column(String(20))
            stamp: Mapped[datetime | None] = mapped_column(server_default=func.now())


class QuotedDefaults(OfCity):
    """Defaults with quotes, which Alembic alone takes for changed, or cannot compare."""

    def after(self, Base: Any) -> None:
        class City(Named, Base):
            motto: Mapped[str] = mapped_column(String(40), server_default='it\'s 100 %, "they" said: no\\n :x')


class Comments(Change):
    """Comments on a table and on columns: set, changed, removed."""

    rows = CITIES
    skip = {"sqlite": "there are no comments"}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            __table_args__ = {"comment": "cities"}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), comment="its name", server_default="x")
            old: Mapped[str | None] = mapped_column(String(50), comment="goes")

        class Region(Base):
            __tablename__ = "region"
            id: Mapped[int] = mapped_column(primary_key=True)

        class Country(Base):
            __tablename__ = "country"
            __table_args__ = {"comment": "goes"}
            id: Mapped[int] = mapped_column(primary_key=True)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            __table_args__ = {"comment": 'cities, "towns" & it\'s 100 % more'}
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), comment='the city\'s "name", 100 %', server_default="x")
            old: Mapped[str | None] = mapped_column(String(50))

        class Region(Base):
            __tablename__ = "region"
            __table_args__ = {"comment": "new"}
            id: Mapped[int] = mapped_column(primary_key=True)

        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)


class SeveralAtOnce(Change):
    """One column changes its nullability, default and type at once."""

    rows = {"city": [{"id": 1, "name": "Paris"}, {"id": 2, "name": "Lyon"}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str | None] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(60), server_default="nowhere", unique=True)
