"""What each operation becomes: in ``upgrade()`` what keeps the promises, in ``downgrade()`` its true inverse."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.sql.elements import _truncated_label, conv

from safeops.autogenerate import advice
from safeops.autogenerate import operations as safe
from safeops.autogenerate.altering import Parts, comment_of_table, is_generated, parts_of
from safeops.autogenerate.arranging import name_of
from safeops.autogenerate.live import Live, TypeWay
from safeops.autogenerate.operations import Note
from safeops.naming import Name
from safeops.operations.named import named

Written = Iterable[ops.MigrateOperation]


class Direction(ABC):
    """One of the two bodies of a revision."""

    context: MigrationContext
    live: Live | None

    def converted(self, found: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        return [written for one in found for written in self._each(one)]

    def _each(self, operation: ops.MigrateOperation) -> Iterator[ops.MigrateOperation]:
        if type(operation) is ops.ModifyTableOps:
            found = self._of_table(operation)
            yield from [safe.become(safe.TableOps, operation, ops=found)] if found else []
        else:
            yield from advice.blocking_checks(self.live, operation)
            yield from self._convert(_settled(self.context, operation))

    def _of_table(self, table: ops.ModifyTableOps) -> list[ops.MigrateOperation]:
        return self.converted(table.ops)

    @abstractmethod
    def _convert(self, operation: ops.MigrateOperation) -> Written: ...


class Upgrade(Direction):
    """The body of ``upgrade()``; what it decides is what the downgrade takes back."""

    def __init__(self, context: MigrationContext, live: Live | None) -> None:
        self.context, self.live = context, live
        self.archived: set[tuple[Name, str | None]] = set()
        self.types: dict[tuple[Name, str], TypeWay] = {}
        self.same_defaults: set[tuple[Name, str]] = set()
        self.later: set[tuple[Name, str]] = set()
        self.unseen: set[tuple[Name, str]] = set()

    def _of_table(self, table: ops.ModifyTableOps) -> list[ops.MigrateOperation]:
        found = safe.become(ops.ModifyTableOps, table, ops=self._without_unseen(table.ops))
        return [*advice.renames(self.context, table), *super()._of_table(found)]

    def _without_unseen(self, found: Sequence[ops.MigrateOperation]) -> list[ops.MigrateOperation]:
        """Leave out indexes that exist, though SQLAlchemy does not reflect them: those of MySQL on expressions."""
        exchanged = {one.index_name for one in found if isinstance(one, ops.DropIndexOp)}
        created = (one for one in found if isinstance(one, ops.CreateIndexOp) and one.index_name not in exchanged)
        unseen = [one for one in created if self.live and self.live.has_index(name_of(one), one)]
        self.unseen.update((name_of(one), str(one.index_name)) for one in unseen)
        return [one for one in found if one not in unseen]

    def _convert(self, operation: ops.MigrateOperation) -> Written:
        if type(operation) is ops.DropTableOp:
            yield from self._dropped(safe.become(safe.DropTable, operation), None)
        elif type(operation) is ops.DropColumnOp:
            yield from self._dropped_column(operation)
        elif type(operation) is ops.AddColumnOp:
            yield from self._added(operation)
        elif type(operation) is ops.AlterColumnOp:
            way = self._type_way(operation) if operation.modify_type is not None else None
            parts = parts_of(self._without_same_default(operation), way, self.live)
            yield from (*parts.kept, *parts.relax, *parts.type, *parts.default, *parts.enforce)
        elif isinstance(operation, (ops.CreateTableCommentOp, ops.DropTableCommentOp)):
            yield from comment_of_table(operation, self.live)
        elif isinstance(operation, ops.CreateForeignKeyOp) and (changing := self._changing(operation)):
            key = _key(operation)
            self.later.add(key)
            yield Note(
                f"The foreign key {key[1]} of {key[0]} is one of the new type of {changing}: autogenerate finds it in the"
                " revision that switches, or after that."
            )
        else:
            yield from advice.unindexed_keys(self.context, self.live, operation)
            yield safe.safe(operation)

    def _changing(self, key: ops.CreateForeignKeyOp) -> str | None:
        """Return a column of a foreign key whose type is to change before the key can be."""
        far = Name(str(key.referent_table), key.kw.get("referent_schema") or None)
        ends = [*((_key(key)[0], str(one)) for one in key.local_cols), *((far, str(one)) for one in key.remote_cols)]
        ways = ((end, self.types.get(end)) for end in ends)
        return next((f"{table}.{column}" for (table, column), way in ways if way and not way.relates), None)

    def _dropped_column(self, operation: ops.DropColumnOp) -> Written:
        column = operation.to_column()
        dropped = safe.become(safe.DropColumn, operation)
        if column.computed is not None:
            yield dropped
        else:
            yield from self._dropped(dropped, str(column.name))

    def _dropped(self, operation: safe.DropTable | safe.DropColumn, column: str | None) -> Written:
        name = name_of(operation)
        refusal = self.live.archive_refusal(name, column) if self.live else None
        if refusal:
            yield Note(f"This cannot be undone with its values, for no archive can be made: {refusal}")
        else:
            self.archived.add((name, column))
            yield from advice.kept_types(self.context, operation)
        yield safe.become(type(operation), operation, archive=not refusal)

    def _added(self, operation: ops.AddColumnOp) -> Written:
        column = operation.column
        refusal = self.live.column_refusal(name_of(operation), column) if self.live else None
        domain = self.live.domain_advice(name_of(operation), column) if self.live and refusal else ""
        if domain:
            yield Note(f"It refuses as long as the table has rows, because it would block: {refusal}.\n{domain}")
            yield safe.become(safe.AddColumn, operation, fills=False)
            return
        computed = column.computed is not None or column.identity is not None
        fills = bool(refusal) and not computed and not column.nullable and column.server_default is not None
        if refusal and not fills and column.server_default is not None:
            yield advice.blocking_column(refusal)
        yield safe.become(safe.AddColumn, operation, fills=fills)

    def _without_same_default(self, operation: ops.AlterColumnOp) -> ops.AlterColumnOp:
        default, type_ = operation.modify_server_default, operation.existing_type
        name, column = name_of(operation), str(operation.column_name)
        if default is False or is_generated(default) or not self.live:
            return operation
        if not self.live.has_default(name, column, type_, default):
            return operation
        self.same_defaults.add((name, column))
        return safe.become(ops.AlterColumnOp, operation, modify_server_default=False)

    def _type_way(self, operation: ops.AlterColumnOp) -> TypeWay:
        name, column = name_of(operation), str(operation.column_name)
        way = TypeWay(operation.modify_type)
        if self.live:
            way = self.live.type_way(name, column, operation.existing_type, operation.modify_type)
        self.types[name, column] = way
        return way


class Downgrade(Direction):
    """The body of ``downgrade()``."""

    def __init__(self, context: MigrationContext, forth: Upgrade) -> None:
        self.context, self.live, self.forth = context, forth.live, forth

    def _of_table(self, table: ops.ModifyTableOps) -> list[ops.MigrateOperation]:
        returns = (name_of(table), None) in self.forth.archived
        # A table comes back with its indexes.
        return self.converted([one for one in table.ops if not (returns and isinstance(one, ops.CreateIndexOp))])

    def _convert(self, operation: ops.MigrateOperation) -> Written:
        if self.live is not None:
            self.live.mend_reflected(operation)
        if type(operation) is ops.CreateTableOp and (name_of(operation), None) in self.forth.archived:
            yield safe.become(safe.RestoreTable, operation)
        elif (
            type(operation) is ops.AddColumnOp
            and (name_of(operation), str(operation.column.name)) in self.forth.archived
        ):
            yield safe.become(safe.RestoreColumn, operation)
        elif type(operation) is ops.AddColumnOp:
            refusal = self.live.column_refusal(name_of(operation), operation.column) if self.live else None
            yield from [advice.blocking_column(refusal)] if refusal else []
            yield safe.safe(operation)
        elif type(operation) is ops.AlterColumnOp:
            yield from self._altered(operation)
        elif isinstance(operation, (ops.CreateTableCommentOp, ops.DropTableCommentOp)):
            yield from comment_of_table(operation, self.live, back=True)
        elif isinstance(operation, (ops.DropConstraintOp, ops.DropIndexOp)) and self._is_left_out(operation):
            return
        else:
            yield safe.safe(operation)

    def _is_left_out(self, operation: ops.DropConstraintOp | ops.DropIndexOp) -> bool:
        if isinstance(operation, ops.DropIndexOp):
            return (name_of(operation), str(operation.index_name)) in self.forth.unseen
        return _key(operation) in self.forth.later

    def _altered(self, operation: ops.AlterColumnOp) -> Written:
        key = name_of(operation), str(operation.column_name)
        way = self.forth.types.get(key)
        if key in self.forth.same_defaults:
            operation = safe.become(ops.AlterColumnOp, operation, modify_server_default=False)
        parts: Parts = parts_of(operation, way, self.live, back=True)
        return (*parts.relax, *parts.default, *parts.type, *parts.enforce, *parts.kept)


def _key(operation: ops.CreateForeignKeyOp | ops.DropConstraintOp) -> tuple[Name, str]:
    if isinstance(operation, ops.DropConstraintOp):
        return name_of(operation), str(operation.constraint_name)
    table = Name(str(operation.source_table), operation.kw.get("source_schema") or None)
    return table, str(operation.constraint_name)


def _settled(context: MigrationContext, operation: ops.MigrateOperation) -> ops.MigrateOperation:
    """Give an index or a constraint the name that the server will keep, in both directions the same."""
    if isinstance(operation, ops.CreateIndexOp):
        # SQLite's catalogue says 1 or 0, which is no bool to a type checker.
        operation = safe.become(type(operation), operation, unique=bool(operation.unique))
    if isinstance(operation, ops.CreateForeignKeyOp):
        # It is created after both tables as it is.
        kept = {key: value for key, value in operation.kw.items() if key != "use_alter"}
        operation = safe.become(type(operation), operation, kw=kept)
    if isinstance(operation, (ops.CreateIndexOp, ops.DropIndexOp)):
        return safe.become(type(operation), operation, index_name=_cut(context, operation.index_name))
    lost = isinstance(operation, ops.DropConstraintOp) and operation._reverse is None
    if not isinstance(operation, (ops.AddConstraintOp, ops.DropConstraintOp)) or lost:
        return operation
    name = _cut(context, getattr(operation, "constraint_name", None))
    if name is None:
        constraint: Any = operation.to_constraint()
        name = named(constraint, Name(constraint.table.name)).name
    return safe.become(type(operation), operation, constraint_name=name)


def _cut(context: MigrationContext, name: Any) -> Any:
    """Cut a name that SQLAlchemy has made, as it does itself when it renders it."""
    if not isinstance(name, _truncated_label):
        return name
    preparer: Any = context.dialect.identifier_preparer
    return conv(preparer.truncate_and_render_constraint_name(name, _alembic_quote=False))
