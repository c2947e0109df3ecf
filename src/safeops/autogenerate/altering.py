"""One change of a column, split into the helpers that make it up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.autogenerate import operations as safe
from safeops.autogenerate.live import TypeWay
from safeops.autogenerate.operations import Note
from safeops.autogenerate.phases import switching

Written = list[ops.MigrateOperation]


@dataclass
class Parts:
    """The parts of a change; the caller puts them in order."""

    kept: Written = field(default_factory=list)
    """What Alembic writes: comments, and what it has no helper for."""
    relax: Written = field(default_factory=list)
    type: Written = field(default_factory=list)
    default: Written = field(default_factory=list)
    enforce: Written = field(default_factory=list)


def parts_of(operation: ops.AlterColumnOp, way: TypeWay | None, *, back: bool = False) -> Parts:
    """Split a change of a column.

    Args:
        operation: The change.
        way: The way that the change of type goes, if there is one.
        back: The change is that of the downgrade.
    """
    parts = Parts()
    if operation.modify_nullable is not None:
        own = _only(safe.SetNullability, operation, modify_nullable=operation.modify_nullable)
        (parts.relax if operation.modify_nullable else parts.enforce).append(own)
    if operation.modify_type is not None:
        parts.type = _type_back(operation, way) if back else _type_forth(operation, way or TypeWay(None))
    expands = way is not None and way.phases == ("expand",)
    generated = is_generated(operation.modify_server_default) or is_generated(operation.existing_server_default)
    if operation.modify_server_default is not False and not generated:
        parts.default = _default(operation, postponed=expands, back=back)
    parts.kept = _kept(operation, generated, back)
    return parts


def _only(kind: type[safe.Op], operation: ops.AlterColumnOp, **changes: Any) -> safe.Op:
    """Return the change reduced to some of its parts."""
    nothing = {"modify_type": None, "modify_nullable": None, "modify_server_default": False, "modify_comment": False}
    return safe.become(kind, operation, **{**nothing, "modify_name": None, **changes})


def is_generated(default: Any) -> bool:
    return isinstance(default, (sa.Computed, sa.Identity))


def _default(operation: ops.AlterColumnOp, *, postponed: bool, back: bool) -> Written:
    if not postponed:
        default = operation.modify_server_default
        return [_only(safe.SetServerDefault, operation, modify_server_default=default)]
    if back:
        return []
    column = f"{operation.table_name}.{operation.column_name}"
    return [
        Note(f"The default of {column} is one of the new type: autogenerate finds it in the revision that switches.")
    ]


def _kept(operation: ops.AlterColumnOp, generated: bool, back: bool) -> Written:
    """Return what stays as Alembic writes it, with the reason."""
    changes: dict[str, Any] = {"modify_comment": operation.modify_comment, "modify_name": operation.modify_name}
    if generated:
        changes["modify_server_default"] = operation.modify_server_default
    own = _only(safe.ChangeGenerated if generated else ops.AlterColumnOp, operation, **changes)
    if not own.has_changes():
        return []
    if back:
        # It comes last, when the rest is as it was; a server that wants the whole column again has to be told so.
        _rename_attributes(own, operation, generated)
    why = "It changes the comment alone, in the catalogue: no rows are read or written."
    if generated:
        why = (
            "An identity or a computed expression has no helper: look up what the server locks and rewrites for it,"
            " and run it when the table is idle."
        )
    return [Note(why), own]


def _rename_attributes(own: ops.AlterColumnOp, operation: ops.AlterColumnOp, generated: bool) -> None:
    if operation.modify_type is not None:
        own.existing_type = operation.modify_type
    if operation.modify_nullable is not None:
        own.existing_nullable = operation.modify_nullable
    if operation.modify_server_default is not False and not generated:
        own.existing_server_default = operation.modify_server_default


# Types ----------------------------------------------------------------------------------------------------------


def _type_forth(operation: ops.AlterColumnOp, way: TypeWay) -> Written:
    if not way.phases:
        return [_only(safe.AlterType, operation, modify_type=operation.modify_type)]
    own = _phases(operation, way.target, way.phases, way.options)
    return [switching(own), own] if way.phases == ("switch",) else [own]


def _type_back(operation: ops.AlterColumnOp, way: TypeWay | None) -> Written:
    if way is not None and way.phases:
        undone = [f"undo_{phase}" for phase in reversed(way.phases)]
        return [_phases(operation, way.target, undone, way.options)]
    if way is not None and not way.returns:
        column = f"{operation.table_name}.{operation.column_name}"
        why = f"The type of {column} does not change back in a moment: a column of the former type takes its place."
        return [Note(why), _phases(operation, operation.modify_type, ("expand", "switch", "contract"), {})]
    return [_only(safe.AlterType, operation, modify_type=operation.modify_type)]


def _phases(operation: ops.AlterColumnOp, target: Any, phases: Any, options: dict[str, str]) -> safe.ChangeType:
    own = _only(safe.ChangeType, operation, modify_type=operation.modify_type)
    own.target, own.phases, own.options = target, tuple(phases), options
    return own
