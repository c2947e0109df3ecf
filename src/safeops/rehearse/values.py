"""The values that a column is filled with: each is an SQL expression of a number, which the server evaluates.

Different numbers give different values. So a unique column is filled with different numbers, and a foreign key with the
values that the numbers of other rows give.
"""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from functools import partial
from itertools import combinations
from math import prod
from typing import TypeAlias

from safeops.databases.definitions import Column
from safeops.databases.ports import Port
from safeops.rehearse.literals import days_in, numbers_in, plain
from safeops.rehearse.patterns import Places, places_of, places_of_like
from safeops.rehearse.shapes import ColumnShape

Spell: TypeAlias = Callable[[str], str]
"""Makes the SQL of a value from the SQL of its number."""

LETTERS = 26
SHORT = 9
"""A shorter text has the characters a to z only: a number in hexadecimal digits can be longer."""
WIDE = 24
"""Characters of a text of which nothing is known."""
AROUND = 8
"""Characters of a number between two texts."""
LONGEST = 1 << 20
MANY = 1 << 40
DAYS = 36_500
SECONDS = 1_000_000_000
FILLER = "zebras run past the river "
"""What a text is padded with. It does not begin with a hexadecimal digit: different texts remain different."""


@dataclass(frozen=True)
class Type:
    """The type of a column, with what a domain, an enum or an array adds to it.

    Args:
        kind: "integer", "number", "real", "text", "date", "moment", "choice", or "other".
        name: Its name without arguments, as the server writes it.
        spelled: The name to cast to.
        arguments: The numbers in parentheses.
        labels: The values of an enum.
        most: The highest number of an integer.
        element: The type of the elements of an array, of the bounds of a range.
        parts: The types of the fields of a composite type.
        checks: The rules of a domain, over VALUE.
        required: Whether a domain refuses NULL.
    """

    kind: str
    name: str
    spelled: str
    arguments: tuple[int, ...] = ()
    labels: tuple[str, ...] = ()
    most: int = 0
    element: Type | None = None
    parts: tuple[Type, ...] = ()
    checks: tuple[str, ...] = ()
    required: bool = False

    @property
    def length(self) -> int:
        """How many characters a text may have."""
        return self.arguments[0] if self.arguments else LONGEST


@dataclass(frozen=True)
class Values:
    """Values for the numbers from 0 to ``capacity - 1``, and how many of them are used if nothing else is known."""

    capacity: int
    spell: Spell
    usual: int = 0


class Generator(Port):
    """Makes the values of a type, each family in its own SQL."""

    place = "safeops.rehearse.{family}.values:Generator"
    asked = "Filling a table"

    inserting = ""
    """What follows the columns of an INSERT that gives values to columns of identity."""

    # What a server writes in its own way ---------------------------------------------------------------------------

    @abstractmethod
    def type_of(self, column: Column) -> Type:
        """Return the type of a column."""

    @abstractmethod
    def numbers(self, first: int, last: int) -> str:
        """Return what follows FROM to get the whole numbers as ``n``."""

    @abstractmethod
    def halved(self, number: str, by: int) -> str:
        """Divide a number without a rest."""

    @abstractmethod
    def joined(self, *texts: str) -> str: ...

    @abstractmethod
    def token(self, number: str) -> str:
        """Return a number as hexadecimal digits."""

    @abstractmethod
    def letter(self, number: str, first: str) -> str:
        """Return one of 26 characters for a number from 0 to 25."""

    @abstractmethod
    def padded(self, text: str, width: int) -> str:
        """Pad a text on the right."""

    @abstractmethod
    def zeros(self, number: str, width: int) -> str:
        """Pad a number on the left."""

    @abstractmethod
    def cast(self, value: str, type_: Type) -> str: ...

    @abstractmethod
    def day(self, base: str, number: str) -> str:
        """Return the day that is so many days after another."""

    @abstractmethod
    def moment(self, base: str, number: str, type_: Type) -> str:
        """Return the moment that is so many seconds after the beginning of a day."""

    def chosen(self, values: Sequence[str], number: str) -> str:
        """Return the value with this number in a list."""
        cases = " ".join(f"WHEN {place} THEN {value}" for place, value in enumerate(values))
        return f"CASE {number} {cases} END"

    def formula(self, computed: str) -> str:
        """Return the expression of a generated column, without how it is stored."""
        return computed

    def others(self, type_: Type, shape: ColumnShape, literals: Sequence[str]) -> list[Values]:
        """Return values of a type that only this family has; none if it is not known."""
        return []

    @abstractmethod
    def literal_of(self, column: str) -> str:
        """Return SQL that gives a value as a literal."""

    def shuffled(self, column: str) -> str:
        """Return what to order by for a random order."""
        return f"md5(CAST({column} AS char(40)))"

    # Values of each kind -----------------------------------------------------------------------------------------

    def variants(self, type_: Type, shape: ColumnShape, rows: int, literals: Iterable[str] = ()) -> list[Values]:
        """Return ways to fill a column, the usual one first.

        Args:
            type_: The type of the column.
            shape: What is known of its values.
            rows: How many different values may be needed.
            literals: Texts and numbers that its checks mention.
        """
        match type_.kind:
            case "integer":
                return self._integers(type_, shape, rows, numbers_in(literals))
            case "number" | "real":
                return self._decimals(type_, numbers_in(literals))
            case "text":
                return self._texts(type_, shape, rows, list(literals))
            case "date" | "moment":
                return self._times(type_, days_in(literals))
            case "choice":
                values = [self.cast(self.literal(label), type_) for label in type_.labels]
                return [Values(len(values), lambda number: self.chosen(values, number), len(values))]
        return self.others(type_, shape, list(literals))

    def _integers(self, type_: Type, shape: ColumnShape, rows: int, literals: list[Decimal]) -> list[Values]:
        def of(low: int, step: int, most: int) -> Values:
            capacity = max(0, (most - low) // step + 1) if step > 0 else low + type_.most + 1
            return Values(capacity, lambda n: self.cast(f"{low} + {n}{'' if step == 1 else f' * {step}'}", type_))

        whole = sorted({int(one) for one in literals})
        gaps = 1 if shape.low is None or shape.high is None else max(1, (shape.high - shape.low) // max(1, rows - 1))
        found = [of(1 if shape.low is None else shape.low, gaps, type_.most), of(0, 1, type_.most)]
        found += [of(one + shift, step, type_.most) for one in whole for step in (1, -1) for shift in (0, step)]
        found += [of(low, 1, high) for low, high in combinations(whole, 2)]
        return found + [of(low + 1, 1, high - 1) for low, high in combinations(whole, 2) if high - low > 1]

    def _decimals(self, type_: Type, literals: list[Decimal]) -> list[Values]:
        scale = (type_.arguments[1] if len(type_.arguments) > 1 else 0) if type_.arguments else 2
        digits = min(type_.arguments[0] if type_.arguments else 15, 15)
        unit, most = Decimal(1).scaleb(-scale), 10**digits

        def of(low: Decimal, high: Decimal | None = None) -> Values:
            capacity = most - int(low / unit) - 1 if high is None else int((high - low) / unit) + 1
            return Values(max(0, capacity), lambda n: self.cast(f"{low} + {n} * {unit:f}", type_))

        known = sorted(set(literals))
        pairs = [(low, high) for low, high in combinations(known, 2) if high - low > 2 * unit]
        found = [of(unit), of(Decimal(0)), *(of(one + shift) for one in known for shift in (0, unit))]
        found.append(of(-(10 ** (digits - 1)) * unit))
        return found + [of(low + shift, high - shift) for shift in (0, unit) for low, high in pairs]

    def _texts(self, type_: Type, shape: ColumnShape, rows: int, literals: list[str]) -> list[Values]:
        longest, width = type_.length, shape.width or WIDE
        least = _letters_for(rows if shape.distinct is None else int(shape.distinct) + 1)
        short = min(longest, max(width, least)) if width < SHORT or longest < SHORT else 0
        count = short or min(longest, SHORT)
        long = Values(1 << 32, lambda n: self.padded(self.token(n), min(longest, max(width, SHORT))))
        small, large = self._words(count, "a"), self._words(count, "A")
        found = [
            small if short else long,
            large,
            small,
            self._digits(short or min(longest, max(width, 12))),
        ]
        if longest >= 3:
            found += [self._words(3, "A"), self._words(min(longest, 6), "a")]
        found += [*map(self._matching, filter(None, map(places_of, literals)))]
        found += [*map(self._matching, filter(None, map(places_of_like, literals)))]
        around = [("a", "@example.com"), ('{"n": "', '"}')]
        for text in (*filter(None, map(plain, literals)), "https://example.com/", "+49"):
            around += [(text, ""), ("", text)]
        for before, after in around:
            if len(before) + len(after) + AROUND <= longest:
                found += [
                    self._around(before, after, spell) for spell in (self.token, partial(self.zeros, width=AROUND))
                ]
        return [one for one in found if one.capacity]

    def _words(self, count: int, first: str) -> Values:
        def spell(number: str) -> str:
            parts = [self.halved(number, LETTERS**place) if place else number for place in range(count)]
            return self.joined(*(self.letter(f"({part} % {LETTERS})", first) for part in reversed(parts)))

        return Values(LETTERS ** min(count, 12), spell)

    def _matching(self, places: Places) -> Values:
        """Return the texts that have one of the characters allowed in each place."""

        def spell(number: str) -> str:
            parts, before = list[str](), 1
            for allowed in places:
                digit = self.halved(number, before) if before > 1 else number
                drawn = f"substr({self.literal(allowed)}, {self.whole(f'1 + {digit} % {len(allowed)}')}, 1)"
                parts.append(drawn if len(allowed) > 1 and before < MANY else self.literal(allowed[0]))
                before *= len(allowed) if before < MANY else 1
            return self.joined(*parts)

        return Values(min(prod(map(len, places)), MANY), spell)

    def whole(self, number: str) -> str:
        """Return a number as the functions of the server take it."""
        return number

    def _digits(self, count: int) -> Values:
        return Values(10 ** min(count, 15), lambda number: self.zeros(number, count))

    def _around(self, before: str, after: str, middle: Spell) -> Values:
        def whole(number: str) -> str:
            parts = (before and self.literal(before), middle(number), after and self.literal(after))
            return self.joined(*filter(None, parts))

        return Values(10**AROUND, whole)

    def _times(self, type_: Type, days: list[str]) -> list[Values]:
        def of(base: str, direction: str = "") -> Values:
            if type_.kind == "date":
                return Values(DAYS, lambda n: self.day(base, f"{direction}{n}"), 3650)
            return Values(SECONDS, lambda n: self.moment(base, f"{direction}{n}", type_))

        return [*map(of, ("2000-01-01", "2060-01-01", "1950-01-01", *days)), *(of(one, "-") for one in days)]

    # Values to try against a check -------------------------------------------------------------------------------

    def candidates(self, type_: Type, shape: ColumnShape, literals: Sequence[str]) -> list[str]:
        """Return values to try against a check, those that it mentions first."""
        mentioned: list[str] = []
        if type_.kind in ("integer", "number", "real"):
            numbers = sorted(set(numbers_in(literals)))
            between = [(low + high) / 2 for low, high in combinations(numbers, 2)]
            numbers += [one + step for one in numbers for step in (-1, 1)] + between
            if type_.kind == "integer":
                numbers = [Decimal(int(one)) for one in numbers]
            mentioned = [self.cast(f"{one:f}", type_) for one in dict.fromkeys(numbers)]
        elif type_.kind == "text":
            mentioned = [self.literal(text) for text in dict.fromkeys((*literals, *map(plain, literals)))]
        made = self.variants(type_, shape, 1000, literals)
        spelled = (one.spell(str(place)) for place in (0, 1, 5, 40) for one in made if one.capacity > place)
        return [*mentioned, *dict.fromkeys(spelled)]


def _letters_for(count: int) -> int:
    needed = 1
    while LETTERS**needed < count:
        needed += 1
    return needed
