"""See ``safeops.databases.ddl``."""

from safeops.databases.sqlite.ddl import DDL

__all__ = ["DDL"]
