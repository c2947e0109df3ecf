"""PostgreSQL: the statements that the extension ``pg_stat_statements`` counts."""

from __future__ import annotations

from sqlalchemy.exc import DBAPIError

from safeops.databases.ports import unsupported
from safeops.rehearse.traffic import server_statements

COUNTED = """SELECT query, sum(calls)::bigint FROM pg_stat_statements
  WHERE dbid = (SELECT oid FROM pg_database WHERE datname = current_database())
    AND query ~* '^\\s*(SELECT|INSERT|UPDATE|DELETE|WITH)\\y' AND query !~* '\\y(pg_catalog|information_schema|pg_\\w+)\\y'
  GROUP BY query ORDER BY 2 DESC, 1 LIMIT {most}"""


class ServerStatements(server_statements.ServerStatements):
    """The statements of the current database, except those about the catalogue."""

    def counted(self, most: int) -> list[tuple[str, int]]:
        self.run("SET TRANSACTION READ ONLY")
        try:
            return [(sql, int(calls)) for sql, calls in self.read(COUNTED.format(most=most))]
        except DBAPIError as error:
            raise unsupported(
                self.asked,
                self.database.describe(),
                "the extension pg_stat_statements, and a role that may read it",
                "Load it with shared_preload_libraries, restart the server, and create it:",
                "CREATE EXTENSION pg_stat_statements;\nGRANT pg_read_all_stats TO reader;",
            ) from error
