"""The keys of a shadow column of a partitioned table: a unique index of each partition becomes the key in one transaction.

PostgreSQL cannot make a key from an existing index of a partitioned table. But a new key adopts the indexes of the
partitions without reading the rows. It cannot adopt an index that is already attached, so the indexes of a shadow column
stay unattached until then.
https://www.postgresql.org/docs/current/sql-altertable.html#SQL-ALTERTABLE-DESC-ADD-TABLE-CONSTRAINT-USING-INDEX
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from safeops.databases.definitions import Constraint, Index, Table
from safeops.databases.postgresql.types import block
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import Pair
from safeops.errors import UnsafeOperation
from safeops.naming import Code, Name, call, fitting
from safeops.shadow.postgresql.triggers import SyncTriggers

NOTE = "safeops validates this key: "
"""Begins the comment of a foreign key that was valid before it was re-created; its own comment follows."""

_KEY_PARTS = """
WITH RECURSIVE part AS (
  SELECT i.indexrelid, 0 AS level FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
  WHERE i.indrelid = :id AND r.relname = :name
  UNION ALL SELECT h.inhrelid, p.level + 1 FROM part p JOIN pg_inherits h ON h.inhparent = p.indexrelid
)
SELECT n.nspname, t.relname, r.relname, t.relkind = 'p', array_to_string(r.reloptions, ', ') FROM part p
JOIN pg_index i USING (indexrelid) JOIN pg_class r ON r.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
JOIN pg_namespace n ON n.oid = t.relnamespace ORDER BY p.level DESC, 1, 2
"""
_TREE = "SELECT string_agg(relid::oid::text, ',' ORDER BY relid::oid) FROM pg_partition_tree({id})"
_IDENTITY = """
SELECT n.nspname, t.relname, r.relname, i.indisreplident FROM pg_partition_tree(:id) p JOIN pg_class t ON t.oid = p.relid
JOIN pg_namespace n ON n.oid = t.relnamespace JOIN pg_index i ON i.indrelid = t.oid JOIN pg_class r ON r.oid = i.indexrelid
WHERE t.oid <> :id AND (i.indisreplident OR i.indisclustered) AND (SELECT attnum FROM pg_attribute
  WHERE attrelid = t.oid AND attname = :column) = ANY (i.indkey) ORDER BY 1, 2, 3
"""
_LATE = """
SELECT u.oid IS NOT NULL, obj_description(k.oid, 'pg_constraint') FROM pg_constraint k
JOIN pg_class c ON c.oid = k.confrelid LEFT JOIN pg_constraint u ON u.conindid = k.conindid AND u.conrelid = k.confrelid
  AND u.contype IN ('p', 'u') AND (c.relkind = 'p' OR u.conparentid <> 0)
WHERE k.conrelid = :id AND k.conname = :name
"""
# Those of partitions that have rows; each refers to the same table.
_PARTS_OF_KEY = """
WITH RECURSIVE part AS (
  SELECT oid, conrelid, confrelid FROM pg_constraint WHERE conrelid = :id AND conname = :name
  UNION ALL SELECT k.oid, k.conrelid, k.confrelid FROM pg_constraint k JOIN part p ON k.conparentid = p.oid
    AND k.confrelid = p.confrelid
)
SELECT n.nspname, c.relname, k.conname FROM part p JOIN pg_constraint k USING (oid) JOIN pg_class c ON c.oid = k.conrelid
JOIN pg_namespace n ON n.oid = c.relnamespace WHERE c.relkind = 'r' ORDER BY 1, 2
"""
_NOTED = """
SELECT n.nspname, c.relname, k.conname, obj_description(k.oid, 'pg_constraint'), k.convalidated, pg_get_constraintdef(k.oid)
FROM pg_constraint k JOIN pg_class c ON c.oid = k.conrelid JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE k.contype = 'f' AND k.conparentid = 0
  AND (k.confrelid = :id OR k.confrelid IN (SELECT relid FROM pg_partition_tree(:id)))
  AND starts_with(obj_description(k.oid, 'pg_constraint'), :note) ORDER BY 1, 2, 3
"""


@dataclass(frozen=True)
class Copy:
    """A copy of an index or a constraint.

    Args:
        kind: "index", "unique", "primary key", "check" or "foreign key".
        table: The table that has it; for a foreign key that refers to the column, another table.
        original: The name that it gets in the end.
        name: Its name until then; empty for the key of a partitioned table, which is created in the end.
        rest: An index after the name of its table; a constraint after its name.
        of: The index or constraint that it copies.
        wanted: The index that it should be, as far as its columns are concerned.
        spec: The key of a partitioned table, after its name.
        within: It belongs to the key of a partitioned table, and is dropped with it.
        late: A foreign key to the key of a partitioned table: it is created with that key, and validated then.
        note: What its comment records until it is validated.
    """

    kind: str
    table: Name
    original: str
    name: str
    rest: str
    of: Index | Constraint
    wanted: Index | Constraint
    spec: str = ""
    within: bool = False
    late: bool = False
    note: str = "null"

    @property
    def valid(self) -> bool:
        return self.of.valid


def replaced(pair: Pair, columns: tuple[str, ...]) -> list[str]:
    return [pair.shadow if column == pair.source else column for column in columns]


def timing(key: Constraint) -> str:
    return (" DEFERRABLE" if key.deferrable else "") + (" INITIALLY DEFERRED" if key.initially == "DEFERRED" else "")


class PartitionKeys(SyncTriggers):
    """Finds and creates the keys of partitions."""

    def copy_name(self, pair: Pair, original: str) -> str:
        return fitting("safeops", pair.shadow, original, max_bytes=self.database.abilities.max_identifier)

    def partitions_of(self, table: Table) -> Iterator[Table]:
        """Yield the partitions of every level, each without what it inherits from the whole."""
        for partition in table.partitions:
            part = self.database.table(partition)
            if part is not None and part.kind != "foreign table":
                indexes = {name: one for name, one in part.indexes.items() if not one.inherited}
                constraints = {name: one for name, one in part.constraints.items() if not one.inherited}
                yield replace(part, indexes=indexes, constraints=constraints)
                yield from self.partitions_of(part)

    # Keys -------------------------------------------------------------------------------------------------------

    def key_parts(self, pair: Pair, existing: Table, key: Constraint, rest: str, wanted: Index) -> Iterator[Copy]:
        """Yield the copies of a key: of the partitions, the deepest first, then of the table itself."""
        spec = self._key_spec(pair, key)
        for schema, table, original, is_partitioned, options in self.read(_KEY_PARTS, id=existing.id, name=key.name):
            name = Name(table, schema)
            within = name != existing.name
            if is_partitioned:
                yield Copy(key.kind, name, original, "", "", key, wanted, spec, within)
            else:
                own = f"{rest} WITH ({options})" if options else rest
                yield Copy(key.kind, name, original, self.copy_name(pair, original), own, key, wanted, within=within)

    def _key_spec(self, pair: Pair, key: Constraint) -> str:
        distinct = " NULLS NOT DISTINCT" if key.nulls_not_distinct else ""
        include = f" INCLUDE ({self.quoted(*replaced(pair, key.include))})" if key.include else ""
        columns = self.quoted(*replaced(pair, key.columns))
        return f"{key.kind.upper()}{distinct} ({columns}){include}{timing(key)}"

    def key_of_part(self, copy: Copy) -> str:
        """Return the statement that creates the key of a partition or of the whole after the old one was dropped."""
        add = f"ALTER TABLE {self.quoted_table(copy.table)} ADD CONSTRAINT {self.quoted(copy.original)}"
        if copy.spec:
            return f"{add} {copy.spec}"
        late = timing(copy.of) if isinstance(copy.of, Constraint) else ""
        return f"{add} {copy.kind.upper()} USING INDEX {self.quoted(copy.name)}{late}"

    def tree(self, table: Table) -> str | None:
        """Return the ids of a partitioned table and of its partitions."""
        return self.scalar(_TREE.format(id=table.id)) if table.is_partitioned else None

    def same_tree(self, table: Table, tree: str | None) -> list[str]:
        """Return the statement that fails if a partition was added since: its part of the keys would be built now."""
        if tree is None:
            return []
        fail = "RAISE duplicate_object USING MESSAGE = 'a partition was added or removed'"
        return [block(f"({_TREE.format(id=table.id)}) IS DISTINCT FROM {self.literal(tree)}", fail)]

    def identities_of_parts(self, pair: Pair, existing: Table) -> list[str]:
        """Return the statements that set the replica identity, or the order, of the partitions to the new indexes."""
        if not existing.is_partitioned:
            return []
        statements = []
        for schema, table, index, identifies in self.read(_IDENTITY, id=existing.id, column=pair.source):
            how = "REPLICA IDENTITY USING INDEX" if identifies else "CLUSTER ON"
            statements.append(f"ALTER TABLE {self.quoted_table(Name(table, schema))} {how} {self.quoted(index)}")
        return statements

    def locks_with(self, table: Name, children: list[Name]) -> list[str]:
        """Return the statements that lock a table, and those that refer to it.

        The first mode blocks writers, but not the checks of foreign keys: a transaction that has written rows of the table
        can still write rows that refer to them and end. One that writes only referring rows waits before it locks anything.
        """
        weak = [f"LOCK TABLE {self.quoted_table(one)} IN SHARE ROW EXCLUSIVE MODE" for one in (table, *children)]
        return [*(weak if children else ()), self.database.ddl.lock_whole(*children, table)]

    # Foreign keys to them ---------------------------------------------------------------------------------------

    def late_or_not(self, copy: Copy, child: Table) -> Iterator[Copy]:
        """Yield the copy of a foreign key; it is late if it refers to the key of a partitioned table.

        Before 18 a partitioned table cannot have a NOT VALID foreign key: its partitions get it first.
        """
        rows = self.read(_LATE, id=child.id, name=copy.original)
        late, comment = rows[0] if rows else (False, None)
        if not (late and child.is_partitioned and self.database.version < (18,)):
            yield replace(copy, late=late, note=json.dumps(comment))
            return
        whole = json.dumps(
            {"schema": child.name.schema, "table": child.name.name, "name": copy.original, "comment": comment}
        )
        yield replace(copy, late=True, spec=copy.rest)
        for schema, table, named in self.read(_PARTS_OF_KEY, id=child.id, name=copy.original):
            yield replace(copy, table=Name(table, schema), original=named, name="", late=True, within=True, note=whole)

    def late_drop(self, copy: Copy) -> list[str]:
        drop = f"ALTER TABLE {self.quoted_table(copy.table)} DROP CONSTRAINT {self.quoted(copy.original)}"
        return [] if copy.within else [drop]

    def late_add(self, copy: Copy) -> list[str]:
        """Return the statements that create a late foreign key for new rows; its comment records what is left to do."""
        if copy.spec:
            return []
        add = f"ALTER TABLE {self.quoted_table(copy.table)} ADD CONSTRAINT {self.quoted(copy.original)} {copy.rest}"
        comment = NOTE + copy.note if copy.valid else json.loads(copy.note)
        return [f"{add} NOT VALID", *([self.constraint_comment(copy.table, copy.original, comment)] if comment else [])]

    def constraint_comment(self, table: Name, named: str, comment: str | None) -> str:
        text = "NULL" if comment is None else self.literal(comment)
        return f"COMMENT ON CONSTRAINT {self.quoted(named)} ON {self.quoted_table(table)} IS {text}"

    def validate_keys(self, existing: Table) -> Plan:
        wholes: dict[str, list[tuple[Name, str, str]]] = {}
        for schema, table, named, note, valid, definition in self.read(_NOTED, id=existing.id, note=NOTE):
            child, whole_note = Name(table, schema), note.removeprefix(NOTE)
            step, comment = self.database.ddl.validation(child, named, (child, existing.name)), json.loads(whole_note)
            if isinstance(comment, dict):
                wholes.setdefault(whole_note, []).append((child, named, definition))
                yield from () if valid else (step,)
            else:
                yield replace(step, then=(self.constraint_comment(child, named, comment),))
        for whole_note, parts in wholes.items():
            yield self._whole_of(json.loads(whole_note), parts, existing)

    def _whole_of(self, whole: dict[str, Any], parts: list[tuple[Name, str, str]], table: Table) -> Step:
        """Let a partitioned table adopt the foreign keys of its partitions."""
        target, named = Name(whole["table"], whole["schema"]), whole["name"]
        definition = parts[0][2].removesuffix(" NOT VALID")
        add = f"ALTER TABLE {self.quoted_table(target)} ADD CONSTRAINT {self.quoted(named)} {definition}"
        then = [self.constraint_comment(part, name, None) for part, name, _ in parts]
        then += [self.constraint_comment(target, named, whole["comment"])] if whole["comment"] else []
        return Step(add, f"added {named} to {target} from its partitions", (target, table.name), tuple(then))


def in_partition_key(pair: Pair, table: Table, level: Name, key: str) -> UnsafeOperation:
    target = table.name.name
    renamed = call("op.alter_column", target, pair.source, new_column_name=pair.shadow, schema=table.name.schema)
    created = call("create_table_if_missing", f"{target}_new", Code("..."), postgresql_partition_by=key)
    return UnsafeOperation(
        f"{table.name}.{pair.source} is in the partition key of {level}: {key}.",
        why="The column decides in which partition a row is, and PostgreSQL cannot change the partition key of a table.",
        remedy="Rename it in place while no application that uses the old name runs:"
        if pair.type is None
        else "Create a second table that is partitioned by the new type, and let the application write both:",
        code=renamed if pair.type is None else created,
    )
