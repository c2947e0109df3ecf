"""A table that gets another name over two deploys, and is read and written under both in between."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace

from sqlalchemy.exc import DBAPIError

from safeops.arguments import arguments_checked
from safeops.databases.definitions import Table
from safeops.databases.steps import Plan
from safeops.errors import DefinitionMismatch, InvalidArgument, PhaseMissing, SafeOpsError, UnknownTable
from safeops.execution.helper import BRIEF_LOCK, PhasedChange, Said, composite, phase_missing
from safeops.execution.inspect import find, look_into, skipped
from safeops.execution.later_calls import is_dropped
from safeops.execution.lock_retry import execute, outline
from safeops.execution.migration import Migration, running
from safeops.execution.replication import check_subscribers_of_rename
from safeops.naming import Name, call, nearest
from safeops.schema.refusals import explained_dependents, refuse_dependents
from safeops.table_rename.port import RenamedTable, TableRenames


@arguments_checked()
@dataclass(frozen=True)
class TableRename(PhasedChange):
    """A table is renamed, and its old name stays readable and writable until every application knows the new one.

    ``expand()`` and ``contract()`` belong in revisions of two deploys, ``undo_contract()`` and ``undo_expand()`` in their
    ``downgrade()``. Under the old name stands an updatable view with the rights of the table. Foreign keys, sequences,
    triggers, policies, indexes and constraints stay with the table, under the names that they have.

    What no view does: TRUNCATE, COPY FROM, ``ON CONFLICT ON CONSTRAINT``, columns of the system such as ``ctid``, and before
    PostgreSQL 17 MERGE. Columns that are added while the view stands are not in it.

    Args:
        old_name: The table's name before.
        new_name: The table's name afterwards.
        schema: The schema of the table.

    Example:
        rename = TableRename("users", "people")
    """

    old_name: str
    new_name: str
    _: KW_ONLY
    schema: str | None = None

    @composite(Said("gives {0} the name {1}; the old name goes on working", f"{BRIEF_LOCK}.", "1 of 2, expand."))
    def expand(self) -> bool:
        """The table has its new name, and is read and written under both.

        Steps: inspects both names; renames the table and puts a view under the old name, in one transaction. MariaDB and
        MySQL: makes an empty table under the new name and a view on it, gives the rights on the old name to the new one
        too, and then swaps all names in one atomic statement.

        Returns:
            True if it changed the database, False if the table was renamed already.

        Raises:
            UnknownTable: There is a table of neither name.
            DefinitionMismatch: Both names are taken, or the old one by a view of another kind.
            UnsupportedOnDatabase: A view cannot stand for this table here.
            UnsafeOperation: MariaDB and MySQL: the account may not see or give rights. PostgreSQL: subscribers of logical
                replication would stop over the new name.
            LockNotAcquired: The table stayed locked for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE on the table, MariaDB and MySQL its exclusive metadata lock, briefly.

        Running it again: goes on where it was stopped.

        Offline: PostgreSQL, a block that looks before it acts; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").expand()
        """
        with self._running("expand") as phase:
            if phase.names.is_new is False and phase.table is not None:
                phase.check_rename(phase.table)
                check_subscribers_of_rename(phase.migration, phase.table, self.new_name, phase.code)
            return phase.execute(phase.renames.rename_table)

    @composite(
        Said(
            "takes the name {0} away; {1} stays", f"{BRIEF_LOCK}.", "2 of 2, contract.", kind="takes the name ... stays"
        )
    )
    def contract(self) -> bool:
        """The table has its new name alone.

        Steps: inspects both names; drops the view under the old one. MariaDB and MySQL: takes back the rights on that name.

        Returns:
            True if it changed the database, False if the old name was gone already.

        Raises:
            PhaseMissing: ``expand()`` has not been run.
            DependentObjects: Other views, or the like, stand on the old name.
            LockNotAcquired: The old name was in use for the whole retry budget.

        Locks: the view under the old name, briefly; the table stays free.

        Running it again: goes on where it was stopped.

        Offline: PostgreSQL, a block that looks before it acts; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").contract()
        """
        with self._running("contract") as phase:
            old = phase.names.old
            phase.outline(old, f"dropped the view under the old name {old}")
            if phase.names.is_new is False:
                raise phase.too_early(f"table {old} still has its old name")
            phase.refuse_dependents()
            return phase.execute(phase.renames.drop_old_name)

    @composite(Said("gives {1} the name {0} again", f"{BRIEF_LOCK}.", kind="gives ... again"))
    def undo_expand(self) -> bool:
        """The table has its old name alone.

        Steps: inspects both names; drops the view and gives the table its old name, in one transaction, on MariaDB and
        MySQL in one atomic statement.

        Returns:
            True if it changed the database, False if the table had its old name.

        Raises:
            PhaseMissing: ``contract()`` has been run, and not undone.
            DependentObjects: Other views, or the like, stand on the old name.
            LockNotAcquired: The table stayed locked for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE on view and table, MariaDB and MySQL their exclusive metadata locks, briefly.

        Running it again: goes on where it was stopped.

        Offline: PostgreSQL, a block that looks before it acts; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").undo_expand()
        """
        with self._running("undo_expand") as phase:
            old, new = phase.names.old, phase.names.new
            phase.outline(new, f"renamed table {new} back to {old}")
            if phase.names.is_contracted:
                raise phase.too_early(f"the old name {old} is gone")
            phase.refuse_dependents()
            if phase.table is not None and phase.names.is_new is not False:
                check_subscribers_of_rename(phase.migration, phase.table, self.old_name, phase.code)
            return phase.execute(phase.renames.rename_back)

    @composite(Said("brings the name {0} back beside {1}", f"{BRIEF_LOCK}."))
    def undo_contract(self) -> bool:
        """The table is read and written under both names again.

        Steps: inspects both names; puts the view under the old one, with the rights of the table.

        Returns:
            True if it changed the database, False if the old name was in use.

        Raises:
            UnknownTable: There is a table of neither name.
            DefinitionMismatch: The old name is taken by something else.
            UnsupportedOnDatabase: A view cannot stand for this table here.
            LockNotAcquired: The table stayed locked for the whole retry budget.

        Locks: PostgreSQL ACCESS SHARE on the table, MariaDB and MySQL its shared metadata lock: reads and writes go on.

        Running it again: goes on where it was stopped.

        Offline: PostgreSQL, a block that looks before it acts; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").undo_contract()
        """
        with self._running("undo_contract") as phase:
            if phase.names.is_new is False:
                return skipped(f"the old name {phase.names.old}", "the table itself has it")
            if phase.names.is_contracted and phase.table is not None:
                phase.check_rename(phase.table)
            return phase.execute(phase.renames.restore_old_name)

    # Looking ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _running(self, name: str) -> Iterator[_Phase]:
        """Give a phase as it runs, or raise what is wrong with it."""
        with running(f"TableRename.{name}") as migration:
            code = self._call(name)
            self._check_names(migration, code)
            if self.old_name == self.new_name:
                raise InvalidArgument(f"Both names are {self.old_name!r}.", remedy="Write two:", code=code)
            self._check_support(migration)
            phase = _Phase(migration, self, name, RenamedTable(*self._names))
            if migration.offline:
                yield phase
                return
            with phase.renames.locked_names(phase.names, migration.settings.retry_budget):
                yield self._look(phase)

    @property
    def _names(self) -> tuple[Name, Name]:
        return Name(self.old_name, self.schema), Name(self.new_name, self.schema)

    def _check_support(self, migration: Migration) -> None:
        database = migration.database
        if not TableRenames.serves(database):
            raise database.unsupported(
                f"Table {self.old_name} under two names",
                "views that an application can write to as to a table: with defaults, new keys and counts of rows",
                "Rename it in the deploy that brings the application which knows the new name:",
                call("op.rename_table", self.old_name, self.new_name, schema=self.schema),
            )
        if migration.offline and not TableRenames.of(database).renders_offline:
            raise migration.online_only(
                f"Renaming table {self.old_name}", "The view under the old name names each column of the table."
            )

    def _look(self, phase: _Phase) -> _Phase:
        """Look at both names, or raise DefinitionMismatch where one is taken by something that is no part of this rename."""
        found, problem = _seen(phase)
        if problem:
            # Another runner may have come between one look and the other.
            found, problem = _seen(phase)
        if problem:
            raise DefinitionMismatch(
                f"{problem[:1].upper()}{problem[1:]}.",
                why="It was left untouched: tables and views share their names in a schema.",
                remedy="Choose another name for the table, or rename or drop what has the name.",
            )
        return found or self._dropped_later(phase)

    def _dropped_later(self, phase: _Phase) -> _Phase:
        """Return the phase of a table that a later call drops, as an interrupted run of this revision may have done."""
        for is_new, name in enumerate((phase.names.old, phase.names.new)):
            if is_dropped(name):
                return replace(phase, names=replace(phase.names, has_view=False, is_new=bool(is_new)))
        raise UnknownTable(
            f"There is no table {phase.names.old}, nor {phase.names.new}.",
            remedy=nearest(self.old_name, phase.migration.database.table_names(self.schema), "tables"),
        )


def _seen(phase: _Phase) -> tuple[_Phase | None, str]:
    """Return the phase with what exists in the schema in which either name is found, and what is wrong with it."""
    migration, asked = phase.migration, phase.names
    old = find(migration, asked.old)
    new = find(migration, replace(asked.new, schema=old.name.schema) if old else asked.new)
    if new is not None and old is None:
        old = find(migration, replace(asked.old, schema=new.name.schema))
    if new is not None and phase.renames.is_placeholder(new):
        new = None
    if old is None and new is None:
        return None, ""
    is_view = old is not None and old.kind.endswith("view")
    view, table, other = (old, new, None) if old is None or is_view else (None, old, new)
    home = (old or new).name.schema  # type: ignore[union-attr]
    names = RenamedTable(replace(asked.old, schema=home), replace(asked.new, schema=home), is_view, table is new)
    return replace(phase, names=names, table=table, view=view), _problem(phase, view, table, other)


def _problem(phase: _Phase, view: Table | None, table: Table | None, other: Table | None) -> str:
    """Say what has one of the names and is no part of this rename; nothing where all is well."""
    asked = phase.names
    if other is not None and table is not None:
        return f"both {asked.old} and {asked.new} are there, a {table.kind} and a {other.kind}"
    if table is None:
        return f"{asked.old} is a {view.kind if view else 'view'}, and there is no table {asked.new}"
    if table.kind.endswith("view"):
        return f"{asked.new} is a {table.kind}"
    if view is not None and not phase.renames.shows(view, table):
        return f"{asked.old} is a {view.kind} of its own, not the old name of {asked.new}"
    return ""


@dataclass(frozen=True)
class _Phase:
    """A phase of a rename as it runs, with how far the rename has come.

    Args:
        migration: The running migration.
        change: The rename.
        name: The phase.
        names: Both names of the table, and which of them it has.
        table: The table; None where nobody can look (``--sql``).
        view: The view under the old name, where there is one.
    """

    migration: Migration
    change: TableRename
    name: str
    names: RenamedTable
    table: Table | None = None
    view: Table | None = None

    @property
    def renames(self) -> TableRenames:
        return TableRenames.of(self.migration.database)

    @property
    def code(self) -> str:
        return self.change._call(self.name)

    def outline(self, name: Name, does: str) -> None:
        """Tell a plan what the phase comes to."""
        outline(self.migration, name, does)

    def check_rename(self, table: Table) -> None:
        look_into(self.migration, table.name, lambda: self.renames.check_rename(table))

    def refuse_dependents(self) -> None:
        """Raise DependentObjects where anything uses the view under the old name."""
        view, database = self.view, self.migration.database
        if view is not None:
            dependents = look_into(self.migration, view.name, lambda: database.dependents.dependents(view))
            # Where the case of names does not count, a view that names people seems to name People too.
            others = [dependent for dependent in dependents if not dependent.startswith(f"view {view.name}: ")]
            refuse_dependents(
                f"the old name {view.name}", others, f"Let them read {self.names.new}, or drop them first."
            )

    def too_early(self, problem: str) -> PhaseMissing:
        change = f"the rename from {self.change.old_name} to {self.change.new_name}"
        problem = f"{self.name}() of {change} comes too early: {problem}."
        return phase_missing(problem, self.change._call_before(self.name))

    def execute(self, plan: Callable[[RenamedTable], Plan]) -> bool:
        names = self.names
        on_dependents = explained_dependents(self.migration, f"the old name {names.old}")

        def explain(error: DBAPIError) -> SafeOpsError | None:
            return self.renames.explain(error) or on_dependents(error)

        if execute(self.migration, plan(names), explain):
            return True
        state = "the table has its old name" if names.is_new is False else "the old name is gone"
        state = "both names are in use" if names.has_view else state
        return skipped(f"the rename of table {names.old} to {names.new}", state)
