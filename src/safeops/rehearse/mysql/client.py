"""MariaDB and MySQL: values are those of the driver, which an application in Python writes without preparing statements."""

from __future__ import annotations

from contextlib import closing, suppress

from safeops.rehearse.traffic import client
from safeops.rehearse.traffic.client import Session


class Client(client.Client):
    """A session of one of the drivers for threads."""

    drivers = ("pymysql", "mysqldb", "mariadbconnector")
    head = "/* safeops traffic */ "
    begins = "START TRANSACTION"
    effects = (
        "SELECT action_statement FROM information_schema.triggers WHERE event_object_schema = database()"
        " AND event_object_table = {name}"
    )
    equals = "<=>"

    def cast(self, value: str, type_: str) -> str:
        # CAST knows few of the types that columns have.
        kind = next((kind for kind in ("DATETIME", "TIMESTAMP", "DATE", "TIME") if type_.upper().startswith(kind)), "")
        precision = "" if kind == "DATE" else "(6)"
        return f"CAST({value} AS {kind.replace('TIMESTAMP', 'DATETIME')}{precision})" if kind else value

    def cancel(self, session: Session) -> None:
        with suppress(Exception), closing(session.another()) as other:
            other.rows(f"KILL QUERY {session.driver_connection.thread_id()}")
