"""Types that change."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

from typing import Any

import sqlalchemy as sa
from sqlalchemy import BigInteger, Enum, ForeignKey, Integer, Numeric, String, Text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import Change, only

SWITCH = ("switch", "contract")
NO_NAMED_TYPES = only("postgresql", "only PostgreSQL has named types")


class OfType(Change, abstract=True):
    """The type of a column changes."""

    rows = {"city": [{"id": 1, "value": "12"}, {"id": 2, "value": None}, {"id": 3, "value": "7"}]}
    old: Any = None
    new: Any = None
    extra: Any = {}

    def before(self, Base: Any) -> None:
        self.table(Base, self.old)

    def after(self, Base: Any) -> None:
        self.table(Base, self.new)

    def table(self, Base: Any, type_: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            value: Mapped[Any] = mapped_column(type_, nullable=True, **self.extra)


class Wider(OfType):
    """A text may be longer: a brief change; in the other direction the table would be rewritten, or read."""

    old, new = String(20), String(40)
    writes = {"all": ["alter_column_type("]}


class WiderNumeric(OfType):
    """A number may be longer."""

    rows = {"city": [{"id": 1, "value": 12}, {"id": 2, "value": None}]}
    old, new = Numeric(8, 2), Numeric(10, 2)
    phases = {"mysql": SWITCH}


class ToText(OfType):
    """A text may be as long as it likes."""

    old, new = String(50), Text()
    phases = {"mysql": SWITCH}


class IntToBigint(OfType):
    """A number outgrows its type, with an index and a default."""

    rows = {"city": [{"id": 1, "value": 12}, {"id": 2, "value": None}]}
    old, new = Integer(), BigInteger()
    extra = {"index": True, "server_default": "5"}
    phases = {"postgresql": SWITCH, "mysql": SWITCH}
    writes = {"postgresql": ["TypeChange(", ".expand()", ".undo_expand()"], "mysql": ["TypeChange("]}


class TextToNumber(OfType):
    """A text becomes a number."""

    old, new = String(20), Integer()
    phases = {"postgresql": SWITCH, "mysql": SWITCH}


class Narrower(OfType):
    """A text must be shorter."""

    old, new = String(50), String(20)
    phases = {"postgresql": SWITCH, "mysql": SWITCH}


class KeyToBigint(Change):
    """A key outgrows its type, and so does the foreign key to it."""

    skip = {"mysql": "no helper changes a key to which a foreign key refers there"}
    writes = {"sqlite": ['with_variant(sa.Integer(), "sqlite")', "# Nothing to undo"]}
    unlike = {"sqlite": "a row id stays INTEGER"}
    rows = {"city": [{"id": 1}, {"id": 2}], "street": [{"id": 1, "city_id": 1}, {"id": 2, "city_id": None}]}
    phases = {"postgresql": ("switch", "switch", "contract", "contract")}

    def before(self, Base: Any) -> None:
        self.tables(Base, Integer())

    def after(self, Base: Any) -> None:
        self.tables(Base, BigInteger())

    def tables(self, Base: Any, type_: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(type_, primary_key=True)

        class Street(Base):
            __tablename__ = "street"
            id: Mapped[int] = mapped_column(primary_key=True)
            city_id: Mapped[int | None] = mapped_column(type_, ForeignKey("city.id"), index=True)


class TypesAndTheirIndexes(Change):
    """Numbers outgrow their types, while their indexes come, go, and lose another column."""

    rows = {"city": [{"id": 1, "a": 1, "b": 2, "c": 3, "d": 4}, {"id": 2, "a": None, "b": 3, "c": 3, "d": None}]}
    phases = dict.fromkeys(("postgresql", "mysql"), ("switch",) * 3 + ("contract",) * 3)
    reordered = True

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            a: Mapped[int | None] = mapped_column(index=True)
            b: Mapped[int | None] = mapped_column()
            c: Mapped[int | None] = mapped_column()
            d: Mapped[int | None] = mapped_column()
            __table_args__ = (sa.Index("ix_both", "c", "d"),)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            a: Mapped[int | None] = mapped_column(BigInteger)
            b: Mapped[int | None] = mapped_column(BigInteger, unique=True)
            c: Mapped[int | None] = mapped_column(BigInteger)


class TypeAndForeignKey(Change):
    """A number gets the type of what it refers to from now on."""

    rows = {"country": [{"id": 1, "code": 7}], "city": [{"id": 1, "code": 7}, {"id": 2, "code": None}]}
    phases = {"postgresql": SWITCH, "mysql": SWITCH}
    later = ("mysql",)

    def before(self, Base: Any) -> None:
        self.tables(Base, Integer())

    def after(self, Base: Any) -> None:
        self.tables(Base, BigInteger(), ForeignKey("country.code", ondelete="CASCADE"))

    def tables(self, Base: Any, type_: Any, *key: Any) -> None:
        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)
            code: Mapped[int] = mapped_column(BigInteger, unique=True)

        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            code: Mapped[int | None] = mapped_column(type_, *key, index=bool(key))


class EnumToEnum(Change):
    """A named type becomes another, with names that a shell must quote."""

    skip = NO_NAMED_TYPES
    unlike = {"postgresql": "the former type stays"}
    rows = {"Order Lines": [{"id": 1, 'Unit "Price"': "sad"}, {"id": 2, 'Unit "Price"': None}]}
    phases = {"postgresql": SWITCH}

    def before(self, Base: Any) -> None:
        self.table(Base, Enum("happy", "sad", name="mood"))

    def after(self, Base: Any) -> None:
        self.table(Base, Enum("sad", "it's $HOME", name="kind of mood"))

    def table(self, Base: Any, type_: Any) -> None:
        class Line(Base):
            __tablename__ = "Order Lines"
            id: Mapped[int] = mapped_column(primary_key=True)
            price: Mapped[Any] = mapped_column('Unit "Price"', type_, nullable=True, server_default="sad")


class CheckedNumeric(Change):
    """A number with a check may be longer."""

    refused = refused_back = ("mysql",)
    phases = {"postgresql": SWITCH}
    rows = {"city": [{"id": 1, "value": 12}, {"id": 2, "value": None}]}
    check = "value > 0"

    def before(self, Base: Any) -> None:
        self.table(Base, Numeric(8, 2))

    def after(self, Base: Any) -> None:
        self.table(Base, Numeric(10, 2))

    def table(self, Base: Any, type_: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            __table_args__ = (sa.CheckConstraint(self.check, name="value"),)
            id: Mapped[int] = mapped_column(primary_key=True)
            value: Mapped[Any] = mapped_column(type_, nullable=True)


class CheckedText(CheckedNumeric):
    """A text with a check may be longer: at once, but not back."""

    refused = ()
    rows = {"city": [{"id": 1, "value": "12"}, {"id": 2, "value": None}]}
    check = "value <> ''"

    def before(self, Base: Any) -> None:
        self.table(Base, String(5))

    def after(self, Base: Any) -> None:
        self.table(Base, String(9))


class ComputedToBigint(Change):
    """A computed number outgrows its type."""

    refused = refused_back = ("postgresql", "mysql")
    rows = {"city": [{"id": 1, "size": 2}]}

    def before(self, Base: Any) -> None:
        self.table(Base, Integer())

    def after(self, Base: Any) -> None:
        self.table(Base, BigInteger())

    def table(self, Base: Any, type_: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            size: Mapped[int]
            twice: Mapped[Any] = mapped_column(type_, sa.Computed("size * 2", persisted=True), nullable=True)


class EnumValueAdded(OfType):
    """A named type gets one more value, behind the others."""

    rows = {"city": [{"id": 1, "value": "sad"}, {"id": 2, "value": None}]}
    old, new = Enum("happy", "sad", name="mood"), Enum("happy", "sad", "furious", name="mood")
    stays = {"postgresql": r"\n    'furious'"}
    writes = {"postgresql": ["add_enum_value_if_missing("]}


class EnumValueInTheMiddle(OfType):
    """A named type gets values before and between the others."""

    rows = {"city": [{"id": 1, "value": "sad"}, {"id": 2, "value": None}]}
    old = Enum("happy", "sad", name="mood")
    new = Enum("bored", "happy", "calm", "it's 5%", "sad", name="mood")
    stays = {"postgresql": r"\n    '(bored|calm|it''s 5%)'"}
    phases = {"mysql": SWITCH}


class EnumOfTwoTables(Change):
    """A type that two tables share gets one more value."""

    rows = {"city": [{"id": 1, "mood": "sad"}], "person": [{"id": 1, "mood": "happy"}]}
    stays = {"postgresql": r"\n    'furious'"}

    def before(self, Base: Any) -> None:
        self.tables(Base, Enum("happy", "sad", name="mood", metadata=Base.metadata))

    def after(self, Base: Any) -> None:
        self.tables(Base, Enum("happy", "sad", "furious", name="mood", metadata=Base.metadata))

    def tables(self, Base: Any, type_: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            mood: Mapped[Any] = mapped_column(type_)

        class Person(Base):
            __tablename__ = "person"
            id: Mapped[int] = mapped_column(primary_key=True)
            mood: Mapped[Any] = mapped_column(type_)


class EnumAddedAndUsed(Change):
    """A type gets one more value, which the default of the column becomes at once."""

    rows = {"city": [{"id": 1, "mood": "sad"}]}
    stays = {"postgresql": r"\n    'furious'"}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            mood: Mapped[Any] = mapped_column(Enum("happy", "sad", name="mood"), server_default="happy")

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            mood: Mapped[Any] = mapped_column(Enum("happy", "sad", "furious", name="mood"), server_default="furious")
            second: Mapped[Any] = mapped_column(Enum("happy", "sad", "furious", name="mood"), server_default="furious")


class LastUseOfEnum(Change):
    """The only column of a named type is dropped; the type is kept, since others may use it."""

    unlike = {"postgresql": "a type is nobody's to drop who does not know who else uses it"}
    rows = {"city": [{"id": 1, "mood": "sad"}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            mood: Mapped[Any] = mapped_column(Enum("happy", "sad", name="mood"))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)


class TextToEnum(OfType):
    """A text becomes a named type."""

    rows = {"city": [{"id": 1, "value": "sad"}, {"id": 2, "value": None}]}
    old, new = String(20), Enum("happy", "sad", name="mood")
    phases = {"postgresql": SWITCH, "mysql": SWITCH}


class SchemaEnum(OfType):
    """A named type of a second schema gets one more value."""

    skip = NO_NAMED_TYPES
    setup = {"postgresql": ["CREATE SCHEMA kinds"]}
    rows = {"city": [{"id": 1, "value": "sad"}, {"id": 2, "value": None}]}
    old = Enum("happy", "sad", name="mood", schema="kinds")
    new = Enum("happy", "sad", "furious", name="mood", schema="kinds")
    stays = {"postgresql": r"\n    'furious'"}


class ArrayOfEnum(Change):
    """A new column that is an array of a named type, and one of texts."""

    skip = only("postgresql", "only PostgreSQL has arrays")
    rows = {"city": [{"id": 1}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            moods: Mapped[Any] = mapped_column(postgresql.ARRAY(Enum("happy", "sad", name="mood")), nullable=True)
            tags: Mapped[Any] = mapped_column(postgresql.ARRAY(Text), server_default="{}")

        class Person(Base):
            __tablename__ = "person"
            id: Mapped[int] = mapped_column(primary_key=True)
            city_id: Mapped[int] = mapped_column(ForeignKey("city.id"), index=True)
            colours: Mapped[Any] = mapped_column(sa.ARRAY(Enum("red", "blue", name="colour")))


class ArrayOfEnumExtended(Change):
    """The type of the items of an array gets one more value."""

    skip = only("postgresql", "only PostgreSQL has arrays")
    rows = {"city": [{"id": 1, "moods": ["happy"]}]}
    stays = {"postgresql": r"\n    'furious'"}

    def before(self, Base: Any) -> None:
        self.table(Base, "happy", "sad")

    def after(self, Base: Any) -> None:
        self.table(Base, "happy", "sad", "furious")

    def table(self, Base: Any, *values: str) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            moods: Mapped[Any] = mapped_column(postgresql.ARRAY(Enum(*values, name="mood")), nullable=True)
