"""Indexes and unique keys that foreign keys stand on, replaced so that each foreign key always has one to stand on."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.sql.elements import conv

from safeops.autogenerate.advice import leads, models
from safeops.autogenerate.arranging import Operations, name_of
from safeops.autogenerate.exchanging import exchange, exchange_foreign_keys
from safeops.autogenerate.live import Live
from safeops.autogenerate.operations import Note
from safeops.databases.definitions import Constraint, Index, Table
from safeops.naming import Name

Keys = list[tuple[Name, Constraint]]

log = logging.getLogger("safeops.autogenerate")


def replace_keys(context: MigrationContext, live: Live | None, forth: Operations, back: Operations) -> None:
    """Have what takes the place of an index or a unique key created before it is dropped, in both directions."""
    if live:
        exchange_foreign_keys(live, forth, back)
    dropped = {name_of(one) for one in forth if isinstance(one, ops.DropTableOp)}
    for table in (one for one in _tables(forth) if live and name_of(one) not in dropped):
        stands = live.table(name_of(table)) if live else None
        reverse = next((one for one in _tables(back) if name_of(one) == name_of(table)), None)
        if live and stands and reverse and any(map(_drops, table.ops)):
            _Replacement(context, live, forth, back, table, reverse, stands).prepare()
    for table in (*_tables(forth), *_tables(back)):
        _create_first(table)


def _tables(found: Operations) -> list[ops.ModifyTableOps]:
    return [one for one in found if isinstance(one, ops.ModifyTableOps)]


def _create_first(table: ops.ModifyTableOps) -> None:
    """Create indexes and unique keys before others are dropped, but those whose names have to become free first."""
    gone = {_folded(one) for one in table.ops if _drops(one)}
    place = next((place for place, one in enumerate(table.ops) if _drops(one)), len(table.ops))
    first = [one for one in table.ops[place:] if _creates(one) and _folded(one) not in gone]
    table.ops[place:] = [*first, *(one for one in table.ops[place:] if one not in first)]


@dataclass
class _Replacement:
    """What a revision drops of the indexes and unique keys of a table, and creates in their place."""

    context: MigrationContext
    live: Live
    forth: Operations
    back: Operations
    table: ops.ModifyTableOps
    reverse: ops.ModifyTableOps
    stands: Table

    def prepare(self) -> None:
        self.any_index = self.live.migration.database.indexes_foreign_keys
        exchange(self.live, self.table, self.reverse, self._serves_alike, "index", "unique")
        self.drops = [one for one in self.table.ops if _drops(one)]
        self.gone = {_folded(one) for one in self.drops}
        if self.any_index:
            self._stand_in()
        for drop in self.drops:
            keys = [one for one in self._referring(drop) if one not in self._going()]
            if keys:
                self._keep_referred(drop, keys)

    def _serves_alike(self, drop: ops.MigrateOperation, create: ops.MigrateOperation) -> bool:
        """Tell whether no foreign key needs the one and cannot do with the other."""
        referring = [key.remote for _, key in self._referring(drop)]
        if not self.any_index:
            return not referring
        things: Any = self.stands.constraints if isinstance(drop, ops.DropConstraintOp) else self.stands.indexes
        if _named(drop) not in things:
            return False
        old, new = things[_named(drop)].names, _columns(create)
        own = [one.columns for one in self.stands.constraints.values() if one.kind == "foreign key"]
        return all(leads(columns, old) == leads(columns, new) for columns in (*own, *referring))

    def _going(self) -> Keys:
        """Return the foreign keys that the revision drops."""
        names = [
            (name_of(table), str(one.constraint_name))
            for table in _tables(self.forth)
            for one in table.ops
            if isinstance(one, ops.DropConstraintOp) and one.constraint_type == "foreignkey"
        ]
        tables = ((name, self.live.table(name), key) for name, key in names)
        return [(name, table.constraints[key]) for name, table, key in tables if table and key in table.constraints]

    # The server wants an index on the columns of each foreign key -------------------------------------------------

    def _stand_in(self) -> None:
        """Give a foreign key the index that the server itself would make for it, where it loses its last one."""
        name, going = name_of(self.table), self._going()
        for key in (one for one in self.stands.constraints.values() if one.kind == "foreign key"):
            covering = [one for one in self.stands.indexes.values() if leads(key.columns, one.names)]
            if not covering or any(one.name.casefold() not in self.gone for one in covering) or (name, key) in going:
                continue
            made = [one for one in self.table.ops if _creates(one) and leads(key.columns, _columns(one))]
            if all(_folded(one) in self.gone for one in made):
                self._create_stand_in(key, bool(made))

    def _create_stand_in(self, key: Constraint, returns: bool) -> None:
        index = ops.CreateIndexOp(
            conv(key.name), self.table.table_name, list(key.columns), schema=self.table.schema, unique=False
        )
        drop = ops.DropIndexOp.from_index(index.to_index(self.context))
        text = f"Foreign key {key.name} needs an index on ({', '.join(key.columns)}): this one is its own, "
        text += "while the other changes." if returns else "as the server makes one where nobody else does."
        _before_drops(self.table, Note(text), index)
        self.reverse.ops.append(drop)
        if returns:
            self.table.ops.append(drop)
            _before_drops(self.reverse, index)

    # A foreign key wants a unique key in the table that it refers to ----------------------------------------------

    def _referring(self, drop: ops.MigrateOperation) -> Iterator[tuple[Name, Constraint]]:
        """Go through the foreign keys of the models that stand, and may stand on what is dropped."""
        things: Any = self.stands.constraints if isinstance(drop, ops.DropConstraintOp) else self.stands.indexes
        dropped = things.get(_named(drop))
        for table in models(self.context) if dropped and self._bears(dropped) else ():
            # The names in full may be quoted, or be those of columns with dots: the live keys tell.
            targets = {element.target_fullname for key in table.foreign_key_constraints for element in key.elements}
            name = Name(str(table.name), table.schema)
            near = any(f".{self.stands.name.name}." in f".{target}" for target in targets)
            source = self.live.table(name) if near else None
            for key in source.constraints.values() if source else ():
                if key.referent == self.stands.name and self._serves(dropped.names, key):
                    yield name, key

    def _bears(self, thing: Index | Constraint) -> bool:
        """Tell whether a foreign key can stand on an index or a constraint."""
        if isinstance(thing, Index):
            return thing.valid and not thing.where and (thing.unique or self.any_index)
        return thing.kind in ("unique", "primary key")

    def _serves(self, columns: Sequence[str], key: Constraint) -> bool:
        return leads(key.remote, columns) if self.any_index else set(columns) == set(key.remote)

    def _keep_referred(self, drop: ops.MigrateOperation, keys: Keys) -> None:
        first = keys[0][1]
        there: list[Any] = [*self.stands.indexes.values(), *self.stands.constraints.values()]
        left = [one for one in there if one.name.casefold() not in self.gone and self._bears(one)]
        made = [one for one in self.table.ops if _creates(one) and (self.any_index or _makes_unique(one))]
        # What is left has a name that nothing takes.
        names = ["" for one in left if self._serves(one.names, first)]
        names += [_folded(one) for one in made if self._serves(_columns(one), first)]
        listed = " and ".join(f"{key.name} of {name}" for name, key in keys)
        if not names:
            self._leave(drop, listed)
        elif self.live.migration.database.ties_foreign_keys or self.gone.issuperset(names):
            self._take_off(drop, keys, listed)

    def _leave(self, drop: ops.MigrateOperation, listed: str) -> None:
        text = (
            f"{_named(drop)} of {name_of(self.table)} stays, because the foreign key {listed} stands on it, and nothing"
            " takes its place. Give it back to the models, or take the foreign key out of them."
        )
        log.warning("%s", text)
        self.table.ops.insert(self.table.ops.index(drop), Note(text))
        for table in (self.table, self.reverse):
            table.ops[:] = [one for one in table.ops if not _is_of_index(one) or _folded(one) != _folded(drop)]

    def _take_off(self, drop: ops.MigrateOperation, keys: Keys, listed: str) -> None:
        text = (
            f"{_named(drop)} cannot go while the foreign key {listed} stands on it, which is therefore dropped before"
            " and created again after. In between the server takes rows that break it; creating it finds them."
        )
        log.warning("%s", text)
        self.table.ops.insert(self.table.ops.index(drop), Note(text))
        for name, key in keys:
            for found in (self.forth, self.back):
                found.append(ops.ModifyTableOps(name.name, _anew(name, key, self.table), schema=name.schema))


def _anew(name: Name, key: Constraint, referent: ops.ModifyTableOps) -> Operations:
    """Return what drops a foreign key and creates it again as it stands."""
    parts = ("onupdate", "ondelete", "deferrable", "initially", "match")
    made = ops.CreateForeignKeyOp(
        conv(key.name),
        name.name,
        referent.table_name,
        list(key.columns),
        list(key.remote),
        source_schema=name.schema,
        referent_schema=referent.schema,
        **{part: getattr(key, part) for part in parts if getattr(key, part)},
    )
    return [ops.DropConstraintOp(conv(key.name), name.name, "foreignkey", schema=name.schema), made]


def _before_drops(table: ops.ModifyTableOps, *more: ops.MigrateOperation) -> None:
    place = next((place for place, one in enumerate(table.ops) if _drops(one)), len(table.ops))
    table.ops[place:place] = more


# Operations on indexes and unique keys --------------------------------------------------------------------------


def _drops(one: ops.MigrateOperation) -> bool:
    unique = isinstance(one, ops.DropConstraintOp) and one.constraint_type == "unique"
    return unique or isinstance(one, ops.DropIndexOp)


def _creates(one: ops.MigrateOperation) -> bool:
    return isinstance(one, (ops.CreateIndexOp, ops.CreateUniqueConstraintOp))


def _is_of_index(one: ops.MigrateOperation) -> bool:
    return _drops(one) or _creates(one)


def _named(one: Any) -> str:
    return str(one.index_name if isinstance(one, (ops.CreateIndexOp, ops.DropIndexOp)) else one.constraint_name)


def _folded(one: ops.MigrateOperation) -> str:
    return _named(one).casefold()


def _columns(one: Any) -> list[str]:
    return [str(getattr(each, "name", None) or each) for each in one.columns]


def _makes_unique(one: Any) -> bool:
    if isinstance(one, ops.CreateUniqueConstraintOp):
        return True
    return bool(one.unique) and not any(key.endswith("_where") and value is not None for key, value in one.kw.items())
