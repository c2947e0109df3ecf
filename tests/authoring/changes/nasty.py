"""What models of real projects bring along."""

# ruff: noqa: RUF012 -- constant class attributes are the most readable form here

import uuid
from datetime import datetime
from typing import Any

import sqlalchemy as sa
from sqlalchemy import Computed, Enum, ForeignKey, Identity, Index, String, func, text
from sqlalchemy.dialects import postgresql
from sqlalchemy.orm import Mapped, MappedAsDataclass, mapped_column
from tests.authoring.changes import CITIES, Change, only


class Money(sa.types.TypeDecorator[int]):
    """A type of the project's own."""

    impl = sa.BigInteger
    cache_ok = True


class Point(sa.types.UserDefinedType[str]):
    """A type that SQLAlchemy does not know."""

    cache_ok = True

    def get_col_spec(self, **_: Any) -> str:
        return "VARCHAR(60)"


class Dataclasses(Change):
    """Mapped dataclasses."""

    rows = CITIES

    def before(self, Base: Any) -> None:
        class City(MappedAsDataclass, Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True, init=False)
            name: Mapped[str] = mapped_column(String(50), default="x")

    def after(self, Base: Any) -> None:
        class City(MappedAsDataclass, Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True, init=False)
            name: Mapped[str] = mapped_column(String(50), default="x")
            rank: Mapped[int] = mapped_column(default=1, server_default=text("1"))
            token: Mapped[uuid.UUID | None] = mapped_column(default_factory=uuid.uuid4)


class OwnTypes(Change):
    """Types of the project's own, in a new table, a new column, and a dropped column."""

    rows = {"city": [{"id": 1, "old": 5, "place": "(1,2)"}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            place: Mapped[Any] = mapped_column(Point(), nullable=True)
            old: Mapped[int | None] = mapped_column(Money)

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            place: Mapped[Any] = mapped_column(Point(), nullable=True)
            budget: Mapped[int] = mapped_column(Money, server_default="0")

        class Account(Base):
            __tablename__ = "account"
            id: Mapped[int] = mapped_column(primary_key=True)
            city_id: Mapped[int] = mapped_column(ForeignKey("city.id"), index=True)
            money: Mapped[int] = mapped_column(Money)
            where: Mapped[Any] = mapped_column("where", Point())


class ComputedAndChecked(Change):
    """Computed columns, and checks that types bring."""

    rows = CITIES

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        self.before(Base)

        class Ticket(Base):
            __tablename__ = "ticket"
            id: Mapped[int] = mapped_column(primary_key=True)
            net: Mapped[int]
            gross: Mapped[int] = mapped_column(Computed("net * 2", persisted=True), nullable=True)
            open: Mapped[bool] = mapped_column(sa.Boolean(create_constraint=True, name="open"))
            state: Mapped[str] = mapped_column(
                Enum("new", "it's", "50%", native_enum=False, create_constraint=True, name="state", length=20),
                server_default="new",
            )
            loose: Mapped[str | None] = mapped_column(Enum("a", "b", native_enum=False, length=5))


class IdentityColumn(Change):
    """A column gets an identity."""

    oldest = (1, 17)
    skip = only("postgresql", "only PostgreSQL has identity columns")
    rows = {"city": [{"id": 1, "name": "a"}]}

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(Identity(start=50), primary_key=True)
            name: Mapped[str] = mapped_column(String(50))


class NewIdentityColumn(Change):
    """A new column that has an identity."""

    refused = ("postgresql",)
    skip = only("postgresql", "only PostgreSQL has identity columns")
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
            number: Mapped[int] = mapped_column(sa.BigInteger, Identity(always=True))

        class Ticket(Base):
            __tablename__ = "ticket"
            id: Mapped[int] = mapped_column(sa.Integer, Identity(always=True, start=100, increment=5), primary_key=True)


class Partitioned(Change):
    """Columns and an index on a table in partitions, which the models do not know."""

    unlike = {"postgresql": "the indexes of the partitions have other names"}
    skip = only("postgresql", "only PostgreSQL's partitions are tables")
    rows = {"event": [{"id": 1, "day": 1}, {"id": 2, "day": 15}]}
    configure = {"include_name": lambda name, kind, _: not (kind == "table" and str(name).startswith("event_"))}
    attached = (
        "CREATE TABLE event_1 PARTITION OF event FOR VALUES FROM (0) TO (10)",
        "CREATE TABLE event_2 PARTITION OF event FOR VALUES FROM (10) TO (20)",
    )

    def before(self, Base: Any) -> None:
        class Event(Base):
            __tablename__ = "event"
            __table_args__ = {"postgresql_partition_by": "RANGE (day)"}
            id: Mapped[int] = mapped_column(primary_key=True)
            day: Mapped[int] = mapped_column(primary_key=True)

    def after(self, Base: Any) -> None:
        class Event(Base):
            __tablename__ = "event"
            __table_args__ = (Index("ix_event_day", "day"), {"postgresql_partition_by": "RANGE (day)"})
            id: Mapped[int] = mapped_column(primary_key=True)
            day: Mapped[int] = mapped_column(primary_key=True)
            what: Mapped[str | None] = mapped_column(String(20), index=True)
            rank: Mapped[int] = mapped_column(server_default="1")


class WithViews(Change):
    """A database with views that no model has."""

    rows = CITIES
    attached = ("CREATE VIEW names AS SELECT id, name FROM city",)

    def before(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class City(Base):
            __tablename__ = "city"
            id: Mapped[int] = mapped_column(primary_key=True)
            name: Mapped[str] = mapped_column(String(50), index=True)
            rank: Mapped[int | None]


class Blog(Change):
    """An ordinary day: several models change at once, in one revision."""

    rows = {
        "author": [{"id": 1, "email": "a@b.c", "age": 3}, {"id": 2, "email": "d@e.f", "age": None}],
        "post": [{"id": 1, "author_id": 1, "title": "T"}, {"id": 2, "author_id": 2, "title": "U"}],
    }
    populate = "sa.text(\"'draft'\")"
    does_more = True
    reordered = True

    def before(self, Base: Any) -> None:
        class Author(Base):
            __tablename__ = "author"
            id: Mapped[int] = mapped_column(primary_key=True)
            email: Mapped[str | None] = mapped_column(String(100))
            age: Mapped[int | None]

        class Post(Base):
            __tablename__ = "post"
            id: Mapped[int] = mapped_column(primary_key=True)
            author_id: Mapped[int] = mapped_column(ForeignKey("author.id"))
            title: Mapped[str] = mapped_column(String(50))

    def after(self, Base: Any) -> None:
        class Author(Base):
            __tablename__ = "author"
            id: Mapped[int] = mapped_column(primary_key=True)
            email: Mapped[str] = mapped_column(String(120), unique=True)
            name: Mapped[str | None] = mapped_column(String(50))
            created_at: Mapped[datetime] = mapped_column(server_default=func.now())

        class Post(Base):
            __tablename__ = "post"
            id: Mapped[int] = mapped_column(primary_key=True)
            author_id: Mapped[int] = mapped_column(ForeignKey("author.id", ondelete="CASCADE"), index=True)
            title: Mapped[str] = mapped_column(String(50))
            slug: Mapped[str | None] = mapped_column(String(50))
            status: Mapped[str] = mapped_column(Enum("draft", "published", name="status"))
            body: Mapped[str | None] = mapped_column(sa.Text)

        class Tag(Base):
            __tablename__ = "tag"
            id: Mapped[int] = mapped_column(primary_key=True)
            label: Mapped[str] = mapped_column(String(20), unique=True)

        sa.Table(
            "post_tag",
            Base.metadata,
            sa.Column("post_id", ForeignKey("post.id", ondelete="CASCADE"), primary_key=True),
            sa.Column("tag_id", ForeignKey("tag.id", ondelete="CASCADE"), primary_key=True, index=True),
        )


class SpecialTypes(Change):
    """Types of PostgreSQL."""

    refused = ("postgresql",)
    skip = only("postgresql", "types of PostgreSQL")
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
            data: Mapped[Any] = mapped_column(postgresql.JSONB, server_default=text("'{\"a\": 1}'::jsonb"))
            address: Mapped[Any] = mapped_column(postgresql.INET, nullable=True)
            span: Mapped[Any] = mapped_column(postgresql.INTERVAL, nullable=True)
            words: Mapped[Any] = mapped_column(
                postgresql.TSVECTOR, Computed("to_tsvector('simple', name)", persisted=True)
            )
            at: Mapped[Any] = mapped_column(postgresql.TIMESTAMP(timezone=True, precision=3), nullable=True)
            ranges: Mapped[Any] = mapped_column(postgresql.INT4RANGE, nullable=True)


class Variants(Change):
    """Types that differ from database to database."""

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
            data: Mapped[Any] = mapped_column(sa.JSON().with_variant(postgresql.JSONB(), "postgresql"), nullable=True)
            big: Mapped[Any] = mapped_column(sa.BigInteger().with_variant(sa.Integer, "sqlite"), nullable=True)
            tags: Mapped[Any] = mapped_column(
                sa.JSON().with_variant(postgresql.ARRAY(sa.Text), "postgresql"), nullable=True
            )
