"""Renames tables on MariaDB and MySQL: one statement renames the table and a view that was created before.

A view refers to its table by name, and the table must exist. So an empty placeholder has the new name at first:

    CREATE TABLE new (...) COMMENT 'safeops...'       the placeholder
    CREATE VIEW safeops_view_of_old AS SELECT ... FROM new
    GRANT ...                                         privileges belong to a name: the new name gets those of the old one
    RENAME TABLE new TO safeops_standin_of_old, old TO new, safeops_view_of_old TO old
    DROP TABLE safeops_standin_of_old

The RENAME is atomic: a statement of the application uses either the table or the view.
https://mariadb.com/kb/en/rename-table/, https://dev.mysql.com/doc/refman/8.0/en/rename-table.html
"""

from __future__ import annotations

import logging
import random
import re
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from sqlalchemy.exc import DBAPIError, SQLAlchemyError

from safeops.databases.definitions import Table
from safeops.databases.mysql.errors import number_of
from safeops.databases.mysql.showcreate import backticked
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import RENAMED
from safeops.errors import LockNotAcquired, SafeOpsError, UnsafeOperation
from safeops.naming import Name, fitting
from safeops.planned import NO_LOCK
from safeops.policy import assurance
from safeops.table_rename import port
from safeops.table_rename.port import RenamedTable

if TYPE_CHECKING:
    from safeops.databases.mysql import MySQL

log = logging.getLogger("safeops")

DENIED = {1044, 1045, 1142, 1143, 1227}

_ON_TABLE = "SELECT Host, User, Table_priv FROM mysql.tables_priv WHERE Db = :schema AND Table_name = :name"
_ON_COLUMNS = """SELECT Host, User, Column_name, Column_priv FROM mysql.columns_priv
  WHERE Db = :schema AND Table_name = :name"""
_SPELLED = {"DELETE VERSIONING ROWS": "DELETE HISTORY"}


class TableRenames(port.TableRenames):
    """The plans of a renamed table."""

    database: MySQL

    def check_rename(self, table: Table) -> None:
        try:
            self.read("SELECT 1 FROM mysql.tables_priv LIMIT 1")
            self.read("SELECT 1 FROM mysql.columns_priv LIMIT 1")
        except DBAPIError as error:
            if number_of(error) not in DENIED:
                raise
            if assurance() is None:
                raise _cannot_look(table.name) from error

    def copy_rights(self, source: Name, target: Name) -> Plan:
        have = self._rights(target)
        for account, right, passed_on in sorted(self._rights(source) - have):
            sql = (
                f"GRANT {right} ON {self.quoted_table(target)} TO {account}{' WITH GRANT OPTION' if passed_on else ''}"
            )
            yield Step(sql, f"granted {account} {right} on {target}")

    def revoke_rights(self, name: Name) -> Plan:
        """Revoke the privileges on an unused name, which a later table of that name would have."""
        rights = self._rights(name)
        for account in sorted({account for account, *_ in rights}):
            mine = {passed_on for who, _, passed_on in rights if who == account}
            if True in mine:
                yield Step(
                    f"REVOKE GRANT OPTION ON {self.quoted_table(name)} FROM {account}",
                    f"revoked GRANT OPTION on {name}",
                )
            sql = f"REVOKE ALL PRIVILEGES ON {self.quoted_table(name)} FROM {account}"
            yield Step(sql, f"revoked the privileges of {account} on the old name {name}")

    def _rights(self, name: Name) -> set[tuple[str, str, bool]]:
        """Return each account, its privilege, and whether it can grant it; empty if this account cannot read them."""
        try:
            asked = {"schema": name.schema or self.database.current_schema, "name": name.name}
            return {*self._of_table(self.read(_ON_TABLE, **asked)), *self._of_columns(self.read(_ON_COLUMNS, **asked))}
        except DBAPIError as error:
            if number_of(error) not in DENIED:
                raise
            log.warning("could not read the privileges on %s; they were not changed", name)
            return set()

    def _of_table(self, rows: Sequence[Any]) -> Iterator[tuple[str, str, bool]]:
        for host, user, listed in rows:
            rights = _words(listed)
            passed_on = "GRANT" in rights
            for right in rights - {"GRANT"} or ({"USAGE"} if passed_on else set()):
                yield self._account(host, user), right, passed_on

    def _of_columns(self, rows: Sequence[Any]) -> Iterator[tuple[str, str, bool]]:
        for host, user, column, listed in rows:
            for right in _words(listed):
                yield self._account(host, user), f"{right} ({self.quoted(_text(column))})", False

    def _account(self, host: Any, user: Any) -> str:
        """Spell an account; a role has no host, and PUBLIC is not a role."""
        host, user = _text(host), _text(user)
        if host:
            return f"{self.literal(user)}@{self.literal(host)}"
        return user if user == "PUBLIC" else str(self.literal(user))

    renders_offline = False

    def shows(self, view: Table, table: Table) -> bool:
        head, _, select = view.sql.partition(" AS select ")
        kept = map(self.database.safety.kept_name, (table.name.schema or "", table.name.name))
        schema, name = map(backticked, kept)
        ends = [end for end in (f" from {name}", f" from {schema}.{name}") if select.endswith(end)]
        columns = _PARTS.findall(select.removesuffix(ends[0])) if ends else []
        plain = bool(columns) and all(map(_COLUMN.fullmatch, columns))
        return plain and "SQL SECURITY INVOKER" in head

    def is_placeholder(self, found: Table) -> bool:
        return (found.comment or "").startswith(RENAMED)

    def explain(self, error: DBAPIError) -> SafeOpsError | None:
        if number_of(error) not in DENIED:
            return None
        return UnsafeOperation(
            f"This account lacks a privilege: {error.orig}",
            why=f"On {self.product} privileges belong to a table's name, so they are granted on the other name too. This"
            " needs GRANT OPTION, CREATE, ALTER, DROP and CREATE VIEW.",
            remedy="Let an administrator run, with the account of the migrations:",
            code="GRANT ALL PRIVILEGES ON database.* TO account WITH GRANT OPTION",
        )

    @contextmanager
    def locked_names(self, names: RenamedTable, seconds: float) -> Iterator[None]:
        """See ``TableRenames``; a phase has several statements here, which two runners would undo for each other."""
        key = fitting(
            "safeops_rename", str(names.old.schema or self.database.current_schema), names.old.name, max_bytes=60
        )
        if not self.scalar("SELECT GET_LOCK(:key, :seconds)", key=key, seconds=seconds):
            raise LockNotAcquired(
                f"Could not rename table {names.old}: another runner has been renaming it for more than {seconds:g} s.",
                remedy="Wait until it ends, and let env.py run one migration at a time:",
                code="with engine.connect() as connection, migration_lock(connection):\n    ...",
            )
        try:
            yield
        finally:
            # On a lost connection the lock has ended with it.
            with suppress(SQLAlchemyError):
                self.scalar("SELECT RELEASE_LOCK(:key)", key=key)

    # The steps --------------------------------------------------------------------------------------------------

    def rename_table(self, names: RenamedTable) -> Plan:
        old, new, view, standin = _all(names)
        if not names.is_new:
            yield from self._prepare(names)
            pairs = ((new, standin), (old, new), (view, old))
            does = f"renamed table {old} to {new}, and keep the old name as a view"
            yield Step(self._rename(*pairs), does, (old,))
        yield from self._drop("TABLE", standin)

    def _prepare(self, names: RenamedTable) -> Plan:
        """Create the placeholder and the view again: those of an interrupted run may have other columns."""
        old, new, view, _ = _all(names)
        yield from self._clear(names)
        columns = self._columns(old)
        # With a primary key: a server can require one, or generate one with the name of a column.
        first, *others = (f"{self.quoted(column)} INT" for column in columns)
        listed = ", ".join([f"{first} PRIMARY KEY", *others])
        comment = self.literal(f"{RENAMED}: empty")
        sql = f"CREATE TABLE {self.quoted_table(new)} ({listed}) COMMENT = {comment}"
        yield Step(sql, f"made a placeholder for {new}")
        yield Step(self._view(view, new, columns), f"made the view that becomes {old}")
        yield from self.copy_rights(old, new)

    def _clear(self, names: RenamedTable) -> Plan:
        """Drop the view and the placeholder; the placeholder under a reserved name, which no table of the author has."""
        _, new, view, standin = _all(names)
        yield from self._drop("VIEW", view)
        yield from self._drop("TABLE", standin)
        found = self.database.table(new)
        if found is not None and self.is_placeholder(found):
            yield Step(self._rename((new, standin)), f"renamed the placeholder for {new}", (new,))
            yield from self._drop("TABLE", standin)

    def drop_old_name(self, names: RenamedTable) -> Plan:
        if names.has_view:
            sql = f"DROP VIEW IF EXISTS {self.quoted_table(names.old)}"
            yield Step(sql, f"dropped the old name {names.old}", (names.old,))
        yield from self.revoke_rights(names.old)

    def rename_back(self, names: RenamedTable) -> Plan:
        old, new, view, _ = _all(names)
        if names.has_view:
            yield from self._drop("VIEW", view)
            does = f"renamed table {new} back to {old}"
            kind = Step if _locks_first(old, new) else WithoutWaiting
            yield kind(self._rename((old, view), (new, old)), does, (old, new))
        yield from self._clear(names)
        yield from self.revoke_rights(new)

    def restore_old_name(self, names: RenamedTable) -> Plan:
        if not names.has_view:
            sql = self._view(names.old, names.new, self._columns(names.new))
            yield Step(sql, f"restored the old name {names.old} of {names.new}", (names.new,), lock=NO_LOCK)
        yield from self.copy_rights(names.new, names.old)

    # Spelling ---------------------------------------------------------------------------------------------------

    def _columns(self, name: Name) -> list[str]:
        found = self.database.table(name)
        return [*found.columns] if found else []

    def _view(self, view: Name, table: Name, columns: Sequence[str]) -> str:
        select = f"SELECT {self.quoted(*columns)} FROM {self.quoted_table(table)}"
        return f"CREATE SQL SECURITY INVOKER VIEW {self.quoted_table(view)} AS {select}"

    def _rename(self, *pairs: tuple[Name, Name]) -> str:
        return "RENAME TABLE " + ", ".join(
            f"{self.quoted_table(one)} TO {self.quoted_table(other)}" for one, other in pairs
        )

    def _drop(self, kind: str, name: Name) -> Plan:
        """Drop an object of safeops if it exists; a table only if its comment marks it."""
        found = self.database.table(name)
        if found is not None and (found.kind == "view" if kind == "VIEW" else self.is_placeholder(found)):
            yield Step(
                f"DROP {kind} IF EXISTS {self.quoted_table(name)}",
                f"dropped {name}, which is no longer used",
                (name,),
            )


def _words(listed: Any) -> set[str]:
    """Read a set of privileges, which drivers return as a set or as text."""
    words = listed if isinstance(listed, (set, frozenset)) else _text(listed).split(",")
    rights = {_text(word).strip().upper() for word in words if word}
    return {_SPELLED.get(right, right) for right in rights}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, (bytes, bytearray)) else str(value)


def _cannot_look(name: Name) -> UnsafeOperation:
    return UnsafeOperation(
        f"This account cannot read the privileges of other accounts on {name}.",
        why="Privileges belong to a table's name here. An account that has privileges on this table only, not on the whole"
        " database, needs them on the new name too; otherwise it would lose access.",
        remedy="Let an administrator run, with the account of the migrations:",
        code="GRANT SELECT ON mysql.tables_priv TO account; GRANT SELECT ON mysql.columns_priv TO account\n"
        "# or, if no account has privileges on this table only:\n"
        'with assured("privileges are granted on the database"):\n    ...',
    )


VIEW, STANDIN = "safeops_view_of", "safeops_standin_of"

# What the server makes of a view that shows columns of one table under their own names.
_QUOTED = r"`(?:[^`]|``)+`"
_COLUMN = re.compile(rf"(?:{_QUOTED}\.)+(?P<own>{_QUOTED}) AS (?P=own)")
_PARTS = re.compile(rf"(?:{_QUOTED}|[^`,])+")


@dataclass(frozen=True)
class WithoutWaiting(Step):
    """A step that does not wait for locks: it is retried until all of its tables are free at the same time.

    It locks its tables in the order of their names; a statement on the view locks the view first. If it waited for one
    table while it held the other, statements could fail in a deadlock.
    """

    variables: tuple[tuple[str, str], ...] = (("lock_wait_timeout", "0"),)

    def execute(self, database: Any) -> bool:
        end = time.monotonic() + database.lock_wait
        while True:
            try:
                return super().execute(database)
            except DBAPIError as error:
                if not database.errors.is_lock_failure(error) or time.monotonic() >= end:
                    raise
            time.sleep(random.uniform(0.001, 0.005))


def _all(names: RenamedTable) -> tuple[Name, Name, Name, Name]:
    """Return both names, and the reserved names of the view and the placeholder."""
    old = names.old
    view, standin = (Name(fitting(one, old.name, max_bytes=64), old.schema) for one in (VIEW, STANDIN))
    return old, names.new, view, standin


def _locks_first(one: Name, other: Name) -> bool:
    """Return whether the server locks the first before the second."""
    return one.name.encode() < other.name.encode()
