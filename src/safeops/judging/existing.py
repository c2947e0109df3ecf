"""What is known of the tables before a statement: replayed from earlier revisions, or read from a live database.

Both sources fill the same model, and each judged operation changes it, so a judge is independent of the source.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass, field, replace

from safeops.databases.ports import Port
from safeops.naming import Name


@dataclass
class KnownColumn:
    name: str
    type: str | None = None
    """As the server writes it, in lower case: "character varying(100)"; None if it is not known."""
    nullable: bool | None = None
    default: str | None = None
    collation: str | None = None
    generated: str | None = None
    """"stored" or "virtual"."""


@dataclass
class KnownConstraint:
    name: str
    kind: str
    """"check", "foreign key", "unique", "primary key", "exclusion", "not null"."""
    columns: tuple[str, ...] = ()
    expression: str = ""
    valid: bool = True
    referent: Name | None = None
    referred: tuple[str, ...] = ()
    """The columns of the referent; empty if they are those of its primary key, or are not known."""
    guessed: bool = False
    """The server has named it, in its own way: with a number if the name was taken."""


@dataclass
class KnownIndex:
    name: str
    columns: tuple[str, ...] = ()
    unique: bool = False
    valid: bool = True


@dataclass
class KnownTable:
    """What is known of a table.

    Args:
        name: Its name; without a schema it is in the default one.
        columns: Its columns by name.
        constraints: Its constraints by name.
        indexes: Its indexes by name.
        rows: How many rows it has; None if that is not known.
        empty: Whether it is proven to have no rows.
        new: Whether the same run of revisions created it.
        complete: Whether the columns and so on are all that there are; False if it was only seen in passing.
        partitioned: Whether it is partitioned; its partitions are tables with ``parent``.
        tablespace: The tablespace of its files, if that is known.
        access_method: Their access method, such as "heap", if that is known.
        kind: "table", "view", "materialized view", "foreign table".
        reads: Of a view: the tables that it reads.
        read_by: The views that read it, with the columns that they read; "*" is all.
        default_partition: The default partition, if the table was read from a live database.
        traits: What else makes a difference to operations on it, as ``traits.py`` has it.
    """

    name: Name
    columns: dict[str, KnownColumn] = field(default_factory=dict)
    constraints: dict[str, KnownConstraint] = field(default_factory=dict)
    indexes: dict[str, KnownIndex] = field(default_factory=dict)
    rows: int | None = None
    bytes: int | None = None
    empty: bool = False
    new: bool = False
    complete: bool = False
    partitioned: bool = False
    parent: Name | None = None
    is_default_partition: bool = False
    unlogged: bool = False
    tablespace: str | None = None
    access_method: str | None = None
    kind: str = "table"
    reads: frozenset[Name] = frozenset()
    read_by: dict[Name, frozenset[str]] = field(default_factory=dict)
    default_partition: Name | None = None
    traits: frozenset[str] = frozenset()


@dataclass
class KnownType:
    """A type that the database has: "enum", "domain", "composite"."""

    name: Name
    kind: str
    base: str | None = None
    has_rules: bool = False
    new: bool = False
    checks: tuple[str, ...] = ()
    """Of a domain: its rules, over VALUE."""
    required: bool = False
    """Of a domain: it takes no NULL."""


@dataclass(frozen=True)
class KnownFunction:
    """A function that a revision has made: whether it is volatile, and whether its code changes and locks nothing."""

    volatile: bool
    harmless: bool


class Facts(Port):
    """Facts about the tables of a live database or a scratch copy. It only reads."""

    place = "safeops.judging.{family}:Facts"
    asked = "Judging against a live database"

    @abstractmethod
    def table(self, name: Name) -> KnownTable | None:
        """Return all that is known of a table, with its rows and whether it is empty; None if there is none."""

    def type(self, name: Name) -> KnownType | None:
        """Return a type of the database's own; None if there is none."""
        return None

    def table_of_index(self, index: Name) -> Name | None:
        """Return the table of an index."""
        return None

    def tables_of_type(self, name: Name) -> list[Name]:
        """Return the tables with a column of a type."""
        return []

    def is_volatile(self, function: str) -> bool | None:
        """Return whether a function gives another value for each row; None if there is no such function."""
        return None

    def settings(self) -> dict[str, str]:
        """Return the settings of a session that change what statements do, by name in lower case."""
        return {}

    @abstractmethod
    def rows_of(self, sql: str) -> int | None:
        """Return how many rows a statement would change, read or lock, by EXPLAIN, without running it."""


@dataclass
class Existing:
    """The tables and types that are known, and how to find more.

    Args:
        facts: A live database for facts that are not known yet; None offline.
        home: The default schema.
    """

    facts: Facts | None = None
    home: str | None = None
    tables: dict[Name, KnownTable] = field(default_factory=dict)
    types: dict[Name, KnownType] = field(default_factory=dict)
    gone: set[Name] = field(default_factory=set)
    functions: dict[Name, KnownFunction] = field(default_factory=dict)

    def key(self, name: Name) -> Name:
        """Return the name as it is kept here: without the default schema."""
        return name.at(self.home)

    def table(self, name: Name) -> KnownTable | None:
        """Return a table, read from the live database the first time; None if nothing is known of it."""
        own = self.key(name)
        if own not in self.tables and own not in self.gone and self.facts is not None:
            found = self.facts.table(own)
            if found is not None:
                self.tables[own] = found
        return self.tables.get(own)

    def table_of_index(self, index: Name) -> Name | None:
        """Return the table of an index, by name."""
        for name, table in self.tables.items():
            if index.name in table.indexes or index.name in table.constraints:
                return name
        return self.facts.table_of_index(index) if self.facts is not None else None

    def type(self, name: Name) -> KnownType | None:
        own = self.key(name)
        if own not in self.types and self.facts is not None:
            found = self.facts.type(own)
            if found is not None:
                self.types[own] = found
        return self.types.get(own)

    def function(self, name: str) -> KnownFunction | None:
        """Return what is known of a function; one that the live database calls stable changes nothing."""
        namespace, _, plain = name.rpartition(".")
        own = self.key(Name(plain, namespace or None))
        volatile = self.facts.is_volatile(name) if own not in self.functions and self.facts is not None else None
        if volatile is not None:
            self.functions[own] = KnownFunction(volatile, harmless=not volatile)
        return self.functions.get(own)

    def settle(self) -> None:
        """Mark each table as existing: the revisions so far have been deployed."""
        for table in self.tables.values():
            table.new = False
        self.types = {name: replace(type_, new=False) for name, type_ in self.types.items()}
