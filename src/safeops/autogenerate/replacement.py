"""Replaces indexes, keys and foreign keys such that one that serves is in force at any time."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from sqlalchemy.sql.elements import conv

from safeops import _alembic
from safeops.autogenerate.alembic_operations import (
    Operations,
    changes_of,
    drops_foreign_key,
    existing_foreign_key,
    is_partial,
    leads,
    models,
    name_of,
    own_name,
    referent_of,
    tables_in,
)
from safeops.autogenerate.live_database import LiveDatabase
from safeops.autogenerate.operations import Note
from safeops.databases.definitions import Constraint, Index, Table
from safeops.naming import Name

Keys = list[tuple[Name, Constraint]]
Pair = tuple[ops.MigrateOperation, ops.MigrateOperation]

log = logging.getLogger("safeops.autogenerate")


def replace_keys(live: LiveDatabase, upgrade: Operations, downgrade: Operations) -> None:
    """Create what replaces an index or a unique key before the old one is dropped, in both directions."""
    _replace_foreign_keys(live, upgrade, downgrade)
    dropped = {name_of(operation) for operation in upgrade if isinstance(operation, ops.DropTableOp)}
    for table in (table for table in tables_in(upgrade) if name_of(table) not in dropped):
        existing, reverse = live.table(name_of(table)), _reverse(table, downgrade)
        if existing and reverse and any(map(_drops, table.ops)):
            _Replacement(live, upgrade, downgrade, table, reverse, existing).prepare()
    for table in (*tables_in(upgrade), *tables_in(downgrade)):
        _create_first(table)


def _reverse(table: ops.ModifyTableOps, downgrade: Operations) -> ops.ModifyTableOps | None:
    return next(iter(changes_of(name_of(table), downgrade)), None)


def _create_first(table: ops.ModifyTableOps) -> None:
    """Create indexes and unique keys before others are dropped, unless they need the name of one of those."""
    dropped = {_folded(operation) for operation in table.ops if _drops(operation)}
    place = _first_drop(table)
    first = [created for created in table.ops[place:] if _creates(created) and _folded(created) not in dropped]
    table.ops[place:] = [*first, *(operation for operation in table.ops[place:] if operation not in first)]


# Replaced under one name by one call ----------------------------------------------------------------------------

_DROPPED_AS: dict[type[Any], str] = {
    ops.CreateIndexOp: "index",
    ops.CreateUniqueConstraintOp: "unique",
    ops.CreateForeignKeyOp: "foreignkey",
}


def _replace_foreign_keys(live: LiveDatabase, upgrade: Operations, downgrade: Operations) -> None:
    """Replace the foreign keys that change, unless the revision changes something else that they need."""
    for table in tables_in(upgrade):
        reverse = _reverse(table, downgrade)
        if reverse is not None:
            _replace_by_one_call(
                live, table, reverse, lambda drop, created: _is_free(upgrade, drop, created), "foreignkey"
            )


def _replace_by_one_call(
    live: LiveDatabase,
    table: ops.ModifyTableOps,
    reverse: ops.ModifyTableOps,
    may: Callable[[Any, Any], bool],
    *kinds: str,
) -> None:
    """Make one call of each drop and creation under one name, in both directions."""
    existing = live.table(name_of(table))
    if existing is None or existing.kind != "table":
        return
    for pair in _pairs(table, kinds):
        back = next((other for other in _pairs(reverse, kinds) if own_name(other[1]) == own_name(pair[1])), None)
        if back is not None and may(*pair):
            for body, (drop, created) in ((table, pair), (reverse, back)):
                body.ops.remove(drop)
                created.replaces = True  # type: ignore[attr-defined]


def _pairs(table: ops.ModifyTableOps, kinds: tuple[str, ...]) -> list[Pair]:
    created = {(_kind(each), own_name(each)): each for each in table.ops if type(each) in _DROPPED_AS}
    drops = [each for each in table.ops if isinstance(each, (ops.DropIndexOp, ops.DropConstraintOp))]
    # Two constraints without a name do not have the same one.
    named = [((_kind(drop), own_name(drop)), drop) for drop in drops if own_name(drop) is not None]
    return [(drop, created[key]) for key, drop in named if key in created and key[0] in kinds]


def _kind(operation: Any) -> str:
    if isinstance(operation, ops.DropConstraintOp):
        return str(operation.constraint_type)
    return _DROPPED_AS.get(type(operation), "index")


def _is_free(upgrade: Operations, drop: ops.DropConstraintOp, created: ops.CreateForeignKeyOp) -> bool:
    """Return whether the revision drops nothing on either side of a foreign key, and changes no type."""
    old = _alembic.inverse_of(drop)
    if old is None:
        return False
    ends = {name_of(drop), referent_of(old), referent_of(created)}
    drops_table = any(isinstance(each, ops.DropTableOp) and name_of(each) in ends for each in upgrade)
    changes = [part for table in tables_in(upgrade) if name_of(table) in ends for part in table.ops]
    return not drops_table and not any(part is not drop and _takes_away(part) for part in changes)


def _takes_away(operation: ops.MigrateOperation) -> bool:
    if isinstance(operation, ops.AlterColumnOp):
        return operation.modify_type is not None
    drops = (ops.DropColumnOp, ops.DropIndexOp, ops.DropConstraintOp)
    return isinstance(operation, drops) and not drops_foreign_key(operation)


# Keys and indexes that foreign keys need ------------------------------------------------------------------------


@dataclass
class _Replacement:
    """The indexes and unique keys of a table that a revision drops, and those that it creates for them."""

    live: LiveDatabase
    upgrade: Operations
    downgrade: Operations
    table: ops.ModifyTableOps
    reverse: ops.ModifyTableOps
    existing: Table

    def prepare(self) -> None:
        self.any_index = self.live.database.abilities.indexes_foreign_keys
        _replace_by_one_call(self.live, self.table, self.reverse, self._supports_same_keys, "index", "unique")
        self.drops = [operation for operation in self.table.ops if _drops(operation)]
        self.dropped = {_folded(drop) for drop in self.drops}
        if self.any_index:
            self._replace_last_indexes()
        for drop in self.drops:
            keys = [key for key in self._referring(drop) if key not in self._dropped_keys()]
            if keys:
                self._keep_referred(drop, keys)

    def _supports_same_keys(self, drop: ops.MigrateOperation, created: ops.MigrateOperation) -> bool:
        """Return whether a new index or key serves each foreign key that needs the old one."""
        referring = [key.remote for _, key in self._referring(drop)]
        if not self.any_index:
            return not referring
        current = self._existing(drop)
        if current is None:
            return False
        old, new, own = current.names, _columns(created), [key.columns for key in self._own_keys()]
        return all(leads(columns, old) == leads(columns, new) for columns in (*own, *referring))

    def _existing(self, drop: ops.MigrateOperation) -> Any:
        things: Any = self.existing.constraints if isinstance(drop, ops.DropConstraintOp) else self.existing.indexes
        return things.get(str(own_name(drop)))

    def _own_keys(self) -> list[Constraint]:
        return [key for key in self.existing.constraints.values() if key.kind == "foreign key"]

    def _dropped_keys(self) -> Keys:
        """Return the foreign keys that the revision drops."""
        drops = [drop for table in tables_in(self.upgrade) for drop in table.ops if drops_foreign_key(drop)]
        tables = ((name_of(drop), self.live.table(name_of(drop)), str(own_name(drop))) for drop in drops)
        return [(name, table.constraints[key]) for name, table, key in tables if table and key in table.constraints]

    # The server needs an index on the columns of each foreign key -------------------------------------------------

    def _replace_last_indexes(self) -> None:
        """Give a foreign key that loses its last index the one that the server itself would create for it."""
        name, dropped_keys = name_of(self.table), self._dropped_keys()
        for key in self._own_keys():
            covering = [index for index in self.existing.indexes.values() if leads(key.columns, index.names)]
            is_kept = any(index.name.casefold() not in self.dropped for index in covering)
            if not covering or is_kept or (name, key) in dropped_keys:
                continue
            created = [each for each in self.table.ops if _creates(each) and leads(key.columns, _columns(each))]
            if all(_folded(each) in self.dropped for each in created):
                self._create_index_of_key(key, bool(created))

    def _create_index_of_key(self, key: Constraint, returns: bool) -> None:
        index = ops.CreateIndexOp(
            conv(key.name), self.table.table_name, list(key.columns), schema=self.table.schema, unique=False
        )
        drop = ops.DropIndexOp.from_index(index.to_index(self.live.context))
        text = f"Foreign key {key.name} needs an index on ({', '.join(key.columns)}): this one is for it, "
        text += "while the other one changes." if returns else "because the server would create one otherwise."
        _insert_before_drops(self.table, Note(text), index)
        self.reverse.ops.append(drop)
        if returns:
            self.table.ops.append(drop)
            _insert_before_drops(self.reverse, index)

    # A foreign key needs a unique key in the table that it refers to ----------------------------------------------

    def _referring(self, drop: ops.MigrateOperation) -> Iterator[tuple[Name, Constraint]]:
        """Yield the existing foreign keys of the models that may need what is dropped."""
        dropped = self._existing(drop)
        for table in models(self.live.context) if dropped and self._can_support(dropped) else ():
            # The names in full may be quoted, or be those of columns with dots: the live keys are compared.
            targets = {element.target_fullname for key in table.foreign_key_constraints for element in key.elements}
            name = Name(str(table.name), table.schema)
            is_near = any(f".{self.existing.name.name}." in f".{target}" for target in targets)
            source = self.live.table(name) if is_near else None
            for key in source.constraints.values() if source else ():
                if key.referent == self.existing.name and self._supports(dropped.names, key):
                    yield name, key

    def _can_support(self, thing: Index | Constraint) -> bool:
        """Return whether a foreign key can depend on an index or a constraint."""
        if isinstance(thing, Index):
            return thing.valid and not thing.where and (thing.unique or self.any_index)
        return thing.kind in ("unique", "primary key")

    def _supports(self, columns: Sequence[str], key: Constraint) -> bool:
        return leads(key.remote, columns) if self.any_index else set(columns) == set(key.remote)

    def _keep_referred(self, drop: ops.MigrateOperation, keys: Keys) -> None:
        first = keys[0][1]
        things: list[Any] = [*self.existing.indexes.values(), *self.existing.constraints.values()]
        kept = [thing for thing in things if thing.name.casefold() not in self.dropped and self._can_support(thing)]
        created = [each for each in self.table.ops if _creates(each) and (self.any_index or _makes_unique(each))]
        # The empty name means what is kept: its name remains in use.
        names = ["" for thing in kept if self._supports(thing.names, first)]
        names += [_folded(each) for each in created if self._supports(_columns(each), first)]
        listed = " and ".join(f"{key.name} of {name}" for name, key in keys)
        if not names:
            self._keep(drop, listed)
        elif self.live.database.abilities.ties_foreign_keys or self.dropped.issuperset(names):
            self._drop_meanwhile(drop, keys, listed)

    def _keep(self, drop: ops.MigrateOperation, listed: str) -> None:
        self._warn(
            drop,
            f"{own_name(drop)} of {name_of(self.table)} is kept, because the foreign key {listed} depends on it, and"
            " nothing replaces it. Add it to the models again, or remove the foreign key from them.",
        )
        for table in (self.table, self.reverse):
            table.ops[:] = [
                each for each in table.ops if not (_drops(each) or _creates(each)) or _folded(each) != _folded(drop)
            ]

    def _drop_meanwhile(self, drop: ops.MigrateOperation, keys: Keys, listed: str) -> None:
        self._warn(
            drop,
            f"{own_name(drop)} cannot be dropped while the foreign key {listed} depends on it. The key is therefore dropped"
            " first, and created again afterwards. Until then the server accepts rows that violate it; creation finds them.",
        )
        for name, key in keys:
            for body in (self.upgrade, self.downgrade):
                created = existing_foreign_key(name, key, name_of(self.table))
                again: Operations = [
                    ops.DropConstraintOp(conv(key.name), name.name, "foreignkey", schema=name.schema),
                    created,
                ]
                body.append(ops.ModifyTableOps(name.name, again, schema=name.schema))

    def _warn(self, drop: ops.MigrateOperation, text: str) -> None:
        log.warning("%s", text)
        self.table.ops.insert(self.table.ops.index(drop), Note(text))


def _first_drop(table: ops.ModifyTableOps) -> int:
    return next((place for place, operation in enumerate(table.ops) if _drops(operation)), len(table.ops))


def _insert_before_drops(table: ops.ModifyTableOps, *more: ops.MigrateOperation) -> None:
    place = _first_drop(table)
    table.ops[place:place] = more


# Operations on indexes and unique keys --------------------------------------------------------------------------


def _drops(operation: ops.MigrateOperation) -> bool:
    is_key = isinstance(operation, ops.DropConstraintOp) and operation.constraint_type == "unique"
    return is_key or isinstance(operation, ops.DropIndexOp)


def _creates(operation: ops.MigrateOperation) -> bool:
    return isinstance(operation, (ops.CreateIndexOp, ops.CreateUniqueConstraintOp))


def _folded(operation: ops.MigrateOperation) -> str:
    return str(own_name(operation)).casefold()


def _columns(created: Any) -> list[str]:
    return [str(getattr(column, "name", None) or column) for column in created.columns]


def _makes_unique(created: Any) -> bool:
    return isinstance(created, ops.CreateUniqueConstraintOp) or (bool(created.unique) and not is_partial(created.kw))
