"""Effects of statements to MariaDB and MySQL: of rows from sqlglot's tree, of all others from its tokens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import ClassVar

from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import SqlglotError

from safeops.judging import operations as op
from safeops.judging.mysql.alter import added_column, alter_table, indexed
from safeops.judging.operations import Operation
from safeops.judging.placeholders import without_placeholders
from safeops.judging.row_statements import rows_of, rows_or_opaque
from safeops.judging.words import STRING, Reader, Word, read_by, split, words_of


class _Tokenizer(MySQL.Tokenizer):
    """Reads each statement as tokens: sqlglot itself keeps a statement without a tree as one text."""

    COMMANDS: ClassVar = set()


_COMPOUND = frozenset({"TRIGGER", "PROCEDURE", "FUNCTION", "EVENT"})
_ROWS = frozenset({"SELECT", "INSERT", "REPLACE", "UPDATE", "DELETE", "WITH", "VALUES", "TABLE", "("})


_WITHOUT_TABLES = frozenset({"USE", "SHOW", "DESCRIBE", "DESC", "EXPLAIN", "HELP", "KILL", "RESET", "DEALLOCATE", "DO"})
_WITHOUT_TABLES |= {"PURGE", "CHANGE", "STOP", "INSTALL", "UNINSTALL", "XA", "SIGNAL"}


def operations_of(sql: str) -> list[Operation]:
    """Return what the statements of a text do."""
    try:
        text = _with_conditional_comments(sql)
        words = words_of(text, _Tokenizer(dialect=MySQL))
    except SqlglotError as error:
        return [Operation(op.OPAQUE, opaque=f"it has a syntax error: {error}")]
    return [each for part in _statements(words) for each in _statement(Reader(part, text))]


def _with_conditional_comments(sql: str) -> str:
    """Return the text with spaces for the marks of ``/*!50000 ... */``, which the server does not take for a comment."""
    if "/*!" not in sql and "/*M!" not in sql:
        return sql
    words, end, found = words_of(sql, _Tokenizer(dialect=MySQL)), 0, sql
    for start, following in [*((word.start, word.end) for word in words), (len(sql), len(sql))]:
        gap = found[end:start]
        for mark in ("/*M!", "/*!"):
            if mark in gap:
                head, _, tail = gap.partition(mark)
                number = len(tail) - len(tail.lstrip("0123456789"))
                body = " " * (len(mark) + number) + tail[number:]
                found = found[:end] + head + body.replace("*/", "  ", 1) + found[start:]
                break
        end = following
    return found


def _statements(words: list[Word]) -> Iterator[list[Word]]:
    """Split at semicolons, but not in the body of a trigger or a routine, which is sent alone."""
    head = {word.key for word in words[:8]}
    if (words and words[0].key == "CREATE" and head & _COMPOUND) or [word.key for word in words[:3]] == [
        "BEGIN",
        "NOT",
        "ATOMIC",
    ]:
        yield words
    else:
        yield from split(words, ";")


def _statement(reader: Reader) -> list[Operation]:
    if reader.key() in _ROWS:
        return _about_rows(reader)
    return read_by(_READERS, reader)


def _about_rows(reader: Reader) -> list[Operation]:
    text = without_placeholders(reader)
    if reader.at("REPLACE"):
        # The parser has no tree for it: it is an INSERT that first deletes what is in its way.
        text = "INSERT" + text[len("REPLACE") :]
    return rows_or_opaque(text, "mysql")


# CREATE, DROP, RENAME, TRUNCATE ------------------------------------------------------------------------------------------


def _alter(reader: Reader) -> Iterator[Operation]:
    reader.accept("ONLINE")
    reader.accept("IGNORE")
    if reader.accept("TABLE"):
        yield from alter_table(reader)
    elif reader.key() in (
        "DATABASE",
        "SCHEMA",
        "USER",
        "EVENT",
        "FUNCTION",
        "PROCEDURE",
        "SEQUENCE",
        "SERVER",
        "INSTANCE",
    ):
        yield Operation(op.OTHER)
    elif any(word.key == "VIEW" for word in reader.rest[:12]):
        yield Operation(op.CREATE_VIEW)


def _create(reader: Reader) -> Iterator[Operation]:
    reader.accept("OR", "REPLACE")
    words = [word.key for word in reader.rest[:12]]
    kept = {"temporary"} if reader.accept("TEMPORARY") else set()
    if reader.accept("TABLE"):
        yield from _create_table(reader, kept)
    elif (kind := reader.accept_any("UNIQUE", "FULLTEXT", "SPATIAL", "VECTOR")) or reader.at("INDEX"):
        reader.accept("INDEX")
        yield from _create_index(reader, kind.lower())
    elif "TRIGGER" in words:
        yield _create_trigger(reader)
    elif "VIEW" in words:
        yield Operation(op.CREATE_VIEW)
    elif words[:1] and {*words} & {"DATABASE", "SCHEMA", "USER", "ROLE", "SEQUENCE", "SERVER", *_COMPOUND}:
        yield Operation(op.OTHER)


def _create_index(reader: Reader, kind: str) -> Iterator[Operation]:
    exists = ["if exists"] if reader.accept("IF", "NOT", "EXISTS") else []
    name = reader.name()
    reader.accept("USING") and reader.take()
    reader.accept("ON")
    table = reader.table()
    made = indexed(reader, *([kind] if kind else []), *exists)
    yield replace(made, table=table, name=name).with_traits(*_asked(reader))


def _asked(reader: Reader) -> set[str]:
    """Return ALGORITHM and LOCK at the end of a statement as traits."""
    asked = set()
    while reader:
        word = reader.next()
        if word in ("ALGORITHM", "LOCK"):
            reader.accept("=")
            asked.add(f"{word.lower()} {reader.next().lower()}")
    return asked - {"algorithm default", "lock default"}


def _create_trigger(reader: Reader) -> Operation:
    while reader and not reader.accept("ON"):
        reader.take()
    return Operation(op.CREATE_TRIGGER, reader.table())


def _create_table(reader: Reader, kept: set[str]) -> Iterator[Operation]:
    exists = {"if exists"} if reader.accept("IF", "NOT", "EXISTS") else set()
    table = reader.table()
    like = Reader(reader.rest, reader.sql)
    like.accept("(")
    if like.accept("LIKE"):
        yield Operation(op.CREATE_TABLE, table, other=like.table(), traits=frozenset({"like", *exists, *kept}))
        return
    group = reader.group() if reader.key() == "(" and reader.key(1) not in ("SELECT", "WITH") else None
    query = _query(reader)
    made = {"as select"} if query is not None else set()
    read = [each for words in split(group or [], ",") for each in added_column(Reader(words, reader.sql))]
    parts = tuple(replace(each, table=table) for each in read)
    yield Operation(op.CREATE_TABLE, table, traits=frozenset({*exists, *made, *kept}), parts=parts)
    yield from (part.with_traits("inline") for part in parts if part.kind == op.ADD_FOREIGN_KEY)
    for found in rows_of(query, "mysql") or [] if query is not None else []:
        filled = found.kind == op.SELECT and found.table is not None
        yield (
            replace(found, kind=op.INSERT, table=table, other=found.table).with_traits("from table")
            if filled
            else found
        )


def _query(reader: Reader) -> str | None:
    """Return the query that fills a table as it is created; None if there is none."""
    while reader:
        if reader.key() in ("SELECT", "WITH", "VALUES"):
            return without_placeholders(reader)
        reader.take()
    return None


def _drop(reader: Reader) -> Iterator[Operation]:
    reader.accept("TEMPORARY")
    kind = reader.next()
    exists = frozenset({"if exists"} if reader.accept("IF", "EXISTS") else ())
    if kind in ("TABLE", "TABLES"):
        for words in split(reader.rest, ","):
            yield Operation(op.DROP_TABLE, Reader(words, reader.sql).table(), traits=exists)
    elif kind == "INDEX":
        name = reader.name()
        reader.accept("ON")
        yield Operation(op.DROP_INDEX, reader.table(), name=name, traits=exists | _asked(reader))
    elif kind in ("DATABASE", "SCHEMA"):
        yield Operation(op.DROP_SCHEMA, name=reader.name(), traits=exists)
    elif kind == "TRIGGER":
        yield Operation(op.DROP_TRIGGER, name=reader.name(), traits=exists)
    elif kind == "VIEW":
        yield Operation(op.DROP_VIEW, traits=exists)
    elif kind in {"USER", "ROLE", "SEQUENCE", "SERVER", "PREPARE", *_COMPOUND}:
        yield Operation(op.OTHER)


def _rename(reader: Reader) -> Iterator[Operation]:
    if not reader.accept_any("TABLE", "TABLES"):
        yield Operation(op.OTHER)
        return
    reader.accept("IF", "EXISTS")
    for words in split(reader.rest, ","):
        pair = Reader(words, reader.sql)
        table = pair.table()
        pair.accept("NOWAIT") or (pair.accept("WAIT") and pair.take())
        pair.accept("TO")
        yield Operation(op.RENAME_TABLE, table, other=pair.table())


def _truncate(reader: Reader) -> Iterator[Operation]:
    reader.accept("TABLE")
    yield Operation(op.TRUNCATE, reader.table())


# Transactions, sessions, locks ------------------------------------------------------------------------------------------


def _set(reader: Reader) -> Iterator[Operation]:
    if reader.at("PASSWORD") or reader.at("ROLE") or reader.at("DEFAULT", "ROLE"):
        yield Operation(op.OTHER)
        return
    if any(word.key == "STATEMENT" for word in reader.rest[:1]):
        yield from _for_statement(reader)
        return
    for words in split(reader.rest, ","):
        yield _setting(Reader(words, reader.sql))


def _for_statement(reader: Reader) -> Iterator[Operation]:
    """``SET STATEMENT ... FOR`` of MariaDB: the settings hold for that statement alone."""
    keys = [word.key for word in reader.rest]
    start = keys.index("FOR") + 1 if "FOR" in keys else len(keys)
    yield from _statement(Reader(reader.rest[start:], reader.sql))


def _setting(reader: Reader) -> Operation:
    everywhere = reader.accept_any("GLOBAL", "PERSIST", "PERSIST_ONLY")
    reader.accept_any("SESSION", "LOCAL")
    while reader.key() in ("@", "@@", "@@SESSION", "@@GLOBAL", ".") or reader.at("SESSION", "."):
        everywhere = everywhere or ("GLOBAL" if reader.key() == "@@GLOBAL" else "")
        reader.take()
    name = (reader.name() or "").lower()
    if name in ("names", "transaction", "character", "charset"):
        return Operation(op.SET_SESSION, name=name, expression=reader.text(reader.rest))
    reader.accept(":")
    reader.accept_any("=", ":=")
    value = reader.rest[0].text if len(reader.rest) == 1 and reader.rest[0].kind == STRING else reader.text(reader.rest)
    return Operation(op.OTHER if everywhere else op.SET_SESSION, name=name, expression=value)


def _lock(reader: Reader) -> Iterator[Operation]:
    if not reader.accept_any("TABLES", "TABLE"):
        return
    for words in split(reader.rest, ","):
        one = Reader(words, reader.sql)
        mode = "write" if "WRITE" in {word.key for word in words} else "read"
        yield Operation(op.LOCK_TABLE, one.table(), name=mode, traits=frozenset({f"mode {mode}"}))


def _start(reader: Reader) -> Iterator[Operation]:
    yield Operation(op.BEGIN) if reader.at("TRANSACTION") else Operation(op.OTHER)


def _begin(reader: Reader) -> Iterator[Operation]:
    if reader.at("NOT", "ATOMIC"):
        yield Operation(op.OPAQUE, opaque="it is a block of statements that runs inside the server")
    else:
        yield Operation(op.BEGIN)


def _rollback(reader: Reader) -> Iterator[Operation]:
    yield Operation(op.SAVEPOINT if any(word.key == "TO" for word in reader.rest) else op.ROLLBACK)


# What looks after tables ---------------------------------------------------------------------------------------------


def _maintain(kind: str, name: str | None = None) -> Callable[[Reader], Iterator[Operation]]:
    def read(reader: Reader) -> Iterator[Operation]:
        reader.accept_any("NO_WRITE_TO_BINLOG", "LOCAL")
        if reader.accept_any("TABLE", "TABLES"):
            for words in split(reader.rest, ","):
                yield Operation(kind, Reader(words, reader.sql).table(), name)

    return read


def _flush(reader: Reader) -> Iterator[Operation]:
    if reader.at("TABLES") and any(word.key == "LOCK" for word in reader.rest):
        yield Operation(op.OPAQUE, opaque="it locks all tables of the server until UNLOCK TABLES")
    else:
        yield Operation(op.OTHER)


def _load(reader: Reader) -> Iterator[Operation]:
    while reader and not reader.accept("INTO", "TABLE"):
        reader.take()
    yield Operation(op.INSERT, reader.table(), traits=frozenset({"copy"}))


def _plain(kind: str, opaque: str = "") -> Callable[[Reader], Iterator[Operation]]:
    def read(reader: Reader) -> Iterator[Operation]:
        yield Operation(kind, opaque=opaque)

    return read


def _granted(kind: str) -> Callable[[Reader], Iterator[Operation]]:
    def read(reader: Reader) -> Iterator[Operation]:
        while reader and not reader.accept("ON"):
            reader.take()
        reader.accept("TABLE")
        yield Operation(kind, None if reader.key() in ("*", "FUNCTION", "PROCEDURE") else reader.table())

    return read


_READERS: dict[str, Callable[[Reader], Iterator[Operation]]] = {
    "ALTER": _alter,
    "CREATE": _create,
    "DROP": _drop,
    "RENAME": _rename,
    "TRUNCATE": _truncate,
    "SET": _set,
    "LOCK": _lock,
    "START": _start,
    "BEGIN": _begin,
    "ROLLBACK": _rollback,
    "OPTIMIZE": _maintain(op.REWRITE_TABLE, name="optimize"),
    "ANALYZE": _maintain(op.ANALYZE),
    "CHECK": _maintain(op.ANALYZE, name="check"),
    "REPAIR": _maintain(op.REWRITE_TABLE, name="repair"),
    "FLUSH": _flush,
    "LOAD": _load,
    "GRANT": _granted(op.GRANT),
    "REVOKE": _granted(op.REVOKE),
    "COMMIT": _plain(op.COMMIT),
    "UNLOCK": _plain(op.COMMIT),
    "SAVEPOINT": _plain(op.SAVEPOINT),
    "RELEASE": _plain(op.SAVEPOINT),
    "CALL": _plain(op.OPAQUE, "it calls a procedure, and the code of that is not part of the statement"),
    "PREPARE": _plain(op.OPAQUE, "a text that the server puts together"),
    "EXECUTE": _plain(op.OPAQUE, "a text that the server puts together"),
    **dict.fromkeys(_WITHOUT_TABLES, _plain(op.OTHER)),
}
