"""The plans for constraints and NOT NULL: brief statements with strong locks, long scans with weak ones.

https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-NOTES
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Constraint, Table
from safeops.databases.postgresql.indexes import IndexDDL, is_carried_out, while_empty
from safeops.databases.postgresql.server import SHARE_ROW_EXCLUSIVE, SHARE_UPDATE_EXCLUSIVE
from safeops.databases.postgresql.types import block, object_name
from safeops.databases.steps import Plan, Step, ddl_compiler
from safeops.naming import Name, call
from safeops.planned import NO_LOCK

NULLABLE_NOTE = "safeops took NULL before the key: "


class ConstraintDDL(IndexDDL):
    """The plans for constraints and NOT NULL."""

    def set_not_null(self, name: Name, column: str, existing: Table | None) -> Plan:
        """Prove it under a weak lock first: SET NOT NULL then finds the proof and does not scan.

        https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-SET-DROP-NOT-NULL
        """
        if existing is not None and not existing.columns[column].nullable:
            yield from self._drop_leftover_proof(name, column, existing)
            return
        set_not_null = Step(self.alter_column(name, column, "SET NOT NULL"), f"made {name}.{column} NOT NULL", (name,))
        if existing is not None and existing.is_empty and not self.has_unfinished_not_null(existing, column):
            yield (step := while_empty(set_not_null))
            if is_carried_out(step):
                return
        if existing is not None and self.database.version >= (18,):
            yield from self.set_not_null_natively(name, column, existing)
            return
        proof, kept = self._proof(name, column, existing)
        if not kept:
            spec = f"CONSTRAINT {self.quoted(proof)} CHECK ({self.quoted(column)} IS NOT NULL) NOT VALID"
            not_yet = f"""NOT EXISTS (SELECT 1 FROM pg_attribute WHERE attrelid = {self.regclass(name)}
                AND attname = {self.literal(column)} AND attnotnull)"""
            add = f"ALTER TABLE {self.quoted_table(name)} ADD {spec}"
            if existing is None or proof not in existing.constraints:
                guarded = self._unless_constraint(name, proof, add, also=not_yet)
                yield Step(add, f"added check {proof}", (name,), offline=guarded)
            if existing is None or not _is_valid(existing, proof):
                yield self.validation(name, proof)
        yield set_not_null
        if not kept:
            yield self._drop_constraint(name, proof)

    def set_not_null_natively(self, name: Name, column: str, existing: Table, rules: str = "") -> Plan:
        constraint = not_null_of(existing, column)
        # The name that SET NOT NULL gives, so the schema is the same.
        usual = object_name(name.name, column, "not_null")
        ours = self.fitting("safeops_not_null", name.name, column)
        proof = constraint.name if constraint else (ours if usual in existing.constraints else usual)
        if constraint is None:
            add = f"CONSTRAINT {self.quoted(proof)} NOT NULL {self.quoted(column)}{rules} NOT VALID"
            yield Step(f"ALTER TABLE {self.quoted_table(name)} ADD {add}", f"added not null {proof}", (name,))
        yield self.validation(name, proof)
        yield from self._drop_leftover_proof(name, column, existing)

    def _drop_leftover_proof(self, name: Name, column: str, existing: Table) -> Plan:
        proof, kept = self._proof(name, column, existing)
        found = existing.constraints.get(proof)
        if found is not None and found.kind == "check" and not kept:
            yield self._drop_constraint(name, proof)

    def _proof(self, name: Name, column: str, existing: Table | None) -> tuple[str, bool]:
        """Return the check that proves the column NOT NULL, and whether it is the author's own and is kept."""
        ours = self.fitting("safeops_not_null", name.name, column)
        proof = f"{column} IS NOT NULL".replace('"', "")
        for check in existing.of_kind("check") if existing else ():
            proves = (check.expression or "").strip("()").replace('"', "") == proof
            if proves and check.valid and "NO INHERIT" not in check.definition and check.name != ours:
                return check.name, True
        return ours, False

    def has_unfinished_not_null(self, existing: Table, column: str) -> bool:
        ours = self._proof(existing.name, column, existing)[0] in existing.constraints
        return ours or not_null_of(existing, column) is not None

    def drop_not_null(self, name: Name, column: str, existing: Table | None) -> Plan:
        proof, kept = self._proof(name, column, existing)
        if existing is not None and proof in existing.constraints and not kept:
            yield self._drop_constraint(name, proof)
        yield Step(self.alter_column(name, column, "DROP NOT NULL"), f"{name}.{column} takes NULL again", (name,))

    def constraint_spec(self, constraint: sa.Constraint) -> str:
        return str(ddl_compiler(self.database.dialect).process(constraint))

    def add_constraint(self, name: Name, constraint: sa.Constraint, existing: Table | None, validate: bool) -> Plan:
        if isinstance(constraint, (sa.UniqueConstraint, sa.PrimaryKeyConstraint)):
            return self._add_key(name, constraint, existing)
        if isinstance(constraint, (sa.ForeignKeyConstraint, sa.CheckConstraint)):
            return self._add_then_validate(name, constraint, existing, validate)
        return iter((self._add(name, constraint),))

    def _add_then_validate(self, name: Name, constraint: sa.Constraint, existing: Table | None, validate: bool) -> Plan:
        """New rows are checked after the first, brief step; old ones are scanned under a lock that blocks no writes."""
        named = str(constraint.name)
        locks: tuple[Name, ...] = (name,)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            referent = constraint.elements[0].column.table
            locks += (Name(referent.name, referent.schema),)
            if existing is not None and existing.is_partitioned and self.database.version < (18,):
                if not validate:
                    raise self.database.unsupported("validate=False on a partitioned table", "PostgreSQL 18")
                yield from self._add_through_partitions(name, constraint, existing, locks)
                return
        if existing is not None and existing.is_empty and validate and named not in existing.constraints:
            lock = SHARE_ROW_EXCLUSIVE if isinstance(constraint, sa.ForeignKeyConstraint) else None
            yield (step := while_empty(replace(self._add(name, constraint), locks=locks, lock=lock)))
            if is_carried_out(step):
                return
        add = f"ALTER TABLE {self.quoted_table(name)} ADD {self.constraint_spec(constraint)} NOT VALID"
        if existing is None or named not in existing.constraints:
            yield Step(
                add,
                f"added {named} for new rows of {name}",
                locks,
                lock=SHARE_ROW_EXCLUSIVE if isinstance(constraint, sa.ForeignKeyConstraint) else None,
                offline=self._unless_constraint(name, named, add),
            )
        if validate and (existing is None or not _is_valid(existing, named)):
            yield self.validation(name, named, locks)

    def _add_through_partitions(
        self, name: Name, key: sa.ForeignKeyConstraint, existing: Table, locks: tuple[Name, ...]
    ) -> Plan:
        """Before 18 a partitioned table takes no NOT VALID foreign key, but it adopts those of its partitions unscanned."""
        for partition in existing.partitions:
            yield from self._add_then_validate(partition, key, self.database.table(partition), validate=True)
        locks += existing.partitions
        yield replace(self._add(name, key, " from its partitions"), locks=locks, lock=SHARE_ROW_EXCLUSIVE)

    def _add_key(self, name: Name, key: sa.UniqueConstraint | sa.PrimaryKeyConstraint, existing: Table | None) -> Plan:
        """Build the index online, then make the constraint of it in a brief step."""
        named, kind = str(key.name), "PRIMARY KEY" if isinstance(key, sa.PrimaryKeyConstraint) else "UNIQUE"
        if existing is not None and existing.is_partitioned:
            yield from self._add_partitioned_key(name, key, existing)
            return
        index, quoted = self.database.index_of_key(key), self.quoted(named)
        add = f"ALTER TABLE {self.quoted_table(name)} ADD CONSTRAINT {quoted} {kind} USING INDEX {quoted}{self.timing(key)}"
        does = f"added {kind.lower()} {named} to {name}"
        if existing is not None and existing.is_empty and kind == "UNIQUE" and named not in existing.indexes:
            yield (step := while_empty(Step(self.index_sql(name, index), does, (name,), (add,))))
            if is_carried_out(step):
                return
        yield from self.create_index(name, index, existing)
        if kind == "PRIMARY KEY":
            yield from self._not_null_for_key(name, key, existing)
        yield Step(add, does, (name,), offline=self._unless_constraint(name, named, add))

    def timing(self, key: sa.Constraint) -> str:
        deferrable = " DEFERRABLE" if key.deferrable else ""
        return f"{deferrable} INITIALLY {key.initially.upper()}" if key.initially else deferrable

    def _add_partitioned_key(self, name: Name, key: Any, existing: Table) -> Plan:
        """Make the key of each partition online; that of the whole adopts them."""
        drop = call("drop_constraint_if_exists", str(key.name), name.name, schema=name.schema)
        self.check_leftovers(existing, str(key.name), tuple(column.name for column in key.columns), drop)
        if isinstance(key, sa.PrimaryKeyConstraint):
            for column in key.columns:
                yield from self.set_not_null(name, column.name, existing)
        for partition in existing.partitions:
            part_name, part = self.part_name(partition, str(key.name)), self.database.table(partition)
            part = (yield from self.with_free_name(part, part_name, str(key.name))) if part else None
            if part is not None and part_name not in part.constraints:
                yield from self._add_key(partition, _renamed_key(key, part_name), part)
        yield replace(self._add(name, key, " from its partitions"), locks=(name, *existing.partitions))

    def _not_null_for_key(self, name: Name, key: Any, existing: Table | None) -> Plan:
        """Make the columns NOT NULL, and note on the index which were nullable: dropping the key reverts that."""
        if existing is not None:
            columns = [column.name for column in key.columns if existing.columns[column.name].nullable]
            built = existing.indexes.get(str(key.name))
            if columns and (built is None or built.comment is None):
                note = self.literal(NULLABLE_NOTE + json.dumps(columns))
                index = self.index_name(name, str(key.name), existing)
                yield Step(
                    f"COMMENT ON INDEX {index} IS {note}",
                    f"noted which columns of {name} took NULL",
                    (name,),
                    lock=NO_LOCK,
                )
        for column in key.columns:
            # Also if it is NOT NULL already: an interrupted run may have left its proof.
            yield from self.set_not_null(name, column.name, existing)

    def _add(self, name: Name, constraint: sa.Constraint, how: str = "") -> Step:
        add = f"ALTER TABLE {self.quoted_table(name)} ADD {self.constraint_spec(constraint)}"
        return Step(add, f"added {constraint.name} to {name}{how}", (name,))

    def validate_constraint(self, name: Name, constraint: str, existing: Table | None) -> Plan:
        yield self.validation(name, constraint)

    def drop_constraint(self, name: Name, constraint: str, kind: str | None, existing: Table | None) -> Plan:
        dropped = existing.constraints.get(constraint) if existing else None
        if existing is not None and dropped is None and existing.is_partitioned:
            yield from self._drop_left_on_partitions(existing, constraint)
            return
        index = existing.indexes.get(constraint) if existing else None
        also = (dropped.referent,) if dropped and dropped.referent else ()
        step = self._drop_constraint(name, constraint, also)
        note = index.comment if index and index.of_constraint else None
        took_null = json.loads(note.removeprefix(NULLABLE_NOTE)) if note and note.startswith(NULLABLE_NOTE) else []
        took_null = [column for column in took_null if existing is not None and column in existing.columns]
        yield replace(step, then=tuple(self.alter_column(name, column, "DROP NOT NULL") for column in took_null))

    def _drop_left_on_partitions(self, existing: Table, constraint: str) -> Plan:
        for part, left in self.leftovers(existing, constraint, foreign_key=constraint):
            if isinstance(left, Constraint):
                yield from self.drop_constraint(part.name, left.name, left.kind, part)
            else:
                yield from self.drop_index(part.name, left.name, part)

    def _drop_constraint(self, name: Name, constraint: str, also: tuple[Name, ...] = ()) -> Step:
        sql = f"ALTER TABLE IF EXISTS {self.quoted_table(name)} DROP CONSTRAINT IF EXISTS {self.quoted(constraint)}"
        return Step(sql, f"dropped constraint {constraint} of {name}", (name, *also))

    def validation(self, name: Name, constraint: str, locks: tuple[Name, ...] = ()) -> Step:
        sql = f"ALTER TABLE {self.quoted_table(name)} VALIDATE CONSTRAINT {self.quoted(constraint)}"
        guarded = block(self._has_constraint(name, constraint, " AND NOT convalidated"), sql)
        lock = SHARE_UPDATE_EXCLUSIVE
        return Step(sql, f"validated {constraint} on {name}", locks or (name,), scans=True, offline=guarded, lock=lock)

    def _unless_constraint(self, name: Name, constraint: str, sql: str, also: str = "true") -> str:
        return block(f"NOT {self._has_constraint(name, constraint)} AND {also}", sql)

    def _has_constraint(self, name: Name, constraint: str, also: str = "") -> str:
        return f"""EXISTS (SELECT 1 FROM pg_constraint WHERE conrelid = {self.regclass(name)}
                 AND conname = {self.literal(constraint)}{also})"""

    def alter_column(self, name: Name, column: str, action: str) -> str:
        return f"ALTER TABLE {self.quoted_table(name)} ALTER COLUMN {self.quoted(column)} {action}"


def _renamed_key(key: sa.UniqueConstraint | sa.PrimaryKeyConstraint, name: str) -> Any:
    return type(key)(*key.columns, name=name, deferrable=key.deferrable, initially=key.initially, **key.dialect_kwargs)


def _is_valid(existing: Table, constraint: str) -> bool:
    found = existing.constraints.get(constraint)
    return found is not None and found.valid


def not_null_of(existing: Table, column: str) -> Constraint | None:
    """Return the constraint by which a column is NOT NULL; before PostgreSQL 18 it is none."""
    return next((key for key in existing.of_kind("not null") if key.columns == (column,)), None)


def rules_of(not_null: Constraint) -> str:
    """Return what follows the column in NOT NULL: NO INHERIT, NOT VALID, or nothing."""
    found = re.search(r"( NO INHERIT)?( NOT VALID)?$", not_null.definition)
    return found[0] if found else ""
