"""Autogenerate that writes helpers: pass ``process_revision_directives=safe_operations`` in env.py."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator
from typing import Any

from alembic.autogenerate.rewriter import Rewriter
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.sql.elements import conv

from safeops import _alembic, _sqlalchemy
from safeops.autogenerate import advice, comparators, operations
from safeops.autogenerate.alembic_operations import (
    Operations,
    dropped_constraints,
    is_generated,
    name_of,
    ordered_downgrade,
    ordered_upgrade,
    own_name,
    referent_of,
    tables_in,
)
from safeops.autogenerate.alter_column import ColumnChange, comment_of_table, expand_last, undo_expand_first
from safeops.autogenerate.comparators import COMPARED
from safeops.autogenerate.comparison import add_differences, correct_constraints, correct_indexes, name_in_database
from safeops.autogenerate.live_database import LiveDatabase, TypeChangePlan, live_database
from safeops.autogenerate.operations import Differs, Note, become, safe
from safeops.autogenerate.replacement import replace_keys
from safeops.errors import UnsupportedOnDatabase
from safeops.execution.inspect import named
from safeops.execution.migration import refuse_translated
from safeops.naming import Name

__all__ = ["SafeOperations", "safe_operations"]

log = logging.getLogger("safeops.autogenerate")


class SafeOperations(Rewriter):
    """Alembic's ``Rewriter``, to be chained with others, before or after them."""

    def process_revision_directives(
        self, context: MigrationContext, revision: Any, directives: list[ops.MigrationScript]
    ) -> None:
        """Rewrite what autogenerate has found."""
        refuse_translated(context)
        super().process_revision_directives(context, revision, directives)
        for script in directives:
            for upgrade, downgrade in zip(script.upgrade_ops_list, script.downgrade_ops_list, strict=True):
                # With several databases Alembic passes those of the databases before once more.
                if not upgrade.info.get("safeops"):
                    upgrade.info["safeops"] = True
                    _rewrite(context, upgrade, downgrade)


comparators.register()
operations.register()

safe_operations = SafeOperations()
"""Has ``alembic revision --autogenerate`` write helpers of safeops, for ``process_revision_directives`` in env.py.

It is a ``Rewriter`` of Alembic: ``safe_operations.chain(other)`` and ``other.chain(safe_operations)`` both work.
"""


def _rewrite(context: MigrationContext, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps) -> None:
    compared = upgrade.info.get(COMPARED, ())
    if not upgrade.ops and not downgrade.ops and not compared:
        return
    try:
        with live_database(context) as live:
            live.read([*map(name_in_database, compared), *map(name_of, tables_in(upgrade.ops))])
            correct_indexes(live, upgrade, downgrade)
            add_differences(live, compared, upgrade, downgrade)
            correct_constraints(live, upgrade, downgrade)
            replace_keys(live, upgrade.ops, downgrade.ops)
            live.dropped = dropped_constraints(upgrade.ops)
            rewritten = Upgrade(live)
            upgrade.ops[:] = expand_last(rewritten.converted(ordered_upgrade(upgrade.ops)))
            downgrade.ops[:] = undo_expand_first(Downgrade(rewritten).converted(ordered_downgrade(downgrade.ops)))
    except UnsupportedOnDatabase as error:
        log.warning("left as Alembic wrote it: %s", error)
        return
    for body in (upgrade, downgrade):
        if body.ops and all(map(_is_comment, body.ops)):
            # Python accepts no function of nothing but comments.
            body.ops.append(Note("", "pass"))


def _is_comment(operation: ops.MigrateOperation) -> bool:
    if isinstance(operation, (Note, Differs)):
        return not operation.code
    return isinstance(operation, ops.OpContainer) and all(map(_is_comment, operation.ops))


# What each operation becomes ------------------------------------------------------------------------------------


class Direction(ABC):
    """One of the two bodies of a revision."""

    live: LiveDatabase
    is_downgrade: bool

    def converted(self, body: Operations) -> Operations:
        return [converted for operation in body for converted in self._each(operation)]

    def _each(self, operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
        if type(operation) is ops.ModifyTableOps:
            changes = self._of_table(operation)
            yield from [become(operations.TableOps, operation, ops=changes)] if changes else []
        elif isinstance(operation, (ops.CreateTableCommentOp, ops.DropTableCommentOp)):
            yield from comment_of_table(operation, self.live, downgrade=self.is_downgrade)
        else:
            yield from advice.blocking_checks(self.live, operation)
            yield from self._convert(_with_final_name(self.live.context, operation))

    def _of_table(self, table: ops.ModifyTableOps) -> Operations:
        return self.converted(table.ops)

    @abstractmethod
    def _convert(self, operation: ops.MigrateOperation) -> Iterable[ops.MigrateOperation]: ...


class Upgrade(Direction):
    """The body of ``upgrade()``; what it decides, ``downgrade()`` undoes."""

    is_downgrade = False

    def __init__(self, live: LiveDatabase) -> None:
        self.live = live
        self.archived: set[tuple[Name, str | None]] = set()
        self.type_plans: dict[tuple[Name, str], TypeChangePlan] = {}
        self.same_defaults: set[tuple[Name, str]] = set()
        self.postponed_keys: set[tuple[Name, str]] = set()
        self.unreflected_indexes: set[tuple[Name, str]] = set()

    def _of_table(self, table: ops.ModifyTableOps) -> Operations:
        changes = become(ops.ModifyTableOps, table, ops=self._without_unreflected(table.ops))
        return [*advice.renames(self.live.context, table), *super()._of_table(changes)]

    def _without_unreflected(self, changes: Operations) -> Operations:
        """Leave out indexes that exist, though SQLAlchemy does not reflect them: those of MySQL on expressions."""
        replaced = {drop.index_name for drop in changes if isinstance(drop, ops.DropIndexOp)}
        created = [each for each in changes if isinstance(each, ops.CreateIndexOp) and each.index_name not in replaced]
        existing = [index for index in created if self.live.has_index(name_of(index), index)]
        self.unreflected_indexes.update(map(_key, existing))
        return [change for change in changes if change not in existing]

    def _convert(self, operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
        if type(operation) is ops.DropTableOp:
            yield from self._dropped(become(operations.DropTable, operation), None)
        elif type(operation) is ops.DropColumnOp:
            yield from self._dropped_column(operation)
        elif type(operation) is ops.AddColumnOp:
            yield from self._added(operation)
        elif type(operation) is ops.AlterColumnOp:
            plan = self._type_plan(operation)
            yield from ColumnChange(self._without_same_default(operation), self.live, plan).parts()
        elif isinstance(operation, ops.CreateForeignKeyOp) and (changing := self._changing(operation)):
            table, name = key = _key(operation)
            self.postponed_keys.add(key)
            yield Note(
                f"The foreign key {name} of {table} is one of the new type of {changing}: autogenerate finds it in the"
                " revision that switches, or after that."
            )
        else:
            yield from advice.unindexed_keys(self.live, operation)
            yield safe(operation)

    def _changing(self, key: ops.CreateForeignKeyOp) -> str | None:
        """Return a column of a foreign key whose type must change before the key can be created."""
        ends = [(name_of(key), str(column)) for column in key.local_cols]
        ends += [(referent_of(key), str(column)) for column in key.remote_cols]
        plans = ((end, self.type_plans.get(end)) for end in ends)
        return next((f"{table}.{column}" for (table, column), plan in plans if plan and not plan.relates), None)

    def _dropped_column(self, operation: ops.DropColumnOp) -> Iterator[ops.MigrateOperation]:
        dropped = become(operations.DropColumn, operation)
        is_computed = operation.to_column().computed is not None
        yield from [dropped] if is_computed else self._dropped(dropped, str(operation.column_name))

    def _dropped(
        self, operation: operations.DropTable | operations.DropColumn, column: str | None
    ) -> Iterator[ops.MigrateOperation]:
        name = name_of(operation)
        refusal = self.live.archive_refusal(name, column)
        if refusal:
            yield Note(f"This cannot be undone with its values, for no archive can be made: {refusal}")
        else:
            self.archived.add((name, column))
            yield from advice.kept_types(self.live.context, operation)
        yield become(type(operation), operation, archive=not refusal)

    def _added(self, operation: ops.AddColumnOp) -> Iterator[ops.MigrateOperation]:
        name, column = name_of(operation), operation.column
        refusal = self.live.column_refusal(name, column)
        domain = self.live.domain_advice(name, column) if refusal else ""
        has_default = column.server_default is not None
        computed = column.computed is not None or column.identity is not None
        fills = bool(refusal) and not domain and not computed and not column.nullable and has_default
        if refusal and (domain or (has_default and not fills)):
            yield advice.blocking_column(refusal, domain)
        yield become(operations.AddColumn, operation, fills=fills)

    def _without_same_default(self, operation: ops.AlterColumnOp) -> ops.AlterColumnOp:
        default, column = operation.modify_server_default, _column_key(operation)
        if default is False or is_generated(default):
            return operation
        if not self.live.has_default(*column, operation.existing_type, default):
            return operation
        self.same_defaults.add(column)
        return become(ops.AlterColumnOp, operation, modify_server_default=False)

    def _type_plan(self, operation: ops.AlterColumnOp) -> TypeChangePlan:
        old, new, column = operation.existing_type, operation.modify_type, _column_key(operation)
        if new is None:
            return TypeChangePlan(None)
        self.type_plans[column] = self.live.type_change_plan(*column, old, new)
        return self.type_plans[column]


class Downgrade(Direction):
    """The body of ``downgrade()``."""

    is_downgrade = True

    def __init__(self, upgrade: Upgrade) -> None:
        self.live, self.upgrade = upgrade.live, upgrade

    def _of_table(self, table: ops.ModifyTableOps) -> Operations:
        restored = (name_of(table), None) in self.upgrade.archived
        # A table is restored with its indexes.
        return self.converted([each for each in table.ops if not (restored and isinstance(each, ops.CreateIndexOp))])

    def _convert(self, operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
        self.live.complete_reflected(operation)
        if type(operation) is ops.CreateTableOp and (name_of(operation), None) in self.upgrade.archived:
            yield become(operations.RestoreTable, operation)
        elif type(operation) is ops.AddColumnOp:
            yield from self._added(operation)
        elif type(operation) is ops.AlterColumnOp:
            yield from self._altered(operation)
        elif not self._is_left_out(operation):
            yield safe(operation)

    def _added(self, operation: ops.AddColumnOp) -> Iterator[ops.MigrateOperation]:
        if (name_of(operation), str(operation.column.name)) in self.upgrade.archived:
            yield become(operations.RestoreColumn, operation)
            return
        refusal = self.live.column_refusal(name_of(operation), operation.column)
        yield from [advice.blocking_column(refusal)] if refusal else []
        yield safe(operation)

    def _is_left_out(self, operation: ops.MigrateOperation) -> bool:
        if isinstance(operation, ops.DropIndexOp):
            return _key(operation) in self.upgrade.unreflected_indexes
        return isinstance(operation, ops.DropConstraintOp) and _key(operation) in self.upgrade.postponed_keys

    def _altered(self, operation: ops.AlterColumnOp) -> Operations:
        column = _column_key(operation)
        if column in self.upgrade.same_defaults:
            operation = become(ops.AlterColumnOp, operation, modify_server_default=False)
        plan = self.upgrade.type_plans.get(column, TypeChangePlan(None))
        return ColumnChange(operation, self.live, plan, downgrade=True).parts()


def _key(operation: ops.MigrateOperation) -> tuple[Name, str]:
    return name_of(operation), str(own_name(operation))


def _column_key(operation: ops.AlterColumnOp) -> tuple[Name, str]:
    return name_of(operation), str(operation.column_name)


# Names ----------------------------------------------------------------------------------------------------------


def _with_final_name(context: MigrationContext, operation: ops.MigrateOperation) -> ops.MigrateOperation:
    """Give an index or a constraint the name that the server will keep, in both directions the same."""
    if isinstance(operation, ops.CreateIndexOp):
        # SQLite reports 1 or 0, which is not a bool to a type checker.
        operation = become(type(operation), operation, unique=bool(operation.unique))
    if isinstance(operation, ops.CreateForeignKeyOp):
        # It is created after both tables in any case.
        kept = {key: value for key, value in operation.kw.items() if key != "use_alter"}
        operation = become(type(operation), operation, kw=kept)
    if isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
        return become(type(operation), operation, index_name=_cut(context, operation.index_name))
    lost = isinstance(operation, ops.DropConstraintOp) and _alembic.inverse_of(operation) is None
    if not isinstance(operation, (ops.AddConstraintOp, ops.DropConstraintOp)) or lost:
        return operation
    name = _cut(context, getattr(operation, "constraint_name", None))
    if name is None:
        constraint: Any = operation.to_constraint()
        name = named(constraint, Name(constraint.table.name)).name
    return become(type(operation), operation, constraint_name=name)


def _cut(context: MigrationContext, name: Any) -> Any:
    """Cut a name that SQLAlchemy has made, as it does itself when it renders it."""
    return conv(_sqlalchemy.cut_name(name, context.dialect)) if _sqlalchemy.is_generated_name(name) else name
