"""Traits that depend on the existing table: what a MODIFY really changes, and what makes it slower."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace

from safeops.judging import operations as op
from safeops.judging.existing import KnownColumn, KnownTable
from safeops.judging.mysql.columns import Definition
from safeops.judging.mysql.types import appends, declared, length_in_bytes, lengthens
from safeops.judging.operations import Operation
from safeops.judging.server import Session

_VOLATILE = frozenset({"UUID", "UUID_SHORT", "SYS_GUID", "SYSDATE", "NEXTVAL", "NEXT", "LASTVAL", "UUID_V4", "UUID_V7"})
"""What MariaDB computes for each row of a new column; other functions it computes once, RAND() among them."""
_KEYWORDS = frozenset({"DEFAULT", "NULL", "TRUE", "FALSE", "AND", "OR", "NOT", "INTERVAL", "AS", "FOR", "VALUE"})
_KEYWORDS |= {"SECOND", "MINUTE", "HOUR", "DAY", "WEEK", "MONTH", "QUARTER", "YEAR"}
_ZERO_DATES = ("date", "datetime")
_OFF = ("0", "off", "false")


@dataclass(frozen=True)
class Changes:
    """Differences between the products in the change of a column.

    Args:
        short_lengths: Texts of at most so many bytes can grow to any length.
        json: What the type JSON is.
        keeps_virtual: Another expression of a virtual column changes nothing that is stored.
        keeps_counter: To take AUTO_INCREMENT from a column changes nothing that is stored.
    """

    short_lengths: int = 0
    json: str = "json"
    keeps_virtual: bool = False
    keeps_counter: bool = False


MYSQL = Changes()
MARIADB = Changes(127, "longtext", keeps_virtual=True, keeps_counter=True)


def traits_of_session(session: Session) -> Iterator[str]:
    if session.settings.get("foreign_key_checks", "1").lower() in _OFF:
        yield "unchecked keys"
    mode = session.settings.get("sql_mode")
    if mode is not None and "strict" not in mode.lower() and "traditional" not in mode.lower():
        yield "not strict"


def traits_of_table(table: KnownTable | None) -> Iterator[str]:
    if table is not None:
        yield from table.traits
        yield from ["empty table"] if table.new or table.empty else []
        yield from {f"{column.generated} table" for column in table.columns.values() if column.generated is not None}


# A new column ---------------------------------------------------------------------------------------------------------


def traits_of_new_column(operation: Operation) -> Iterator[str]:
    if _has_zero_date(operation):
        yield "zero date"
    if isinstance(operation.node, Definition) and _differs_by_row(operation.node):
        yield "volatile default"


def _has_zero_date(operation: Operation) -> bool:
    """Return whether existing rows would get the date 0000-00-00, which strict mode rejects."""
    plain = (operation.type or "").partition("(")[0]
    return plain in _ZERO_DATES and "not null" in operation.traits and "constant default" not in operation.traits


def _differs_by_row(made: Definition) -> bool:
    """Return whether a default differs from row to row, or names another column."""
    words = made.default_words
    for place, word in enumerate(words):
        called = words[place + 1 : place + 2] and words[place + 1].key == "("
        named = word.kind == "plain" and not called and word.key not in _KEYWORDS and not word.key.startswith("CURRENT")
        if word.key in _VOLATILE or word.kind == "quoted" or (named and "expression default" in made.traits):
            return True
    return False


# A changed column -----------------------------------------------------------------------------------------------------


def changed(operation: Operation, table: KnownTable | None, product: Changes) -> Operation:
    """Return a MODIFY as what it changes: the type, whether NULL is taken, the collation, or nothing of these."""
    new, old = operation.node, column_of(table, operation.column)
    if old is None or old.type is None or not isinstance(new, Definition):
        return operation.with_traits("unknown column")
    kind = operation.kind
    if old.nullable is not None and old.nullable != new.nullable and not is_in_key(table, old.name):
        kind = op.DROP_NOT_NULL if new.nullable else op.SET_NOT_NULL
    return replace(operation, kind=kind).with_traits(
        _change(old, new, product), *traits_of_column(table, operation.column)
    )


def _change(old: KnownColumn, new: Definition, product: Changes) -> str:
    before = declared(old.type or "")
    collation = old.collation or before.collation
    if _other_charset(new.collation, collation) or _other_source(old, new, product):
        return "changes type"
    if _is_kept_as(before.type, new.type, product):
        return "collation" if _other_collation(new.collation, collation) else "already"
    if appends(before.type, new.type):
        return "appends values"
    fits = lengthens(before.type, new.type) and _keeps_length(
        length_in_bytes(before.type, collation), length_in_bytes(new.type, new.collation or collation), product
    )
    return "widens" if fits else "changes type"


def _is_kept_as(old: str, new: str, product: Changes) -> bool:
    return old == new or (new == "json" and old == product.json)


def _other_source(old: KnownColumn, new: Definition, product: Changes) -> bool:
    """Return whether the change adds or removes an expression or a counter."""
    if "stored" in new.traits or ("virtual" in new.traits and not product.keeps_virtual):
        return True
    return old.default == "auto_increment" and "serial" not in new.traits and not product.keeps_counter


def _keeps_length(old: int, new: int, product: Changes) -> bool:
    """Return whether the length of values is kept in as many bytes as before: one up to 255, else two."""
    return old > 255 or new <= 255 or old <= product.short_lengths


def _other_charset(new: str | None, old: str | None) -> bool:
    """Return whether a character set is named that stores other bytes than that of the column."""
    if new is None or old is None:
        return False
    names = [one.partition("_")[0].replace("utf8mb3", "utf8") for one in (old, new)]
    return names[0] != names[1] and names != ["utf8", "utf8mb4"]


def _other_collation(new: str | None, old: str | None) -> bool:
    return new is not None and old is not None and ("_" in new or new != old.partition("_")[0]) and new != old


# Columns and keys -----------------------------------------------------------------------------------------------------


def column_of(table: KnownTable | None, name: str | None) -> KnownColumn | None:
    """Return a column by its name, whose case does not count."""
    columns = table.columns.values() if table is not None and name is not None else []
    return next((column for column in columns if column.name.lower() == str(name).lower()), None)


def traits_of_column(table: KnownTable | None, name: str | None) -> Iterator[str]:
    if table is None or name is None:
        return
    keys = [
        each.columns for each in table.constraints.values() if each.kind in ("unique", "primary key", "foreign key")
    ]
    if any(name in columns for columns in (*(each.columns for each in table.indexes.values()), *keys)):
        yield "indexed"
    if is_in_key(table, name):
        yield "primary key"


def has_charset(table: KnownTable, charset: str) -> bool:
    """Return whether all texts of a table are known to be in a character set."""
    found = [column.collation for column in table.columns.values() if column.collation is not None]
    return table.complete and bool(found) and all(each.partition("_")[0] == charset.lower() for each in found)


def is_in_key(table: KnownTable | None, name: str) -> bool:
    """Return whether a column is part of the primary key."""
    constraints = table.constraints.values() if table is not None else []
    return any(name in each.columns for each in constraints if each.kind == "primary key")


def keys_of(table: KnownTable) -> set[str]:
    """Return the columns that are each a whole key."""
    keys = [each.columns for each in table.constraints.values() if each.kind in ("unique", "primary key")]
    keys += [each.columns for each in table.indexes.values() if each.unique]
    return {columns[0] for columns in keys if len(columns) == 1}
