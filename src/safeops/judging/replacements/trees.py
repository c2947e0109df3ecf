"""Reads what an UPDATE or a DELETE does to which rows, from sqlglot's tree."""

from __future__ import annotations

from typing import Any

import sqlalchemy as sa
import sqlglot
from sqlglot import exp
from sqlglot.errors import SqlglotError

from safeops.judging.replacements.replacement import About, keys_of
from safeops.judging.replacements.rows import Rows
from safeops.judging.row_statements import quiet

_RANGES = (exp.GT, exp.GTE, exp.LT, exp.LTE, exp.Between)


def rows_of(sql: str, about: About, repeated: bool, dialect: str) -> Rows | None:
    """Return what a statement does to which rows; None if it has parts that no backfill has.

    Of one that is ``repeated``, a range of the key is what one round of a loop takes.
    """
    try:
        with quiet():
            tree = sqlglot.parse_one(sql, read=dialect)
    except SqlglotError:
        return None
    if not isinstance(tree, (exp.Update, exp.Delete)) or any(
        tree.args.get(part) for part in ("with_", "from_", "using")
    ):
        return None
    table = tree.this
    if not isinstance(table, exp.Table) or tree.args.get("limit") or tree.args.get("order"):
        return None
    _name_in_full(tree, table)
    return _Statement(tree, table, dialect).rows(_key(about), repeated)


def _key(about: About) -> set[str]:
    known = keys_of(about, about.operation.table) if about.operation.table is not None else None
    return {column for columns in known or () for column in columns} or {"id"}


def _name_in_full(tree: exp.Expression, table: exp.Table) -> None:
    """Write the name of the table in place of its alias, which a backfill does not have."""
    for column in tree.find_all(exp.Column):
        if table.alias and column.table == table.alias:
            column.set("table", exp.to_identifier(table.name))


class _Statement:
    def __init__(self, tree: Any, table: exp.Table, dialect: str) -> None:
        self.tree, self.table, self.dialect = tree, table, dialect

    def rows(self, key: set[str], repeated: bool) -> Rows | None:
        where = self.tree.args.get("where")
        parts = list(where.this.flatten() if isinstance(where.this, exp.And) else [where.this]) if where else []
        if repeated and any(isinstance(part, exp.EQ) and _compares(part, key) for part in parts):
            return None
        if repeated:
            parts = [part for part in parts if not (isinstance(part, _RANGES) and _compares(part, key))]
        joins = self.table.args.get("joins") or []
        if len(joins) > 1 or (joins and not joins[0].args.get("on")):
            return None
        values = {target.this.name: target.expression for target in self.tree.args.get("expressions") or ()}
        return self._joined(values, parts, joins[0]) if joins else self._plain(values, parts)

    def _plain(self, values: dict[str, Any], parts: list[Any]) -> Rows:
        return Rows({column: self._value(value) for column, value in values.items()}, self._condition(parts))

    def _joined(self, values: dict[str, Any], parts: list[Any], join: Any) -> Rows:
        """Read the values of the other table row by row."""
        condition = self._condition([join.args["on"], *parts])
        source = f"FROM {self._text(join.this)} WHERE {condition}"
        found = {column: self._value(value) for column, value in values.items()}
        read = {
            column: sa.text(f"(SELECT {value.text} {source})") if isinstance(value, sa.TextClause) else value
            for column, value in found.items()
        }
        return Rows(read, f"EXISTS (SELECT 1 {source})")

    def _condition(self, parts: list[Any]) -> str | None:
        texts = [f"({self._text(part)})" if isinstance(part, exp.Or) else self._text(part) for part in parts]
        return " AND ".join(texts) or None

    def _text(self, node: Any) -> str:
        return str(node.sql(dialect=self.dialect))

    def _value(self, node: Any) -> Any:
        """Return a value as a constant of Python, or as SQL."""
        match node:
            case exp.Null():
                return None
            case exp.Boolean():
                return bool(node.this)
            case exp.Literal() if node.is_string:
                return str(node.this)
            case exp.Literal() if str(node.this).isdigit():
                return int(node.this)
        return sa.text(self._text(node))


def _compares(part: Any, key: set[str]) -> bool:
    """Return whether a condition compares a column of the key with values."""
    others = [node for name, node in part.args.items() if name != "this" and isinstance(node, exp.Expression)]
    return (
        isinstance(part.this, exp.Column)
        and part.this.name in key
        and all(not node.find(exp.Column) for node in others)
    )
