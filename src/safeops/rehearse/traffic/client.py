"""What traffic needs of each database: a session like that of an application, and the errors that it meets."""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from typing import Any, ClassVar

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.pool import NullPool

from safeops.databases import database_for
from safeops.databases.ports import Port
from safeops.naming import Name
from safeops.rehearse.traffic.sql import Statement

Row = Sequence[Any]
_WRITTEN = re.compile(
    r"""\b(?:INTO|UPDATE|DELETE\s+FROM)\s+(?:OR\s+\w+\s+|IGNORE\s+|LOW_PRIORITY\s+)?(?:[`"]?\w+[`"]?\s*\.\s*)?[`"]?(\w+)""",
    re.I,
)


class Client(Port):
    """The statements and values of an application, in the manner of each database."""

    place = "safeops.rehearse.{family}.client:Client"
    asked = "Traffic"

    drivers: ClassVar[tuple[str, ...]] = ()
    """Drivers for threads, if the URL names one for asyncio."""
    marker: ClassVar[str] = "%s"
    """How the driver writes the place of a parameter."""
    session: ClassVar[tuple[str, ...]] = ()
    """Statements at the beginning of each session."""
    head: ClassVar[str] = ""
    """A comment at the beginning of each statement, by which the server's lists show whose it is."""
    begins: ClassVar[str] = "BEGIN"
    prepares: ClassVar[bool] = False
    """Applications use statements that the server keeps prepared."""
    returns_key: ClassVar[bool] = False
    """An INSERT can return the key that the server made."""
    given_key: ClassVar[str] = ""
    """The words of an INSERT that gives a key which the server makes otherwise."""
    effects: ClassVar[str] = ""
    """A query of the texts of the triggers of a table, ``{name}``; of one row for each thing that may change others."""
    equals: ClassVar[str] = "IS NOT DISTINCT FROM"
    """Compares two values of which both may be NULL."""

    def column(self, name: str) -> str:
        """Return a column as traffic reads it: a value that can be written again as it is."""
        return self.quoted(name)

    def execute(self, session: Session, statement: Statement, values: Row, *, prepared: bool) -> Any:
        """Run a statement; return the cursor of the driver."""
        cursor = session.driver_connection.cursor()
        if not statement.names:
            cursor.execute(f"{self.head}{statement.parts[0]}")
            return cursor
        # Next to parameters, drivers that write them as %s read each % as the beginning of one.
        doubled = "%%" if "%" in self.marker else "%"
        escaped = Statement(tuple(part.replace("%", doubled) for part in statement.parts), statement.names)
        cursor.execute(f"{self.head}{escaped.rendered(lambda _: self.marker)}", tuple(values))
        return cursor

    def typed(self, parameter: Any, type_: str) -> list[Any]:
        """Return the pieces of a value that has the type of a column."""
        return [parameter]

    def cast(self, value: str, type_: str) -> str:
        """Render the conversion of a value to the type of a column."""
        return f"CAST({value} AS {type_})"

    def can_prepare(self, session: Session, statement: Statement) -> bool:
        """Return whether the server can keep a statement prepared, and applications use that."""
        return False

    def key_of(self, cursor: Any) -> Any:
        """Return the key that the server made for the row of an INSERT."""
        return cursor.fetchone()[0] if self.returns_key else cursor.lastrowid or None

    def code_of(self, error: Exception) -> str:
        """Return the code that the server gave an error."""
        return str(error.args[0]) if error.args and isinstance(error.args[0], int) else ""

    def opened(self, session: Session) -> None:
        """Prepare a new connection for its statements."""

    def is_without_transaction(self, error: Exception) -> bool:
        """Return whether a rollback failed for the reason that there was nothing to roll back."""
        return False

    def forget_prepared(self, session: Session) -> None:
        """Have a session prepare its statements again, as drivers do after a rollback."""

    def effects_on(self, session: Session, table: Name) -> list[str]:
        """Return what may change other values and rows with a write to a table: texts of triggers, if they are shown."""
        named = {"table": self.literal(self.quoted_table(table)), "name": self.literal(table.name)}
        return [str(row[0]) for row in session.rows(self.effects.format(**named))]

    def written(self, session: Session, table: Name) -> dict[Name, int]:
        """Return how many rows of other tables a session has written, as far as the server counts them."""
        return {}

    def cancel(self, session: Session) -> None:
        """End what a session waits for, from another thread."""

    def sampled(self, table: Name, columns: Sequence[str], key: Sequence[str], after: Any, rows: int) -> str:
        """Render a query of rows of a table, from a value of its key on."""
        read = ", ".join(self.column(name) for name in columns)
        order = f" ORDER BY {', '.join(map(self.quoted, key))}" if key else ""
        begin = "" if after is None else f" WHERE {self.quoted(key[0])} >= {int(after)}"
        return f"SELECT {read} FROM {self.quoted_table(table)}{begin}{order} LIMIT {rows}"


def written_by(text: str) -> set[str]:
    """Return the names that the text of a trigger writes to, and perhaps others."""
    return set(_WRITTEN.findall(text))


class Session:
    """A connection in autocommit, as an application has it; it is opened again when it is lost."""

    def __init__(self, client: Client, url: URL, name: str) -> None:
        self.client, self.name = client, name
        self._engine = sa.create_engine(url, poolclass=NullPool, isolation_level="AUTOCOMMIT")
        self.prepared: dict[Statement, str] = {}
        self._connection: sa.Connection | None = None

    def connect(self) -> sa.Connection:
        """Return the connection, opened if there is none."""
        if self._connection is None:
            self._connection = self._engine.connect()
            self.prepared = {}
            self.client.opened(self)
            for statement in self.client.session:
                self.driver_connection.cursor().execute(statement.replace("{name}", self.name))
        return self._connection

    @property
    def driver_connection(self) -> Any:
        return self.connect().connection.driver_connection

    def run(self, statement: Statement, values: Row = (), *, prepared: bool = False) -> Any:
        """Run a statement; return the cursor of the driver, whose rows are not fetched yet."""
        return self.client.execute(self, statement, values, prepared=prepared)

    def another(self) -> Session:
        return Session(self.client, self._engine.url, self.name)

    def rows(self, sql: str) -> list[Row]:
        cursor = self.run(Statement((sql,)))
        return list(cursor.fetchall()) if cursor.description else []

    def recover(self) -> None:
        """Roll back after an error; a connection that is lost is opened again by the next statement."""
        try:
            self.run(Statement(("ROLLBACK",)))
            self.client.forget_prepared(self)
        except Exception as error:
            if not self.client.is_without_transaction(error):
                self.close()

    @property
    def is_open(self) -> bool:
        return self._connection is not None

    def close(self) -> None:
        """Close the connection, also if the server no longer answers."""
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.invalidate()
            connection.close()


def client_of(address: str) -> tuple[Client, URL]:
    """Return what traffic needs of a database, and its URL with a driver that works in threads."""
    url = sa.make_url(address)
    client = Client.of(database_for(url.get_dialect()(), None))
    if url.get_dialect().is_async:
        found = [name for name in client.drivers if importlib.util.find_spec(name.split("+")[-1])]
        url = url.set(drivername=f"{url.get_backend_name()}+{(found or client.drivers)[0]}")
    return client, url
