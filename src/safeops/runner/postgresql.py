"""What the runner asks of PostgreSQL, and its temporary databases there."""

from __future__ import annotations

from pathlib import Path

import sqlalchemy as sa
from sqlalchemy.engine import Connection

from safeops.databases.pairs import MARK, RENAMED, Pair, pair_of
from safeops.databases.postgresql.session import _SESSION, RUNNER, described, described_runner, runner_number
from safeops.naming import Name
from safeops.runner import inspection

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


class Inspection(inspection.Inspection):
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


# One that waits for its application holds its locks as well as one that works. Autovacuum gives way by itself.
LONG = f"""SELECT {_SESSION} FROM pg_stat_activity a
  WHERE a.datname = current_database() AND a.pid <> pg_backend_pid() AND a.backend_type = 'client backend'
  AND a.xact_start < clock_timestamp() - make_interval(secs => :seconds) ORDER BY a.xact_start LIMIT 10"""
PREPARED = """SELECT NULL, x.owner, x.gid, 'prepared', extract(epoch FROM clock_timestamp() - x.prepared),
  'ROLLBACK PREPARED ' || quote_literal(x.gid) FROM pg_prepared_xacts x
  WHERE x.database = current_database() AND x.prepared < clock_timestamp() - make_interval(secs => :seconds) LIMIT 10"""
# https://www.postgresql.org/docs/current/functions-info.html: without an address it is a socket of this machine.
LOCAL = """SELECT inet_server_addr() IS NULL OR host(inet_server_addr()) = host(inet_client_addr()),
  current_setting('data_directory', true)"""
MAY_SEE = "SELECT pg_has_role('pg_read_all_settings', 'USAGE') OR current_setting('is_superuser') = 'on'"


class TemporaryDatabases(inspection.TemporaryDatabases):
    """See ``safeops.runner.inspection``."""

    def refuses_writes(self) -> str | None:
        standby, read_only = self.read("SELECT pg_is_in_recovery(), current_setting('transaction_read_only')")[0]
        if standby:
            return "the server is a standby, which only replays what its primary writes"
        return "its transactions are read-only (default_transaction_read_only)" if read_only == "on" else None

    def long_transactions(self, seconds: float) -> list[str]:
        rows = [*self.read(LONG, seconds=seconds), *self.read(PREPARED, seconds=seconds)]
        return list(map(described, rows))

    def data_folder(self) -> Path | None:
        if not self.scalar(MAY_SEE):
            return None
        is_local, folder = self.read(LOCAL)[0]
        return Path(folder) if is_local and folder and Path(folder).exists() else None

    def make_scratch(self, name: str) -> str:
        self.run(f"CREATE DATABASE {self.quoted(name)}")
        return name

    def drop_scratch(self, place: str) -> None:
        self.run(f"DROP DATABASE IF EXISTS {self.quoted(place)} WITH (FORCE)")

    def is_at(self, place: str | None) -> bool:
        return bool(self.scalar("SELECT current_database()") == place)

    def schemas_beside(self) -> list[str]:
        sql = """SELECT nspname FROM pg_namespace WHERE nspname NOT LIKE 'pg\\_%' AND nspname <> 'information_schema'
            AND nspname IS DISTINCT FROM current_schema() ORDER BY 1"""
        return [row[0] for row in self.read(sql)]
