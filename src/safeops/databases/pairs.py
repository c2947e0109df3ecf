"""A column and its twin, which the database keeps in step whoever writes which: the verbs of renames and type changes.

A change of a column over several deploys goes through these states:

    alone      the column stands by itself
    paired     the twin stands beside it, in step from the first moment on, at first without the values of old rows
    equipped   the twin has copies of the column's indexes and constraints
    promoted   the twin has taken over the names; the column is gone, or stays behind as a bare twin that follows
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any
from urllib.parse import quote, unquote

from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch
from safeops.naming import Name

Plan = Iterator[Step]

MARK = "safeops "
"""Begins the note in what keeps a pair in step: a comment of SQL, or a literal."""
NOTED = re.compile(rf"/\*{MARK}(\{{.*?)\*/|'{MARK}(\{{[^']*)'", re.S)


RENAMED = "safeops: stands for a table that has been renamed"
"""The comment of a view that has the old name of a table."""


@dataclass(frozen=True)
class Pair:
    """A column and its twin.

    Args:
        name: What the triggers and functions that keep them in step are named after; it begins with ``safeops``.
        table: The table, in its schema.
        source: The column that carries the names of its indexes and constraints, its default and its identity.
        twin: The column that follows it. Where ``winner`` is given, applications write it too.
        winner: Which of the two wins where one statement changes both; None: the source alone is written, and the twin
            only follows.
        type: The type of the twin as the server spells it; None is that of the source, with its collation.
        value: What the twin becomes, as SQL over the source's name; None is the source as it is.
        back: What the source's values become in the old type again, likewise.
        default: The default that the twin gets once it is promoted, where that is known: the one that it had before.
        switched: The twin has been promoted, and the former source follows it now as its twin.
    """

    name: str
    table: Name
    source: str
    twin: str
    winner: str | None = None
    type: str | None = None
    value: str | None = None
    back: str | None = None
    default: str | None = None
    switched: bool = False

    @property
    def note(self) -> str:
        """The pair as a comment of SQL, from which ``pair_of`` reads it again."""
        said = self._as_json.replace("/", "\\u002f").replace("*", "\\u002a")
        return f"/*{MARK}{said}*/"

    @property
    def literal_note(self) -> str:
        """The pair as a literal, for a database whose dumps lose or break comments. Percent-encoded with another letter:
        a catalogue shows a literal without its backslashes, and a driver takes % for a parameter."""
        encoded = quote(self._as_json, safe=" {}[]:,().").replace("%", "=")
        return f"'{MARK}{encoded}'"

    @property
    def _as_json(self) -> str:
        return json.dumps({**asdict(self), "table": None})

    @property
    def mirrored(self) -> Pair:
        """The pair in which the two have changed their parts."""
        return replace(self, source=self.twin, twin=self.source)


def is_noted(text: str) -> bool:
    """Tell whether a text holds the note of a pair."""
    return NOTED.search(text) is not None


def pair_of(text: str, table: Name) -> Pair | None:
    """Read the note of a pair in the text of what keeps it in step."""
    found = NOTED.search(text)
    if found is None:
        return None
    said: dict[str, Any] = json.loads(found[1] or unquote(found[2].replace("=", "%")))
    return Pair(**{**said, "table": table})


def overtaken(pair: Pair) -> DefinitionMismatch:
    """Return the error, to be raised as it is, of a pair that changed since safeops looked."""
    error = DefinitionMismatch(
        f"{pair.source} and {pair.twin} of {pair.table} are not what they were when safeops looked.",
        why="Another runner has gone on with them meanwhile.",
        remedy="Run again, which looks anew; and let env.py run one migration at a time:",
        code="with engine.connect() as connection, migration_lock(connection):\n    ...",
    )
    error.__cause__ = LookupError(pair.name)
    return error
