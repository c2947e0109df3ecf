"""The catalogue of PostgreSQL: a table in one query.

To render a check or an expression, or to measure what may be empty, the server briefly locks the table, so the query
bounds its own waiting. It runs outside a transaction, so a local setting ends with the statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import replace
from functools import cache, lru_cache
from typing import Any, NamedTuple

from safeops.databases import sqltext
from safeops.databases.definitions import Column, Constraint, Index, PartlyRead, Table
from safeops.naming import Name

# A foreign key to a partitioned table has another row for each partition: those are the server's own. Each helper runs this
# query, so it joins nothing that a lookup of one row by its key finds, and leaves to the client what that can combine.
# Text and varchar have the collation 100 unless the author gives them another.
TABLE = """
SELECT CASE WHEN c.oid IS NOT NULL THEN json_build_object(
  'id', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'rows', c.reltuples::bigint,
  'bytes', c.relpages::bigint * current_setting('block_size')::bigint,
  'hides_rows', c.relrowsecurity AND row_security_active(c.oid),
  'inherited', c.relhassubclass,
  'empty', CASE WHEN c.relkind = 'r' AND c.relpages = 0 AND NOT c.relhassubclass THEN pg_relation_size(c.oid) = 0 END,
  'comments', (SELECT json_object_agg(m.objsubid, m.description) FROM pg_description m
    WHERE m.objoid = c.oid AND m.classoid = 'pg_class'::regclass),
  'taken', (SELECT json_object_agg(r.relname, coalesce((
      SELECT t.relname FROM pg_index i JOIN pg_class t ON t.oid = i.indrelid WHERE i.indexrelid = r.oid), r.relname))
    FROM pg_class r WHERE r.relname = ANY (CAST(CAST(:things AS text[]) AS name[])) AND r.relnamespace = c.relnamespace
    AND coalesce((SELECT i.indrelid FROM pg_index i WHERE i.indexrelid = r.oid), 0) <> c.oid),
  'columns', (
    SELECT json_agg(json_build_array(
      a.attnum, a.attname, format_type(a.atttypid, a.atttypmod), a.attnotnull,
      CASE WHEN a.atthasdef THEN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END,
      a.attgenerated, a.attidentity,
      CASE WHEN a.attcollation <> 0 AND NOT (a.attcollation = 100 AND a.atttypid IN (25, 1042, 1043))
        AND a.attcollation <> (SELECT t.typcollation FROM pg_type t WHERE t.oid = a.atttypid)
        THEN (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation) END) ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (
    SELECT json_agg(CASE WHEN k.conname::text = ANY (CAST(:things AS text[])) OR :things = '{*}' THEN json_build_object(
      'id', k.oid::bigint, 'name', k.conname, 'type', k.contype, 'valid', k.convalidated,
      'definition', pg_get_constraintdef(k.oid),
      'expression', pg_get_expr(k.conbin, k.conrelid), 'columns', k.conkey, 'index', k.conindid::bigint,
      'remote', CASE WHEN k.contype = 'f' THEN (
        SELECT json_agg(a.attname ORDER BY x.place) FROM unnest(k.confkey) WITH ORDINALITY x (number, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.number) END,
      'referent', CASE WHEN k.contype = 'f' THEN (SELECT json_build_array(f.relname, s.nspname)
        FROM pg_class f JOIN pg_namespace s ON s.oid = f.relnamespace WHERE f.oid = k.confrelid) END,
      'onupdate', k.confupdtype, 'ondelete', k.confdeltype, 'match', k.confmatchtype,
      'deferrable', k.condeferrable, 'deferred', k.condeferred, 'inherited', k.coninhcount > 0{since_18})
      ELSE json_build_object('name', k.conname, 'type', k.contype, 'valid', k.convalidated, 'columns', k.conkey,
        'index', k.conindid::bigint) END)
    FROM pg_constraint k WHERE k.conrelid = c.oid AND (k.contype <> 'f' OR k.conparentid = 0
      OR coalesce((SELECT o.conrelid FROM pg_constraint o WHERE o.oid = k.conparentid), 0) <> k.conrelid)),
  'indexes', (
    SELECT json_agg(CASE WHEN r.relname::text = ANY (CAST(:things AS text[])) OR :things = '{*}' THEN json_build_object(
      'id', r.oid::bigint, 'name', r.relname,
      'comment', (SELECT m.description FROM pg_description m WHERE m.objoid = r.oid
        AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0),
      'valid', i.indisvalid AND i.indisready, 'definition', pg_get_indexdef(r.oid), 'inherited', r.relispartition)
      ELSE json_build_object('name', r.relname) END)
    FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid WHERE i.indrelid = c.oid),
  'partitions', CASE WHEN c.relkind = 'p' THEN (
    SELECT json_agg(json_build_array(s.nspname, p.relname) ORDER BY s.nspname, p.relname)
    FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid JOIN pg_namespace s ON s.oid = p.relnamespace
    WHERE h.inhparent = c.oid) END
)::text END, json_build_array(
  EXISTS (SELECT FROM pg_publication), (current_schemas(true))[1] = 'pg_catalog', {session})::text
FROM (SELECT set_config('lock_timeout', :bound, true)) AS bounded
LEFT JOIN (pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace) ON c.relkind IN ('r', 'p', 'f', 'v', 'm') AND """
SINCE_18 = ", 'enforced', k.conenforced, 'periods', k.conperiod"


def session_columns(version: Sequence[int]) -> str:
    """Return the session and what it has set that decides on the bounds of a step, as columns of a query."""
    timeouts = "".join(f", current_setting('{name}')" for name in timeouts_of(version))
    return f"pg_backend_pid(), current_setting('deadlock_timeout'){timeouts}"


def timeouts_of(version: Sequence[int]) -> list[str]:
    """Return the timeouts that may end a step, other than that of its lock."""
    return ["statement_timeout", *(["transaction_timeout"] if tuple(version) >= (17,) else [])]


@lru_cache
def table_query(where: str, version: tuple[int, ...]) -> str:
    """Return the query for a table, the same text each time."""
    since_18 = SINCE_18 if version >= (18,) else ""
    return TABLE.replace("{since_18}", since_18).replace("{session}", session_columns(version)) + where


@lru_cache
def pair_query(version: tuple[int, ...]) -> str:
    """Return the query for two tables, one of them with the definitions of all its constraints and indexes."""
    return table_query(PAIR, version).replace(":things = '{*}'", "c.oid = to_regclass(:whole)")


ALL_THINGS = "{*}"
"""Requests the definition of each constraint and index, which the server must render."""


VISIBLE = "c.relname = :name AND n.nspname = current_schema()"
RESOLVED = "c.oid = to_regclass(:quoted)"
IN_SCHEMA = "c.relname = :name AND n.nspname = :schema"
PAIR = "c.oid IN (to_regclass(:quoted), to_regclass(:whole))"
ALL = "c.oid IN (SELECT to_regclass(each) FROM json_array_elements_text(CAST(:quoted AS json)) each)"

KINDS = {"r": "table", "p": "partitioned table", "f": "foreign table", "v": "view", "m": "materialized view"}
CONSTRAINTS = {"f": "foreign key", "c": "check", "u": "unique", "p": "primary key", "x": "exclude", "n": "not null"}
ACTIONS = {"a": None, "r": "RESTRICT", "c": "CASCADE", "n": "SET NULL", "d": "SET DEFAULT"}

DEPENDENTS = """
SELECT DISTINCT pg_describe_object(d.classid, d.objid, d.objsubid)
  || CASE WHEN r.ev_class IS NOT NULL THEN ': ' || pg_get_viewdef(r.ev_class) ELSE '' END
FROM pg_depend d
LEFT JOIN pg_rewrite r ON d.classid = 'pg_rewrite'::regclass AND r.oid = d.objid
LEFT JOIN pg_constraint k ON d.classid = 'pg_constraint'::regclass AND k.oid = d.objid
WHERE d.refclassid = 'pg_class'::regclass AND d.refobjid = :id AND d.deptype IN ('n', 'a') AND (
    (d.classid = 'pg_rewrite'::regclass AND r.ev_class <> :id)
    OR (d.classid = 'pg_constraint'::regclass AND k.conrelid <> :id)
    OR (d.classid = 'pg_class'::regclass AND d.deptype = 'n' AND d.objid <> :id)
    OR d.classid = 'pg_proc'::regclass)
"""


class Surroundings(NamedTuple):
    """What the query shows in addition to the table: of its database, and of the session that has run it."""

    publications: bool = True
    own_types_first: bool = False
    """A name of one of the server's own types means that type: no schema before it in the search_path can have another."""
    session: int = 0
    timeouts: Sequence[str] = ()
    """That of deadlocks, and those that may end a step."""

    @classmethod
    def read(cls, raw: str) -> Surroundings:
        publications, own_types_first, session, *timeouts = json.loads(raw)
        return cls(publications, own_types_first, session, timeouts)


def is_torn(raw: str) -> bool:
    """Return whether something was dropped while the query ran: it is in the snapshot, but its definition is NULL."""
    return '"definition" : null' in raw


def things_text(things: Collection[str] | None) -> str:
    """Return the names of constraints and indexes as the query takes them; None means all."""
    quoted = (re.sub(r'(["\\])', r"\\\1", thing) for thing in things or ())
    return ALL_THINGS if things is None else "{" + ",".join(f'"{thing}"' for thing in quoted) + "}"


def table_of(
    raw: str,
    *,
    unpublished: bool,
    things: Collection[str] | None = None,
    read_all: Callable[[], Table | None] = lambda: None,
) -> Table:
    """Read a table as the ``TABLE`` query describes it.

    Args:
        raw: The description.
        unpublished: The database has no publications.
        things: The constraints and indexes whose definitions were requested; None means all of them.
        read_all: Reads the others.
    """
    table, constraints, indexes, taken = _read(raw, unpublished)
    if things is None:
        return table
    whole = cache(read_all)

    def of_all(part: str) -> Mapping[str, Any]:
        found = whole()
        return {} if found is None else getattr(found, part)

    return replace(
        table,
        constraints=PartlyRead(table.constraints, constraints, lambda: of_all("constraints")),
        indexes=PartlyRead(table.indexes, indexes, lambda: of_all("indexes")),
        taken={thing: taken.get(thing) for thing in things},
    )


@lru_cache(maxsize=128)
def _read(raw: str, unpublished: bool) -> tuple[Table, list[str], list[str], Mapping[str, str]]:
    """Return a table with the constraints and indexes that were read, the names of all, and the names that are taken."""
    found: dict[str, Any] = json.loads(raw)
    columns = [_RawColumn(*column) for column in found["columns"] or ()]
    texts = {column.name for column in columns if column.type.startswith("character varying")}
    numbered = {column.number: column.name for column in columns}
    comments = found["comments"] or {}
    listed, built = found["constraints"] or (), found["indexes"] or ()
    constraints = [_constraint(constraint, texts, numbered) for constraint in listed if "definition" in constraint]
    backed = {key["index"] for key in listed if key["type"] in ("p", "u", "x")}
    # From PostgreSQL 18 on a NOT NULL may be unvalidated: the column may then have NULLs.
    unproven = {numbered.get(key["columns"][0], "") for key in listed if key["type"] == "n" and not key["valid"]}
    table = Table(
        name=Name(found["name"], found["schema"]),
        id=found["id"],
        kind=KINDS[found["kind"]],
        rows=max(found["rows"], 0),
        bytes=found["bytes"],
        comment=comments.get("0"),
        columns={
            column.name: _column(
                column,
                comments.get(str(column.number)),
                column.name in unproven,
                _uncast(column.default, texts) if column.generated else None,
            )
            for column in columns
        },
        constraints={constraint.name: constraint for constraint in constraints},
        indexes={
            index["name"]: _index(index, found["name"], texts, index["id"] in backed)
            for index in built
            if "definition" in index
        },
        partitions=tuple(Name(table, schema) for schema, table in found["partitions"] or ()),
        is_inherited=found["inherited"],
        is_empty=bool(found["empty"]),
        shows_all_rows=not found["hides_rows"],
        unpublished=unpublished,
    )
    return table, [one["name"] for one in listed], [one["name"] for one in built], found["taken"] or {}


# In an operation or as an argument; what is a cast and nothing else is the author's.
_NAME = r"""\((\w+|"(?:[^"]|"")+")\)::text\b"""
_TEXT_CAST = re.compile(rf"(?<=\w\(){_NAME}|(?<=\s){_NAME}|{_NAME}(?!\))")


def _uncast(expression: str | None, texts: set[str]) -> str | None:
    """Remove the casts to text that the server adds to columns of type varchar."""

    def simpler(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group)
        return name if sqltext.unquoted(name) in texts else match[0]

    return None if expression is None else _TEXT_CAST.sub(simpler, expression)


class _RawColumn(NamedTuple):
    """A column as the query describes it."""

    number: int
    name: str
    type: str
    not_null: bool
    default: str | None
    generated: str
    identity: str
    collation: str | None


# Most columns of a table are as they were when another helper has inspected it.
@lru_cache(maxsize=2048)
def _column(raw: _RawColumn, comment: str | None, unproven: bool, computed: str | None) -> Column:
    return Column(
        name=raw.name,
        type=raw.type,
        nullable=not raw.not_null or unproven,
        default=None if raw.generated else raw.default,
        computed=computed,
        persisted={"s": True, "v": False}.get(raw.generated),
        identity={"a": "always", "d": "by default"}.get(raw.identity),
        collation=raw.collation,
        comment=comment,
    )


def _constraint(raw: Mapping[str, Any], texts: set[str], numbered: Mapping[int, str]) -> Constraint:
    kind = CONSTRAINTS.get(raw["type"], raw["type"])
    foreign = kind == "foreign key"
    included = re.search(r"\) INCLUDE \((.*?)\)", raw["definition"]) if kind in ("unique", "primary key") else None
    return Constraint(
        id=raw["id"],
        name=raw["name"],
        kind=kind,
        columns=()
        if kind == "check"
        else tuple(numbered[number] for number in raw["columns"] or () if number in numbered),
        expression=_uncast(raw["expression"] if kind == "check" else _excluded(kind, raw["definition"]), texts),
        referent=Name(*raw["referent"]) if foreign else None,
        remote=tuple(raw["remote"] or ()),
        onupdate=ACTIONS[raw["onupdate"]] if foreign else None,
        ondelete=_ondelete(raw) if foreign else None,
        match="FULL" if foreign and raw["match"] == "f" else None,
        deferrable=raw["deferrable"],
        initially="DEFERRED" if raw["deferred"] else None,
        include=tuple(_split(included.group(1))) if included else (),
        nulls_not_distinct="NULLS NOT DISTINCT" in raw["definition"],
        periods=raw.get("periods", False),
        enforced=raw.get("enforced", True),
        valid=raw["valid"],
        inherited=raw["inherited"],
        definition=raw["definition"],
    )


def _ondelete(raw: Mapping[str, Any]) -> str | None:
    """Return the action, with its columns if it is not for all."""
    some = re.search(r"ON DELETE SET (?:NULL|DEFAULT) (\(.*?\))", raw["definition"])
    action = ACTIONS[raw["ondelete"]]
    return f"{action} {some[1]}" if some and action else action


def _excluded(kind: str, definition: str) -> str | None:
    return definition.removeprefix("EXCLUDE ") if kind == "exclude" else None


def _index(raw: Mapping[str, Any], table: str, texts: set[str], of_constraint: bool) -> Index:
    read = index_of(_uncast(raw["definition"], texts) or "", name=raw["name"], table=table)
    return replace(
        read,
        definition=raw["definition"],
        valid=raw["valid"],
        inherited=raw["inherited"],
        of_constraint=of_constraint,
        comment=raw["comment"],
    )


@lru_cache(maxsize=1024)
def index_of(definition: str, *, name: str, table: str) -> Index:
    """Take a CREATE INDEX apart, as the server or SQLAlchemy wrote it."""
    clauses = _clauses(definition)
    return Index(
        name=name,
        columns=tuple(_split(clauses["columns"])),
        unique=definition.split(maxsplit=2)[1].upper() == "UNIQUE",
        where=clauses.get("where"),
        method=clauses.get("using", "btree").lower(),
        include=tuple(sqltext.unquoted(item) for item in _split(clauses.get("include", ""))),
        nulls_not_distinct="nulls" in clauses,
        options=tuple(sorted(_option(item) for item in _split(clauses.get("with", "")))),
        table=table,
        definition=definition,
    )


def _clauses(definition: str) -> dict[str, str]:
    """Split CREATE INDEX into its clauses; the first parentheses at the top level hold the columns."""
    clauses: dict[str, str] = {}
    heading, depth = "", 0
    for kind, text in sqltext.parts(definition):
        # Before the columns such a word may be the name of the table.
        known = ("include", "with", "where", "nulls") if "columns" in clauses else ("using",)
        if depth == 0 and heading != "where" and kind == "word" and text.lower() in known:
            heading = text.lower()
            clauses[heading] = ""
            continue
        depth -= text == ")"
        opens = text == "(" and depth == 0 and heading != "where"
        if opens and "columns" not in clauses:
            heading = "columns"
            clauses[heading] = ""
        elif not opens and (depth > 0 or heading in ("using", "where")):
            clauses[heading] += text
        depth += text == "("
    return {heading: text.strip() for heading, text in clauses.items()}


def _split(listed: str) -> list[str]:
    """Split a list at its top-level commas."""
    items, depth = [""], 0
    for _, text in sqltext.parts(listed):
        depth += (text in ("(", "[")) - (text in (")", "]"))
        if text == "," and depth == 0:
            items.append("")
        else:
            items[-1] += text
    return [item.strip() for item in items if item.strip()]


def exclusion_parts(definition: str) -> tuple[str, list[tuple[str, str]], str | None]:
    """Take an exclusion constraint apart, as the server wrote it behind the word EXCLUDE."""
    clauses = _clauses(f"CREATE INDEX x ON t {definition}")
    elements = [tuple(item.rsplit(" WITH ", 1)) for item in _split(clauses["columns"])]
    where = re.sub(r"\s+(NOT )?DEFERRABLE.*$|\s+INITIALLY.*$", "", clauses.get("where", ""), flags=re.DOTALL)
    return clauses.get("using", "gist"), elements, where or None  # type: ignore[return-value]


def _option(text: str) -> str:
    key, _, value = text.partition("=")
    return f"{key.strip().lower()}={value.strip().strip(chr(39))}"
