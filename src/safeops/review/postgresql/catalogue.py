"""PostgreSQL: the whole schema as text, in the catalogue's own words."""

from __future__ import annotations

from safeops.review import catalogue

DESCRIBED = """
    WITH spaces AS (SELECT * FROM pg_namespace WHERE left(nspname, 3) <> 'pg_' AND nspname <> 'information_schema'),
    relations AS (
        SELECT c.oid::regclass::text AS relation, c.* FROM pg_class c JOIN spaces n ON n.oid = relnamespace
         WHERE left(relname, 8) <> 'safeops_'
    ),
    words (kind, name, definition) AS (
        SELECT 'schema', nspname::text, row(nspowner::regrole, nspacl)::text FROM spaces
        UNION ALL
        SELECT 'relation', relation, row(relkind, relpersistence, relowner::regrole, relacl, reloptions, relreplident,
               relrowsecurity, relforcerowsecurity, reltablespace, relam, pg_get_partkeydef(oid),
               pg_get_expr(relpartbound, oid), CASE WHEN relkind IN ('v', 'm') THEN pg_get_viewdef(oid) END)::text
          FROM relations WHERE relkind NOT IN ('i', 'I', 't')
        UNION ALL
        SELECT 'column', relation || '.' || attname, row(format_type(atttypid, atttypmod), attnotnull, attidentity,
               attgenerated, attstorage, attcompression, attstattarget, attoptions, attacl, attcollation::regcollation,
               attinhcount, pg_get_expr(adbin, adrelid))::text
          FROM relations JOIN pg_attribute ON attrelid = oid LEFT JOIN pg_attrdef ON adrelid = attrelid AND adnum = attnum
         WHERE relkind NOT IN ('i', 'I', 't', 'S') AND attnum > 0 AND NOT attisdropped
        UNION ALL
        SELECT 'index', i.relation, row(pg_get_indexdef(indexrelid), indisprimary, indisvalid, indisready, indisclustered,
               indisreplident, indimmediate, i.reloptions)::text
          FROM relations i JOIN pg_index ON indexrelid = i.oid JOIN relations t ON t.oid = indrelid
        UNION ALL
        SELECT 'constraint', conname || coalesce(' on ' || relation, ''), row(
               CASE WHEN conparentid = 0 THEN pg_get_constraintdef(k.oid)
                    ELSE replace(pg_get_constraintdef(k.oid), ' NOT VALID', '') END, convalidated OR conparentid <> 0,
               coninhcount, connoinherit AND contype IN ('c', 'n'))::text
          FROM pg_constraint k JOIN spaces n ON n.oid = connamespace LEFT JOIN relations r ON r.oid = conrelid
         WHERE conrelid = 0 OR relation IS NOT NULL
        UNION ALL
        SELECT 'trigger', tgname || ' on ' || relation, row(pg_get_triggerdef(t.oid), tgenabled)::text
          FROM pg_trigger t JOIN relations r ON r.oid = tgrelid WHERE NOT tgisinternal
        UNION ALL
        SELECT 'rule', rulename || ' on ' || relation, row(pg_get_ruledef(w.oid), ev_enabled)::text
          FROM pg_rewrite w JOIN relations r ON r.oid = ev_class WHERE relkind NOT IN ('v', 'm')
        UNION ALL
        SELECT 'policy', polname || ' on ' || relation, row(polcmd, polpermissive, polroles::regrole[],
               pg_get_expr(polqual, polrelid), pg_get_expr(polwithcheck, polrelid))::text
          FROM pg_policy JOIN relations r ON r.oid = polrelid
        UNION ALL
        SELECT 'parent', inhrelid::regclass || ' of ' || inhparent::regclass, inhseqno::text
          FROM pg_inherits JOIN relations r ON r.oid = inhrelid
        UNION ALL
        SELECT 'sequence', relation, row(seqtypid::regtype, seqstart, seqincrement, seqmax, seqmin, seqcache, seqcycle,
               refobjid::regclass, attname, deptype)::text
          FROM pg_sequence JOIN relations r ON r.oid = seqrelid
               LEFT JOIN pg_depend ON classid = 'pg_class'::regclass AND objid = seqrelid AND deptype IN ('a', 'i')
               LEFT JOIN pg_attribute ON attrelid = refobjid AND attnum = refobjsubid
        UNION ALL
        SELECT 'function', p.oid::regprocedure::text, row(proowner::regrole, proacl,
               CASE WHEN prokind = 'a' THEN '' ELSE pg_get_functiondef(p.oid) END)::text
          FROM pg_proc p JOIN spaces n ON n.oid = pronamespace
        UNION ALL
        SELECT 'type', t.oid::regtype::text, row(typtype, typowner::regrole, typacl, typnotnull, typdefault,
               format_type(typbasetype, typtypmod), typcollation::regcollation,
               (SELECT array_agg(enumlabel ORDER BY enumsortorder) FROM pg_enum WHERE enumtypid = t.oid))::text
          FROM pg_type t JOIN spaces n ON n.oid = typnamespace WHERE typtype <> 'b' AND typrelid = 0
        UNION ALL
        SELECT 'statistics', stxname::text, row(pg_get_statisticsobjdef(s.oid), stxstattarget)::text
          FROM pg_statistic_ext s JOIN spaces n ON n.oid = stxnamespace
        UNION ALL
        SELECT 'comment', pg_describe_object(classoid, d.objoid, objsubid), description
          FROM pg_description d WHERE left(description, 8) <> 'safeops '
               AND (d.objoid >= 16384 OR (classoid = 'pg_namespace'::regclass AND d.objoid = 2200))
               AND (classoid <> 'pg_class'::regclass OR d.objoid IN (SELECT oid FROM relations))
        UNION ALL
        SELECT 'extension', extname::text, extnamespace::regnamespace::text FROM pg_extension
        UNION ALL
        SELECT 'publication', pubname::text, (SELECT array_agg(prrelid::regclass ORDER BY prrelid::regclass::text)
          FROM pg_publication_rel WHERE prpubid = p.oid)::text FROM pg_publication p
        UNION ALL
        SELECT 'event trigger', evtname::text, row(evtevent, evtfoid::regproc, evtenabled, evttags)::text
          FROM pg_event_trigger
        UNION ALL
        SELECT 'default privileges', row(defaclrole::regrole, defaclnamespace::regnamespace, defaclobjtype)::text,
               defaclacl::text
          FROM pg_default_acl
    )
    SELECT kind || ' ' || name || ': ' || definition FROM words WHERE name NOT LIKE 'safeops\\_%' ORDER BY 1
"""


class Catalogue(catalogue.Catalogue):
    """Queries the system catalogue inside the open transaction.

    The order of columns is left out, because changes do not preserve it; so are the notes of helpers in comments.
    """

    def lines(self) -> list[str]:
        return [line for (line,) in self.fetched(DESCRIBED)]
