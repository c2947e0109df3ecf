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

from safeops.databases.definitions import Constraint, Table, differences, foreign_key
from safeops.databases.mysql import spelling
from safeops.databases.mysql.alter_table import GUARD, ONLINE, STRICT, plain
from safeops.databases.mysql.catalogue import UNPROVED, definition_of, is_pending, mark_in, pending_name
from safeops.databases.mysql.columns import Columns
from safeops.databases.steps import Plan, Step
from safeops.naming import Name
from safeops.planned import NO_LOCK

TOOK_NULL = "safeops took NULL before the key: "
"""Begins the comment of a primary key, with the columns that accept NULL again when it is dropped."""
UNCHECKED = (("foreign_key_checks", "0"),)
KINDS = {"foreignkey": "foreign key", "check": "check", "unique": "unique", "primary": "primary key"}
GENERATED_KEY = "my_row_id"


def has_generated_key(table: Table) -> bool:
    """Return whether the primary key is the invisible one that MySQL makes under sql_generate_invisible_primary_key."""
    return table.primary_key == (GENERATED_KEY,) and definition_of(table, GENERATED_KEY).get("INVISIBLE") is not None


class DDL(Columns):
    """The plans for constraints and schemas, and those that replace an index or a constraint."""

    def add_constraint(self, name: Name, constraint: sa.Constraint, table: Table | None, validate: bool) -> Plan:
        if isinstance(constraint, sa.ForeignKeyConstraint):
            return self._add_foreign_key(name, constraint, table)
        if isinstance(constraint, sa.PrimaryKeyConstraint):
            return self._add_primary_key(name, constraint, table)
        if isinstance(constraint, sa.UniqueConstraint):
            return self.create_index(name, self.database.index_of_key(constraint), table)
        return self._add_check(name, constraint, table)

    def _add_check(self, name: Name, check: Any, table: Table | None) -> Plan:
        """MariaDB and MySQL copy the table for a check, so a table that has rows is refused."""
        named = str(check.name)
        if table is not None and named in table.constraints:
            yield self._enforce(name, named, table)
            return
        action = f"ADD CONSTRAINT {GUARD}{self._check_sql(check)}"
        offline = self._copy_note + self.if_missing("constraint", name, named, self.alter_sql(name, action))
        yield self.alter(name, action, f"added check {named} to {name}", copied_if_empty=table, offline=offline)

    def _check_sql(self, check: Any) -> str:
        return f"{self.quoted(str(check.name))} CHECK ({self.database.part_text(check.sqltext)})"

    @property
    def _copy_note(self) -> str:
        return f"/* {self.product} copies the table for a check; writes wait until it is done */ "

    def _enforce(self, name: Name, check: str, table: Table) -> Step:
        """MySQL alone has NOT ENFORCED checks; it copies the table to check all rows."""
        action = f"ALTER CHECK {self.quoted(check)} ENFORCED"
        return self.alter(name, action, f"enforced check {check} of {name}", copied_if_empty=table)

    # Keys -------------------------------------------------------------------------------------------------------

    def _add_primary_key(self, name: Name, key: sa.PrimaryKeyConstraint, table: Table | None) -> Plan:
        columns = [column.name for column in key.columns]
        took_null = [column for column in columns if table and table.columns[column].nullable]
        comment = f" COMMENT {self.literal(TOOK_NULL + json.dumps(took_null))}" if took_null else ""
        replaced = f"DROP COLUMN {GENERATED_KEY}, " if table and has_generated_key(table) else ""
        action = f"{replaced}ADD PRIMARY KEY ({self.quoted(*columns)}){comment}"
        offline = self.when(f"NOT {self._has_primary_key(name)}", self.alter_sql(name, action) + ONLINE)
        yield self.alter(name, action, f"added the primary key of {name}", variables=STRICT, offline=offline)

    def _has_primary_key(self, name: Name) -> str:
        where = f"{self.of_table(name)} AND INDEX_NAME = 'PRIMARY'"
        return f"EXISTS (SELECT 1 FROM information_schema.STATISTICS WHERE {where})"

    def _drop_primary_key(self, name: Name, table: Table | None) -> Plan:
        key = table.indexes.get("PRIMARY") if table else None
        comment = key.comment or "" if key else ""
        action = "DROP PRIMARY KEY"
        if table and comment.startswith(TOOK_NULL):
            for column in json.loads(comment.removeprefix(TOOK_NULL)):
                action += f", MODIFY {self.quoted(column)} {definition_of(table, column).with_(NULL='NULL')}"
        offline = self.when(self._has_primary_key(name), self.alter_sql(name, action))
        yield self.alter(name, action, f"dropped the primary key of {name}", copied_if_empty=table, offline=offline)

    # Foreign keys -----------------------------------------------------------------------------------------------

    def _add_foreign_key(self, name: Name, key: sa.ForeignKeyConstraint, table: Table | None) -> Plan:
        """Add it unchecked, which needs no lock: the server checks new rows from then on. Then check the existing rows.

        Until then a second key of the same definition marks the first one as unchecked, so a stopped run resumes
        there. One statement adds both, and unlike a comment the mark cannot be overwritten.
        https://mariadb.com/kb/en/innodb-online-ddl-operations-with-the-inplace-alter-algorithm/#alter-table-add-foreign-key
        """
        named, referent = str(key.name), self.referent(name, key)
        does, locks = f"added {named} for new rows of {name}", (name, referent)
        if table is None:
            yield Step("", does, locks, offline=self._foreign_key_offline(name, key, referent), variables=UNCHECKED)
            return
        existing, index = table.constraints.get(named), table.indexes.get(named)
        if existing and index:
            has_own_index = self.is_made_for_key(table, index)
        else:
            has_own_index = not self.covering(table, tuple(key.column_keys))
        unmark = self.key_mark_removed(table, named) if existing else [self.key_dropped(pending_name(named))]
        added = None
        if existing is None:
            # The server would make an index too, but drops that one silently when it finds another.
            add_index = [f"ADD INDEX {self.quoted(named)} ({self.quoted(*key.column_keys)})"] if has_own_index else []
            # An index that the server makes for both keys has the name of the later one.
            keys = [self._key_action(key, referent, named=own) for own in (pending_name(named), named)]
            added = self.alter(name, ", ".join([*add_index, *keys]), does, also=(referent,), variables=UNCHECKED)
            yield added
        orphans = f"SELECT 1 {self._orphans(name, key, referent)} LIMIT 1"
        drop_index = [f"DROP INDEX {self.quoted(named)}"] if has_own_index else []
        undo = self.alter_sql(name, ", ".join([self.key_dropped(named), *drop_index, *unmark])) + ONLINE
        yield Step(
            orphans,
            f"checked {named} against all rows",
            locks,
            (undo,),
            scans=True,
            finds_violations=True,
            undoes=added,
            lock=NO_LOCK,
        )
        if unmark:
            does = f"{named} on {name} holds for all rows"
            yield self.alter(name, ", ".join(unmark), does, also=(referent,), instant=True)

    def key_dropped(self, key: str) -> str:
        return f"DROP FOREIGN KEY {self.quoted(key)}"

    def key_mark_removed(self, table: Table, key: str) -> list[str]:
        """Return the actions that remove the mark of a foreign key whose existing rows are unchecked."""
        actions = [self.key_dropped(pending_name(key))] if is_pending(table, key) else []
        mark, own = mark_in(table), UNPROVED.format(name=key)
        if own in mark:
            actions.append(f"COMMENT = {self.literal((table.comment or '') + mark.replace(own, ''))}")
        return actions

    def referent(self, name: Name, key: sa.ForeignKeyConstraint) -> Name:
        """Return the table that a key refers to; the server would look for it in the table's schema, not the session's."""
        target = key.elements[0].column.table
        here = self.database.current_schema if name.schema and not target.schema and not self.database.offline else None
        return Name(target.name, target.schema or here)

    def _key_action(self, key: sa.ForeignKeyConstraint, referent: Name, guard: str = "", named: str = "") -> str:
        spec = f"FOREIGN KEY {guard}({self.quoted(*key.column_keys)}) REFERENCES {self.quoted_table(referent)}"
        spec += f" ({self.quoted(*(element.column.name for element in key.elements))})"
        for event, action in (("DELETE", key.ondelete), ("UPDATE", key.onupdate)):
            # MySQL shows RESTRICT, though InnoDB does the same without it.
            rendered = "RESTRICT" if (action or "").upper() == "RESTRICT" else spelling.action(action)
            spec += f" ON {event} {rendered}" if rendered else ""
        return f"ADD CONSTRAINT {self.quoted(named or str(key.name))} {spec}"

    def _orphans(self, name: Name, key: sa.ForeignKeyConstraint, referent: Name) -> str:
        local = [f"child.{self.quoted(column)}" for column in key.column_keys]
        remote = [f"parent.{self.quoted(element.column.name)}" for element in key.elements]
        matched = " AND ".join(f"{parent} = {child}" for parent, child in zip(remote, local, strict=True))
        given = " AND ".join(f"{child} IS NOT NULL" for child in local)
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
                self.if_missing("constraint", name, named, add),
                f"SET @safeops_orphans = {orphans}",
                self.when("@safeops_orphans", drop),
                self.fail_if("@safeops_orphans", f"{named}: rows refer to nothing"),
            ]
        )

    def validate_constraint(self, name: Name, constraint: str, table: Table | None) -> Plan:
        existing = table.constraints.get(constraint) if table else None
        if table and existing and existing.referent:
            yield from self._add_foreign_key(name, foreign_key(table, existing, existing.referent), table)
        elif table and existing and existing.kind == "check":
            yield self._enforce(name, existing.name, table)

    # Dropping ---------------------------------------------------------------------------------------------------

    def drop_constraint(self, name: Name, constraint: str, kind: str | None, table: Table | None) -> Plan:
        existing = self.database.constraint_named(table, constraint, kind) if table else None
        kind = existing.kind if existing else KINDS.get(kind or "", kind)
        if kind == "primary key":
            return self._drop_primary_key(name, table)
        if kind == "unique":
            return self.drop_index(name, constraint, table)
        if kind == "foreign key":
            return iter([self._drop_foreign_key(name, constraint, table)])
        action = f"DROP CONSTRAINT {GUARD}{self.quoted(constraint)}"
        offline = self.if_exists("constraint", name, constraint, self.alter_sql(name, action))
        does = f"dropped constraint {constraint} of {name}"
        return iter([self.alter(name, action, does, instant=True, offline=offline)])

    def _drop_foreign_key(self, name: Name, constraint: str, table: Table | None) -> Step:
        """Drop the key, with the index that was made for it, and the mark that its rows are unchecked."""
        drop = f"DROP FOREIGN KEY {GUARD}{self.quoted(constraint)}"
        drop_index = f"DROP INDEX {GUARD}{self.quoted(constraint)}"
        also: tuple[Name, ...] = ()
        actions = [drop]
        if table is not None:
            key, index = table.constraints.get(constraint), table.indexes.get(constraint)
            also = (key.referent,) if key and key.referent else ()
            actions += [drop_index] if index and self.is_made_for_key(table, index) else []
            actions += self.key_mark_removed(table, constraint)
        offline = [
            self.if_exists(kind, name, constraint, self.alter_sql(name, action) + ONLINE)
            for kind, action in (("constraint", drop), ("index", drop_index))
        ]
        does = f"dropped foreign key {constraint} of {name}"
        return self.alter(name, ", ".join(actions), does, also=also, offline=";\n".join(offline))

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
        action = f"DROP INDEX {named}, {add} {named} {rest}"
        offline = [
            self.when(f"{self.count('index', name, str(index.name))} > 0", self.alter_sql(name, action) + ONLINE),
            self.if_missing(
                "index", name, str(index.name), f"{self.alter_sql(name, add)} {GUARD}{named} {rest}{ONLINE}"
            ),
        ]
        yield self.alter(
            name,
            action,
            f"replaced index {index.name} on {name}",
            variables=STRICT,
            copied_if_empty=table,
            offline=";\n".join(offline),
        )

    def replace_constraint(self, name: Name, constraint: sa.Constraint, table: Table | None, validate: bool) -> Plan:
        if isinstance(constraint, sa.UniqueConstraint):
            return self.replace_index(name, self.database.index_of_key(constraint), table)
        if isinstance(constraint, sa.ForeignKeyConstraint):
            return self._replace_foreign_key(name, constraint, table)
        return self._replace_check(name, constraint, table)

    def _replace_check(self, name: Name, check: Any, table: Table | None) -> Plan:
        add = f"ADD CONSTRAINT {self._check_sql(check)}"
        action = f"DROP CONSTRAINT {self.quoted(str(check.name))}, {add}"
        missing = f"{self.count('constraint', name, str(check.name))} = 0"
        offline = self._copy_note + self.when(missing, self.alter_sql(name, add), self.alter_sql(name, action))
        yield self.alter(name, action, f"replaced check {check.name} on {name}", copied_if_empty=table, offline=offline)

    def _replace_foreign_key(self, name: Name, key: sa.ForeignKeyConstraint, table: Table | None) -> Plan:
        temporary = self.under_temporary_name(key)
        old = table.constraints.get(str(key.name)) if table else None
        if table is None or (old is not None and self._differs(old, key)):
            yield from self._add_temporary_key(name, temporary, table)
            yield self._drop_key_alone(name, str(key.name), self._now(table))
        if table is None or old is None or not old.valid or self._differs(old, key):
            yield from self._add_foreign_key(name, key, self._now(table))
        now = self._now(table)
        if now is None or str(temporary.name) in now.constraints:
            yield self._drop_key_alone(name, str(temporary.name), now)
        yield from self._renamed_index(name, str(temporary.name), str(key.name), self._now(table))

    def _differs(self, existing: Constraint, key: sa.ForeignKeyConstraint) -> bool:
        """Compare two keys; a referent without a schema is in the schema of the existing one."""
        target = key.elements[0].column.table
        schema = target.schema or (existing.referent.schema if existing.referent else None)
        expected = replace(self.database.wanted_constraint(key), referent=Name(target.name, schema))
        return not all(map(self.database.safety.is_spelling, differences(existing, expected)))

    def _add_temporary_key(self, name: Name, temporary: sa.ForeignKeyConstraint, table: Table | None) -> Plan:
        existing = table.constraints.get(str(temporary.name)) if table else None
        if existing is not None and self._differs(existing, temporary):
            # Left over from another revision.
            yield self._drop_foreign_key(name, existing.name, table)
            existing = None
        if existing is None or not existing.valid:
            yield from self._add_foreign_key(name, temporary, self._now(table))

    def _drop_key_alone(self, name: Name, key: str, table: Table | None) -> Step:
        """Drop a key; offline, when the index of its name cannot be inspected, that is kept."""
        drop = self.alter_sql(name, f"DROP FOREIGN KEY {GUARD}{self.quoted(key)}") + ONLINE
        step = self._drop_foreign_key(name, key, table)
        return replace(step, offline=self.if_exists("constraint", name, key, drop))

    def _now(self, table: Table | None) -> Table | None:
        return None if table is None else self.database.table(table.name)

    def _renamed_index(self, name: Name, temporary: str, key: str, table: Table | None) -> Plan:
        """Give the index that was made for the key the key's name."""
        rename = f"RENAME INDEX {self.quoted(temporary)} TO {self.quoted(key)}"
        if table is not None and (temporary not in table.indexes or key in table.indexes):
            return
        exists, is_taken = (f"{self.count('index', name, index)} > 0" for index in (temporary, key))
        drop = self.when(f"{exists} AND {is_taken}", self.alter_sql(name, f"DROP INDEX {self.quoted(key)}") + ONLINE)
        offline = f"{drop};\n{self.when(exists, self.alter_sql(name, rename) + ONLINE)}"
        yield self.alter(name, rename, f"renamed the index of {key}", instant=True, offline=offline)


class MariaDBDDL(DDL):
    """What differs on MariaDB."""

    def default_clause(self, default: str) -> str:
        # A call is not put in parentheses: with them it would be shown as another default.
        is_call = re.fullmatch(r"\w+(\([^()]*\))?", default)
        return default if is_call or default.startswith("(") else super().default_clause(default)
