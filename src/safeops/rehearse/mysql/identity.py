"""Which database of MariaDB or MySQL a connection reaches."""

from __future__ import annotations

from contextlib import suppress

from sqlalchemy.exc import DBAPIError

from safeops.rehearse import production

FACTS = {"server": "SELECT @@server_uuid", "place": "SELECT CONCAT_WS(' ', @@hostname, @@port, @@datadir)"}


class Identity(production.Identity):
    """By the identifier of the server, and by its host, port and folder."""

    def facts(self) -> set[tuple[str, ...]]:
        name, found = str(self.scalar("SELECT DATABASE()")), set[tuple[str, ...]]()
        for fact, sql in FACTS.items():
            with suppress(DBAPIError):
                found.add((fact, str(self.scalar(sql)), name))
        return found

    def how_to_drop(self) -> str:
        return f"DROP DATABASE {self.quoted(str(self.scalar('SELECT DATABASE()')))}"
