"""How PostgreSQL replaces an index or a constraint: the new one is built beside the old, then takes its name.

Until the brief step at the end the old one is in force, from then on the new one: no row is ever written under neither.
"""

from __future__ import annotations

import copy
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Table, differences
from safeops.databases.postgresql.constraining import Constraining
from safeops.databases.postgresql.spelling import block
from safeops.databases.steps import Plan, Step
from safeops.naming import Name, fitting


class Replacing(Constraining):
    """The plans that replace."""

    def replace_index(self, name: Name, index: sa.Index, stands: Table | None) -> Plan:
        named, passing = str(index.name), self._passing(index)
        yield from self._built_anew(name, passing, stands)
        old, new = (self.index_name(name, one, stands) for one in (named, str(passing.name)))
        swap = [f"DROP INDEX IF EXISTS {old}", f"ALTER INDEX {new} RENAME TO {self.quoted(named)}"]
        swap += self._part_renames(named, str(passing.name), stands)
        sql = block(f"to_regclass({self.literal(new)}) IS NOT NULL", ";\n    ".join(swap))
        yield Step(sql, f"replaced index {named} on {name}", (name, *(stands.partitions if stands else ())))

    def _part_renames(self, named: str, passing: str, stands: Table | None) -> list[str]:
        """Give the indexes of the partitions the names that building the index under its own name gives them."""
        renames: list[str] = []
        for partition in stands.partitions if stands else ():
            old, new = (
                fitting(partition.name, one, max_bytes=self.database.abilities.max_identifier)
                for one in (passing, named)
            )
            full = self.quoted_table(Name(old, partition.schema))
            renames.append(f"ALTER INDEX IF EXISTS {full} RENAME TO {self.quoted(new)}")
            renames += self._part_renames(new, old, self.database.table(partition))
        return renames

    def _built_anew(self, name: Name, index: sa.Index, stands: Table | None) -> Plan:
        """Build an index, in the place of one that another revision left under the passing name."""
        left = stands.indexes.get(str(index.name)) if stands else None
        if stands is not None and left is not None and differences(left, self.database.wanted_index(index)):
            yield from self.drop_index(name, left.name, stands)
            stands = self.database.table(stands.name)
        if left is None or not left.valid or (stands is not None and left.name not in stands.indexes):
            yield from self.create_index(name, index, stands)

    def replace_constraint(self, name: Name, constraint: sa.Constraint, stands: Table | None, validate: bool) -> Plan:
        if stands is not None and stands.is_partitioned:
            raise self.database.unsupported(
                f'if_different="replace" for {constraint.name}', "a table that is not partitioned"
            )
        if isinstance(constraint, sa.UniqueConstraint):
            return self._replace_key(name, constraint, stands)
        if isinstance(constraint, (sa.ForeignKeyConstraint, sa.CheckConstraint)):
            return self._replace_rule(name, constraint, stands, validate)
        return self._replace_at_once(name, constraint)

    def _replace_rule(self, name: Name, constraint: sa.Constraint, stands: Table | None, validate: bool) -> Plan:
        """Add and validate a foreign key or a check under a passing name; then it takes the name of the old one."""
        named, passing = str(constraint.name), self._passing(constraint)
        left = stands.constraints.get(str(passing.name)) if stands else None
        if stands is not None and left is not None:
            wanted = self.database.wanted_constraint(passing)
            if differences(left, replace(wanted, referent=wanted.referent and left.referent)):
                yield from self.drop_constraint(name, left.name, None, stands)
                stands = self.database.table(stands.name)
        yield from self.add_constraint(name, passing, stands, validate)
        table, new = self.quoted_table(name), self.quoted(str(passing.name))
        drop = f"ALTER TABLE {table} DROP CONSTRAINT IF EXISTS {self.quoted(named)}"
        rename = f"ALTER TABLE {table} RENAME CONSTRAINT {new} TO {self.quoted(named)}"
        sql = block(self._has_constraint(name, str(passing.name)), f"{drop};\n    {rename}")
        yield Step(sql, f"replaced {named} on {name}", self._locked(name, constraint, stands))

    def _locked(self, name: Name, constraint: sa.Constraint, stands: Table | None) -> tuple[Name, ...]:
        both = [one for one in stands.constraints.values() if one.name == constraint.name] if stands else []
        return (name, *(one.referent for one in both if one.referent))

    def _replace_key(self, name: Name, key: sa.UniqueConstraint, stands: Table | None) -> Plan:
        named, passing = str(key.name), self._passing(key)
        yield from self._built_anew(name, self.database.index_of_key(passing), stands)
        new = self.index_name(name, str(passing.name), stands)
        quoted = self.quoted(named)
        swap = (
            f"ALTER TABLE {self.quoted_table(name)} DROP CONSTRAINT IF EXISTS {quoted}, ADD CONSTRAINT {quoted} UNIQUE"
        )
        swap += f" USING INDEX {self.quoted(str(passing.name))}{self.timing(key)}"
        sql = block(f"to_regclass({self.literal(new)}) IS NOT NULL", swap)
        yield Step(sql, f"replaced unique {named} on {name}", (name,))

    def _replace_at_once(self, name: Name, constraint: sa.Constraint) -> Plan:
        drop = f"DROP CONSTRAINT {self.quoted(str(constraint.name))}"
        sql = f"ALTER TABLE {self.quoted_table(name)} {drop}, ADD {self.constraint_spec(constraint)}"
        yield Step(sql, f"replaced {constraint.name} on {name}", (name,))

    def _passing(self, thing: Any) -> Any:
        """Return the same index or constraint under its passing name."""
        passing = copy.copy(thing)
        passing.name = self.passing_name(str(thing.name))
        return passing
