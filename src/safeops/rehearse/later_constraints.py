"""What the pending revisions will require of rows: found by running them on an empty database next to the copy.

Rows that are made up would otherwise break the constraints that a revision adds, which those of production most likely meet.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from dataclasses import replace

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from sqlalchemy.engine import Connection, Engine

from safeops.databases import database_on
from safeops.databases.connections import run_on_connection
from safeops.databases.definitions import Constraint, Index, Table, names_in
from safeops.errors import SafeOpsError
from safeops.naming import Name
from safeops.rehearse.shapes import TableShape, tables_of
from safeops.runner.environment import ReachedDatabase
from safeops.runner.revisions import steps_between
from safeops.runner.temporary_database import TemporaryDatabase, temporary_database

log = logging.getLogger("safeops")

LATER = "later: "
"""What the name of a constraint begins with that does not exist yet."""
NEARLY = 0.9
"""The share of different values under which a column of production is not taken to be unique."""

Tables = Mapping[Name, Table]


def later_tables(
    config: Config, script: ScriptDirectory, engine: Engine, current: Iterable[str], revision: str
) -> dict[Name, Table]:
    """Return the tables of a copy, with the constraints that later revisions add.

    Its tables may be older than its revisions, as those of a project that has adopted Alembic.

    Args:
        config: The configuration of the project, for the copy.
        script: The revisions of the project.
        engine: Connects to the copy: the other database is created next to it, and dropped.
        current: The revisions that the copy is at.
        revision: The last of the later ones.

    Returns:
        The tables; none if no database can be created there.
    """
    tables = run_on_connection(engine, _tables)
    try:
        with temporary_database(config, reached=ReachedDatabase(script, engine, {}, ()), script=script) as temporary:
            return _collected(tables, temporary, engine, tuple(current), revision)
    except SafeOpsError as error:
        log.warning("the rows may break constraints that the revisions add, which were not read: %s", error.problem)
        return {}


def _collected(
    tables: dict[Name, Table], temporary: TemporaryDatabase, engine: Engine, current: tuple[str, ...], revision: str
) -> dict[Name, Table]:
    def run_to(target: str) -> bool:
        return temporary.run(lambda heads: steps_between(temporary.script, target, heads)) is None

    if not all(map(run_to, current)):
        return {}
    try:
        pending = [step.revision.revision for step in steps_between(temporary.script, revision, current)]
    except CommandError:
        return tables
    for one in pending:
        # The rehearsal itself reports a revision that fails.
        if not run_to(one):
            break
        tables = extended(tables, run_on_connection(engine, _tables))
    return tables


def _tables(connection: Connection) -> dict[Name, Table]:
    return dict(tables_of(database_on(connection)))


def extended(tables: Tables, later: Tables) -> dict[Name, Table]:
    """Return tables with the constraints that they have later, as far as their columns exist already."""
    return {name: _merged(table, later[name], tables) if name in later else table for name, table in tables.items()}


def _merged(table: Table, later: Table, tables: Tables) -> Table:
    added = [one for one in later.constraints.values() if _applies(one, table, tables)]
    constraints = {f"{LATER}{one.name}": replace(one, referent=_referent(one, tables)) for one in added}
    indexes = {f"{LATER}{one.name}": one for one in later.indexes.values() if one.unique and _fits(one, table)}
    return replace(
        table,
        constraints={**constraints, **table.constraints},
        indexes={**indexes, **table.indexes},
    )


def _applies(one: Constraint, table: Table, tables: Tables) -> bool:
    if one.name in table.constraints or one.kind not in ("check", "unique", "foreign key"):
        return False
    if one.kind == "foreign key":
        referent = _referent(one, tables)
        return _fits(one, table) and referent is not None and set(one.remote) <= set(tables[referent].columns)
    return _fits(one, table)


def _referent(one: Constraint, tables: Tables) -> Name | None:
    """Return the table that a foreign key refers to; the other database may be the schema there."""
    names = (name for name in tables if one.referent is not None and name.name == one.referent.name)
    return next(names, None)


def _fits(one: Constraint | Index, table: Table) -> bool:
    """Return whether the columns that it names exist already."""
    known = set(table.columns)
    named = set(one.columns) if isinstance(one, Constraint) and one.kind != "check" else names_in(one) & known
    return bool(named) and named <= known and (not isinstance(one, Index) or set(one.names) <= known)


def with_later(table: Table, later: Table | None) -> Table:
    """Return a table with all the constraints that revisions add."""
    return adopted(table, later, TableShape(table.name, 0))


def adopted(table: Table, later: Table | None, shape: TableShape) -> Table:
    """Return a table of the copy with the constraints that revisions add, except for keys that production breaks."""
    if later is None:
        return table
    more = {
        name: replace(one, name=name)
        for name, one in later.constraints.items()
        if name.startswith(LATER) and not (one.kind == "unique" and _is_broken(one.columns, shape))
    }
    keys = {
        name: one for name, one in later.indexes.items() if name.startswith(LATER) and not _is_broken(one.names, shape)
    }
    return replace(table, constraints={**table.constraints, **more}, indexes={**table.indexes, **keys})


def _is_broken(columns: Iterable[str], shape: TableShape) -> bool:
    known = [shape.columns[name].distinct for name in columns if name in shape.columns]
    return len(known) == 1 and known[0] is not None and known[0] < shape.rows * NEARLY


def without_later(table: Table) -> Table:
    """Return a table with the constraints alone that it has now."""
    return replace(
        table,
        constraints={name: one for name, one in table.constraints.items() if not name.startswith(LATER)},
        indexes={name: one for name, one in table.indexes.items() if not name.startswith(LATER)},
    )
