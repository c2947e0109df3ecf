"""MariaDB and MySQL: the whole schema as text, as SHOW CREATE writes it."""

from __future__ import annotations

import re

from safeops.review import catalogue

COUNTER = re.compile(r" AUTO_INCREMENT=\d+")
TRIGGERS = """SELECT concat('trigger ', TRIGGER_NAME, ' on ', EVENT_OBJECT_TABLE, ': ', ACTION_TIMING, ' ',
  EVENT_MANIPULATION, ' ', ACTION_STATEMENT) FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()"""


class Catalogue(catalogue.Catalogue):
    """Queries each table; counters of keys are not part of a schema."""

    def lines(self) -> list[str]:
        tables = [(name, kind) for name, kind in self.fetched("SHOW FULL TABLES") if not name.startswith("safeops_")]
        found = [line for name, kind in tables for line in self._created(name, kind)]
        return sorted([*found, *(line for (line,) in self.fetched(TRIGGERS))])

    def _created(self, name: str, kind: str) -> list[str]:
        word = kind if kind in ("VIEW", "SEQUENCE") else "TABLE"
        text = str(self.fetched(f"SHOW CREATE {word} {self.quoted(name)}")[0][1])
        return [f"{name}: {line.strip().rstrip(',')}" for line in COUNTER.sub("", text).splitlines()]
