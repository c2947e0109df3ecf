"""What a required column is populated with: as a backfill, as a trigger for new rows, and as SQL for ``--sql``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql import visitors

from safeops.arguments import Keywords
from safeops.backfilling.backfill import Arguments, execute, progress_name, render_updates
from safeops.backfilling.batch import Limits
from safeops.backfilling.port import Batches
from safeops.backfilling.run import BackfillReport
from safeops.backfilling.spec import BackfillSpec, key_of, spec_for
from safeops.backfilling.state import LONGEST_NAME
from safeops.backfilling.values import Expressions, Function
from safeops.databases import sqltext
from safeops.databases.definitions import Table
from safeops.databases.server import OF_STATEMENT
from safeops.databases.triggers import ROW, Filler
from safeops.errors import InvalidArgument
from safeops.execution.inspect import check_has_columns, look_into
from safeops.execution.migration import Migration
from safeops.naming import Code, Name, call, column_code, fitting

OPTIONS = Keywords(
    ("name", "key", "batch_size", "target_seconds", "pause", "throttles", "executor", "connect", "progress")
)
NOTHING_DONE = BackfillReport(0, 0, 0.0, True, 0)


class RequiredArguments(Arguments):
    """The arguments of ``add_required_column``, with its call as it should be in the messages."""

    def __init__(self, migration: Migration, table_name: Any, column: Any, schema: Any) -> None:
        super().__init__(migration, table_name, schema)
        plain = isinstance(column, sa.Column) and isinstance(column.name, str)
        self.name = Name(table_name, schema)
        name = column if isinstance(column, str) and column else f"column of {table_name}"
        self.column = column_code(column) if plain else call("sa.Column", name, Code("sa.Text"), nullable=False)

    def corrected(self, values: str | None = None, **keywords: Any) -> str:
        populate = Code("..." if values == "{...}" else values or self.sql)
        return call(
            "add_required_column", self.table_name, self.column, populate=populate, schema=self.schema, **keywords
        )

    def check_populate(self, populate: Any, column: sa.Column[Any]) -> None:
        wrong = None
        if populate is ...:
            wrong = (
                "populate is still the three dots of autogenerate: only you know which value existing rows should get."
            )
        elif populate is None:
            wrong = "populate is None, but the column must become NOT NULL: each row needs a value."
        elif isinstance(populate, Mapping) and set(populate) == {column.name} and not isinstance(column.type, sa.JSON):
            wrong = f"populate is a mapping, but there is one column: pass only the value of {column.name}."
        elif is_function(populate) and (Function.of(populate).writes or (column.name,)) != (column.name,):
            wrong = f"The function of populate writes {Function.of(populate).writes}, not only {column.name}."
        if wrong:
            error = self.invalid(wrong)
            error.in_any_case = True
            raise error


@dataclass(frozen=True)
class Populating:
    """What a column is populated with.

    Args:
        arguments: The arguments of the call.
        column: The column in its final form.
        populate: A SQL expression, a plain value or a function.
        where: The rows that it fills; None is all.
        limits: How fast it can run.
        label: The name of the backfill.
        options: The other options of a backfill.
    """

    arguments: RequiredArguments
    column: sa.Column[Any]
    populate: Any
    where: Any
    limits: Limits
    label: str
    options: Mapping[str, Any]

    @classmethod
    def of(
        cls, arguments: RequiredArguments, column: sa.Column[Any], populate: Any, where: Any, options: Any
    ) -> Populating:
        """Check the arguments of the backfill."""
        arguments.check_populate(populate, column)
        arguments.check_where(where)
        arguments.check_workers(options.get("executor"), options.get("connect"))
        arguments.check_progress(options.get("progress"))
        key = arguments.key(options.get("key"))
        limits = arguments.limits(*(options.get(option, default) for option, default in _LIMITS.items()))
        label = progress_name(arguments, options.get("name"), arguments.name, str(column.name))
        where = None if where is True or isinstance(where, sa.True_) else where
        return cls(arguments, column, populate, where, limits, label, {**options, "key": key})

    @property
    def migration(self) -> Migration:
        return self.arguments.migration

    @property
    def name(self) -> Name:
        return self.arguments.name

    @property
    def column_name(self) -> str:
        return str(self.column.name)

    @property
    def is_function(self) -> bool:
        return is_function(self.populate)

    @property
    def _condition(self) -> Any:
        return sa.text(f"({self.where})") if isinstance(self.where, str) else self.where

    @property
    def unfilled(self) -> Any:
        """The condition of the rows to fill that have no value yet."""
        empty = sa.column(self.column_name).is_(None)
        return empty if self.where is None else sa.and_(empty, self._condition)

    # Before anything is touched ---------------------------------------------------------------------------------

    def check(self, table: Table) -> None:
        """Raise what a backfill would raise before it begins; the column need not exist yet."""
        key_of(self.migration, table, self.options["key"], (self.column_name,))
        if self.is_function:
            Batches.of(self.migration.database).check_writes_values(table)
            check_has_columns(
                table, (column for column in Function.of(self.populate).reads or () if column != self.column_name)
            )
        self._check_runs(table)

    def _check_runs(self, table: Table) -> None:
        database, own = self.migration.database, self.column_name
        type_ = database.type_text(self.column.type)
        columns = [database.quoted(column) for column in table.columns]
        columns += [] if own in table.columns else [f"{database.triggers.null_of(type_)} AS {database.quoted(own)}"]
        row = f"SELECT {', '.join(columns)} FROM {database.quoted_table(table.name)}"
        query = self._query([*table.columns, own])[0].replace(ROW, row)
        try:
            look_into(self.migration, self.name, lambda: database.triggers.check_value(query, type_))
        except DBAPIError as error:
            if database.errors.kind_of(error) not in OF_STATEMENT:
                raise
            raise InvalidArgument(
                f"{database.describe()} rejects populate= or where= of {self.name}.{own}: {error.orig}\n"
                f"The query was: {query}",
                why="Columns must be named without a schema, alone or with their table: a trigger evaluates the expression.",
                remedy="Correct the expression:",
                code=self.arguments.corrected("{...}"),
            ) from error

    # New rows ---------------------------------------------------------------------------------------------------

    def filler(self, table: Table | None) -> Filler:
        query, reads = self._query([] if table is None else [*dict.fromkeys([*table.columns, self.column_name])])
        return Filler(table.name if table else self.name, self.column_name, query, None if table is None else reads)

    def _query(self, columns: list[str]) -> tuple[str, tuple[str, ...]]:
        """Return the query of the value over one row, and which of its columns it reads."""
        untyped = {column: sa.types.NullType() for column in columns}
        expressions = Expressions(self.migration.database, self.name, untyped)
        value = sa.null() if self.is_function else expressions.own(self._as_element())
        condition = None if self.where is None else expressions.own(self._condition)
        known = [sa.column(one.name, one.type) for one in expressions.table.c]
        row = sa.text(ROW).columns(*known).subquery(self.name.name)

        def over_row(element: Any, **_: Any) -> Any:
            if element is expressions.table:
                return row
            own = isinstance(element, sa.ColumnClause) and element.table is expressions.table
            return row.c[element.name] if own else None

        query = sa.select(visitors.replacement_traverse(value, {}, over_row)).select_from(row)
        if condition is not None:
            query = query.where(visitors.replacement_traverse(condition, {}, over_row))
        sql = expressions.compiled(query)
        return sql, _read_by(sql, columns, self.name.name)

    def _as_element(self) -> Any:
        plain = not isinstance(self.populate, (sa.ClauseElement, dict)) and not _is_mapped(self.populate)
        type_ = self.column.type
        while isinstance(within := getattr(type_, "data_type", None), sa.types.TypeEngine):
            type_ = within  # SQLAlchemy writes no value of a domain.
        return sa.literal(self.populate, type_) if plain else self.populate

    # Old rows ---------------------------------------------------------------------------------------------------

    def fill(self, table: Table) -> BackfillReport:
        """Fill the selected rows."""
        values: Any = self.populate if self.is_function else {self.column_name: self._as_element()}
        spec = spec_for(
            self.migration, table, self.name, values, self.unfilled, self.options["key"], self.label, keeps_values=True
        )
        return self._run(self._of_column(spec))

    def fill_others(self, table: Table, default: str) -> BackfillReport:
        """Fill all other rows with the server default."""
        values: dict[str, Any] = {self.column_name: sa.literal_column(default)}
        label = fitting(f"{self.label} default", max_bytes=LONGEST_NAME)
        return self._run(spec_for(self.migration, table, self.name, values, None, self.options["key"], label))

    def _of_column(self, spec: BackfillSpec) -> BackfillSpec:
        own = (self.column_name,)
        function = replace(spec.function, writes=own) if spec.function else None
        return replace(spec, columns=own, function=function)

    def _run(self, spec: BackfillSpec) -> BackfillReport:
        progress, executor, connect = (self.options.get(option) for option in ("progress", "executor", "connect"))
        return execute(self.migration, spec, self.limits, progress, executor, connect)

    def render(self, default: str | None) -> None:
        """Render everything as UPDATEs that change nothing the second time."""
        own, database = self.column_name, self.migration.database
        expressions = Expressions(database, self.name, {})
        value = expressions.own(self._as_element())
        updates = [expressions.update({own: value}, expressions.condition(expressions.own(self.unfilled)))]
        if self.where is not None and default is not None:
            empty = expressions.condition(expressions.column(own).is_(None))
            updates.append(expressions.update({own: sa.literal_column(default)}, empty))
        render_updates(self.migration, *updates)


_LIMITS = {"target_seconds": None, "batch_size": None, "pause": 0.0, "throttles": ()}


def _is_mapped(value: Any) -> bool:
    return hasattr(value, "__clause_element__")


def is_function(populate: Any) -> bool:
    return callable(populate) and not isinstance(populate, sa.ClauseElement) and not _is_mapped(populate)


def _read_by(sql: str, columns: Iterable[str], alias: str) -> tuple[str, ...]:
    """Return the columns that a query names; all columns if it uses the whole row."""
    found = [(sqltext.unquoted(text).casefold(), text) for kind, text in sqltext.tokens(sql)]
    named = {name for name, _ in found}
    for (name, _), (_, behind), (before, _) in zip(found, [*found[1:], ("", "")], [("", ""), *found], strict=False):
        if (name == alias.casefold() and behind != "." and before != "as") or (name == "*" and before == "."):
            return tuple(columns)
    return tuple(column for column in columns if column.casefold() in named)
