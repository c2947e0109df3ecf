"""Tables of MariaDB and MySQL, read from SHOW CREATE TABLE; and the foreign keys between them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import groupby
from typing import Any

from safeops.databases import sqltext
from safeops.databases.definitions import Column, Constraint, Index, NameMapping, Table
from safeops.databases.mysql import showcreate, spelling
from safeops.databases.mysql.showcreate import Definition, Item, Shown, name_of, text_of
from safeops.naming import Name, fitting

ROWS_UNCHECKED = " [safeops: rows unchecked: "
UNPROVED = f"{ROWS_UNCHECKED}{{name}}]"
"""What earlier releases put at the end of a table's comment until the existing rows of a foreign key are checked."""
PENDING = "safeops_unchecked"
"""Begins the name of a second foreign key, which exists while the existing rows of the first one are unchecked. Unlike a
comment, an application does not overwrite it."""


def table_of(sql: str, name: Name) -> Table:
    """Read a table from its SHOW CREATE TABLE."""
    if not sql.startswith(("CREATE TABLE", "CREATE TEMPORARY TABLE")):
        return Table(name, {}, kind="view", sql=sql)
    sql = showcreate.with_backticks(sql)
    shown = showcreate.read(sql)
    comment = text_of(shown.options["COMMENT"]) if "COMMENT" in shown.options else None
    constraints = _constraints(shown, name, comment or "")
    return Table(
        name=name,
        columns=NameMapping((column, column_of(column, found, shown)) for column, found in shown.columns.items()),
        indexes=NameMapping((index.name, index) for index in _indexes(shown, name)),
        constraints=NameMapping((_key(constraint, constraints), constraint) for constraint in constraints),
        comment=proper_comment(comment),
        sql=sql,
    )


def proper_comment(comment: str | None) -> str | None:
    """Return the author's own part of a table's comment."""
    return (comment or "").partition(ROWS_UNCHECKED)[0] or None


def pending_name(key: str) -> str:
    """Return the name of the foreign key that marks the existing rows of another one as unchecked."""
    return fitting(PENDING, key, max_bytes=64)


def is_pending(table: Table, key: str) -> bool:
    items = showcreate.read(table.sql).items
    return any(item.kind == "foreign key" and item.name == pending_name(key) for item in items)


def mark_in(table: Table) -> str:
    """Return what safeops keeps at the end of a table's comment."""
    options = showcreate.read(table.sql).options
    comment = text_of(options["COMMENT"]) if "COMMENT" in options else ""
    return comment.removeprefix(proper_comment(comment) or "")


def definition_of(table: Table, column: str) -> Definition:
    """Return the definition of a column, to change a part of it and repeat the others."""
    columns = showcreate.read(table.sql).columns
    return NameMapping(columns.items())[column]


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
    """Return the collation of a column; None if it is the table's."""
    collation, charset = found.get("COLLATE"), found.get("CHARACTER SET")
    if collation == shown.options.get("COLLATE") or (
        collation is None and charset in (None, shown.options.get("CHARSET"))
    ):
        return None
    return collation or charset


def _indexes(shown: Shown, name: Name) -> Iterator[Index]:
    for item in shown.items:
        if item.kind not in ("foreign key", "check"):
            yield index_of(item, name.name)


def index_of(item: Item, table: str) -> Index:
    options, comment = list(item.options), None
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
    """Keep what changes an index: InnoDB has one kind of tree and ignores USING."""
    text = " ".join(words).replace("`", "").lower()
    options = text.replace("using btree", "").replace("using hash", "").replace("=", " ").split()
    return (" ".join(options),) if options else ()


def _constraints(shown: Shown, name: Name, comment: str) -> list[Constraint]:
    kinds = {"foreign key": 0, "check": 1, "unique": 2, "primary key": 3}
    items = sorted((item for item in shown.items if item.kind in kinds), key=lambda item: kinds[item.kind])
    pending = {item.name for item in items if item.kind == "foreign key" and item.name.startswith(f"{PENDING}_")}
    names = [item.name for item in items]
    unchecked = {key for key in names if pending_name(key) in pending or UNPROVED.format(name=key) in comment}
    constraints = (_constraint(item, name, item.name not in unchecked) for item in items if item.name not in pending)
    return [constraint for constraint in constraints if constraint is not None]


def _key(constraint: Constraint, constraints: list[Constraint]) -> str:
    """Foreign keys and checks do not share their names with unique keys: the second of a name has its kind before it."""
    first = next(other for other in constraints if other.name.casefold() == constraint.name.casefold())
    return constraint.name if first is constraint else f"{constraint.kind} {constraint.name}"


def _constraint(item: Item, name: Name, checked: bool) -> Constraint | None:
    if item.kind == "check":
        enforced = [word.upper() for word in item.options] != ["NOT", "ENFORCED"]
        return check_of(item.name, item.text, enforced=enforced)
    columns = tuple(map(name_of, item.elements))
    if item.kind == "foreign key":
        return _foreign_key(item, columns, name, checked)
    # A key on a part of a value, or on an expression, is an index, not a constraint. DESC changes only the order.
    is_plain = [element.removesuffix(" DESC") for element in item.elements] == [*map(showcreate.backticked, columns)]
    return Constraint(item.name, item.kind, columns, definition=item.text) if is_plain else None


def check_of(name: str, text: str, *, enforced: bool = True) -> Constraint:
    definition = f"CHECK {text}" if enforced else f"CHECK {text} NOT ENFORCED"
    expression = spelling.expression(text)
    return Constraint(name, "check", expression=expression, enforced=enforced, valid=enforced, definition=definition)


def _foreign_key(item: Item, columns: tuple[str, ...], name: Name, checked: bool) -> Constraint:
    target, remote, rest = item.options[1], item.options[2], " ".join(item.options[3:]).upper()
    parts = [name_of(text) for kind, text in sqltext.tokens(target) if kind == "quoted"]
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


def _action(rest: str, event: str) -> str | None:
    _, has_action, after = rest.partition(event)
    words = after.split()
    return spelling.action(" ".join(words[: 2 if words[0] in ("SET", "NO") else 1])) if has_action else None


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
        return any(side == (table, column.casefold()) for pair in self.tied for side in pair)

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
        columns, remote = tuple(row[3] for row in parts), tuple(row[6] for row in parts)
        onupdate, ondelete = map(spelling.action, parts[0][7:])
        yield ForeignKey(key, Name(table, schema), referent, columns, remote, onupdate, ondelete)
