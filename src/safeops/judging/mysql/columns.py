"""The definition of a column, as ADD, MODIFY and CHANGE have it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from safeops.judging.words import PLAIN, Reader, Word

_MODIFIERS = frozenset({"UNSIGNED", "SIGNED", "ZEROFILL", "BINARY", "ASCII", "UNICODE", "BYTE", "VARYING", "PRECISION"})
SPELLINGS = {
    "integer": "int",
    "bool": "tinyint",
    "boolean": "tinyint",
    "dec": "decimal",
    "fixed": "decimal",
    "numeric": "decimal",
    "character": "char",
    "character varying": "varchar",
    "char varying": "varchar",
    "national varchar": "varchar",
    "nvarchar": "varchar",
    "nchar": "char",
    "double precision": "double",
    "real": "double",
    "int1": "tinyint",
    "int2": "smallint",
    "int3": "mediumint",
    "int4": "int",
    "int8": "bigint",
    "middleint": "mediumint",
    "float4": "float",
    "float8": "double",
    "long": "mediumtext",
    "long varchar": "mediumtext",
}
"""Types that the server keeps under another name."""


@dataclass
class Definition:
    """What is declared of a column.

    Args:
        type: Its type as the server keeps it, as "varchar(20)"; empty if there is none.
        nullable: Whether it takes NULL.
        default: Its default as it is written; None without one.
        collation: Its collation, or its character set if only that is given.
        position: Whether its place is given, by FIRST or AFTER.
        comment: Its comment.
        traits: What else is declared, as the traits of an operation call it.
        calls: The functions of its default, and whether that names other columns.
    """

    type: str = ""
    nullable: bool = True
    default: str | None = None
    collation: str | None = None
    position: bool = False
    traits: set[str] = field(default_factory=set)
    default_words: list[Word] = field(default_factory=list)


def definition(reader: Reader) -> Definition:
    """Read the definition of a column to the end of the words."""
    found = Definition(type=_type(reader))
    while reader:
        _attribute(reader, found)
    return found


def _type(reader: Reader) -> str:
    first = (reader.name() or "").lower()
    if first in ("character", "char", "national", "double", "long", "varchar"):
        while word := reader.accept_any("VARYING", "PRECISION", "VARCHAR", "CHAR", "CHARACTER"):
            first += f" {word.lower()}"
    plain = SPELLINGS.get(first, first)
    group = reader.group()
    size = "(" + ",".join(_size(word) for word in group if word.key != ",") + ")" if group else ""
    signs = [
        word.lower() for word in iter(lambda: reader.accept_any(*_MODIFIERS), "") if word in ("UNSIGNED", "ZEROFILL")
    ]
    return " ".join([typed(plain, size), *signs])


def _size(word: Word) -> str:
    return word.text if word.kind == "number" else "'" + word.text.replace("'", "''") + "'"


def typed(plain: str, size: str) -> str:
    """Return a type in one spelling: without the width of a whole number, with what is meant by default."""
    if plain.endswith("int"):
        return plain
    defaults = {"decimal": "(10,0)", "char": "(1)", "binary": "(1)", "bit": "(1)", "year": ""}
    if plain == "decimal" and size and "," not in size:
        return f"decimal{size[:-1]},0)"
    size = size or defaults.get(plain, "")
    fractions = plain in ("datetime", "timestamp", "time")
    return plain if (plain == "year" or (fractions and size == "(0)")) else plain + size


# Attributes -----------------------------------------------------------------------------------------------------------


def _attribute(reader: Reader, found: Definition) -> None:
    """Consume one attribute of a column and record it; of an unknown one, consume one word."""
    word = reader.next()
    read = _READERS.get(word)
    if read is not None:
        read(reader, found)
    elif word in _TRAITS:
        found.traits.add(_TRAITS[word])


def _not(reader: Reader, found: Definition) -> None:
    if reader.accept("NULL"):
        found.nullable = False
        found.traits.add("not null")
    elif reader.accept("ENFORCED"):
        found.traits.add("not enforced")


def _default(reader: Reader, found: Definition) -> None:
    first = reader.place
    if reader.key() == "(":
        reader.group()
        found.traits.add("expression default")
    else:
        reader.accept_any("-", "+")
        reader.take()
        if reader.key() == "(":
            reader.group()
    found.default_words = reader.words[first : reader.place]
    found.default = reader.text(found.default_words)
    found.traits.add("constant default")


def _generated(reader: Reader, found: Definition) -> None:
    reader.accept("ALWAYS")
    reader.accept("AS")
    _computed(reader, found)


def _computed(reader: Reader, found: Definition) -> None:
    reader.group()
    stored = bool(reader.accept_any("STORED", "PERSISTENT"))
    found.traits.add("stored" if stored else "virtual")


def _key(reader: Reader, found: Definition) -> None:
    reader.accept("KEY")
    found.traits.add("inline unique")


def _primary(reader: Reader, found: Definition) -> None:
    _key(reader, found)
    found.traits.add("primary key")
    found.nullable = False


def _check(reader: Reader, found: Definition) -> None:
    reader.group()
    found.traits.add("inline check")


def _references(reader: Reader, found: Definition) -> None:
    reader.table()
    reader.group()
    while reader.accept_any("ON", "MATCH"):
        reader.accept_any("DELETE", "UPDATE")
        reader.accept("SET") or reader.accept("NO")
        reader.take()
    found.traits.add("inline references")


def _collation(reader: Reader, found: Definition) -> None:
    reader.accept("=")
    found.collation = reader.next().lower()


def _charset(reader: Reader, found: Definition) -> None:
    reader.accept("SET")
    _collation(reader, found)


def _position(reader: Reader, found: Definition) -> None:
    if reader.words[reader.place - 1].key == "AFTER":
        reader.take()
    found.position = True
    found.traits.add("positioned")


def _skip_value(reader: Reader, found: Definition) -> None:
    reader.accept("=")
    reader.take()


def _skip_update(reader: Reader, found: Definition) -> None:
    reader.accept("UPDATE")
    reader.take()
    reader.group()


def _skip_name(reader: Reader, found: Definition) -> None:
    if (reader.words[reader.place : reader.place + 1] and reader.rest[0].kind != PLAIN) or reader.key() not in (
        "CHECK",
        "REFERENCES",
    ):
        reader.name()


_READERS: dict[str, Callable[[Reader, Definition], None]] = {
    "NOT": _not,
    "DEFAULT": _default,
    "GENERATED": _generated,
    "AS": _computed,
    "UNIQUE": _key,
    "KEY": _key,
    "PRIMARY": _primary,
    "CHECK": _check,
    "REFERENCES": _references,
    "COLLATE": _collation,
    "CHARACTER": _charset,
    "CHARSET": _collation,
    "FIRST": _position,
    "AFTER": _position,
    "COMMENT": _skip_value,
    "COLUMN_FORMAT": _skip_value,
    "STORAGE": _skip_value,
    "ON": _skip_update,
    "CONSTRAINT": _skip_name,
}
_TRAITS = {"AUTO_INCREMENT": "serial"}
