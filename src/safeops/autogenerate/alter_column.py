"""One change of a column, split into helpers, and the phases of a change of type in a revision."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from alembic.operations import ops

from safeops.autogenerate import advice, operations
from safeops.autogenerate.alembic_operations import Operations, is_generated, name_of
from safeops.autogenerate.live_database import LiveDatabase, TypeChangePlan
from safeops.autogenerate.operations import Note, Op, become
from safeops.naming import Name, type_code

_COPIED = """\
This is refused if the table has rows: the server copies the table for the comment of a stored generated column, and blocks \
writes. If writes can wait, put it in a block: with assured("..."):"""
_GENERATED = """\
There is no helper for an identity or a computed expression. Check what the server locks and rewrites for it, and run it \
when the table is idle."""
_SERIAL = """\
It locks the table briefly: no rows are read or written, and the numbers continue. It waits for all sessions that use the \
table, and other sessions wait behind it. Run it when the table is idle."""


@dataclass(frozen=True)
class ColumnChange:
    """A change of a column.

    Args:
        operation: The change.
        live: The live database.
        plan: How the type changes, if it does.
        downgrade: The change is part of ``downgrade()``.
    """

    operation: ops.AlterColumnOp
    live: LiveDatabase
    plan: TypeChangePlan
    downgrade: bool = False

    def parts(self) -> Operations:
        """Return the change split into helpers, and what Alembic writes because it has none."""
        nullable = self.operation.modify_nullable
        relax = [self._only(operations.RelaxNotNull, modify_nullable=True)] if nullable else []
        enforce = [self._only(operations.EnforceNotNull, modify_nullable=False)] if nullable is False else []
        # upgrade() begins with what Alembic writes and downgrade() ends with it: both find the column as it is now.
        alembics = [*self._by_alembic(), *self._comment()]
        if self.downgrade:
            return [*relax, *self._default(), *self._type(), *enforce, *alembics]
        return [*alembics, *relax, *self._type(), *self._default(), *enforce]

    @property
    def _key(self) -> tuple[Name, str]:
        return name_of(self.operation), str(self.operation.column_name)

    @property
    def _label(self) -> str:
        return f"{self.operation.table_name}.{self.operation.column_name}"

    @property
    def _is_generated(self) -> bool:
        return any(map(is_generated, (self.operation.modify_server_default, self.operation.existing_server_default)))

    def _only(self, kind: type[Op], **changes: Any) -> Op:
        """Return the change reduced to some of its parts."""
        nothing = {"modify_type": None, "modify_nullable": None, "modify_server_default": False, "modify_name": None}
        return become(kind, self.operation, **{**nothing, "modify_comment": False, **changes})

    def _default(self) -> Operations:
        default = self.operation.modify_server_default
        if default is False or self._is_generated:
            return []
        if self.plan.phases != ("expand",):
            return [self._only(operations.SetServerDefault, modify_server_default=default)]
        text = (
            f"The default of {self._label} is one of the new type: autogenerate finds it in the revision that switches."
        )
        return [] if self.downgrade else [Note(text)]

    # What Alembic writes, and comments ----------------------------------------------------------------------------

    def _by_alembic(self) -> Operations:
        """Return what Alembic writes, with a note on what the server does."""
        operation, changes = self.operation, {"modify_name": self.operation.modify_name}
        if not self._is_generated or operation.modify_server_default is False:
            own = self._only(ops.AlterColumnOp, **changes)
            return [self._as_restored(own)] if own.has_changes() else []
        own = self._only(operations.ChangeGenerated, modify_server_default=operation.modify_server_default, **changes)
        identity = operation.existing_server_default if self.downgrade else operation.modify_server_default
        statements = self.live.serial_as_identity(*self._key, identity)
        if statements:
            return [Note(_SERIAL), become(operations.ByStatement, own, sql=statements[self.downgrade])]
        return [Note(_GENERATED), self._as_restored(own)]

    def _as_restored(self, own: ops.AlterColumnOp) -> ops.AlterColumnOp:
        """Describe the column as the other changes have restored it, for servers that need the whole column again."""
        operation = self.operation
        if self.downgrade and operation.modify_type is not None:
            own.existing_type = operation.modify_type
        if self.downgrade and operation.modify_nullable is not None:
            own.existing_nullable = operation.modify_nullable
        if self.downgrade and operation.modify_server_default is not False and not self._is_generated:
            own.existing_server_default = operation.modify_server_default
        return own

    def _comment(self) -> Operations:
        operation = self.operation
        if operation.modify_comment is False:
            return []
        both = (operation.existing_comment or None, operation.modify_comment or None)
        changed = _changed_comment(self.live, *self._key, *both, self.downgrade)
        copies = changed and self.live.copies_for_comment(*self._key)
        own = [self._only(operations.SetComment, modify_comment=comment) for comment in changed]
        return [*([Note(_COPIED)] if copies else []), *own]

    # Types --------------------------------------------------------------------------------------------------------

    def _type(self) -> Operations:
        plan, target = self.plan, self.operation.modify_type
        if target is None:
            return []
        if plan.keep:
            return [Note(f"Nothing to undo: {self._label} keeps its type." if self.downgrade else plan.keep)]
        if plan.phases and self.downgrade:
            return [self._phases(plan.target, [f"undo_{phase}" for phase in reversed(plan.phases)])]
        if plan.phases:
            change = self._phases(plan.target, plan.phases)
            return [_note_after_switch(change), change] if plan.phases == ("switch",) else [change]
        if self.downgrade and not plan.returns and not plan.blocks_back:
            label = self._label
            why = (
                f"The type of {label} cannot be changed back under a brief lock: a column of the old type replaces it."
            )
            return [Note(why), self._phases(target, ("expand", "switch", "contract"))]
        blocks = plan.blocks_back if self.downgrade else plan.blocks
        return [*([Note(blocks)] if blocks else []), self._only(operations.AlterType, modify_type=target)]

    def _phases(self, target: Any, phases: Sequence[str]) -> operations.ChangeType:
        own = self._only(operations.ChangeType, modify_type=self.operation.modify_type)
        own.target, own.phases, own.conversion = target, tuple(phases), self.plan.conversion
        return own


def comment_of_table(operation: Any, live: LiveDatabase, *, downgrade: bool = False) -> Operations:
    """Return the comment of a table, if it changes."""
    both = (operation.existing_comment or None, getattr(operation, "comment", None) or None)
    changed = _changed_comment(live, name_of(operation), None, *both, downgrade)
    return [become(operations.SetTableComment, operation, comment=comment) for comment in changed]


def _changed_comment(
    live: LiveDatabase, name: Name, column: str | None, existing: Any, wanted: Any, downgrade: bool
) -> tuple[str | None, ...]:
    """Return the comment to write; none if it exists already: SQLAlchemy reads what safeops keeps in it too."""
    before, after = (wanted, existing) if downgrade else (existing, wanted)
    before = live.comment(name, column, before)
    return () if before == after else (before if downgrade else after,)


# Phases of type changes in a revision ---------------------------------------------------------------------------


def expand_last(body: Operations) -> Operations:
    """Begin type changes after all else: they copy the indexes and constraints that the column then has."""
    begun = _taken(body, "expand")
    changes = [change for operation in begun for change in getattr(operation, "ops", [operation])]
    return [*body, *([Note(_expanding(changes))] if changes else []), *begun]


def undo_expand_first(body: Operations) -> Operations:
    """Undo type changes before all else: what is created again must not find their copies."""
    undone = _taken(body, "undo_expand")
    return [*undone, *body]


def _taken(body: Operations, phase: str) -> Operations:
    """Take type changes that are only this phase out, into a separate change of each table."""
    taken: Operations = []
    for operation in [*body]:
        if isinstance(operation, operations.TableOps):
            own = _taken(operation.ops, phase)
            taken += [become(operations.TableOps, operation, ops=own)] if own else []
            if not operation.ops:
                body.remove(operation)
        elif isinstance(operation, operations.ChangeType) and operation.phases == (phase,):
            body.remove(operation)
            taken.append(operation)
    return taken


def _note_after_switch(change: operations.ChangeType) -> Note:
    return Note(
        f"{name_of(change)}.{change.column_name} has been expanded: this revision gives it its new type. Deploy it after the"
        " one that expanded it. When the old type is no longer needed, write the last revision:\n"
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
        f" deployed and the application accepts {types}, write the next {following}:\n" + "\n".join(commands)
    )


def _command(change: operations.ChangeType, phase: str) -> str:
    place = {"schema": change.schema, "table": change.table_name, "column": change.column_name}
    how = {"type": type_code(sa.types.to_instance(change.target)), **change.conversion, "phase": phase}
    message = f"{phase} {name_of(change)}.{change.column_name}"
    return advice.revision_command("type-change", message, **place, **how)
