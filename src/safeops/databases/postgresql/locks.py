"""The locks on tables that PostgreSQL's statements take: https://www.postgresql.org/docs/current/explicit-locking.html"""

from __future__ import annotations

from safeops.databases.definitions import Table
from safeops.effects import ALL, BRIEFLY, NOTHING, WRITES, Lock
from safeops.naming import Name

ACCESS_EXCLUSIVE = Lock("ACCESS EXCLUSIVE", ALL, BRIEFLY)
SHARE_ROW_EXCLUSIVE = Lock("SHARE ROW EXCLUSIVE", WRITES, BRIEFLY)
SHARE = Lock("SHARE", WRITES, BRIEFLY)
SHARE_UPDATE_EXCLUSIVE = Lock("SHARE UPDATE EXCLUSIVE", NOTHING)


def whole(name: Name, stands: Table | None) -> tuple[Name, ...]:
    """Return a table and its partitions, which most changes of it lock as well."""
    return (name, *(stands.partitions if stands else ()))
