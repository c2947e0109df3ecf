"""Answers a query of the catalogue, written as SQL, from what is known of the tables.

It is not executed. The answer depends on the texts in it that name something known: that is how revisions check whether a
column, an index or a constraint already exists.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from safeops.databases import sqltext
from safeops.judging.existing import KnownTable
from safeops.judging.schema import Schema
from safeops.naming import Name

KINDS = {
    "column": re.compile(r"\b(COLUMNS|PG_ATTRIBUTE|TABLE_INFO|TABLE_XINFO)\b"),
    "index": re.compile(r"\b(PG_INDEXES|PG_INDEX|STATISTICS|INDEX_LIST)\b"),
    "constraint": re.compile(r"\b(\w+_CONSTRAINTS|PG_CONSTRAINT|\w+_USAGE|FOREIGN_KEY_LIST)\b"),
    "type": re.compile(r"\b(PG_TYPE|PG_ENUM|DOMAINS)\b"),
    "relation": re.compile(r"\b(TABLES|PG_CLASS|PG_TABLES|SQLITE_MASTER|SQLITE_SCHEMA|VIEWS|PG_VIEWS|PG_MATVIEWS)\b"),
}
"""The catalogues by what their rows are, the narrower ones first: others are joined to them."""
CONSTRAINTS = {"c": "check", "f": "foreign key", "p": "primary key", "u": "unique", "x": "exclusion", "n": "not null"}
"""The kinds of constraints by what pg_constraint calls them."""
CATALOGUES = frozenset({"INFORMATION_SCHEMA", "PG_CATALOG", "SQLITE_MASTER", "SQLITE_SCHEMA"})
FUNCTIONS = frozenset({"PG_SLEEP", "PG_TYPEOF", "PG_ADVISORY_LOCK", "PG_ADVISORY_XACT_LOCK", "PG_COLUMN_SIZE"})
OF_TABLE = frozenset({"table_name", "tablename", "relname", "tbl_name", "table"})
OF_SCHEMA = frozenset({"table_schema", "schemaname", "nspname", "constraint_schema", "table_catalog"})


@dataclass(frozen=True)
class Found:
    """A row of a catalogue.

    Args:
        name: What it is about.
        table: The table of that.
        type: Its type, of a column.
        nullable: Whether it takes NULL.
        kind: What it is, of a constraint.
    """

    name: str
    table: Name
    type: str | None = None
    nullable: bool = True
    kind: str = ""


def is_catalogue(words: Sequence[str]) -> bool:
    """Return whether a query reads a catalogue, by its words in upper case."""
    if "FROM" not in words:
        return words[:1] == ("PRAGMA",) and any(word.endswith(("_INFO", "_XINFO", "_LIST")) for word in words[1:2])
    return any(word in CATALOGUES or (word.startswith("PG_") and word not in FUNCTIONS) for word in words)


def rows_for(sql: str, parameters: Any, schema: Schema) -> list[Found]:
    """Return the rows that a query of the catalogue finds."""
    upper = sql.upper()
    kind = next((kind for kind, pattern in KINDS.items() if pattern.search(upper)), None)
    if kind is None:
        return []
    texts = {text.lower() for text in _texts(sql, parameters)}
    there = [found for table in schema.tables.values() for found in _rows(kind, table)]
    if wanted := {CONSTRAINTS.get(text, text) for text in texts} & set(CONSTRAINTS.values()):
        there = [found for found in there if found.kind in ("", *wanted)]
    if kind == "type":
        there = [Found(name.name, name) for name in schema.types]
    if kind == "relation":
        there += [found for table in schema.tables.values() for found in _rows("index", table)]
    tables = {found.table for found in there if found.table.name.lower() in texts or str(found.table).lower() in texts}
    named = [found for found in there if found.name.lower() in texts and (not tables or found.table in tables)]
    if kind in ("type", "relation"):
        return named
    # Without a name, the query is for all of a table; with an unknown name, for something that does not exist.
    others = texts - {part.lower() for table in tables for part in (table.name, str(table))} - _schemas(schema)
    return named or ([] if others & _likely(texts) else [found for found in there if found.table in tables])


def value_of(item: Sequence[str], found: Found) -> Any:
    """Return a column of a row, by the words that select it."""
    name = sqltext.unquoted(item[-1]).lower() if item else ""
    if name in OF_TABLE:
        return found.table.name
    if name in OF_SCHEMA:
        return found.table.schema or "public"
    if name == "is_nullable":
        return "YES" if found.nullable else "NO"
    if name in ("data_type", "udt_name", "typname", "column_type", "format_type"):
        return found.type or found.name
    return found.name if name.endswith("name") or name == "name" else None


def _rows(kind: str, table: KnownTable) -> Iterator[Found]:
    match kind:
        case "column":
            for column in table.columns.values():
                yield Found(column.name, table.name, column.type, column.nullable is not False)
        case "index":
            yield from (Found(name, table.name) for name in table.indexes)
        case "constraint":
            yield from (Found(name, table.name, kind=one.kind) for name, one in table.constraints.items())
        case "relation":
            yield Found(table.name.name, table.name)


def _texts(sql: str, parameters: Any) -> Iterator[str]:
    """Yield the texts in a query: its strings, what a PRAGMA is given, and its parameters."""
    for kind, text in sqltext.tokens(sql):
        if kind == "string":
            yield text[text.index("'") + 1 : -1].replace("''", "'")
        elif sql.lstrip().upper().startswith("PRAGMA") and kind in ("word", "quoted"):
            yield sqltext.unquoted(text)
    values = parameters.values() if isinstance(parameters, dict) else parameters or ()
    for value in values:
        yield from (value,) if isinstance(value, str) else map(str, value) if isinstance(value, (list, tuple)) else ()


def _schemas(schema: Schema) -> set[str]:
    return {"public", str(schema.home).lower(), *(name.schema.lower() for name in schema.tables if name.schema)}


NOT_NAMES = frozenset(
    ("base table", "foreign key", "primary key", "unique", "check", "yes", "no", "table", "index", "view")
)


def _likely(texts: set[str]) -> set[str]:
    """Return the texts that can be names; the others select kinds of rows."""
    return {text for text in texts if text not in NOT_NAMES and len(text) > 1 and "%" not in text}
