"""Rights on a table of MariaDB and MySQL: they go by its name, so a rename has to give and take them."""

from __future__ import annotations

import logging
from collections.abc import Iterator, Sequence
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Table
from safeops.databases.mysql.session import number_of
from safeops.databases.steps import Step
from safeops.errors import UnsafeOperation
from safeops.naming import Name
from safeops.policy import assurance
from safeops.table_rename import port as renaming
from safeops.table_rename.port import Plan

log = logging.getLogger("safeops")

DENIED = {1044, 1045, 1142, 1143, 1227}

_ON_TABLE = "SELECT Host, User, Table_priv FROM mysql.tables_priv WHERE Db = :schema AND Table_name = :name"
_ON_COLUMNS = """SELECT Host, User, Column_name, Column_priv FROM mysql.columns_priv
  WHERE Db = :schema AND Table_name = :name"""
_SPELLED = {"DELETE VERSIONING ROWS": "DELETE HISTORY"}


class Rights(renaming.TableRenames):
    """The plans that carry rights from name to name."""

    def check_rename(self, stands: Table) -> None:
        try:
            self.read("SELECT 1 FROM mysql.tables_priv LIMIT 1")
            self.read("SELECT 1 FROM mysql.columns_priv LIMIT 1")
        except DBAPIError as error:
            if number_of(error) not in DENIED:
                raise
            if assurance() is None:
                raise _cannot_look(stands.name) from error

    def carry_rights(self, source: Name, target: Name) -> Plan:
        have = self._rights(target)
        for account, right, passed_on in sorted(self._rights(source) - have):
            sql = (
                f"GRANT {right} ON {self.quoted_table(target)} TO {account}{' WITH GRANT OPTION' if passed_on else ''}"
            )
            yield Step(sql, f"gave {account} {right} on {target}")

    def take_rights(self, name: Name) -> Plan:
        """Take back the rights on a name that stands for nothing: a later table of that name would have them."""
        rights = self._rights(name)
        for account in sorted({account for account, *_ in rights}):
            mine = {passed_on for who, _, passed_on in rights if who == account}
            if True in mine:
                yield Step(
                    f"REVOKE GRANT OPTION ON {self.quoted_table(name)} FROM {account}", f"took GRANT OPTION on {name}"
                )
            sql = f"REVOKE ALL PRIVILEGES ON {self.quoted_table(name)} FROM {account}"
            yield Step(sql, f"took the rights of {account} on {name}, which is no more")

    def _rights(self, name: Name) -> set[tuple[str, str, bool]]:
        """Return who may do what, and whether he may pass it on; nothing where this account may not look."""
        try:
            asked = {"schema": name.schema or self.database.current_schema, "name": name.name}
            return {
                *self._of_table(self.read(_ON_TABLE, **asked)),
                *self._of_columns(self.read(_ON_COLUMNS, **asked)),
            }
        except DBAPIError as error:
            if number_of(error) not in DENIED:
                raise
            log.warning("this account cannot see the rights on %s, and leaves them as they are", name)
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
        """Spell an account; a role has no host, and PUBLIC is no role."""
        host, user = _text(host), _text(user)
        if host:
            return f"{self.literal(user)}@{self.literal(host)}"
        return user if user == "PUBLIC" else str(self.literal(user))


def _words(listed: Any) -> set[str]:
    """Read a set of rights, which drivers give as a set or as text."""
    words = listed if isinstance(listed, (set, frozenset)) else _text(listed).split(",")
    rights = {_text(word).strip().upper() for word in words if word}
    return {_SPELLED.get(right, right) for right in rights}


def _text(value: Any) -> str:
    return value.decode() if isinstance(value, (bytes, bytearray)) else str(value)


def _cannot_look(name: Name) -> UnsafeOperation:
    return UnsafeOperation(
        f"This account cannot see which rights others have on {name} itself.",
        why="Rights on a table go by its name here. Those that an account has on this one table, not on the whole database,"
        " must be given under the new name as well, or it could not work any more under either.",
        remedy="Let an administrator run, with the account of the migrations:",
        code="GRANT SELECT ON mysql.tables_priv TO account; GRANT SELECT ON mysql.columns_priv TO account\n"
        "# or, where no account has rights on this table alone:\n"
        'with assured("rights are given on the database"):\n    ...',
    )
