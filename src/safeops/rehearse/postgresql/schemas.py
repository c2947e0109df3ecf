"""PostgreSQL: views, triggers, functions, types and sequences."""

from __future__ import annotations

from collections.abc import Iterable

from safeops.rehearse import schemas

OBJECTS = """SELECT 'view', c.oid::regclass::text, pg_get_viewdef(c.oid) FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind IN ('v', 'm') AND {own}
  UNION ALL SELECT 'trigger', t.tgname || ' on ' || t.tgrelid::regclass::text, pg_get_triggerdef(t.oid) FROM pg_trigger t
    JOIN pg_class c ON c.oid = t.tgrelid JOIN pg_namespace n ON n.oid = c.relnamespace WHERE NOT t.tgisinternal AND {own}
  UNION ALL SELECT 'function', f.oid::regproc::text, f.prosrc FROM pg_proc f
    JOIN pg_namespace n ON n.oid = f.pronamespace WHERE {own} AND NOT EXISTS
    (SELECT 1 FROM pg_depend d WHERE d.objid = f.oid AND d.classid = 'pg_proc'::regclass AND d.deptype = 'e')
  UNION ALL SELECT 'type', t.oid::regtype::text, coalesce(
      (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
      format_type(t.typbasetype, t.typtypmod)) FROM pg_type t
    JOIN pg_namespace n ON n.oid = t.typnamespace WHERE t.typtype IN ('e', 'd') AND {own} AND NOT EXISTS
    (SELECT 1 FROM pg_depend d WHERE d.objid = t.oid AND d.classid = 'pg_type'::regclass AND d.deptype = 'e')
  UNION ALL SELECT 'sequence', c.oid::regclass::text, '' FROM pg_class c
    JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'S' AND {own}
  UNION ALL SELECT 'schema', n.nspname, '' FROM pg_namespace n WHERE {own}""".format(
    own="n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'"
)


class OtherObjects(schemas.OtherObjects):
    """By the catalogue."""

    def rows(self) -> Iterable[tuple[str, str, str]]:
        return [(str(row[0]), str(row[1]), str(row[2])) for row in self.read(OBJECTS)]
