"""What travels to the workers of a backfill, and the table that they fill.

accounts    a table of rows whose balance is their id; filling it with HUNDREDFOLD makes it a hundred times that
is_filled   whether each row was filled exactly once
until       polls up to a deadline
"""

from __future__ import annotations

import dataclasses
import logging
import os
import signal
import time
from collections.abc import Callable
from contextlib import suppress
from functools import wraps
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.pool import NullPool
from tests.servers import Database, numbers

from safeops import reads
from safeops.backfilling.progress import BackfillProgress

HUNDREDFOLD = {"balance": sa.text("balance * 100")}

Rows = list[dict[str, Any]]


def accounts(database: Database, rows: int = 3000, filled: bool = True) -> None:
    """Makes the table; with ``filled`` False no row has a balance."""
    ids = {
        "postgresql": f"SELECT generate_series(1, {rows}) AS i",
        "mysql": f"SELECT seq AS i FROM {numbers(1, rows)}",
        "sqlite": f"WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows}) SELECT i FROM n",
    }[database.kind]
    database.execute(
        "CREATE TABLE accounts (id int PRIMARY KEY, balance bigint)",
        f"INSERT INTO accounts SELECT i, {'i' if filled else 'NULL'} FROM ({ids}) s",
    )


def sums(database: Database, factor: int = 100) -> tuple[int, int]:
    """Counts the rows that have their value exactly once, and the others."""
    once = f"count(CASE WHEN balance = id * {factor} THEN 1 END)"
    ((done, all_),) = database.query(f"SELECT {once}, count(*) FROM accounts")
    return int(done), int(all_ - done)


def is_filled(database: Database) -> bool:
    return sums(database)[1] == 0


def until(condition: Callable[[], Any], what: str, seconds: float = 30.0) -> Any:
    deadline = time.monotonic() + seconds
    while not (answer := condition()):
        assert time.monotonic() < deadline, f"waited {seconds:.0f} s for {what}"
        time.sleep(0.02)
    return answer


# Values -----------------------------------------------------------------------------------------------------------


@reads("balance", writes=("balance",))
def hundredfold(rows: Rows) -> Rows:
    return [{"balance": row["balance"] * 100} for row in rows]


@reads("id", writes=("balance",))
def from_id(rows: Rows) -> Rows:
    return [{"balance": row["id"] * 100} for row in rows]


def logged(function: Callable[[Rows], Rows]) -> Callable[[Rows], Rows]:
    """A decorator as others have it."""

    @wraps(function)
    def call(rows: Rows) -> Rows:
        logging.getLogger("workers").info("%d rows", len(rows))
        return function(rows)

    return call


@dataclasses.dataclass(frozen=True)
class FailsWhile:
    """A function that fails at a key for as long as a file exists."""

    marker: str
    key: int

    def __call__(self, rows: Rows) -> Rows:
        if Path(self.marker).exists() and any(row["id"] == self.key for row in rows):
            raise ValueError(f"{self.key} is not to be")
        return hundredfold(rows)


@dataclasses.dataclass(frozen=True)
class KilledOnce:
    """A function that kills the first process that calls it."""

    marker: str

    def __call__(self, rows: Rows) -> Rows:
        with suppress(FileExistsError):
            os.close(os.open(self.marker, os.O_CREAT | os.O_EXCL))
            os.kill(os.getpid(), signal.SIGKILL)
        return hundredfold(rows)


@dataclasses.dataclass(frozen=True)
class Slow:
    """A function that takes a while for each batch."""

    seconds: float

    def __call__(self, rows: Rows) -> Rows:
        time.sleep(self.seconds)
        return hundredfold(rows)


# Throttles and connections ----------------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class AskedBy:
    """A throttle that records each process that calls it."""

    folder: str

    def __call__(self, progress: BackfillProgress) -> None:
        Path(self.folder, f"{os.getpid()}").touch()


@dataclasses.dataclass(frozen=True)
class Refusing:
    """A throttle that raises in each process but one."""

    allowed: int

    def __call__(self, progress: BackfillProgress) -> None:
        if os.getpid() != self.allowed:
            raise LookupError("no throttle here")


@dataclasses.dataclass(frozen=True)
class Engines:
    """Makes engines, and notes the processes that do."""

    url: str
    folder: str

    def __call__(self) -> sa.Engine:
        Path(self.folder, f"{os.getpid()}").touch()
        return sa.create_engine(self.url, poolclass=NullPool)

    def __repr__(self) -> str:
        return "Engines(...)"
