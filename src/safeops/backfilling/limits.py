"""The arguments of a backfill: what is wrong with them is said before anything is touched."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from typing import Any

import sqlalchemy as sa
from sqlalchemy.exc import SQLAlchemyError

from safeops.backfilling.range_walker import Pace
from safeops.backfilling.work import targets_of
from safeops.errors import InvalidArgument
from safeops.execution.inspect import check_names
from safeops.execution.migration import Migration
from safeops.naming import Code, call


class Arguments:
    """Checks the arguments of one call.

    Args:
        migration: The running migration.
        table_name: The table, for the call as it should be.
        schema: Its schema, likewise.
    """

    def __init__(self, migration: Migration, table_name: Any, schema: Any) -> None:
        self.migration, self.table_name, self.schema = migration, table_name, schema

    @property
    def sql(self) -> str:
        """Stands in a call for SQL that only its author knows: no column that another table has."""
        return f'sa.text("SQL over columns of {self.table_name}")'

    def right(self, values: str | None = None, **keywords: Any) -> str:
        """Write the call out as it should be."""
        values = values or f'{{"column to fill": {self.sql}}}'
        return call("backfill", self.table_name, Code(values), schema=self.schema, **keywords)

    def wrong(self, argument: str, value: Any, what: str, example: Any) -> InvalidArgument:
        code = self.right("{...}", **{argument: example})
        return InvalidArgument(f"{argument} is {value!r}, not {what}.", remedy="Write:", code=code)

    def check_table(self) -> None:
        check_names(self.migration, self.right(), table_name=self.table_name, schema=self.schema)

    def check_values(self, values: Any, where: Any) -> None:
        if isinstance(values, Mapping):
            self._check_mapping(values, where)
        elif not callable(values):
            raise InvalidArgument(
                f"The values of the backfill are {values!r}, neither a mapping of columns to what they become nor a"
                " function.",
                remedy="Write:",
                code=self.right(),
            )
        elif where is None and not targets_of(values):
            raise InvalidArgument(
                "The function does not say which columns it writes, so that nobody knows which rows need it.",
                remedy="Say so, or give where=:",
                code='@reads("name", writes=("name_ascii",))\ndef transliterated(rows):\n    ...',
            )

    def _check_mapping(self, values: Mapping[Any, Any], where: Any) -> None:
        if not values:
            raise InvalidArgument("The values of the backfill are empty.", remedy="Write:", code=self.right())
        for column, value in values.items():
            check_names(self.migration, self.right(), column_name=column)
            if value is None and where is None:
                raise InvalidArgument(
                    f"The value of {column} is None, and a row counts as filled once it is not NULL.",
                    remedy="To take values away, say from which rows:",
                    code=self.right(f'{{"{column}": None}}', where=True),
                )

    def check_where(self, where: Any) -> None:
        if isinstance(where, str):
            fits = bool(where.strip())
        else:
            fits = where is None or where is True or isinstance(where, sa.ClauseElement)
            fits = fits or hasattr(where, "__clause_element__")
        if not fits:
            example = Code(self.sql)
            raise self.wrong("where", where, "a condition, nor True for each row", example)

    def key(self, key: Any) -> tuple[str, ...] | None:
        """Return the columns of the key that is asked for."""
        if key is None:
            return None
        asked = (key,) if isinstance(key, str) else tuple(key) if isinstance(key, Iterable) else ()
        if not asked or not all(isinstance(one, str) and one for one in asked):
            raise self.wrong("key", key, "the columns of a unique key", ["id"])
        return asked

    def pace(self, target: Any, batch_size: Any, pause: Any, throttles: Any) -> Pace:
        """Return how fast the backfill may go."""
        seconds = self.migration.settings.target_seconds if target is None else target
        if not _is_number(seconds) or not 0 < seconds < float("inf"):
            raise self.wrong("target_seconds", target, "a number of seconds above 0", 0.1)
        if not _is_number(pause) or not 0 <= pause < float("inf"):
            raise self.wrong("pause", pause, "a number of seconds", 0.5)
        if batch_size is not None and (type(batch_size) is not int or batch_size < 1):
            raise self.wrong("batch_size", batch_size, "a number of rows above 0", 1000)
        asked = tuple(throttles) if isinstance(throttles, Iterable) else (None,)
        if not all(callable(one) for one in asked):
            raise self.wrong("throttles", throttles, "a list of callables", [Code("active_sessions(20)")])
        return Pace(float(seconds), batch_size, float(pause), asked)

    def check_workers(self, executor: Executor | None, connect: Any) -> None:
        if executor is not None and not callable(getattr(executor, "submit", None)):
            example = Code("ThreadPoolExecutor(2)")
            raise self.wrong("executor", executor, "a concurrent.futures.Executor", example)
        if connect is None or callable(connect):
            return
        try:
            sa.make_url(connect).get_dialect()
        except (SQLAlchemyError, ValueError, TypeError, AttributeError):
            # The error would show the text, which may have a password in it.
            raise InvalidArgument(
                "connect is neither the URL of a database nor a callable that returns an Engine.",
                remedy="Write:",
                code=self.right("{...}", connect="postgresql+psycopg://user:password@host/database"),
            ) from None

    def check_progress(self, progress: Callable[..., Any] | None) -> None:
        if progress is not None and not callable(progress):
            raise self.wrong("progress", progress, "a callable", Code("print"))


def _is_number(value: Any) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)
