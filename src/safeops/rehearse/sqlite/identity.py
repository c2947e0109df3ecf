"""Which file of SQLite a connection reaches."""

from __future__ import annotations

import os
import shlex

from safeops.rehearse import production


class Identity(production.Identity):
    """By the file, which may have several names."""

    @property
    def _path(self) -> str:
        return next((row[2] for row in self.read("PRAGMA database_list") if row[1] == "main"), "")

    def facts(self) -> set[tuple[str, ...]]:
        if not self._path:
            return set()
        facts: set[tuple[str, ...]] = {("path", os.path.realpath(self._path))}
        if os.path.exists(self._path):
            status = os.stat(self._path)
            facts.add(("file", str(status.st_dev), str(status.st_ino)))
        return facts

    def how_to_drop(self) -> str:
        return f"rm {shlex.quote(self._path)}"
