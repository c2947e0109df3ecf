"""Which changes of a type MariaDB and MySQL make without copying the table."""

from __future__ import annotations

from sqlglot.dialects.mysql import MySQL
from sqlglot.errors import SqlglotError

from safeops.judging.mysql.columns import Definition, definition
from safeops.judging.words import Reader, words_of

_BYTES = {"utf8mb4": 4, "utf8mb3": 3, "utf8": 3, "utf16": 4, "utf32": 4, "ucs2": 2}
_LISTED = ("enum", "set")


def kept(type_: str) -> str:
    """Return a type in the spelling that definitions have here."""
    return declared(type_).type


def declared(type_: str) -> Definition:
    """Return what the text of a type declares; an empty definition if it is none."""
    try:
        return definition(Reader(words_of(type_, MySQL.Tokenizer(dialect=MySQL)), type_))
    except SqlglotError:
        return Definition()


def width_of_character(collation: str | None) -> int:
    """Return how many bytes a character takes at most; of an unknown collation that of utf8mb4, today's default."""
    charset = (collation or "utf8mb4").partition("_")[0]
    return _BYTES.get(charset, 1)


def lengthens(old: str, new: str) -> bool:
    """Return whether a type of variable length takes longer values than before, and is otherwise the same."""
    kind, _, size = old.partition("(")
    other, _, more = new.partition("(")
    if kind != other or kind not in ("varchar", "varbinary"):
        return False
    numbers = size.rstrip(")"), more.rstrip(")")
    return all(one.isdigit() for one in numbers) and int(numbers[0]) <= int(numbers[1])


def length_in_bytes(type_: str, collation: str | None) -> int:
    kind, _, size = type_.partition("(")
    return int(size.rstrip(")")) * (1 if kind == "varbinary" else width_of_character(collation))


def appends(old: str, new: str) -> bool:
    """Return whether an ENUM or a SET only gets values after the existing ones, stored in as many bytes."""
    kind, _, values = old.partition("(")
    other, _, more = new.partition("(")
    if kind != other or kind not in _LISTED or not more.startswith(values.rstrip(")")):
        return False
    before, after = _count(values), _count(more)
    return (
        before <= after and _stored(kind, before) == _stored(kind, after) and more[len(values) - 1 :][:1] in (",", ")")
    )


def _count(values: str) -> int:
    # A quote within a value is doubled: each value has two more quotes than pairs of them.
    return values.replace("''", "").count("'") // 2


def _stored(kind: str, values: int) -> int:
    """Return in how many bytes a value is stored."""
    if kind == "enum":
        return 1 if values <= 255 else 2
    return next(size for size in (1, 2, 3, 4, 8) if values <= size * 8)
