"""PostgreSQL: views, triggers, functions, types and sequences, and what a table has in addition to its columns."""

from __future__ import annotations

from collections.abc import Iterable

from safeops.rehearse import schemas

OWN = "n.nspname <> 'information_schema' AND left(n.nspname, 3) <> 'pg_'"
RELATIONS = f"(SELECT c.* FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace WHERE {OWN}) c"


def _not_of_extension(catalogue: str, row: str) -> str:
    return (
        f"NOT EXISTS (SELECT 1 FROM pg_depend d WHERE d.classid = '{catalogue}'::regclass AND d.objid = {row}"
        " AND d.deptype = 'e')"
    )


OBJECTS = f"""
  SELECT 'view', c.oid::regclass::text, pg_get_viewdef(c.oid) FROM {RELATIONS} WHERE c.relkind IN ('v', 'm')
  UNION ALL SELECT 'trigger', t.tgname || ' on ' || c.oid::regclass::text,
      pg_get_triggerdef(t.oid) || CASE t.tgenabled WHEN 'O' THEN '' ELSE concat(' enabled: ', t.tgenabled) END
    FROM {RELATIONS} JOIN pg_trigger t ON t.tgrelid = c.oid WHERE NOT t.tgisinternal
  UNION ALL SELECT 'function', CASE n.nspname WHEN current_schema() THEN '' ELSE n.nspname || '.' END || f.proname,
      CASE WHEN f.prokind IN ('f', 'p') THEN pg_get_functiondef(f.oid) ELSE f.prosrc END FROM pg_proc f
    JOIN pg_namespace n ON n.oid = f.pronamespace WHERE {OWN} AND {_not_of_extension("pg_proc", "f.oid")}
  UNION ALL SELECT 'type', t.oid::regtype::text, coalesce(
      (SELECT string_agg(e.enumlabel, ', ' ORDER BY e.enumsortorder) FROM pg_enum e WHERE e.enumtypid = t.oid),
      (SELECT string_agg(a.attname || ' ' || format_type(a.atttypid, a.atttypmod), ', ' ORDER BY a.attnum)
        FROM pg_attribute a WHERE a.attrelid = t.typrelid AND NOT a.attisdropped),
      concat_ws(' ', format_type(t.typbasetype, t.typtypmod), CASE WHEN t.typnotnull THEN 'NOT NULL' END, t.typdefault,
        (SELECT string_agg(pg_get_constraintdef(k.oid), ' ' ORDER BY k.conname) FROM pg_constraint k
          WHERE k.contypid = t.oid AND k.contype = 'c')))
    FROM pg_type t JOIN pg_namespace n ON n.oid = t.typnamespace WHERE {OWN} AND {_not_of_extension("pg_type", "t.oid")}
      AND (t.typtype IN ('e', 'd', 'r') OR (SELECT c.relkind FROM pg_class c WHERE c.oid = t.typrelid) = 'c')
  UNION ALL SELECT 'sequence', c.oid::regclass::text,
      concat_ws(' ', 'START', s.seqstart, 'INCREMENT', s.seqincrement, 'MINVALUE', s.seqmin, 'CACHE', s.seqcache,
        CASE WHEN s.seqcycle THEN 'CYCLE' END)
    FROM {RELATIONS} JOIN pg_sequence s ON s.seqrelid = c.oid WHERE c.relkind = 'S'
  UNION ALL SELECT 'schema', n.nspname, '' FROM pg_namespace n WHERE {OWN}
  UNION ALL SELECT 'extension', e.extname::text, e.extversion FROM pg_extension e
  UNION ALL SELECT 'publication', p.pubname, concat_ws(' ', p.puballtables, p.pubinsert, p.pubupdate, p.pubdelete,
      (SELECT string_agg(r.prrelid::regclass::text, ', ' ORDER BY r.prrelid::regclass::text) FROM pg_publication_rel r
        WHERE r.prpubid = p.oid)) FROM pg_publication p
  UNION ALL SELECT 'event trigger', v.evtname, concat_ws(' ', v.evtevent, v.evtfoid::regproc, v.evtenabled, v.evttags)
    FROM pg_event_trigger v"""

OF_TABLES = f"""
  SELECT 'rule', r.rulename || ' on ' || c.oid::regclass::text, pg_get_ruledef(r.oid)
    FROM {RELATIONS} JOIN pg_rewrite r ON r.ev_class = c.oid WHERE r.rulename <> '_RETURN'
  UNION ALL SELECT 'policy', p.polname || ' on ' || c.oid::regclass::text, concat_ws(' ', p.polcmd, p.polpermissive,
      (SELECT string_agg(r::regrole::text, ', ') FROM unnest(p.polroles) r WHERE r <> 0),
      pg_get_expr(p.polqual, p.polrelid), pg_get_expr(p.polwithcheck, p.polrelid))
    FROM {RELATIONS} JOIN pg_policy p ON p.polrelid = c.oid
  UNION ALL SELECT 'statistics', s.stxname || ' on ' || c.oid::regclass::text, pg_get_statisticsobjdef(s.oid)
    FROM {RELATIONS} JOIN pg_statistic_ext s ON s.stxrelid = c.oid
  UNION ALL SELECT 'row security', 'on ' || c.oid::regclass::text, concat_ws(' ', c.relrowsecurity, c.relforcerowsecurity)
    FROM {RELATIONS} WHERE c.relrowsecurity OR c.relforcerowsecurity
  UNION ALL SELECT 'replica identity', 'on ' || c.oid::regclass::text, concat_ws(' ', c.relreplident,
      (SELECT i.indexrelid::regclass FROM pg_index i WHERE i.indrelid = c.oid AND i.indisreplident))
    FROM {RELATIONS} WHERE c.relkind IN ('r', 'p') AND c.relreplident <> 'd'
  UNION ALL SELECT 'storage options', 'on ' || c.oid::regclass::text, concat_ws(' ', c.relpersistence, c.reloptions)
    FROM {RELATIONS} WHERE c.relkind <> 'i' AND (c.relpersistence <> 'p' OR c.reloptions IS NOT NULL)
  UNION ALL SELECT 'column options', 'on ' || c.oid::regclass::text, string_agg(
      concat_ws(' ', a.attname, a.attstattarget, a.attstorage, a.attcompression, a.attoptions), ', ' ORDER BY a.attname)
    FROM {RELATIONS} JOIN pg_attribute a ON a.attrelid = c.oid JOIN pg_type t ON t.oid = a.atttypid
    WHERE c.relkind IN ('r', 'p', 'm') AND a.attnum > 0 AND (coalesce(a.attstattarget, -1) <> -1
      OR a.attstorage <> t.typstorage OR a.attcompression <> '' OR a.attoptions IS NOT NULL) GROUP BY c.oid
  UNION ALL SELECT 'parent table', 'on ' || c.oid::regclass::text,
      concat_ws(' ', i.inhparent::regclass, pg_get_expr(c.relpartbound, c.oid))
    FROM {RELATIONS} JOIN pg_inherits i ON i.inhrelid = c.oid WHERE c.relkind IN ('r', 'p')
  UNION ALL SELECT 'other owner', 'on ' || c.oid::regclass::text, c.relowner::regrole::text
    FROM {RELATIONS} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S') AND c.relowner <> current_user::regrole"""


def _listed(acl: str) -> str:
    return f"""(SELECT coalesce(string_agg(one, ', ' ORDER BY one), 'none') FROM (SELECT DISTINCT concat_ws(' ',
        CASE x.grantee WHEN 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END, x.privilege_type, x.is_grantable) AS one
        FROM aclexplode({acl}) x) every)"""


PRIVILEGES = f"""SELECT 'privileges', 'on ' || o.of, {_listed("o.acl")} FROM (
      SELECT c.oid::regclass::text AS of, c.relacl AS acl,
          acldefault(CASE c.relkind WHEN 'S' THEN 's' ELSE 'r' END::"char", c.relowner) AS usual
        FROM {RELATIONS} WHERE c.relkind IN ('r', 'p', 'v', 'm', 'S')
      UNION ALL SELECT c.oid::regclass::text || '.' || a.attname, a.attacl, acldefault('c', c.relowner)
        FROM {RELATIONS} JOIN pg_attribute a ON a.attrelid = c.oid WHERE NOT a.attisdropped
      UNION ALL SELECT 'schema ' || n.nspname, n.nspacl, acldefault('n', n.nspowner) FROM pg_namespace n
        WHERE {OWN} AND n.nspname <> 'public'
      UNION ALL SELECT 'function ' || f.oid::regprocedure::text, f.proacl, acldefault('f', f.proowner) FROM pg_proc f
        JOIN pg_namespace n ON n.oid = f.pronamespace WHERE {OWN} AND {_not_of_extension("pg_proc", "f.oid")}
    ) o WHERE o.acl IS NOT NULL AND {_listed("o.acl")} <> {_listed("o.usual")}"""

COMMENTS = """SELECT 'comment', 'on ' || pg_describe_object(d.classoid, d.objoid, d.objsubid), d.description
    FROM pg_description d WHERE d.objoid >= 16384 AND d.classoid <> 'pg_extension'::regclass
      AND d.description NOT LIKE 'safeops%' AND NOT (d.classoid = 'pg_class'::regclass
        AND (SELECT c.relkind FROM pg_class c WHERE c.oid = d.objoid) IN ('r', 'p'))
      AND NOT EXISTS (SELECT 1 FROM pg_depend x WHERE x.classid = d.classoid AND x.objid = d.objoid AND x.deptype = 'e')"""


class OtherObjects(schemas.OtherObjects):
    """By the catalogue."""

    def rows(self) -> Iterable[tuple[str, str, str]]:
        return [
            (str(row[0]), str(row[1]), str(row[2]))
            for query in (OBJECTS, OF_TABLES, PRIVILEGES, COMMENTS)
            for row in self.read(query)
        ]
