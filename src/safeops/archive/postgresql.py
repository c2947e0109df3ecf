"""Archives on PostgreSQL: each change of the catalogue is one transaction, complete or rolled back."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from safeops.archive import port
from safeops.archive.port import Definition
from safeops.databases.definitions import Column, Constraint, Table
from safeops.databases.postgresql.constraints import not_null_of, rules_of
from safeops.databases.postgresql.indexes import concurrently
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.server import SHARE_ROW_EXCLUSIVE
from safeops.databases.postgresql.types import IS_DELETE, IS_INSERT, SAFE_PATH
from safeops.databases.steps import Plan, Step
from safeops.naming import Name
from safeops.planned import Effect

if TYPE_CHECKING:
    from safeops.databases.postgresql import PostgreSQL

COLUMN = """
SELECT json_build_object(
  'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull, 'comment', col_description(a.attrelid, a.attnum),
  'collation', CASE WHEN a.attcollation <> t.typcollation THEN (
    SELECT quote_ident(n.nspname) || '.' || quote_ident(l.collname)
    FROM pg_collation l JOIN pg_namespace n ON n.oid = l.collnamespace WHERE l.oid = a.attcollation) END,
  'default', pg_get_expr(d.adbin, d.adrelid), 'generated', a.attgenerated, 'identity', a.attidentity,
  'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, 'compression', nullif(a.attcompression, ''),
  'statistics', nullif(a.attstattarget, -1), 'options', a.attoptions,
  'grants', (SELECT json_agg(json_build_array(g.privilege_type, CASE WHEN g.grantee = 0 THEN 'PUBLIC'
    ELSE quote_ident(pg_get_userbyid(g.grantee)) END, g.is_grantable)) FROM aclexplode(a.attacl) g),
  'sequences', (SELECT json_agg(json_build_array(n.nspname, s.relname, 'AS ' || format_type(q.seqtypid, NULL)
    || ' INCREMENT BY ' || q.seqincrement || ' MINVALUE ' || q.seqmin || ' MAXVALUE ' || q.seqmax || ' START WITH '
    || q.seqstart || ' CACHE ' || q.seqcache || CASE WHEN q.seqcycle THEN ' CYCLE' ELSE ' NO CYCLE' END) ORDER BY s.relname)
    FROM pg_depend p JOIN pg_class s ON s.oid = p.objid AND s.relkind = 'S' JOIN pg_namespace n ON n.oid = s.relnamespace
    JOIN pg_sequence q ON q.seqrelid = s.oid
    WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass
    AND p.refobjid = a.attrelid AND p.refobjsubid = a.attnum AND p.deptype IN ('a', 'i')))::text
FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
LEFT JOIN pg_attrdef d ON d.adrelid = a.attrelid AND d.adnum = a.attnum
WHERE a.attrelid = :id AND a.attname = :column
"""
# Objects of the table that have their own names in the schema.
PARTS = """
SELECT 'INDEX', r.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid WHERE i.indrelid = :id
UNION ALL SELECT 'SEQUENCE', s.relname FROM pg_depend p JOIN pg_class s ON s.oid = p.objid AND s.relkind = 'S'
  WHERE p.classid = 'pg_class'::regclass AND p.refclassid = 'pg_class'::regclass AND p.refobjid = :id
  AND p.deptype IN ('a', 'i')
UNION ALL SELECT 'STATISTICS', s.stxname FROM pg_statistic_ext s JOIN pg_class c ON c.oid = s.stxrelid
  WHERE s.stxrelid = :id AND s.stxnamespace = c.relnamespace
ORDER BY 1, 2
"""


class Archives(port.Archives):
    """See ``safeops.archive.port``."""

    database: PostgreSQL

    def schema_of_new(self, schema: str | None) -> str | None:
        return schema or self.scalar("SELECT current_schema()")

    def archive_refusal(self, table: Table, column: str | None) -> str | None:
        if table.kind != "table":
            return f"it is a {table.kind}"
        if self.scalar("SELECT 1 FROM pg_inherits WHERE :id IN (inhrelid, inhparent) LIMIT 1", id=table.id):
            return "it inherits from another table or has children, as partitions do"
        if column is not None:
            self.database.refuse_hidden_rows([table.name])
        return None

    # Columns ----------------------------------------------------------------------------------------------------

    def describe_column(self, table: Table, column: str) -> Definition:
        # Without a search path the server writes out the schema of every name.
        with self.database.transaction():
            self.run("SET LOCAL search_path = pg_catalog")
            found: Definition = json.loads(self.scalar(COLUMN, id=table.id, column=column))
            whole = self.database.table(table.name) or table
        if not found["options"]:
            # Few columns have them, and earlier archives do not name them.
            del found["options"]
        own = whole.things_using(column)
        found["spelled"] = table.columns[column].type
        found["constraints"] = [
            [
                owned.name,
                owned.kind,
                owned.definition,
                owned.valid,
                [owned.referent.schema, owned.referent.name] if owned.referent else None,
            ]
            for owned in own
            if isinstance(owned, Constraint) and owned.kind != "not null"
        ]
        names = {one.name for one in own} | {row[0] for row in found["constraints"]}
        indexes = [index for index in whole.indexes.values() if index.name in names]
        found["indexes"] = [[index.name, index.definition, index.of_constraint, index.comment] for index in indexes]
        not_null = not_null_of(whole, column)
        found["not_null_rules"] = None if not_null is None else [not_null.name, rules_of(not_null), not_null.valid]
        computed = bool(found["generated"])
        fill = None if computed else found["default"]
        return {
            **found,
            "name": column,
            "required": not whole.columns[column].nullable,
            "computed": computed,
            "fill": fill,
        }

    def column_of_archive(self, definition: Definition) -> Column:
        return Column(definition["name"], definition["spelled"])

    def create_archive(self, table: Table, column: str, key: Sequence[Column], archive: Name) -> Plan:
        keys = [one.name for one in key]
        own, quoted = self.quoted_table(table.name), self.quoted_table(archive)
        function, trigger = self._follower(archive), self.quoted(archive.name)
        yield Step(
            f"CREATE TABLE {quoted} AS SELECT {self.quoted(*keys, column)} FROM {own} WITH NO DATA",
            f"created {archive} with triggers that copy writes to {table.name}.{column}",
            (table.name,),
            lock=SHARE_ROW_EXCLUSIVE,
            then=(
                f"ALTER TABLE {quoted} ADD PRIMARY KEY ({self.quoted(*keys)})",
                self._following(function, keys, column, quoted),
                f"CREATE TRIGGER {trigger} AFTER INSERT OR UPDATE OR DELETE ON {own}"
                f" FOR EACH ROW EXECUTE FUNCTION {function}()",
                # Also for writes of replication.
                f"ALTER TABLE {own} ENABLE ALWAYS TRIGGER {trigger}",
            ),
        )

    def _following(self, function: str, keys: Sequence[str], column: str, archive: str) -> str:
        quoted, value = [self.quoted(key) for key in keys], self.quoted(column)
        old, new = (", ".join(f"{row}.{one}" for one in quoted) for row in ("OLD", "NEW"))
        matched = " AND ".join(f"kept.{one} OPERATOR(pg_catalog.=) OLD.{one}" for one in quoted)
        # The application needs no privileges on the archive.
        return f"""CREATE OR REPLACE FUNCTION {function}() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER
{SAFE_PATH} AS $safeops$
#variable_conflict use_column
BEGIN
  IF NOT {IS_INSERT} THEN
    IF {IS_DELETE} OR NOT pg_catalog.record_image_eq(ROW({old}), ROW({new})) THEN
      DELETE FROM {archive} AS kept WHERE {matched};
    END IF;
  END IF;
  IF NOT {IS_DELETE} THEN
    INSERT INTO {archive} ({", ".join(quoted)}, {value}) VALUES ({new}, NEW.{value})
      ON CONFLICT ({", ".join(quoted)}) DO UPDATE SET {value} = EXCLUDED.{value};
  END IF;
  RETURN NULL;
END $safeops$"""

    def _follower(self, archive: Name) -> str:
        return self.quoted_table(Name(f"{archive.name}_follow", archive.schema))

    def is_followed(self, table: Name, archive: Name) -> bool:
        sql = f"""SELECT count(*) FROM pg_trigger WHERE tgrelid = {self.database.ddl.regclass(table)} AND tgenabled = 'A'
            AND tgname = {self.literal(archive.name)}"""
        return bool(self.scalar(sealed(sql)))

    def stop_following(self, table: Name, archive: Name) -> Plan:
        drop, *then = self._stop_following_sqls(table, archive)
        yield Step(drop, f"dropped the triggers of {archive} on {table}", (table,), tuple(then))

    def _stop_following_sqls(self, table: Name, archive: Name) -> list[str]:
        trigger = f"DROP TRIGGER IF EXISTS {self.quoted(archive.name)} ON {self.quoted_table(table)}"
        return [trigger, f"DROP FUNCTION IF EXISTS {self._follower(archive)}()"]

    def drop_archived_column(
        self, table: Table, column: str, key: Sequence[Column], archive: Name, definition: Definition
    ) -> Plan:
        # The first statement takes the lock, and the last write before it is in the archive.
        first, *then = self._stop_following_sqls(table.name, archive)
        for place, kept in enumerate(self._kept_sequences(archive, definition)):
            then += self._keep_sequence(kept, *definition["sequences"][place], is_identity=bool(definition["identity"]))
        for step in self.database.ddl.drop_column(table.name, column, table):
            yield Step(first, f"{step.does}; its values are in {archive}", step.locks, (*then, step.sql, *step.then))

    def _kept_sequences(self, archive: Name, definition: Definition) -> list[Name]:
        return [Name(f"{archive.name}_{place}", one[0]) for place, one in enumerate(definition.get("sequences") or ())]

    def _keep_sequence(self, kept: Name, schema: str, name: str, options: str, *, is_identity: bool) -> Iterator[str]:
        sequence = self.quoted_table(Name(name, schema))
        if is_identity:
            # It cannot be detached from its column: another sequence keeps its value.
            yield f"CREATE SEQUENCE {self.quoted_table(kept)} {options}"
            yield f"SELECT setval({self.literal(self.quoted_table(kept))}, last_value, is_called) FROM {sequence}"
            return
        yield f"ALTER SEQUENCE {sequence} OWNED BY NONE"
        yield f"ALTER SEQUENCE {sequence} RENAME TO {self.quoted(kept.name)}"

    def restore_column(self, table: Table, column: str, definition: Definition) -> Plan:
        own, quoted = self.quoted_table(table.name), self.quoted(column)
        spec = definition["type"] + (f" COLLATE {definition['collation']}" if definition["collation"] else "")
        if definition["generated"]:
            kind = {"s": "STORED", "v": "VIRTUAL"}[definition["generated"]]
            spec += f" GENERATED ALWAYS AS ({definition['default']}) {kind}"
        else:
            # Otherwise existing rows would get the default of a domain, and count as restored.
            spec += " DEFAULT NULL"
        then = []
        if not definition["generated"]:
            default = f"SET DEFAULT {definition['default']}" if definition["default"] else "DROP DEFAULT"
            then.append(self.database.ddl.alter_column(table.name, column, default))
        then += self.database.ddl.column_attributes(table.name, column, definition)
        back = [] if definition["identity"] else self._sequences_back(table, column, definition)
        add = f"ALTER TABLE {own} ADD COLUMN IF NOT EXISTS {quoted} {spec}"
        yield Step(
            add,
            f"added column {table.name}.{column} again",
            (table.name,),
            (*back, *then),
            effect=Effect(table.name, column),
        )

    def _sequences_back(self, table: Table, column: str, definition: Definition) -> Iterator[str]:
        column = f"{self.quoted_table(table.name)}.{self.quoted(column)}"
        for kept, (schema, name, _) in zip(
            self._kept_sequences(Name(*definition["archive"]), definition), definition["sequences"] or (), strict=True
        ):
            yield f"ALTER SEQUENCE IF EXISTS {self.quoted_table(kept)} RENAME TO {self.quoted(name)}"
            yield f"ALTER SEQUENCE IF EXISTS {self.quoted_table(Name(name, schema))} OWNED BY {column}"

    def restore_constraints(self, table: Table, column: str, definition: Definition, *, filled: bool) -> Iterator[Plan]:
        for name, text, of_constraint, comment in definition["indexes"]:
            excluding = any(row[0] == name and row[1] == "exclude" for row in definition["constraints"])
            if not excluding and not (of_constraint and name in table.constraints):
                yield self._restored_index(table, name, text, comment)
        if definition.get("not_null_rules"):
            yield self._restored_not_null(table, column, *definition["not_null_rules"], filled=filled)
        for name, kind, text, valid, referent in definition["constraints"]:
            locks = (table.name, Name(referent[1], referent[0])) if referent else (table.name,)
            yield self._restored_constraint(table, name, kind, text, valid, locks)

    def _restored_not_null(
        self, table: Table, column: str, name: str, rules: str, valid: bool, *, filled: bool
    ) -> Plan:
        """Plan NOT NULL with its name and options; the restore of the column validates it if it was valid."""
        if not_null_of(table, column) is None and (filled or not valid):
            rules = rules.removesuffix(" NOT VALID") + " NOT VALID"
            add = f"ADD CONSTRAINT {self.quoted(name)} NOT NULL {self.quoted(column)}{rules}"
            yield Step(f"ALTER TABLE {self.quoted_table(table.name)} {add}", f"added not null {name}", (table.name,))

    def _restored_index(self, table: Table, name: str, definition: str, comment: str | None) -> Plan:
        existing = table.indexes.get(name)
        drop = self.database.ddl.drop_invalid(table.name, name, table)
        if existing is not None and not existing.valid:
            yield drop
        if existing is None or not existing.valid:
            sql = re.sub(r"^CREATE (UNIQUE )?INDEX ", r"CREATE \1INDEX CONCURRENTLY IF NOT EXISTS ", definition)
            does = f"built index {name} on {table.name} again"
            yield concurrently(sql, does, table.name, scans=True, cleanup=(drop,))
        if comment and (existing is None or existing.comment != comment):
            yield Step(
                self.database.ddl.comment_on("INDEX", self.database.ddl.index_name(table.name, name, table), comment),
                f"commented on {name}",
            )

    def _restored_constraint(
        self, table: Table, name: str, kind: str, text: str, valid: bool, locks: tuple[Name, ...]
    ) -> Plan:
        add = f"ALTER TABLE {self.quoted_table(table.name)} ADD CONSTRAINT {self.quoted(name)}"
        existing = table.constraints.get(name)
        later = kind in ("check", "foreign key")
        if kind in ("unique", "primary key"):
            timing = re.search(r"( DEFERRABLE)?( INITIALLY DEFERRED)?$", text)
            text = f"{kind.upper()} USING INDEX {self.quoted(name)}{timing[0] if timing else ''}"
        if existing is None:
            text = f"{text.removesuffix(' NOT VALID')} NOT VALID" if later else text
            lock = SHARE_ROW_EXCLUSIVE if kind == "foreign key" else None
            yield Step(f"{add} {text}", f"added {name} to {table.name} again", locks, lock=lock)
        if later and valid and not (existing and existing.valid):
            yield self.database.ddl.validation(table.name, name, locks)

    def finish_restore(self, table: Table, column: str, definition: Definition) -> Plan:
        if not definition["identity"] or table.columns[column].identity:
            return
        (schema, name, options), (kept,) = (
            definition["sequences"][0],
            self._kept_sequences(Name(*definition["archive"]), definition),
        )
        kind = {"a": "ALWAYS", "d": "BY DEFAULT"}[definition["identity"]]
        sequence = Name(name, schema)
        options = re.sub(r"^AS (smallint|integer|bigint) ", "", options)
        own = f"ALTER TABLE {self.quoted_table(table.name)} ALTER COLUMN {self.quoted(column)}"
        add = f"{own} ADD GENERATED {kind} AS IDENTITY (SEQUENCE NAME {self.quoted_table(sequence)} {options})"
        own, source = self.literal(self.quoted_table(sequence)), self.quoted_table(kept)
        counter = f"SELECT setval({own}, last_value, is_called) FROM {source}"
        yield Step(add, f"{table.name}.{column} numbers itself again", (table.name,), (counter,))

    def drop_archive(self, archive: Name, definition: Definition) -> Plan:
        then = [
            f"DROP SEQUENCE IF EXISTS {self.quoted_table(sequence)}"
            for sequence in self._kept_sequences(archive, definition)
        ]
        then.append(f"DROP FUNCTION IF EXISTS {self._follower(archive)}()")
        for step in super().drop_archive(archive, definition):
            yield Step(step.sql, step.does, step.locks, tuple(then))

    # Tables -----------------------------------------------------------------------------------------------------

    def describe_table(self, table: Table, archive: Name) -> Definition:
        with self.database.transaction():
            self.run("SET LOCAL search_path = pg_catalog")
            whole = self.database.table(table.name) or table
            parts = self.read(PARTS, id=table.id)
        keys = [
            constraint
            for constraint in whole.constraints.values()
            if constraint.kind == "foreign key" and constraint.referent
        ]
        referents = {key.name: key.referent for key in keys if key.referent}
        return {
            "parts": [[kind, name, f"{archive.name}_{place}"] for place, (kind, name) in enumerate(parts)],
            "keys": [
                [key.name, key.definition, key.valid, [referents[key.name].schema, referents[key.name].name]]
                for key in keys
            ],
        }

    def move_to_archive(self, table: Table, archive: Name, definition: Definition) -> Plan:
        own = self.quoted_table(table.name)
        statements = [f"ALTER TABLE {own} DROP CONSTRAINT {self.quoted(one[0])}" for one in definition["keys"]]
        statements += [self._renaming_archive(kind, table.name, old, new) for kind, old, new in definition["parts"]]
        statements.append(f"ALTER TABLE {own} RENAME TO {self.quoted(archive.name)}")
        locks = (table.name, *(Name(one[3][1], one[3][0]) for one in definition["keys"]))
        yield Step(statements[0], f"put table {table.name} away as {archive}", locks, tuple(statements[1:]))

    def move_back(self, name: Name, archive: Name, definition: Definition) -> Plan:
        statements = [self._renaming_archive(kind, archive, new, old) for kind, old, new in definition["parts"]]
        rename = f"ALTER TABLE {self.quoted_table(archive)} RENAME TO {self.quoted(name.name)}"
        yield Step(rename, f"brought table {name} back", (archive,), tuple(statements), effect=Effect(name))

    def _renaming_archive(self, kind: str, table: Name, old: str, new: str) -> str:
        return f"ALTER {kind} {self.quoted_table(Name(old, table.schema))} RENAME TO {self.quoted(new)}"

    def restore_keys(self, table: Table, definition: Definition) -> Iterator[Plan]:
        for name, text, valid, (schema, referent) in definition["keys"]:
            locks = (table.name, Name(referent, schema))
            yield self._restored_constraint(table, name, "foreign key", text, valid, locks)
