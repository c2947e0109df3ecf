"""Makes rows meet the checks of their table: each check is evaluated on the server, over rows as they would be inserted."""

from __future__ import annotations

import math
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import product
from typing import TypeAlias

from sqlalchemy.exc import DBAPIError

from safeops.databases import Database, sqltext
from safeops.databases.definitions import Column
from safeops.errors import FillingFailed
from safeops.rehearse.layout import Layout, Slot, keys_of
from safeops.rehearse.literals import literals_in
from safeops.rehearse.shapes import ColumnShape
from safeops.rehearse.values import Generator, Spell, Type, Values

Found: TypeAlias = Sequence[tuple[str, ...]]
SAMPLE = 1_000
"""Rows over which a check is evaluated."""
TRIED = 160
"""Combinations of ways to fill the columns of a check that are tried."""
COMBINED = 6_000
"""Combinations of single values that are tried."""
KEPT = 400
"""Combinations that are kept, and that the rows then have."""
ALONE = 200


@dataclass(frozen=True)
class Rule:
    """A condition that every row must meet.

    Args:
        name: What the message calls it.
        condition: The condition, over the columns of the table.
        columns: The columns that it names.
    """

    name: str
    condition: str
    columns: tuple[str, ...]


def rules_of(
    layout: Layout, types: Mapping[str, Type], quoted: Mapping[str, str], more: Mapping[str, str]
) -> list[Rule]:
    """Return the checks of a table, those of its domains, and those that decide on its partition."""
    checks = {
        f"the check {one.name}": one.expression or ""
        for one in layout.table.of_kind("check")
        if one.enforced and one.expression
    }
    for name, type_ in types.items():
        for place, check in enumerate(type_.checks):
            checks[f"a check of the type {type_.spelled} of {name} ({place + 1})"] = sqltext.with_word(
                check, "VALUE", quoted[name]
            )
    return [Rule(name, sql, _columns(layout, sql)) for name, sql in {**checks, **more}.items()]


def _columns(layout: Layout, sql: str) -> tuple[str, ...]:
    """Return the columns that a condition depends on: not a generated one, but those that it is made of."""
    found: dict[str, None] = {}
    for kind, text in sqltext.tokens(sql):
        name = sqltext.unquoted(text)
        if kind in ("word", "quoted") and name in layout.table.columns:
            column = layout.table.columns[name]
            found |= (
                {column.name: None} if column.computed is None else dict.fromkeys(_columns(layout, column.computed))
            )
    return tuple(found)


class Checked:
    """Changes the slots of one table until each row meets its rules.

    Args:
        database: The database that evaluates them.
        layout: The table.
        types: The types of its columns.
        shapes: The shapes of its columns.
        rules: What each row must meet.
    """

    def __init__(
        self,
        database: Database,
        layout: Layout,
        types: Mapping[str, Type],
        shapes: Mapping[str, ColumnShape],
        rules: Sequence[Rule],
    ) -> None:
        self.database, self.layout, self.types, self.shapes, self.rules = database, layout, types, shapes, rules
        self.generator = Generator.of(database)
        self.random = random.Random(0)

    def broken(self, rules: Sequence[Rule]) -> list[Rule]:
        """Return the rules that a row of the sample would break."""
        if not rules or not self.layout.rows:
            return []
        checked = ", ".join(f"min(CASE WHEN ({one.condition}) IS FALSE THEN 0 ELSE 1 END)" for one in rules)
        try:
            found = self.database.read(f"SELECT {checked} FROM {self._sample()}")[0]
        except DBAPIError:
            # Values of a wrong form can raise in the check itself; each is evaluated alone to find it.
            return list(rules) if len(rules) == 1 else [one for rule in rules for one in self.broken([rule])]
        return [rule for rule, met in zip(rules, found, strict=True) if not met]

    def _sample(self) -> str:
        step = max(1, self.layout.rows // SAMPLE)
        row = f"(n * {step})"
        made = [f"{self.layout.value(name, row)} AS {self.database.quoted(name)}" for name in self.layout.columns]
        source = self.generator.numbers(0, min(self.layout.rows, SAMPLE) - 1)
        return self._with_generated(f"SELECT {', '.join(made)} FROM {source}", self.layout.columns)

    def _with_generated(self, rows: str, columns: Sequence[str]) -> str:
        computed = [one for one in self._generated() if set(_columns(self.layout, one.computed or "")) <= set(columns)]
        more = "".join(
            f", ({self.generator.formula(one.computed or '')}) AS {self.database.quoted(one.name)}" for one in computed
        )
        name = self.database.quoted(self.layout.table.name.name)
        return f"(SELECT made.*{more} FROM ({rows}) made) {name}"

    def _generated(self) -> list[Column]:
        """Return the generated columns that a rule names."""
        words = {sqltext.unquoted(text) for rule in self.rules for _, text in sqltext.tokens(rule.condition)}
        columns = self.layout.table.columns.values()
        return [one for one in columns if one.computed is not None and one.name in words]

    def mend(self) -> bool:
        """Change the slots until the rules hold; return whether one was changed, and must be laid out again."""
        broken = self.broken(self.rules)
        for rule in broken:
            group = self._related(rule)
            if not (self._by_nulls(group) or self._by_variants(group)):
                self._by_combinations(group, rule)
                return True
        return bool(broken)

    def _related(self, rule: Rule) -> list[Rule]:
        """Return the rules that share columns with one, and so must be met together."""
        columns, found = set(rule.columns), [rule]
        while more := [one for one in self.rules if one not in found and columns & set(one.columns)]:
            found += more
            columns |= {name for one in more for name in one.columns}
        return found

    def _slots(self, group: Sequence[Rule]) -> list[Slot]:
        names = {name for rule in group for name in rule.columns}
        return [slot for slot in self.layout.slots if names & set(slot.columns)]

    def _by_nulls(self, group: Sequence[Rule]) -> bool:
        """Have the columns be NULL in the same rows, or in none."""
        slots = [slot for slot in self._slots(group) if slot.nulls]
        before = [(slot.group, slot.nulls) for slot in slots]
        for choice in (max((slot.nulls for slot in slots), default=0.0), 0.0):
            for slot in slots:
                slot.group, slot.nulls = slots[0].seed, choice
            if slots and not self.broken(group):
                return True
        for slot, (shared, nulls) in zip(slots, before, strict=True):
            slot.group, slot.nulls = shared, nulls
        return False

    def _by_variants(self, group: Sequence[Rule]) -> bool:
        """Fill the columns in other ways, which keeps how many different values there are."""
        slots = self._slots(group)
        literals = [text for rule in group for text in literals_in(rule.condition)]
        ways = [self._ways(slot, literals) for slot in slots]
        before = [replace(slot) for slot in slots]
        for choice in _nearest_first([len(one) for one in ways]):
            for slot, kept, way, place in zip(slots, before, ways, choice, strict=True):
                slot.__dict__.update(kept.__dict__)
                way[place](slot)
                slot.nulls = 0.0
            if not self.broken(group):
                return True
        for slot, kept in zip(slots, before, strict=True):
            slot.__dict__.update(kept.__dict__)
        return False

    def _ways(self, slot: Slot, literals: list[str]) -> list[Way]:
        name = next(iter(slot.columns))
        if not slot.made or len(slot.columns) > 1:
            return (
                [Way(None, 0, slot.capacity)]
                if slot.own
                else [Way(None, place, slot.capacity) for place in (0, 1, 2, 3)]
            )
        made = self.generator.variants(self.types[name], self.shapes[name], self.layout.rows, literals)
        least = self.layout.rows if {name} in keys_of(self.layout.table) else 1
        return [Way(one, 0, one.capacity) for one in made if one.capacity >= least] or [Way(None, 0, slot.capacity)]

    def _by_combinations(self, group: Sequence[Rule], rule: Rule) -> None:
        """Try single values against the rules, and fill the columns from the combinations that meet them."""
        slots = self._slots(group)
        names = [name for slot in slots for name in slot.columns]
        found = self._met(group, slots) if all(len(slot.columns) == 1 for slot in slots) else []
        if not found:
            raise self.unmet(rule)
        kept, telling = self._different(found, names)
        columns: dict[str, Spell] = {
            name: self._picking(name, [row[place] for row in kept]) for place, name in enumerate(names)
        }
        seed = min(slot.seed for slot in slots)
        merged = Slot(columns, len(kept), len(kept), seed=seed, made=False, telling=telling)
        self.layout.slots[:] = [one for one in self.layout.slots if one not in slots] + [merged]

    def _different(self, found: Sequence[tuple[str, ...]], names: Sequence[str]) -> tuple[Found, frozenset[str]]:
        """Choose combinations, at most one for each value of columns that are unique."""
        rows = self.random.sample(found, len(found))
        whole = [key for key in keys_of(self.layout.table) if key <= set(names)]
        for key in whole:
            places = [place for place, name in enumerate(names) if name in key]
            rows = list({tuple(row[place] for place in places): row for row in rows}.values())
        return rows[:KEPT], min(whole, key=len, default=frozenset(names))

    def _picking(self, name: str, literals: Sequence[str]) -> Picking:
        return Picking(self.generator, tuple(self.generator.cast(one, self.types[name]) for one in literals))

    def _met(self, group: Sequence[Rule], slots: Sequence[Slot]) -> list[tuple[str, ...]]:
        literals = [text for rule in group for text in literals_in(rule.condition)]
        most = ALONE if len(slots) == 1 else max(2, int(COMBINED ** (1 / len(slots))))
        sources = [self._source(slot, literals, most) for slot in slots]
        columns = [name for slot in slots for name in slot.columns]
        names = [*map(self.database.quoted, columns)]
        rows = self._with_generated(f"SELECT {', '.join(names)} FROM {' CROSS JOIN '.join(sources)}", columns)
        met = " AND ".join(f"({one.condition}) IS NOT FALSE" for one in group)
        shown = ", ".join(map(self.generator.literal_of, names))
        return [tuple(row) for row in self.database.read(f"SELECT DISTINCT {shown} FROM {rows} WHERE {met}")]

    def _source(self, slot: Slot, literals: list[str], most: int) -> str:
        name = next(iter(slot.columns))
        quoted = self.database.quoted(name)
        if slot.made:
            found = self.generator.candidates(self.types[name], self.shapes[name], literals)
        else:
            found = [slot.columns[name](str(place)) for place in range(min(most, slot.capacity))]
        nulls = [self.generator.cast("NULL", self.types[name])] if name in slot.nullable else []
        valid = [one for one in [*nulls, *found][: 4 * most] if self._is_valid(one)][:most]
        return (
            f"({' UNION ALL '.join(f'SELECT {one} AS {quoted}' for one in valid)}) of_{self.layout.slots.index(slot)}"
        )

    def _is_valid(self, value: str) -> bool:
        try:
            self.database.read(f"SELECT {value}")
        except DBAPIError:
            return False
        return True

    def unmet(self, rule: Rule) -> FillingFailed:
        """Return the error of a rule for which no values were found."""
        return FillingFailed(
            f"No rows could be made for {self.layout.name}: none of the values tried meets {rule.name}.",
            why=f"Rows are made from the types and the checks alone. The condition: {rule.condition}",
            remedy="Rehearse on a backup, which has rows that meet it:",
            code="safeops rehearse --into URL --from-backup FILE",
        )


@dataclass(frozen=True)
class Way:
    """An alternative for a slot: other values, or its number shifted."""

    values: Values | None
    offset: int
    capacity: int

    def __call__(self, slot: Slot) -> None:
        slot.offset, slot.capacity = self.offset, self.capacity
        if self.offset and slot.number is not None and not slot.own:
            most, offset = max(1, min(slot.distinct, slot.capacity)), self.offset
            slot.number = lambda row: f"(({row} + {offset}) % {most})"
        if self.values is not None:
            if slot.number is not None:
                slot.number = _below(slot.number, self.capacity)
            slot.columns = dict.fromkeys(slot.columns, self.values.spell)


def _below(number: Spell, capacity: int) -> Spell:
    return lambda row: f"({number(row)} % {capacity})"


@dataclass(frozen=True)
class Picking:
    """Picks one of a list of values."""

    generator: Generator
    literals: tuple[str, ...]

    def __call__(self, number: str) -> str:
        return self.generator.chosen(self.literals, number)


def _nearest_first(counts: Sequence[int]) -> Iterator[tuple[int, ...]]:
    """Go through combinations of places, those near the first of each list first."""
    reach = max(1, int(TRIED ** (1 / max(1, len(counts)))) + 1) if math.prod(counts) > TRIED * 4 else max(counts)
    places = product(*(range(min(count, reach)) for count in counts))
    yield from sorted(places, key=lambda chosen: (sum(chosen), chosen))[: TRIED * 4]
