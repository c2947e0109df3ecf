"""See ``safeops.databases.server_errors``."""

from safeops.databases.sqlite.errors import ServerErrors

__all__ = ["ServerErrors"]
