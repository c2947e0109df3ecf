"""Changes over several deploys: frozen values whose methods are the phases, each in a revision of its own."""

from __future__ import annotations

from dataclasses import Field, fields
from typing import Any, ClassVar

import sqlalchemy as sa

from safeops.errors import PhaseMissing
from safeops.execution.inspect import check_names
from safeops.execution.migration import Migration
from safeops.naming import call, type_code


class PhasedChange:
    """A change over several deploys. Each phase has an inverse, ``undo_...``, and needs the phase before it."""

    _phases: ClassVar[tuple[str, ...]] = ("expand", "contract")

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def _call(self, phase: str) -> str:
        """Return the call of a phase, as its author writes it."""
        written = {field.name: _as_argument(getattr(self, field.name)) for field in fields(self)}
        keywords = {field.name: written.pop(field.name) for field in fields(self) if field.kw_only}
        return f"{call(type(self).__name__, *written.values(), **keywords)}.{phase}()"

    def _call_before(self, phase: str) -> str:
        """Return the call of the phase that has to finish before this one."""
        order = [*self._phases, *(f"undo_{phase}" for phase in reversed(self._phases))]
        return self._call(order[order.index(phase) - 1])

    def _check_names(self, migration: Migration, code: str) -> None:
        """Raise InvalidArgument where a name or the schema is none; ``code`` is the call as it should be."""
        names = {field.name: getattr(self, field.name) for field in fields(self)}
        check_names(
            migration, code, **{key: value for key, value in names.items() if key.endswith(("_name", "schema"))}
        )


def _as_argument(value: Any) -> Any:
    is_type = isinstance(value, (type, sa.types.TypeEngine))
    return type_code(sa.types.to_instance(value)) if is_type else value


def phase_missing(problem: str, missing: str) -> PhaseMissing:
    """Return the error of a phase that was called before another one has finished."""
    return PhaseMissing(
        problem,
        why="Each phase stands on the one before it.",
        remedy="Call that first, in an earlier revision; where it was interrupted, it goes on:",
        code=missing,
    )
