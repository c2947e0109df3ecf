"""Queries in which functions and operators are those of pg_catalog, and that mean the same as before."""

from __future__ import annotations

import pytest

from safeops.databases.postgresql.sealing import sealed

SAME = {
    "a.b = :id": "a.b OPERATOR(pg_catalog.=) :id",
    "x & 3 = 3 AND NOT y <> z": "x OPERATOR(pg_catalog.&) 3 OPERATOR(pg_catalog.=) 3 AND NOT y OPERATOR(pg_catalog.<>) z",
    "a = ANY (k)": "a OPERATOR(pg_catalog.=) ANY (k)",
    # It would bind from the left: (a = b) || c.
    "a = b || c": "a = b || c",
    "a - (b - c) > -1": "a OPERATOR(pg_catalog.-) (b OPERATOR(pg_catalog.-) c) OPERATOR(pg_catalog.>) -1",
    "(a << 32) = :key": "(a << 32) OPERATOR(pg_catalog.=) :key",
    "a = b << 1": "a = b << 1",
    "f(a => 1), b = c": "f(a => 1), b OPERATOR(pg_catalog.=) c",
    "count(*), t.*, f(x)": "pg_catalog.count(*), t.*, f(x)",
    "quote_ident(a) || '=' || \"=\"": "pg_catalog.quote_ident(a) OPERATOR(pg_catalog.||) '=' OPERATOR(pg_catalog.||) \"=\"",
    "x := y; pg_catalog.count(z) -- a = b": "x := y; pg_catalog.count(z) -- a = b",
    "'t'::regclass = d.id": "'t'::regclass OPERATOR(pg_catalog.=) d.id",
    "CASE WHEN a = 1 THEN b END || c": "CASE WHEN a OPERATOR(pg_catalog.=) 1 THEN b END OPERATOR(pg_catalog.||) c",
    "a OPERATOR(pg_catalog.=) b": "a OPERATOR(pg_catalog.=) b",
}


@pytest.mark.parametrize("query", SAME)
def test_a_query_names_the_schema_if_that_changes_nothing_else(query):
    assert sealed(query) == SAME[query]
