"""ALTER TABLE on MariaDB and MySQL: the ways that are tried, from the cheapest on."""

from __future__ import annotations

import re
from dataclasses import replace

from safeops.databases.definitions import Table
from safeops.databases.mysql.guards import Guards, plain
from safeops.databases.steps import Step
from safeops.naming import Name

INSTANT = ", ALGORITHM=INSTANT"
ONLINE = ", ALGORITHM=INPLACE, LOCK=NONE"
# Without it a value that does not fit becomes another one: NULL turns into 0, a long text is cut.
STRICT = (("sql_mode", "CONCAT_WS(',', NULLIF(@@SESSION.sql_mode, ''), 'STRICT_ALL_TABLES')"),)


class Altering(Guards):
    """Plans one ALTER TABLE."""

    def alter_sql(self, name: Name, action: str) -> str:
        return f"ALTER TABLE {self.quoted_table(name)} {action}"

    def alter(
        self,
        name: Name,
        action: str,
        does: str,
        *,
        also: tuple[Name, ...] = (),
        instant: bool = False,
        under: tuple[tuple[str, str], ...] = (),
        free: Table | None = None,
    ) -> Step:
        """Plan an ALTER: INSTANT where that is to be hoped for, else INPLACE without a lock, else refused.

        Args:
            name: The table.
            action: What follows ALTER TABLE and its name.
            does: What is true afterwards.
            also: Further tables that it locks.
            instant: Whether to try INSTANT first.
            under: Session variables for the statement.
            free: A table that may be copied if it has no rows: that blocks nobody for long.
        """
        sql = plain(self.alter_sql(name, action))
        ways = [sql + INSTANT, sql + ONLINE] if instant else [sql + ONLINE]
        if free is not None and not self.has_rows(free):
            ways.append(sql)
        first, *others = ways
        return Step(first, does, (name, *also), scans=not instant, anyway=sql, instead=tuple(others), under=under)

    def is_copied(self, action: str) -> bool:
        """Tell whether the server copies the table for it, as far as the text tells."""
        moments = "now|current_timestamp|localtime"
        copied = rf"\b(CHECK|STORED|PERSISTENT|DROP PRIMARY KEY|uuid)\b|DEFAULT \(|DEFAULT (?!{moments})\w+\("
        return bool(re.search(copied, action, re.I))

    def doubt(self, step: Step) -> str:
        refuses = step.anyway and step.anyway not in step.instead and self.is_copied(step.sql)
        return ", which the server may refuse to do online" if refuses else ""

    def guarded(self, step: Step, offline: str) -> Step:
        return replace(step, offline=offline)
