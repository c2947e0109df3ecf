"""PgBouncer before a PostgreSQL server of the tests, and an application that works through it."""

from __future__ import annotations

import os
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field, replace

import psycopg

from tests.servers import Database, MissingServer, PostgreSQL, _fail_or_skip, _free_port, _new_folder, _unprivileged
from tests.servers import _wait_for as wait_for

CONFIGURATION = """
[databases]
* = host=127.0.0.1 port={server} user=postgres
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
query_wait_timeout = {query_wait_timeout}
server_round_robin = {takes_turns:d}
"""
SEEN = ("lock_timeout", "statement_timeout", "idle_session_timeout", "search_path", "default_transaction_read_only")
SETTINGS = f"""SELECT {", ".join(f"current_setting('{one}')" for one in SEEN)},
    current_setting('application_name') LIKE 'safeops%', count(*) FROM pg_locks WHERE locktype = 'advisory'"""
UNTOUCHED = ("0", "0", "0", '"$user", public', "off", False, 0)


@contextmanager
def pooled(
    database: Database, mode: str, *, size: int = 6, takes_turns: bool = False, query_wait_timeout: int = 20
) -> Iterator[Database]:
    """The same database through PgBouncer in one mode: "transaction" or "session"."""
    assert isinstance(database.server, PostgreSQL)
    # SAFEOPS_PGBOUNCER names another version to try by hand.
    program = os.environ.get("SAFEOPS_PGBOUNCER") or shutil.which("pgbouncer", path="/usr/sbin:/usr/bin:/usr/local/bin")
    if program is None:
        _fail_or_skip(MissingServer("no pgbouncer on this machine: apt-get install pgbouncer", "pgbouncer"))
    folder, port = _new_folder("pgbouncer"), _free_port()
    text = CONFIGURATION.format(
        server=database.server.port,
        port=port,
        mode=mode,
        size=size,
        takes_turns=takes_turns,
        query_wait_timeout=query_wait_timeout,
    )
    (folder / "pgbouncer.ini").write_text(text)
    with (folder / "log").open("wb") as log:
        command = [*_unprivileged("--pdeathsig=TERM"), str(program), str(folder / "pgbouncer.ini")]
        process = subprocess.Popen(command, stdout=log, stderr=log, start_new_session=True)
    try:
        wait_for(lambda: _listens(port), "PgBouncer to listen")
        yield replace(database, url=database.url.set(port=port))
    finally:
        process.terminate()
        process.wait(10)
        shutil.rmtree(folder, ignore_errors=True)


def _listens(port: int) -> bool:
    with suppress(OSError), closing(socket.create_connection(("127.0.0.1", port), 1)):
        return True
    return False


@dataclass
class Application:
    """Clients that run short transactions all the time, and note what they find set on their sessions."""

    database: Database
    seen: set[tuple[object, ...]] = field(default_factory=set)
    transactions: int = 0

    @contextmanager
    def running(self, clients: int = 3) -> Iterator[Application]:
        """The clients at work for the length of the block and for a while after it."""
        over = threading.Event()
        threads = [threading.Thread(target=self._work, args=[over]) for _ in range(clients)]
        for thread in threads:
            thread.start()
        try:
            self._settle(10)
            yield self
            self._settle(60)
        finally:
            over.set()
            for thread in threads:
                thread.join(30)

    def _settle(self, more: int) -> None:
        wanted = self.transactions + more
        wait_for(lambda: self.transactions >= wanted, "the application to work")

    def _work(self, over: threading.Event) -> None:
        url = self.database.url.set(drivername="postgresql").render_as_string(hide_password=False)
        with psycopg.connect(url, prepare_threshold=None) as connection:
            while not over.is_set():
                row = connection.execute(SETTINGS).fetchone()
                connection.execute("SELECT pg_sleep(0.002)")
                connection.commit()
                self.seen.add(tuple(row or ()))
                self.transactions += 1
