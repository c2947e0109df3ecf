"""Compares as the helpers do what Alembic does not compare, and corrects what SQLAlchemy reflects incompletely."""

from __future__ import annotations

import copy
import logging
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import CreateExcludeConstraintOp
from alembic.operations import ops
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.exc import CompileError, DBAPIError
from sqlalchemy.sql.elements import conv

from safeops import _alembic, _sqlalchemy
from safeops.autogenerate.alembic_operations import (
    changes_of,
    drops_foreign_key,
    existing_foreign_key,
    name_of,
    tables_in,
)
from safeops.autogenerate.live_database import LiveDatabase
from safeops.autogenerate.operations import Differs
from safeops.autogenerate.rendering import escaped
from safeops.autogenerate_filter import PREFIX
from safeops.databases.definitions import Constraint, Difference, Index, Table, differences
from safeops.databases.reflection import Reflection
from safeops.execution.inspect import settle_name
from safeops.naming import Name
from safeops.schema.columns import column_differences
from safeops.schema.refusals import real_differences

log = logging.getLogger("safeops.autogenerate")

Change = tuple[ops.MigrateOperation, ops.MigrateOperation]
"""What changes a definition in ``upgrade()``, and what changes it back."""


def add_differences(
    live: LiveDatabase, models: Iterable[sa.Table], upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps
) -> None:
    """Add changes of the definitions that Alembic takes for the same."""
    for model in models:
        name = name_in_database(model)
        existing = live.table(name)
        if existing is None or existing.kind.endswith("view"):
            continue
        changes = list(_TableComparison(live, model, name, existing, _names_changed(upgrade, name)).changes())
        if changes:
            upgrades, downgrades = [change for change, _ in changes], [reverse for _, reverse in reversed(changes)]
            upgrade.ops.append(ops.ModifyTableOps(name.name, upgrades, schema=name.schema))
            downgrade.ops.insert(0, ops.ModifyTableOps(name.name, downgrades, schema=name.schema))


def name_in_database(model: sa.Table) -> Name:
    return Name(str(model.name), model.schema)


def _names_changed(upgrade: ops.UpgradeOps, name: Name) -> set[str]:
    """Return the names of what Alembic itself changes of a table."""
    each = [operation for table in changes_of(name, upgrade.ops) for operation in table.ops]
    keys = ("index_name", "constraint_name", "column_name")
    return {str(getattr(operation, key)) for operation in each for key in keys if getattr(operation, key, None)}


@dataclass
class _TableComparison:
    """A table of the models, the existing one, and the names that Alembic changes."""

    live: LiveDatabase
    model: sa.Table
    name: Name
    existing: Table
    changed: set[str]

    def changes(self) -> Iterator[Change]:
        for index in sorted(self.model.indexes, key=lambda index: str(index.name)):
            yield from self._if_comparable(self._index, index)
        for constraint in _sqlalchemy.ordered_constraints(self.model):
            yield from self._if_comparable(self._constraint, constraint)
        yield from self._removed_exclusions()
        for column in self.model.columns:
            yield from self._if_comparable(self._computed, column)

    def _if_comparable(self, compare: Callable[[Any], Iterator[Change]], thing: Any) -> list[Change]:
        try:
            return list(compare(thing))
        except (CompileError, DBAPIError) as error:
            # It may name what this very revision creates, or have a parameter without a value.
            log.debug("not compared on %s: %s", self.name, error)
            return []

    def _named(self, thing: Any) -> Any:
        return settle_name(self.live.migration, copy.copy(thing))

    def _index(self, index: sa.Index) -> Iterator[Change]:
        index = self._named(index)
        current = self.existing.indexes.get(str(index.name))
        if current is None or not current.valid or current.of_constraint or current.name in self.changed:
            return
        found = real_differences(
            self.live.migration, self.existing, current, self.live.database.wanted_index(index), index
        )
        if found:
            reverse = _existing_index(self.live, self.name, self.existing, current)
            yield self._replaced(current, found, ops.CreateIndexOp.from_index(index), reverse)

    def _constraint(self, constraint: sa.Constraint) -> Iterator[Change]:
        if not isinstance(constraint, (sa.UniqueConstraint, sa.ForeignKeyConstraint, ExcludeConstraint)):
            return
        constraint = self._named(constraint)
        if not isinstance(constraint.name, str) or constraint.name in self.changed:
            return
        current = self.existing.constraints.get(constraint.name)
        if current is None:
            if isinstance(constraint, ExcludeConstraint):
                exclusion = CreateExcludeConstraintOp.from_constraint(constraint)
                yield exclusion, self._drop(str(constraint.name), exclusion)
            return
        wanted = Reflection.of(self.live.database).wanted_constraint(current, constraint)
        wanted = replace(wanted, referent=wanted.referent and current.referent)
        if wanted.kind != current.kind:
            return
        found = real_differences(self.live.migration, self.existing, current, wanted, constraint)
        if found:
            created: Any = ops.AddConstraintOp.from_constraint(constraint)
            yield self._replaced(current, found, created, self._existing_constraint(current))

    def _existing_constraint(self, current: Constraint) -> Any:
        """Return what creates a constraint again as it is."""
        if current.kind == "foreign key":
            referent = current.referent or self.name
            schema = self.name.schema if referent.schema == self.existing.name.schema else referent.schema
            return existing_foreign_key(self.name, current, Name(referent.name, schema))
        name, table = conv(current.name), self.name.name
        timing = {"deferrable": current.deferrable or None, "initially": current.initially or None}
        options: dict[str, Any] = {"schema": self.name.schema, **timing}
        if current.kind == "unique":
            options |= self.live.database.key_options(current)
            return ops.CreateUniqueConstraintOp(name, table, list(current.columns), **options)
        method, elements, where = self.live.database.exclusion_parts(current)
        pairs = [(self._element(text), operator) for text, operator in elements]
        condition: Any = sa.text(escaped(where)) if where else None
        return CreateExcludeConstraintOp(name, table, pairs, where=condition, using=method, **options)

    def _element(self, text: str) -> Any:
        spellings = ((name, self.live.database.quoted(name)) for name in self.existing.columns)
        name = next((spelling[0] for spelling in spellings if text in spelling), None)
        return sa.literal_column(text) if name is None else sa.column(name)

    # Exclusion constraints ----------------------------------------------------------------------------------------

    def _removed_exclusions(self) -> Iterator[Change]:
        """Drop the exclusion constraints that the models no longer have."""
        modelled = [part for part in self.model.constraints if isinstance(part, ExcludeConstraint)]
        names = [self._named(exclusion).name for exclusion in modelled]
        if not all(isinstance(name, str) for name in names):
            return
        for current in self.existing.constraints.values():
            if current.kind != "exclude" or current.name in names or current.name in self.changed:
                continue
            created = self._existing_constraint(current)
            if not current.name.startswith(PREFIX):
                yield self._drop(current.name, created), created

    def _drop(self, name: str, created: Any) -> ops.DropConstraintOp:
        return _alembic.constraint_drop(conv(name), self.name.name, self.name.schema, created)

    # Computed columns ---------------------------------------------------------------------------------------------

    def _computed(self, column: sa.Column[Any]) -> Iterator[Change]:
        current = self.existing.columns.get(str(column.name))
        if current is None or column.name in self.changed or (column.computed is None and current.computed is None):
            return
        only = frozenset({"computed", "persisted"})
        found = column_differences(self.live.migration, self.existing, current, column, only=only)
        if found:
            yield self._differs(f"Column {self.name}.{column.name}", found)

    # Results ------------------------------------------------------------------------------------------------------

    def _replaced(self, current: Index | Constraint, found: list[Difference], created: Any, reverse: Any) -> Change:
        is_kept = self.existing.is_partitioned and isinstance(current, Constraint)
        if reverse is None or is_kept:
            kind = "Index" if isinstance(current, Index) else current.kind.capitalize()
            return self._differs(f"{kind} {current.name} of {self.name}", found)
        log.info("found that %s of %s differs: %s", current.name, self.name, "; ".join(map(str, found)))
        created.replaces = reverse.replaces = True
        return created, reverse

    def _differs(self, what: str, found: list[Difference]) -> Change:
        text = f"{what} differs from the models: {'; '.join(map(str, found))}."
        log.warning("%s No helper changes that.", text)
        note = Differs(f"{text} No helper changes that: write the statement, or change the models.")
        return note, note.reverse()


def _existing_index(live: LiveDatabase, name: Name, existing: Table, index: Index) -> ops.CreateIndexOp | None:
    """Return what creates an index again as it is; None if it cannot be written as a construct."""

    def element(text: str, plain: str) -> Any:
        is_plain = plain in existing.columns and text in (plain, live.database.quoted(plain))
        return plain if is_plain else sa.literal_column(text)

    options: dict[str, Any] = {
        key: sa.text(escaped(value)) if key.endswith("_where") else value
        for key, value in live.database.index_options(index).items()
    }
    reverse = ops.CreateIndexOp(
        conv(index.name),
        name.name,
        [element(text, plain) for text, plain in zip(index.columns, index.names, strict=True)],
        schema=name.schema,
        unique=index.unique,
        **options,
    )
    is_same = not differences(index, live.database.wanted_index(reverse.to_index(live.context)))
    return reverse if is_same else None


# What SQLAlchemy reflects incompletely --------------------------------------------------------------------------


def correct_indexes(live: LiveDatabase, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps) -> None:
    """Compare indexes on expressions, which SQLAlchemy reflects without the expressions on MySQL."""
    if not live.database or live.database.abilities.reflects_expressions:
        return
    for table in tables_in(upgrade.ops):
        existing = live.table(name_of(table))
        for drop in [drop for drop in table.ops if existing and isinstance(drop, ops.DropIndexOp)]:
            index = existing and existing.indexes.get(str(drop.index_name))
            if existing and index and any(column not in existing.columns for column in index.names):
                _correct_index(live, name_of(table), existing, index, upgrade, downgrade)


def _correct_index(
    live: LiveDatabase, name: Name, existing: Table, index: Index, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps
) -> None:
    changes = [change for table in changes_of(name, upgrade.ops) for change in table.ops if _is_of(change, index)]
    if any(live.has_index(name, created) for created in changes if isinstance(created, ops.CreateIndexOp)):
        _replace(upgrade, name, index, None)
        _replace(downgrade, name, index, None)
        return
    reverse = _existing_index(live, name, existing, index)
    text = f"Index {index.name} of {name} cannot be written as a construct. It was {index.definition}"
    _replace(downgrade, name, index, reverse or Differs(text))


def _is_of(operation: ops.MigrateOperation, index: Index) -> bool:
    return getattr(operation, "index_name", None) == index.name


def _replace(body: ops.OpContainer, name: Name, index: Index, reverse: ops.MigrateOperation | None) -> None:
    """Replace what creates an index; with None take out all changes of it."""
    for table in changes_of(name, body.ops):
        found: list[ops.MigrateOperation] = []
        for operation in table.ops:
            if not _is_of(operation, index) or (reverse and isinstance(operation, ops.DropIndexOp)):
                found.append(operation)
            elif reverse:
                found.append(reverse)
        _set_operations(body, table, found)


def _set_operations(body: ops.OpContainer, table: ops.ModifyTableOps, found: list[ops.MigrateOperation]) -> None:
    table.ops[:] = found
    if not found:
        body.ops.remove(table)


def correct_constraints(live: LiveDatabase, *bodies: ops.OpContainer) -> None:
    """Correct names with quotes, and leave out the foreign keys that PostgreSQL itself keeps to each partition."""
    for body in bodies:
        for table in tables_in(body.ops):
            for operation in table.ops:
                name = getattr(operation, "constraint_name", None)
                if name and (spelled := live.constraint_name(name_of(table), str(name))) != name:
                    operation.constraint_name = conv(spelled)  # type: ignore[attr-defined]
            own = live.keys_to_partitions(name_of(table)) if any(map(_foreign_key, table.ops)) else set()
            found = [operation for operation in table.ops if _foreign_key(operation) not in own]
            _set_operations(body, table, found)


def _foreign_key(operation: Any) -> str | None:
    is_key = drops_foreign_key(operation) or isinstance(operation, ops.CreateForeignKeyOp)
    return str(operation.constraint_name) if is_key else None
