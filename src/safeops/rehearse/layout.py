"""Which number each column of a row gets: keys are unique, and foreign keys hold.

Columns whose values are chosen together are a slot: one column, those of a foreign key, or those of a check. A slot has a
number, an SQL expression of the number of the row, ``n``.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import TypeAlias

from safeops.databases import sqltext
from safeops.databases.definitions import Constraint, Index, Table, names_in
from safeops.naming import Name
from safeops.rehearse.shapes import ColumnShape, TableShape
from safeops.rehearse.values import Spell, Type

Halved: TypeAlias = Callable[[str, int], str]
"""Divides the SQL of a number without a rest."""
PRIME = 2_147_483_647
STEPS = (1_640_531_527, 1_013_904_223, 69_069_137, 48_271_003, 742_938_285, 1_226_874_159, 62_089_911, 1_343_714_438)
"""Multipliers that spread numbers below PRIME, one a slot."""
PARTS = 10_000
"""A share of NULLs is kept in ten-thousandths."""


@dataclass
class Slot:
    """Columns whose values are chosen by one number.

    Args:
        columns: How each column makes its value.
        capacity: How many different numbers there are.
        distinct: How many of them the rows use, if no key needs more.
        nulls: The share of rows in which the nullable columns are NULL.
        nullable: The columns that can be NULL.
        seed: Distinguishes it from the other slots of its table.
        own: It is a foreign key to its own table: a row refers to an earlier one.
        number: The number as an expression of ``n``, after it was laid out.
        digit: Which digit of ``n`` that is, if it is one: the product of the sizes of those below it, and its size.
        group: The slots with the same group are NULL in the same rows.
        offset: Shifts the number: two foreign keys to one table then differ.
        made: Its values are made for its type; those of a foreign key, or that meet a check, are chosen.
        around: It refers to the row before, and the first row to the last one.
        telling: The columns that differ from number to number, if these are not all of them.
    """

    columns: dict[str, Spell]
    capacity: int
    distinct: int
    nulls: float = 0.0
    nullable: frozenset[str] = frozenset()
    seed: int = 0
    own: bool = False
    number: Spell | None = None
    digit: tuple[int, int] | None = None
    group: int | None = None
    offset: int = 0
    made: bool = True
    telling: frozenset[str] = frozenset()
    around: bool = False

    def tells(self, key: frozenset[str]) -> bool:
        """Return whether rows with different numbers differ in the columns of a key."""
        return (self.telling or frozenset(self.columns)) <= key

    def value(self, column: str, row: str) -> str:
        """Return the SQL of a column in the row with this number."""
        assert self.number is not None
        made = self.columns[column](self.number(row))
        if column not in self.nullable:
            return made
        if self.own and not self.nulls:
            # The first row has none before it.
            return f"CASE WHEN {row} < 1 THEN NULL ELSE {made} END"
        if not self.nulls:
            return made
        if self.nulls >= 1:
            return "NULL"
        step = STEPS[-1 - (self.seed if self.group is None else self.group) % len(STEPS)]
        drawn = f"((({row} + 7) * {step}) % {PRIME}) % {PARTS}"
        first = f"{row} < 1 OR " if self.own else ""
        return f"CASE WHEN {first}{drawn} < {round(self.nulls * PARTS)} THEN NULL ELSE {made} END"


@dataclass
class Layout:
    """How the rows of a table are made.

    Args:
        name: Its name, without the default schema.
        table: The table.
        rows: How many rows it gets.
        slots: What gives each column its value.
        existing: The number of rows that it has already.
    """

    name: Name
    table: Table
    rows: int
    slots: list[Slot] = field(default_factory=list)
    existing: int = 0

    @property
    def columns(self) -> list[str]:
        return [column for slot in self.slots for column in slot.columns]

    def value(self, column: str, row: str) -> str:
        """Return the SQL of a column in the row with this number."""
        slot = next(one for one in self.slots if column in one.columns)
        return slot.value(column, row)

    def slot_of(self, column: str) -> Slot | None:
        return next((one for one in self.slots if column in one.columns), None)


def keys_of(table: Table) -> list[frozenset[str]]:
    """Return the columns of each unique key; of one on an expression those that it names, each of which must be unique."""
    constraints = [one for one in table.constraints.values() if one.kind in ("primary key", "unique")]
    found = [frozenset(one.columns) for one in constraints]
    for index in table.indexes.values():
        if index.unique:
            named = frozenset(_base(table, index.names)) or _base(table, names_in(index))
            plain = frozenset(index.names) <= set(table.columns)
            found += [named] if plain else [frozenset({one}) for one in sorted(named)[:1]]
    return sorted({_stored(table, key) for key in found if key}, key=lambda key: (len(key), sorted(key)))


def _base(table: Table, names: Iterable[str]) -> frozenset[str]:
    return frozenset(table.columns[name].name for name in names if name in table.columns)


def _stored(table: Table, key: frozenset[str]) -> frozenset[str]:
    """Replace generated columns by those that they are made of."""
    found: set[str] = set()
    for name in key:
        computed = table.columns[name].computed if name in table.columns else None
        found |= {name} if computed is None else set(_named_in(table, computed))
    return frozenset(found)


def _named_in(table: Table, expression: str) -> list[str]:
    words = [sqltext.unquoted(text) for kind, text in sqltext.tokens(expression) if kind in ("word", "quoted")]
    return list(dict.fromkeys(table.columns[word].name for word in words if word in table.columns))


def never_null(table: Table, referred: Iterable[str], types: dict[str, Type]) -> set[str]:
    """Return the columns that get no NULL: also those that foreign keys refer to."""
    uniques: tuple[Index | Constraint, ...] = (*table.of_kind("unique"), *table.indexes.values())
    keys = {column for key in table.of_kind("primary key") for column in key.columns}
    single = {name for one in uniques if one.nulls_not_distinct for name in one.names}
    fixed = {column.name for column in table.columns.values() if not column.nullable}
    required = {name for name, type_ in types.items() if type_.required}
    return keys | single | fixed | required | set(referred)


def most_rows(layout: Layout, keys: Sequence[frozenset[str]]) -> int:
    """Return how many rows the keys of a table allow, at most those that are requested."""
    most = layout.rows
    for key in keys:
        slots = [slot for slot in layout.slots if slot.tells(key)]
        if slots:
            most = min(most, math.prod(min(slot.capacity, layout.rows) for slot in slots))
    return most


def lay_out(layout: Layout, keys: Sequence[frozenset[str]], halved: Halved) -> int:
    """Give each slot its number; return how many rows differ in every key then, at most all."""
    most = 0
    for wide in (False, True):
        most = _lay_out(layout, keys, halved, wide)
        if most >= layout.rows:
            break
    return most


def _lay_out(layout: Layout, keys: Sequence[frozenset[str]], halved: Halved, wide: bool) -> int:
    for slot in layout.slots:
        slot.number = slot.digit = None
    most = layout.rows
    unique: list[frozenset[str]] = []
    for key in keys:
        if not any(done <= key for done in unique):
            most = min(most, _give_key(layout, key, halved, wide))
            unique.append(key)
    for slot in layout.slots:
        if slot.number is None:
            slot.number = _spread(slot, layout.rows)
    return most


def _give_key(layout: Layout, key: frozenset[str], halved: Halved, wide: bool) -> int:
    """Number slots until the rows differ in a key; return how many rows do.

    Args:
        layout: The table.
        key: The key.
        halved: Divides without a rest.
        wide: A slot of several may have a different number in each row, if that is more than it has in production.
    """
    slots = [slot for slot in layout.slots if slot.tells(key)]
    if not slots:
        return layout.rows
    free = [slot for slot in slots if slot.number is None]
    whole = [
        slot
        for slot in free
        if slot.capacity >= layout.rows and (len(key) == 1 or wide or slot.distinct >= layout.rows)
    ]
    reached, above = _reached(slots)
    if reached < layout.rows and whole:
        best = max(whole, key=lambda slot: slot.distinct)
        best.number, best.digit = _counted(best, layout.rows), (1, layout.rows)
        return layout.rows
    while reached < layout.rows and above:
        # The digits of another key begin further up.
        between = [slot for slot in free if slot.number is None and slot.capacity * reached >= above]
        if above % reached or not between:
            break
        _number(between[0], reached, above // reached, halved)
        reached, above = _reached(slots)
    return _mix([slot for slot in free if slot.number is None], reached, layout.rows, halved)


def _reached(slots: Sequence[Slot]) -> tuple[int, int]:
    """Return how many rows differ by the digits of some slots, and the next digit above these; 0 if there is none."""
    reached = 1
    while sizes := [slot.digit[1] for slot in slots if slot.digit and slot.digit[0] == reached and slot.digit[1] > 1]:
        reached *= max(sizes)
    return reached, min((slot.digit[0] for slot in slots if slot.digit and slot.digit[0] > reached), default=0)


def _counted(slot: Slot, rows: int) -> Spell:
    slot.around = slot.own
    if slot.own:
        return lambda row: f"(({row} + {rows - 1}) % {rows})"
    return lambda row: row


def _mix(free: list[Slot], before: int, rows: int, halved: Halved) -> int:
    """Have several slots together be different in each row, as the digits of a number are; return how many rows differ."""
    needed = -(-rows // before)
    sizes = [max(1, min(slot.capacity, slot.distinct, needed)) for slot in free]
    for place in sorted(range(len(free)), key=lambda place: -free[place].capacity):
        others = math.prod(sizes) // sizes[place]
        if others * sizes[place] < needed:
            sizes[place] = max(1, min(free[place].capacity, -(-needed // others)))
    for slot, size in zip(free, sizes, strict=True):
        _number(slot, before, size, halved)
        before *= size
    return min(before, rows)


def _number(slot: Slot, before: int, size: int, halved: Halved) -> None:
    """Make a digit of the row's number that of a slot."""
    slot.digit = before, size
    slot.number = lambda row: f"({halved(row, before)} % {size})" if before > 1 else f"({row} % {size})"


def _spread(slot: Slot, rows: int) -> Spell:
    distinct = max(1, min(slot.distinct, slot.capacity))
    step = STEPS[slot.seed % len(STEPS)]
    if slot.own:
        drawn = f"((({{row}} + {slot.seed}) * {step}) % {PRIME})"
        return lambda row: f"CASE WHEN {row} < 1 THEN 0 ELSE {drawn.format(row=row)} % {row} END"
    if slot.offset:
        return lambda row: f"(({row} + {slot.offset}) % {distinct})"
    if distinct * 10 > rows:
        factor = _coprime(step, distinct)
        return lambda row: f"(({row} * {factor} + {slot.seed}) % {distinct})"
    return lambda row: f"((({row} + {slot.seed + 1}) * {step} % {PRIME}) % {distinct})"


def _coprime(step: int, to: int) -> int:
    while math.gcd(step, to) != 1:
        step += 1
    return step


def distinct_of(shape: ColumnShape, rows: int, usual: int) -> int:
    """Return how many different values a column gets."""
    if shape.distinct is not None:
        return max(1, round(shape.distinct))
    return min(usual, rows) if usual else rows


def wanted_rows(shape: TableShape, existing: int) -> int:
    """Return how many rows a table still lacks."""
    return max(0, shape.rows - existing)
