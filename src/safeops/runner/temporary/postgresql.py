"""What an upgrade asks of PostgreSQL before it begins, and its scratch databases."""

from __future__ import annotations

from pathlib import Path

from safeops.databases.postgresql.session import _SESSION, described
from safeops.runner.temporary import port

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


class TemporaryDatabases(port.TemporaryDatabases):
    """See ``safeops.runner.temporary.port``."""

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
