"""The copies of a column's indexes and constraints for its shadow column: PostgreSQL writes them, on an empty table copy."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from sqlalchemy.exc import DBAPIError

from safeops.databases.definitions import Constraint, Index, Table, names_in
from safeops.databases.postgresql.indexes import IndexText
from safeops.databases.postgresql.sealing import sealed
from safeops.databases.postgresql.server import SHARE_ROW_EXCLUSIVE
from safeops.databases.postgresql.types import PROBE, block, split_collation
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import Pair
from safeops.errors import UnsafeOperation
from safeops.naming import Name
from safeops.shadow.postgresql.partitions import Copy, PartitionKeys, replaced, timing

_QUOTED = r'(?:"(?:[^"]|"")*"|[^\s".(]+)'
_INDEX = re.compile(rf"^CREATE (?:UNIQUE )?INDEX {_QUOTED} ON (?:ONLY )?{_QUOTED}\.{_QUOTED} (USING .*)$", re.DOTALL)
_KEY = re.compile(
    r'^FOREIGN KEY \((?:"(?:[^"]|"")*"|[^")])*\) REFERENCES ((?:"(?:[^"]|"")*"|[^"(])+)\((?:"(?:[^"]|"")*"|[^")])*\)(.*)$',
    re.DOTALL,
)
INBOUND = """
SELECT n.nspname, c.relname, k.conname, pg_describe_object('pg_constraint'::regclass, k.oid, 0)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.confrelid = :id AND k.conparentid = 0 AND (
  SELECT attnum FROM pg_attribute WHERE attrelid = :id AND attname = :column) = ANY (k.confkey)
ORDER BY 1, 2, 3
"""

COMMENT = """
SELECT obj_description(oid, 'pg_constraint') FROM pg_constraint WHERE conrelid = to_regclass(:table) AND conname = :name
"""


class IndexCopies(PartitionKeys):
    """Finds, makes and renames the copies."""

    def copies(self, pair: Pair, table: Table) -> list[Copy]:
        """Return the copies that the shadow column of a pair needs."""
        found = [*self._own_copies(pair, table), *self.foreign_keys(pair, table), *self.inbound(pair, table)]
        for part in self.partitions_of(table):
            found += [*self._own_copies(pair, part), *self.foreign_keys(pair, part), *self.inbound(pair, part)]
        return found

    # Indexes, unique constraints and checks ---------------------------------------------------------------------

    def _own_copies(self, pair: Pair, table: Table) -> Iterator[Copy]:
        indexes, checks = self._of_column(pair, table)
        if not indexes and not checks:
            return
        spelled = self._rendered_for_shadow(pair, table, indexes)
        for index in indexes:
            wanted = spelled.indexes[index.name]
            rest = _rest_of(wanted.definition)
            # A word in a definition need not be the column.
            if rest != _rest_of(index.definition):
                constraint = table.constraints.get(index.name)
                kind = constraint.kind if index.of_constraint and constraint else "index"
                if constraint is not None and kind != "index" and table.is_partitioned:
                    yield from self.key_parts(pair, table, constraint, rest, wanted)
                    continue
                name = self.copy_name(pair, index.name)
                yield Copy(kind, table.name, index.name, name, rest, constraint or index, wanted)
        for check in checks:
            copied = spelled.constraints.get(check.name)
            definition = (copied.definition if copied else "").removesuffix(" NOT VALID")
            if copied is not None and definition != check.definition.removesuffix(" NOT VALID"):
                yield Copy("check", table.name, check.name, self.copy_name(pair, check.name), definition, check, copied)

    def _of_column(self, pair: Pair, table: Table) -> tuple[list[Index], list[Constraint]]:
        def counts(one: Index | Constraint) -> bool:
            return one.valid or isinstance(one, Constraint)

        found = [owned for owned in table.things_using(pair.source) if counts(owned) and not is_ours(owned.name)]
        indexes = [one for one in found if isinstance(one, Index)]
        return indexes, [one for one in found if isinstance(one, Constraint) and one.kind == "check"]

    def _rendered_for_shadow(self, pair: Pair, table: Table, indexes: list[Index]) -> Table:
        """Let the server write the indexes and checks for the shadow column."""
        probe, column = Name(PROBE), f"ALTER TABLE {PROBE} ALTER COLUMN {self.quoted(pair.source)}"
        with self.database.scratch():
            self.database.copy_empty(table, probe, "INCLUDING CONSTRAINTS")
            self.run(f"ALTER TABLE {PROBE} DROP COLUMN IF EXISTS {self.quoted(pair.shadow)} CASCADE")
            for index in indexes:
                unique = "UNIQUE " if index.unique else ""
                self.run(f"CREATE {unique}INDEX {self.quoted(index.name)} ON {PROBE} {_rest_of(index.definition)}")
            if pair.type is not None:
                self.run(f"{column} TYPE {pair.type} USING {self.shadow_value(pair)}")
            self.run(f"ALTER TABLE {PROBE} RENAME COLUMN {self.quoted(pair.source)} TO {self.quoted(pair.shadow)}")
            found = self.database.table(probe)
        if found is None:
            raise RuntimeError("internal error: the temporary copy of a table disappeared; please report this bug")
        return found

    def default_of_shadow(self, pair: Pair, table: Table) -> str | None:
        """Return the default of the source in the type of the shadow column."""
        default = table.columns[pair.source].default
        if default is None or pair.type is None:
            return default
        if pair.value is not None:
            return (
                f"(SELECT {self.shadow_value(pair)} FROM (SELECT {default} AS {self.quoted(pair.source)}) safeops_row)"
            )
        return default if self._takes(pair.type, default) else f"CAST({default} AS {split_collation(pair.type)[0]})"

    def _takes(self, type_: str, default: str) -> bool:
        try:
            with self.database.scratch():
                self.run(f"CREATE TEMPORARY TABLE {PROBE} (a {type_} DEFAULT {default}) ON COMMIT DROP")
        except DBAPIError as error:
            if self.database.errors.is_lock_failure(error) or self.database.errors.is_cut_short(error):
                raise
            return False
        return True

    # Foreign keys -----------------------------------------------------------------------------------------------

    def foreign_keys(self, pair: Pair, table: Table) -> Iterator[Copy]:
        for key in table.constraints.values():
            if key.kind == "foreign key" and pair.source in key.columns and not is_ours(key.name):
                columns = replaced(pair, key.columns)
                # A key within the table can also refer to the source: (tenant, parent) to (tenant, id).
                remote = replaced(pair, key.remote) if key.referent == table.name else list(key.remote)
                copy = self._key_copy(pair, table.name, key, columns, remote)
                yield from self.late_or_not(copy, table) if remote != [*key.remote] else (copy,)

    def inbound(self, pair: Pair, existing: Table) -> Iterator[Copy]:
        """Yield copies of the foreign keys that refer to the source and do not contain it."""
        for schema, table, named, _ in self.read(INBOUND, id=existing.id, column=pair.source):
            child = self.database.table(Name(table, schema))
            key = child.constraints.get(named) if child else None
            both = child is not None and child.id == existing.id and key is not None and pair.source in key.columns
            # Another runner may have moved the key since.
            refers = key is not None and pair.source in key.remote
            if child is not None and key is not None and refers and not is_ours(named) and not both:
                copy = self._key_copy(pair, child.name, key, list(key.columns), replaced(pair, key.remote))
                yield from self.late_or_not(copy, child)

    def _key_copy(self, pair: Pair, table: Name, key: Constraint, columns: list[str], remote: list[str]) -> Copy:
        match = _KEY.match(key.definition)
        if match is None or re.search(r"SET (NULL|DEFAULT) \(", match[2]):
            raise UnsafeOperation(
                f"Foreign key {key.name} of {table} cannot be copied: {key.definition}",
                remedy="Drop it first, and create it again after the change.",
            )
        rest = match[2].removesuffix(" NOT VALID")
        rest = f"FOREIGN KEY ({self.quoted(*columns)}) REFERENCES {match[1]}({self.quoted(*remote)}){rest}"
        wanted = replace(key, columns=tuple(columns), remote=tuple(remote))
        return Copy("foreign key", table, key.name, self.copy_name(pair, key.name), rest, key, wanted)

    # Plans ------------------------------------------------------------------------------------------------------

    def without_outdated(self, pair: Pair, copies: list[Copy]) -> Plan:
        """Plan to drop copies whose original was dropped, or whose column another pair has exchanged."""
        # A foreign key that refers to the shadow column needs its unique index.
        for copy in reversed(copies):
            existing = self.database.table(copy.table)
            if existing is not None and _is_outdated(copy, existing):
                yield from self._drop_copy(existing, copy.name)
        existing = self.database.table(pair.table)
        for table in [existing, *self.partitions_of(existing)] if existing is not None else []:
            made = [thing for thing in table.things_using(pair.shadow) if is_ours(thing.name)]
            found = {one.name for one in made if getattr(one, "kind", "") != "not null"}
            for name in sorted(found - {copy.name for copy in copies}):
                yield from self._drop_copy(table, name)

    def _drop_copy(self, table: Table, name: str) -> Plan:
        if name in table.constraints:
            yield self.constraint_drop(table, name)
        else:
            yield from self.database.ddl.drop_index(table.name, name, table)

    def constraint_drop(self, table: Table, name: str) -> Step:
        referent = table.constraints[name].referent if name in table.constraints else None
        drop = f"ALTER TABLE {self.quoted_table(table.name)} DROP CONSTRAINT IF EXISTS {self.quoted(name)}"
        locks = (table.name, referent) if referent else (table.name,)
        return self.after_vacuum(Step(drop, f"dropped constraint {name} of {table.name}", locks))

    def make(self, copy: Copy) -> Plan:
        """Plan to create and validate a copy, unless it exists and is valid."""
        table = self.database.table(copy.table)
        if table is None or copy.spec or copy.late:
            return
        if copy.kind in ("index", "unique", "primary key"):
            yield from self._make_index(copy, table)
            return
        add = f"ALTER TABLE {self.quoted_table(copy.table)} ADD CONSTRAINT {self.quoted(copy.name)} {copy.rest}"
        if copy.kind == "foreign key" and table.is_partitioned and self.database.version < (18,):
            if copy.name not in table.constraints:
                yield from self._make_through_partitions(copy, table, add)
            return
        locks = (
            (copy.table, copy.of.referent) if isinstance(copy.of, Constraint) and copy.of.referent else (copy.table,)
        )
        if copy.name not in table.constraints:
            does, then = f"added {copy.name} for new rows of {copy.table}", self._while_original(copy)
            lock = SHARE_ROW_EXCLUSIVE if copy.kind == "foreign key" else None
            yield self.after_vacuum(Step(f"{add} NOT VALID", does, locks, then, lock=lock))
        existing = table.constraints.get(copy.name)
        if copy.valid and not (existing is not None and existing.valid):
            yield self.database.ddl.validation(copy.table, copy.name, locks)

    def _while_original(self, copy: Copy) -> tuple[str, ...]:
        """Return the statement that fails if another runner has replaced the original key by its copy."""
        if not isinstance(copy.of, Constraint) or copy.kind != "foreign key":
            return ()
        gone = f"NOT EXISTS (SELECT 1 FROM pg_constraint WHERE oid = {copy.of.id})"
        return (block(sealed(gone), "RAISE duplicate_object USING MESSAGE = 'another runner has handed the key over'"),)

    def _make_index(self, copy: Copy, table: Table) -> Plan:
        unique = copy.kind != "index" or (isinstance(copy.of, Index) and copy.of.unique)
        if copy.name in table.constraints:
            return
        existing = table.indexes.get(copy.name)
        if existing is None or not existing.valid:
            yield from self.database.ddl.build_index(copy.table, IndexText(copy.name, unique, copy.rest), table)
        if copy.kind == "unique" and isinstance(copy.of, Constraint) and not copy.within:
            quoted = self.quoted(copy.name)
            add = f"ALTER TABLE {self.quoted_table(copy.table)} ADD CONSTRAINT {quoted} UNIQUE USING INDEX {quoted}"
            add += timing(copy.of)
            yield self.after_vacuum(Step(add, f"added unique {copy.name} to {copy.table}", (copy.table,)))

    def _make_through_partitions(self, copy: Copy, table: Table, add: str) -> Plan:
        """Before 18 a partitioned table cannot have a NOT VALID foreign key, but adopts those of partitions unscanned."""
        for partition in table.partitions:
            yield from self.make(replace(copy, table=partition))
        referent = (copy.of.referent,) if isinstance(copy.of, Constraint) and copy.of.referent else ()
        locks = (copy.table, *referent, *table.partitions)
        does, then = f"added {copy.name} to {copy.table} from its partitions", self._while_original(copy)
        yield self.after_vacuum(Step(add, does, locks, then, lock=SHARE_ROW_EXCLUSIVE))

    def after_vacuum(self, step: Step) -> Step:
        """Let a step take a weak lock on its first table before the strong one.

        An automatic vacuum is cancelled only after another session has waited ``deadlock_timeout`` for it. The weak lock
        waits for it and blocks no other session; the fill of the column triggers such a vacuum.
        https://www.postgresql.org/docs/current/routine-vacuuming.html#AUTOVACUUM
        """
        lock = f"LOCK TABLE {self.quoted_table(step.locks[0])} IN SHARE UPDATE EXCLUSIVE MODE"
        return replace(step, sql=lock, then=(step.sql, *step.then))

    def replace_key(self, copy: Copy) -> Plan:
        """Plan that the copy of a foreign key replaces the original, in one brief transaction."""
        table, target = self.database.table(copy.table), self.quoted_table(copy.table)
        if table is None or copy.name not in table.constraints or not isinstance(copy.of, Constraint):
            return
        drop = f"ALTER TABLE {target} DROP CONSTRAINT IF EXISTS {self.quoted(copy.original)}"
        rename = f"ALTER TABLE {target} RENAME CONSTRAINT {self.quoted(copy.name)} TO {self.quoted(copy.original)}"
        referent = (copy.of.referent,) if copy.of.referent else ()
        does = f"replaced foreign key {copy.original} of {copy.table} by that of the new column"
        children = [copy.table] if copy.of.referent not in (None, copy.table) else []
        first, *then = self.locks_with(copy.of.referent or copy.table, children)
        then += [
            drop,
            rename,
            *self.database.ddl.renamed_parts(table, copy.name, copy.original),
            *self._own_comment(copy),
        ]
        yield self.after_vacuum(Step(first, does, (copy.table, *referent), tuple(then)))

    def renaming(self, copy: Copy) -> list[str]:
        """Return the statements that rename a copy to the name of its original, which must be free."""
        target, name, original = self.quoted_table(copy.table), self.quoted(copy.name), self.quoted(copy.original)
        if copy.spec or copy.within:
            return [self.key_of_part(copy), *self._own_comment(copy)]
        if copy.kind == "primary key":
            add = f"ALTER TABLE {target} ADD CONSTRAINT {original} PRIMARY KEY USING INDEX {name}"
            return [add, *self._own_comment(copy)]
        if copy.kind == "index":
            index = self.quoted_table(Name(copy.name, copy.table.schema))
            renamed = [f"ALTER INDEX {index} RENAME TO {original}"]
            comment = copy.of.comment if isinstance(copy.of, Index) else None
            original_index = self.quoted_table(Name(copy.original, copy.table.schema))
            renamed += [self.database.ddl.comment_on("INDEX", original_index, comment)] if comment else []
            table = self.database.table(copy.table)
            return renamed + (self.database.ddl.renamed_parts(table, copy.name, copy.original) if table else [])
        return [f"ALTER TABLE {target} RENAME CONSTRAINT {name} TO {original}", *self._own_comment(copy)]

    def _own_comment(self, copy: Copy) -> list[str]:
        """Return the statement that copies the comment of the original constraint, if there is one."""
        comment = self.scalar(COMMENT, table=self.quoted_table(copy.table), name=copy.original)
        return [self.constraint_comment(copy.table, copy.original, comment)] if comment else []

    def removal(self, copy: Copy) -> list[str]:
        """Return the statement that drops the original of a copy."""
        if copy.within:
            return []
        if copy.kind == "index":
            return [f"DROP INDEX IF EXISTS {self.quoted_table(Name(copy.original, copy.table.schema))}"]
        return [f"ALTER TABLE {self.quoted_table(copy.table)} DROP CONSTRAINT IF EXISTS {self.quoted(copy.original)}"]


def _rest_of(definition: str) -> str:
    match = _INDEX.match(definition)
    if match is None:
        raise RuntimeError(f"not a definition of an index: {definition}")
    return match[1]


def _is_outdated(copy: Copy, table: Table) -> bool:
    existing: Any = (table.constraints if copy.kind in ("check", "foreign key") else table.indexes).get(copy.name)
    if existing is None:
        return False
    if isinstance(copy.wanted, Constraint) and copy.kind == "foreign key":
        parts = "columns", "remote", "referent"
        return copy.late or any(getattr(existing, part) != getattr(copy.wanted, part) for part in parts)
    known = {*table.columns}
    return names_in(existing) & known != names_in(copy.wanted) & known


def is_ours(name: str) -> bool:
    return name.startswith("safeops_")
