"""Which database of PostgreSQL a connection reaches."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from safeops.rehearse import production

FACTS = {
    "cluster": "SELECT CAST(system_identifier AS text) FROM pg_control_system()",
    "server": "SELECT CAST(pg_postmaster_start_time() AS text)",
}


class Identity(production.Identity):
    """By the identifier of the cluster, which a replica shares, and by when the server was started."""

    def facts(self) -> set[tuple[str, ...]]:
        name, found = str(self.scalar("SELECT current_database()")), set[tuple[str, ...]]()
        self.run("SET timezone = 'UTC'")
        for fact, sql in FACTS.items():
            with suppress(DBAPIError):
                found.add((fact, str(self.scalar(sql)), name))
        return found

    def how_to_drop(self) -> str:
        return f"DROP DATABASE {self.quoted(str(self.scalar('SELECT current_database()')))} WITH (FORCE)"
