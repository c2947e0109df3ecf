"""The values of a backfill: SQL expressions, compiled for the table itself, and Python functions."""

from __future__ import annotations

import inspect
import json
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from operator import itemgetter
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.sql import visitors

from safeops import _sqlalchemy
from safeops.arguments import arguments_checked
from safeops.backfilling.port import Batches
from safeops.databases import sqltext
from safeops.databases.base import Database
from safeops.errors import BackfillFunctionFailed, InvalidArgument
from safeops.naming import Name

RANGE = "/*safeops:range*/"
"""The place in an UPDATE for the condition of a batch."""


class Expressions:
    """Compiles the values and the condition of a backfill.

    Args:
        database: The database that the SQL is for.
        name: The table, as the author calls it.
        columns: The types of its columns; empty offline.
    """

    def __init__(self, database: Database, name: Name, columns: Mapping[str, Any]) -> None:
        self.database, self.name, self.knows_types = database, name, bool(columns)
        self.table = sa.table(
            name.name, *(sa.column(column, type_) for column, type_ in columns.items()), schema=name.schema
        )

    def own(self, value: Any) -> Any:
        """Return an author's expression with their table object replaced by the updated table.

        A subquery in it is then correlated with the UPDATE.
        """
        element = value.__clause_element__() if hasattr(value, "__clause_element__") else value
        if isinstance(element, dict):
            return _as_json(element)
        if not isinstance(element, sa.ClauseElement):
            # Without the column's type, the type of the value itself is used.
            return value if self.knows_types or value is None else sa.literal(value)
        self._check_closed(element)
        for column in self._columns_in(element):
            if column.name not in self.table.c:
                self.table.append_column(sa.column(column.name, column.type))
        return visitors.replacement_traverse(element, {}, self._replaced)

    def _check_closed(self, element: Any) -> None:
        # A parameter without a value would be written as NULL.
        for part in visitors.iterate(element):
            if isinstance(part, sa.BindParameter) and part.required:
                raise self._unwritable(f"the parameter :{part.key} has no value")

    def column(self, name: str) -> sa.ColumnElement[Any]:
        if name not in self.table.c:
            self.table.append_column(sa.column(name))
        return self.table.c[name]

    def unfilled(self, columns: Sequence[str]) -> sa.ColumnElement[bool]:
        """Return the condition that any of the columns is NULL."""
        return sa.or_(*(self.column(name).is_(None) for name in columns))

    def fillable(self, values: Mapping[str, Any]) -> sa.ColumnElement[bool]:
        """Return the condition that one of the columns is NULL and its expression is not."""
        return sa.or_(*(sa.and_(self.column(name).is_(None), _is_not_null(value)) for name, value in values.items()))

    def kept(self, values: Mapping[str, Any]) -> dict[str, Any]:
        """Return the values for an UPDATE in which a column that has a value keeps it."""
        if len(values) == 1:
            return dict(values)
        return {
            name: sa.case((self.column(name).is_(None), value), else_=self.column(name))
            for name, value in values.items()
        }

    def check_order(self, values: Mapping[str, Any]) -> None:
        """Raise UnsupportedOnDatabase if a value uses a column that an assignment before it has changed."""
        if self.database.abilities.assigns_at_once:
            return
        for name, value in values.items():
            used = self._names_in(value) if isinstance(value, sa.ClauseElement) else set()
            other = next(iter(used & set(values) - {name}), None)
            if other is not None:
                raise self.database.unsupported(
                    f"A value of {name} computed from {other}, which the same backfill changes,",
                    "a server whose assignments all read the old row",
                    "Fill one column after the other:",
                    'backfill(..., name="first")\nbackfill(..., name="then")',
                )

    def _names_in(self, value: Any) -> set[str]:
        tokens = sqltext.tokens(self.compiled(sa.select(value)))
        return {sqltext.unquoted(text) for kind, text in tokens if kind in ("word", "quoted")}

    def update(self, values: Mapping[str, Any], where: str | None, index: str = "") -> str:
        """Return the UPDATE of a batch, with ``RANGE`` in place of the condition of its keys."""
        batches = Batches.of(self.database)
        for name in values:
            self.column(name)
        statement = sa.update(self.table).values(dict(values)).where(sa.literal_column(RANGE))
        if index and (hint := batches.hint(index)):
            statement = statement.with_hint(hint.strip(), dialect_name="*")
        checked = f" AND {batches.checked_row_by_row(f'({where})')}" if where else ""
        return self.compiled(statement) + checked

    def condition(self, where: Any) -> str:
        """Return a condition as SQL."""
        query: sa.Select[Any] = sa.select(sa.literal_column("1")).select_from(self.table).where(where)
        return self.compiled(query).partition("\nWHERE ")[2]

    def compiled(self, construct: Any) -> str:
        try:
            return self.database.rendered(construct)
        except SQLAlchemyError as error:
            raise self._unwritable(str(error)) from error

    def _unwritable(self, problem: str) -> InvalidArgument:
        return InvalidArgument(
            f"The values or the condition of the backfill of {self.name} cannot be written as SQL: {problem}",
            why="Each value must be a SQLAlchemy expression, text() without open parameters, or a plain value."
            " In text() a colon before a word is a parameter.",
            remedy="Give a plain value its type, and write a colon in text() as \\\\: instead:",
            code='{"data": sa.literal([1, 2], sa.JSON())}\n{"title": sa.text("replace(title, \'\\\\:x\', \'\')")}',
        )

    def _columns_in(self, element: Any) -> Iterator[sa.ColumnClause[Any]]:
        for part in visitors.iterate(element):
            if isinstance(part, sa.ColumnClause) and self._is_own(part.table):
                yield part

    def _replaced(self, element: Any, **_: Any) -> Any:
        if isinstance(element, sa.BindParameter) and isinstance(element.type, sa.JSON):
            return _as_json(element.value)
        if isinstance(element, sa.Alias):
            # Another row of the same table, not the updated one.
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
    # SQLAlchemy cannot write JSON as a literal.
    return sa.literal(json.dumps(value), sa.Text())


def _is_not_null(value: Any) -> Any:
    if isinstance(value, sa.TextClause):
        return sa.text(f"({value.text}) IS NOT NULL").bindparams(*_sqlalchemy.parameters(value))
    return value.is_not(None) if isinstance(value, sa.ColumnElement) else sa.true()


# Python functions ------------------------------------------------------------------------------------------------

Rows = Sequence[Mapping[str, Any]]
F = TypeVar("F", bound=Callable[..., Any])

_READS = "__safeops_reads__"


@arguments_checked()
def reads(*columns: str, writes: Sequence[str] | None = None) -> Callable[[F], F]:
    """Declare which columns ``backfill`` passes to a function, and for which the function returns values.

    Args:
        *columns: The columns that each row has.
        writes: The columns that each returned mapping has; without them ``where=`` must be given.

    Raises:
        InvalidArgument: A column is not a name.

    Example:
        @reads("name", writes=("name_ascii",))
        def transliterated(rows):
            return [{"name_ascii": unidecode(row["name"])} for row in rows]

        backfill("cities", transliterated)
    """
    written = (writes,) if isinstance(writes, str) else tuple(writes or ())
    wrong = [name for name in (*columns, *written) if not isinstance(name, str) or not name]
    if wrong or not columns:
        raise InvalidArgument(
            f"reads() got {wrong[0] if wrong else 'no column'!r}, not the names of columns.",
            remedy="Write:",
            code='@reads("name", writes=("name_ascii",))',
        )

    def mark(function: F) -> F:
        setattr(function, _READS, (columns, written or None))
        return function

    return mark


@dataclass(frozen=True)
class Function:
    """The author's function, with the columns that it reads and writes; None if it does not declare them."""

    call: Callable[[Rows], Any]
    reads: tuple[str, ...] | None
    writes: tuple[str, ...] | None

    @classmethod
    def of(cls, function: Callable[[Rows], Any]) -> Function:
        return cls(function, *getattr(function, _READS, (None, None)))

    @property
    def name(self) -> str:
        module = getattr(self.call, "__module__", "")
        return f"{module}.{getattr(self.call, '__qualname__', type(self.call).__qualname__)}"

    def __reduce__(self) -> Any:
        # Alembic loads a revision under a name that workers cannot import: its source is sent instead.
        source = _source_of(self.call)
        if source is None:
            return Function, (self.call, self.reads, self.writes)
        return _from_source, (self.call.__module__, self.call.__qualname__, *source, self.reads, self.writes)

    def results(self, rows: Rows, keys: Sequence[object], state: str) -> dict[str, list[Any]]:
        """Call the function, check what it returns, and return the new values of each column.

        Args:
            rows: The rows that it gets.
            keys: The keys of the rows, for messages.
            state: What is kept so far, for messages.
        """
        span = self.span(keys)
        try:
            results = self.call(rows)
        except Exception as error:
            raise BackfillFunctionFailed(
                f"{self.name} raised {type(error).__name__}: {error}\n{span}",
                why="Nothing of this batch was written.",
                remedy="Fix the function, keep its name, and run again: it continues with this batch.",
                state=state,
            ) from error
        return self._columns(results, keys, span, state)

    @staticmethod
    def span(keys: Sequence[object]) -> str:
        return f"The batch has the keys from {keys[0]} to {keys[-1]}."

    def _columns(self, results: Any, keys: Sequence[object], span: str, state: str) -> dict[str, list[Any]]:
        given = results if isinstance(results, Sequence) and not isinstance(results, (str, bytes)) else None
        if given is None or len(given) != len(keys):
            found = f"{len(given)} values" if given is not None else repr(type(results))
            raise self.refused(f"returned {found} for {len(keys)} rows", span, state)
        names = tuple(given[0]) if isinstance(given[0], Mapping) else ()
        expected = set(self.writes or names)
        if expected == set(names) and (columns := _by_column(given, names)) is not None:
            return columns
        for key, row in zip(keys, given, strict=True):
            is_mapping = type(row) is dict or isinstance(row, Mapping)
            if not is_mapping or not row or row.keys() != expected:
                found = f"the columns {', '.join(map(str, row))}" if is_mapping and row else repr(row)
                listed = ", ".join(sorted(expected)) or "its columns"
                raise self.refused(f"returned {found} for the row with the key {key}, not {listed}", span, state)
        return {name: [row[name] for row in given] for name in names}

    def refused(self, problem: str, span: str, state: str) -> BackfillFunctionFailed:
        column = next(iter(self.writes or ("column",)))
        return BackfillFunctionFailed(
            f"{self.name} {problem}.\n{span}",
            why="Each row needs one mapping from columns to new values, in the order of the rows. Nothing of this batch was"
            " written.",
            remedy="Return as many mappings as there are rows:",
            code=f'return [{{"{column}": ...}} for row in rows]',
            state=state,
        )


def _by_column(rows: Sequence[Any], names: Sequence[str]) -> dict[str, list[Any]] | None:
    """Return the values of each column; None if the rows are not all dictionaries with these columns.

    It looks at all rows at once, which takes a third of the time of a look at each.
    """
    if not names or set(map(type, rows)) != {dict} or set(map(len, rows)) != {len(names)}:
        return None
    try:
        return {name: list(map(itemgetter(name), rows)) for name in names}
    except KeyError:
        return None


def _source_of(function: Any) -> tuple[str, str] | None:
    """Return the file and the source of a function's module if a worker could not import it by its name."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<")
    if module is None or "<" in name or (module in sys.modules and _in(sys.modules[module], name) is function):
        return None
    try:
        # A decorator may be in another file.
        file = inspect.getsourcefile(inspect.unwrap(function)) or ""
        return file, Path(file).read_text()
    except (OSError, TypeError):
        return None


def _in(module: ModuleType, name: str) -> Any:
    value: Any = module
    for part in name.split("."):
        value = getattr(value, part, None)
    return value


def _from_source(
    module: str, name: str, file: str, source: str, reads_: tuple[str, ...] | None, writes: tuple[str, ...] | None
) -> Function:
    return Function(_in(_loaded(module, file, source), name), reads_, writes)


@lru_cache(maxsize=8)
def _loaded(name: str, file: str, source: str) -> ModuleType:
    module = ModuleType(name)
    module.__file__ = file
    exec(compile(source, file, "exec"), vars(module))
    return module
