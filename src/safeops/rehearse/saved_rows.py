"""Keeps a hash of each row of a copy, and finds the rows that have changed since."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass

from sqlalchemy.engine import Connection, Engine

from safeops.databases import database_on
from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.naming import Name
from safeops.rehearse.following import OBSERVER
from safeops.rehearse.shapes import tables_of

SHOWN = 5
MOST = 10_000
"""After so many rows that differ, the others are not counted."""
BETWEEN = "\x1f"
"""Separates the values of a key with several columns."""
Key = str
Touched = Mapping[Name, Collection[Key] | None]
"""The keys of rows that others have written, by their tables; None for a table of which that is not known."""


class SavedRows(Port):
    """How a server makes a hash of a row, and keeps it in a table that only this session sees."""

    place = "safeops.rehearse.{family}.saved_rows:SavedRows"
    asked = "A comparison of rows"

    def prepare(self) -> None:
        """Prepare the session for the statements that follow."""

    @abstractmethod
    def hashed(self, values: Sequence[str]) -> str:
        """Return the hash of some values, as SQL."""

    def joined(self, texts: Sequence[str]) -> str:
        """Return some texts as one, as SQL."""
        return " || ".join(texts)

    def keys(self, columns: Sequence[str]) -> list[str]:
        """Return what to keep of a key, as SQL over the columns of ``t``."""
        return [f"t.{self.quoted(name)}" for name in columns]

    def index(self, saved: str, columns: Sequence[str]) -> None:
        """Make a saved key quick to find."""


@dataclass(frozen=True)
class Changed:
    """How the rows of a table differ from those that were saved.

    Args:
        table: The table.
        rows: How many rows differ; ``MOST`` if there are at least so many.
        what: How they differ, in words.
        keys: The keys of at most five of them.
    """

    table: Name
    rows: int
    what: str
    keys: tuple[Key, ...] = ()

    def __str__(self) -> str:
        if not self.rows:
            return f"{self.table}: {self.what}"
        number = f"at least {self.rows:,}" if self.rows >= MOST else f"{self.rows:,}"
        keys = f" (keys: {', '.join(key.replace(BETWEEN, ', ') for key in self.keys)})" if self.keys else ""
        return f"{self.table}: {number} row{'' if self.rows == 1 else 's'} {self.what}{keys}"


@dataclass(frozen=True)
class _Saved:
    """A table whose rows are saved, the name of the table that has their hashes, and the columns that can be NULL."""

    table: Table
    columns: tuple[str, ...]
    name: str
    nullable: tuple[str, ...]


class RowKeeper:
    """The hashes of all rows of a database, in temporary tables of one session, which end with it.

    Args:
        connection: The session, in autocommit: it holds no lock between its statements.
    """

    def __init__(self, connection: Connection) -> None:
        self._database = database_on(connection)
        self._port = SavedRows.of(self._database)
        self._saved: list[_Saved] = []
        self._port.prepare()

    @property
    def tables(self) -> list[Table]:
        """The tables whose rows are saved."""
        return [saved.table for saved in self._saved]

    def save(self, tables: Iterable[Table]) -> None:
        """Save the rows of tables as they are now."""
        for place, table in enumerate(tables):
            nullable = [column.name for column in table.columns.values() if column.nullable]
            saved = _Saved(table, tuple(table.columns), f"safeops_rows_{place}", tuple(nullable))
            keys = self._port.keys(table.primary_key)
            listed = [f"{sql} AS safeops_key{number}" for number, sql in enumerate(keys)]
            listed.append(f"{self._hashed(saved)} AS safeops_hash")
            if nullable:
                marks = [f"CASE WHEN t.{self._port.quoted(name)} IS NULL THEN '1' ELSE '0' END" for name in nullable]
                listed.append(f"{self._port.joined(marks)} AS safeops_nulls")
            source = self._port.quoted_table(table.name)
            self._port.run(f"CREATE TEMPORARY TABLE {saved.name} AS SELECT {', '.join(listed)} FROM {source} t")
            self._port.index(saved.name, [f"safeops_key{number}" for number in range(len(keys))])
            self._saved.append(saved)

    def changed(self, touched: Touched) -> Iterator[Changed]:
        """Compare the rows with those that were saved; tables and columns must be there again.

        Args:
            touched: The keys of rows that others have written since, which do not count; None: no row of the table does.
        """
        for saved in self._saved:
            keys = touched.get(saved.table.name, ())
            current = self._database.table(saved.table.name)
            lacking = [name for name in saved.columns if current is None or name not in current.columns]
            if current is None or lacking:
                what = "the table" if current is None else f"column {', '.join(lacking)}"
                yield Changed(saved.table.name, 0, f"{what} is not there, and its values cannot be compared")
            elif keys is None:
                continue
            elif saved.table.primary_key:
                yield from self._by_key(saved, keys)
            elif not keys:
                yield from self._as_a_whole(saved)

    # By key -----------------------------------------------------------------------------------------------------

    def _by_key(self, saved: _Saved, touched: Collection[Key]) -> Iterator[Changed]:
        table, keys = self._port.quoted_table(saved.table.name), self._port.keys(saved.table.primary_key)
        kept = [f"s.safeops_key{number}" for number in range(len(keys))]
        same = " AND ".join(f"{key} = {own}" for key, own in zip(keys, kept, strict=True))
        old, new = ", ".join(kept), ", ".join(keys)
        differs = f"s.safeops_hash <> {self._hashed(saved, with_nulls_of='s')}"
        questions = {
            "changed": f"SELECT {old} FROM {saved.name} s JOIN {table} t ON {same} WHERE {differs}",
            "missing": f"SELECT {old} FROM {saved.name} s WHERE NOT EXISTS (SELECT 1 FROM {table} t WHERE {same})",
            "added": f"SELECT {new} FROM {table} t WHERE NOT EXISTS (SELECT 1 FROM {saved.name} s WHERE {same})",
        }
        for what, sql in questions.items():
            found = [key for key in self._keys(f"{sql} LIMIT {MOST + len(touched)}") if key not in touched][:MOST]
            if found:
                yield Changed(saved.table.name, len(found), what, tuple(found[:SHOWN]))

    def _hashed(self, saved: _Saved, *, with_nulls_of: str = "") -> str:
        """Return the hash of a row; what was NULL in the row of a saved table as NULL: it may have got a value."""
        values = {name: f"t.{self._port.quoted(name)}" for name in saved.columns}
        for place, name in enumerate(saved.nullable, 1):
            mark = f"SUBSTR({with_nulls_of}.safeops_nulls, {place}, 1) = '1'"
            # The same form for both hashes: a CASE can have another type than its column.
            was_null = mark if with_nulls_of else f"{values[name]} IS NULL"
            values[name] = f"CASE WHEN {was_null} THEN NULL ELSE {values[name]} END"
        return self._port.hashed([*values.values()])

    def _keys(self, sql: str) -> Iterator[Key]:
        return map(key_text, self._port.read(sql))

    # Without a key ----------------------------------------------------------------------------------------------

    def _as_a_whole(self, saved: _Saved) -> Iterator[Changed]:
        """Compare a table without a primary key: by the number of its rows and of each hash."""
        table, hashed = self._port.quoted_table(saved.table.name), self._hashed(saved)
        now = f"SELECT {hashed} AS h, 1 AS n FROM {table} t"
        both = f"SELECT safeops_hash AS h, -1 AS n FROM {saved.name} UNION ALL {now}"
        unequal = f"SELECT sum(n) AS n FROM ({both}) b GROUP BY h HAVING sum(n) <> 0"
        counts = self._port.read(f"SELECT sum(CASE WHEN n > 0 THEN n ELSE -n END) FROM ({unequal}) c")
        if number := int(counts[0][0] or 0):
            yield Changed(saved.table.name, min(number, MOST), "changed, missing or added")


def key_text(values: Iterable[object]) -> Key:
    """Return the values of a key as one text."""
    return BETWEEN.join(map(str, values))


@contextmanager
def keeping_rows(engine: Engine) -> Iterator[RowKeeper]:
    """Save the rows of the database that an engine connects to, for the block."""
    with engine.connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
        keeper = RowKeeper(connection)
        keeper.save(table for _, table in tables_of(database_on(connection)))
        yield keeper
