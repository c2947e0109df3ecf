"""One change of a column, split into the helpers that make it up."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.autogenerate import operations as safe
from safeops.autogenerate.live import Live, TypeWay
from safeops.autogenerate.operations import Note
from safeops.autogenerate.phases import switching
from safeops.naming import Name

Written = list[ops.MigrateOperation]


@dataclass
class Parts:
    """The parts of a change; the caller puts them in order."""

    kept: Written = field(default_factory=list)
    """What Alembic writes, because it has no helper, and comments."""
    relax: Written = field(default_factory=list)
    type: Written = field(default_factory=list)
    default: Written = field(default_factory=list)
    enforce: Written = field(default_factory=list)


def parts_of(operation: ops.AlterColumnOp, way: TypeWay | None, live: Live | None, *, back: bool = False) -> Parts:
    """Split a change of a column.

    Args:
        operation: The change.
        way: The way that the change of type goes, if there is one.
        live: The live database.
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
    parts.kept = _kept(operation, generated, live, back)
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


_COPIED = """\
It refuses if the table has rows: the server copies the table for the comment of a stored generated column, and writes wait \
for that. If they can wait, put it in a block: with assured("..."):"""
_GENERATED = """\
An identity or a computed expression has no helper: look up what the server locks and rewrites for it, and run it when the \
table is idle."""
_SERIAL = """\
It locks the table for a moment: no rows are read or written, and the numbers go on where they were. It waits for whoever \
uses the table, and others wait behind it: run it when the table is idle."""


def _identity(operation: ops.AlterColumnOp, back: bool) -> Any:
    return operation.existing_server_default if back else operation.modify_server_default


def _kept(operation: ops.AlterColumnOp, generated: bool, live: Live | None, back: bool) -> Written:
    """Return what stays as Alembic writes it, with the reason; then the comment, which that would repeat as it was."""
    changes: dict[str, Any] = {"modify_name": operation.modify_name}
    regenerated = generated and operation.modify_server_default is not False
    if regenerated:
        changes["modify_server_default"] = operation.modify_server_default
    own = _only(safe.ChangeGenerated if regenerated else ops.AlterColumnOp, operation, **changes)
    comment = _comment(operation, live, back)
    if not own.has_changes():
        return comment
    # Before the others upgrade() finds the column as it stands, and so does downgrade() after the others.
    name, column = Name(str(operation.table_name), operation.schema or None), str(operation.column_name)
    both = live.serial_as_identity(name, column, _identity(operation, back)) if live and regenerated else None
    if both:
        return [Note(_SERIAL), safe.become(safe.ByStatement, own, sql=both[back]), *comment]
    if back:
        # It comes last, when the rest is as it was; a server that wants the whole column again has to be told so.
        _rename_attributes(own, operation, generated)
    return [*([Note(_GENERATED)] if regenerated else []), own, *comment]


def _comment(operation: ops.AlterColumnOp, live: Live | None, back: bool) -> Written:
    if operation.modify_comment is False:
        return []
    name, column = Name(str(operation.table_name), operation.schema or None), str(operation.column_name)
    both = (operation.existing_comment or None, operation.modify_comment or None)
    found = _settled(live, name, column, *both, back)
    copies = live is not None and live.copies_for_comment(name, column)
    own = [_only(safe.SetComment, operation, modify_comment=one) for one in found]
    return [*([Note(_COPIED)] if own and copies else []), *own]


def comment_of_table(operation: Any, live: Live | None, *, back: bool = False) -> Written:
    """Return the comment of a table, if it changes."""
    name = Name(str(operation.table_name), operation.schema or None)
    both = (operation.existing_comment or None, getattr(operation, "comment", None) or None)
    return [
        safe.become(safe.SetTableComment, operation, comment=one) for one in _settled(live, name, None, *both, back)
    ]


def _settled(
    live: Live | None, name: Name, column: str | None, existing: Any, wanted: Any, back: bool
) -> tuple[str | None, ...]:
    """Return the comment to write; none if it is there already: SQLAlchemy reads what safeops keeps in it too."""
    after = existing if back else wanted
    before = live.comment(name, column, wanted if back else existing) if live else wanted if back else existing
    return () if before == after else (before if back else after,)


def _rename_attributes(own: ops.AlterColumnOp, operation: ops.AlterColumnOp, generated: bool) -> None:
    if operation.modify_type is not None:
        own.existing_type = operation.modify_type
    if operation.modify_nullable is not None:
        own.existing_nullable = operation.modify_nullable
    if operation.modify_server_default is not False and not generated:
        own.existing_server_default = operation.modify_server_default


# Types ----------------------------------------------------------------------------------------------------------


def _type_forth(operation: ops.AlterColumnOp, way: TypeWay) -> Written:
    if way.keep:
        return [Note(way.keep)]
    if not way.phases:
        return _in_place(operation, way.blocks)
    own = _phases(operation, way.target, way.phases, way.options)
    return [switching(own), own] if way.phases == ("switch",) else [own]


def _in_place(operation: ops.AlterColumnOp, blocks: str) -> Written:
    own = _only(safe.AlterType, operation, modify_type=operation.modify_type)
    return [Note(blocks), own] if blocks else [own]


def _type_back(operation: ops.AlterColumnOp, way: TypeWay | None) -> Written:
    if way is not None and way.keep:
        return [Note(f"Nothing to undo: {operation.table_name}.{operation.column_name} keeps its type.")]
    if way is not None and way.phases:
        undone = [f"undo_{phase}" for phase in reversed(way.phases)]
        return [_phases(operation, way.target, undone, way.options)]
    if way is not None and not way.returns and not way.blocks_back:
        column = f"{operation.table_name}.{operation.column_name}"
        why = f"The type of {column} does not change back in a moment: a column of the former type takes its place."
        return [Note(why), _phases(operation, operation.modify_type, ("expand", "switch", "contract"), {})]
    return _in_place(operation, way.blocks_back if way else "")


def _phases(operation: ops.AlterColumnOp, target: Any, phases: Any, options: dict[str, str]) -> safe.ChangeType:
    own = _only(safe.ChangeType, operation, modify_type=operation.modify_type)
    own.target, own.phases, own.options = target, tuple(phases), options
    return own
