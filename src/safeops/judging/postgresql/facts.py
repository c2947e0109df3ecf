"""What a live PostgreSQL answers about its tables, by reading its catalogue."""

from __future__ import annotations

from safeops.judging.schema import Facts as Port
from safeops.judging.schema import KnownTable
from safeops.naming import Name


class Facts(Port):
    def table(self, name: Name) -> KnownTable | None:
        raise NotImplementedError

    def rows_of(self, sql: str, parameters: object) -> int | None:
        raise NotImplementedError
