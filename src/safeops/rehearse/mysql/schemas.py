"""MariaDB and MySQL: views, triggers, functions, events, and how tables are stored."""

from __future__ import annotations

from collections.abc import Iterable

from safeops.rehearse import schemas

OBJECTS = """SELECT 'view', TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()
  UNION ALL SELECT 'trigger', CONCAT(TRIGGER_NAME, ' on ', EVENT_OBJECT_TABLE),
      CONCAT_WS(' ', ACTION_TIMING, EVENT_MANIPULATION, ACTION_STATEMENT)
    FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()
  UNION ALL SELECT 'function', ROUTINE_NAME, ROUTINE_DEFINITION
    FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()
  UNION ALL SELECT 'event', EVENT_NAME, CONCAT_WS(' ', STATUS, INTERVAL_VALUE, INTERVAL_FIELD, EVENT_DEFINITION)
    FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()
  UNION ALL SELECT 'storage options', CONCAT('on ', TABLE_NAME), CONCAT_WS(' ', ENGINE, TABLE_COLLATION)
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE() AND TABLE_TYPE = 'BASE TABLE'"""


class OtherObjects(schemas.OtherObjects):
    """By ``information_schema``."""

    def rows(self) -> Iterable[tuple[str, str, str]]:
        return [(str(row[0]), str(row[1]), str(row[2])) for row in self.read(OBJECTS)]
