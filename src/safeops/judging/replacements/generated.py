"""Replacements of new columns with values from the server: identities, expressions, domains with constraints."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa

from safeops import _sqlalchemy
from safeops.databases import sqltext
from safeops.judging.replacements.code import column_code, sql_of, with_imports
from safeops.judging.replacements.raw import RawSql, executed
from safeops.judging.replacements.replacement import About, Replacement, key_of, lines
from safeops.naming import Name, call

SERIAL = "serial"
"""Marks a column of raw SQL that a sequence numbers."""


def identity(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement:
    """Return the calls that number the rows in batches, and then let the server number new rows."""
    own = RawSql.of(about.database).identity(name, column)
    if own is None:
        code = call("add_column_if_missing", name.name, column_code(column, about.database), schema=name.schema)
        return Replacement(with_imports(code), undo, one_to_one=True)
    return _numbered(name, column, own, about, undo)


def serial(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement | None:
    """Return the calls that number the rows in batches by the sequence that numbers new rows too."""
    own = RawSql.of(about.database).serial(name, column)
    return None if own is None else _numbered(name, column, own, about, undo)


def _numbered(name: Name, column: sa.Column[Any], by: tuple[str, str, str], about: About, undo: str) -> Replacement:
    before, numbers, after = by
    next_number = call("sa.text", numbers)
    plain = _plain(column)
    plain.unique = column.unique
    numbered = column_code(plain, about.database, nullable=False, server_default=next_number)
    return Replacement(
        lines(
            executed(before),
            with_imports(
                call(
                    "add_required_column",
                    name.name,
                    numbered,
                    populate=next_number,
                    key=key_of(about, name),
                    schema=name.schema,
                )
            ),
            executed(after),
        ),
        undo,
        note="Rows are numbered in batches; the last statement locks the table briefly (a catalogue change, milliseconds).",
    )


def _plain(column: sa.Column[Any]) -> sa.Column[Any]:
    """Return a column without what the server makes of it."""
    made: sa.Column[Any] = sa.Column(str(column.name), column.type, comment=column.comment)
    return made


def computed(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement:
    """Return the calls for a plain column: no server fills a stored one without a rewrite."""
    generated: Any = column.computed
    if generated.persisted is False or "virtual" in about.operation.traits:
        code = call("add_column_if_missing", name.name, column_code(column, about.database), schema=name.schema)
        return Replacement(with_imports(code), undo, one_to_one=True)
    value = call("sa.text", sql_of(generated.sqltext, about.database))
    bare = column_code(_plain(column), about.database)
    return Replacement(
        lines(
            with_imports(call("add_column_if_missing", name.name, bare, schema=name.schema)),
            call(
                "backfill",
                name.name,
                {str(column.name): value},
                where=True,
                key=key_of(about, name),
                schema=name.schema,
            ),
        ),
        undo,
        note="The result is a plain column, which the application or your own trigger must write: a stored generated"
        " column requires a rewrite. A virtual one (PostgreSQL 18, MariaDB, MySQL) takes milliseconds.",
    )


def domain(name: Name, column: sa.Column[Any], about: About, undo: str) -> Replacement:
    """Return the calls for the base type of a domain, with its rules on the column."""
    known = about.schema.type(_type_name(column))
    own = str(column.name)
    quoted = about.database.quoted(own)
    checks = [_of_column(check, quoted) for check in known.checks] if known else []
    base = RawSql.of(about.database).base_of(column.type, known)
    if base is None:
        return Replacement("", "", note=DOMAIN)
    plain = _sqlalchemy.copied(column)
    plain.type, plain.nullable = base, True
    return Replacement(
        lines(
            with_imports(
                call("add_column_if_missing", name.name, column_code(plain, about.database), schema=name.schema)
            ),
            *(
                call(
                    "create_check_constraint_if_missing", _check(name, own, place), name.name, check, schema=name.schema
                )
                for place, check in enumerate(checks)
            ),
        ),
        undo,
        note=DOMAIN,
    )


def _of_column(check: str, column: str) -> str:
    return sqltext.with_word(sqltext.with_word(check, "VALUE", column), "value", column)


DOMAIN = (
    "The result is a column of the base type with the domain's constraints on it; change the model too. A domain with"
    " constraints requires a rewrite."
)


def _check(name: Name, column: str, place: int) -> str:
    return f"ck_{name.name}_{column}" + (f"_{place + 1}" if place else "")


def _type_name(column: sa.Column[Any]) -> Name:
    type_: Any = column.type
    return Name(str(getattr(type_, "name", "") or type_), getattr(type_, "schema", None))
