"""What stands in a table of MariaDB or MySQL, made of what SHOW CREATE TABLE says."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any, TypeVar

from safeops.databases import sqltext
from safeops.databases.definitions import Column, Constraint, Index, Table
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.showcreate import Definition, Item, Shown, name_of, text_of
from safeops.naming import Name, fitting

Value = TypeVar("Value")

ROWS_UNCHECKED = " [safeops: rows unchecked: "
UNPROVED = f"{ROWS_UNCHECKED}{{name}}]"
"""What earlier releases put at the end of a table's comment until the old rows of a foreign key are checked."""
PENDING = "safeops_unchecked"
"""Begins the name of a second foreign key, added and dropped together with what it is about: until then the old rows of the
first one are unchecked. No comment of an application can take its place."""


class Folded(dict[str, Value]):
    """A mapping by name, for names whose case does not count."""

    def __init__(self, pairs: Iterable[tuple[str, Value]]) -> None:
        super().__init__(pairs)
        self._names = {name.casefold(): name for name in self}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and name.casefold() in self._names

    def __getitem__(self, name: str) -> Value:
        return super().__getitem__(self._names.get(name.casefold(), name))

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(self._names.get(name.casefold(), name), default)


def table_of(sql: str, name: Name) -> Table:
    """Read a table from its SHOW CREATE TABLE."""
    if not sql.startswith(("CREATE TABLE", "CREATE TEMPORARY TABLE")):
        return Table(name, {}, kind="view", sql=sql)
    shown = showcreate.read(sql)
    comment = text_of(shown.options["COMMENT"]) if "COMMENT" in shown.options else None
    constraints = _constraints(shown, name, comment or "")
    return Table(
        name=name,
        columns=Folded((column, column_of(column, found, shown)) for column, found in shown.columns.items()),
        indexes=Folded((one.name, one) for one in _indexes(shown, name)),
        constraints=Folded((_key(one, constraints), one) for one in constraints),
        comment=proper_comment(comment),
        sql=sql,
    )


def proper_comment(comment: str | None) -> str | None:
    """Return the author's own part of a table's comment."""
    return (comment or "").partition(ROWS_UNCHECKED)[0] or None


def pending_name(key: str) -> str:
    """Return the name of the foreign key that says that the old rows of another one are unchecked."""
    return fitting(PENDING, key, max_bytes=64)


def is_pending(table: Table, key: str) -> bool:
    items = showcreate.read(table.sql).items
    return any(one.kind == "foreign key" and one.name == pending_name(key) for one in items)


def mark_in(table: Table) -> str:
    """Return what safeops itself keeps at the end of a table's comment."""
    options = showcreate.read(table.sql).options
    comment = text_of(options["COMMENT"]) if "COMMENT" in options else ""
    return comment.removeprefix(proper_comment(comment) or "")


def definition_of(table: Table, column: str) -> Definition:
    """Return the definition of a column, to change a part of it and repeat the others."""
    columns = showcreate.read(table.sql).columns
    return Folded(columns.items())[column]


def column_of(name: str, found: Definition, shown: Shown) -> Column:
    json = found.get("CHECK") is not None and sqltext.canonical(found.get("CHECK") or "") == f"json_valid({name})"
    generated = found.get("GENERATED")
    return Column(
        name=name,
        type="json" if json else spelling.type_name(found.clauses["type"]),
        nullable=found.nullable,
        default=spelling.default(found.get("DEFAULT"), found.get("ON UPDATE")),
        computed=_computed(generated) if generated else None,
        identity="auto_increment" if "AUTO_INCREMENT" in found.clauses else None,
        collation=None if json else _collation(found, shown),
        comment=text_of(found.clauses["COMMENT"]) if "COMMENT" in found.clauses else None,
    )


def _computed(generated: str) -> str:
    _, _, rest = generated.partition(" AS ")
    expression, _, kind = rest.rpartition(" ")
    return spelling.computed(expression, kind)


def _collation(found: Definition, shown: Shown) -> str | None:
    """Return the collation of a column; None where it is the one that the table gives."""
    collation, charset = found.get("COLLATE"), found.get("CHARACTER SET")
    given = shown.options.get("COLLATE")
    if collation == given or (collation is None and charset in (None, shown.options.get("CHARSET"))):
        return None
    return collation or charset


def _indexes(shown: Shown, name: Name) -> Iterator[Index]:
    for item in shown.items:
        if item.kind not in ("foreign key", "check"):
            yield index_of(item, name.name)


def index_of(item: Item, table: str) -> Index:
    options = list(item.options)
    comment = None
    if "COMMENT" in options:
        place = options.index("COMMENT")
        comment = text_of(options[place + 1])
        del options[place : place + 2]
    return Index(
        name=item.name,
        columns=tuple(map(spelling.unquoted, item.elements)),
        unique=item.kind in ("unique", "primary key"),
        method=item.kind if item.kind in ("fulltext", "spatial") else "btree",
        options=_options(options),
        table=table,
        of_constraint=item.kind == "primary key",
        definition=item.text,
        comment=comment,
    )


def _options(words: list[str]) -> tuple[str, ...]:
    """Keep what changes an index: InnoDB has one kind of tree, whatever USING says."""
    text = " ".join(words).replace("`", "").lower()
    found = text.replace("using btree", "").replace("using hash", "").replace("=", " ").split()
    return (" ".join(found),) if found else ()


def _constraints(shown: Shown, name: Name, comment: str) -> list[Constraint]:
    kinds = {"foreign key": 0, "check": 1, "unique": 2, "primary key": 3}
    items = sorted((one for one in shown.items if one.kind in kinds), key=lambda one: kinds[one.kind])
    pending = {one.name for one in items if one.kind == "foreign key" and one.name.startswith(f"{PENDING}_")}
    unchecked = {
        one.name for one in items if pending_name(one.name) in pending or UNPROVED.format(name=one.name) in comment
    }
    made = (_constraint(item, name, item.name not in unchecked) for item in items if item.name not in pending)
    return [one for one in made if one is not None]


def _key(one: Constraint, all_: list[Constraint]) -> str:
    """Foreign keys and checks have their names apart from those of unique keys."""
    first = next(other for other in all_ if other.name.casefold() == one.name.casefold())
    return one.name if first is one else f"{one.kind} {one.name}"


def _constraint(item: Item, name: Name, checked: bool) -> Constraint | None:
    if item.kind == "check":
        enforced = [word.upper() for word in item.options] != ["NOT", "ENFORCED"]
        return check_of(item.name, item.text, enforced=enforced)
    columns = tuple(map(name_of, item.elements))
    if item.kind == "foreign key":
        return _foreign_key(item, columns, name, checked)
    plain = all(
        element == f"`{column.replace('`', '``')}`" for element, column in zip(item.elements, columns, strict=True)
    )
    # A key on a part of a value, or on an expression, is an index and no constraint.
    return Constraint(item.name, item.kind, columns, definition=item.text) if plain else None


def check_of(name: str, text: str, *, enforced: bool = True) -> Constraint:
    definition = f"CHECK {text}" if enforced else f"CHECK {text} NOT ENFORCED"
    expression = spelling.expression(text)
    return Constraint(name, "check", expression=expression, enforced=enforced, valid=enforced, definition=definition)


def _foreign_key(item: Item, columns: tuple[str, ...], name: Name, checked: bool) -> Constraint:
    target, remote, rest = item.options[1], item.options[2], " ".join(item.options[3:]).upper()
    parts = [name_of(part) for part in _parts(target)]
    return Constraint(
        name=item.name,
        kind="foreign key",
        columns=columns,
        referent=Name(parts[-1], parts[0] if len(parts) > 1 else name.schema),
        remote=tuple(name_of(part) for entry in showcreate.entries(remote) for part in entry),
        onupdate=_action(rest, "ON UPDATE "),
        ondelete=_action(rest, "ON DELETE "),
        valid=checked,
        definition=item.text,
    )


def _parts(target: str) -> list[str]:
    return [text for kind, text in sqltext.tokens(target) if kind == "quoted"]


def _action(rest: str, event: str) -> str | None:
    _, found, after = rest.partition(event)
    words = after.split()
    return spelling.action(" ".join(words[: 2 if words[0] in ("SET", "NO") else 1])) if found else None


def is_counted(table: Table, column: str) -> bool:
    return "AUTO_INCREMENT" in definition_of(table, column).clauses


FOREIGN_KEYS = """SELECT k.CONSTRAINT_NAME, k.TABLE_SCHEMA, k.TABLE_NAME, k.COLUMN_NAME,
    k.REFERENCED_TABLE_SCHEMA, k.REFERENCED_TABLE_NAME, k.REFERENCED_COLUMN_NAME, r.UPDATE_RULE, r.DELETE_RULE
    FROM information_schema.KEY_COLUMN_USAGE k JOIN information_schema.REFERENTIAL_CONSTRAINTS r
    ON r.CONSTRAINT_SCHEMA = k.CONSTRAINT_SCHEMA AND r.CONSTRAINT_NAME = k.CONSTRAINT_NAME AND r.TABLE_NAME = k.TABLE_NAME
    WHERE @@foreign_key_checks AND k.REFERENCED_TABLE_NAME IS NOT NULL
    AND ((k.TABLE_SCHEMA = :schema AND k.TABLE_NAME = :name)
    OR (k.REFERENCED_TABLE_SCHEMA = :schema AND k.REFERENCED_TABLE_NAME = :name))
    ORDER BY k.TABLE_SCHEMA, k.TABLE_NAME, k.CONSTRAINT_NAME, k.ORDINAL_POSITION"""


@dataclass(frozen=True)
class ForeignKey:
    """A foreign key of any table: its columns and those that they refer to."""

    name: str
    table: Name
    other: Name
    columns: tuple[str, ...]
    remote: tuple[str, ...]
    onupdate: str | None
    ondelete: str | None

    def ties(self, table: Name, column: str) -> bool:
        return any(one == (table, column.casefold()) for pair in self.tied for one in pair)

    @property
    def tied(self) -> list[tuple[tuple[Name, str], tuple[Name, str]]]:
        """Return the pairs of columns that have one type."""
        pairs = zip(self.columns, self.remote, strict=True)
        return [((self.table, one.casefold()), (self.other, other.casefold())) for one, other in pairs]


def foreign_keys(rows: Iterable[Any]) -> Iterator[ForeignKey]:
    """Read foreign keys from the rows of ``FOREIGN_KEYS``, one for each column."""
    for (key, schema, table), group in groupby(rows, lambda row: row[:3]):
        parts = list(group)
        referent = Name(parts[0][5], parts[0][4])
        columns, remote = tuple(one[3] for one in parts), tuple(one[6] for one in parts)
        onupdate, ondelete = map(spelling.action, parts[0][7:])
        yield ForeignKey(key, Name(table, schema), referent, columns, remote, onupdate, ondelete)
