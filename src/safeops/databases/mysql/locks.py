"""How statements of MariaDB and MySQL lock a table: by the way that they ask the server to take."""

from __future__ import annotations

from safeops.planned import ALL, BRIEFLY, LONG, ROWS, WRITES, Lock

METADATA = Lock("the metadata of the table", ALL, BRIEFLY)
INSTANT = Lock("ALGORITHM=INSTANT", ALL, BRIEFLY)
ONLINE = Lock("ALGORITHM=INPLACE, LOCK=NONE", ALL, "briefly at its start and end")
COPY = Lock("the table, which is copied", WRITES, LONG)
BATCH = Lock("the rows of a batch", ROWS)
