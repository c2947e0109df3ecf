"""Python functions as values: what they need, how they travel to a worker, and what may come back."""

from __future__ import annotations

import inspect
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from types import ModuleType
from typing import Any, TypeVar

from safeops.errors import BackfillFunctionFailed, InvalidArgument

Rows = Sequence[Mapping[str, Any]]
F = TypeVar("F", bound=Callable[..., Any])

_NEEDS = "__safeops_reads__"


def reads(*columns: str, writes: Sequence[str] | None = None) -> Callable[[F], F]:
    """The function says which columns ``backfill`` hands it, and which it gives values for.

    Args:
        *columns: The columns that each row has.
        writes: The columns that each returned mapping has; without them ``where=`` must be given.

    Raises:
        InvalidArgument: A column is no name.

    Example:
        @reads("name", writes=("name_ascii",))
        def transliterated(rows):
            return [{"name_ascii": unidecode(row["name"])} for row in rows]

        backfill("cities", transliterated)
    """
    written = (writes,) if isinstance(writes, str) else tuple(writes or ())
    wrong = [one for one in (*columns, *written) if not isinstance(one, str) or not one]
    if wrong or not columns:
        raise InvalidArgument(
            f"reads() got {wrong[0] if wrong else 'no column'!r}, not the names of columns.",
            remedy="Write:",
            code='@reads("name", writes=("name_ascii",))',
        )

    def mark(function: F) -> F:
        setattr(function, _NEEDS, (columns, written or None))
        return function

    return mark


@dataclass(frozen=True)
class Function:
    """A function of the author's, with what it reads and writes; None is "not said"."""

    call: Callable[[Rows], Any]
    reads: tuple[str, ...] | None
    writes: tuple[str, ...] | None

    @classmethod
    def of(cls, function: Callable[[Rows], Any]) -> Function:
        return cls(function, *getattr(function, _NEEDS, (None, None)))

    @property
    def name(self) -> str:
        module = getattr(self.call, "__module__", "")
        return f"{module}.{getattr(self.call, '__qualname__', type(self.call).__qualname__)}"

    def __reduce__(self) -> Any:
        # Alembic loads a revision under a name that nobody can import: its source travels instead.
        found = _source_of(self.call)
        if found is None:
            return Function, (self.call, self.reads, self.writes)
        return _from_source, (self.call.__module__, self.call.__qualname__, *found, self.reads, self.writes)

    def results(self, rows: Rows, keys: Sequence[object], state: str) -> list[Mapping[str, Any]]:
        """Call the function and check what it returns.

        Args:
            rows: What it gets.
            keys: The keys of the rows, for messages.
            state: What stands, for messages.
        """
        span = self.span(keys)
        try:
            results = self.call(rows)
        except Exception as error:
            raise BackfillFunctionFailed(
                f"{self.name} raised {type(error).__name__}: {error}\n{span}",
                why="Nothing of this batch was written.",
                remedy="Mend the function, under the same name, and run again: it goes on from this batch.",
                state=state,
            ) from error
        self._check(results, keys, span, state)
        return list(results)

    @staticmethod
    def span(keys: Sequence[object]) -> str:
        return f"The batch has the keys from {keys[0]} to {keys[-1]}."

    def _check(self, results: Any, keys: Sequence[object], span: str, state: str) -> None:
        given = results if isinstance(results, Sequence) and not isinstance(results, (str, bytes)) else None
        if given is None or len(given) != len(keys):
            found = f"{len(given)} values" if given is not None else repr(type(results))
            raise self.refused(f"returned {found} for {len(keys)} rows", span, state)
        wanted = set(self.writes or (given[0] if isinstance(given[0], Mapping) else ()))
        for key, one in zip(keys, given, strict=True):
            if not isinstance(one, Mapping) or not one or set(one) != wanted:
                found = f"the columns {', '.join(map(str, one))}" if isinstance(one, Mapping) and one else repr(one)
                listed = ", ".join(sorted(wanted)) or "its columns"
                raise self.refused(f"returned {found} for the row with the key {key}, not {listed}", span, state)

    def refused(self, problem: str, span: str, state: str) -> BackfillFunctionFailed:
        column = next(iter(self.writes or ("column",)))
        return BackfillFunctionFailed(
            f"{self.name} {problem}.\n{span}",
            why="Each row needs one mapping from its columns to their new values, in the order of the rows; nothing of"
            " this batch was written.",
            remedy="Return as many mappings as there are rows:",
            code=f'return [{{"{column}": ...}} for row in rows]',
            state=state,
        )


def _source_of(function: Any) -> tuple[str, str] | None:
    """Return the file and the source of a function's module where a worker could not import it by its name."""
    module, name = getattr(function, "__module__", None), getattr(function, "__qualname__", "<")
    if module is None or "<" in name or (module in sys.modules and _in(sys.modules[module], name) is function):
        return None
    try:
        # A decorator may be of another file.
        file = inspect.getsourcefile(inspect.unwrap(function)) or ""
        return file, Path(file).read_text()
    except (OSError, TypeError):
        return None


def _in(module: ModuleType, name: str) -> Any:
    found: Any = module
    for one in name.split("."):
        found = getattr(found, one, None)
    return found


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
