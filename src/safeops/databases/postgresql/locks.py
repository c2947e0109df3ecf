"""The locks on tables that PostgreSQL's statements take: https://www.postgresql.org/docs/current/explicit-locking.html"""

from __future__ import annotations

from safeops.planned import ALL, BRIEFLY, NOTHING, WRITES, Lock

ACCESS_EXCLUSIVE = Lock("ACCESS EXCLUSIVE", ALL, BRIEFLY)
SHARE_ROW_EXCLUSIVE = Lock("SHARE ROW EXCLUSIVE", WRITES, BRIEFLY)
SHARE = Lock("SHARE", WRITES, BRIEFLY)
SHARE_UPDATE_EXCLUSIVE = Lock("SHARE UPDATE EXCLUSIVE", NOTHING)
