"""How MariaDB and MySQL spell the parts of a column and its twin."""

from __future__ import annotations

import re

from safeops.databases.definitions import Constraint, Table
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.catalogue import definition_of
from safeops.databases.mysql.showcreate import Definition, name_of
from safeops.databases.triggers import Pair

_QUOTED = re.compile(r"`(?:[^`]|``)*`|'(?:[^'\\]|''|\\.)*'", re.S)


def retyped(found: Definition, type_: str) -> Definition:
    """Return a definition with another type; text keeps its character set where the new type names none."""
    bare, charset, collation = spelling.split_type(type_)
    if charset is None and collation is None and re.match(r"(var)?char|\w*text|enum|set", bare, re.I):
        charset, collation = found.get("CHARACTER SET"), found.get("COLLATE")
    bits = re.search(r"\((\d)\)", bare)
    now = f"current_timestamp({bits[1] if bits else ''})" if found.get("ON UPDATE") else None
    return found.with_(type=bare, CHARACTER_SET=charset, COLLATE=collation, ON_UPDATE=now)


def converted_alike(shadow: str, value: str, type_: str) -> str:
    """Compare a shadow column with what a value becomes when it is written to a column of its type."""
    bare = spelling.type_name(spelling.split_type(type_)[0])
    kind = re.split(r"[ (]", bare)[0]
    if kind in ("tinyint", "smallint", "mediumint", "int", "bigint", "year"):
        return f"({shadow} <=> CAST({value} AS DECIMAL(65, 0)))"
    if kind in ("decimal", "date", "datetime", "time", "float", "double"):
        return f"({shadow} <=> CAST({value} AS {re.sub(' (unsigned|zerofill)', '', bare)}))"
    if kind == "timestamp":
        return f"({shadow} <=> CAST({value} AS {bare.replace('timestamp', 'datetime')}))"
    if kind == "varchar" or kind.endswith("text") or kind == "json":
        texts = (f"CAST(CONVERT({one} USING utf8mb4) AS BINARY)" for one in (shadow, f"CAST({value} AS CHAR)"))
        return f"({' <=> '.join(texts)})"
    # A label of an ENUM is found by its collation, a CHAR loses its spaces: what is equal is in sync.
    return f"({shadow} <=> {value})"


def repeatable(table: Table, column: str) -> Definition:
    """Return a definition as a MODIFY can repeat it online: MariaDB shows JSON as the text and the check that it is."""
    found = definition_of(table, column)
    parts = {"type": "json", "CHARACTER SET": None, "COLLATE": None, "CHECK": None}
    return found.with_(**parts) if table.columns[column].type == "json" else found


def placeholder(type_: str) -> str:
    """Return any value of a type, for the default of a column that a trigger always writes."""
    bare = spelling.type_name(type_)
    kind = re.split(r"[ (]", bare)[0]
    if kind == "enum":
        return showcreate.atoms(bare[bare.index("(") + 1 : -1])[0]
    if kind == "json":
        return "('{}')"
    if kind in ("date", "datetime", "timestamp"):
        return "'2000-01-01'"
    if kind == "uuid":
        return "'00000000-0000-0000-0000-000000000000'"
    if re.search(r"char|text|blob|binary|set", kind):
        return "('')" if re.search(r"text|blob", kind) else "''"
    return "'::'" if kind == "inet6" else "'0.0.0.0'" if kind == "inet4" else "0"


def default_for(type_: str, default: str | None, former: str) -> str | None:
    """Spell a default of another type: MySQL puts that of a TEXT in parentheses, and gives the time the type's digits."""
    if default is None or default.upper() == "NULL":
        return default
    if is_wrapped(type_) or is_wrapped(former):
        found = re.fullmatch(r"\(_\w+('.*')\)", default, re.S)
        literal = found[1] if found else default
        return literal if not is_wrapped(type_) or literal.startswith("(") else f"({literal})"
    bare = spelling.type_name(type_)
    if re.match(r"datetime|timestamp", bare) and re.fullmatch(r"current_timestamp(\(\d\))?", default, re.I):
        return f"CURRENT_TIMESTAMP{bare.lstrip('abcdefghijklmnopqrstuvwxyz')}"
    return default


def is_wrapped(type_: str) -> bool:
    """Tell whether a default of a type stands in parentheses."""
    return bool(re.match(r"\w*(text|blob)|json|geom|point|(multi)?(linestring|polygon|point)", type_, re.I))


def changes_columns(key: Constraint) -> bool:
    changing = ("CASCADE", "SET NULL")
    return (key.onupdate or "").upper() in changing or (key.ondelete or "").upper() == "SET NULL"


def column_of(element: str) -> str:
    """Return the column at the start of an element of an index."""
    match = _QUOTED.match(element)
    return name_of(match.group()) if match else element


def exchanged(text: str, pair: Pair) -> str:
    """Put each name of a pair in the place of the other, in SQL as the server spells it."""
    names = {pair.source.casefold(): pair.shadow, pair.shadow.casefold(): pair.source}

    def named(match: re.Match[str]) -> str:
        quoted = match.group()
        other = names.get(name_of(quoted).casefold()) if quoted.startswith("`") else None
        return quoted if other is None else showcreate.backticked(other)

    return _QUOTED.sub(named, text)


def renamed(text: str, pair: Pair) -> str:
    """Put the shadow column's name in the place of the source's, in SQL as the server spells it."""

    def named(match: re.Match[str]) -> str:
        quoted = match.group()
        is_source = quoted.startswith("`") and name_of(quoted).casefold() == pair.source.casefold()
        return showcreate.backticked(pair.shadow) if is_source else quoted

    return _QUOTED.sub(named, text)
