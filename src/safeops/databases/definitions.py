"""What exists in a database, in one form for all of them, and how two definitions differ."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, ItemsView, Iterable, Iterator, Mapping, ValuesView
from dataclasses import dataclass, field, fields
from typing import Any, TypeAlias, TypeVar

import sqlalchemy as sa

from safeops.databases import sqltext
from safeops.naming import Name

Value = TypeVar("Value")


class NameMapping(dict[str, Value]):
    """A mapping by names whose case does not count; it iterates over them as they are spelled.

    Args:
        items: The names with their values.
        fold: Makes names equal that are the same to the server.
    """

    def __init__(self, items: Iterable[tuple[str, Value]] = (), fold: Callable[[str], str] = str.casefold) -> None:
        super().__init__(items)
        self._fold = fold
        self._spelled = {fold(name): name for name in self}

    def __contains__(self, name: object) -> bool:
        return isinstance(name, str) and self._fold(name) in self._spelled

    def __getitem__(self, name: str) -> Value:
        return super().__getitem__(self.spelled(name))

    def get(self, name: str, default: Any = None) -> Any:
        return super().get(self.spelled(name), default)

    def spelled(self, name: str) -> str:
        """Return a name as it is spelled here, or as it is given."""
        return self._spelled.get(self._fold(name), name)


class PartlyRead(Mapping[str, Value]):
    """A mapping by names of which only some values were read; the first use of another one reads all.

    Args:
        known: The values that were read, by name.
        names: The names of all.
        read: Reads all values.
    """

    def __init__(
        self, known: Mapping[str, Value], names: Iterable[str], read: Callable[[], Mapping[str, Value]]
    ) -> None:
        self._known, self._names, self._read = known, dict.fromkeys(names), read

    def __contains__(self, name: object) -> bool:
        return name in self._names

    def __iter__(self) -> Iterator[str]:
        return iter(self._names)

    def __len__(self) -> int:
        return len(self._names)

    def __getitem__(self, name: str) -> Value:
        if name in self._names and name not in self._known:
            self._read_all()
        return self._known[name]

    def values(self) -> ValuesView[Value]:
        return self._whole().values()

    def items(self) -> ItemsView[str, Value]:
        return self._whole().items()

    def _whole(self) -> Mapping[str, Value]:
        """Return all values as they are now: another session may have dropped one since the names were read."""
        if any(name not in self._known for name in self._names):
            self._read_all()
        return self._known

    def _read_all(self) -> None:
        self._known = self._read()
        self._names = dict.fromkeys(self._known)


def _part(label: str, same: Callable[[Any, Any], bool] | None = None, default: Any = None) -> Any:
    return field(default=default, metadata={"label": label, "same": same or operator.eq})


def _same_if_given(one: bool | None, other: bool | None) -> bool:
    return one is None or other is None or one == other


def _same_texts(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    return [*map(sqltext.element, one)] == [*map(sqltext.element, other)]


@dataclass(frozen=True)
class Column:
    """A column; ``type`` is spelled as the server spells it."""

    name: str
    type: str = _part("type")
    nullable: bool = _part("nullable", default=True)
    default: str | None = _part("default", sqltext.same)
    computed: str | None = _part("computed", sqltext.same)
    persisted: bool | None = _part("stored", _same_if_given)
    identity: str | None = _part("identity")
    collation: str | None = _part("collation")
    comment: str | None = _part("comment")


@dataclass(frozen=True)
class Index:
    """An index; each of ``columns`` is SQL: a column or an expression, with operator class, collation and direction."""

    name: str
    columns: tuple[str, ...] = _part("columns", _same_texts, ())
    unique: bool = _part("unique", default=False)
    where: str | None = _part("predicate", sqltext.same)
    method: str = _part("method", default="btree")
    include: tuple[str, ...] = _part("include", default=())
    nulls_not_distinct: bool = _part("nulls not distinct", default=False)
    options: tuple[str, ...] = _part("options", default=())
    table: str = ""
    valid: bool = True
    inherited: bool = False
    of_constraint: bool = False
    definition: str = ""
    comment: str | None = None

    @property
    def names(self) -> tuple[str, ...]:
        """The columns as names; expressions stay SQL."""
        return tuple(_column_of(column) for column in self.columns)


@dataclass(frozen=True)
class Constraint:
    """A constraint of any kind; ``kind`` is "foreign key", "check", "unique", "primary key", "exclude" or "not null"."""

    name: str
    kind: str = _part("kind")
    columns: tuple[str, ...] = _part("columns", default=())
    expression: str | None = _part("condition", sqltext.same)
    referent: Name | None = _part("referent table")
    remote: tuple[str, ...] = _part("referent columns", default=())
    onupdate: str | None = _part("onupdate")
    ondelete: str | None = _part("ondelete")
    match: str | None = _part("match")
    deferrable: bool = _part("deferrable", default=False)
    initially: str | None = _part("initially")
    include: tuple[str, ...] = _part("include", default=())
    nulls_not_distinct: bool = _part("nulls not distinct", default=False)
    periods: bool = _part("over periods of time", default=False)
    """WITHOUT OVERLAPS of a key, PERIOD of a foreign key: its last column is a range."""
    enforced: bool = _part("enforced", default=True)
    """New rows are checked; False is NOT ENFORCED, under which no row is, and which is another definition."""
    valid: bool = True
    """Every row is known to meet it. False also while new rows alone are checked: NOT VALID, or a foreign key of MariaDB and
    MySQL whose old rows are still to be checked."""
    inherited: bool = False
    definition: str = ""
    id: int | None = field(default=None, compare=False)
    """The server's id of it, which a rename keeps; None on servers without one."""

    @property
    def names(self) -> tuple[str, ...]:
        return self.columns


@dataclass(frozen=True)
class Published:
    """The publications of a table with all its columns, the slots that subscribers of the database read from, and the
    publications that list its columns."""

    names: tuple[str, ...] = ()
    slots: tuple[str, ...] = ()
    listing: tuple[str, ...] = ()


@dataclass(frozen=True)
class Domain:
    """A named type with its own rules; each of ``checks`` calls the value VALUE."""

    base: str
    required: bool
    has_default: bool
    checks: tuple[str, ...]

    @property
    def has_rules(self) -> bool:
        return self.required or bool(self.checks)


Thing: TypeAlias = Column | Index | Constraint


@dataclass(frozen=True)
class Table:
    """An existing table with its columns, indexes and constraints."""

    name: Name
    columns: Mapping[str, Column]
    indexes: Mapping[str, Index] = field(default_factory=dict)
    constraints: Mapping[str, Constraint] = field(default_factory=dict)
    comment: str | None = None
    kind: str = "table"
    id: int = 0
    rows: int = 0
    bytes: int = 0
    partitions: tuple[Name, ...] = ()
    sql: str = ""
    taken: Mapping[str, str | None] = field(default_factory=dict)
    """For each name that was looked up, what else in the schema has it: the table of an index, the object itself, None."""
    is_empty: bool = False
    """It had no rows when it was inspected; False also if that is not known."""
    shows_all_rows: bool = False
    """No row security hides rows from the role that inspected it; False also if that is not known."""
    is_inherited: bool = True
    """Other tables, such as partitions, inherit from it; True also if that is not known."""
    unpublished: bool = False
    """Its database has no publications; False also if that is not known."""

    @property
    def is_partitioned(self) -> bool:
        return self.kind == "partitioned table"

    @property
    def primary_key(self) -> tuple[str, ...]:
        return next((key.columns for key in self.of_kind("primary key")), ())

    def of_kind(self, kind: str) -> list[Constraint]:
        """Return the constraints of a kind."""
        return [constraint for constraint in self.constraints.values() if constraint.kind == kind]

    def referents(self, column: str | None = None) -> list[Name]:
        """Return the tables that foreign keys of the table, or of one of its columns, refer to."""
        keys = [key for key in self.of_kind("foreign key") if column is None or column in key.columns]
        return list(dict.fromkeys(key.referent for key in keys if key.referent))

    def things_using(self, column: str) -> list[Index | Constraint]:
        """Return the indexes and constraints that name the column."""
        things: list[Index | Constraint] = [*self.indexes.values(), *self.constraints.values()]
        return [thing for thing in things if column in names_in(thing)]


def foreign_key(table: Table, existing: Constraint, referent: Name) -> sa.ForeignKeyConstraint:
    """Return a foreign key as a construct. The tables have each their metadata, since they may be one and the same."""
    target = sa.Table(referent.name, sa.MetaData(), *map(sa.Column, existing.remote), schema=referent.schema)
    source = sa.Table(table.name.name, sa.MetaData(), *map(sa.Column, existing.columns), schema=table.name.schema)
    key = sa.ForeignKeyConstraint(existing.columns, list(target.columns), name=existing.name)
    source.append_constraint(key)
    return key


# A column, with the length of its prefix and its direction.
_ELEMENT = re.compile(r"""^("(?:[^"]|"")*"|`(?:[^`]|``)*`|[^\W\d]\w*)(?:\(\d+\))?(?:\s+(?:asc|desc))?$""", re.I)


def _column_of(element: str) -> str:
    match = _ELEMENT.match(element)
    return sqltext.unquoted(match[1]) if match else element


def names_in(thing: Index | Constraint) -> set[str]:
    texts = [*thing.columns]
    texts += [thing.where or ""] if isinstance(thing, Index) else [thing.expression or ""]
    names = {
        sqltext.unquoted(name) for text in texts for kind, name in sqltext.tokens(text) if kind in ("word", "quoted")
    }
    return names | set(thing.names) | set(thing.include)


@dataclass(frozen=True)
class Difference:
    """One part in which an existing definition differs from the requested one."""

    part: str
    existing: Any
    wanted: Any

    def __str__(self) -> str:
        return f"{self.part} is {_shown(self.existing)}, not {_shown(self.wanted)}"


def _shown(value: Any) -> str:
    if isinstance(value, tuple):
        return f"({', '.join(value)})"
    return "none" if value is None else str(value)


def differences(existing: Thing, wanted: Thing, ignoring: frozenset[str] = frozenset()) -> list[Difference]:
    """Name each part in which two things differ; parts outside the definition do not count."""
    found = []
    for part in fields(existing):
        label = part.metadata.get("label")
        if label is None or part.name in ignoring:
            continue
        one, other = getattr(existing, part.name), getattr(wanted, part.name)
        if not part.metadata["same"](one, other):
            found.append(Difference(label, one, other))
    return found
