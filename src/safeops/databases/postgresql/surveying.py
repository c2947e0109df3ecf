"""What is asked of PostgreSQL before anything runs."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases.postgresql.session import RUNNER, Session, described_runner, runner_number
from safeops.databases.renaming import NOTE
from safeops.databases.steps import Step
from safeops.databases.surveying import NOTHING
from safeops.databases.twins import MARK, Pair, pair_of
from safeops.naming import Name

# Not one that is being built right now.
INVALID = """SELECT r.relname, n.nspname, t.relname FROM pg_index i JOIN pg_class r ON r.oid = i.indexrelid
    JOIN pg_class t ON t.oid = i.indrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE NOT i.indisvalid AND n.nspname NOT LIKE 'pg\\_%' AND r.relkind = 'i'
    AND NOT EXISTS (SELECT 1 FROM pg_stat_progress_create_index p WHERE p.index_relid = i.indexrelid) ORDER BY 2, 3, 1"""
UNVALIDATED = """SELECT k.conname, n.nspname, t.relname FROM pg_constraint k JOIN pg_class t ON t.oid = k.conrelid
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE NOT k.convalidated AND k.contype IN ('c', 'f', 'n') AND k.conparentid = 0
    AND n.nspname <> 'information_schema' {enforced}
    ORDER BY 2, 3, 1"""
PAIRS = """SELECT DISTINCT p.prosrc, n.nspname, t.relname FROM pg_trigger g JOIN pg_proc p ON p.oid = g.tgfoid
    JOIN pg_class t ON t.oid = g.tgrelid JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE NOT g.tgisinternal AND g.tgparentid = 0 AND g.tgenabled IN ('O', 'A')
    AND position(:mark IN p.prosrc) > 0 ORDER BY 2, 3, 1"""
RENAMES = """SELECT DISTINCT v.relname, n.nspname, t.relname FROM pg_class v
    JOIN pg_rewrite r ON r.ev_class = v.oid JOIN pg_depend d ON d.classid = 'pg_rewrite'::regclass AND d.objid = r.oid
    JOIN pg_class t ON d.refclassid = 'pg_class'::regclass AND t.oid = d.refobjid AND t.relkind IN ('r', 'p', 'f')
    JOIN pg_namespace n ON n.oid = t.relnamespace
    WHERE v.relkind = 'v' AND starts_with(obj_description(v.oid, 'pg_class'), :note) ORDER BY 2, 1"""

# https://www.postgresql.org/docs/current/explicit-locking.html#LOCKING-TABLES
BRIEFLY = "reads and writes, briefly"
MODES = (
    (r"\bALTER TABLE\b(?![^;]*\b(ADD\b[^;]*\bFOREIGN KEY|VALIDATE CONSTRAINT)\b)", "ACCESS EXCLUSIVE", BRIEFLY),
    (r"\bDROP (TABLE|VIEW|TRIGGER|SCHEMA)\b|\bDROP INDEX (?!CONCURRENTLY)", "ACCESS EXCLUSIVE", BRIEFLY),
    (r"\bFOREIGN KEY\b|\bCREATE (OR REPLACE )?(CONSTRAINT )?TRIGGER\b", "SHARE ROW EXCLUSIVE", "writes, briefly"),
    (r"\bLOCK TABLE .* SHARE ROW EXCLUSIVE\b", "SHARE ROW EXCLUSIVE", "writes, briefly"),
    (r"\bINDEX CONCURRENTLY\b|\bVALIDATE CONSTRAINT\b|\bATTACH PARTITION\b", "SHARE UPDATE EXCLUSIVE", NOTHING),
    (r"\bCOMMENT ON (TABLE|COLUMN|INDEX)\b", "SHARE UPDATE EXCLUSIVE", NOTHING),
    (r"^(UPDATE|INSERT|DELETE)\b", "the rows of a batch", "writes to those rows"),
)


class Surveying(Session):
    """The questions of ``safeops status`` and ``safeops plan``."""

    refusing_writes = "SET SESSION CHARACTERISTICS AS TRANSACTION READ ONLY"
    # As the role or the database has it.
    accepting_writes = "RESET default_transaction_read_only"

    @contextmanager
    def reading_only(self) -> Iterator[None]:
        setting = "default_transaction_read_only"
        before, session = self.read(f"SELECT current_setting('{setting}'), pg_backend_pid()")[0]
        self.check_session(session)
        self.set_on(session, {setting: "on"})
        try:
            yield
        finally:
            if not self.connection.invalidated and not self.connection.closed:
                self.set_on(session, {setting: before})

    def name_of_database(self) -> str:
        return str(self.scalar("SELECT current_database()"))

    def bytes_of_database(self) -> int | None:
        return int(self.scalar("SELECT pg_database_size(current_database())"))

    def runner_seen(self, connection: Connection, key: str) -> str | None:
        row = connection.execute(sa.text(RUNNER), {"key": runner_number(key)}).first()
        return described_runner(row) if row else None

    def invalid_indexes(self) -> list[tuple[str, Name]]:
        return [(index, Name(table, schema)) for index, schema, table in self.read(INVALID)]

    def unvalidated_constraints(self) -> list[tuple[str, Name]]:
        # Since 18 a constraint can be there without being enforced at all, which is its author's will.
        sql = UNVALIDATED.format(enforced="AND k.conenforced" if self.version >= (18,) else "")
        return [(constraint, Name(table, schema)) for constraint, schema, table in self.read(sql)]

    def open_pairs(self) -> list[Pair]:
        rows = self.read(PAIRS, mark=f"/*{MARK}{{")
        found = [pair_of(text, Name(table, schema)) for text, schema, table in rows]
        return list(dict.fromkeys(pair for pair in found if pair is not None))

    def open_renames(self) -> list[tuple[str, Name]]:
        return [(view, Name(table, schema)) for view, schema, table in self.read(RENAMES, note=NOTE)]

    def locking_of(self, step: Step) -> tuple[str | None, str]:
        statements = [" ".join(sql.split()) for sql in (step.sql, *step.then)]
        for pattern, mode, blocks in MODES:
            if any(re.search(pattern, sql, re.IGNORECASE) for sql in statements):
                return mode, blocks
        return None, NOTHING

    def planned_rows(self, table: Name, condition: str, columns: Sequence[str], whole: int) -> int | None:
        sql = """SELECT count(DISTINCT attname) FROM pg_stats WHERE tablename = :table
            AND CASE WHEN :schema = '' THEN schemaname = ANY (current_schemas(false)) ELSE schemaname = :schema END
            AND attname = ANY (:columns)"""
        known = self.scalar(sql, table=table.name, schema=table.schema or "", columns=list(columns))
        if known < len(columns):
            # Of a column that it knows nothing of, as one that is new, the planner takes one row in 200 to be NULL.
            return whole
        plan = self.scalar(f"EXPLAIN (FORMAT JSON) SELECT 1 FROM {self.quoted_table(table)} WHERE {condition}")
        return int((json.loads(plan) if isinstance(plan, str) else plan)[0]["Plan"]["Plan Rows"])
