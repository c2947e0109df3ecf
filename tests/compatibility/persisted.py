"""All that safeops keeps in a database, as text: what a later release must be able to read."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from tests.catalogue import assert_same
from tests.servers import Database

GOLDEN = Path(__file__).with_name("golden")
TABLES = ("safeops_backfill", "safeops_archives", "safeops_former_types", "safeops_runner")
VARIES = ("seconds", "runner", "session", "lease_until", "started_at", "updated_at", "created_at", "token")
"""Columns whose values are another with each run."""


def golden(name: str, found: str) -> None:
    """Asserts that a text is exactly what is kept under a name, and writes it down if SAFEOPS_WRITE_GOLDEN is set.

    What differs is a format that databases of users hold in its earlier form: the library must continue to read that one.
    """
    file = GOLDEN / name
    if os.environ.get("SAFEOPS_WRITE_GOLDEN"):
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(found, encoding="utf-8")
    assert_same(file.read_text(encoding="utf-8"), found, f"{name} is another now")


def persisted(database: Database) -> str:
    """The tables of safeops with their rows, and each name, comment, trigger and function that is its own."""
    parts = {"postgresql": POSTGRESQL, "mysql": MYSQL, "sqlite": SQLITE}[database.kind]
    found = [line for table in TABLES for line in kept_table(database, table)]
    for title, sql in parts.items():
        found += section(title, database.query(sql))
    return masked(database, "\n".join(found) + "\n")


def kept_table(database: Database, table: str) -> Iterable[str]:
    with database.observer().connect() as connection:
        inspector = sa.inspect(connection)
        if not inspector.has_table(table):
            return
        columns = inspector.get_columns(table)
        key = inspector.get_pk_constraint(table)["constrained_columns"]
    yield f"== table {table}, primary key ({', '.join(key)})"
    for column in columns:
        collation = getattr(column["type"], "collation", None)
        null = "" if column["nullable"] else " NOT NULL"
        yield f"{column['name']} {column['type'].compile(database.observer().dialect)}{null} {collation or ''}".strip()
    yield ""
    names = [column["name"] for column in columns]
    order = ", ".join(key)
    for row in database.query(f"SELECT {', '.join(names)} FROM {table} ORDER BY {order}"):
        yield "\n".join(shown(database, dict(zip(names, row, strict=True)))) + "\n"


def shown(database: Database, row: Mapping[str, Any]) -> Iterable[str]:
    # Releases that keep the name of the database make the fingerprint of it, too.
    is_named = f'"{database.name}"' in str(row.get("work"))
    for name, value in row.items():
        if value is not None and value != 0:
            yield f"{name}: {'...' if name in VARIES or (name == 'fingerprint' and is_named) else value}"


def section(title: str, rows: Iterable[Sequence[Any]]) -> Iterable[str]:
    """A name in the first column, and what it is in the others."""
    for name, *texts in sorted(rows):
        yield f"== {title} {name}"
        yield from (str(text).strip() for text in texts)
        yield ""


def masked(database: Database, text: str) -> str:
    """Without the name of the database, which is a number."""
    return re.sub(rf"\b{re.escape(database.name)}\b", "<database>", text) if database.kind != "sqlite" else text


POSTGRESQL = {
    "function": """SELECT proname, array_to_string(proconfig, ', '), prosrc FROM pg_proc
        WHERE proname LIKE 'safeops%' AND pronamespace = 'public'::regnamespace""",
    "trigger": """SELECT tgname, pg_get_triggerdef(oid) FROM pg_trigger WHERE tgname LIKE 'safeops%'""",
    "column": """SELECT attrelid::regclass || '.' || attname, format_type(atttypid, atttypmod) FROM pg_attribute
        WHERE attname LIKE 'safeops%' AND NOT attisdropped AND attnum > 0""",
    "index": "SELECT indexname, indexdef FROM pg_indexes WHERE indexname LIKE 'safeops%'",
    "constraint": """SELECT conname || ' on ' || conrelid::regclass, pg_get_constraintdef(oid) FROM pg_constraint
        WHERE conname LIKE 'safeops%' AND contype <> 'n'""",
    "view": "SELECT viewname, '' FROM pg_views WHERE schemaname = 'public'",
    "table": "SELECT tablename, '' FROM pg_tables WHERE tablename LIKE 'safeops%'",
    "comment of": """SELECT pg_describe_object(classoid, objoid, objsubid), description FROM pg_description
        WHERE description LIKE '%safeops%'""",
}
MYSQL = {
    "trigger": """SELECT CONCAT(TRIGGER_NAME, ' ', ACTION_TIMING, ' ', EVENT_MANIPULATION, ' ON ', EVENT_OBJECT_TABLE),
        ACTION_STATEMENT FROM information_schema.TRIGGERS WHERE TRIGGER_SCHEMA = DATABASE()""",
    "column": """SELECT CONCAT(TABLE_NAME, '.', COLUMN_NAME), COLUMN_TYPE, COLUMN_COMMENT FROM information_schema.COLUMNS
        WHERE TABLE_SCHEMA = DATABASE() AND TABLE_NAME NOT LIKE 'safeops%'
        AND (COLUMN_NAME LIKE 'safeops%' OR COLUMN_COMMENT LIKE '%safeops%')""",
    "index": """SELECT DISTINCT CONCAT(INDEX_NAME, ' on ', TABLE_NAME), INDEX_COMMENT FROM information_schema.STATISTICS
        WHERE TABLE_SCHEMA = DATABASE() AND (INDEX_NAME LIKE 'safeops%' OR INDEX_COMMENT LIKE '%safeops%')""",
    "constraint": """SELECT CONCAT(CONSTRAINT_NAME, ' on ', TABLE_NAME), CONSTRAINT_TYPE
        FROM information_schema.TABLE_CONSTRAINTS WHERE TABLE_SCHEMA = DATABASE() AND CONSTRAINT_NAME LIKE 'safeops%'""",
    "view": "SELECT TABLE_NAME, VIEW_DEFINITION FROM information_schema.VIEWS WHERE TABLE_SCHEMA = DATABASE()",
    "table": """SELECT TABLE_NAME, TABLE_COMMENT FROM information_schema.TABLES WHERE TABLE_SCHEMA = DATABASE()
        AND TABLE_TYPE = 'BASE TABLE' AND (TABLE_NAME LIKE 'safeops%' OR TABLE_COMMENT LIKE '%safeops%')""",
}
SQLITE = {
    "": """SELECT type || ' ' || name, sql FROM sqlite_master
        WHERE (name LIKE 'safeops%' OR sql LIKE '%safeops%') AND tbl_name NOT LIKE 'safeops_backfill'"""
}
