"""For any kind of column and any writer, both names agree, and match a small model of the rules."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.projects import migrate

from safeops import ColumnRename

pytestmark = pytest.mark.only("pg18")

KINDS = {
    "text": ["'a'", "'A'", "''"],
    "text[]": ["'{a,NULL}'", "'{}'", "'{A}'"],
    "mood": ["'sad'", "'ok'", "'glad'"],
    "pair": ["'(1,a)'", "'(,)'", "'(1,)'"],
    "numeric": ["1.0", "1.00", "'NaN'"],
    "float8": ["0.0", "'-0'", "'NaN'"],
    "json": ["'{}'", "'{ }'", "'[1]'"],
    "jsonb": ["'{}'", "'[1]'", "'null'"],
    "int4range": ["'[1,3)'", "'empty'", "'[1,)'"],
}
MADE = (
    "CREATE TYPE mood AS ENUM ('sad', 'ok', 'glad')",
    "CREATE TYPE pair AS (a integer, b text)",
)
NEITHER, NULL = object(), None
"""What a statement writes to a column: nothing at all, NULL, or one of the values by its number."""

said = st.sampled_from([NEITHER, NULL, 0, 1, 2])
writes = st.lists(
    st.tuples(st.sampled_from(["insert", "update"]), st.integers(1, 4), said, said), min_size=1, max_size=12
)
defaults = st.sampled_from([None, 0])


def model(rows, default, what, key, old, new):
    """Change the rows by the rules: what was changed wins, the new name before the old one."""
    if what == "update":
        if key in rows:
            was = rows[key]
            rows[key] = new if new is not NEITHER and new != was else old if old is not NEITHER else was
        return
    old, new = (default if one is NEITHER else one for one in (old, new))
    rows[key] = new if new != default else old


def statement(what, key, old, new, values):
    given = {name: one for name, one in (("v", old), ("w", new)) if one is not NEITHER}
    texts = {name: "NULL" if one is NULL else values[one] for name, one in given.items()}
    if what == "insert":
        return f"INSERT INTO t ({', '.join(['id', *texts])}) VALUES ({', '.join([str(key), *texts.values()])})"
    sets = ", ".join(f"{name} = {text}" for name, text in {**texts, "n": "n + 1"}.items())
    return f"UPDATE t SET {sets} WHERE id = {key}"


@pytest.mark.parametrize("kind", KINDS)
def test_both_names_match_the_model(database, kind):
    values, place = KINDS[kind], [*KINDS].index(kind)
    if kind in ("mood", "pair"):
        database.execute(*MADE)
    rename = ColumnRename("t", "v", "w")
    default = 0 if place % 2 else None
    spelled = "" if default is None else f"DEFAULT {values[default]}"
    database.execute(f"CREATE TABLE t (id integer PRIMARY KEY, v {kind} {spelled}, n integer DEFAULT 0)")
    for phase in (rename.expand, rename.contract, rename.undo_contract)[: 1 if place % 3 else 3]:
        migrate(database, phase)
    agrees(database, default, values)


def agrees(database, default, values):
    engine = database.observer()

    @settings(max_examples=8, deadline=None, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    @given(writes)
    def check(sequence):
        rows = {}
        with engine.connect() as connection:
            for what, key, old, new in sequence:
                if what == "insert" and key in rows:
                    continue
                model(rows, default, what, key, old, new)
                connection.exec_driver_sql(statement(what, key, old, new, values))
            found = connection.exec_driver_sql("SELECT id, v::text, w::text FROM t ORDER BY id").all()
            texts = {}
            for number, value in enumerate(values):
                texts[number] = connection.exec_driver_sql(
                    f"SELECT x::text FROM (SELECT v AS x FROM t WHERE false UNION ALL SELECT {value}) s"
                ).scalar()
            connection.rollback()
        expected = [(key, one if one is NULL else texts[one]) for key, one in sorted(rows.items())]
        assert found == [(key, text, text) for key, text in expected]

    check()
