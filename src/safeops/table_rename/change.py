"""A table that gets another name over two deploys, and is read and written under both in between."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import KW_ONLY, dataclass, replace
from typing import Any, NoReturn

from safeops.databases.definitions import Table
from safeops.errors import DefinitionMismatch, InvalidArgument, PhaseMissing, UnknownTable
from safeops.execution.helper import MOMENT, Said, composite
from safeops.execution.inspect import check_names, find, look_into, skipped
from safeops.execution.later_calls import is_dropped
from safeops.execution.lock_retry import execute, outline
from safeops.execution.migration import Migration, running
from safeops.execution.replication import check_subscribers_of_rename
from safeops.naming import Name, call, nearest
from safeops.schema.refusals import explained_dependents, refuse_dependents
from safeops.table_rename.port import Plan, RenamedTable, TableRenames

log = logging.getLogger("safeops")


@dataclass(frozen=True)
class _State:
    """How far the rename has come.

    The table has its old name; or its new name, with the view under the old one or without it. None where nobody can
    look (--sql).
    """

    names: RenamedTable
    table: Table | None
    view: Table | None

    @property
    def is_untouched(self) -> bool:
        return self.names.is_new is False

    @property
    def is_contracted(self) -> bool:
        return self.names.is_new is True and not self.names.has_view


@dataclass(frozen=True)
class TableRename:
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

    @composite(Said("gives {0} the name {1}; the old name goes on working", f"{MOMENT}.", "1 of 2, expand."))
    def expand(self) -> bool:
        """The table has its new name, and is read and written under both.

        Steps: looks at both names; renames the table and puts a view under the old name, in one transaction. MariaDB and
        MySQL: makes an empty table under the new name and a view on it, gives the rights on the old name to the new one
        too, and then swaps all names in one atomic statement.

        Returns:
            True if it changed the database, False if the table was renamed already.

        Raises:
            UnknownTable: The table stands under neither name.
            DefinitionMismatch: Both names are taken, or the old one by a view of another kind.
            UnsupportedOnDatabase: A view cannot stand for this table here.
            UnsafeOperation: MariaDB and MySQL: the account may not see or give rights. PostgreSQL: subscribers of logical
                replication would stop over the new name.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE on the table, MariaDB and MySQL its exclusive metadata lock, briefly.

        Running it again: goes on where it was stopped.

        Offline: PostgreSQL, a block that looks before it acts; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").expand()
        """
        with self._running("expand") as (migration, found):
            if found.is_untouched and found.table is not None:
                table = found.table
                look_into(migration, table.name, lambda: TableRenames.of(migration.database).check_rename(table))
                check_subscribers_of_rename(migration, table, self.new_name, self._call("expand"))
            return self._execute(migration, found, TableRenames.of(migration.database).rename_table)

    @composite(
        Said("takes the name {0} away; {1} stays", f"{MOMENT}.", "2 of 2, contract.", kind="takes the name ... stays")
    )
    def contract(self) -> bool:
        """The table has its new name alone.

        Steps: looks at both names; drops the view under the old one. MariaDB and MySQL: takes back the rights on that name.

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
        with self._running("contract") as (migration, found):
            outline(migration, found.names.old, f"dropped the view under the old name {found.names.old}")
            if found.is_untouched:
                self._misses("contract", "expand", f"table {found.names.old} still has its old name")
            self._refuse_dependents(migration, found)
            return self._execute(migration, found, TableRenames.of(migration.database).drop_old_name)

    @composite(Said("gives {1} the name {0} again", f"{MOMENT}.", kind="gives ... again"))
    def undo_expand(self) -> bool:
        """The table has its old name alone.

        Steps: looks at both names; drops the view and gives the table its old name, in one transaction, on MariaDB and
        MySQL in one atomic statement.

        Returns:
            True if it changed the database, False if the table had its old name.

        Raises:
            PhaseMissing: ``contract()`` has been run, and not undone.
            DependentObjects: Other views, or the like, stand on the old name.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS EXCLUSIVE on view and table, MariaDB and MySQL their exclusive metadata locks, briefly.

        Running it again: goes on where it was stopped.

        Offline: PostgreSQL, a block that looks before it acts; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").undo_expand()
        """
        with self._running("undo_expand") as (migration, found):
            outline(migration, found.names.new, f"renamed table {found.names.new} back to {found.names.old}")
            if found.is_contracted:
                self._misses("undo_expand", "undo_contract", f"the old name {found.names.old} is gone")
            self._refuse_dependents(migration, found)
            if found.table is not None and not found.is_untouched:
                check_subscribers_of_rename(migration, found.table, self.old_name, self._call("undo_expand"))
            return self._execute(migration, found, TableRenames.of(migration.database).rename_back)

    @composite(Said("brings the name {0} back beside {1}", f"{MOMENT}."))
    def undo_contract(self) -> bool:
        """The table is read and written under both names again.

        Steps: looks at both names; puts the view under the old one, with the rights of the table.

        Returns:
            True if it changed the database, False if the old name was in use.

        Raises:
            UnknownTable: The table stands under neither name.
            DefinitionMismatch: The old name is taken by something else.
            UnsupportedOnDatabase: A view cannot stand for this table here.
            LockNotAcquired: The table was in use for the whole retry budget.

        Locks: PostgreSQL ACCESS SHARE on the table, MariaDB and MySQL its shared metadata lock: reads and writes go on.

        Running it again: goes on where it was stopped.

        Offline: PostgreSQL, a block that looks before it acts; elsewhere ``OnlineOnly``.

        Example:
            TableRename("users", "people").undo_contract()
        """
        with self._running("undo_contract") as (migration, found):
            if found.is_untouched:
                return skipped(f"the old name {found.names.old}", "the table itself has it")
            if found.is_contracted and found.table is not None:
                table = found.table
                look_into(migration, table.name, lambda: TableRenames.of(migration.database).check_rename(table))
            return self._execute(migration, found, TableRenames.of(migration.database).restore_old_name)

    # Looking ----------------------------------------------------------------------------------------------------

    @contextmanager
    def _running(self, phase: str) -> Iterator[tuple[Migration, _State]]:
        """Give the running migration and how far the rename has come, or raise what is wrong with it."""
        with running(f"TableRename.{phase}") as migration:
            right = self._call(phase)
            names = {"old_name": self.old_name, "new_name": self.new_name, "schema": self.schema}
            check_names(migration, right, **names)
            if self.old_name == self.new_name:
                raise InvalidArgument(f"Both names are {self.old_name!r}.", remedy="Write two:", code=right)
            self._check_support(migration)
            asked = RenamedTable(Name(self.old_name, self.schema), Name(self.new_name, self.schema))
            if migration.offline:
                yield migration, _State(asked, None, None)
                return
            with TableRenames.of(migration.database).locked_names(asked, migration.settings.retry_budget):
                yield migration, self._look(migration, asked)

    def _check_support(self, migration: Migration) -> None:
        database = migration.database
        if not database.abilities.has_updatable_views:
            raise database.unsupported(
                f"Table {self.old_name} under two names",
                "views that an application can write to as to a table: with defaults, new keys and counts of rows",
                "Rename it in the deploy that brings the application which knows the new name:",
                call("op.rename_table", self.old_name, self.new_name, schema=self.schema),
            )
        if migration.offline and not TableRenames.of(database).renders_offline:
            raise migration.online_only(
                f"TableRenames table {self.old_name}", "The view under the old name names each column of the table."
            )

    def _look(self, migration: Migration, asked: RenamedTable) -> _State:
        """Look at both names, or raise DefinitionMismatch where one is taken by something that is no part of this rename."""
        found, problem = self._seen(migration, asked)
        if problem:
            # Another runner may have come between one look and the other.
            found, problem = self._seen(migration, asked)
        if found is None and not problem:
            return self._look_ahead(migration, asked)
        if found is None or problem:
            raise DefinitionMismatch(
                f"{problem[:1].upper()}{problem[1:]}.",
                why="It was left untouched: tables and views share their names in a schema.",
                remedy="Choose another name for the table, or rename or drop what has the name.",
            )
        return found

    def _seen(self, migration: Migration, asked: RenamedTable) -> tuple[_State | None, str]:
        """Return what stands in the schema in which the one or the other is found, and what is wrong with it."""
        old = find(migration, asked.old)
        new = find(migration, replace(asked.new, schema=old.name.schema) if old else asked.new)
        if new is not None and old is None:
            old = find(migration, replace(asked.old, schema=new.name.schema))
        if new is not None and TableRenames.of(migration.database).is_placeholder(new):
            new = None
        if old is None and new is None:
            return None, ""
        is_view = old is not None and old.kind.endswith("view")
        view, table, other = (old, new, None) if old is None or is_view else (None, old, new)
        home = (old or new).name.schema  # type: ignore[union-attr]
        names = RenamedTable(replace(asked.old, schema=home), replace(asked.new, schema=home), is_view, table is new)
        return _State(names, table, view), self._problem(migration, asked, view, table, other)

    def _problem(
        self, migration: Migration, asked: RenamedTable, view: Table | None, table: Table | None, other: Table | None
    ) -> str:
        """Say what has one of the names and is no part of this rename; nothing where all is well."""
        if other is not None and table is not None:
            return f"both {asked.old} and {asked.new} are there, a {table.kind} and a {other.kind}"
        if table is None:
            return f"{asked.old} is a {view.kind if view else 'view'}, and there is no table {asked.new}"
        if table.kind.endswith("view"):
            return f"{asked.new} is a {table.kind}"
        if view is not None and not TableRenames.of(migration.database).shows(view, table):
            return f"{asked.old} is a {view.kind} of its own, not the old name of {asked.new}"
        return ""

    def _look_ahead(self, migration: Migration, asked: RenamedTable) -> _State:
        """Settle that the table stands under neither name: an interrupted run of this revision may have dropped it."""
        if is_dropped(asked.old):
            return _State(replace(asked, has_view=False, is_new=False), None, None)
        if is_dropped(asked.new):
            return _State(replace(asked, has_view=False, is_new=True), None, None)
        raise UnknownTable(
            f"There is no table {asked.old}, nor {asked.new}.",
            remedy=nearest(self.old_name, migration.database.table_names(self.schema), "tables"),
        )

    # Acting -----------------------------------------------------------------------------------------------------

    def _execute(self, migration: Migration, found: _State, verb: Callable[[RenamedTable], Plan]) -> bool:
        names = found.names
        on_dependents = explained_dependents(migration, f"the old name {names.old}")

        def explain(error: Any) -> Any:
            return TableRenames.of(migration.database).explain(error) or on_dependents(error)

        if execute(migration, verb(names), explain):
            return True
        state = "the table has its old name" if found.is_untouched else "the old name is gone"
        state = "both names are in use" if names.has_view else state
        return skipped(f"the rename of table {names.old} to {names.new}", state)

    def _refuse_dependents(self, migration: Migration, found: _State) -> None:
        view = found.view
        if view is not None:
            dependents = look_into(migration, view.name, lambda: migration.database.dependents.dependents(view))
            # Where the case of names does not count, a view that names people seems to name People too.
            others = [dependent for dependent in dependents if not dependent.startswith(f"view {view.name}: ")]
            refuse_dependents(
                f"the old name {view.name}", others, f"Let them read {found.names.new}, or drop them first."
            )

    def _misses(self, phase: str, before: str, problem: str) -> NoReturn:
        raise PhaseMissing(
            f"{phase}() of the rename from {self.old_name} to {self.new_name} comes too early: {problem}.",
            why="Each phase goes on from where the one before it ended.",
            remedy="Run first:",
            code=self._call(before),
        )

    def _call(self, phase: str) -> str:
        return f"{call('TableRename', self.old_name, self.new_name, schema=self.schema)}.{phase}()"
