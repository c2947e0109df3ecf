"""A publisher and its subscriber: two databases of one PostgreSQL server that writes a logical log.

Subscribed  both databases; `in_sync` waits until the subscriber has all that the publisher has written, or has stopped
publishing  starts the server, and pairs databases
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from tests.servers import Database, PostgreSQL, start

POLL = 0.02


class Logical(PostgreSQL):
    """A server that writes what subscribers need."""

    def _command(self) -> Sequence[str | Path]:
        # An apply worker that fails is started again at once.
        return [*super()._command(), "-cwal_level=logical", "-cwal_retrieve_retry_interval=50ms", "-cautovacuum=off"]


@dataclasses.dataclass
class Subscribed:
    """The two databases; the slot of the subscription has the name of the subscriber's database."""

    publisher: Database
    subscriber: Database

    def in_sync(self, seconds: float = 20.0) -> bool:
        """Wait until all is applied, and return whether it is: False if the subscriber has stopped over an error."""
        (end,) = self.publisher.query("SELECT pg_current_wal_insert_lsn()::text")[0]
        slot = f"FROM pg_replication_slots WHERE slot_name = '{self.subscriber.name}'"
        applied = f"SELECT confirmed_flush_lsn >= '{end}' {slot}"
        before, deadline = self._failures(), time.monotonic() + seconds
        while time.monotonic() < deadline:
            if self.publisher.query(applied) == [(True,)]:
                return True
            if self._failures() > before:
                return False
            time.sleep(POLL)
        raise AssertionError("the subscriber neither goes on nor fails")

    def _failures(self) -> int:
        return self.subscriber.query("SELECT coalesce(sum(apply_error_count), 0)::int FROM pg_stat_subscription_stats")[
            0
        ][0]


@contextmanager
def logical_server(name: str) -> Iterator[Logical]:
    usual = start(name)
    assert isinstance(usual, PostgreSQL)
    server = Logical(usual.home)
    try:
        yield server
    finally:
        server.stop()


@contextmanager
def subscribed(server: Logical, published: str, *tables: str) -> Iterator[Subscribed]:
    """Pair two new databases that both have the tables; ``published`` is what follows the name of the publication."""
    publisher, subscriber = (Database(server.new_database(), server) for _ in range(2))
    for database in (publisher, subscriber):
        database.execute("CREATE TABLE alembic_version (version_num varchar(32) PRIMARY KEY)", *tables)
    publisher.execute(f"CREATE PUBLICATION news {published}")
    slot = subscriber.name
    publisher.execute(f"SELECT pg_create_logical_replication_slot('{slot}', 'pgoutput')")
    link = f"host=127.0.0.1 port={server.port} user=postgres dbname={publisher.name}"
    subscriber.execute(
        f"CREATE SUBSCRIPTION paper CONNECTION '{link}' PUBLICATION news"
        f" WITH (create_slot = false, slot_name = '{slot}', copy_data = false)"
    )
    try:
        yield Subscribed(publisher, subscriber)
    finally:
        subscriber.execute("ALTER SUBSCRIPTION paper DISABLE")
        subscriber.execute("ALTER SUBSCRIPTION paper SET (slot_name = NONE)")
        subscriber.execute("DROP SUBSCRIPTION paper")
        drop = f"SELECT pg_drop_replication_slot('{slot}')"
        deadline = time.monotonic() + 20
        while publisher.query(f"SELECT active FROM pg_replication_slots WHERE slot_name = '{slot}'") == [(True,)]:
            assert time.monotonic() < deadline
            time.sleep(POLL)
        publisher.execute(drop)
