"""One change of a column, split into helpers, and the phases of a change of type in a revision."""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.autogenerate import operations
from safeops.autogenerate.alembic_operations import Operations, is_generated, name_of
from safeops.autogenerate.live_database import LiveDatabase, TypeChangePlan
from safeops.autogenerate.operations import Note
from safeops.naming import Name, in_shell, written_type


@dataclass
class Parts:
    """The parts of a change; the caller puts them in order."""

    alembics: Operations = field(default_factory=list)
    """What Alembic writes, because it has no helper, and comments."""
    relax: Operations = field(default_factory=list)
    type: Operations = field(default_factory=list)
    default: Operations = field(default_factory=list)
    enforce: Operations = field(default_factory=list)


def parts_of(
    operation: ops.AlterColumnOp, plan: TypeChangePlan | None, live: LiveDatabase | None, *, downgrade: bool = False
) -> Parts:
    """Split a change of a column.

    Args:
        operation: The change.
        plan: How the type changes, if it does.
        live: The live database.
        downgrade: The change is part of ``downgrade()``.
    """
    parts = Parts()
    if operation.modify_nullable is not None:
        relaxes = operation.modify_nullable
        own = _only(
            operations.RelaxNotNull if relaxes else operations.EnforceNotNull, operation, modify_nullable=relaxes
        )
        (parts.relax if relaxes else parts.enforce).append(own)
    if operation.modify_type is not None:
        parts.type = _type_back(operation, plan) if downgrade else _type(operation, plan or TypeChangePlan(None))
    expands = plan is not None and plan.phases == ("expand",)
    generated = is_generated(operation.modify_server_default) or is_generated(operation.existing_server_default)
    if operation.modify_server_default is not False and not generated:
        parts.default = _default(operation, postponed=expands, downgrade=downgrade)
    parts.alembics = _left_to_alembic(operation, generated, live, downgrade)
    return parts


def _only(kind: type[operations.Op], operation: ops.AlterColumnOp, **changes: Any) -> operations.Op:
    """Return the change reduced to some of its parts."""
    nothing = {"modify_type": None, "modify_nullable": None, "modify_server_default": False, "modify_comment": False}
    return operations.become(kind, operation, **{**nothing, "modify_name": None, **changes})


def _default(operation: ops.AlterColumnOp, *, postponed: bool, downgrade: bool) -> Operations:
    if not postponed:
        default = operation.modify_server_default
        return [_only(operations.SetServerDefault, operation, modify_server_default=default)]
    if downgrade:
        return []
    text = "The default of {} is one of the new type: autogenerate finds it in the revision that switches."
    return [Note(text.format(_without_schema(operation)))]


def _column(operation: ops.AlterColumnOp) -> str:
    return f"{name_of(operation)}.{operation.column_name}"


def _without_schema(operation: ops.AlterColumnOp) -> str:
    return f"{operation.table_name}.{operation.column_name}"


# What Alembic writes, and comments ------------------------------------------------------------------------------

_COPIED = """\
It refuses if the table has rows: the server copies the table for the comment of a stored generated column, and writes wait \
for that. If they can wait, put it in a block: with assured("..."):"""
_GENERATED = """\
An identity or a computed expression has no helper: look up what the server locks and rewrites for it, and run it when the \
table is idle."""
_SERIAL = """\
It locks the table for a moment: no rows are read or written, and the numbers go on where they were. It waits for whoever \
uses the table, and others wait behind it: run it when the table is idle."""


def _left_to_alembic(
    operation: ops.AlterColumnOp, generated: bool, live: LiveDatabase | None, downgrade: bool
) -> Operations:
    """Return what Alembic writes, with a note on what the server does; then the comment, which that would repeat."""
    changes: dict[str, Any] = {"modify_name": operation.modify_name}
    regenerated = generated and operation.modify_server_default is not False
    if regenerated:
        changes["modify_server_default"] = operation.modify_server_default
    own = _only(operations.ChangeGenerated if regenerated else ops.AlterColumnOp, operation, **changes)
    comment = _comment(operation, live, downgrade)
    if not own.has_changes():
        return comment
    # upgrade() runs it before the other changes and downgrade() after them: both find the column as it is now.
    identity = operation.existing_server_default if downgrade else operation.modify_server_default
    statements = live.serial_as_identity(*_place(operation), identity) if live and regenerated else None
    if statements:
        return [Note(_SERIAL), operations.become(operations.ByStatement, own, sql=statements[downgrade]), *comment]
    if downgrade:
        _describe_restored(own, operation, generated)
    return [*([Note(_GENERATED)] if regenerated else []), own, *comment]


def _place(operation: ops.AlterColumnOp) -> tuple[Name, str]:
    return name_of(operation), str(operation.column_name)


def _comment(operation: ops.AlterColumnOp, live: LiveDatabase | None, downgrade: bool) -> Operations:
    if operation.modify_comment is False:
        return []
    both = (operation.existing_comment or None, operation.modify_comment or None)
    found = _changed_comment(live, *_place(operation), *both, downgrade)
    copies = live is not None and live.copies_for_comment(*_place(operation))
    own = [_only(operations.SetComment, operation, modify_comment=comment) for comment in found]
    return [*([Note(_COPIED)] if own and copies else []), *own]


def comment_of_table(operation: Any, live: LiveDatabase | None, *, downgrade: bool = False) -> Operations:
    """Return the comment of a table, if it changes."""
    both = (operation.existing_comment or None, getattr(operation, "comment", None) or None)
    found = _changed_comment(live, name_of(operation), None, *both, downgrade)
    return [operations.become(operations.SetTableComment, operation, comment=comment) for comment in found]


def _changed_comment(
    live: LiveDatabase | None, name: Name, column: str | None, existing: Any, wanted: Any, downgrade: bool
) -> tuple[str | None, ...]:
    """Return the comment to write; none if it exists already: SQLAlchemy reads what safeops keeps in it too."""
    after = existing if downgrade else wanted
    before = wanted if downgrade else existing
    before = live.comment(name, column, before) if live else before
    return () if before == after else (before if downgrade else after,)


def _describe_restored(own: ops.AlterColumnOp, operation: ops.AlterColumnOp, generated: bool) -> None:
    """Describe the column as the other changes have restored it, for servers that need the whole column again."""
    if operation.modify_type is not None:
        own.existing_type = operation.modify_type
    if operation.modify_nullable is not None:
        own.existing_nullable = operation.modify_nullable
    if operation.modify_server_default is not False and not generated:
        own.existing_server_default = operation.modify_server_default


# Types ----------------------------------------------------------------------------------------------------------


def _type(operation: ops.AlterColumnOp, plan: TypeChangePlan) -> Operations:
    if plan.keep:
        return [Note(plan.keep)]
    if not plan.phases:
        return _in_place(operation, plan.blocks)
    own = _phases(operation, plan.target, plan.phases, plan.conversion)
    return [_note_after_switch(own), own] if plan.phases == ("switch",) else [own]


def _in_place(operation: ops.AlterColumnOp, blocks: str) -> Operations:
    own = _only(operations.AlterType, operation, modify_type=operation.modify_type)
    return [Note(blocks), own] if blocks else [own]


def _type_back(operation: ops.AlterColumnOp, plan: TypeChangePlan | None) -> Operations:
    if plan is None:
        return _in_place(operation, "")
    if plan.keep:
        return [Note(f"Nothing to undo: {_without_schema(operation)} keeps its type.")]
    if plan.phases:
        undone = [f"undo_{phase}" for phase in reversed(plan.phases)]
        return [_phases(operation, plan.target, undone, plan.conversion)]
    if not plan.returns and not plan.blocks_back:
        column = _without_schema(operation)
        why = f"The type of {column} does not change back in a moment: a column of the former type takes its place."
        return [Note(why), _phases(operation, operation.modify_type, ("expand", "switch", "contract"), {})]
    return _in_place(operation, plan.blocks_back)


def _phases(
    operation: ops.AlterColumnOp, target: Any, phases: Any, conversion: dict[str, str]
) -> operations.ChangeType:
    own = _only(operations.ChangeType, operation, modify_type=operation.modify_type)
    own.target, own.phases, own.conversion = target, tuple(phases), conversion
    return own


# Phases of type changes in a revision ---------------------------------------------------------------------------


def expand_last(found: Operations) -> Operations:
    """Begin type changes after all else: they copy the indexes and constraints that the column then has."""
    begun = _taken(found, "expand")
    changes = [change for operation in begun for change in getattr(operation, "ops", [operation])]
    return [*found, *([Note(_expanding(changes))] if changes else []), *begun]


def undo_expand_first(found: Operations) -> Operations:
    """Undo type changes before all else: what is created again must not find their copies."""
    undone = _taken(found, "undo_expand")
    return [*undone, *found]


def _taken(found: Operations, phase: str) -> Operations:
    """Take type changes that are only this phase out, into a separate change of each table."""
    taken: Operations = []
    for operation in [*found]:
        if isinstance(operation, operations.TableOps):
            own = _taken(operation.ops, phase)
            taken += [operations.become(operations.TableOps, operation, ops=own)] if own else []
            if not operation.ops:
                found.remove(operation)
        elif isinstance(operation, operations.ChangeType) and operation.phases == (phase,):
            found.remove(operation)
            taken.append(operation)
    return taken


def _note_after_switch(change: operations.ChangeType) -> Note:
    return Note(
        f"{_column(change)} has been expanded: this gives it its new type, and belongs in a deploy after the one that"
        " expanded it. When nobody needs the old type any more, write the last revision:\n"
        f"{_command(change, 'contract')}"
    )


def _expanding(changes: Sequence[operations.ChangeType]) -> str:
    single = len(changes) == 1
    what = "A change of type" if single else "Changes of type"
    types = "the new type" if single else "the new types"
    following = "revision, and then the last" if single else "revisions, and then the last, in this order"
    # If two types depend on each other, no index is built twice when both switch before either contracts.
    commands = [_command(change, phase) for phase in ("switch", "contract") for change in changes]
    return (
        f"{what} over three deploys, because the server would rewrite or scan the table under a lock. When this one is"
        f" deployed, and the application is ready for {types}, write the next {following}:\n" + "\n".join(commands)
    )


def _command(change: operations.ChangeType, phase: str) -> str:
    place = {"schema": change.schema, "table": change.table_name, "column": change.column_name}
    how = {"type": written_type(sa.types.to_instance(change.target)), **change.conversion, "phase": phase}
    given = {"pattern": "type-change", **place, **how}
    options = " ".join(f"-x {name}={shlex.quote(str(value))}" for name, value in given.items() if value)
    return f"    alembic {options} revision -m {in_shell(f'{phase} {_column(change)}')}"
