"""What is asked of PostgreSQL before anything runs."""

from __future__ import annotations

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases.pairs import MARK, RENAMED, Pair, pair_of
from safeops.databases.postgresql.session import RUNNER, described_runner, runner_number
from safeops.naming import Name
from safeops.runner.inspection import port

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


class Inspection(port.Inspection):
    """The questions of ``safeops status`` and ``safeops plan``."""

    # As the role or the database has it.

    def name_of_database(self) -> str:
        return str(self.scalar("SELECT current_database()"))

    def runner_seen(self, connection: Connection, key: str) -> str | None:
        row = connection.execute(sa.text(RUNNER), {"key": runner_number(key)}).first()
        return described_runner(row) if row else None

    def invalid_indexes(self) -> list[tuple[str, Name]]:
        return [(index, Name(table, schema)) for index, schema, table in self.read(INVALID)]

    def unvalidated_constraints(self) -> list[tuple[str, Name]]:
        # Since 18 a constraint can be there without being enforced at all, which is its author's will.
        sql = UNVALIDATED.format(enforced="AND k.conenforced" if self.database.version >= (18,) else "")
        return [(constraint, Name(table, schema)) for constraint, schema, table in self.read(sql)]

    def open_pairs(self) -> list[Pair]:
        rows = self.read(PAIRS, mark=f"/*{MARK}{{")
        found = [pair_of(text, Name(table, schema)) for text, schema, table in rows]
        return list(dict.fromkeys(pair for pair in found if pair is not None))

    def open_renames(self) -> list[tuple[str, Name]]:
        return [(view, Name(table, schema)) for view, schema, table in self.read(RENAMES, note=RENAMED)]
