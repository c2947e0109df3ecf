"""The application's models, as they are at the newest revision."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    """What `alembic check` compares with the database."""


class Territory(Base):
    """A country or territory, by its ISO 3166 code."""

    __tablename__ = "territories"
    __table_args__ = (sa.UniqueConstraint("iso3", name="uq_countries_iso3"),)

    iso: Mapped[str] = mapped_column(sa.String(2), primary_key=True)
    iso3: Mapped[str] = mapped_column(sa.String(3))
    name: Mapped[str] = mapped_column(sa.String(100))
    continent: Mapped[str] = mapped_column(sa.String(2))
    population: Mapped[int] = mapped_column(sa.BigInteger)
    area_km2: Mapped[int]
    page_views: Mapped[int] = mapped_column(sa.BigInteger, server_default="0")


class City(Base):
    """A populated place, by its GeoNames number."""

    __tablename__ = "cities"
    __table_args__ = (
        sa.CheckConstraint(
            "latitude BETWEEN -90 AND 90 AND longitude BETWEEN -180 AND 180", name="ck_cities_on_the_globe"
        ),
        sa.ForeignKeyConstraint(["country_code"], ["territories.iso"], name="fk_cities_country_code"),
        sa.Index("ix_cities_country_code", "country_code"),
        sa.Index("ix_cities_status_population", "status", "population"),
    )

    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(sa.String(200))
    country_code: Mapped[str] = mapped_column(sa.String(2))
    admin1_code: Mapped[str | None] = mapped_column(sa.String(20))
    latitude: Mapped[float] = mapped_column(sa.Double)
    longitude: Mapped[float] = mapped_column(sa.Double)
    population: Mapped[int]
    timezone: Mapped[str] = mapped_column(sa.String(40))
    source: Mapped[str] = mapped_column(sa.String(20), server_default="app")
    status: Mapped[str] = mapped_column(
        sa.Enum("listed", "in_review", "hidden", name="city_status"), server_default="listed"
    )
    small_name: Mapped[str | None] = mapped_column(sa.String(200))
