"""Triggers that safeops puts on a table: one that fills new rows, and those that keep two columns in sync."""

from __future__ import annotations

import json
import re
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.databases.steps import Plan
from safeops.errors import DefinitionMismatch
from safeops.naming import Name

ROW = "/*safeops:row*/"
"""The placeholder, in the query of a value, for the row that the value is computed from."""
FILLS = "safeops_fill"
"""Begins the names of such triggers, and of their functions."""


@dataclass(frozen=True)
class Filler:
    """What fills a column of new rows.

    Args:
        table: The table, in its schema.
        column: The column that is filled if it is NULL.
        query: The query of the value, with ``ROW`` in place of the row that it selects from.
        reads: The columns of the row that the query may read; None is all: under ``--sql`` they are not known.
    """

    table: Name
    column: str
    query: str
    reads: tuple[str, ...] | None


class Triggers(Port):
    """What each database does to keep new rows filled. ``existing`` is the table; None under ``--sql``."""

    place = "safeops.databases.{family}.triggers:Triggers"
    asked = "Triggers"

    @abstractmethod
    def fill_new_rows(self, filler: Filler, existing: Table | None) -> Plan:
        """Plan that rows written without a value get one; no step if they do already."""

    @abstractmethod
    def stop_filling(self, name: Name, column: str, existing: Table | None) -> Plan:
        """Plan that new rows are no longer filled; no step if they are not."""

    def null_of(self, type_: str) -> str:
        """Render NULL as a value of a type."""
        return "NULL"

    def check_value(self, query: str, type_: str) -> None:
        """Have the server plan a query of values for a column of this type, which raises what is wrong with it."""
        self.database.sizes.explain(query)

    def filled_query(self, filler: Filler, record: str = "NEW") -> str:
        """Return the query of the value with the row of a trigger in it."""
        if filler.reads is None:
            return filler.query.replace(ROW, f"SELECT {record}.*")
        columns = [f"{record}.{self.quoted(name)} AS {self.quoted(name)}" for name in filler.reads]
        return filler.query.replace(ROW, f"SELECT {', '.join(columns or ['1 AS safeops_row'])}")

    def update_triggers(self, table: Name) -> list[str]:
        """Describe the author's triggers that run on an UPDATE of the table, and may cancel it or take its values back."""
        return []

    def check_triggers(self, feature: str, table: Name, *, locks_table: bool) -> None:
        """Raise what keeps this server or account from making triggers, before anything is changed.

        Args:
            feature: What needs them, for the message.
            table: The table.
            locks_table: It also needs a lock that keeps all other sessions from writing.
        """


def later_than(name: str, triggers: Sequence[str]) -> list[str]:
    """Return the triggers that run after one of this name, on servers that run them in the order of their names."""
    return [trigger for trigger in triggers if trigger.encode() > name.encode()]


MARK = "safeops "
"""Begins the note of a pair in its triggers and functions: an SQL comment or a literal."""
NOTED = re.compile(rf"/\*{MARK}(\{{.*?)\*/|'{MARK}(\{{[^']*)'", re.S)


RENAMED = "safeops: stands for a table that has been renamed"
"""The comment of a view that has the old name of a table."""


@dataclass(frozen=True)
class Pair:
    """A column and the shadow column that is kept in sync with it.

    Args:
        name: What the triggers and functions that keep them in sync are named after; it begins with ``safeops``.
        table: The table, in its schema.
        source: The column that carries the names of its indexes and constraints, its default and its identity.
        shadow: The column that follows it. If ``winner`` is given, applications write it too.
        winner: Which of the two wins if one statement changes both; None: the source alone is written, and the
            shadow only follows.
        type: The type of the shadow as the server spells it; None is that of the source, with its collation.
        value: What the shadow becomes, as SQL over the source's name; None is the source as it is.
        back: What the source's values become in the old type again, likewise.
        default: The default that the shadow gets once it is swapped in, if known: the one that it had before.
        switched: The two have been swapped: the former source now follows the former shadow.
    """

    name: str
    table: Name
    source: str
    shadow: str
    winner: str | None = None
    type: str | None = None
    value: str | None = None
    back: str | None = None
    default: str | None = None
    switched: bool = False

    @property
    def note(self) -> str:
        """The pair as an SQL comment, which ``pair_of`` reads."""
        note = self._as_json.replace("/", "\\u002f").replace("*", "\\u002a")
        return f"/*{MARK}{note}*/"

    @property
    def literal_note(self) -> str:
        """The pair as a literal, for a database whose dumps lose or break comments. Percent-encoded with another character:
        a catalogue shows a literal without its backslashes, and a driver takes % for a parameter."""
        encoded = quote(self._as_json, safe=" {}[]:,().").replace("%", "=")
        return f"'{MARK}{encoded}'"

    @property
    def _as_json(self) -> str:
        # The key is what earlier releases have written.
        stored = {"twin" if name == "shadow" else name: value for name, value in asdict(self).items()}
        return json.dumps({**stored, "table": None})

    @property
    def mirrored(self) -> Pair:
        """The pair with the two columns exchanged."""
        return replace(self, source=self.shadow, shadow=self.source)


def is_noted(text: str) -> bool:
    """Return whether a text holds the note of a pair."""
    return NOTED.search(text) is not None


def pair_of(text: str, table: Name) -> Pair | None:
    """Read the note of a pair in the text of one of its triggers or functions."""
    found = NOTED.search(text)
    if found is None:
        return None
    note: dict[str, Any] = json.loads(found[1] or unquote(found[2].replace("=", "%")))
    shadow = note.pop("twin")
    return Pair(**{**note, "table": table, "shadow": shadow})


def changed_since_inspection(pair: Pair) -> DefinitionMismatch:
    """Return the error for a pair that changed since safeops inspected it; raise it as it is."""
    error = DefinitionMismatch(
        f"{pair.source} and {pair.shadow} of {pair.table} are not what they were when safeops looked.",
        why="Another runner has changed them in the meantime.",
        remedy="Run again, which inspects them again, and let env.py run one migration at a time:",
        code="with engine.connect() as connection, migration_lock(connection):\n    ...",
    )
    error.__cause__ = LookupError(pair.name)
    return error
