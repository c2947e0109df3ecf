"""MariaDB and MySQL: emptying a database that the user gave."""

from __future__ import annotations

from safeops.review import copies


class Copies(copies.Copies):
    """Empties a database."""

    limits = ("SET SESSION lock_wait_timeout = 10, SESSION innodb_lock_wait_timeout = 10",)

    def empty(self, kept: frozenset[str]) -> None:
        self.run("SET foreign_key_checks = 0")
        for kind, name in self.read(OBJECTS):
            self.run(f"DROP {kind} IF EXISTS {self.quoted(name)}")
        self.run("SET foreign_key_checks = 1")


OBJECTS = """
  SELECT CASE TABLE_TYPE WHEN 'VIEW' THEN 'VIEW' WHEN 'SEQUENCE' THEN 'SEQUENCE' ELSE 'TABLE' END, TABLE_NAME
    FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
  UNION ALL SELECT ROUTINE_TYPE, ROUTINE_NAME FROM information_schema.ROUTINES WHERE ROUTINE_SCHEMA = DATABASE()
  UNION ALL SELECT 'EVENT', EVENT_NAME FROM information_schema.EVENTS WHERE EVENT_SCHEMA = DATABASE()"""
