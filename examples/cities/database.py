"""How the application, its migrations and the demonstration open the database."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool


def engine_for(url: str | sa.URL, **options: Any) -> sa.Engine:
    """An engine without a pool; on SQLite foreign keys are enforced, as in any careful application."""
    engine = sa.create_engine(url, poolclass=NullPool, **options)
    if engine.dialect.name == "sqlite":
        sa.event.listen(engine, "connect", _enforce_foreign_keys)
    return engine


def _enforce_foreign_keys(driver_connection: Any, _record: Any) -> None:
    driver_connection.execute("PRAGMA foreign_keys = ON")
