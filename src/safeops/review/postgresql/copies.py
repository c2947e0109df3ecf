"""PostgreSQL: databases from an empty one of the user as the template, and emptying that one."""

from __future__ import annotations

from safeops.review import copies

OBJECTS = """WITH own AS (
    SELECT oid FROM pg_namespace WHERE left(nspname, 3) <> 'pg_' AND nspname <> 'information_schema'
  ), found (class, id, place) AS (
    SELECT 'pg_namespace'::regclass, n.oid, 1 FROM pg_namespace n JOIN own USING (oid) WHERE n.nspname <> 'public'
    UNION ALL SELECT 'pg_class'::regclass, c.oid, 2 FROM pg_class c JOIN own ON own.oid = c.relnamespace
      WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm', 'S') AND NOT c.relispartition
    UNION ALL SELECT 'pg_proc'::regclass, p.oid, 3 FROM pg_proc p JOIN own ON own.oid = p.pronamespace
    UNION ALL SELECT 'pg_type'::regclass, t.oid, 4 FROM pg_type t JOIN own ON own.oid = t.typnamespace
      WHERE t.typtype IN ('e', 'd', 'r') OR (t.typtype = 'c' AND EXISTS (
        SELECT 1 FROM pg_class k WHERE k.oid = t.typrelid AND k.relkind = 'c'))
  )
  SELECT o.type, o.identity FROM found, pg_identify_object(class, id, 0) o WHERE NOT EXISTS (
    SELECT 1 FROM pg_depend d WHERE d.classid = found.class AND d.objid = found.id AND d.deptype = 'e')
  ORDER BY place"""
EXTENSIONS = "SELECT extname FROM pg_extension"


class Copies(copies.Copies):
    """Databases made of the given one, with the extensions that it has; and emptying it."""

    limits = ("SET lock_timeout = '10s'", "SET statement_timeout = '120s'")

    def create(self, name: str) -> str:
        template = self.scalar("SELECT current_database()")
        self.run(f"CREATE DATABASE {self.quoted(name)} TEMPLATE {self.quoted(template)}")
        return name

    def kept(self) -> frozenset[str]:
        return frozenset(row[0] for row in self.read(EXTENSIONS))

    def empty(self, kept: frozenset[str]) -> None:
        for (extension,) in self.read(EXTENSIONS):
            if extension not in kept:
                self.run(f"DROP EXTENSION IF EXISTS {self.quoted(extension)} CASCADE")
        for kind, identity in self.read(OBJECTS):
            self.run(f"DROP {kind} IF EXISTS {identity} CASCADE")
