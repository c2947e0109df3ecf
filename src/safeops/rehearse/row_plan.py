"""Plans how the tables of a copy are filled: in which order, with how many rows, and which SQL makes them."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from safeops.databases import Database
from safeops.databases.definitions import Column, Constraint, Table
from safeops.errors import FillingFailed
from safeops.naming import Name
from safeops.rehearse.checking import KEPT, Checked, Picking, rules_of
from safeops.rehearse.inserting import Inserts
from safeops.rehearse.later_constraints import adopted, without_later
from safeops.rehearse.layout import (
    Layout,
    Slot,
    distinct_of,
    keys_of,
    lay_out,
    most_rows,
    never_null,
    wanted_rows,
)
from safeops.rehearse.shapes import ColumnShape, TableShape, tables_of
from safeops.rehearse.values import Generator, Spell, Type

log = logging.getLogger("safeops")

ASSUMED = 100
"""Rows of a table that others refer to, and of which nothing is known."""
ROUNDS = 8
BACKUP = "safeops rehearse --into URL --from-backup FILE"


class RowPlan:
    """How the tables of a database are filled.

    Args:
        database: The database, whose tables exist.
        shapes: How large each table becomes, and how its values are distributed.
        later: The tables with the constraints that revisions will add.
    """

    def __init__(self, database: Database, shapes: Mapping[Name, TableShape], later: Mapping[Name, Table]) -> None:
        self.database = database
        self.generator, self.inserts = Generator.of(database), Inserts.of(database)
        self.tables = dict(tables_of(database))
        self.home = database.connection.dialect.default_schema_name
        known = {name.at(self.home): shape for name, shape in shapes.items()}
        for name, table in self.tables.items():
            whole = adopted(table, later.get(name), known.get(name, TableShape(name, 0)))
            self.tables[name] = self.inserts.with_keys(whole)
        self.shapes = self._with_referents(known)
        self.order = self._ordered()
        self._types: dict[Name, dict[str, Type]] = {}
        self._referred = self._columns_referred_to()
        self.layouts: dict[Name, Layout] = {}
        for name in self.order:
            self.layouts[name] = self._layout(name)
            self._fit([name])
            if self._reached(name) <= set(self.layouts):
                # A later table may need the values of this one.
                self._settle([name])
        self._settle(self.order)

    # What a table refers to --------------------------------------------------------------------------------------

    def referents(self, name: Name) -> list[Name]:
        """Return the tables that foreign keys of a table refer to."""
        return [one.at(self.home) for one in self.tables[name].referents()]

    def keys_to_others(self, name: Name) -> list[Constraint]:
        """Return the foreign keys of a table, those with most columns first; a key that another one implies is left out."""
        keys = sorted(self.tables[name].of_kind("foreign key"), key=lambda key: (-len(key.columns), key.name))
        kept: list[Constraint] = []
        for key in keys:
            if not any(set(key.columns) <= set(other.columns) for other in kept):
                kept.append(key)
        return kept

    def _reached(self, name: Name) -> set[Name]:
        """Return the tables that a table refers to, at any remove."""
        found, waiting = {name}, [name]
        while waiting:
            more = {one for one in self.referents(waiting.pop()) if one in self.shapes} - found
            found |= more
            waiting += more
        return found

    def _with_referents(self, shapes: Mapping[Name, TableShape]) -> dict[Name, TableShape]:
        found = {name: shape for name, shape in shapes.items() if name in self.tables}
        waiting = [*found]
        while waiting:
            for other in self.referents(waiting.pop()):
                if other in self.tables and other not in found:
                    found[other] = TableShape(other, ASSUMED)
                    waiting.append(other)
        return found

    def _ordered(self) -> list[Name]:
        """Put a table after those that it refers to; those of a cycle in any order."""
        waiting, order = sorted(self.shapes, key=str), list[Name]()
        while waiting:
            ready = [one for one in waiting if not (set(self.referents(one)) - {one}) & set(waiting)]
            order += ready or [self._of_cycle(waiting)]
            waiting = [one for one in waiting if one not in order]
        return order

    def _of_cycle(self, waiting: Sequence[Name]) -> Name:
        """Return a table that others wait for, and that waits for nothing but its cycle."""
        name, seen = waiting[0], list[Name]()
        while name not in seen:
            seen.append(name)
            name = next(one for one in self.referents(name) if one in waiting and one != name)
        return name

    def _columns_referred_to(self) -> dict[Name, set[str]]:
        found: dict[Name, set[str]] = {}
        for name in self.shapes:
            for key in self.tables[name].of_kind("foreign key"):
                if key.referent is not None:
                    found.setdefault(key.referent.at(self.home), set()).update(key.remote)
        return found

    def deferred(self, name: Name) -> list[str]:
        """Return the foreign keys of a table that refer to rows which are inserted later."""
        later = set(self.order[self.order.index(name) + 1 :])
        layout, found = self.layouts[name], list[str]()
        for key in without_later(self.tables[name]).of_kind("foreign key"):
            referent = key.referent.at(self.home) if key.referent else None
            slot = layout.slot_of(key.columns[0])
            if referent in later or (slot is not None and slot.around):
                found.append(key.name)
        return found

    # The slots of a table ----------------------------------------------------------------------------------------

    def types_of(self, name: Name) -> dict[str, Type]:
        """Return the types of the columns that are filled."""
        if name not in self._types:
            columns = self.tables[name].columns.values()
            self._types[name] = {
                column.name: self.generator.type_of(column) for column in columns if column.computed is None
            }
        return self._types[name]

    def _layout(self, name: Name) -> Layout:
        table = self.tables[name]
        if refusal := self.inserts.refused(table):
            raise FillingFailed(
                f"{name} cannot be filled: {refusal}.",
                why="Rows are made independently of each other.",
                remedy="Rehearse on a backup:",
                code=BACKUP,
            )
        existing = int(self.database.scalar(f"SELECT count(*) FROM {self.database.quoted_table(table.name)}"))
        layout = Layout(name, table, wanted_rows(self.shapes[name], existing), existing=existing)
        if layout.rows:
            layout.slots += self._slots(name, layout)
        return layout

    def _slots(self, name: Name, layout: Layout) -> list[Slot]:
        filled = never_null(layout.table, self._referred.get(name, ()), self.types_of(name))
        slots: list[Slot] = []
        taken: set[str] = set()
        for key in self.keys_to_others(name):
            columns = [column for column in key.columns if column in self.types_of(name)]
            if taken & set(columns):
                slots[:] = self._joined(name, layout, slots, key)
            else:
                slots.append(self._foreign(name, layout, key, filled, len(slots)))
            taken |= set(key.columns)
        for column in layout.table.columns.values():
            if column.computed is None and column.name not in taken:
                slots += self._own(name, layout, column, filled, len(slots))
        return slots

    def _own(self, name: Name, layout: Layout, column: Column, filled: set[str], seed: int) -> list[Slot]:
        shape, type_ = self._shape(name, layout, column), self.types_of(name)[column.name]
        made = next(iter(self.generator.variants(type_, shape, layout.rows)), None)
        if made is None:
            return self._unknown(name, column, type_, filled)
        distinct = distinct_of(shape, layout.rows, made.usual or layout.rows)
        nullable = frozenset({column.name}) - filled
        nulls = shape.nulls if nullable else 0.0
        return [Slot({column.name: made.spell}, made.capacity, distinct, nulls, nullable, seed)]

    def _unknown(self, name: Name, column: Column, type_: Type, filled: set[str]) -> list[Slot]:
        if column.default is not None or column.name not in filled:
            log.info("fill: %s.%s has the type %s, and gets its default", name, column.name, type_.spelled)
            return []
        raise FillingFailed(
            f"{name}.{column.name} cannot be filled: it is NOT NULL, and no values of the type {type_.spelled} are known.",
            why="Values are made from the type of a column.",
            remedy="Rehearse on a backup, or give the column a default:",
            code=BACKUP,
        )

    def _shape(self, name: Name, layout: Layout, column: Column) -> ColumnShape:
        """Return the shape of a column; the integer keys of new rows follow those of the rows that exist."""
        shape = self.shapes[name].of(column)
        unique = any(column.name in key for key in keys_of(layout.table))
        if self.types_of(name)[column.name].kind != "integer" or not unique:
            return shape
        if layout.existing:
            quoted = self.database.quoted(column.name)
            most = self.database.scalar(f"SELECT max({quoted}) FROM {self.database.quoted_table(layout.table.name)}")
            return replace(shape, low=max(shape.low or 1, int(most or 0) + 1), high=None)
        return shape

    def _foreign(self, name: Name, layout: Layout, key: Constraint, filled: set[str], seed: int) -> Slot:
        assert key.referent is not None
        referent = key.referent.at(self.home)
        columns, count = self._remote(referent, key)
        own = referent == name
        nullable = frozenset(key.columns) - filled
        shapes = [self.shapes[name].of(layout.table.columns[column]) for column in key.columns]
        if key.match == "FULL" and len(nullable) < len(key.columns):
            nullable = frozenset()
        nulls = max(shape.nulls for shape in shapes) if nullable else 0.0
        known = [shape.distinct for shape in shapes if shape.distinct is not None]
        distinct = round(max(known)) if known else count
        if not count:
            layout.rows, nulls = (layout.rows, 1.0) if nullable else (0, nulls)
        return Slot(
            columns, count, max(1, distinct), nulls, nullable, seed, own and referent in self.shapes, made=False
        )

    def _remote(self, referent: Name, key: Constraint) -> tuple[dict[str, Spell], int]:
        """Return how the columns of a foreign key get the values of the rows that it refers to, and how many these are."""
        pairs = dict(zip(key.columns, key.remote, strict=True))
        planned = self.layouts.get(referent)
        count = planned.rows if planned else max(0, self.shapes[referent].rows) if referent in self.shapes else 0
        if count:
            return {column: self._looked_up(referent, remote) for column, remote in pairs.items()}, count
        table = key.referent if referent not in self.tables else self.tables[referent].name
        assert table is not None
        shown = ", ".join(self.generator.literal_of(self.database.quoted(remote)) for remote in key.remote)
        there = " AND ".join(f"{self.database.quoted(remote)} IS NOT NULL" for remote in key.remote)
        rows = self.database.read(f"SELECT {shown} FROM {self.database.quoted_table(table)} WHERE {there} LIMIT {KEPT}")
        types = self.types_of(next(name for name, one in self.tables.items() if key in one.constraints.values()))
        picked = {
            column: Picking(self.generator, tuple(self.generator.cast(row[place], types[column]) for row in rows))
            for place, column in enumerate(key.columns)
        }
        return dict(picked), len(rows)

    def _looked_up(self, referent: Name, remote: str) -> Spell:
        # The layout of the other table may change until all rows meet their checks.
        return lambda number: self.layouts[referent].value(remote, number)

    def _joined(self, name: Name, layout: Layout, slots: list[Slot], key: Constraint) -> list[Slot]:
        """Merge foreign keys that share a column: the rows that they refer to have the same value there."""
        sharing = [slot for slot in slots if set(slot.columns) & set(key.columns)]
        other = self._foreign(name, layout, key, set(key.columns), len(slots))
        found = self._pairs([*sharing, other])
        if layout.rows and not found:
            raise FillingFailed(
                f"No rows could be made for {name}: its foreign keys share columns, and no rows agree in them.",
                why=f"The key {key.name} shares {', '.join(key.columns)} with others.",
                remedy="Rehearse on a backup:",
                code=BACKUP,
            )
        columns = list(dict.fromkeys(column for slot in (*sharing, other) for column in slot.columns))
        types = self.types_of(name)
        picked: dict[str, Spell] = {
            column: Picking(self.generator, tuple(self.generator.cast(row[place], types[column]) for row in found))
            for place, column in enumerate(columns)
        }
        return [
            *(slot for slot in slots if slot not in sharing),
            Slot(picked, len(found), len(found), seed=other.seed, made=False),
        ]

    def _pairs(self, slots: Sequence[Slot]) -> Sequence[Sequence[str]]:
        """Return rows of several tables that agree in the columns which their slots share."""
        quoted, seen = self.database.quoted, dict[str, str]()
        sources, conditions = list[str](), list[str]()
        for place, slot in enumerate(slots):
            most = min(slot.capacity, KEPT * 10)
            if not most:
                return []
            made = ", ".join(f"{spell('n')} AS {quoted(column)}" for column, spell in slot.columns.items())
            source = f"of_{place}"
            sources.append(f"(SELECT {made} FROM {self.generator.numbers(0, most - 1)}) {source}")
            for column in slot.columns:
                mine = f"{source}.{quoted(column)}"
                if column in seen:
                    conditions.append(f"{seen[column]} = {mine}")
                seen.setdefault(column, mine)
        shown = ", ".join(self.generator.literal_of(column) for column in seen.values())
        joined = f"SELECT {shown} FROM {', '.join(sources)} WHERE {' AND '.join(conditions)}"
        return self.database.read(
            f"{joined} ORDER BY {self.generator.shuffled(next(iter(seen.values())))} LIMIT {KEPT}"
        )

    # Until all rows can be inserted ------------------------------------------------------------------------------

    def _settle(self, names: Sequence[Name]) -> None:
        for _ in range(ROUNDS):
            self._fit(names)
            mended = [self._mend(name) for name in names]
            if not any(mended):
                return
        raise self._unsettled()

    def _fit(self, names: Sequence[Name]) -> None:
        """Lay out each table, with fewer rows if its keys do not allow more."""
        for _ in range(ROUNDS):
            changed = False
            for name in names:
                layout, keys = self.layouts[name], keys_of(self.tables[name])
                for slot in layout.slots:
                    self._follow(name, layout, slot)
                before, layout.rows = layout.rows, most_rows(layout, keys)
                layout.rows = lay_out(layout, keys, self.generator.halved)
                changed = changed or layout.rows < before
            if not changed:
                return

    def _follow(self, name: Name, layout: Layout, slot: Slot) -> None:
        """Take over the number of rows of the table that a foreign key refers to."""
        key = next((one for one in self.keys_to_others(name) if set(one.columns) == set(slot.columns)), None)
        referent = key.referent.at(self.home) if key is not None and key.referent is not None else None
        if slot.made or referent not in self.layouts or not self.layouts[referent].rows or self._is_picked(slot):
            return
        slot.capacity = self.layouts[referent].rows

    @staticmethod
    def _is_picked(slot: Slot) -> bool:
        return any(isinstance(spell, Picking) for spell in slot.columns.values())

    def _mend(self, name: Name) -> bool:
        layout, types = self.layouts[name], self.types_of(name)
        quoted = {column: self.database.quoted(column) for column in types}
        rules = rules_of(layout, types, quoted, self.inserts.checks(layout.table))
        shapes = {column: self._shape(name, layout, layout.table.columns[column]) for column in types}
        try:
            mended = Checked(self.database, layout, types, shapes, rules).mend()
        except FillingFailed as error:
            if self.tables[name] == without_later(self.tables[name]):
                raise
            log.warning("rows of %s may break constraints that the revisions add: %s", name, error.problem)
            self.tables[name] = without_later(self.tables[name])
            self.layouts[name], mended = self._layout(name), True
        if mended:
            self._fit([name])
        return mended

    def _unsettled(self) -> FillingFailed:
        return FillingFailed(
            "No rows could be made that meet all checks and keys at once.",
            why="The values that meet a check broke another one, or a key, each time.",
            remedy="Rehearse on a backup:",
            code=BACKUP,
        )

    # The statements ----------------------------------------------------------------------------------------------

    def insert(self, name: Name, first: int, last: int) -> str:
        """Return the statement that inserts the rows with these numbers."""
        layout = self.layouts[name]
        columns = self.database.quoted(*layout.columns)
        into = f"INSERT INTO {self.database.quoted_table(layout.table.name)} ({columns}){self.generator.inserting}"
        return f"{into} SELECT {', '.join(self.values(name, 'n'))} FROM {self.generator.numbers(first, last)}"

    def values(self, name: Name, row: str) -> Iterable[str]:
        """Return the SQL of each column of the row with a number."""
        layout = self.layouts[name]
        return [layout.value(column, row) for column in layout.columns]
