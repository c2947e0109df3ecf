"""The DDL of MariaDB and MySQL: constraints, schemas, and what replaces an index or a constraint of the same name.

One statement drops an index and adds its successor. Neither server accepts a new foreign key with the name of one that the
same statement drops: the successor is added under a temporary name, which enforces the rule while the old key is dropped and
the successor is added again under the final name.
"""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import sqlalchemy as sa

from safeops.databases.definitions import Constraint, Table, differences
from safeops.databases.mysql.alter_table import GUARD, ONLINE, STRICT, plain
from safeops.databases.mysql.catalogue import UNPROVED, definition_of, is_pending, mark_in, pending_name
from safeops.databases.mysql.columns import Columns
from safeops.databases.mysql.spelling import action as spelled_action
from safeops.databases.steps import Plan, Step
from safeops.naming import Name
from safeops.planned import FREE

NOTE = "safeops took NULL before the key: "
UNCHECKED = (("foreign_key_checks", "0"),)
KINDS = {"foreignkey": "foreign key", "check": "check", "unique": "unique", "primary": "primary key"}

GENERATED_KEY = "my_row_id"


def has_generated_key(table: Table) -> bool:
    """Tell whether the primary key is the invisible one that MySQL makes under sql_generate_invisible_primary_key."""
    return table.primary_key == (GENERATED_KEY,) and definition_of(table, GENERATED_KEY).get("INVISIBLE") is not None


class DDL(Columns):
    """All plans: here those for keys, checks and schemas, and those that replace."""

    def add_constraint(self, name: Name, constraint: sa.Constraint, table: Table | None, validate: bool) -> Plan:
        if isinstance(constraint, sa.ForeignKeyConstraint):
            return self._add_foreign_key(name, constraint, table)
        if isinstance(constraint, sa.PrimaryKeyConstraint):
            return self._add_primary_key(name, constraint, table)
        if isinstance(constraint, sa.UniqueConstraint):
            return self.create_index(name, self.database.index_of_key(constraint), table)
        return self._add_check(name, constraint, table)

    def _add_check(self, name: Name, check: Any, table: Table | None) -> Plan:
        """MariaDB copies the table for a check; MySQL too. It is refused but on a table without rows."""
        named = str(check.name)
        if table is not None and named in table.constraints:
            yield self._enforce(name, named, table)
            return
        action = f"ADD CONSTRAINT {GUARD}{self.quoted(named)} CHECK ({self.database.part_text(check.sqltext)})"
        step = self.alter(name, action, f"added check {named} to {name}", free=table)
        told = f"/* {self.product} copies the table for a check: writes wait meanwhile */ "
        yield self.guarded(step, told + self.unless("constraint", name, named, self.alter_sql(name, action)))

    def _enforce(self, name: Name, check: str, table: Table) -> Step:
        """MySQL alone has checks that stand NOT ENFORCED; it copies the table to look at all rows."""
        action = f"ALTER CHECK {self.quoted(check)} ENFORCED"
        return self.alter(name, action, f"enforced check {check} of {name}", free=table)

    # Keys -------------------------------------------------------------------------------------------------------

    def _add_primary_key(self, name: Name, key: sa.PrimaryKeyConstraint, table: Table | None) -> Plan:
        columns = [column.name for column in key.columns]
        took_null = [column for column in columns if table and table.columns[column].nullable]
        # Noted on the key itself: dropping it gives NULL back.
        note = f" COMMENT {self.literal(NOTE + json.dumps(took_null))}" if took_null else ""
        instead = f"DROP COLUMN {GENERATED_KEY}, " if table and has_generated_key(table) else ""
        action = f"{instead}ADD PRIMARY KEY ({self.quoted(*columns)}){note}"
        step = self.alter(name, action, f"added the primary key of {name}", variables=STRICT)
        sql = self.alter_sql(name, action) + ONLINE
        yield self.guarded(step, self.when(f"NOT {self._has_primary_key(name)}", sql))

    def _has_primary_key(self, name: Name) -> str:
        where = f"{self.of_table(name)} AND INDEX_NAME = 'PRIMARY'"
        return f"EXISTS (SELECT 1 FROM information_schema.STATISTICS WHERE {where})"

    def _drop_primary_key(self, name: Name, table: Table | None) -> Plan:
        there = table.indexes.get("PRIMARY") if table else None
        action = "DROP PRIMARY KEY"
        if table and there and there.comment and there.comment.startswith(NOTE):
            for column in json.loads(there.comment.removeprefix(NOTE)):
                action += f", MODIFY {self.quoted(column)} {definition_of(table, column).with_(NULL='NULL')}"
        step = self.alter(name, action, f"dropped the primary key of {name}", free=table)
        yield self.guarded(step, self.when(self._has_primary_key(name), self.alter_sql(name, action)))

    # Foreign keys -----------------------------------------------------------------------------------------------

    def _add_foreign_key(self, name: Name, key: sa.ForeignKeyConstraint, table: Table | None) -> Plan:
        """Add it unchecked, which needs no lock: other sessions check new rows from then on. Then look at the old rows.

        Until they have been looked at, a second key of the same definition says so: a run that is stopped in between goes on
        there. Both come in one statement, and no comment that is set meanwhile can take its place.
        https://mariadb.com/kb/en/innodb-online-ddl-operations-with-the-inplace-alter-algorithm/#alter-table-add-foreign-key
        """
        named, referent = str(key.name), self.referent(name, key)
        does, locks = f"added {named} for new rows of {name}", (name, referent)
        if table is None:
            yield Step("", does, locks, offline=self._foreign_key_offline(name, key, referent), variables=UNCHECKED)
            return
        there, index = table.constraints.get(named), table.indexes.get(named)
        made = (
            self.is_made_for_key(table, index) if there and index else not self.covering(table, tuple(key.column_keys))
        )
        checked = self.key_mark_removed(table, named) if there else [self.key_dropped(pending_name(named))]
        if there is None:
            # An index that the server makes for both itself has the name of the later one.
            both = [self._key_action(key, referent, named=one) for one in (pending_name(named), named)]
            action = f"{self._index_action(key) if made else ''}{', '.join(both)}"
            yield replace(self.alter(name, action, does, also=(referent,)), variables=UNCHECKED)
        orphans = f"SELECT 1 {self._orphans(name, key, referent)} LIMIT 1"
        unindex = [f"DROP INDEX {self.quoted(named)}"] if made else []
        drop = self.alter_sql(name, ", ".join([self.key_dropped(named), *unindex, *checked])) + ONLINE
        yield Step(
            orphans,
            f"checked {named} against all rows",
            locks,
            (drop,),
            scans=True,
            finds_violations=True,
            leaves=does,
            lock=FREE,
        )
        if checked:
            does = f"{named} on {name} holds for all rows"
            yield self.alter(name, ", ".join(checked), does, also=(referent,), instant=True)

    def key_dropped(self, key: str) -> str:
        return f"DROP FOREIGN KEY {self.quoted(key)}"

    def key_mark_removed(self, table: Table, key: str) -> list[str]:
        """Return the actions that remove what says that the old rows of a foreign key are unchecked."""
        actions = [self.key_dropped(pending_name(key))] if is_pending(table, key) else []
        mark, own = mark_in(table), UNPROVED.format(name=key)
        if own in mark:
            actions.append(f"COMMENT = {self.literal((table.comment or '') + mark.replace(own, ''))}")
        return actions

    def referent(self, name: Name, key: sa.ForeignKeyConstraint) -> Name:
        """Return the table that a key refers to; the server would look for it beside the table, not where we are."""
        target = key.elements[0].column.table
        here = self.database.current_schema if name.schema and not target.schema and not self.database.offline else None
        return Name(target.name, target.schema or here)

    def _index_action(self, key: sa.ForeignKeyConstraint) -> str:
        # The server makes one by itself too, but silently drops that one again when it finds another.
        return f"ADD INDEX {self.quoted(str(key.name))} ({self.quoted(*key.column_keys)}), "

    def _key_action(self, key: sa.ForeignKeyConstraint, referent: Name, guard: str = "", named: str = "") -> str:
        spec = f"FOREIGN KEY {guard}({self.quoted(*key.column_keys)}) REFERENCES {self.quoted_table(referent)}"
        spec += f" ({self.quoted(*(element.column.name for element in key.elements))})"
        for event, action in (("DELETE", key.ondelete), ("UPDATE", key.onupdate)):
            # MySQL shows RESTRICT again, though InnoDB does the same without it.
            spelled = "RESTRICT" if (action or "").upper() == "RESTRICT" else spelled_action(action)
            spec += f" ON {event} {spelled}" if spelled else ""
        return f"ADD CONSTRAINT {self.quoted(named or str(key.name))} {spec}"

    def _orphans(self, name: Name, key: sa.ForeignKeyConstraint, referent: Name) -> str:
        local = [f"child.{self.quoted(column)}" for column in key.column_keys]
        remote = [f"parent.{self.quoted(element.column.name)}" for element in key.elements]
        matched = " AND ".join(f"{one} = {other}" for one, other in zip(remote, local, strict=True))
        given = " AND ".join(f"{one} IS NOT NULL" for one in local)
        missing = f"NOT EXISTS (SELECT 1 FROM {self.quoted_table(referent)} AS parent WHERE {matched})"
        return f"FROM {self.quoted_table(name)} AS child WHERE {given} AND {missing}"

    def _foreign_key_offline(self, name: Name, key: sa.ForeignKeyConstraint, referent: Name) -> str:
        named = str(key.name)
        columns = tuple(key.column_keys)
        index = f"CREATE INDEX {GUARD}{self.quoted(named)} ON {self.quoted_table(name)} ({self.quoted(*columns)})"
        first = " OR ".join(
            f"(SEQ_IN_INDEX = {place} AND COLUMN_NAME = {self.literal(column)})"
            for place, column in enumerate(columns, 1)
        )
        covered = (
            f"EXISTS (SELECT 1 FROM information_schema.STATISTICS WHERE {self.of_table(name)} AND ({first})"
            f" GROUP BY INDEX_NAME HAVING COUNT(*) = {len(columns)})"
        )
        add = self.alter_sql(name, self._key_action(key, referent, GUARD)) + ONLINE
        orphans = f"EXISTS (SELECT 1 {self._orphans(name, key, referent)})"
        drop = self.alter_sql(name, f"DROP FOREIGN KEY {GUARD}{self.quoted(named)}") + ONLINE
        return ";\n".join(
            [
                self.when(f"NOT {covered}", f"{plain(index)} ALGORITHM=INPLACE LOCK=NONE"),
                self.unless("constraint", name, named, add),
                f"SET @safeops_orphans = {orphans}",
                self.when("@safeops_orphans", drop),
                self.failing("@safeops_orphans", f"{named}: rows refer to nothing"),
            ]
        )

    def validate_constraint(self, name: Name, constraint: str, table: Table | None) -> Plan:
        there = table.constraints.get(constraint) if table else None
        if table is not None and there is not None and there.kind == "foreign key" and there.referent:
            yield from self._add_foreign_key(name, _as_key(table, there), table)
        elif table is not None and there is not None and there.kind == "check":
            yield self._enforce(name, there.name, table)

    # Dropping ---------------------------------------------------------------------------------------------------

    def drop_constraint(self, name: Name, constraint: str, kind: str | None, table: Table | None) -> Plan:
        there = self.database.constraint_named(table, constraint, kind) if table else None
        kind = there.kind if there else KINDS.get(kind or "", kind)
        if kind == "primary key":
            return self._drop_primary_key(name, table)
        if kind == "unique":
            return self.drop_index(name, constraint, table)
        if kind == "foreign key":
            return iter([self._drop_foreign_key(name, constraint, table)])
        return iter([self._drop_named(name, constraint)])

    def _drop_named(self, name: Name, constraint: str) -> Step:
        action = f"DROP CONSTRAINT {GUARD}{self.quoted(constraint)}"
        step = self.alter(name, action, f"dropped constraint {constraint} of {name}", instant=True)
        return self.guarded(step, self.if_there("constraint", name, constraint, self.alter_sql(name, action)))

    def _drop_foreign_key(self, name: Name, constraint: str, table: Table | None) -> Step:
        """Drop the key, with the index that was made for it, and the mark that its rows are unchecked."""
        drop = f"DROP FOREIGN KEY {GUARD}{self.quoted(constraint)}"
        also: tuple[Name, ...] = ()
        action = drop
        if table is not None:
            there, index = table.constraints.get(constraint), table.indexes.get(constraint)
            also = (there.referent,) if there and there.referent else ()
            made = index is not None and self.is_made_for_key(table, index)
            along = [f"DROP INDEX {self.quoted(constraint)}"] if made else []
            action = ", ".join([drop, *along, *self.key_mark_removed(table, constraint)])
        step = self.alter(name, action, f"dropped foreign key {constraint} of {name}", also=also)
        unindex = f"DROP INDEX {GUARD}{self.quoted(constraint)}"
        gone = self.if_there("constraint", name, constraint, self.alter_sql(name, drop) + ONLINE)
        return self.guarded(
            step, f"{gone};\n{self.if_there('index', name, constraint, self.alter_sql(name, unindex) + ONLINE)}"
        )

    # Schemas ----------------------------------------------------------------------------------------------------

    def create_schema(self, schema: str) -> Plan:
        yield Step(f"CREATE DATABASE IF NOT EXISTS {self.quoted(schema)}", f"created schema {schema}")

    def drop_schema(self, schema: str) -> Plan:
        yield Step(f"DROP DATABASE IF EXISTS {self.quoted(schema)}", f"dropped schema {schema}")

    # Replacing --------------------------------------------------------------------------------------------------

    def replace_index(self, name: Name, index: sa.Index, table: Table | None) -> Plan:
        named = self.quoted(str(index.name))
        head, _, rest = plain(self.index_sql(name, index)).partition(f"INDEX {named} ON {self.quoted_table(name)} ")
        add = f"ADD {head.removeprefix('CREATE ')}INDEX"
        step = self.alter(
            name,
            f"DROP INDEX {named}, {add} {named} {rest}",
            f"replaced index {index.name} on {name}",
            variables=STRICT,
            free=table,
        )
        missing = self.unless(
            "index", name, str(index.name), f"{self.alter_sql(name, add)} {GUARD}{named} {rest}{ONLINE}"
        )
        there = self.when(f"{self._count('index', name, str(index.name))} > 0", step.sql)
        yield self.guarded(step, f"{there};\n{missing}")

    def replace_constraint(self, name: Name, constraint: sa.Constraint, table: Table | None, validate: bool) -> Plan:
        if isinstance(constraint, sa.UniqueConstraint):
            return self.replace_index(name, self.database.index_of_key(constraint), table)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            return self._replace_foreign_key(name, constraint, table)
        return self._replace_check(name, constraint, table)

    def _replace_check(self, name: Name, check: Any, table: Table | None) -> Plan:
        named = self.quoted(str(check.name))
        add = f"ADD CONSTRAINT {named} CHECK ({self.database.part_text(check.sqltext)})"
        replaced = self.alter_sql(name, f"DROP CONSTRAINT {named}, {add}")
        step = self.alter(name, f"DROP CONSTRAINT {named}, {add}", f"replaced check {check.name} on {name}", free=table)
        missing = f"{self._count('constraint', name, str(check.name))} = 0"
        told = f"/* {self.product} copies the table for a check: writes wait meanwhile */ "
        yield self.guarded(step, told + self.when(missing, self.alter_sql(name, add), replaced))

    def _replace_foreign_key(self, name: Name, key: sa.ForeignKeyConstraint, table: Table | None) -> Plan:
        passing = self.under_temporary_name(key)
        old = table.constraints.get(str(key.name)) if table else None
        if table is None or (old is not None and self._differs(old, key)):
            yield from self._passing_key(name, passing, table)
            yield self._drop_key_alone(name, str(key.name), self._now(table))
        if table is None or old is None or not old.valid or self._differs(old, key):
            yield from self._add_foreign_key(name, key, self._now(table))
        now = self._now(table)
        if now is None or str(passing.name) in now.constraints:
            yield self._drop_key_alone(name, str(passing.name), now)
        yield from self._renamed_index(name, str(passing.name), str(key.name), self._now(table))

    def _differs(self, there: Constraint, key: sa.ForeignKeyConstraint) -> bool:
        return bool(
            differences(there, replace(self.database.wanted_constraint(key), referent=self.referent_of(there, key)))
        )

    def referent_of(self, there: Constraint, key: sa.ForeignKeyConstraint) -> Name | None:
        """Return the referent of a wanted key with the schema of the one that stands, where the author gives none."""
        target = key.elements[0].column.table
        return Name(target.name, target.schema or (there.referent.schema if there.referent else None))

    def _passing_key(self, name: Name, passing: sa.ForeignKeyConstraint, table: Table | None) -> Plan:
        left = table.constraints.get(str(passing.name)) if table else None
        if left is not None and self._differs(left, passing):
            # Another revision has left it.
            yield self._drop_foreign_key(name, left.name, table)
            left = None
        if left is None or not left.valid:
            yield from self._add_foreign_key(name, passing, self._now(table))

    def _drop_key_alone(self, name: Name, key: str, table: Table | None) -> Step:
        """Drop a key; where nobody can look at the index of its name, that stays."""
        drop = self.alter_sql(name, f"DROP FOREIGN KEY {GUARD}{self.quoted(key)}") + ONLINE
        step = self._drop_foreign_key(name, key, table)
        return self.guarded(step, self.if_there("constraint", name, key, drop))

    def _now(self, table: Table | None) -> Table | None:
        return None if table is None else self.database.table(table.name)

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


def _as_key(table: Table, there: Constraint) -> sa.ForeignKeyConstraint:
    """Return a foreign key that stands as a construct."""
    assert there.referent is not None
    target = sa.Table(
        there.referent.name, sa.MetaData(), *(sa.Column(one) for one in there.remote), schema=there.referent.schema
    )
    source = sa.Table(
        table.name.name, target.metadata, *(sa.Column(one) for one in there.columns), schema=table.name.schema
    )
    key = sa.ForeignKeyConstraint(there.columns, [target.c[one] for one in there.remote], name=there.name)
    source.append_constraint(key)
    return key
