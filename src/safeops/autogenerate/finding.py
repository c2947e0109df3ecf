"""What Alembic does not compare, compared as the helpers compare it: indexes, keys, exclusions, computed columns."""

from __future__ import annotations

import copy
import logging
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import sqlalchemy as sa
from alembic.ddl.postgresql import CreateExcludeConstraintOp
from alembic.operations import ops
from sqlalchemy.dialects.postgresql import ExcludeConstraint
from sqlalchemy.exc import DBAPIError
from sqlalchemy.sql.elements import conv

from safeops.autogenerate.completing import escaped
from safeops.autogenerate.live import Live
from safeops.autogenerate.operations import Differs
from safeops.databases.definitions import Constraint, Difference, Index, Table, differences
from safeops.naming import Name
from safeops.operations.columns import column_differences
from safeops.operations.named import settle_name
from safeops.operations.story import settle

log = logging.getLogger("safeops.autogenerate")

Both = tuple[ops.MigrateOperation, ops.MigrateOperation]


def find(live: Live, tables: Iterable[sa.Table], upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps) -> None:
    """Add what changes the definitions that Alembic takes for the same, and changes them back."""
    for model in tables:
        name = Name(str(model.name), model.schema)
        stands = live.table(name)
        if stands is None or stands.kind.endswith("view"):
            continue
        found = list(_Compared(live, model, name, stands, _handled(upgrade, name)).each())
        if found:
            upgrade.ops.append(ops.ModifyTableOps(name.name, [one for one, _ in found], schema=name.schema))
            back = [back for _, back in reversed(found)]
            downgrade.ops.insert(0, ops.ModifyTableOps(name.name, back, schema=name.schema))


def _handled(upgrade: ops.UpgradeOps, name: Name) -> set[str]:
    """Return the names of what Alembic itself has found on a table."""
    tables = [one for one in upgrade.ops if isinstance(one, ops.ModifyTableOps)]
    each = [
        one for table in tables if (table.table_name, table.schema) == (name.name, name.schema) for one in table.ops
    ]
    keys = ("index_name", "constraint_name", "column_name")
    return {str(getattr(one, key)) for one in each for key in keys if getattr(one, key, None)}


@dataclass
class _Compared:
    """One table of the models, and as it stands."""

    live: Live
    model: sa.Table
    name: Name
    stands: Table
    handled: set[str]

    def each(self) -> Iterator[Both]:
        for index in sorted(self.model.indexes, key=lambda one: str(one.name)):
            yield from self._safely(lambda one=index: self._index(one))
        for constraint in self.model._sorted_constraints:
            yield from self._safely(lambda one=constraint: self._constraint(one))
        yield from self._removed()
        for column in self.model.columns:
            yield from self._safely(lambda one=column: self._computed(one))

    def _safely(self, compare: Any) -> list[Both]:
        try:
            return list(compare())
        except DBAPIError as error:
            # It may name what this very revision creates.
            log.debug("not compared on %s: %s", self.name, error)
            return []

    @property
    def _database(self) -> Any:
        return self.live.migration.database

    def _settled(self, thing: Any) -> Any:
        return settle_name(self.live.migration, copy.copy(thing))

    def _index(self, index: sa.Index) -> Iterator[Both]:
        index = self._settled(index)
        there = self.stands.indexes.get(str(index.name))
        if there is None or not there.valid or there.of_constraint or there.name in self.handled:
            return
        found = settle(self.live.migration, self.stands, there, self._database.wanted_index(index), index)
        if found:
            yield self._replaced(
                there, found, ops.CreateIndexOp.from_index(index), index_back(self.live, self.name, self.stands, there)
            )

    def _constraint(self, constraint: sa.Constraint) -> Iterator[Both]:
        if not isinstance(constraint, (sa.UniqueConstraint, sa.ForeignKeyConstraint, ExcludeConstraint)):
            return
        constraint = self._settled(constraint)
        if not isinstance(constraint.name, str) or constraint.name in self.handled:
            return
        there = self.stands.constraints.get(constraint.name)
        if there is None:
            if isinstance(constraint, ExcludeConstraint):
                yield self._added(constraint)
            return
        wanted = self._database.wanted_constraint(constraint)
        wanted = replace(wanted, referent=wanted.referent and there.referent)
        if wanted.kind != there.kind:
            return
        found = settle(self.live.migration, self.stands, there, wanted, constraint)
        if found:
            made: Any = ops.AddConstraintOp.from_constraint(constraint)
            yield self._replaced(there, found, made, self._constraint_back(there))

    def _constraint_back(self, there: Constraint) -> Any:
        timing: dict[str, Any] = {"deferrable": there.deferrable or None, "initially": there.initially}
        named = conv(there.name)
        if there.kind == "exclude":
            return self._exclusion_back(there)
        if there.kind == "unique":
            options = self._database.key_options(there)
            given: dict[str, Any] = {"schema": self.name.schema, **timing, **options}
            return ops.CreateUniqueConstraintOp(named, self.name.name, list(there.columns), **given)
        referent = there.referent or self.name
        schema = self.name.schema if referent.schema == self.stands.name.schema else referent.schema
        given = {**timing, **{one: getattr(there, one) for one in ("onupdate", "ondelete", "match")}}
        return ops.CreateForeignKeyOp(
            named,
            self.name.name,
            referent.name,
            list(there.columns),
            list(there.remote),
            source_schema=self.name.schema,
            referent_schema=schema,
            **{key: value for key, value in given.items() if value},
        )

    # Exclusion constraints ----------------------------------------------------------------------------------------

    def _added(self, constraint: ExcludeConstraint) -> Both:
        made = CreateExcludeConstraintOp.from_constraint(constraint)
        return made, self._dropped(str(constraint.name), made)

    def _removed(self) -> Iterator[Both]:
        """Drop the exclusion constraints that the models have no more."""
        theirs = [one for one in self.model.constraints if isinstance(one, ExcludeConstraint)]
        names = [self._settled(one).name for one in theirs]
        gone = [one for one in self.stands.constraints.values() if one.kind == "exclude" and one.name not in names]
        for one in gone if all(isinstance(name, str) for name in names) else ():
            back = self._exclusion_back(one) if one.name not in self.handled else None
            if back is not None and not one.name.startswith("safeops_"):
                yield self._dropped(one.name, back), back

    def _dropped(self, name: str, made: Any) -> ops.DropConstraintOp:
        return ops.DropConstraintOp(conv(name), self.name.name, schema=self.name.schema, _reverse=made)

    def _exclusion_back(self, there: Constraint) -> Any:
        method, elements, where = self._database.exclusion_parts(there)
        pairs = [(self._column(text), operator) for text, operator in elements]
        given: dict[str, Any] = {"where": sa.text(escaped(where)) if where else None, "using": method}
        given |= {"deferrable": True} if there.deferrable else {}
        given |= {"initially": there.initially} if there.initially else {}
        return CreateExcludeConstraintOp(conv(there.name), self.name.name, pairs, schema=self.name.schema, **given)

    def _column(self, text: str) -> Any:
        name = next((one for one in self.stands.columns if text in (one, self._database.quoted(one))), None)
        return sa.literal_column(text) if name is None else sa.column(name)

    # Computed columns ---------------------------------------------------------------------------------------------

    def _computed(self, column: sa.Column[Any]) -> Iterator[Both]:
        there = self.stands.columns.get(str(column.name))
        if there is None or column.name in self.handled or (column.computed is None and there.computed is None):
            return
        only = frozenset({"computed", "persisted"})
        found = column_differences(self.live.migration, self.stands, there, column, only=only)
        if found:
            yield self._differs(f"Column {self.name}.{column.name}", found)

    # Telling ------------------------------------------------------------------------------------------------------

    def _replaced(self, there: Index | Constraint, found: list[Difference], made: Any, back: Any) -> Both:
        kept = self.stands.is_partitioned and isinstance(there, Constraint)
        if back is None or kept:
            kind = "Index" if isinstance(there, Index) else there.kind.capitalize()
            return self._differs(f"{kind} {there.name} of {self.name}", found)
        log.info("found that %s of %s differs: %s", there.name, self.name, "; ".join(map(str, found)))
        made.replaces = back.replaces = True
        return made, back

    def _differs(self, what: str, found: list[Difference]) -> Both:
        text = f"{what} is not as the models say: {'; '.join(map(str, found))}."
        log.warning("%s No helper changes that.", text)
        told = Differs(f"{text} No helper changes that: write what does, or give the models the definition.")
        return told, told.reverse()


def index_back(live: Live, name: Name, stands: Table, there: Index) -> ops.CreateIndexOp | None:
    """Return what creates an index again as it stands; None where it cannot be written as a construct."""
    database: Any = live.migration.database

    def element(text: str, plain: str) -> Any:
        is_plain = plain in stands.columns and text in (plain, database.quoted(plain))
        return plain if is_plain else sa.literal_column(text)

    back = ops.CreateIndexOp(
        conv(there.name),
        name.name,
        [element(text, plain) for text, plain in zip(there.columns, there.names, strict=True)],
        schema=name.schema,
        unique=there.unique,
        **{key: _as_text(key, value) for key, value in database.index_options(there).items()},
    )
    same = not differences(there, database.wanted_index(back.to_index(live.migration.context)))
    return back if same else None


def _as_text(key: str, value: Any) -> Any:
    return sa.text(escaped(value)) if key.endswith("_where") else value
