"""Facts about the tables of a live PostgreSQL: from its catalogue, without table locks, and from EXPLAIN.

The caller can be in the middle of a transaction, so each query runs in a separate savepoint with short timeouts. After an
error (a missing privilege, a lock of another session) the savepoint is rolled back, and the fact counts as unknown.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import SQLAlchemyError

from safeops.judging.existing import Facts as Port
from safeops.judging.existing import KnownColumn, KnownConstraint, KnownIndex, KnownTable, KnownType
from safeops.naming import Name

if TYPE_CHECKING:
    from safeops.judging.postgresql.estimates import Question

PATIENCE = "SELECT set_config('lock_timeout', '100ms', true), set_config('statement_timeout', '1s', true)"
"""The time limit of a query."""
TABLE = """
SELECT json_build_object(
  'name', c.relname, 'schema', nullif(n.nspname, current_schema()), 'kind', c.relkind, 'unlogged', c.relpersistence = 'u',
  'temporary', c.relpersistence = 't',
  'secured', row_security_active(c.oid), 'parent', (
    SELECT json_build_array(p.relname, nullif(s.nspname, current_schema())) FROM pg_inherits h
    JOIN pg_class p ON p.oid = h.inhparent JOIN pg_namespace s ON s.oid = p.relnamespace
    WHERE h.inhrelid = c.oid AND c.relispartition),
  'access_method', (SELECT m.amname FROM pg_am m WHERE m.oid = c.relam),
  'tablespace', (SELECT s.spcname FROM pg_tablespace s WHERE s.oid = coalesce(nullif(c.reltablespace, 0),
    (SELECT dattablespace FROM pg_database WHERE datname = current_database()))),
  'is_default', EXISTS (SELECT FROM pg_partitioned_table t WHERE t.partdefid = c.oid),
  'default', (
    SELECT json_build_array(p.relname, nullif(s.nspname, current_schema())) FROM pg_partitioned_table t
    JOIN pg_class p ON p.oid = t.partdefid JOIN pg_namespace s ON s.oid = p.relnamespace WHERE t.partrelid = c.oid),
  'rows', (
    SELECT json_agg(p.reltuples::bigint) FROM pg_class p WHERE p.relkind IN ('r', 'm', 'f') AND (p.oid = c.oid
      OR p.oid IN (SELECT relid FROM pg_partition_tree(CASE WHEN c.relkind = 'p' THEN c.oid END)))),
  'bytes', (
    SELECT sum(p.relpages::bigint) * current_setting('block_size')::bigint FROM pg_class p WHERE p.oid = c.oid
      OR p.oid IN (SELECT relid FROM pg_partition_tree(CASE WHEN c.relkind = 'p' THEN c.oid END))),
  'columns', (
    SELECT json_agg(json_build_object('name', a.attname, 'type', format_type(a.atttypid, a.atttypmod),
      'not_null', a.attnotnull, 'generated', a.attgenerated,
      'collation', (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation)) ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (
    SELECT json_agg(json_build_object('name', k.conname, 'type', k.contype, 'valid', k.convalidated,
      'definition', CASE WHEN k.contype = 'c' THEN pg_get_constraintdef(k.oid) END,
      'columns', (SELECT json_agg(a.attname ORDER BY x.place) FROM unnest(k.conkey) WITH ORDINALITY x (number, place)
        JOIN pg_attribute a ON a.attrelid = k.conrelid AND a.attnum = x.number),
      'referent', f.relname, 'referent_schema', (
        SELECT nullif(s.nspname, current_schema()) FROM pg_namespace s WHERE s.oid = f.relnamespace)))
    FROM pg_constraint k LEFT JOIN pg_class f ON f.oid = k.confrelid WHERE k.conrelid = c.oid),
  'indexes', (
    SELECT json_agg(json_build_object('name', r.relname, 'unique', i.indisunique AND i.indpred IS NULL,
      'valid', i.indisvalid AND i.indisready, 'columns', (
        SELECT json_agg(CASE WHEN x.number > 0 THEN (
            SELECT quote_ident(a.attname) FROM pg_attribute a WHERE a.attrelid = i.indrelid AND a.attnum = x.number)
          ELSE pg_get_indexdef(i.indexrelid, x.place::int, true) END ORDER BY x.place)
        FROM unnest(i.indkey::int[]) WITH ORDINALITY x (number, place) WHERE x.place <= i.indnkeyatts)))
    FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid WHERE i.indrelid = c.oid),
  'readers', (
    SELECT json_agg(json_build_object('name', v.relname, 'schema', nullif(s.nspname, current_schema()), 'columns', (
      SELECT json_agg(a.attname) FROM pg_depend e JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum = e.refobjsubid
      WHERE e.classid = 'pg_rewrite'::regclass AND e.objid = w.oid AND e.refobjid = c.oid AND e.refobjsubid > 0)))
    FROM pg_rewrite w JOIN pg_class v ON v.oid = w.ev_class JOIN pg_namespace s ON s.oid = v.relnamespace
    WHERE v.oid <> c.oid AND w.oid IN (
      SELECT d.objid FROM pg_depend d WHERE d.classid = 'pg_rewrite'::regclass AND d.refclassid = 'pg_class'::regclass
        AND d.refobjid = c.oid))
)::text
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND c.oid = to_regclass(:quoted)"""
_LOCKING = re.compile(r"pg_get_(?:constraint|index)def\([^)]*\)")
WITHOUT_LOCKS = _LOCKING.sub("NULL", TABLE)
"""The same without what locks the table to write its definitions."""
TYPE = """
SELECT t.typtype, CASE WHEN t.typtype = 'd' THEN format_type(t.typbasetype, t.typtypmod) END, t.typnotnull,
  ARRAY(SELECT pg_get_constraintdef(k.oid) FROM pg_constraint k WHERE k.contypid = t.oid AND k.contype = 'c')
FROM pg_type t WHERE t.oid = to_regtype(:quoted)"""
OF_INDEX = """
SELECT c.relname, nullif(n.nspname, current_schema()) FROM pg_index i JOIN pg_class c ON c.oid = i.indrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE i.indexrelid = to_regclass(:quoted)"""
WITH_TYPE = """
SELECT DISTINCT c.relname, nullif(n.nspname, current_schema()) FROM pg_attribute a JOIN pg_class c ON c.oid = a.attrelid
JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p') AND NOT a.attisdropped AND a.atttypid = to_regtype(:quoted)"""
FUNCTION = """
SELECT bool_or(p.provolatile = 'v') FROM pg_proc p WHERE p.proname = :name AND CASE WHEN :schema = ''
  THEN pg_function_is_visible(p.oid) ELSE p.pronamespace = to_regnamespace(:schema) END"""
KINDS = {"r": "table", "p": "table", "f": "foreign table", "v": "view", "m": "materialized view"}
CONSTRAINTS = {
    "f": "foreign key",
    "c": "check",
    "u": "unique",
    "p": "primary key",
    "x": "exclusion",
    "n": "not null",
}
TYPES = {"d": "domain", "e": "enum", "c": "composite", "r": "range", "b": "base"}


class Facts(Port):
    def table(self, name: Name) -> KnownTable | None:
        found = self._answer(TABLE, quoted=self.quoted_table(name))
        if found is None:
            # Another session holds the table: its name, its size and its columns are known without a lock.
            found = self._answer(WITHOUT_LOCKS, quoted=self.quoted_table(name))
        if found is None:
            return KnownTable(name)
        if not found:
            return None
        raw = json.loads(found[0][0])
        table = _known(name, raw)
        if raw["kind"] in ("r", "p", "m") and not raw["secured"]:
            answer = self._ask(f"SELECT EXISTS (SELECT FROM {self.quoted_table(name)})")
            table.empty = bool(answer) and not answer[0][0]
        if table.empty:
            table.rows = 0
        elif table.rows is None and raw["kind"] != "v":
            table.rows = self._planned(f"SELECT FROM {self.quoted_table(name)}")
        return table

    def type(self, name: Name) -> KnownType | None:
        found = self._ask(TYPE, quoted=self._quoted_type(name))
        if not found:
            return None
        letter, base, required, checks = found[0]
        rules = tuple(_expression(check) for check in checks)
        kind = TYPES.get(letter, letter)
        return KnownType(name, kind, base, bool(rules) or required, checks=rules, required=required)

    def table_of_index(self, index: Name) -> Name | None:
        found = self._ask(OF_INDEX, quoted=self.quoted_table(index))
        return Name(*found[0]) if found else None

    def tables_of_type(self, name: Name) -> list[Name]:
        return [Name(*row) for row in self._ask(WITH_TYPE, quoted=self._quoted_type(name))]

    def is_volatile(self, function: str) -> bool | None:
        namespace, _, name = function.rpartition(".")
        found = self._ask(FUNCTION, name=name, schema=namespace)
        return found[0][0] if found else None

    def settings(self) -> dict[str, str]:
        return {"timezone": str(self.scalar("SELECT current_setting('TimeZone')"))}

    def rows_of(self, sql: str) -> int | None:
        from safeops.judging.postgresql.estimates import question

        asked = question(sql)
        if asked is None:
            return None
        whole = self._planned(asked.whole) if asked.whole else None
        counted = self._ask(asked.counted) if asked.counted and whole is not None and whole <= COUNTED else ()
        if counted:
            return int(counted[0][0])
        if whole is not None and not self._has_statistics(asked):
            return whole
        return self._planned(asked.plan) if asked.plan else whole

    def _has_statistics(self, asked: Question) -> bool:
        """Return whether the planner knows of the values of the columns that a condition is about."""
        sql = "SELECT count(DISTINCT s.attname) FROM pg_stats s JOIN pg_class c ON c.oid = to_regclass(:quoted)"
        sql += " JOIN pg_namespace n ON n.oid = c.relnamespace AND n.nspname = s.schemaname AND c.relname = s.tablename"
        sql += " WHERE s.attname = ANY (:columns)"
        found = self._ask(sql, quoted=self.quoted_table(asked.table), columns=list(asked.columns))
        return bool(found) and found[0][0] >= len(asked.columns)

    def _planned(self, sql: str) -> int | None:
        """Return how many rows the planner expects a statement to work on."""
        found = self._ask(f"EXPLAIN (FORMAT JSON) {sql}")
        if not found:
            return None
        plan = json.loads(found[0][0]) if isinstance(found[0][0], str) else found[0][0]
        return _rows_in(plan[0]["Plan"])

    # Queries ---------------------------------------------------------------------------------------------------------

    def _ask(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]]:
        """Return the rows of a query; none if the server rejects the query or takes too long."""
        return self._answer(sql, **parameters) or []

    def _answer(self, sql: str, **parameters: Any) -> Sequence[Sequence[Any]] | None:
        """Return the rows of a query; None if the server rejects the query or takes too long."""
        try:
            with self._briefly():
                return self.read(sql, **parameters)
        except SQLAlchemyError:
            return None

    @contextmanager
    def _briefly(self) -> Iterator[None]:
        """Run the block in a savepoint, or in a transaction if there is none, and roll it back."""
        inside, name = self._is_in_transaction(), "safeops_asks"
        self.run(f"SAVEPOINT {name}" if inside else "BEGIN READ ONLY")
        try:
            self.run(PATIENCE)
            yield
        finally:
            self.run(f"ROLLBACK TO SAVEPOINT {name}" if inside else "ROLLBACK")

    def _is_in_transaction(self) -> bool:
        """Return whether the session is in a transaction, or gets into one by its next statement."""
        driven = self.database.connection.connection.dbapi_connection
        if not getattr(driven, "autocommit", False):
            return True
        # In autocommit, the revision can have sent BEGIN.
        return bool(getattr(getattr(driven, "info", None), "transaction_status", 0))

    def _quoted_type(self, name: Name) -> str:
        return self.quoted(*(part for part in (name.schema, name.name) if part))


COUNTED = 100_000
"""Rows up to which those that meet a condition are counted rather than estimated."""


def _known(name: Name, raw: Mapping[str, Any]) -> KnownTable:
    rows = [max(count, 0) if count >= 0 else None for count in raw["rows"] or ()]
    default = Name(*raw["default"]) if raw["default"] else None
    constraints = {one["name"]: _constraint(one) for one in raw["constraints"] or ()}
    # From PostgreSQL 18 on a NOT NULL may be unvalidated: the column may then have NULLs.
    unproven = {one.columns[0] for one in constraints.values() if one.kind == "not null" and not one.valid}
    return KnownTable(
        name,
        columns={one["name"]: _column(one, unproven) for one in raw["columns"] or ()},
        constraints=constraints,
        indexes={one["name"]: _index(one) for one in raw["indexes"] or ()},
        rows=None if None in rows or not rows else sum(count or 0 for count in rows),
        bytes=raw["bytes"],
        new=raw["temporary"],
        complete=True,
        partitioned=raw["kind"] == "p",
        parent=Name(*raw["parent"]) if raw["parent"] else None,
        is_default_partition=raw["is_default"],
        default_partition=default,
        unlogged=raw["unlogged"],
        tablespace=raw["tablespace"],
        access_method=raw["access_method"],
        kind=KINDS[raw["kind"]],
        read_by={Name(one["name"], one["schema"]): frozenset(one["columns"] or ()) for one in raw["readers"] or ()},
    )


def _column(raw: Mapping[str, Any], unproven: set[str]) -> KnownColumn:
    nullable = not raw["not_null"] or raw["name"] in unproven
    generated = {"s": "stored", "v": "virtual"}.get(raw["generated"])
    return KnownColumn(raw["name"], raw["type"], nullable, collation=raw["collation"], generated=generated)


def _constraint(raw: Mapping[str, Any]) -> KnownConstraint:
    expression = _expression(raw["definition"] or "")
    referent = Name(raw["referent"], raw["referent_schema"]) if raw["referent"] else None
    kind = CONSTRAINTS.get(raw["type"], raw["type"])
    return KnownConstraint(raw["name"], kind, tuple(raw["columns"] or ()), expression, raw["valid"], referent)


def _expression(definition: str) -> str:
    """Return the condition of a CHECK."""
    for ending in (" NOT VALID", " NOT ENFORCED", " NO INHERIT"):
        definition = definition.removesuffix(ending)
    return definition.removeprefix("CHECK ")


def _index(raw: Mapping[str, Any]) -> KnownIndex:
    columns = tuple((one or "").strip('"') for one in raw["columns"] or ())
    return KnownIndex(raw["name"], columns, raw["unique"], raw["valid"])


def _rows_in(plan: Mapping[str, Any]) -> int:
    """Return how many rows a plan changes or locks, or else returns."""
    below = plan.get("Plans", ())
    if plan["Node Type"] == "ModifyTable":
        return max((int(one["Plan Rows"]) for one in below), default=0)
    inner = [_rows_in(one) for one in below if _changes(one)]
    return max(inner, default=int(plan["Plan Rows"]))


def _changes(plan: Mapping[str, Any]) -> bool:
    return plan["Node Type"] in ("ModifyTable", "LockRows") or any(_changes(one) for one in plan.get("Plans", ()))
