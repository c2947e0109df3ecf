"""Columns and constraints, as CREATE TABLE and ADD COLUMN declare them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, replace

from safeops.judging import operations as op
from safeops.judging.operations import Operation
from safeops.judging.words import PLAIN, QUOTED, STRING, Reader

_STARTS = frozenset(
    {"CONSTRAINT", "PRIMARY", "NOT", "NULL", "UNIQUE", "CHECK", "DEFAULT", "COLLATE", "REFERENCES", "GENERATED", "AS"}
)
"""Words that begin a constraint of a column; before them is the type, which can have any words."""
_CURRENT = frozenset({"CURRENT_TIMESTAMP", "CURRENT_DATE", "CURRENT_TIME"})


@dataclass
class _Column:
    type: str = ""
    default: str | None = None
    traits: set[str] = field(default_factory=set)
    keys: list[str] = field(default_factory=list)


def part(reader: Reader) -> Operation:
    """Go past a column or a constraint of a table, and return what adds it."""
    found = constraint(reader)
    return found if found is not None else column(reader)


def column(reader: Reader) -> Operation:
    """Read the definition of a column to the end of the words, and return what adds it."""
    name = reader.name()
    found = _Column()
    first = reader.place
    while reader and (reader.key() not in _STARTS or reader.rest[0].kind in (QUOTED, STRING)):
        if reader.group() is None:
            reader.take()
    found.type = reader.text(reader.words[first : reader.place]).lower()
    while reader:
        read = _RULES.get(reader.next())
        if read is not None:
            read(reader, found)
    keys = tuple(Operation(kind, columns=(str(name),)) for kind in found.keys)
    made = Operation(op.ADD_COLUMN, column=name, type=found.type or None, expression=found.default, parts=keys)
    return made.with_traits(*found.traits)


def _not(reader: Reader, found: _Column) -> None:
    if reader.accept("NULL"):
        found.traits.add("not null")


def _default(reader: Reader, found: _Column) -> None:
    first = reader.place
    reader.accept_any("-", "+")
    group = reader.group()
    word = None if group is not None else reader.take()
    words = reader.words[first : reader.place]
    found.default = reader.text(words)
    varies = word is not None and word.key in _CURRENT
    computed = group is not None and any(
        one.kind in (PLAIN, QUOTED) or one.key in ("+", "*", "/", "(") for one in group
    )
    found.traits.add("volatile default" if varies or computed else "constant default")


def _unique(reader: Reader, found: _Column) -> None:
    found.keys.append(op.ADD_PRIMARY_KEY if reader.accept("KEY") else op.ADD_UNIQUE)
    found.traits.add("inline unique")


def _check(reader: Reader, found: _Column) -> None:
    reader.group()
    found.traits.add("inline check")


def _references(reader: Reader, found: _Column) -> None:
    reader.table()
    reader.group()
    found.traits.add("inline references")


def _generated(reader: Reader, found: _Column) -> None:
    reader.accept("ALWAYS")
    reader.accept("AS")
    reader.group()
    found.traits.add("stored" if reader.accept("STORED") else "virtual")


def _skip(reader: Reader, found: _Column) -> None:
    reader.name()


_RULES: dict[str, Callable[[Reader, _Column], None]] = {
    "CONSTRAINT": _skip,
    "COLLATE": _skip,
    "NOT": _not,
    "DEFAULT": _default,
    "UNIQUE": _unique,
    "PRIMARY": _unique,
    "CHECK": _check,
    "REFERENCES": _references,
    "GENERATED": _generated,
    "AS": _generated,
}


# Constraints of a table ------------------------------------------------------------------------------------------------


def constraint(reader: Reader) -> Operation | None:
    """Go past a constraint of a table, and return what adds it; None if none is next."""
    start = reader.place
    name = reader.name() if reader.accept("CONSTRAINT") else None
    read = _CONSTRAINTS.get(reader.next())
    found = read(reader) if read is not None else None
    if found is None:
        reader.place = start
        return None
    return replace(found, name=name)


def _table_key(kind: str) -> Callable[[Reader], Operation | None]:
    def read(reader: Reader) -> Operation | None:
        reader.accept("KEY")
        return Operation(kind, columns=reader.names()) if reader.key() == "(" else None

    return read


def _table_check(reader: Reader) -> Operation | None:
    group = reader.group()
    return None if group is None else Operation(op.ADD_CHECK, expression=reader.text(group))


def _table_references(reader: Reader) -> Operation | None:
    reader.accept("KEY")
    columns = reader.names()
    reader.accept("REFERENCES")
    other = reader.table()
    referred = reader.names() if reader.key() == "(" else ()
    return Operation(op.ADD_FOREIGN_KEY, columns=columns, other=other, other_columns=referred) if columns else None


_CONSTRAINTS: dict[str, Callable[[Reader], Operation | None]] = {
    "PRIMARY": _table_key(op.ADD_PRIMARY_KEY),
    "UNIQUE": _table_key(op.ADD_UNIQUE),
    "CHECK": _table_check,
    "FOREIGN": _table_references,
}
