"""The catalogue of PostgreSQL: a table in one query.

To render a check or an expression the server briefly locks the table, so the query bounds its own waiting. It runs
outside a transaction, so a local setting ends with the statement.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import lru_cache
from typing import Any

from safeops.databases import sqltext
from safeops.databases.definitions import Column, Constraint, Index, Table
from safeops.naming import Name

# A foreign key to a partitioned table has another row for each partition: those are the server's own. Each helper runs this
# query, so it joins nothing that a lookup of one row by its key finds, and leaves to the client what that can combine.
TABLE = """
SELECT json_build_object(
  'id', c.oid::bigint, 'schema', n.nspname, 'name', c.relname, 'kind', c.relkind, 'rows', c.reltuples::bigint,
  'bytes', c.relpages::bigint * current_setting('block_size')::bigint,
  'hides_rows', c.relrowsecurity AND row_security_active(c.oid), 'publications', EXISTS (SELECT FROM pg_publication),
  'inherited', c.relhassubclass,
  'comment', (SELECT m.description FROM pg_description m WHERE m.objoid = c.oid AND m.classoid = 'pg_class'::regclass
    AND m.objsubid = 0),
  'columns', (
    SELECT json_agg(json_build_object(
      'number', a.attnum, 'name', a.attname, 'type', format_type(a.atttypid, a.atttypmod), 'not_null', a.attnotnull,
      'default', CASE WHEN a.atthasdef THEN (SELECT pg_get_expr(d.adbin, d.adrelid) FROM pg_attrdef d
        WHERE d.adrelid = a.attrelid AND d.adnum = a.attnum) END,
      'generated', a.attgenerated, 'identity', a.attidentity,
      'collation', CASE WHEN a.attcollation <> (SELECT t.typcollation FROM pg_type t WHERE t.oid = a.atttypid)
        THEN (SELECT l.collname FROM pg_collation l WHERE l.oid = a.attcollation) END,
      'comment', (SELECT m.description FROM pg_description m WHERE m.objoid = c.oid
        AND m.classoid = 'pg_class'::regclass AND m.objsubid = a.attnum)) ORDER BY a.attnum)
    FROM pg_attribute a WHERE a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped),
  'constraints', (
    SELECT json_agg(json_build_object(
      'id', k.oid::bigint, 'name', k.conname, 'type', k.contype, 'valid', k.convalidated,
      'definition', pg_get_constraintdef(k.oid),
      'expression', pg_get_expr(k.conbin, k.conrelid), 'columns', k.conkey, 'index', k.conindid::bigint,
      'remote', CASE WHEN k.contype = 'f' THEN (
        SELECT json_agg(a.attname ORDER BY x.place) FROM unnest(k.confkey) WITH ORDINALITY x (number, place)
        JOIN pg_attribute a ON a.attrelid = k.confrelid AND a.attnum = x.number) END,
      'referent', CASE WHEN k.contype = 'f' THEN (SELECT json_build_array(f.relname, s.nspname)
        FROM pg_class f JOIN pg_namespace s ON s.oid = f.relnamespace WHERE f.oid = k.confrelid) END,
      'onupdate', k.confupdtype, 'ondelete', k.confdeltype, 'match', k.confmatchtype,
      'deferrable', k.condeferrable, 'deferred', k.condeferred, 'inherited', k.coninhcount > 0{since_18}))
    FROM pg_constraint k WHERE k.conrelid = c.oid AND (k.contype <> 'f' OR k.conparentid = 0
      OR coalesce((SELECT o.conrelid FROM pg_constraint o WHERE o.oid = k.conparentid), 0) <> k.conrelid)),
  'indexes', (
    SELECT json_agg(json_build_object(
      'id', r.oid::bigint, 'name', r.relname,
      'comment', (SELECT m.description FROM pg_description m WHERE m.objoid = r.oid
        AND m.classoid = 'pg_class'::regclass AND m.objsubid = 0),
      'valid', i.indisvalid AND i.indisready, 'definition', pg_get_indexdef(r.oid), 'inherited', r.relispartition))
    FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid WHERE i.indrelid = c.oid),
  'partitions', CASE WHEN c.relkind = 'p' THEN (
    SELECT json_agg(json_build_array(s.nspname, p.relname) ORDER BY s.nspname, p.relname)
    FROM pg_inherits h JOIN pg_class p ON p.oid = h.inhrelid JOIN pg_namespace s ON s.oid = p.relnamespace
    WHERE h.inhparent = c.oid) END
)::text
FROM (SELECT set_config('lock_timeout', :bound, true)) AS bounded, pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'p', 'f', 'v', 'm') AND """
SINCE_18 = ", 'enforced', k.conenforced, 'periods', k.conperiod"


@lru_cache
def table_query(where: str, version: tuple[int, ...]) -> str:
    """Return the query for a table, the same text each time."""
    return TABLE.replace("{since_18}", SINCE_18 if version >= (18,) else "") + where


VISIBLE = "c.relname = :name AND n.nspname = current_schema()"
RESOLVED = "c.oid = to_regclass(:quoted)"
IN_SCHEMA = "c.relname = :name AND n.nspname = :schema"
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


def is_torn(raw: str) -> bool:
    """Return whether something was dropped while the query ran: it is in the snapshot, but its definition is NULL."""
    return '"definition" : null' in raw


@lru_cache(maxsize=128)
def table_of(raw: str) -> Table:
    """Read the one row of the ``TABLE`` query."""
    found: dict[str, Any] = json.loads(raw)
    texts = {column["name"] for column in found["columns"] or () if column["type"].startswith("character varying")}
    numbered = {column["number"]: column["name"] for column in found["columns"] or ()}
    constraints = [_constraint(constraint, texts, numbered) for constraint in found["constraints"] or ()]
    backed = {key["index"] for key in found["constraints"] or () if key["type"] in ("p", "u", "x")}
    # From PostgreSQL 18 on a NOT NULL may be unvalidated: the column may then have NULLs.
    unproven = {key.columns[0] for key in constraints if key.kind == "not null" and not key.valid}
    return Table(
        name=Name(found["name"], found["schema"]),
        id=found["id"],
        kind=KINDS[found["kind"]],
        rows=max(found["rows"], 0),
        bytes=found["bytes"],
        comment=found["comment"],
        columns={column["name"]: _column(column, unproven, texts) for column in found["columns"] or ()},
        constraints={constraint.name: constraint for constraint in constraints},
        indexes={
            index["name"]: _index(index, found["name"], texts, index["id"] in backed)
            for index in found["indexes"] or ()
        },
        partitions=tuple(Name(table, schema) for schema, table in found["partitions"] or ()),
        is_inherited=found["inherited"],
        shows_all_rows=not found["hides_rows"],
        unpublished=not found["publications"],
    )


# In an operation or as an argument; what is a cast and nothing else is the author's.
_NAME = r"""\((\w+|"(?:[^"]|"")+")\)::text\b"""
_TEXT_CAST = re.compile(rf"(?<=\w\(){_NAME}|(?<=\s){_NAME}|{_NAME}(?!\))")


def _uncast(expression: str | None, texts: set[str]) -> str | None:
    """Remove the casts to text that the server adds to columns of type varchar."""

    def simpler(match: re.Match[str]) -> str:
        name = next(group for group in match.groups() if group)
        return name if sqltext.unquoted(name) in texts else match[0]

    return None if expression is None else _TEXT_CAST.sub(simpler, expression)


def _column(raw: Mapping[str, Any], unproven: set[str], texts: set[str]) -> Column:
    computed = raw["generated"] in ("s", "v")
    return Column(
        name=raw["name"],
        type=raw["type"],
        nullable=not raw["not_null"] or raw["name"] in unproven,
        default=None if computed else raw["default"],
        computed=_uncast(raw["default"], texts) if computed else None,
        persisted={"s": True, "v": False}.get(raw["generated"]),
        identity={"a": "always", "d": "by default"}.get(raw["identity"]),
        collation=raw["collation"],
        comment=raw["comment"],
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


FUNCTIONS = frozenset(
    re.findall(
        r"\w+",
        """acldefault aclexplode array_agg array_length array_position array_to_string bool_or btrim char_length
    clock_timestamp col_description concat count current_database current_schema current_schemas current_setting
    format format_type generate_series has_column_privilege has_database_privilege has_schema_privilege
    has_table_privilege json_agg json_build_array json_build_object json_object_agg left length lower make_interval
    max min nextval now num_nulls obj_description pg_advisory_unlock pg_backend_pid pg_blocking_pids
    pg_cancel_backend pg_database_size pg_describe_object pg_get_constraintdef pg_get_expr pg_get_indexdef
    pg_get_partkeydef pg_get_ruledef pg_get_serial_sequence pg_get_statisticsobjdef pg_get_triggerdef
    pg_get_userbyid pg_get_viewdef pg_has_role pg_index_column_has_property pg_is_in_recovery pg_partition_tree
    pg_relation_filenode pg_relation_size pg_table_is_visible pg_table_size pg_total_relation_size pg_try_advisory_lock
    json_array_elements_text pg_type_is_visible quote_ident quote_literal quote_nullable regexp_replace replace right
    row_number
    row_security_active set_config setval split_part starts_with string_agg strpos sum to_char to_jsonb to_regclass
    to_regprocedure to_regtype unnest upper""",
    )
)
STRENGTH = {"*": 3, "/": 3, "%": 3, "+": 2, "-": 2, "=": 0, "<>": 0, "!=": 0, "<": 0, ">": 0, "<=": 0, ">=": 0}
OTHER = ("||", "&", "|", "#", "->", "->>", "#>", "#>>", "~", "!~", "~*", "!~*", "~~", "!~~", "@>", "<@", "&&")
STRENGTH.update(dict.fromkeys(OTHER, 1))
UNKNOWN = -1
# The words that end an operand and its operators.
BREAKS = frozenset(
    re.findall(
        r"\w+",
        """ALL AND ANY ARRAY AS ASC BETWEEN BY CASE COLLATE CROSS DESC DISTINCT ELSE END ESCAPE EXISTS FILTER FROM FULL
    GROUP HAVING ILIKE IN INNER INTO IS JOIN LATERAL LEFT LIKE LIMIT NOT OFFSET ON OR ORDER OVER RETURNING RIGHT
    SELECT SET SOME THEN UNION USING VALUES WHEN WHERE WITH""".lower(),
    )
)


@lru_cache(maxsize=512)
def sealed(sql: str) -> str:
    """Return a query in which the functions and operators are those of pg_catalog.

    An operator with a schema binds as one of the middle kind. So a row of them gets it only if that changes nothing: if none
    binds stronger than the one before it.
    """
    parts = sqltext.parts(sql)
    meant = [place for place, (kind, _) in enumerate(parts) if kind != "space"]
    texts = [parts[place][1] for place in meant]
    found = {place: f"pg_catalog.{texts[at]}" for at, place in enumerate(meant) if _is_call(texts, at)}
    for row in _rows(texts):
        strengths = [STRENGTH[texts[at]] for at in row]
        if strengths == sorted(strengths, reverse=True) and strengths.count(0) < 2:
            found |= {meant[at]: f"OPERATOR(pg_catalog.{texts[at]})" for at in row}
    return "".join(found.get(place, text) for place, (_, text) in enumerate(parts))


def _is_call(texts: Sequence[str], at: int) -> bool:
    before = texts[at - 1].lower() if at else ""
    named = texts[at].lower() in FUNCTIONS and texts[at + 1 : at + 2] == ["("]
    return named and before not in (".", ":", "::", "as", "function")


def _rows(texts: Sequence[str]) -> list[list[int]]:
    """Return the rows of operators between operands of one level: a row ends with a keyword, a comma or its parenthesis."""
    rows: list[list[int]] = []
    stack: list[list[int]] = [[]]
    for at, text in enumerate(texts):
        if text in ("(", "["):
            stack.append([])
        elif text in (")", "]"):
            rows.append(stack.pop())
        elif text in (",", ";") or text.lower() in BREAKS:
            rows.append(stack[-1])
            stack[-1] = []
        elif _is_part(texts, at):
            stack[-1].append(UNKNOWN)
        elif text in STRENGTH and _is_binary(texts, at):
            stack[-1].append(at)
        if not stack:
            return []
    return [row for row in (*rows, *stack) if row and UNKNOWN not in row]


def _is_part(texts: Sequence[str], at: int) -> bool:
    """Return whether it is a part of a longer operator that the tokeniser does not know, such as <<."""
    behind = texts[at + 1] if at + 1 < len(texts) else ""
    return texts[at] in ("^", "@", "?", "!") or (texts[at] in "<>=" and behind in ("<", ">", "="))


def _is_binary(texts: Sequence[str], at: int) -> bool:
    before, behind = (texts[place].lower() if 0 <= place < len(texts) else "" for place in (at - 1, at + 1))
    is_star = texts[at] == "*" and (before in ("", "(", ".", "select", ",") or behind in ("", ")", ",", "from"))
    # The second half of := is not an operator.
    starts = before in ("", "(", "[", ",", ".", ":", "operator", *STRENGTH, *(BREAKS - {"end"}))
    return not (is_star or starts)
