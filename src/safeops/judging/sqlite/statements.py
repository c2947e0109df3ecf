"""Effects of statements to SQLite: of rows from sqlglot's tree, of all others from its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

from sqlglot.dialects.sqlite import SQLite
from sqlglot.errors import SqlglotError

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.placeholders import without_placeholders
from safeops.judging.row_statements import rows_of, rows_or_opaque
from safeops.judging.sqlite.definitions import column, constraint, part
from safeops.judging.words import Reader, Word, read_by, split, words_of
from safeops.naming import Name

COPY = "_alembic_tmp_"
"""The prefix of the table that Alembic's batch mode fills."""
WHOLE_FILE = Name("sqlite_schema")
"""All tables of the file."""


class _Tokenizer(SQLite.Tokenizer):
    """Reads each statement as tokens: sqlglot itself keeps a statement without a tree as one text."""

    COMMANDS: ClassVar = set()


_ROWS = frozenset({"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH", "VALUES"})


def operations_of(sql: str) -> list[Operation]:
    """Return what the statements of a text do."""
    try:
        words = words_of(sql, _Tokenizer(dialect=SQLite))
    except SqlglotError as error:
        return [Operation(op.OPAQUE, opaque=f"it has a syntax error: {error}")]
    return [each for part in _statements(words) for each in _statement(Reader(part, sql))]


def _statements(words: list[Word]) -> Iterator[list[Word]]:
    """Split at semicolons, but not in the body of a trigger, which ends with END."""
    gathered: list[Word] = []
    for piece in split(words, ";"):
        gathered += piece
        keys = [word.key for word in gathered]
        if keys[:1] != ["CREATE"] or "TRIGGER" not in keys[:3] or keys[-1] == "END":
            yield gathered
            gathered = []
    if gathered:
        yield gathered


def _statement(reader: Reader) -> list[Operation]:
    if reader.key() in _ROWS:
        return _about_rows(reader)
    return read_by(_READERS, reader)


def _about_rows(reader: Reader) -> list[Operation]:
    text = without_placeholders(reader)
    if reader.at("REPLACE"):
        text = "INSERT OR " + text
    return [_batch(each) for each in rows_or_opaque(text, "sqlite")]


def _batch(operation: Operation) -> Operation:
    """Return the INSERT of batch mode as a rewrite of the original table."""
    table, source = operation.table, operation.other
    if operation.kind != op.INSERT or table is None or source is None or table.name != COPY + source.name:
        return operation
    return replace(operation, kind=op.REWRITE_TABLE, table=source, other=table).with_traits("batch")


# Tables ----------------------------------------------------------------------------------------------------------------


def _alter(reader: Reader) -> Iterator[Operation]:
    if reader.accept("TABLE"):
        table = reader.table()
        yield from (replace(each, table=table) for each in _altered(reader))


def _altered(reader: Reader) -> Iterator[Operation]:
    if reader.accept("RENAME"):
        yield _renamed(reader)
    elif reader.accept("ADD"):
        found = constraint(reader)
        reader.accept("COLUMN")
        exists = ("if exists",) if reader.accept("IF", "NOT", "EXISTS") else ()
        yield found if found is not None else column(reader).with_traits(*exists)
    elif reader.accept("DROP"):
        named = reader.accept("CONSTRAINT")
        reader.accept("COLUMN")
        traits = frozenset({"if exists"} if reader.accept("IF", "EXISTS") else ())
        name = reader.name()
        yield (
            Operation(op.DROP_CONSTRAINT, name=name) if named else Operation(op.DROP_COLUMN, column=name, traits=traits)
        )
    elif reader.accept("ALTER"):
        reader.accept("COLUMN")
        name = reader.name()
        yield Operation(op.DROP_NOT_NULL if reader.at("DROP") else op.SET_NOT_NULL, column=name)


def _renamed(reader: Reader) -> Operation:
    if reader.accept("TO"):
        return Operation(op.RENAME_TABLE, other=reader.table())
    reader.accept("COLUMN")
    old = reader.name()
    reader.accept("TO")
    return Operation(op.RENAME_COLUMN, column=old, expression=reader.name())


def _create(reader: Reader) -> Iterator[Operation]:
    kept = {"temporary"} if reader.accept_any("TEMP", "TEMPORARY") else set()
    kind = reader.next()
    traits = {"unique"} if kind == "UNIQUE" else set()
    if kind == "UNIQUE":
        kind = reader.next()
    exists = {"if exists"} if reader.accept("IF", "NOT", "EXISTS") else set()
    if kind == "TABLE":
        yield from _create_table(reader, frozenset(kept | exists))
    elif kind == "INDEX":
        yield _create_index(reader, frozenset(traits | exists))
    elif kind == "TRIGGER":
        while reader and not reader.accept("ON"):
            reader.take()
        yield Operation(op.CREATE_TRIGGER, reader.table())
    elif kind == "VIEW":
        yield Operation(op.CREATE_VIEW, reader.table())
    elif kind == "VIRTUAL":
        reader.accept("TABLE")
        reader.accept("IF", "NOT", "EXISTS")
        yield Operation(op.CREATE_TABLE, reader.table(), traits=frozenset({"as select"}))


def _create_table(reader: Reader, traits: frozenset[str]) -> Iterator[Operation]:
    table = reader.table()
    parts = tuple(replace(part(Reader(words, reader.sql)), table=table) for words in split(reader.group() or [], ","))
    query = reader.accept("AS")
    made = traits | ({"as select"} if query else set())
    yield Operation(op.CREATE_TABLE, table, traits=made, parts=parts)
    for found in (rows_of(without_placeholders(reader), "sqlite") or []) if query else []:
        filled = found.kind == op.SELECT and found.table is not None
        yield (
            replace(found, kind=op.INSERT, table=table, other=found.table).with_traits("from table")
            if filled
            else found
        )


def _create_index(reader: Reader, traits: frozenset[str]) -> Operation:
    name = reader.table()
    reader.accept("ON")
    table = reader.table()
    parts = split(reader.group() or [], ",")
    columns = tuple(one[0].text for one in parts if one[0].key != "(")
    return Operation(
        op.CREATE_INDEX, table, name=name.name if name is not None else None, columns=columns, traits=traits
    )


def _drop(reader: Reader) -> Iterator[Operation]:
    kinds = {"TABLE": op.DROP_TABLE, "INDEX": op.DROP_INDEX, "TRIGGER": op.DROP_TRIGGER, "VIEW": op.DROP_VIEW}
    kind = kinds.get(reader.next())
    traits = frozenset({"if exists"} if reader.accept("IF", "EXISTS") else ())
    name = reader.table()
    if kind in (op.DROP_TABLE, op.DROP_VIEW):
        yield Operation(str(kind), name, traits=traits)
    elif kind is not None:
        yield Operation(kind, name=name.name if name is not None else None, traits=traits)


# The file, the session and transactions -----------------------------------------------------------------------------------


def _pragma(reader: Reader) -> Iterator[Operation]:
    name = reader.table()
    value = reader.group() or ([*reader.rest] if reader.accept("=") is False else [])
    words = reader.rest if reader.rest else value
    text = reader.text([word for word in words if word.key != "="]).strip("'\"")
    yield Operation(op.SET_SESSION, name=name.name.lower(), expression=text) if name and text else Operation(op.OTHER)


def _analyze(reader: Reader) -> Iterator[Operation]:
    yield Operation(op.ANALYZE, reader.table() or WHOLE_FILE)


def _reindex(reader: Reader) -> Iterator[Operation]:
    named = reader.table()
    yield Operation(op.REINDEX, named or WHOLE_FILE, name=named.name if named else None)


def _vacuum(reader: Reader) -> Iterator[Operation]:
    into = any(word.key == "INTO" for word in reader.rest)
    yield Operation(op.OTHER) if into else Operation(op.VACUUM, WHOLE_FILE)


def _rollback(reader: Reader) -> Iterator[Operation]:
    yield Operation(op.SAVEPOINT if any(word.key == "TO" for word in reader.rest) else op.ROLLBACK)


def _plain(kind: str) -> Callable[[Reader], Iterator[Operation]]:
    def read(reader: Reader) -> Iterator[Operation]:
        yield Operation(kind)

    return read


_READERS: dict[str, Callable[[Reader], Iterator[Operation]]] = {
    "ALTER": _alter,
    "CREATE": _create,
    "DROP": _drop,
    "PRAGMA": _pragma,
    "ANALYZE": _analyze,
    "REINDEX": _reindex,
    "VACUUM": _vacuum,
    "BEGIN": _plain(op.BEGIN),
    "COMMIT": _plain(op.COMMIT),
    "END": _plain(op.COMMIT),
    "ROLLBACK": _rollback,
    "SAVEPOINT": _plain(op.SAVEPOINT),
    "RELEASE": _plain(op.SAVEPOINT),
    "ATTACH": _plain(op.OTHER),
    "DETACH": _plain(op.OTHER),
    "EXPLAIN": _plain(op.OTHER),
}
