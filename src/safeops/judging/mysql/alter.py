"""ALTER TABLE, action by action: the server takes them together and uses the slowest way that one of them needs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace

from safeops.judging import operations as op
from safeops.judging.mysql.columns import definition
from safeops.judging.operations import Operation
from safeops.judging.words import Reader, Word, split
from safeops.naming import Name

_INSTANT_OPTIONS = frozenset(
    {"COMMENT", "AUTO_INCREMENT", "STATS_PERSISTENT", "STATS_AUTO_RECALC", "STATS_SAMPLE_PAGES"}
)
_INSTANT_OPTIONS |= {
    "MAX_ROWS",
    "MIN_ROWS",
    "AVG_ROW_LENGTH",
    "CHECKSUM",
    "DELAY_KEY_WRITE",
    "PACK_KEYS",
    "INSERT_METHOD",
}
_REBUILDING_OPTIONS = frozenset(
    {"ROW_FORMAT", "KEY_BLOCK_SIZE", "FORCE", "PAGE_COMPRESSED", "PAGE_COMPRESSION_LEVEL", "TABLESPACE", "COMPRESSION"}
)
_COPYING_OPTIONS = frozenset({"ORDER", "ENCRYPTED", "ENCRYPTION", "ENCRYPTION_KEY_ID", "UNION", "DATA", "CONNECTION"})
EXISTS = "if exists"
PRIMARY = "PRIMARY"
"""The name of each primary key; the server ignores the name in the statement."""
_LOCAL_TABLESPACE = "it discards or replaces the files of the table, which cannot be used in the meantime"


def alter_table(reader: Reader) -> Iterator[Operation]:
    """Return the operations of ``ALTER TABLE``; the reader is after these words."""
    asked = {EXISTS} if reader.accept("IF", "EXISTS") else set()
    table = reader.table()
    reader.accept("NOWAIT") or (reader.accept("WAIT") and reader.take())
    made: list[Operation] = []
    for words in _actions(reader.rest):
        action = Reader(words, reader.sql)
        found = _asked(action)
        asked |= found
        if not found or action:
            made += _action(action, table)
    yield from (each.with_traits(*asked) for each in _together(made))


def _actions(words: list[Word]) -> Iterator[list[Word]]:
    """Return the actions; before a partition clause, and an option in front of it, the comma is optional."""
    for part in split(words, ","):
        place = next((at for at, word in enumerate(part) if word.key == "PARTITION" and _begins(part, at)), 0)
        yield from (piece for piece in (part[:place], part[place:]) if piece)


def _begins(part: list[Word], at: int) -> bool:
    return at > 0 and at + 1 < len(part) and part[at + 1].key == "BY"


def _asked(action: Reader) -> set[str]:
    """Consume ALGORITHM and LOCK, and return them as traits."""
    asked = set()
    while action.key() in ("ALGORITHM", "LOCK") and action.key(1) not in ("", ","):
        word = action.next().lower()
        action.accept("=")
        asked.add(f"{word} {action.next().lower()}")
    action.accept_any("WITH", "WITHOUT") and action.accept("VALIDATION")
    return asked - {"algorithm default", "lock default"}


def _together(made: list[Operation]) -> list[Operation]:
    """Return the actions with the traits that depend on other actions of the statement."""
    kinds = {each.kind for each in made}
    if op.ADD_PRIMARY_KEY not in kinds and not any(
        "primary key" in each.traits for each in made if each.kind == op.ADD_COLUMN
    ):
        return made
    return [each.with_traits("replaced") if _drops_key(each) else each for each in made]


def _drops_key(operation: Operation) -> bool:
    return operation.kind == op.DROP_CONSTRAINT and "primary key" in operation.traits


def _action(action: Reader, table: Name | None) -> list[Operation]:
    word = action.next()
    read = _READERS.get(word)
    found = list(read(action)) if read is not None else [_option(word, action)]
    return [replace(each, table=table) for each in found]


# ADD -------------------------------------------------------------------------------------------------------------------


def _add(action: Reader) -> Iterator[Operation]:
    if action.at("PARTITION"):
        yield Operation(op.ALTER_TABLE, name="add partition", traits=_partitions(action))
    elif action.at("SYSTEM") or action.at("PERIOD"):
        yield Operation(op.REWRITE_TABLE, name="system versioning", traits=frozenset({"copies"}))
    elif (key := constraint(action)) is not None:
        yield key
    else:
        action.accept("COLUMN")
        traits = (EXISTS,) if action.accept("IF", "NOT", "EXISTS") else ()
        group = action.group()
        for words in split(group, ",") if group is not None else [action.rest]:
            yield from (each.with_traits(*traits) for each in added_column(Reader(words, action.sql)))


def _partitions(action: Reader) -> frozenset[str]:
    """Adding a number of partitions redistributes all rows; a partition for new values has no rows yet."""
    return frozenset({"spreads rows"} if action.at("PARTITION", "PARTITIONS") else {"partition"})


def added_column(reader: Reader) -> Iterator[Operation]:
    """A column, or a key among the columns of CREATE TABLE."""
    if (key := constraint(reader)) is not None:
        yield key
        return
    column = reader.name()
    declared = definition(reader)
    kind = op.ADD_PRIMARY_KEY if "primary key" in declared.traits else op.ADD_UNIQUE
    key = Operation(kind, name=PRIMARY if kind == op.ADD_PRIMARY_KEY else column, columns=(str(column),))
    yield Operation(
        op.ADD_COLUMN,
        column=column,
        parts=(key,) if "inline unique" in declared.traits else (),
        type=declared.type,
        expression=declared.default,
        traits=frozenset(declared.traits),
        node=declared,
    )


_INDEXES = {"INDEX": (), "KEY": (), "FULLTEXT": ("fulltext",), "SPATIAL": ("spatial",), "VECTOR": ("vector",)}


def constraint(reader: Reader) -> Operation | None:
    """Go past an index or a constraint, and return what adds it; None if none is next."""
    start, name = reader.place, None
    exists = False
    if reader.accept("CONSTRAINT"):
        exists = reader.accept("IF", "NOT", "EXISTS")
        name = None if reader.key() in ("PRIMARY", "UNIQUE", "FOREIGN", "CHECK") else reader.name()
    word = reader.next()
    read = _CONSTRAINTS.get(word)
    found = read(reader) if read is not None else _index(word, reader) if word in _INDEXES else None
    if found is None:
        reader.place = start
        return None
    found = found.with_traits(*((EXISTS,) if exists else ()))
    return found if name is None or found.kind == op.ADD_PRIMARY_KEY else replace(found, name=name)


def _index(word: str, reader: Reader) -> Operation | None:
    # A column may be called so: "key int".
    if word in ("INDEX", "KEY") and not any(each.key == "(" for each in reader.rest):
        return None
    reader.accept("INDEX") or reader.accept("KEY")
    return indexed(reader, *_INDEXES[word])


def indexed(reader: Reader, *traits: str, kind: str = op.CREATE_INDEX) -> Operation:
    """Go past the name, the type and the columns of an index, and return what creates it."""
    traits = (*traits, EXISTS) if reader.accept("IF", "NOT", "EXISTS") else traits
    name = None if reader.key() in ("(", "USING") else reader.name()
    reader.accept("USING") and reader.take()
    return _over(reader, Operation(kind, name=name, traits=frozenset(traits)))


def _over(reader: Reader, operation: Operation) -> Operation:
    parts = split(reader.group() or [], ",")
    names = tuple(part[0].text for part in parts if part[0].key != "(")
    computed = {"functional"} if any(part[0].key == "(" for part in parts) else set()
    # The server names an index after its first column.
    named = operation.name or next(iter(names), None)
    return replace(operation, name=named, columns=names).with_traits(*computed)


def _primary(reader: Reader) -> Operation | None:
    reader.accept("KEY")
    return replace(indexed(reader, kind=op.ADD_PRIMARY_KEY), name=PRIMARY)


def _unique(reader: Reader) -> Operation | None:
    reader.accept("INDEX") or reader.accept("KEY")
    return indexed(reader, "unique", kind=op.ADD_UNIQUE)


def _foreign(reader: Reader) -> Operation | None:
    reader.accept("KEY")
    traits = frozenset({EXISTS} if reader.accept("IF", "NOT", "EXISTS") else ())
    name = None if reader.key() == "(" else reader.name()
    columns = reader.names()
    reader.accept("REFERENCES")
    other = reader.table()
    referred = reader.names() if reader.key() == "(" else ()
    return Operation(op.ADD_FOREIGN_KEY, name=name, columns=columns, other=other, other_columns=referred, traits=traits)


def _check(reader: Reader) -> Operation | None:
    group = reader.group()
    if group is None:
        return None
    traits = frozenset({"not enforced"} if reader.accept("NOT", "ENFORCED") else ())
    return Operation(op.ADD_CHECK, expression=reader.text(group), traits=traits)


_CONSTRAINTS: dict[str, Callable[[Reader], Operation | None]] = {
    "PRIMARY": _primary,
    "UNIQUE": _unique,
    "FOREIGN": _foreign,
    "CHECK": _check,
}


# DROP ------------------------------------------------------------------------------------------------------------------


def _drop(action: Reader) -> Iterator[Operation]:
    if action.accept("PRIMARY", "KEY"):
        yield Operation(op.DROP_CONSTRAINT, name=PRIMARY, traits=frozenset({"primary key"}))
    elif action.accept("FOREIGN", "KEY"):
        yield _named(op.DROP_CONSTRAINT, action, "foreign key")
    elif action.accept_any("CHECK", "CONSTRAINT"):
        yield _named(op.DROP_CONSTRAINT, action)
    elif action.accept_any("INDEX", "KEY"):
        yield _named(op.DROP_INDEX, action)
    elif action.accept("PARTITION"):
        yield replace(_named(op.TRUNCATE, action), traits=frozenset({"partition"}))
    elif action.at("SYSTEM", "VERSIONING") or action.at("PERIOD", "FOR"):
        yield Operation(op.REWRITE_TABLE, name="system versioning", traits=frozenset({"copies"}))
    else:
        action.accept("COLUMN")
        dropped = _named(op.DROP_COLUMN, action)
        yield replace(dropped, column=dropped.name, name=None)


def _named(kind: str, action: Reader, *traits: str) -> Operation:
    exists = {EXISTS} if action.accept("IF", "EXISTS") else set()
    return Operation(kind, name=action.name(), traits=frozenset({*traits, *exists}))


# ALTER, MODIFY, CHANGE, RENAME --------------------------------------------------------------------------------------------


def _alter(action: Reader) -> Iterator[Operation]:
    if action.accept_any("INDEX", "KEY"):
        yield Operation(op.ALTER_TABLE, name="visibility of an index")
    elif action.accept_any("CHECK", "CONSTRAINT"):
        name, relaxed = action.name(), action.accept("NOT")
        yield Operation(op.ALTER_TABLE, name="relax check") if relaxed else Operation(op.VALIDATE_CONSTRAINT, name=name)
    else:
        action.accept("COLUMN")
        action.accept("IF", "EXISTS")
        column = action.name()
        if action.accept("SET", "DEFAULT"):
            yield Operation(op.SET_DEFAULT, column=column, expression=action.text(action.rest))
        else:
            # DROP DEFAULT, SET VISIBLE and SET INVISIBLE are as quick.
            yield Operation(op.DROP_DEFAULT if action.at("DROP") else op.ALTER_TABLE, column=column)


def _modify(action: Reader) -> Iterator[Operation]:
    action.accept("COLUMN")
    action.accept("IF", "EXISTS")
    yield _changed(action.name(), action)


def _change(action: Reader) -> Iterator[Operation]:
    action.accept("COLUMN")
    action.accept("IF", "EXISTS")
    old, new = action.name(), action.name()
    if old is not None and new is not None and old.lower() != new.lower():
        yield Operation(op.RENAME_COLUMN, column=old, expression=new)
    yield _changed(new, action)


def _changed(column: str | None, action: Reader) -> Operation:
    declared = definition(action)
    traits = frozenset(declared.traits)
    return Operation(
        op.CHANGE_TYPE, column=column, type=declared.type, expression=declared.default, traits=traits, node=declared
    )


def _rename(action: Reader) -> Iterator[Operation]:
    if action.accept("COLUMN"):
        old = action.name()
        action.accept("TO")
        yield Operation(op.RENAME_COLUMN, column=old, expression=action.name())
    elif action.accept_any("INDEX", "KEY"):
        old = action.name()
        action.accept("TO")
        yield Operation(op.RENAME_INDEX, name=old, expression=action.name())
    else:
        action.accept_any("TO", "AS", "=")
        yield Operation(op.RENAME_TABLE, other=action.table())


# Options and partitions -----------------------------------------------------------------------------------------------


def _convert(action: Reader) -> Iterator[Operation]:
    if action.at("PARTITION") or action.at("TABLE"):
        yield Operation(op.TRUNCATE, name="convert partition", traits=frozenset({"partition"}))
    else:
        action.accept("TO", "CHARACTER", "SET") or action.accept("TO", "CHARSET")
        traits = frozenset({"copies", "character set"})
        yield Operation(op.REWRITE_TABLE, name="character set", expression=action.name(), traits=traits)


def _partitioned(action: Reader) -> Iterator[Operation]:
    yield Operation(op.REWRITE_TABLE, name="partitions", traits=frozenset({"copies"}))


def _reorganized(action: Reader) -> Iterator[Operation]:
    yield Operation(op.REWRITE_TABLE, name="partitions", traits=frozenset({"spreads rows"}))


def _emptied(action: Reader) -> Iterator[Operation]:
    yield Operation(op.TRUNCATE, name="partition", traits=frozenset({"partition"}))


def _analyzed(action: Reader) -> Iterator[Operation]:
    yield Operation(op.ANALYZE)


def _exchanged(action: Reader) -> Iterator[Operation]:
    words = [word.key for word in action.rest]
    other = Reader(action.rest[words.index("TABLE") + 1 :], action.sql).table() if "TABLE" in words else None
    unchecked = words[-2:] == ["WITHOUT", "VALIDATION"]
    yield Operation(op.ATTACH_PARTITION, other=other, traits=frozenset({"not valid"} if unchecked else ()))


def _engine(action: Reader) -> Iterator[Operation]:
    action.accept("=")
    same = action.next().lower() == "innodb"
    yield Operation(op.REWRITE_TABLE, name="engine", traits=frozenset() if same else frozenset({"copies"}))
    yield from _more(action)


def _tablespace(action: Reader) -> Iterator[Operation]:
    yield Operation(op.OPAQUE, opaque=_LOCAL_TABLESPACE)


def _more(action: Reader) -> Iterator[Operation]:
    """The options that follow one without a comma."""
    if action:
        yield _option(action.next(), action)


def _option(word: str, action: Reader) -> Operation:
    """Return what an option of the table does; of several without a comma, the one that does most."""
    words = {word, *(each.key for each in action.rest)}
    if words & {"CHARACTER", "CHARSET", "COLLATE", "DEFAULT"} and not words & (_REBUILDING_OPTIONS | _COPYING_OPTIONS):
        return Operation(op.ALTER_TABLE, name="character set of new columns")
    if words & _COPYING_OPTIONS:
        return Operation(op.REWRITE_TABLE, name=word.lower(), traits=frozenset({"copies"}))
    if words & _REBUILDING_OPTIONS or "ENGINE" in words:
        return Operation(op.REWRITE_TABLE, name=word.lower())
    if word in ("ENABLE", "DISABLE") or words & _INSTANT_OPTIONS:
        return Operation(op.COMMENT if word == "COMMENT" else op.ALTER_TABLE, name=word.lower())
    return Operation(op.OPAQUE, opaque=f"the parser does not understand {word} in ALTER TABLE")


_READERS: dict[str, Callable[[Reader], Iterator[Operation]]] = {
    "ADD": _add,
    "DROP": _drop,
    "ALTER": _alter,
    "MODIFY": _modify,
    "CHANGE": _change,
    "RENAME": _rename,
    "CONVERT": _convert,
    "ENGINE": _engine,
    "PARTITION": _partitioned,
    "REMOVE": _partitioned,
    "REORGANIZE": _reorganized,
    "COALESCE": _reorganized,
    "REBUILD": _reorganized,
    "OPTIMIZE": _reorganized,
    "TRUNCATE": _emptied,
    "EXCHANGE": _exchanged,
    "ANALYZE": _analyzed,
    "DISCARD": _tablespace,
    "IMPORT": _tablespace,
}
