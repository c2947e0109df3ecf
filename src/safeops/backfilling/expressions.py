"""What the author wrote as values and conditions, as SQL on the table itself."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import visitors

from safeops import _sqlalchemy
from safeops.backfilling.port import Batches
from safeops.databases import sqltext
from safeops.databases.base import Database
from safeops.errors import InvalidArgument
from safeops.naming import Name

RANGE = "/*safeops:range*/"
"""Stands in an UPDATE for the condition of a batch."""


class Expressions:
    """Compiles the values and the condition of a backfill.

    Args:
        database: For which it compiles.
        name: The table, as the author calls it.
        columns: The types of its columns; empty offline.
    """

    def __init__(self, database: Database, name: Name, columns: Mapping[str, Any]) -> None:
        self.database, self.name, self.knows_types = database, name, bool(columns)
        self.table = sa.table(name.name, *(sa.column(one, type_) for one, type_ in columns.items()), schema=name.schema)

    def own(self, value: Any) -> Any:
        """Return an author's expression with his table, however he defined it, replaced by the one that is updated.

        A subquery in it is then correlated with the UPDATE.
        """
        element = value.__clause_element__() if hasattr(value, "__clause_element__") else value
        if isinstance(element, dict):
            return _as_json(element)
        if not isinstance(element, sa.ClauseElement):
            # Without the column's type it is written by its own.
            return value if self.knows_types or value is None else sa.literal(value)
        self._check_closed(element)
        for column in self._columns_in(element):
            if column.name not in self.table.c:
                self.table.append_column(sa.column(column.name, column.type))
        return visitors.replacement_traverse(element, {}, self._replaced)

    def _check_closed(self, element: Any) -> None:
        # A parameter without a value would be written as NULL.
        for one in visitors.iterate(element):
            if isinstance(one, sa.BindParameter) and one.required:
                raise self._unwritable(f"the parameter :{one.key} has no value")

    def column(self, name: str) -> sa.ColumnElement[Any]:
        if name not in self.table.c:
            self.table.append_column(sa.column(name))
        return self.table.c[name]

    def unfilled(self, columns: Mapping[str, Any] | tuple[str, ...]) -> sa.ColumnElement[bool]:
        """Return the condition that any of the columns is NULL."""
        return sa.or_(*(self.column(name).is_(None) for name in columns))

    def fillable(self, values: Mapping[str, Any]) -> sa.ColumnElement[bool]:
        """Return the condition that a column is NULL which its expression would fill."""
        return sa.or_(*(sa.and_(self.column(name).is_(None), _is_not_null(one)) for name, one in values.items()))

    def kept(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values for an UPDATE in which a column that has a value keeps it."""
        if len(values) == 1:
            return dict(values)
        return {
            name: sa.case((self.column(name).is_(None), value), else_=self.column(name))
            for name, value in values.items()
        }

    def check_order(self, values: Mapping[str, Any]) -> None:
        """Raise UnsupportedOnDatabase where a value uses a column that an assignment before it has changed."""
        if self.database.abilities.assigns_at_once:
            return
        for name, value in values.items():
            used = self._names_in(value) if isinstance(value, sa.ClauseElement) else set()
            other = next(iter(used & set(values) - {name}), None)
            if other is not None:
                raise self.database.unsupported(
                    f"A value of {name} made of {other}, which the same backfill changes,",
                    "a server whose assignments all see the row as it was",
                    "Fill one column after the other:",
                    'backfill(..., name="first")\nbackfill(..., name="then")',
                )

    def _names_in(self, value: Any) -> set[str]:
        tokens = sqltext.tokens(self.compiled(sa.select(value)))
        return {sqltext.unquoted(text) for kind, text in tokens if kind in ("word", "quoted")}

    def update(self, values: Mapping[str, Any], needs: str | None, index: str = "") -> str:
        """Return the UPDATE of a batch, with ``RANGE`` where the condition of its keys goes."""
        for name in values:
            self.column(name)
        statement = sa.update(self.table).values(dict(values)).where(sa.literal_column(RANGE))
        if index and Batches.of(self.database).hint(index):
            statement = statement.with_hint(Batches.of(self.database).hint(index).strip(), dialect_name="*")
        checked = f" AND {Batches.of(self.database).checked_row_by_row(f'({needs})')}" if needs else ""
        return self.compiled(statement) + checked

    def select(self, *columns: Any, where: Any) -> str:
        return self.compiled(sa.select(*columns).select_from(self.table).where(where))

    def condition(self, where: Any) -> str:
        """Return a condition as SQL."""
        return self.select(sa.literal_column("1"), where=where).partition("\nWHERE ")[2]

    def compiled(self, construct: Any) -> str:
        try:
            return self.database.rendered(construct)
        except SQLAlchemyError as error:
            raise self._unwritable(str(error)) from error

    def _unwritable(self, problem: str) -> InvalidArgument:
        return InvalidArgument(
            f"The values or the condition of the backfill of {self.name} cannot be written as SQL: {problem}",
            why="Each value has to be a SQLAlchemy expression, text() without open parameters, or a plain value."
            " In text() a colon before a word is a parameter.",
            remedy="Give a plain value its type, and write a colon in text() as \\\\: instead:",
            code='{"data": sa.literal([1, 2], sa.JSON())}\n{"title": sa.text("replace(title, \'\\\\:x\', \'\')")}',
        )

    def _columns_in(self, element: Any) -> Iterator[sa.ColumnClause[Any]]:
        for one in visitors.iterate(element):
            if isinstance(one, sa.ColumnClause) and self._is_own(one.table):
                yield one

    def _replaced(self, element: Any, **_: Any) -> Any:
        if isinstance(element, sa.BindParameter) and isinstance(element.type, sa.JSON):
            return _as_json(element.value)
        if isinstance(element, sa.Alias):
            # Another row of the same table: not the one that is updated.
            return element
        if self._is_own(element):
            return self.table
        if isinstance(element, sa.ColumnClause) and self._is_own(element.table):
            return self.table.c[element.name]
        return None

    def _is_own(self, table: Any) -> bool:
        return (
            isinstance(table, sa.TableClause)
            and table.name == self.name.name
            and getattr(table, "schema", None) in (None, self.name.schema)
        )


def _as_json(value: Any) -> Any:
    # SQLAlchemy writes no JSON as a literal.
    return sa.literal(json.dumps(value), sa.Text())


def _is_not_null(value: Any) -> Any:
    if isinstance(value, sa.TextClause):
        return sa.text(f"({value.text}) IS NOT NULL").bindparams(*_sqlalchemy.parameters(value))
    return value.is_not(None) if isinstance(value, sa.ColumnElement) else sa.true()
