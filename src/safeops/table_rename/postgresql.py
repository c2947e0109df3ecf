"""Renames tables on PostgreSQL: one transaction renames the table and creates or drops the view.

The block is the same online and for ``--sql``: it reads columns, defaults and grants itself, under the lock.
A statement that waits for the lock resolves the name again when it gets it, and uses the view.
"""

from __future__ import annotations

from dataclasses import replace

from safeops.databases.definitions import Table
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.types import in_dollars
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import RENAMED
from safeops.naming import Name
from safeops.planned import NO_LOCK
from safeops.table_rename import port
from safeops.table_rename.port import RenamedTable

INVOKER_SINCE = (15,)

_TABLE = """EXISTS (SELECT 1 FROM pg_class WHERE oid = {} AND relkind IN ('r', 'p', 'f'))"""
_OURS = """EXISTS (SELECT 1 FROM pg_depend d JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
    WHERE r.ev_class = {} AND d.refclassid = 'pg_class'::regclass AND d.refobjid = {}
      AND starts_with(obj_description(r.ev_class, 'pg_class'), {}))"""

# A view on the table, with its columns, defaults, owner and rights. https://www.postgresql.org/docs/current/sql-createview.html
_VIEW = """
    IF current_setting('server_version_num')::int < 150000 AND (SELECT relrowsecurity FROM pg_class WHERE oid = base) THEN
      RAISE feature_not_supported USING MESSAGE = 'safeops: below PostgreSQL 15 a view bypasses the row security of '
        || base::text;
    END IF;
    EXECUTE format('CREATE VIEW %s %s AS SELECT %s FROM %s', old_name,
      CASE WHEN current_setting('server_version_num')::int >= 150000 THEN 'WITH (security_invoker = true)' ELSE '' END,
      (SELECT string_agg(quote_ident(attname), ', ' ORDER BY attnum) FROM pg_attribute
        WHERE attrelid = base AND attnum > 0 AND NOT attisdropped), base);
    old_view := to_regclass(old_name);
    IF (SELECT c.relowner <> t.relowner FROM pg_class c, pg_class t WHERE c.oid = old_view AND t.oid = base) THEN
      EXECUTE format('ALTER VIEW %s OWNER TO %s', old_name, (SELECT relowner::regrole FROM pg_class WHERE oid = base));
    END IF;
    EXECUTE format('COMMENT ON VIEW %s IS %L', old_name, note);
    -- SET column = DEFAULT through a view takes the view's own default.
    FOR one IN SELECT a.attname, pg_get_expr(d.adbin, d.adrelid) AS value FROM pg_attrdef d
      JOIN pg_attribute a ON a.attrelid = d.adrelid AND a.attnum = d.adnum
      WHERE d.adrelid = base AND a.attgenerated = '' LOOP
      EXECUTE format('ALTER VIEW %s ALTER COLUMN %I SET DEFAULT %s', old_name, one.attname, one.value);
    END LOOP;
    -- ALTER DEFAULT PRIVILEGES may have given the view rights that the table does not give.
    FOR one IN SELECT DISTINCT CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who
      FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) WHERE c.oid = old_view LOOP
      EXECUTE format('REVOKE ALL ON %s FROM %s', old_name, one.who);
    END LOOP;
    FOR one IN SELECT privilege_type AS what, CASE WHEN grantee = 0 THEN 'PUBLIC' ELSE grantee::regrole::text END AS who,
        bool_or(is_grantable) AS passed_on
      FROM pg_class c, aclexplode(coalesce(c.relacl, acldefault('r', c.relowner))) WITH ORDINALITY AS x
        (grantor, grantee, privilege_type, is_grantable, place)
      WHERE c.oid = base GROUP BY privilege_type, grantee ORDER BY min(place) LOOP
      EXECUTE format('GRANT %s ON %s TO %s%s', one.what, old_name, one.who,
        CASE WHEN one.passed_on THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;
    FOR one IN SELECT a.attname, x.privilege_type AS what,
        CASE WHEN x.grantee = 0 THEN 'PUBLIC' ELSE x.grantee::regrole::text END AS who, bool_or(x.is_grantable) AS passed_on
      FROM pg_attribute a, aclexplode(a.attacl) WITH ORDINALITY AS x (grantor, grantee, privilege_type, is_grantable, place)
      WHERE a.attrelid = base AND a.attnum > 0 AND NOT a.attisdropped
      GROUP BY a.attname, x.privilege_type, x.grantee ORDER BY min(x.place) LOOP
      EXECUTE format('GRANT %s (%I) ON %s TO %s%s', one.what, one.attname, old_name, one.who,
        CASE WHEN one.passed_on THEN ' WITH GRANT OPTION' ELSE '' END);
    END LOOP;"""

# The names come apart, and go together in the schema in which the one or the other is found.
_BLOCK = """DECLARE
  note CONSTANT text := {note};
  old_plain CONSTANT text := {old};
  new_plain CONSTANT text := {new};
  home CONSTANT text := coalesce({schema}, (SELECT n.nspname FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
    WHERE c.oid = coalesce(to_regclass(quote_ident(old_plain)), to_regclass(quote_ident(new_plain)))));
  old_name CONSTANT text := format('%I.%I', home, old_plain);
  new_name CONSTANT text := format('%I.%I', home, new_plain);
  found regclass := to_regclass(old_name);
  base regclass := to_regclass(new_name);
  old_view regclass;
  one record;
BEGIN
  IF {condition} THEN{action}
  ELSIF NOT coalesce({done}, false) THEN
    RAISE EXCEPTION 'safeops: % and % are not as they should be', old_plain, new_plain;
  END IF;
EXCEPTION WHEN duplicate_table OR undefined_table OR wrong_object_type OR unique_violation THEN
  -- Another runner may have done it while this one waited.
  found := to_regclass(old_name);
  base := to_regclass(new_name);
  IF NOT coalesce({done}, false) THEN
    RAISE;
  END IF;
END"""

# Functions that take a row of the table: for a row of the view, the server would not find them.
_ROW_FUNCTIONS = """SELECT p.oid::regprocedure::text FROM pg_proc p JOIN pg_type t ON t.oid = ANY (p.proargtypes)
  WHERE t.typrelid = :id LIMIT 5"""


class TableRenames(port.TableRenames):
    """The plans of a renamed table."""

    def check_rename(self, table: Table) -> None:
        kept = f"Keeping the old name of {table.name} readable and writable"
        has_policies = "SELECT relrowsecurity FROM pg_class WHERE oid = :id"
        if self.database.version < INVOKER_SINCE and self.scalar(has_policies, id=table.id):
            raise self.database.unsupported(
                f"{kept}, with its row security,",
                "PostgreSQL 15: in earlier versions a view bypasses the policies of the table",
            )
        functions = [row[0] for row in self.read(_ROW_FUNCTIONS, id=table.id)]
        if functions:
            raise self.database.unsupported(
                f"{kept}, of which functions take whole rows ({', '.join(functions)}),",
                "functions that take columns: a row of a view has another type",
            )

    def shows(self, view: Table, table: Table) -> bool:
        ours = _OURS.format(view.id, table.id, _literal(RENAMED))
        return view.kind == "view" and bool(self.scalar(sealed(f"SELECT {ours}")))

    def rename_table(self, names: RenamedTable) -> Plan:
        if names.is_new is not True:
            action = f"""
    base := found;
    EXECUTE format('ALTER TABLE %s RENAME TO %I', old_name, new_plain);{_VIEW}"""
            condition = f"{_TABLE.format('found')} AND base IS NULL"
            does = f"renamed table {names.old} to {names.new}, and keep the old name as a view"
            # Also done: the table is already renamed, with or without the view.
            done = f"{_TABLE.format('base')} AND (found IS NULL OR {self._ours()})"
            yield self._step(names, condition, action, done, does, names.old)

    def drop_old_name(self, names: RenamedTable) -> Plan:
        if names.has_view is not False:
            action = "\n    EXECUTE format('DROP VIEW %s', old_name);"
            done = f"found IS NULL AND {_TABLE.format('base')}"
            yield self._step(names, self._ours(), action, done, f"dropped the old name {names.old}", names.old)

    def rename_back(self, names: RenamedTable) -> Plan:
        if names.has_view is not False:
            # The view first, in the order in which the application locks them: the other order could deadlock.
            action = """
    EXECUTE format('DROP VIEW %s', old_name);
    EXECUTE format('ALTER TABLE %s RENAME TO %I', base, old_plain);"""
            done = f"base IS NULL AND {_TABLE.format('found')}"
            does = f"renamed table {names.new} back to {names.old}"
            yield self._step(names, self._ours(), action, done, does, names.old, names.new)

    def restore_old_name(self, names: RenamedTable) -> Plan:
        if names.has_view is not True:
            condition = f"found IS NULL AND {_TABLE.format('base')}"
            does = f"restored the old name {names.old} of {names.new}"
            step = self._step(names, condition, _VIEW, self._ours(), does, names.new)
            # Creating a view only reads the table.
            yield replace(step, lock=NO_LOCK)

    def _ours(self) -> str:
        return _OURS.format("found", "base", "note")

    def _step(self, names: RenamedTable, condition: str, action: str, done: str, does: str, *locks: Name) -> Step:
        body = _BLOCK.format(
            old=_literal(names.old.name),
            new=_literal(names.new.name),
            schema=_literal(names.old.schema) if names.old.schema else "NULL",
            note=_literal(RENAMED),
            condition=condition,
            action=action,
            done=done,
        )
        return Step(f"DO {in_dollars(sealed(body))}", does, locks, offline=f"DO {in_dollars(body)}")


def _literal(value: str) -> str:
    """Write a string that backslashes do not change, under any setting of the session."""
    quoted = value.replace("'", "''")
    return f"'{quoted}'" if "\\" not in value else " E'" + quoted.replace("\\", "\\\\") + "'"
