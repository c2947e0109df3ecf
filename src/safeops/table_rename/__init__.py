"""The rename of a table over two deploys; in between, both names can be read and written."""

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
    """A rename of a table without stopping the application.

    Call ``expand()`` and ``contract()`` in revisions of two deploys, and ``undo_expand()`` and ``undo_contract()`` in their
    ``downgrade()``. In between, the old name is an updatable view with the privileges of the table. Foreign keys, sequences,
    triggers, policies, indexes and constraints stay on the table and keep their names.

    A view does not support TRUNCATE, COPY FROM, ``ON CONFLICT ON CONSTRAINT``, system columns such as ``ctid``, and before
    PostgreSQL 17 MERGE. It does not have columns that are added after ``expand()``.

    Args:
        old_name: The present name of the table.
        new_name: The new name of the table.
        schema: The schema of the table.

    Example:
        rename = TableRename("users", "people")
    """

    old_name: str
    new_name: str
    _: KW_ONLY
    schema: str | None = None

    @composite(Said("renames {0} to {1}; the old name keeps working", f"{BRIEF_LOCK}.", "1 of 2, expand."))
    def expand(self) -> bool:
        """The table has its new name, and both names can be read and written.

        Steps: inspects both names; renames the table and creates a view with the old name, in one transaction. MariaDB and
        MySQL: creates an empty table with the new name and a view on it, grants the privileges of the old name on the new
        one, and then exchanges all names in one atomic statement.

        Returns:
            True if it changed the database, False if the table already was renamed.

        Raises:
            UnknownTable: No table has either name.
            DefinitionMismatch: Both names are taken by tables, or the old name is another view.
            UnsupportedOnDatabase: A view cannot replace this table on this server.
            UnsafeOperation: MariaDB and MySQL: the account cannot read or grant privileges. PostgreSQL: subscribers of
                logical replication would stop.
            LockNotAcquired: The table stayed locked for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE on the table, MariaDB and MySQL its exclusive metadata lock, briefly.

        Running it again: continues after an interruption; else does nothing.

        Offline: PostgreSQL: a block that inspects the tables before it changes them; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").expand()
        """
        with self._running("expand") as phase:
            if phase.names.is_new is False and phase.table is not None:
                phase.check_rename(phase.table)
                check_subscribers_of_rename(phase.migration, phase.table, self.new_name, phase.code)
            return phase.execute(phase.renames.rename_table)

    @composite(
        Said("drops the old name {0} of {1}", f"{BRIEF_LOCK}.", "2 of 2, contract.", kind="drops the old name ...")
    )
    def contract(self) -> bool:
        """The table has only its new name.

        Steps: inspects both names; drops the view with the old name. MariaDB and MySQL: revokes the privileges on that name.

        Returns:
            True if it changed the database, False if the old name already was dropped.

        Raises:
            PhaseMissing: ``expand()`` has not run.
            DependentObjects: Other views or objects depend on the old name.
            LockNotAcquired: The view stayed locked for the whole retry budget.

        Locks: the view with the old name, briefly; the table is not locked.

        Running it again: continues after an interruption; else does nothing.

        Offline: PostgreSQL: a block that inspects the tables before it changes them; elsewhere ``OnlineOnly``.

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

    @composite(Said("renames {1} back to {0}", f"{BRIEF_LOCK}.", kind="renames ... back"))
    def undo_expand(self) -> bool:
        """The table has only its old name.

        Steps: inspects both names; drops the view and renames the table back, in one transaction; on MariaDB and MySQL in
        one atomic statement.

        Returns:
            True if it changed the database, False if the table already had its old name.

        Raises:
            PhaseMissing: ``contract()`` has run and has not been undone.
            DependentObjects: Other views or objects depend on the old name.
            LockNotAcquired: The table stayed locked for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE on view and table, MariaDB and MySQL their exclusive metadata locks, briefly.

        Running it again: continues after an interruption; else does nothing.

        Offline: PostgreSQL: a block that inspects the tables before it changes them; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").undo_expand()
        """
        with self._running("undo_expand") as phase:
            old, new = phase.names.old, phase.names.new
            phase.outline(new, f"renamed table {new} back to {old}")
            if phase.names.is_contracted:
                raise phase.too_early(f"the old name {old} has been dropped")
            phase.refuse_dependents()
            if phase.table is not None and phase.names.is_new is not False:
                check_subscribers_of_rename(phase.migration, phase.table, self.old_name, phase.code)
            return phase.execute(phase.renames.rename_back)

    @composite(Said("restores the old name {0} of {1}", f"{BRIEF_LOCK}."))
    def undo_contract(self) -> bool:
        """Both names can be read and written again.

        Steps: inspects both names; creates the view with the old name and the privileges of the table.

        Returns:
            True if it changed the database, False if the old name already existed.

        Raises:
            UnknownTable: No table has either name.
            DefinitionMismatch: The old name is taken by another object.
            UnsupportedOnDatabase: A view cannot replace this table on this server.
            LockNotAcquired: The table stayed locked for the whole retry budget.

        Locks: PostgreSQL ACCESS SHARE on the table, MariaDB and MySQL its shared metadata lock; reads and writes are not
        blocked.

        Running it again: continues after an interruption; else does nothing.

        Offline: PostgreSQL: a block that inspects the tables before it changes them; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").undo_contract()
        """
        with self._running("undo_contract") as phase:
            if phase.names.is_new is False:
                return skipped(f"the old name {phase.names.old}", "it is the name of the table")
            if phase.names.is_contracted and phase.table is not None:
                phase.check_rename(phase.table)
            return phase.execute(phase.renames.restore_old_name)

    # Looking ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _running(self, name: str) -> Iterator[_Phase]:
        """Yield a phase as it runs, or raise what is wrong with it."""
        with running(f"TableRename.{name}") as migration:
            code = self._call(name)
            self._check_names(migration, code)
            if self.old_name == self.new_name:
                raise InvalidArgument(
                    f"Both names are {self.old_name!r}.", remedy="Write two different names:", code=code
                )
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
                "updatable views with defaults, generated keys and row counts",
                "Rename it in the same deploy as the application that uses the new name:",
                call("op.rename_table", self.old_name, self.new_name, schema=self.schema),
            )
        if migration.offline and not TableRenames.of(database).renders_offline:
            raise migration.online_only(
                f"Renaming table {self.old_name}", "The view with the old name lists the columns of the live table."
            )

    def _look(self, phase: _Phase) -> _Phase:
        """Inspect both names; raise DefinitionMismatch if an object that does not belong to this rename has one of them."""
        found, problem = _seen(phase)
        if problem:
            # Another runner may have changed a name between the two queries.
            found, problem = _seen(phase)
        if problem:
            raise DefinitionMismatch(
                f"{problem[:1].upper()}{problem[1:]}.",
                why="In a schema, the names of tables and views must differ. Nothing was renamed.",
                remedy="Choose another name for the table, or rename or drop the other object.",
            )
        return found or self._dropped_later(phase)

    def _dropped_later(self, phase: _Phase) -> _Phase:
        """Return the phase of a table that a later call drops, and that an interrupted run may already have dropped."""
        for is_new, name in enumerate((phase.names.old, phase.names.new)):
            if is_dropped(name):
                return replace(phase, names=replace(phase.names, has_view=False, is_new=bool(is_new)))
        raise UnknownTable(
            f"There is neither a table {phase.names.old} nor a table {phase.names.new}.",
            remedy=nearest(self.old_name, phase.migration.database.table_names(self.schema), "tables"),
        )


def _seen(phase: _Phase) -> tuple[_Phase | None, str]:
    """Return the phase with what exists under both names, in the schema of either, and what is wrong with it."""
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
    """Describe what has one of the names but does not belong to this rename; empty if there is none."""
    asked = phase.names
    if other is not None and table is not None:
        return f"both {asked.old} and {asked.new} exist, as a {table.kind} and a {other.kind}"
    if table is None:
        return f"{asked.old} is a {view.kind if view else 'view'}, and there is no table {asked.new}"
    if table.kind.endswith("view"):
        return f"{asked.new} is a {table.kind}"
    if view is not None and not phase.renames.shows(view, table):
        return f"{asked.old} is a separate {view.kind}, not the old name of {asked.new}"
    return ""


@dataclass(frozen=True)
class _Phase:
    """A phase of a rename as it runs, with the present state of the rename.

    Args:
        migration: The running migration.
        change: The rename.
        name: The phase.
        names: Both names of the table, and which of them it has.
        table: The table; None if it cannot be inspected (``--sql``).
        view: The view with the old name, if there is one.
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
        """Record in a plan what the phase does."""
        outline(self.migration, name, does)

    def check_rename(self, table: Table) -> None:
        look_into(self.migration, table.name, lambda: self.renames.check_rename(table))

    def refuse_dependents(self) -> None:
        """Raise DependentObjects if other objects use the view with the old name."""
        view, database = self.view, self.migration.database
        if view is not None:
            dependents = look_into(self.migration, view.name, lambda: database.dependents.dependents(view))
            # On servers that ignore the case of names, a view of people also seems to be a view of People.
            others = [dependent for dependent in dependents if not dependent.startswith(f"view {view.name}: ")]
            refuse_dependents(
                f"the old name {view.name}", others, f"Change them to use {self.names.new}, or drop them first."
            )

    def too_early(self, problem: str) -> PhaseMissing:
        change = f"the rename from {self.change.old_name} to {self.change.new_name}"
        problem = f"{self.name}() of {change} was called too early: {problem}."
        return phase_missing(problem, self.change._call_before(self.name))

    def execute(self, plan: Callable[[RenamedTable], Plan]) -> bool:
        names = self.names
        on_dependents = explained_dependents(self.migration, f"the old name {names.old}")

        def explain(error: DBAPIError) -> SafeOpsError | None:
            return self.renames.explain(error) or on_dependents(error)

        if execute(self.migration, plan(names), explain):
            return True
        state = "the table has its old name" if names.is_new is False else "the old name has been dropped"
        state = "both names are in use" if names.has_view else state
        return skipped(f"the rename of table {names.old} to {names.new}", state)
