"""One vocabulary for the effects of statements, independent of database and parser.

A parser turns a statement into operations, with the traits that its text shows. A server adds the traits that depend on what
exists, such as "proven not null". A truth is chosen by kind and traits.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

from safeops.naming import Name

ADD_COLUMN, DROP_COLUMN, RENAME_COLUMN = "add column", "drop column", "rename column"
CHANGE_TYPE, SET_NOT_NULL, DROP_NOT_NULL = "change type", "set not null", "drop not null"
SET_DEFAULT, DROP_DEFAULT = "set default", "drop default"
CREATE_TABLE, DROP_TABLE, RENAME_TABLE, TRUNCATE = "create table", "drop table", "rename table", "truncate"
CREATE_INDEX, DROP_INDEX, RENAME_INDEX, REINDEX = "create index", "drop index", "rename index", "reindex"
ADD_CHECK, ADD_FOREIGN_KEY, ADD_UNIQUE = "add check", "add foreign key", "add unique"
ADD_PRIMARY_KEY, ADD_EXCLUSION = "add primary key", "add exclusion"
ADD_NOT_NULL_CONSTRAINT = "add not null constraint"
VALIDATE_CONSTRAINT, DROP_CONSTRAINT, RENAME_CONSTRAINT = "validate constraint", "drop constraint", "rename constraint"
ATTACH_PARTITION, DETACH_PARTITION = "attach partition", "detach partition"
UPDATE, DELETE, INSERT, SELECT, MERGE = "update", "delete", "insert", "select", "merge"
LOCK_TABLE, COMMENT, VACUUM, ANALYZE, CLUSTER = "lock table", "comment", "vacuum", "analyze", "cluster"
SET_SESSION, BEGIN, COMMIT, ROLLBACK, SAVEPOINT = "set session", "begin", "commit", "rollback", "savepoint"
ALTER_TABLE, REWRITE_TABLE, REPLACE_TABLE = "alter table", "rewrite table", "replace table"
"""Any other change of a table: options, triggers, owner, …; one that always copies it; its copy takes its place."""
CREATE_TYPE, ALTER_TYPE, DROP_TYPE = "create type", "alter type", "drop type"
RENAME_ENUM_VALUE, DROP_SCHEMA, ROW_LEVEL_SECURITY = "rename enum value", "drop schema", "row level security"
CREATE_VIEW, DROP_VIEW, REFRESH_VIEW = "create view", "drop view", "refresh view"
CREATE_TRIGGER, DROP_TRIGGER = "create trigger", "drop trigger"
GRANT, REVOKE, OTHER, OPAQUE = "grant", "revoke", "other", "opaque"
"""OTHER is known to lock no table; OPAQUE runs code that its text does not show, or is not understood by the parser."""


@dataclass(frozen=True)
class Operation:
    """One thing that a statement does.

    Args:
        kind: One of the kinds above.
        table: The table that it is about, in its schema if the text names one; of an index, its table if the text names it.
        name: The index, constraint, type, view, setting or similar that it is about.
        column: The column that it is about.
        columns: The columns of an index, a key, or those that an UPDATE sets.
        other: Another table that it locks or reads: the referent, the new name, the partition, the source of an INSERT.
        other_columns: The columns of the referent that a foreign key names.
        type: The type of a column as the text writes it, in lower case.
        expression: The SQL of a default, a check, a condition, a USING; the value of a setting; the new name of what is
            renamed other than a table; the index that a key takes.
        traits: What the text shows, and what a server adds; words in lower case. Each is listed in ``traits.py``.
        rows: How many rows it works on at most, if that is known.
        opaque: Why its effect is unknown.
        parts: The columns and constraints of a new table, or the constraints of a new column. They are for the model of the
            schema; their locks are in separate operations, or in traits.
        old_type: The existing type by the call of ``op``; the model of the schema takes precedence.
        sql: Its own statement, of a text that has several.
        node: The parser's own object, for a family's own use.
    """

    kind: str
    table: Name | None = None
    name: str | None = None
    column: str | None = None
    columns: tuple[str, ...] = ()
    other: Name | None = None
    other_columns: tuple[str, ...] = ()
    type: str | None = None
    expression: str | None = None
    traits: frozenset[str] = frozenset()
    rows: int | None = None
    opaque: str = ""
    parts: tuple[Operation, ...] = field(default=(), repr=False)
    old_type: str | None = None
    sql: str = field(default="", repr=False, compare=False)
    node: Any = field(default=None, repr=False, compare=False)

    def with_traits(self, *traits: str) -> Operation:
        return replace(self, traits=self.traits.union(traits))
