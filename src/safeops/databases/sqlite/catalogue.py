"""Tables of a SQLite file, read from its PRAGMAs and from the text that SQLite keeps of each definition."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from safeops.databases.definitions import Column, Constraint, Index, NameMapping
from safeops.databases.sqlite import spelling
from safeops.databases.sqlite.spelling import folded, items_of, tokens
from safeops.databases.sqlite.text import Clause, TableText
from safeops.naming import Name, fitting

T = TypeVar("T")

_SUFFIXES = {"foreign key": "fkey", "check": "check", "unique": "key", "primary key": "pkey"}


def by_name(items: Iterable[tuple[str, T]]) -> NameMapping[T]:
    return NameMapping(items, folded)


def columns_of(text: TableText, infos: Iterable[Any]) -> NameMapping[Column]:
    """Read the columns; ``infos`` are the rows of ``PRAGMA table_xinfo`` without those that are hidden."""
    rows = list(infos)
    row_id = row_id_of(text, rows)
    return by_name((name, _column(text, name, type_, bool(notnull), row_id)) for _, name, type_, notnull, *_ in rows)


def row_id_of(text: TableText, infos: Iterable[Any]) -> str | None:
    """Return the column that is another name of the row id.

    https://www.sqlite.org/lang_createtable.html#rowids_and_the_integer_primary_key
    """
    keys = [(name, type_) for _, name, type_, _, _, place, *_ in infos if place]
    inline = [
        clause
        for clause in text.clauses
        if clause.kind == "primary key" and clause.column and clause.expression == "DESC"
    ]
    if len(keys) != 1 or keys[0][1].upper() != "INTEGER" or inline or "WITHOUT" in text.options.upper():
        return None
    return str(keys[0][0])


def _column(text: TableText, name: str, type_: str, notnull: bool, row_id: str | None) -> Column:
    column = text.column(name)
    default, generated, collated = (column.clause(kind) for kind in ("default", "generated", "collate"))
    return Column(
        name=name,
        type=_type(type_, text, name),
        nullable=not (notnull or name == row_id),
        default=spelling.default_value(default.expression if default else None),
        computed=spelling.computed(generated.expression or "", generated.stored) if generated else None,
        collation=spelling.collation(collated.expression if collated else None),
    )


def _type(type_: str, text: TableText, name: str) -> str:
    # INT PRIMARY KEY is an ordinary column, INTEGER PRIMARY KEY is the row id.
    is_key = any(clause.kind == "primary key" and clause.columns == (name,) for clause in text.clauses)
    return "int" if is_key and type_.upper() == "INT" else spelling.type_name(type_)


def constraints_of(text: TableText, table: Name, referents: Mapping[str, Sequence[Any]]) -> NameMapping[Constraint]:
    """Read the constraints; ``referents`` gives the columns of the tables that are referred to."""
    clauses = clauses_of(text, table.name)
    return by_name((name, constraint_of(clause, text.sql, table, name, referents)) for name, clause in clauses)


def clauses_of(text: TableText, table: str) -> Iterator[tuple[str, Clause]]:
    """Go through the constraints by name; what has none is named as PostgreSQL would name it."""
    found = [clause for clause in text.clauses if clause.kind in _SUFFIXES]
    taken = {folded(clause.name) for clause in found if clause.name is not None}
    seen: set[str] = set()
    for clause in found:
        name = clause.name if clause.name is not None and folded(clause.name) not in seen else None
        name = name or _free(_name_for(clause, table), taken)
        taken.add(folded(name))
        seen.add(folded(name))
        yield name, clause


def _name_for(clause: Clause, table: str) -> str:
    columns = clause.columns if clause.kind != "primary key" else ()
    columns = (clause.column,) if clause.kind == "check" and clause.column else columns
    return fitting(table, *columns, _SUFFIXES[clause.kind], max_bytes=63)


def _free(name: str, taken: set[str]) -> str:
    number = 0
    while folded(f"{name}{number or ''}") in taken:
        number += 1
    return f"{name}{number or ''}"


def constraint_of(
    clause: Clause, sql: str, table: Name, name: str, referents: Mapping[str, Sequence[Any]] | None = None
) -> Constraint:
    """Read a constraint from its place in the text, with the names of others as they are spelled there."""
    known = by_name((referents or {}).items())
    infos = known.get(clause.referent or "", ())
    columns = by_name((info[1], info) for info in infos)
    remote = tuple(map(columns.spelled, clause.remote)) or _keys(infos)
    referent = Name(known.spelled(clause.referent), table.schema) if clause.referent is not None else None
    return Constraint(
        name=name,
        kind=clause.kind,
        columns=clause.columns,
        expression=clause.expression if clause.kind == "check" else None,
        referent=referent,
        remote=remote,
        onupdate=clause.onupdate,
        ondelete=clause.ondelete,
        match=clause.match,
        deferrable=clause.deferrable,
        initially=clause.initially,
        definition=sql[clause.start : clause.end],
    )


def _keys(infos: Iterable[Any]) -> tuple[str, ...]:
    keys = sorted((info[5], info[1]) for info in infos if info[5])
    return tuple(column for _, column in keys)


def index_of(definition: str, name: str, table: str, spelled: Callable[[str], str] = str) -> Index:
    """Read an index from its CREATE INDEX; ``spelled`` spells the columns."""
    words = tokens(definition)
    *elements, rest = items_of(definition, next(token.start for token in words if token.word == "ON"))
    return Index(
        name=name,
        columns=tuple(spelling.element(element, spelled) for element in elements),
        unique=words[1].word == "UNIQUE",
        where=rest[len("WHERE") :].strip() or None,
        table=table,
        definition=definition,
    )
