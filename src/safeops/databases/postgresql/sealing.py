"""Queries in which functions and operators are those of PostgreSQL, not ones of the same name in another schema."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import lru_cache

from safeops.databases import sqltext

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
