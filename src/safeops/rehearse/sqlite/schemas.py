"""SQLite: views and triggers."""

from __future__ import annotations

from collections.abc import Iterable

from safeops.rehearse import schemas


class OtherObjects(schemas.OtherObjects):
    """By ``sqlite_master``."""

    def rows(self) -> Iterable[tuple[str, str, str]]:
        sql = "SELECT type, name, sql FROM main.sqlite_master WHERE type IN ('view', 'trigger')"
        return [(str(row[0]), str(row[1]), str(row[2])) for row in self.read(sql)]
