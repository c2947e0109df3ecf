"""The content of a database, as text that can be compared: its whole schema, and the rows of its tables."""

from __future__ import annotations

import difflib
import re
from typing import Any

import sqlalchemy as sa

from tests.servers import Database, PostgreSQL

VERSION_TABLE = "alembic_version"
KEPT = (VERSION_TABLE, "safeops_backfill", "safeops_former_types", "safeops_archives")
"""The tables in which Alembic and safeops keep their state: not a part of the application's schema."""


def snapshot(database: Database, *, exact: bool = False) -> str:
    """The whole schema, Alembic's version table excepted.

    PostgreSQL: pg_dump of the server's own version, and which indexes and constraints are valid.
    MariaDB: SHOW CREATE of everything. SQLite: what the PRAGMAs report of each table and what only its text
    contains (checks, collations); a rebuilt table is equal if it means the same.

    Args:
        exact: on SQLite, the exact text in sqlite_master.
    """
    if database.kind == "postgresql":
        return _postgresql(database)
    if database.kind == "mysql":
        return _mariadb(database)
    return _sqlite_text(database) if exact else _sqlite(database)


def definitions(database: Database, *, exact: bool = False) -> str:
    """The whole schema, to compare only: what snapshot() returns, or on PostgreSQL the catalogue's own words.

    A query of the catalogue takes a quarter of the time of pg_dump.
    """
    return _described(database) if database.kind == "postgresql" else snapshot(database, exact=exact)


def unordered(database: Database) -> str:
    """The definitions without the places of the columns in their table, which no ALTER TABLE keeps."""
    lines = (line.strip().rstrip(",") for line in definitions(database).splitlines())
    return "\n".join(sorted(line for line in lines if "COPY " not in line and not line.startswith("order of columns ")))


def rows(database: Database, table: str, schema: str | None = None) -> list[tuple[Any, ...]]:
    """Every row of a table, sorted."""
    names = [table] if schema is None else [schema, table]
    return sorted(database.query(f"SELECT * FROM {database.quoted(*names)}"), key=repr)


def all_rows(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """The rows of every table, but for Alembic's and those that safeops keeps for itself."""
    with database.observing().connect() as connection:
        inspector = sa.inspect(connection)
        schemas: list[str | None] = [None]
        if database.kind == "postgresql":
            ours = ("information_schema", inspector.default_schema_name)
            schemas += [name for name in inspector.get_schema_names() if name not in ours]
        tables = [(schema, name) for schema in schemas for name in inspector.get_table_names(schema)]
        return {
            name if schema is None else f"{schema}.{name}": _rows(
                connection, database.quoted(*filter(None, (schema, name)))
            )
            for schema, name in tables
            if name != VERSION_TABLE and not (schema or name).startswith("safeops")
        }


def _rows(connection: sa.Connection, table: str) -> list[tuple[Any, ...]]:
    found = connection.execution_options(no_parameters=True).exec_driver_sql(f"SELECT * FROM {table}")
    return sorted((tuple(row) for row in found), key=repr)


def difference(before: Any, after: Any) -> str:
    """A unified diff of two snapshots, or of two sets of rows; empty if they are equal."""
    left, right = (_lines(value) for value in (before, after))
    return "\n".join(difflib.unified_diff(left, right, "before", "after", lineterm="", n=2))


def assert_same(before: Any, after: Any, when: str) -> None:
    if before != after:
        raise AssertionError(f"{when}:\n{difference(before, after)}")


def _lines(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [f"{name}: {row}" for name, found in value.items() for row in found]
    return str(value).splitlines()


# --- PostgreSQL ------------------------------------------------------------------------------------------

# pg_dump leaves an invalid index out.
_INVALID = f"""
    SELECT 'index ' || i.indexrelid::regclass || ' on ' || i.indrelid::regclass ||
           CASE WHEN i.indisvalid THEN '' ELSE ' INVALID' END ||
           CASE WHEN i.indisready THEN '' ELSE ' NOT READY' END
      FROM pg_index i JOIN pg_class c ON c.oid = i.indexrelid JOIN pg_namespace n ON n.oid = c.relnamespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema'
       AND i.indrelid::regclass::text <> ALL (ARRAY{list(KEPT)})
    UNION ALL
    SELECT 'constraint ' || k.conname || ' on ' || k.conrelid::regclass ||
           CASE WHEN k.convalidated THEN '' ELSE ' NOT VALID' END
      FROM pg_constraint k JOIN pg_namespace n ON n.oid = k.connamespace
     WHERE n.nspname !~ '^pg_' AND n.nspname <> 'information_schema' AND k.conrelid <> 0
       AND k.conrelid::regclass::text <> ALL (ARRAY{list(KEPT)})
     ORDER BY 1
"""
_NOISE = re.compile(
    r"--|\\(?:un)?restrict |SET (?:\w+_timeout|client_encoding|client_min_messages|row_security|xmloption"
    r"|standard_conforming_strings|check_function_bodies|default_table\w+|default_with_oids) |"
    r"SELECT pg_catalog\.set_config\("
)


def _postgresql(database: Database) -> str:
    server = database.server
    assert isinstance(server, PostgreSQL)
    dumped = [line for line in server.dump(database.name).splitlines() if line and not _NOISE.match(line)]
    return "\n".join([*dumped, *(str(line) for (line,) in database.query(_INVALID))])


_OURS = "nspname !~ '^pg_' AND nspname <> 'information_schema'"
_DESCRIBED = f"""
    WITH spaces AS (SELECT * FROM pg_namespace WHERE {_OURS}),
    relations AS (
        SELECT c.oid::regclass::text AS relation, c.* FROM pg_class c JOIN spaces n ON n.oid = relnamespace
         WHERE nspname || '.' || relname <> ALL (ARRAY{[f"public.{name}" for name in KEPT]})
    ),
    words (kind, name, said) AS (
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
        SELECT 'order of columns', attrelid::regclass::text, string_agg(attname, ', ' ORDER BY attnum)
          FROM relations JOIN pg_attribute ON attrelid = oid
         WHERE relkind NOT IN ('i', 'I', 't', 'S') AND attnum > 0 AND NOT attisdropped GROUP BY attrelid
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
          FROM pg_description d WHERE (d.objoid >= 16384 OR (classoid = 'pg_namespace'::regclass AND d.objoid = 2200))
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
    SELECT kind, name, said FROM words ORDER BY kind, name COLLATE "C", said COLLATE "C"
"""


def _described(database: Database) -> str:
    """The catalogue's rows with names in the place of numbers, with any search_path."""
    with database.observing().connect() as connection:
        sent = connection.execution_options(no_parameters=True)
        sent.exec_driver_sql("SET LOCAL search_path = ''")
        return "\n".join(f"{kind} {name}: {said}" for kind, name, said in sent.exec_driver_sql(_DESCRIBED))


# --- MariaDB ---------------------------------------------------------------------------------------------


def _mariadb(database: Database) -> str:
    found: list[str] = []
    for table, kind in sorted(database.query("SHOW FULL TABLES")):
        if table not in KEPT:
            verb = {"VIEW": "VIEW", "SEQUENCE": "SEQUENCE"}.get(kind, "TABLE")
            found.append(_shown(database, verb, table, 1))
    triggers = "SELECT trigger_name FROM information_schema.triggers WHERE trigger_schema = DATABASE() ORDER BY 1"
    found += [_shown(database, "TRIGGER", name, 2) for (name,) in database.query(triggers)]
    routines = "SELECT routine_type, routine_name FROM information_schema.routines"
    routines += " WHERE routine_schema = DATABASE() ORDER BY 1, 2"
    found += [_shown(database, kind, name, 2) for kind, name in database.query(routines)]
    return "\n".join(found)


def _shown(database: Database, kind: str, name: str, column: int) -> str:
    text = str(database.query(f"SHOW CREATE {kind} {database.quoted(name)}")[0][column])
    # The counter belongs to the rows, not to the schema.
    return re.sub(r" AUTO_INCREMENT=\d+", "", text)


# --- SQLite ----------------------------------------------------------------------------------------------

_MASTER = f"""
    SELECT type, name, tbl_name, sql FROM sqlite_master
     WHERE tbl_name NOT IN {KEPT} AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' ORDER BY type DESC, name
"""


def _sqlite_text(database: Database) -> str:
    return "\n".join(f"{sql};" for *_, sql in database.query(_MASTER))


def _sqlite(database: Database) -> str:
    found: list[str] = []
    for kind, name, table, sql in database.query(_MASTER):
        if kind == "table":
            found += [f"TABLE {name}{_table_flags(sql)}", *_sqlite_table(database, name, sql)]
        elif kind == "index":
            found.append(_normal(sql))
        else:
            found.append(f"{kind} on {table}: {_normal(sql)}")
    return "\n".join(found)


def _sqlite_table(database: Database, table: str, sql: str) -> list[str]:
    name = "'" + table.replace("'", "''") + "'"
    found = []
    columns = database.query(f'SELECT name, type, "notnull", dflt_value, pk, hidden FROM pragma_table_xinfo({name})')
    keys = [column for column in columns if column[4]]
    for column, type_, notnull, default, pk, hidden in columns:
        # INTEGER PRIMARY KEY is the row id, which is never NULL, declared so or not.
        rowid = pk and len(keys) == 1 and type_.upper() == "INTEGER"
        null = " NOT NULL" if notnull or rowid else ""
        found.append(f"  {column} {type_.upper()}{null} DEFAULT {default} pk={pk} hidden={hidden}")
    # By their content, not by their number, which is the order of their declaration.
    links = database.query(
        f'SELECT id, "table", seq, "from", "to", on_update, on_delete FROM pragma_foreign_key_list({name})'
    )
    by_id: dict[int, list[str]] = {}
    for number, target, _seq, source, referred, on_update, on_delete in sorted(links, key=repr):
        by_id.setdefault(number, []).append(f"{source} -> {target}.{referred} {on_update} {on_delete}")
    found += sorted(f"  FOREIGN KEY {', '.join(parts)}" for parts in by_id.values())
    uniques = database.query(f"SELECT name FROM pragma_index_list({name}) WHERE origin = 'u'")
    found += sorted("  UNIQUE " + _index_columns(database, unique) for (unique,) in uniques)
    return [*found, *_from_text(sql)]


def _index_columns(database: Database, index: str) -> str:
    quoted = "'" + index.replace("'", "''") + "'"
    return str(database.query(f'SELECT name, "desc", coll FROM pragma_index_xinfo({quoted}) WHERE key'))


def _table_flags(sql: str) -> str:
    tail = sql[sql.rindex(")") :]
    return "".join(
        f" {flag}"
        for flag, text in (("AUTOINCREMENT", sql), ("WITHOUT ROWID", tail), ("STRICT", tail))
        if re.search(rf"\b{flag}\b", text, re.IGNORECASE)
    )


def _from_text(sql: str) -> list[str]:
    """What no PRAGMA reports: names of constraints, checks, generated columns, collations."""
    text = _normal(sql)
    found = [
        f"  CHECK {_balanced(text, match.end() - 1)}" for match in re.finditer(r"\bCHECK ?\(", text, re.IGNORECASE)
    ]
    found += [f"  AS {_balanced(text, match.end() - 1)}" for match in re.finditer(r"\bAS ?\(", text, re.IGNORECASE)]
    found += [f"  CONSTRAINT {match[1]}" for match in re.finditer(r'\bCONSTRAINT ("[^"]+"|\w+)', text, re.IGNORECASE)]
    found += [f"  COLLATE {match[1].upper()}" for match in re.finditer(r'\bCOLLATE "?(\w+)"?', text, re.IGNORECASE)]
    found += ["  DEFERRABLE"] * len(re.findall(r"\bDEFERRABLE\b", text, re.IGNORECASE))
    return sorted(found)


def _balanced(text: str, start: int) -> str:
    depth = 0
    for position, character in enumerate(text[start:], start):
        depth += {"(": 1, ")": -1}.get(character, 0)
        if depth == 0:
            return text[start : position + 1]
    return text[start:]


def _normal(sql: str) -> str:
    """The same statement in one line, without quotes around plain names; strings stay as they are."""
    parts = re.split(r"('(?:[^']|'')*')", sql)
    return "".join(part if part.startswith("'") else _normal_words(part) for part in parts).strip()


def _normal_words(text: str) -> str:
    text = re.sub(r'[`"\[](\w+)[`"\]]', r"\1", text)
    return re.sub(r"\s*([(),])\s*", r"\1", re.sub(r"\s+", " ", text))
