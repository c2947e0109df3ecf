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
from abc import abstractmethod
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from typing import Any, ClassVar
from urllib.parse import quote, unquote

from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.databases.steps import Step
from safeops.errors import DefinitionMismatch
from safeops.naming import Name

Plan = Iterator[Step]

MARK = "safeops "
"""Begins the note in what keeps a pair in step: a comment of SQL, or a literal."""
NOTED = re.compile(rf"/\*{MARK}(\{{.*?)\*/|'{MARK}(\{{[^']*)'", re.S)


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


class Twins(Port):
    """What each database does for a pair. ``stands`` is the table as it stands."""

    place = "safeops.databases.{family}.twins:Twins"
    asked = "Keeping two columns in sync"

    renders_offline: ClassVar[bool] = False
    """The phases of a rename can be rendered for ``--sql``."""

    @abstractmethod
    def pair_named(self, stands: Table, name: str) -> Pair | None:
        """Return the pair of this name as its note tells it, while the database keeps it in step; None where it does not."""

    def renoted(self, pair: Pair, stands: Table) -> Plan:
        """Plan that what an earlier release wrote into the database has the form of this one."""
        return iter(())

    def is_unfinished(self, pair: Pair, stands: Table) -> bool:
        """Tell whether an interrupted ``pair_up`` left the twin without all that keeps it in step, where a stop can."""
        return False

    def is_computed(self, pair: Pair, stands: Table) -> bool:
        """Tell whether the server computes the twin, so that it is never filled."""
        return False

    def torn_pair(self, pair: Pair, stands: Table) -> Pair | None:
        """Return the pair if an interrupted ``promote_twin`` exchanged the names and left no triggers to find it by."""
        return None

    def is_promoted(self, pair: Pair, stands: Table) -> bool:
        """Tell whether ``promote_twin`` dropped the former source, and was interrupted before the triggers."""
        return False

    def settle_pair(self, pair: Pair, stands: Table) -> Plan:
        """Plan what an interrupted ``promote_twin`` left to do, where the names are exchanged."""
        return iter(())

    @abstractmethod
    def check_pair(self, pair: Pair, stands: Table) -> None:
        """Raise what is wrong with a pair that does not stand yet, before anything is touched."""

    def check_sees(self, pair: Pair, stands: Table) -> None:
        """Raise UnsafeOperation if row security hides rows that the pair is filled, compared or checked by."""

    @abstractmethod
    def pair_up(self, pair: Pair, stands: Table) -> Plan:
        """Plan that the twin stands and follows. Rows from before have no value in it yet."""

    @abstractmethod
    def equip_twin(self, pair: Pair, stands: Table) -> Plan:
        """Plan the twin's default, NOT NULL, indexes and constraints: nothing is left to do where it has them all."""

    @abstractmethod
    def promote_twin(self, pair: Pair, stands: Table, kept: Pair | None) -> Plan:
        """Plan that the twin takes over, with the names of indexes and constraints, the default and the identity.

        Args:
            pair: The pair.
            stands: The table.
            kept: The pair that stands afterwards, in which the former source follows, bare: the two have exchanged
                their names. None: the former source is dropped.
        """

    @abstractmethod
    def drop_twin(self, pair: Pair, stands: Table) -> Plan:
        """Plan that the twin and what keeps it in step are gone."""

    @abstractmethod
    def twin_value(self, pair: Pair) -> str:
        """Return the SQL of what a row's twin is to be."""

    @abstractmethod
    def unfilled(self, pair: Pair) -> str:
        """Return the condition of the rows whose twin has no value yet."""

    @abstractmethod
    def out_of_step(self, pair: Pair) -> str:
        """Return the condition of the rows whose twin is not what it is to be, to the last bit."""

    def finish_keys(self, stands: Table) -> Plan:
        """Plan that foreign keys to the table are valid which an interrupted ``promote_twin`` has made for new rows."""
        return iter(())

    def spelled_type(self, stands: Table, column: str) -> str:
        """Return the type of a column, so that a twin of that type can be made."""
        return stands.columns[column].type

    def belongings(self, pair: Pair, stands: Table) -> list[str]:
        """Describe what depends on the source and goes along with it, as ``dependents`` describes it: the foreign keys of
        other tables that ``promote_twin`` moves."""
        return []

    def scripted_pairing(self, pair: Pair) -> Plan:
        """Plan for ``--sql`` that the twin stands, filled and in step; the script looks for itself."""
        raise NotImplementedError

    def scripted_parting(self, pair: Pair, missing: str) -> Plan:
        """Plan for ``--sql`` that the source stands alone under its name, whichever of the two was there first.

        Args:
            pair: The pair; ``source`` is the name that stays.
            missing: The call that is missing where nothing keeps the two in step.
        """
        raise NotImplementedError
