"""What a revision does to the tables that exist before it, as an undisturbed run shows."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING
from weakref import WeakKeyDictionary

from sqlalchemy.engine import Connection

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.definitions import Table
from safeops.databases.statements import names_in, words_of
from safeops.naming import Name
from safeops.planned import summary
from safeops.rehearse.effects import Statement
from safeops.rehearse.following import UP, following
from safeops.rehearse.later_constraints import extended
from safeops.rehearse.traffic import Replacements, following_recipes
from safeops.rehearse.traffic.replacements import Replacement
from safeops.review.tracing import is_own
from safeops.runner.environment import Inspection
from safeops.testing.failing import Untestable
from safeops.testing.filling import tables_in

if TYPE_CHECKING:
    from safeops.testing.kit import Kit
    from safeops.testing.project import Revision

ASSIGNED = re.compile(r"""(?:\bSET|,)\s*["`\[]?(\w+)["`\]]?\s*=(?!=)""", re.I)
"""A column that an UPDATE gives a value."""


Apart = tuple[frozenset[str], frozenset[str]]


@dataclass(frozen=True)
class Touched:
    """What a revision does to tables.

    Args:
        tables: The tables that it locks or names, as they are before it; a table of the default schema without it.
        now: All tables after it.
        apart: The columns of them that each of two releases leaves alone: of columns that a recipe keeps in sync the one
            writes the old, the other one the new; what the revision fills itself one of them does not write.
        locked: The tables that each of its statements locks or names.
    """

    tables: Mapping[Name, Table]
    now: Mapping[Name, Table]
    apart: Mapping[Name, Apart]
    locked: Mapping[str, tuple[Name, ...]]

    @property
    def later(self) -> Mapping[Name, Table]:
        """The tables with the constraints that the revision adds."""
        return extended(self.tables, self.now)


_known: WeakKeyDictionary[Kit, dict[str, Touched]] = WeakKeyDictionary()


def touched_by(kit: Kit, revision: Revision) -> Touched:
    """Return what a revision does to tables; it is run once, on a separate database.

    Raises:
        Untestable: It fails.
    """
    known = _known.setdefault(kit, {})
    if revision.revision not in known:
        with kit.before(revision) as trial:
            before, synced = tables_in(trial.engine), run_on_connection(trial.engine, _synced)
            with following() as followed, following_recipes() as replacements:
                followed.begins(revision.revision, UP)
                try:
                    trial.upgrade()
                except Exception as error:
                    raise Untestable(f"The revision fails on its own: {summary(error)}") from error
            now = tables_in(trial.engine)
        replacements.columns += synced
        known[revision.revision] = _touched(before, now, followed.statements, replacements)
    return known[revision.revision]


def _synced(connection: Connection) -> list[Replacement]:
    """Return the columns that an earlier revision keeps in sync, each in both directions."""
    home = connection.dialect.default_schema_name
    pairs = [pair for pair in Inspection.of(database_on(connection)).open_pairs() if pair.winner is not None]
    ways = [(pair, way) for pair in pairs for way in ((pair.source, pair.shadow), (pair.shadow, pair.source))]
    return [Replacement(pair.table.at(home), *way) for pair, way in ways]


def _touched(
    before: Mapping[Name, Table], now: Mapping[Name, Table], statements: Iterable[Statement], replacements: Replacements
) -> Touched:
    locked: dict[str, tuple[Name, ...]] = {}
    for one in statements:
        found = [name for name, table in before.items() if _concerns(one, table)]
        locked[one.sql] = tuple(dict.fromkeys([*locked.get(one.sql, ()), *found]))
    names = {name for found in locked.values() for name in found}
    tables = {name: table for name, table in before.items() if name in names}
    apart = {name: _apart(name, table, locked, replacements) for name, table in tables.items()}
    return Touched(tables, now, apart, locked)


def _concerns(statement: Statement, table: Table) -> bool:
    if str(table.name) in (*statement.locks, *statement.scanned):
        return True
    names = {table.name.name, *table.indexes, *table.constraints}
    return not names.isdisjoint(names_in(statement.sql))


def _apart(name: Name, table: Table, statements: Iterable[str], replacements: Replacements) -> Apart:
    pairs = [(one.column, one.replaced_by) for one in replacements.columns if one.table == name]
    # Each rename is noted in both directions: the first is the way up.
    known = [pair for place, pair in enumerate(pairs) if pair[::-1] not in pairs[:place]]
    old = {one for one, other in known if other in table.columns and not is_own(other)}
    new = {other for _, other in known if other in table.columns}
    return frozenset(new), frozenset({*old, *_filled(table, statements)})


def _filled(table: Table, statements: Iterable[str]) -> frozenset[str]:
    """Return the columns of a table to which statements assign a value."""
    updates = [sql for sql in statements if "UPDATE" in words_of(sql)[:1] and table.name.name in names_in(sql)]
    return frozenset(name for sql in updates for name in ASSIGNED.findall(sql) if name in table.columns)
