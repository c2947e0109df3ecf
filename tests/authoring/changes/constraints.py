"""Constraints."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

from typing import Any

from sqlalchemy import CheckConstraint, ForeignKey, ForeignKeyConstraint, Index, Integer, String, UniqueConstraint
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import CONVENTION, Change, only

BY_NAME = ["alembic.autogenerate.*", "alembic.ext.checkconstraint_byname"]


class OfConstraints(Change, abstract=True):
    """Constraints on the tables of countries and cities."""

    rows = {
        "country": [{"id": 1, "code": "F", "area": 5}, {"id": 2, "code": "D", "area": 6}],
        "city": [{"id": 1, "country_id": 1, "country_code": "F", "name": "Paris"}, {"id": 2, "name": "Lyon"}],
    }

    def old(self) -> list[Any]:
        return []

    def new(self) -> list[Any]:
        return []

    def before(self, Base: Any) -> None:
        self.tables(Base, self.old())

    def after(self, Base: Any) -> None:
        self.tables(Base, self.new())

    def tables(self, Base: Any, constraints: list[Any]) -> None:
        class Country(Base):
            __tablename__ = "country"
            __table_args__ = (UniqueConstraint("id", "code"),)
            id: Mapped[int] = mapped_column(primary_key=True)
            code: Mapped[str] = mapped_column(String(5))
            area: Mapped[int]

        class City(Base):
            __tablename__ = "city"
            __table_args__ = tuple(constraints)
            id: Mapped[int] = mapped_column(primary_key=True)
            country_id: Mapped[int | None] = mapped_column(Integer)
            country_code: Mapped[str | None] = mapped_column(String(5))
            name: Mapped[str] = mapped_column(String(50))


class AddUnique(OfConstraints):
    """Unique constraints."""

    writes = {"all": ["create_unique_constraint_if_missing(", "drop_constraint_if_exists("]}

    def new(self) -> list[Any]:
        return [UniqueConstraint("name"), UniqueConstraint("country_id", "name", name="uq_in_country")]


class DropUnique(OfConstraints):
    """Unique constraints go."""

    # On MariaDB a unique constraint is an index, and the two cannot be distinguished.
    writes = {"postgresql": ["drop_constraint_if_exists(", "create_unique_constraint_if_missing("]}

    def old(self) -> list[Any]:
        return [UniqueConstraint("name"), UniqueConstraint("country_id", "name", name="uq_in_country")]


class AddForeignKey(OfConstraints):
    """A foreign key that deletes with its country."""

    writes = {"all": ["create_foreign_key_if_missing(", "drop_constraint_if_exists("]}

    def new(self) -> list[Any]:
        return [ForeignKeyConstraint(["country_id"], ["country.id"], ondelete="CASCADE", onupdate="CASCADE")]


class AddCompositeForeignKey(OfConstraints):
    """A foreign key of two columns."""

    def new(self) -> list[Any]:
        return [
            ForeignKeyConstraint(["country_id", "country_code"], ["country.id", "country.code"], ondelete="SET NULL")
        ]


class DropForeignKey(OfConstraints):
    """A foreign key is dropped."""

    writes = {"all": ["drop_constraint_if_exists(", "create_foreign_key_if_missing("]}

    def old(self) -> list[Any]:
        return [ForeignKeyConstraint(["country_id"], ["country.id"], ondelete="CASCADE")]


class ChangedForeignKey(OfConstraints):
    """A foreign key deletes otherwise than before, under the same name."""

    writes = {"all": ['if_different="replace"']}

    def old(self) -> list[Any]:
        return [ForeignKeyConstraint(["country_id"], ["country.id"], ondelete="CASCADE")]

    def new(self) -> list[Any]:
        return [ForeignKeyConstraint(["country_id"], ["country.id"], ondelete="SET NULL")]


class IndexesOfForeignKeys(Change):
    """Indexes of foreign keys change: one gets another column, also under its name, one becomes unique, one is dropped."""

    rows = {"country": [{"id": 1}], "city": [{"id": 1, "a": 1, "b": 1, "c": 1, "d": 1}]}

    def before(self, Base: Any) -> None:
        self.tables(Base, *(Index(f"ix_city_{one}", one) for one in "abcd"))

    def after(self, Base: Any) -> None:
        self.tables(Base, Index("ix_both", "a", "id"), Index("ix_city_b", "b", "id"), UniqueConstraint("c"))

    def tables(self, Base: Any, *indexes: Any) -> None:
        class Country(Base):
            __tablename__ = "country"
            id: Mapped[int] = mapped_column(primary_key=True)

        class City(Base):
            __tablename__ = "city"
            __table_args__ = indexes
            id: Mapped[int] = mapped_column(primary_key=True)
            a: Mapped[int] = mapped_column(ForeignKey("country.id"))
            b: Mapped[int] = mapped_column(ForeignKey("country.id"))
            c: Mapped[int] = mapped_column(ForeignKey("country.id"))
            d: Mapped[int] = mapped_column(ForeignKey("country.id"))


class UniqueThatIsReferredTo(Change):
    """Unique constraints that foreign keys refer to become unique indexes, one under its name."""

    rows = {
        "country": [{"id": 1, "code": "F", "name": "France"}],
        "city": [{"id": 1, "code": "F", "name": "France"}],
    }
    writes = {"postgresql": ['drop_constraint_if_exists(op.f("fk_city_code_country"), "city", type_="foreignkey")']}

    def before(self, Base: Any) -> None:
        self.tables(Base, UniqueConstraint("code"), UniqueConstraint("name", name="ux_name"))

    def after(self, Base: Any) -> None:
        self.tables(Base, Index(None, "code", unique=True), Index("ux_name", "name", unique=True))

    def tables(self, Base: Any, *keys: Any) -> None:
        class Country(Base):
            __tablename__ = "country"
            __table_args__ = keys
            id: Mapped[int] = mapped_column(primary_key=True)
            code: Mapped[str] = mapped_column(String(5))
            name: Mapped[str] = mapped_column(String(50))

        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            code: Mapped[str] = mapped_column(ForeignKey("country.code", ondelete="CASCADE"), index=True)
            name: Mapped[str] = mapped_column(ForeignKey("country.name"), index=True)


class Deferrable(OfConstraints):
    """Constraints that are checked at the end of the transaction."""

    skip = {"mysql": "no constraint is deferrable", "sqlite": "Alembic does not compare it"}

    def new(self) -> list[Any]:
        return [
            ForeignKeyConstraint(["country_id"], ["country.id"], deferrable=True, initially="DEFERRED"),
            UniqueConstraint("name", deferrable=True, initially="DEFERRED"),
        ]


class AddCheck(OfConstraints):
    """A check."""

    refused = ("mysql",)
    needs = "alembic.ext.checkconstraint_byname"
    configure = {"autogenerate_plugins": BY_NAME}
    writes = {"all": ["create_check_constraint_if_missing(", "drop_constraint_if_exists("]}

    def new(self) -> list[Any]:
        return [CheckConstraint("name <> 'it''s 5%'", name="named")]


class DropCheck(OfConstraints):
    """A check is dropped."""

    refused_back = ("mysql",)
    needs = "alembic.ext.checkconstraint_byname"
    configure = {"autogenerate_plugins": BY_NAME}
    writes = {"all": ["drop_constraint_if_exists(", "create_check_constraint_if_missing("]}

    def old(self) -> list[Any]:
        return [CheckConstraint("country_id > 0 AND name <> ''", name="named")]


class UnnamedUnique(OfConstraints):
    """A unique constraint without a name is dropped and another added, without a convention."""

    convention = None
    unlike = {"mysql": "safeops gives it a name"}
    skip = {"sqlite": "Alembic does not see a unique constraint without a name"}

    def old(self) -> list[Any]:
        return [UniqueConstraint("name")]

    def new(self) -> list[Any]:
        return [UniqueConstraint("country_id", "name")]


class UnnamedForeignKey(OfConstraints):
    """A foreign key without a name is added and another dropped, without a convention."""

    convention = None
    unlike = {"mysql": "safeops gives it a name", "sqlite": "safeops gives it a name"}
    # It comes back under a name that it is given.
    stays = {
        "sqlite": r"\n  CONSTRAINT \w+_fkey",
        "mysql": r"\n  KEY `\w+` \(`country_id`(,`country_code`)?\)",
    }

    def old(self) -> list[Any]:
        return [ForeignKeyConstraint(["country_id", "country_code"], ["country.id", "country.code"])]

    def new(self) -> list[Any]:
        return [ForeignKeyConstraint(["country_id"], ["country.id"], ondelete="CASCADE")]


class Exclusion(Change):
    """A new table with an exclusion constraint."""

    skip = only("postgresql", "only PostgreSQL has them")

    def before(self, Base: Any) -> None:
        class Room(Base):
            __tablename__ = "room"
            id: Mapped[int] = mapped_column(primary_key=True)

    def after(self, Base: Any) -> None:
        self.before(Base)

        class Booking(Base):
            __tablename__ = "booking"
            __table_args__ = (postgresql.ExcludeConstraint(("during", "&&"), name="no_overlap", using="gist"),)
            id: Mapped[int] = mapped_column(primary_key=True)
            room_id: Mapped[int] = mapped_column(ForeignKey("room.id"), index=True)
            during: Mapped[Any] = mapped_column(postgresql.INT4RANGE)


class ConventionForConstraintNames(Change):
    """A convention that names an index after all its columns."""

    convention = {**CONVENTION, "ix": "ix_%(table_name)s_%(column_0_N_name)s"}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), index=True, unique=False)
            code: Mapped[str | None] = mapped_column(String(5), unique=True)
