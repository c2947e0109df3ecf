"""How MariaDB and MySQL replace an index or a constraint.

An index goes and comes in one statement. Neither server takes a foreign key of the name of one that it drops in the same
statement, so the new one is added under a passing name, stands in while the old one goes, and is added again under its own.
"""

from __future__ import annotations

import copy
import re
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Constraint, Table, differences
from safeops.databases.mysql.altering import GUARD, ONLINE, STRICT, plain
from safeops.databases.mysql.constraining import Constraining
from safeops.databases.steps import Plan, Step
from safeops.naming import Name


class DDL(Constraining):
    """The plans that replace."""

    def replace_index(self, name: Name, index: sa.Index, stands: Table | None) -> Plan:
        named = self.quoted(str(index.name))
        head, _, rest = plain(self.index_sql(name, index)).partition(f"INDEX {named} ON {self.quoted_table(name)} ")
        add = f"ADD {head.removeprefix('CREATE ')}INDEX"
        step = self.alter(
            name,
            f"DROP INDEX {named}, {add} {named} {rest}",
            f"replaced index {index.name} on {name}",
            variables=STRICT,
            free=stands,
        )
        missing = self.unless(
            "index", name, str(index.name), f"{self.alter_sql(name, add)} {GUARD}{named} {rest}{ONLINE}"
        )
        there = self.when(f"{self._count('index', name, str(index.name))} > 0", step.sql)
        yield self.guarded(step, f"{there};\n{missing}")

    def replace_constraint(self, name: Name, constraint: sa.Constraint, stands: Table | None, validate: bool) -> Plan:
        if isinstance(constraint, sa.UniqueConstraint):
            return self.replace_index(name, self.database.index_of_key(constraint), stands)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            return self._replace_foreign_key(name, constraint, stands)
        return self._replace_check(name, constraint, stands)

    def _replace_check(self, name: Name, check: Any, stands: Table | None) -> Plan:
        named = self.quoted(str(check.name))
        add = f"ADD CONSTRAINT {named} CHECK ({self.database.part_text(check.sqltext)})"
        replaced = self.alter_sql(name, f"DROP CONSTRAINT {named}, {add}")
        step = self.alter(
            name, f"DROP CONSTRAINT {named}, {add}", f"replaced check {check.name} on {name}", free=stands
        )
        missing = f"{self._count('constraint', name, str(check.name))} = 0"
        told = f"/* {self.product} copies the table for a check: writes wait meanwhile */ "
        yield self.guarded(step, told + self.when(missing, self.alter_sql(name, add), replaced))

    def _replace_foreign_key(self, name: Name, key: sa.ForeignKeyConstraint, stands: Table | None) -> Plan:
        passing = copy.copy(key)
        passing.name = self.temporary_name(str(key.name))
        old = stands.constraints.get(str(key.name)) if stands else None
        if stands is None or (old is not None and self._differs(old, key)):
            yield from self._passing_key(name, passing, stands)
            yield self._drop_key_alone(name, str(key.name), self._now(stands))
        if stands is None or old is None or not old.valid or self._differs(old, key):
            yield from self._add_foreign_key(name, key, self._now(stands))
        now = self._now(stands)
        if now is None or str(passing.name) in now.constraints:
            yield self._drop_key_alone(name, str(passing.name), now)
        yield from self._renamed_index(name, str(passing.name), str(key.name), self._now(stands))

    def _differs(self, there: Constraint, key: sa.ForeignKeyConstraint) -> bool:
        return bool(
            differences(there, replace(self.database.wanted_constraint(key), referent=self.referent_of(there, key)))
        )

    def referent_of(self, there: Constraint, key: sa.ForeignKeyConstraint) -> Name | None:
        """Return the referent of a wanted key with the schema of the one that stands, where the author gives none."""
        target = key.elements[0].column.table
        return Name(target.name, target.schema or (there.referent.schema if there.referent else None))

    def _passing_key(self, name: Name, passing: sa.ForeignKeyConstraint, stands: Table | None) -> Plan:
        left = stands.constraints.get(str(passing.name)) if stands else None
        if left is not None and self._differs(left, passing):
            # Another revision has left it.
            yield self._drop_foreign_key(name, left.name, stands)
            left = None
        if left is None or not left.valid:
            yield from self._add_foreign_key(name, passing, self._now(stands))

    def _drop_key_alone(self, name: Name, key: str, stands: Table | None) -> Step:
        """Drop a key; where nobody can look at the index of its name, that stays."""
        drop = self.alter_sql(name, f"DROP FOREIGN KEY {GUARD}{self.quoted(key)}") + ONLINE
        step = self._drop_foreign_key(name, key, stands)
        return self.guarded(step, self.if_there("constraint", name, key, drop))

    def _now(self, stands: Table | None) -> Table | None:
        return None if stands is None else self.database.table(stands.name)

    def _renamed_index(self, name: Name, passing: str, key: str, now: Table | None) -> Plan:
        """Give the index that was made for the key the key's name."""
        rename = f"RENAME INDEX {self.quoted(passing)} TO {self.quoted(key)}"
        if now is not None and (passing not in now.indexes or key in now.indexes):
            return
        made, taken = (f"{self._count('index', name, one)} > 0" for one in (passing, key))
        drop = self.when(f"{made} AND {taken}", self.alter_sql(name, f"DROP INDEX {self.quoted(key)}") + ONLINE)
        offline = f"{drop};\n{self.when(made, self.alter_sql(name, rename) + ONLINE)}"
        yield self.guarded(self.alter(name, rename, f"renamed the index of {key}", instant=True), offline)


class MariaDBDDL(DDL):
    """What differs on MariaDB."""

    def default_clause(self, default: str) -> str:
        # A call stays as it is: in parentheses it would be shown as another default.
        is_call = re.fullmatch(r"\w+(\([^()]*\))?", default)
        return default if is_call or default.startswith("(") else super().default_clause(default)
