"""The ledger: each write that the server acknowledged, in a file, to be compared with the tables afterwards."""

from __future__ import annotations

import hashlib
import json
import sqlite3
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any

TABLE = """CREATE TABLE IF NOT EXISTS writes (
    place INTEGER, key TEXT, expected TEXT, earlier TEXT, PRIMARY KEY (place, key)) WITHOUT ROWID"""
FOUND = "SELECT expected, earlier FROM writes WHERE place = ? AND key = ?"
KEPT = "INSERT OR REPLACE INTO writes VALUES (?, ?, ?, ?)"

EARLIER = 8
"""Earlier values of a column that are kept: a write that is lost leaves one of them."""

LONG = 500
"""Characters of a value up to which it is kept whole."""
DIGEST = "... sha256:"

Key = tuple[Any, ...]
Texts = dict[str, str | None]


@dataclass(frozen=True)
class Entry:
    """What a row must have.

    Args:
        key: Its key.
        expected: The last acknowledged value of each column that was written; None: the row was deleted.
        earlier: Values that a column had before that: the first, and the last ones.
        is_known: Whether the last write was acknowledged or refused; what a lost connection has sent is not known.
    """

    key: Key
    expected: Texts | None
    earlier: dict[str, list[str | None]]
    is_known: bool = True


class Ledger:
    """The acknowledged writes. The file grows with the rows written, the memory does not.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = sqlite3.connect(path, check_same_thread=False, isolation_level=None)
        self._file.execute("PRAGMA journal_mode = OFF")
        self._file.execute("PRAGMA synchronous = OFF")
        self._file.execute(TABLE)
        self._file.execute("BEGIN")
        self._lock = threading.Lock()

    def wrote(self, place: int, key: Key, values: Mapping[str, Any], present: Mapping[str, Any]) -> None:
        """Record that a row has these values now.

        Args:
            place: The position of the table in the plan.
            key: The key of the row.
            values: The values that were written.
            present: The values that it had before the traffic began, as far as they are known.
        """
        with self._lock:
            expected, earlier = self._found(place, key)
            for name, value in values.items():
                before = expected[name] if name in expected else text_of(present.get(name))
                known = [*earlier.get(name, []), before]
                earlier[name] = [*known[:1], *known[1:][1 - EARLIER :]]
                expected[name] = text_of(value)
            self._file.execute(KEPT, (place, _encoded(key), json.dumps(expected), json.dumps(earlier)))

    def deleted(self, place: int, key: Key) -> None:
        """Record that a row was deleted."""
        with self._lock:
            self._file.execute(KEPT, (place, _encoded(key), None, "{}"))

    def unsure(self, place: int, key: Key) -> None:
        """Record that the connection was lost before the server acknowledged what was written to a row."""
        with self._lock:
            self._file.execute(KEPT, (place, _encoded(key), None, None))

    def flush(self) -> None:
        """Let other processes read what was recorded."""
        with self._lock:
            self._file.execute("COMMIT")
            self._file.execute("BEGIN")

    def close(self) -> None:
        self.flush()
        with self._lock:
            self._file.close()

    def _found(self, place: int, key: Key) -> tuple[Texts, dict[str, list[str | None]]]:
        row = self._file.execute(FOUND, (place, _encoded(key))).fetchone()
        return (json.loads(row[0]), json.loads(row[1])) if row and row[0] else ({}, {})


def entries(path: Path, place: int, size: int = 200) -> Iterator[list[Entry]]:
    """Read the entries of a table, some at a time."""
    with closing(sqlite3.connect(path)) as file:
        cursor = file.execute("SELECT key, expected, earlier FROM writes WHERE place = ? ORDER BY key", (place,))
        while rows := cursor.fetchmany(size):
            yield [_entry(*row) for row in rows]


def _entry(key: str, expected: str | None, earlier: str | None) -> Entry:
    return Entry(_decoded(key), json.loads(expected or "null"), json.loads(earlier or "{}"), earlier is not None)


def text_of(value: Any) -> str | None:
    """Return a value as text, to compare it with that of the same column later; a long one as its beginning and a digest."""
    if value is None:
        return None
    text = "\\x" + bytes(value).hex() if isinstance(value, (bytes, bytearray, memoryview)) else str(value)
    return text if len(text) <= LONG else f"{text[:40]}{DIGEST}{hashlib.sha256(text.encode()).hexdigest()}"


def _encoded(key: Sequence[Any]) -> str:
    return json.dumps([value if isinstance(value, (int, str)) else _other(value) for value in key])


def _other(value: Any) -> Any:
    return {"hex": bytes(value).hex()} if isinstance(value, (bytes, bytearray, memoryview)) else str(value)


def _decoded(text: str) -> Key:
    return tuple(bytes.fromhex(one["hex"]) if isinstance(one, dict) else one for one in json.loads(text))
