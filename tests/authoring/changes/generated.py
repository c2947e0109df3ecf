"""Defaults, computed columns and identities as they come back from the server's catalogue."""

# ruff: noqa: RUF012 -- class attributes that nobody changes are how a person reads these best

from typing import Any

from sqlalchemy import Computed, Index, String, text
from sqlalchemy.orm import Mapped, mapped_column
from tests.authoring.changes import Change


class Colons(Change):
    """Words after colons, in what changes and in what goes."""

    rows = {"city": [{"id": 1, "name": "Paris"}]}
    refused_back = ("postgresql", "mariadb")
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
