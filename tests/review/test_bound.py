"""A statement with its values written in means what the server would get."""

from __future__ import annotations

import datetime
import sqlite3
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeops.judging.bound import bound_text, literal
from safeops.judging.sent import Sent


@pytest.mark.parametrize(
    ("sql", "parameters", "expected"),
    [
        ("UPDATE t SET a = %(x)s WHERE b <= %(y)s", {"x": "it's", "y": 7}, "UPDATE t SET a = 'it''s' WHERE b <= 7"),
        ("UPDATE t SET a = %s WHERE b = %s", ("x", None), "UPDATE t SET a = 'x' WHERE b = NULL"),
        ("UPDATE t SET a = $2::TEXT WHERE b = $1", (1, "x"), "UPDATE t SET a = 'x'::TEXT WHERE b = 1"),
        ("UPDATE t SET a = ? WHERE b = ?", (True, 2.5), "UPDATE t SET a = TRUE WHERE b = 2.5"),
        ("UPDATE t SET a = :a, b = c::int", {"a": 1}, "UPDATE t SET a = 1, b = c::int"),
        ("SELECT '%s', \"%(x)s\" -- %s\n FROM t WHERE a % 2 = %s", (3,), None),
        ("SELECT 1", None, "SELECT 1"),
        ("SELECT 10 % 3", None, "SELECT 10 % 3"),
    ],
)
def test_values_take_the_place_of_placeholders(sql: str, parameters: Any, expected: str | None) -> None:
    expected = expected or "SELECT '%s', \"%(x)s\" -- %s\n FROM t WHERE a % 2 = 3"
    assert bound_text(Sent(sql, parameters)) == expected


def test_a_value_without_a_literal_is_null() -> None:
    assert literal(object()) == "NULL"
    assert literal(b"\x00") == "NULL"
    assert literal(datetime.date(2026, 1, 2)) == "'2026-01-02'"
    assert literal([1, "a"]) == "ARRAY[1, 'a']"


@given(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00")))
def test_a_text_comes_back_as_it_was(text: str) -> None:
    written = bound_text(Sent("SELECT ?", (text,)))
    assert sqlite3.connect(":memory:").execute(written).fetchone() == (text,)
