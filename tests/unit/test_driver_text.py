"""The text of a statement that the server gets: a driver reads two percent signs next to parameters as one."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from hypothesis import given
from hypothesis import strategies as st
from sqlalchemy.dialects import postgresql, sqlite

from safeops.databases.driver_text import driver_text, server_text

PYFORMAT, QMARK = postgresql.dialect(paramstyle="pyformat"), sqlite.dialect()
TEXTS = st.text(st.sampled_from("%s(ab'\"`;- )\n"), max_size=30)


@pytest.mark.parametrize(
    ("sql", "server"),
    [
        ('UPDATE "50%%" SET "a%%b" = %(x)s', 'UPDATE "50%" SET "a%b" = %(x)s'),
        (
            "UPDATE t SET a = %s WHERE b LIKE '%%s' AND c %% %s = 0",
            "UPDATE t SET a = %s WHERE b LIKE '%s' AND c % %s = 0",
        ),
        ("SELECT a %%s, b %%(c)", "SELECT a % s, b % (c)"),
        ("SELECT 1 -- 5 %%", "SELECT 1 -- 5 %"),
    ],
)
def test_placeholders_remain(sql: str, server: str) -> None:
    assert server_text(sql, {"x": 1}, PYFORMAT) == server
    assert server_text(sql, {}, PYFORMAT) == server
    assert server_text(sql, None, PYFORMAT) == server_text(sql, {"x": 1}, QMARK) == sql


@given(TEXTS, TEXTS)
def test_a_name_and_a_string_are_what_sqlalchemy_was_given(name: str, value: str) -> None:
    quoted, literal = '"' + name.replace('"', '""') + '"', "'" + value.replace("'", "''") + "'"
    column = sa.column(sa.sql.quoted_name(name, quote=True))
    written = sa.select(column).where(column == sa.literal_column(literal)).compile(dialect=PYFORMAT)
    assert server_text(str(written), {}, PYFORMAT) == f"SELECT {quoted} \nWHERE {quoted} = {literal}"


@given(TEXTS)
def test_a_driver_gets_the_text_back(text: str) -> None:
    server = server_text(text, {}, PYFORMAT)
    assert server_text(driver_text(server, {}, PYFORMAT), {}, PYFORMAT) == server
