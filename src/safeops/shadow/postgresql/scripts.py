"""The rename of a column as blocks for ``--sql``: they inspect the table, and do what is left to do.

The shadow column gets NOT NULL, and copies of the indexes under a lock that blocks writers. The other constraints of the
column also protect the shadow column, because the trigger writes both. In the end the shadow column is dropped and the
column itself is renamed, with its indexes and constraints.
"""

from __future__ import annotations

from safeops.databases.postgresql.types import procedure
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import MARK, Pair
from safeops.naming import Name
from safeops.shadow.postgresql.copies import IndexCopies
from safeops.shadow.postgresql.triggers import NO_DEFAULT, differ

_DEFAULT = "/*safeops:default*/"

_LOOK = """
  safeops_table := to_regclass({table});
  IF safeops_table IS NULL THEN RAISE EXCEPTION 'there is no table %', {table}; END IF;
  -- The server then raises an error if a policy would hide rows.
  PERFORM set_config('row_security', 'off', true);
  EXECUTE format('SELECT FROM %s LIMIT 0', safeops_table);
  SELECT * INTO safeops_source FROM pg_attribute
    WHERE attrelid = safeops_table AND attname = {source} AND NOT attisdropped;
  safeops_has_source := FOUND;
  SELECT * INTO safeops_twin FROM pg_attribute
    WHERE attrelid = safeops_table AND attname = {twin} AND NOT attisdropped;
  safeops_has_twin := FOUND;
  SELECT (substring(p.prosrc FROM '/[*]{mark}(.*?)[*]/')::json) ->> 'source', g.tgname INTO safeops_from, safeops_trigger
    FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE g.tgrelid = safeops_table AND p.proname = {name} AND NOT g.tgisinternal;"""
_DECLARED = """
  safeops_table regclass; safeops_source pg_attribute; safeops_twin pg_attribute; safeops_from text; safeops_trigger text;
  safeops_has_source boolean; safeops_has_twin boolean; safeops_given boolean;
  safeops_type text; safeops_default text; safeops_file oid;
  safeops_one record;"""

_PAIR_UP = """
  IF safeops_from IS NOT NULL OR (safeops_has_twin AND NOT safeops_has_source) THEN RETURN; END IF;
  IF NOT safeops_has_source THEN RAISE EXCEPTION 'there is no column %', {source}; END IF;
  IF safeops_has_twin THEN RAISE EXCEPTION 'column % exists, but nothing keeps it in sync with %', {twin}, {source}; END IF;
  IF safeops_source.attgenerated <> '' THEN RAISE EXCEPTION 'column % is generated', {source}; END IF;
  safeops_type := format_type(safeops_source.atttypid, safeops_source.atttypmod);
  SELECT pg_get_expr(adbin, adrelid) INTO safeops_default FROM pg_attrdef
    WHERE adrelid = safeops_table AND adnum = safeops_source.attnum AND safeops_source.attidentity = '';
  safeops_given := safeops_default IS NOT NULL OR safeops_source.attidentity <> '';
  IF safeops_default IS NOT NULL THEN
    CREATE TEMPORARY TABLE safeops_probe (a integer) ON COMMIT DROP;
    safeops_file := pg_relation_filenode('pg_temp.safeops_probe');
    EXECUTE format('ALTER TABLE pg_temp.safeops_probe ADD COLUMN b %s DEFAULT %s', safeops_type, safeops_default);
    IF pg_relation_filenode('pg_temp.safeops_probe') <> safeops_file THEN safeops_default := NULL; END IF;
    DROP TABLE pg_temp.safeops_probe;
  END IF;
  EXECUTE format('ALTER TABLE %s ADD COLUMN %I %s%s', safeops_table, {twin}, safeops_type, (
    SELECT format(' COLLATE %s', safeops_source.attcollation::regcollation) FROM pg_type t
    WHERE t.oid = safeops_source.atttypid AND t.typcollation <> safeops_source.attcollation));
  IF safeops_default IS NOT NULL THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET DEFAULT %s', safeops_table, {twin}, safeops_default);
  END IF;
  IF col_description(safeops_table, safeops_source.attnum) IS NOT NULL THEN
    EXECUTE format('COMMENT ON COLUMN %s.%I IS %L', safeops_table, {twin},
      col_description(safeops_table, safeops_source.attnum));
  END IF;
  FOR safeops_one IN SELECT x.privilege_type, x.is_grantable, CASE WHEN x.grantee = 0 THEN 'PUBLIC'
      ELSE quote_ident(pg_get_userbyid(x.grantee)) END AS role FROM aclexplode(safeops_source.attacl) x LOOP
    EXECUTE format('GRANT %s (%I) ON %s TO %s%s', safeops_one.privilege_type, {twin}, safeops_table, safeops_one.role,
      CASE WHEN safeops_one.is_grantable THEN ' WITH GRANT OPTION' ELSE '' END);
  END LOOP;
  EXECUTE CASE WHEN safeops_default IS NOT NULL THEN replace({shared}, '{placeholder}', safeops_default)
    WHEN safeops_given THEN {varying} ELSE {without} END;
  SELECT CASE WHEN max(tgname COLLATE "C") > {name} THEN 'zzzz_' ELSE '' END || {name} INTO safeops_trigger
    FROM pg_trigger WHERE tgrelid = safeops_table AND NOT tgisinternal AND tgtype & 3 = 3;
  EXECUTE format('CREATE TRIGGER %I BEFORE INSERT OR UPDATE ON %s FOR EACH ROW EXECUTE FUNCTION {function_text}()',
    left(safeops_trigger, 63), safeops_table);"""

_FILL = """
  IF safeops_from = {source} THEN
    EXECUTE format('UPDATE %s SET %I = %I WHERE {unfilled}', safeops_table, {twin}, {source});
  END IF;"""

_REQUIRES = """safeops_from = {source} AND safeops_source.attnotnull AND NOT safeops_twin.attnotnull
    AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = safeops_table AND contype = 'n'
      AND conkey = ARRAY[safeops_source.attnum] AND (NOT convalidated OR connoinherit))"""
_PROOF = f"""
  IF {_REQUIRES} AND NOT EXISTS (SELECT FROM pg_constraint WHERE conrelid = safeops_table AND conname = {{proof}}) THEN
    EXECUTE format('ALTER TABLE %s ADD CONSTRAINT %I CHECK (%I IS NOT NULL) NOT VALID', safeops_table, {{proof}}, {{twin}});
  END IF;"""
_NOT_NULL = f"""
  IF {_REQUIRES} THEN
    EXECUTE format('ALTER TABLE %s ALTER COLUMN %I SET NOT NULL', safeops_table, {{twin}});
  END IF;
  EXECUTE format('ALTER TABLE %s DROP CONSTRAINT IF EXISTS %I', safeops_table, {{proof}});"""

_INDEXES = """
  IF safeops_from IS DISTINCT FROM {source} THEN RETURN; END IF;
  EXECUTE format('CREATE TEMPORARY TABLE safeops_probe (LIKE %s) ON COMMIT DROP', safeops_table);
  EXECUTE format('ALTER TABLE pg_temp.safeops_probe DROP COLUMN IF EXISTS %I', {twin});
  FOR safeops_one IN SELECT r.relname, i.indisunique,
      regexp_replace(pg_get_indexdef(r.oid), '^.*? USING ', 'USING ') AS rest
      FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid WHERE i.indrelid = safeops_table AND i.indisvalid
      AND NOT i.indisexclusion AND r.relname NOT LIKE 'safeops%' AND NOT EXISTS (SELECT 1 FROM pg_depend d
      WHERE d.classid = 'pg_class'::regclass AND d.objid = r.oid AND d.refobjid = safeops_table
      AND d.refobjsubid = safeops_twin.attnum) LOOP
    EXECUTE format('CREATE %sINDEX %I ON pg_temp.safeops_probe %s',
      CASE WHEN safeops_one.indisunique THEN 'UNIQUE ' ELSE '' END, safeops_one.relname, safeops_one.rest);
  END LOOP;
  EXECUTE format('ALTER TABLE pg_temp.safeops_probe RENAME COLUMN %I TO %I', {source}, {twin});
  FOR safeops_one IN SELECT r.relname, i.indisunique,
      regexp_replace(pg_get_indexdef(r.oid), '^.*? USING ', 'USING ') AS rest
      FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_index o ON o.indrelid = safeops_table
      JOIN pg_class c ON c.oid = o.indexrelid AND c.relname = r.relname
      WHERE i.indrelid = 'pg_temp.safeops_probe'::regclass
      AND regexp_replace(pg_get_indexdef(r.oid), '^.*? USING ', 'USING ')
        <> regexp_replace(pg_get_indexdef(c.oid), '^.*? USING ', 'USING ') LOOP
    EXECUTE format('CREATE %sINDEX IF NOT EXISTS %I ON %s %s',
      CASE WHEN safeops_one.indisunique THEN 'UNIQUE ' ELSE '' END,
      left(format('safeops_%s_%s', {twin}, safeops_one.relname), 63), safeops_table, safeops_one.rest);
  END LOOP;"""

_PART = """
  IF safeops_from IS NULL THEN
    IF safeops_has_twin THEN RAISE EXCEPTION '% is missing', {missing}; END IF;
    RETURN;
  END IF;
  EXECUTE format('LOCK TABLE %s IN SHARE ROW EXCLUSIVE MODE', safeops_table);
  EXECUTE format('SELECT count(*) AS found FROM (SELECT FROM %s WHERE {disagree} AND NOT (%L AND {unfilled}) LIMIT 1) one',
    safeops_table, safeops_from = {source}) INTO safeops_one;
  IF safeops_one.found > 0 THEN
    RAISE EXCEPTION 'rows of % have values in % and % that disagree', safeops_table, {source}, {twin};
  END IF;
  FOR safeops_one IN SELECT pg_describe_object(d.classid, d.objid, d.objsubid) AS what FROM pg_depend d
      LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
      LEFT JOIN pg_attrdef g ON d.classid = 'pg_attrdef'::regclass AND g.oid = d.objid
      WHERE d.refobjid = safeops_table AND d.refobjsubid = safeops_twin.attnum AND d.deptype IN ('n', 'a')
      AND (r.ev_class <> safeops_table OR g.adnum <> safeops_twin.attnum
        OR d.classid IN ('pg_policy'::regclass, 'pg_trigger'::regclass)) LOOP
    RAISE EXCEPTION 'column % of % cannot be dropped: % depends on it', {twin}, safeops_table, safeops_one.what;
  END LOOP;
  EXECUTE format('LOCK TABLE %s IN ACCESS EXCLUSIVE MODE', safeops_table);
  EXECUTE format('DROP TRIGGER %I ON %s', safeops_trigger, safeops_table);
  DROP FUNCTION {function}();
  FOR safeops_one IN SELECT k.conname, k.conrelid::regclass AS child FROM pg_constraint k WHERE k.contype = 'f'
      AND k.confrelid = safeops_table AND k.conname LIKE 'safeops%' LOOP
    EXECUTE format('ALTER TABLE %s DROP CONSTRAINT %I', safeops_one.child, safeops_one.conname);
  END LOOP;
  IF safeops_from = {source} THEN
    EXECUTE format('ALTER TABLE %s DROP COLUMN %I', safeops_table, {twin});
  ELSE
    EXECUTE format('ALTER TABLE %s DROP COLUMN %I', safeops_table, {source});
    EXECUTE format('ALTER TABLE %s RENAME COLUMN %I TO %I', safeops_table, {twin}, {source});
  END IF;"""


class OfflineScripts(IndexCopies):
    """The scripts of renames."""

    renders_offline = True

    def script_start(self, pair: Pair) -> Plan:
        table = pair.table
        yield self._block(pair, _PAIR_UP, f"added {table}.{pair.shadow}, in sync with {pair.source}")
        yield self._block(pair, _FILL, f"filled {table}.{pair.shadow}")
        yield self._block(pair, _PROOF, f"added a check that {table}.{pair.shadow} has values")
        yield self.database.ddl.validation(table, self._proof(pair))
        yield self._block(pair, _NOT_NULL, f"{table}.{pair.shadow} is NOT NULL if {pair.source} is")
        yield self._block(pair, _INDEXES, f"built the indexes of {table}.{pair.shadow}")

    def script_stop(self, pair: Pair, missing: str) -> Plan:
        yield self._block(pair, _PART, f"dropped column {pair.table}.{pair.shadow}", missing)

    def _block(self, pair: Pair, body: str, does: str, missing: str = "") -> Step:
        """Fill in a body; ``source`` is the column that is kept, ``shadow`` the one that is added or dropped."""
        kinds = (None, NO_DEFAULT, _DEFAULT)
        varying, without, shared = (self._trigger_function(pair, default) for default in kinds)
        source, shadow = self.quoted(pair.source), self.quoted(pair.shadow)
        function = self.quoted_table(Name(pair.name, pair.table.schema))
        texts = {
            "table": self.literal(self.quoted_table(pair.table)),
            "source": self.literal(pair.source),
            "twin": self.literal(pair.shadow),
            "name": self.literal(pair.name),
            "function": function,
            "function_text": _in_format(function),
            "varying": self.literal(varying),
            "without": self.literal(without),
            "shared": self.literal(shared),
            "missing": self.literal(missing),
            "proof": self.literal(self._proof(pair)),
            "unfilled": _in_format(self.unfilled(pair)),
            "disagree": _in_format(differ(source, shadow)),
            "mark": MARK,
            "placeholder": _DEFAULT,
        }
        filled = _LOOK + body
        for name, text in texts.items():
            filled = filled.replace(f"{{{name}}}", text)
        return Step("", does, (pair.table,), offline=procedure(_DECLARED, filled))

    def _proof(self, pair: Pair) -> str:
        return self.fitting("safeops_not_null", pair.table.name, pair.shadow)

    def _trigger_function(self, pair: Pair, default: str | None) -> str:
        statements = self.trigger_statements(pair, default, [], certain=False)
        return next(statement for statement in statements if statement.startswith("CREATE FUNCTION"))


def _in_format(sql: str) -> str:
    """Escape SQL for a string that format() reads."""
    return sql.replace("%", "%%").replace("'", "''")
