"""A column and its shadow column on PostgreSQL: related statements run in one transaction."""

from __future__ import annotations

import json
from typing import Any

from safeops.databases.definitions import Table
from safeops.databases.postgresql.constraints import not_null_of, rules_of
from safeops.databases.postgresql.types import moved_identity, moved_sequence, object_name, sequences, split_collation
from safeops.databases.steps import Plan, Step
from safeops.databases.triggers import Pair, changed_since_inspection, pair_of
from safeops.errors import DefinitionMismatch, DependentObjects, UnsafeOperation
from safeops.naming import Name, call
from safeops.planned import Effect
from safeops.shadow.postgresql.copies import INBOUND, is_ours
from safeops.shadow.postgresql.partitions import Copy, in_partition_key
from safeops.shadow.postgresql.scripts import OfflineScripts
from safeops.shadow.postgresql.triggers import NO_DEFAULT

_SOURCE = """
SELECT json_build_object(
  'statistics', nullif(a.attstattarget, -1), 'options', a.attoptions, 'compression', nullif(a.attcompression, ''),
  'storage', CASE WHEN a.attstorage <> t.typstorage THEN a.attstorage END, 'comment', col_description(a.attrelid, a.attnum),
  'collation', CASE WHEN a.attcollation <> t.typcollation THEN a.attcollation::regcollation::text END,
  'grants', (SELECT json_agg(json_build_array(x.privilege_type, CASE WHEN x.grantee = 0 THEN 'PUBLIC'
      ELSE quote_ident(pg_get_userbyid(x.grantee)) END, x.is_grantable) ORDER BY x.grantee, x.privilege_type)
    FROM aclexplode(a.attacl) x),
  'triggers', (SELECT json_agg(g.tgname) FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
    WHERE g.tgrelid = a.attrelid AND NOT g.tgisinternal AND g.tgtype & 3 = 3 AND g.tgtype & 20 > 0 AND p.proname <> :name),
  'functions', (SELECT json_agg(DISTINCT format('%s COST %s', p.oid::regprocedure, p.procost)) FROM pg_trigger g
    JOIN pg_proc p ON p.oid = g.tgfoid WHERE g.tgrelid = a.attrelid AND NOT g.tgisinternal AND p.proname <> :name
    AND pg_has_role(p.proowner, 'USAGE')),
  'children', EXISTS (SELECT 1 FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhparent
    WHERE i.inhparent = a.attrelid AND c.relkind = 'r'),
  'replica', (SELECT r.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
    WHERE i.indrelid = a.attrelid AND i.indisreplident),
  'clustered', (SELECT r.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
    WHERE i.indrelid = a.attrelid AND i.indisclustered),
  'parent', (SELECT i.inhparent::regclass::text FROM pg_inherits i
    WHERE i.inhrelid = a.attrelid AND a.attinhcount > 0 LIMIT 1),
  'domain_default', t.typdefault,
  'not_null', (SELECT k.conname FROM pg_constraint k
    WHERE k.conrelid = a.attrelid AND k.contype = 'n' AND k.conkey = ARRAY[a.attnum])
)::text FROM pg_attribute a JOIN pg_type t ON t.oid = a.atttypid
WHERE a.attrelid = :id AND a.attname = :column AND NOT a.attisdropped
"""
_PUBLISHED = """
SELECT p.pubname, ' WHERE ' || pg_get_expr(r.prqual, r.prrelid)
FROM pg_publication_rel r JOIN pg_publication p ON p.oid = r.prpubid WHERE r.prrelid = :id
AND (SELECT attnum FROM pg_attribute WHERE attrelid = :id AND attname = :column) = ANY (r.prattrs)
"""
_IMPLICIT = """
SELECT 1 FROM pg_attribute a JOIN pg_cast c ON c.castsource = a.atttypid AND c.castcontext = 'i'
WHERE a.attrelid = :id AND a.attname = :column AND c.casttarget = to_regtype(:type)
"""


class ShadowColumns(OfflineScripts):
    """What PostgreSQL does for a pair."""

    def find_pair(self, table: Table, name: str) -> Pair | None:
        sql = """SELECT p.prosrc FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
            WHERE g.tgrelid = :id AND p.proname = :name AND g.tgenabled IN ('O', 'A') AND NOT g.tgisinternal"""
        body = self.scalar(sql, id=table.id, name=name)
        return pair_of(body, table.name) if body else None

    def moving_dependents(self, pair: Pair, table: Table) -> list[str]:
        sql = """SELECT pg_describe_object('pg_constraint'::regclass, k.oid, 0) FROM pg_constraint k
            WHERE k.contype = 'f' AND (k.confrelid = :id OR k.confrelid IN (SELECT relid FROM pg_partition_tree(:id)))
            AND (SELECT attnum FROM pg_attribute WHERE attrelid = k.confrelid AND attname = :column) = ANY (k.confkey)"""
        return [row[0] for row in self.read(sql, id=table.id, column=pair.source)]

    def full_type(self, table: Table, column: str) -> str:
        definition = table.columns[column]
        collation = "" if definition.collation is None else f" COLLATE {self.quoted(definition.collation)}"
        return f"{definition.type}{collation}"

    # Before the first change -------------------------------------------------------------------------------------

    def check_pair(self, pair: Pair, table: Table) -> None:
        self.check_row_security(pair, table)
        self._check_free(pair, table)
        self._check_shape(pair, table)
        self._check_partitioned(pair, table)
        self._check_published(pair, table)
        # This finds values that the new type rejects before the fill.
        self.copies(pair, table)
        self.default_of_shadow(pair, table)
        if pair.back is not None and pair.type is not None:
            value = f"CAST(NULL AS {split_collation(pair.type)[0]}) AS {self.quoted(pair.source)}"
            self.read(f"SELECT ({pair.back}) FROM (SELECT {value}) safeops_row")

    def check_row_security(self, pair: Pair, table: Table) -> None:
        """Refuse hidden rows, also at the other side of a foreign key: its copy would be checked without them."""
        inbound = [Name(row[1], row[0]) for row in self.read(INBOUND, id=table.id, column=pair.source)]
        referents = [key.referent for key in table.constraints.values() if key.referent and pair.source in key.columns]
        self.database.refuse_hidden_rows([table.name, *inbound, *referents])

    def _check_free(self, pair: Pair, table: Table) -> None:
        if pair.shadow in table.columns:
            raise DefinitionMismatch(
                f"Column {table.name}.{pair.shadow} exists, but nothing keeps it in sync with {pair.source}.",
                why="It was left untouched: it may be another column, or one whose trigger was dropped or disabled.",
                remedy="Choose another name. If you do not need the values of the column, drop it first:",
                code=f'drop_column_if_exists("{table.name.name}", "{pair.shadow}")',
            )

    def _check_shape(self, pair: Pair, existing: Table) -> None:
        column = existing.columns[pair.source]
        if existing.kind not in ("table", "partitioned table") or self._source(pair, existing)["children"]:
            raise self.database.unsupported(
                f"A shadow column in {existing.name}, a {existing.kind} with child tables or with its rows elsewhere,",
                "an ordinary or a partitioned table",
            )
        if column.computed is not None:
            raise UnsafeOperation(
                f"{existing.name}.{pair.source} is generated: it is not written, and a copy would rewrite the table.",
                remedy="Add the generated column under its new name or type, and drop this one when it is no longer used.",
            )
        self._check_added(pair, existing)
        # A foreign key with PERIOD has only what the referenced key has.
        stiff = [
            owned
            for table in (existing, *self.partitions_of(existing))
            for owned in table.things_using(pair.source)
            if getattr(owned, "kind", "") == "exclude"
            or getattr(owned, "periods", False)
            or (getattr(owned, "kind", "") == "primary key" and owned.deferrable)  # type: ignore[union-attr]
        ]
        if stiff:
            raise UnsafeOperation(
                f"{existing.name}.{pair.source} is in {stiff[0].name}, which PostgreSQL cannot build online: "
                f"{stiff[0].definition}",
                remedy="Drop it first, and create it again after the change.",
            )

    def _check_partitioned(self, pair: Pair, table: Table) -> None:
        parent = self._source(pair, table)["parent"]
        if parent:
            raise UnsafeOperation(
                f"{table.name} inherits {pair.source} from {parent}: PostgreSQL cannot drop or rename it in one partition.",
                remedy=f"Change the column on {parent}, and all its partitions change with it.",
            )
        if (level := self.database.safety.partition_key_using(table, pair.source)) is not None:
            raise in_partition_key(pair, table, *level)

    def _check_added(self, pair: Pair, table: Table) -> None:
        """Refuse a domain with constraints: the server rewrites the table to check the NULL of each row."""
        type_ = pair.type or table.columns[pair.source].type
        if self.database.adds_by_rewriting(
            table, f"ALTER TABLE safeops_probe ADD COLUMN safeops_twin {type_} DEFAULT NULL"
        ):
            raise UnsafeOperation(
                f"Adding a column of type {type_} to {table.name} would rewrite it: {type_} is a domain with constraints.",
                remedy="Move the constraints from the domain to the column until the change is complete:",
                code=f"op.execute('ALTER DOMAIN {type_} DROP CONSTRAINT ...')  # or DROP NOT NULL",
            )

    def _check_published(self, pair: Pair, table: Table) -> None:
        if self.database.version < (15,):
            return
        for name, filtered in self.read(_PUBLISHED, id=table.id, column=pair.source):
            # SET TABLE would remove all other tables from the publication.
            alter, target = f"ALTER PUBLICATION {self.quoted(name)}", self.quoted_table(table.name)
            again = call("op.execute", f"{alter} ADD TABLE {target}{filtered or ''}")
            raise DependentObjects(
                f"Publication {name} publishes {table.name}.{pair.source} in a list of columns.",
                why="The new column would not be in the list, and a subscriber must have a column before it is published.",
                remedy="Add the new column on the subscribers, then publish the whole table, and list its columns again"
                " after the change:",
                code=f"{call('op.execute', f'{alter} DROP TABLE {target}')}\n{again}",
            )

    def _source(self, pair: Pair, table: Table) -> dict[str, Any]:
        raw = self.scalar(_SOURCE, id=table.id, column=pair.source, name=pair.name)
        if raw is None:
            raise changed_since_inspection(pair)
        found: dict[str, Any] = json.loads(raw)
        return found

    # Together ---------------------------------------------------------------------------------------------------

    def start_sync(self, pair: Pair, table: Table) -> Plan:
        target, shadow = self.quoted_table(table.name), self.quoted(pair.shadow)
        found, column = self._source(pair, table), table.columns[pair.source]
        collation = f" COLLATE {found['collation']}" if found["collation"] and pair.type is None else ""
        add = f"ALTER TABLE {target} ADD COLUMN {shadow} {pair.type or column.type}{collation}"
        # Otherwise existing rows would get the default of a domain, and would count as filled.
        add += " DEFAULT NULL"
        default = self._shared_default(pair, table, found) if pair.winner is not None else None
        shared = [] if default in (None, NO_DEFAULT) else [f"SET DEFAULT {default}"]
        then = [self.database.ddl.alter_column(table.name, pair.shadow, action) for action in shared]
        of_other_type = {} if pair.type is None else {"storage": None, "compression": None}
        then += self.database.ddl.column_attributes(table.name, pair.shadow, {**found, **of_other_type})
        certain, others = self._is_certain(pair, table), found["triggers"] or []
        then += self.trigger_statements(pair, default, others, certain=certain, type_=column.type)
        does = f"added {table.name}.{pair.shadow}, in sync with {pair.source}"
        yield self.after_vacuum(Step(add, does, (table.name,), tuple(then), effect=Effect(table.name, pair.shadow)))

    def _shared_default(self, pair: Pair, table: Table, found: dict[str, Any]) -> str | None:
        """Return the default if all rows that one transaction writes get the same value from it, else None."""
        column = table.columns[pair.source]
        default: str | None = column.default or found["domain_default"]
        if default is None:
            return NO_DEFAULT if column.identity is None else None
        add = f"ALTER TABLE safeops_probe ADD COLUMN safeops_twin {column.type} DEFAULT {default}"
        return None if self.database.rewrites(table, add) else default

    def _is_certain(self, pair: Pair, table: Table) -> bool:
        """Return whether the conversion is an implicit cast: such casts accept every value."""
        if pair.value is not None or pair.type is None or "(" in pair.type:
            return False
        return bool(self.read(_IMPLICIT, id=table.id, column=pair.source, type=pair.type))

    def copy_indexes(self, pair: Pair, table: Table) -> Plan:
        if pair.winner is not None:
            yield from self._shadow_not_null(pair, table)
        copies = self.copies(pair, table)
        yield from self.without_outdated(pair, copies)
        for copy in copies:
            yield from self.make(copy)

    # Apart ------------------------------------------------------------------------------------------------------

    def swap_columns(self, pair: Pair, table: Table, kept: Pair | None) -> Plan:
        yield from self.validate_keys(table)
        tree = self.tree(table)
        yield from self._shadow_not_null(pair, table)
        copies = self.copies(pair, table)
        for copy in copies:
            if copy.kind == "foreign key":
                yield from self.replace_key(copy)
        # The keys of another pair to the source need its unique index; that pair creates them again.
        yield from self._without_copies_of_others(pair.source, table)
        now = self.database.table(table.name) or table
        yield self._exchange(
            pair, now, [copy for copy in copies if copy.late or copy.kind != "foreign key"], kept, tree
        )
        yield from self.validate_keys(now)

    def _exchange(self, pair: Pair, table: Table, copies: list[Copy], kept: Pair | None, tree: str | None) -> Step:
        found, target = self._source(pair, table), self.quoted_table(table.name)
        late = [copy for copy in copies if copy.late]
        copies = [copy for copy in copies if not copy.late]
        children = list(dict.fromkeys(one.table for one in late if one.table != table.name))
        lock, *then = self.locks_with(table.name, children)
        # After a swap by another runner, the statements below would reverse it.
        then += [self.still_in_sync(table.id, pair), *self.same_tree(table, tree)]
        then += [*self.trigger_removal(table.id, pair), *(one for copy in late for one in self.late_drop(copy))]
        then += [*self._moved_default(pair, table), *self._moved_defaults_of_parts(pair, table)]
        if kept is None:
            then.append(f"ALTER TABLE {target} DROP COLUMN {self.quoted(pair.source)}")
        else:
            then += [statement for copy in copies for statement in self.removal(copy)]
            required = not table.columns[pair.source].nullable or found["not_null"]
            then += self._nullable_again(pair, table) if required else []
        for copy in copies:
            then += self.renaming(copy)
        then += [statement for copy in late for statement in self.late_add(copy)]
        then += self._same_not_null(pair, table, found)
        if found["replica"] in {copy.original for copy in copies}:
            then.append(f"ALTER TABLE {target} REPLICA IDENTITY USING INDEX {self.quoted(found['replica'])}")
        if found["clustered"] in {copy.original for copy in copies}:
            then.append(f"ALTER TABLE {target} CLUSTER ON {self.quoted(found['clustered'])}")
        then += self.identities_of_parts(pair, table)
        if kept is not None:
            then += self._swapped(pair, kept, table, found)
        done = f"replaced {table.name}.{pair.source} by {pair.shadow}"
        return self.after_vacuum(
            Step(
                lock,
                done,
                (*self.database.ddl.locked(table), *children, *sequences(self.database, pair, table)),
                tuple(then),
            )
        )

    def finish_swap(self, pair: Pair, table: Table) -> Plan:
        yield from self.validate_keys(table)

    def _nullable_again(self, pair: Pair, table: Table) -> list[str]:
        """Return the statements that make the source nullable; from 18 on a partition may have a separate NOT NULL."""
        parts = self.partitions_of(table) if self.database.version >= (18,) else ()
        return [self.database.ddl.alter_column(one.name, pair.source, "DROP NOT NULL") for one in (table, *parts)]

    def _moved_default(self, pair: Pair, table: Table) -> list[str]:
        """Return the statements that move the default, the identity or the sequence to the shadow column."""
        column = table.columns[pair.source]
        if column.identity is not None:
            return moved_identity(self.database, pair, table)
        default = pair.default if pair.switched else self.default_of_shadow(pair, table)
        if default is None:
            # The shadow column too: with a domain it has an explicit default, even NULL, until that of the domain applies.
            names = [one for one in (pair.source, pair.shadow) if table.columns[one].default is not None]
            return [self.database.ddl.alter_column(table.name, name, "DROP DEFAULT") for name in names]
        return [
            *self._default_statements(pair, table, default),
            *moved_sequence(self.database, pair, table),
            self.database.ddl.alter_column(table.name, pair.source, "DROP DEFAULT"),
        ]

    def _moved_defaults_of_parts(self, pair: Pair, table: Table) -> list[str]:
        """Return the statements that restore the default of each partition that differs."""
        statements = []
        for part in self.partitions_of(table):
            if part.columns[pair.source].default == table.columns[pair.source].default:
                continue
            default = self.default_of_shadow(pair, part)
            statements += [self.database.ddl.alter_column(part.name, pair.source, "DROP DEFAULT")]
            statements += moved_sequence(self.database, pair, part)
            statements += (
                [self.database.ddl.alter_column(part.name, pair.shadow, "DROP DEFAULT")]
                if default is None
                else self._default_statements(pair, part, default)
            )
        return statements

    def _default_statements(self, pair: Pair, table: Table, default: str) -> list[str]:
        if not default.startswith("(SELECT"):
            return [self.database.ddl.alter_column(table.name, pair.shadow, f"SET DEFAULT {default}")]
        # A default cannot have a subquery: the converted constant is a constant.
        value = self.scalar(f"SELECT quote_nullable({default}::text)")
        type_ = pair.type or table.columns[pair.source].type
        return [self.database.ddl.alter_column(table.name, pair.shadow, f"SET DEFAULT {value}::{type_}")]

    def _shadow_not_null(self, pair: Pair, table: Table) -> Plan:
        """Plan that the shadow column is NOT NULL if the source is; if that is not validated, the swap adds it."""
        if table.columns[pair.source].nullable:
            return
        rule = not_null_of(table, pair.source)
        if rule is not None and "NO INHERIT" in rules_of(rule) and table.columns[pair.shadow].nullable:
            yield from self.database.ddl.set_not_null_natively(table.name, pair.shadow, table, " NO INHERIT")
        else:
            yield from self.database.ddl.set_not_null(table.name, pair.shadow, table)

    def _same_not_null(self, pair: Pair, table: Table, found: dict[str, Any]) -> list[str]:
        """Return the statement that restores the name of NOT NULL, which is a constraint from PostgreSQL 18 on."""
        if not found["not_null"]:
            return []
        rule = not_null_of(table, pair.source)
        if rule is not None and not rule.valid:
            spec = f"NOT NULL {self.quoted(pair.shadow)}{rules_of(rule)}"
            target = self.quoted_table(table.name)
            return [f"ALTER TABLE {target} ADD CONSTRAINT {self.quoted(rule.name)} {spec}"]
        of_twin = [
            constraint.name
            for constraint in table.constraints.values()
            if constraint.kind == "not null" and constraint.columns == (pair.shadow,)
        ]
        usual = object_name(table.name.name, pair.shadow, "not_null")
        name = of_twin[0] if of_twin else usual
        if name == found["not_null"]:
            return []
        quoted, wanted = self.quoted(name), self.quoted(found["not_null"])
        return [f"ALTER TABLE {self.quoted_table(table.name)} RENAME CONSTRAINT {quoted} TO {wanted}"]

    def _swapped(self, pair: Pair, kept: Pair, table: Table, found: dict[str, Any]) -> list[str]:
        """Return the statements that exchange the names of the two, and keep the former source in sync."""
        target, between = self.quoted_table(table.name), self.quoted("safeops_between")
        source, shadow = self.quoted(pair.source), self.quoted(pair.shadow)
        renames = [(source, between), (shadow, source), (between, shadow)]
        swapped = [f"ALTER TABLE {target} RENAME COLUMN {one} TO {other}" for one, other in renames]
        type_ = table.columns[pair.shadow].type
        triggers = self.trigger_statements(kept, None, found["triggers"] or [], certain=False, type_=type_)
        # A compiled function keeps the old type of the column; any ALTER FUNCTION, even without a change, recompiles it.
        return [*swapped, *triggers, *(f"ALTER FUNCTION {one}" for one in found["functions"] or [])]

    def drop_shadow(self, pair: Pair, table: Table) -> Plan:
        yield from self._given_back(pair.mirrored, table)
        yield from self._without_copies_of_others(pair.shadow, table)
        now = self.database.table(table.name) or table
        lock, then = self.database.ddl.lock_whole(now.name), self.trigger_removal(now.id, pair)
        if pair.shadow in now.columns:
            then.append(f"ALTER TABLE {self.quoted_table(now.name)} DROP COLUMN {self.quoted(pair.shadow)}")
        referents = {key.referent for key in now.constraints.values() if key.referent and pair.shadow in key.columns}
        yield self.after_vacuum(
            Step(lock, f"dropped {now.name}.{pair.shadow}", (*self.database.ddl.locked(now), *referents), tuple(then))
        )

    def _given_back(self, pair: Pair, table: Table) -> Plan:
        """Plan to move foreign keys back to the source after an interrupted swap."""
        if pair.source in table.columns:
            for copy in [*self.foreign_keys(pair, table), *self.inbound(pair, table)]:
                yield from self.make(copy)
                yield from self.replace_key(copy)

    def _without_copies_of_others(self, column: str, existing: Table) -> Plan:
        """Plan to drop the copies that are foreign keys to a column."""
        for schema, table, named, _ in self.read(INBOUND, id=existing.id, column=column):
            child = self.database.table(Name(table, schema))
            if is_ours(named) and child is not None:
                yield self.constraint_drop(child, named)
