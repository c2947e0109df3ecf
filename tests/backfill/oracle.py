"""An application that changes a table and a reference table alike, and backfills of the table that are killed at random.

    Table           both tables, what an application may do to them, and the expected rows in the end
    Application     writes both in one transaction, in a separate process, until it is stopped
    Backfill        the backfill of the table
    Runners         children that run it, each killed at a random time, from outside or from inside

The parent has no threads, since it forks all the time; and the backfill never changes the reference table: the
expected rows follow from it by one statement.
"""

from __future__ import annotations

import dataclasses
import itertools
import json
import math
import multiprocessing
import os
import random
import signal
import time
import traceback
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import contextmanager, suppress
from functools import cached_property
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from tests.servers import Database

from safeops.backfilling.backfill import backfill
from safeops.backfilling.run import BackfillReport
from safeops.backfilling.values import Rows, reads
from safeops.errors import BackfillIncomplete, BackfillStopped, Unreachable

FORK = multiprocessing.get_context("fork")
PATIENCE = 60.0
"""Seconds after which something hangs."""

FILL = "coalesce(source, 0) * 7 + 3"
"""What the backfill gives a row without a target: of every source, NULL too."""
ONCE = "balance * 100 + 1"
"""What each row becomes exactly once: done twice, or not at all, it is another number."""

COLUMNS = "id, source, target, balance, n"
SHAPE = "(id bigint NOT NULL PRIMARY KEY, source int, target bigint, balance bigint NOT NULL, n int NOT NULL)"

Row = tuple[Any, ...]


# --- the table and its reference ---------------------------------------------------------------------------------


@dataclasses.dataclass(frozen=True)
class Table:
    """Both tables: ``t``, which the backfill changes too, and ``shadow``, which has what the application wrote alone.

    Args:
        database: The database that has them.
        fills: The backfill fills targets, under the default ``where``. Else it processes each row once, and the
            application moves no keys and only adds rows above the existing ones.
    """

    database: Database
    fills: bool

    @cached_property
    def engine(self) -> sa.Engine:
        """Made once, without a pool: children inherit what it has read from the server, and no connection."""
        return self.database.engine()

    def create(self, rows: int, chance: random.Random) -> None:
        """Both have the same rows, with gaps between their keys, some below zero."""
        keys = sorted(chance.sample(range(-rows, 3 * rows), rows))
        listed = ", ".join(f"({key}, {maybe(chance, 100)}, NULL, {chance.randrange(100)}, 0)" for key in keys)
        for name in ("t", "twin"):
            self.database.execute(f"CREATE TABLE {name} {SHAPE}", f"INSERT INTO {name} ({COLUMNS}) VALUES {listed}")
        self.engine.connect().close()

    def assert_exact(self) -> None:
        """The rows equal the reference table, with what the backfill must have done to it."""
        found, expected = self._rows("t", COLUMNS), self._rows("twin", self._expected())
        wrong = [key for key in expected.keys() | found.keys() if expected.get(key) != found.get(key)]
        shown = "\n".join(f"{key}: {found.get(key)}, not {expected.get(key)}" for key in sorted(wrong)[:8])
        assert not wrong, f"{len(wrong)} of {len(expected)} rows are wrong ({COLUMNS}):\n{shown}\n{self.progress()}"

    def progress(self) -> str:
        rows = self.database.query(
            "SELECT part, status, first_key, after_key, upto_key, sweep, processed, batches FROM safeops_backfill"
        )
        return "\n".join(map(str, sorted(rows)))

    def _expected(self) -> str:
        if self.fills:
            # A target in the reference table is the application's own and is kept; the application keeps a filled one in
            # sync with its source: it is the same if it was filled before the source changed or after.
            return f"id, source, coalesce(target, {FILL}), balance, n"
        return f"id, source, target, CASE WHEN id <= {self._bound()} THEN {ONCE} ELSE balance END, n"

    def _bound(self) -> int:
        """The last key when the backfill began: rows above it are newer."""
        cuts = self.database.query("SELECT upto_key FROM safeops_backfill WHERE part > 0")
        return max(int(json.loads(cut)[0]) for (cut,) in cuts)

    def _rows(self, table: str, columns: str) -> dict[int, Row]:
        return {row[0]: row for row in self.database.query(f"SELECT {columns} FROM {table}")}


def maybe(chance: random.Random, most: int) -> str:
    """A number, or now and then NULL."""
    return "NULL" if chance.random() < 0.2 else str(chance.randrange(most))


# --- the application ---------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Keys:
    """The keys that an application knows to exist, and those that it has deleted."""

    stand: set[int]
    gone: set[int]

    def copy(self) -> Keys:
        return Keys(set(self.stand), set(self.gone))

    def take_away(self, keys: list[int]) -> None:
        self.stand.difference_update(keys)
        self.gone.update(keys)

    def add(self, keys: list[int]) -> None:
        self.stand.update(keys)
        self.gone.difference_update(keys)


class Application:
    """Changes both tables alike, each time in one transaction; some are rolled back.

    Args:
        table: Both tables.
        seed: Makes it do the same things in the same order.
        place: The number of the application. Each changes separate rows: with shared ones, the commit of another between
            the two statements of a change would make them meet different rows.
        of: How many there are.
        generation: Above those before it in the same tables: new keys are above theirs, also above those that were deleted.
    """

    LEAST = 25
    """Transactions that it commits before it can be stopped: nothing is shown by one that came too late."""

    def __init__(self, table: Table, seed: int, place: int = 0, of: int = 1, generation: int = 1) -> None:
        self.table, self.place, self.of = table, place, of
        self.chance = random.Random(f"{seed} {place} {generation}")
        self.pause = 0.012 if table.database.kind == "sqlite" else 0.004
        self._next = generation * 1_000_000 + place
        self.done: Counter[str] = Counter()

    def write_until(self, over: Any) -> Counter[str]:
        """Write until the parent requests a stop, or until the server has ended; return what was done."""
        with suppress(_ServerGone, sa.exc.OperationalError), self.table.database.observer().connect() as connection:
            while self.done["committed"] < self.LEAST or not over.is_set():
                keys = self._look(connection)
                with suppress(_Refused):
                    while self.done["committed"] < self.LEAST or not over.is_set():
                        keys = self._transaction(connection, keys)
                        time.sleep(self.chance.uniform(0, 2 * self.pause))
        return self.done

    def _look(self, connection: sa.Connection) -> Keys:
        with self._expecting_refusals(connection):
            found = connection.exec_driver_sql("SELECT id FROM twin").scalars()
            keys = {key for key in found if key % self.of == self.place}
            connection.rollback()
        return Keys(keys, set())

    def _transaction(self, connection: sa.Connection, keys: Keys) -> Keys:
        changed = keys.copy()
        with self._expecting_refusals(connection):
            for _ in range(self.chance.randint(1, 3)):
                self._change(connection, changed)
            if self.chance.random() < 0.2:
                connection.rollback()
                self.done["rolled back"] += 1
                return keys
            connection.commit()
        self.done["committed"] += 1
        return changed

    @contextmanager
    def _expecting_refusals(self, connection: sa.Connection) -> Iterator[None]:
        """The backfill may win a deadlock or keep a file: an application looks again, and continues."""
        try:
            yield
        except sa.exc.DBAPIError as error:
            self.done["refused"] += 1
            if error.connection_invalidated:
                raise _ServerGone from error
            connection.rollback()
            raise _Refused from error

    def _change(self, connection: sa.Connection, keys: Keys) -> None:
        changes = [self._insert] * 3 + [self._touch] * 4 + [self._keep_in_step] * 4 + [self._delete] * 3
        if self.table.fills:
            changes += [self._empty] * 2 + [self._write_own] * 2 + [self._invalidate] * 2 + [self._fill_gap, self._move]
        kind = self._delete_a_batch if self.chance.random() < 0.02 else self.chance.choice(changes)
        sql = kind(keys)
        for table in ("t", "twin"):
            connection.exec_driver_sql(sql.format(table))
        self.done[kind.__name__.strip("_")] += 1

    # What it does: each gives the SQL, with the table's name left open, and notes what becomes of the keys ----------

    def _insert(self, keys: Keys) -> str:
        new = [self._new_key() for _ in range(self.chance.randint(1, 6))]
        keys.add(new)
        return self._inserted(new)

    def _new_key(self) -> int:
        """Above all others; those of a transaction that is undone are not used again."""
        self._next += self.of
        return self._next

    def _fill_gap(self, keys: Keys) -> str:
        """Rows are inserted again with former keys, also in scanned ranges."""
        new = self.chance.sample(sorted(keys.gone), min(4, len(keys.gone)))
        keys.add(new)
        return self._inserted(new) if new else self._touch(keys)

    def _inserted(self, keys: list[int]) -> str:
        rows = [f"({key}, {maybe(self.chance, 100)}, {self._own()}, {self.chance.randrange(100)}, 0)" for key in keys]
        return f"INSERT INTO {{}} ({COLUMNS}) VALUES {', '.join(rows)}"

    def _delete(self, keys: Keys) -> str:
        some = self._some(keys, 2)
        keys.take_away(some)
        return f"DELETE FROM {{}} WHERE {_among(some)}"

    def _delete_a_batch(self, keys: Keys) -> str:
        """All the rows of a batch and more go at once: an UPDATE that meets none is not the end."""
        stand = sorted(keys.stand)
        start = self.chance.randrange(max(len(stand) - 30, 1))
        some = stand[start : start + 30]
        keys.take_away(some)
        return f"DELETE FROM {{}} WHERE {_among(some)}"

    def _move(self, keys: Keys) -> str:
        """A row gets another key, ahead of the walk or behind it."""
        some = self._some(keys, 1)
        new = self.chance.choice(sorted(keys.gone)) if keys.gone and self.chance.random() < 0.5 else self._new_key()
        keys.take_away(some)
        keys.add([new] if some else [])
        return f"UPDATE {{}} SET id = {new}, n = n + 1 WHERE {_among(some)}"

    def _touch(self, keys: Keys) -> str:
        return f"UPDATE {{}} SET n = n + 1 WHERE {_among(self._some(keys, 5))}"

    def _keep_in_step(self, keys: Keys) -> str:
        """A source changes, and the target with it if there is one."""
        source = maybe(self.chance, 100)
        kept = f"target = CASE WHEN target IS NULL THEN NULL ELSE {FILL.replace('source', source)} END"
        return f"UPDATE {{}} SET source = {source}, {kept} WHERE {_among(self._some(keys, 5))}"

    def _invalidate(self, keys: Keys) -> str:
        """A source changes, and the target must be computed again."""
        some = self._some(keys, 3)
        return f"UPDATE {{}} SET source = {maybe(self.chance, 100)}, target = NULL WHERE {_among(some)}"

    def _empty(self, keys: Keys) -> str:
        return f"UPDATE {{}} SET target = NULL WHERE {_among(self._some(keys, 3))}"

    def _write_own(self, keys: Keys) -> str:
        return f"UPDATE {{}} SET target = {-1 - self.chance.randrange(1000)} WHERE {_among(self._some(keys, 4))}"

    def _own(self) -> str:
        """A target of the application's own, which no source gives, or none."""
        return str(-1 - self.chance.randrange(1000)) if self.chance.random() < 0.4 else "NULL"

    def _some(self, keys: Keys, most: int) -> list[int]:
        return self.chance.sample(sorted(keys.stand), min(self.chance.randint(1, most), len(keys.stand)))


def _among(keys: list[int]) -> str:
    return f"id IN ({', '.join(map(str, keys))})" if keys else "1 = 0"


class _ServerGone(Exception):
    pass


class _Refused(Exception):
    pass


@contextmanager
def writing(table: Table, seed: int, generation: int = 1) -> Iterator[Writers]:
    """Applications at work for the length of the block."""
    # Two applications could commit keys in another order than assigned: a new key could be below the bound.
    many = 2 if table.fills and table.database.kind != "sqlite" else 1
    writers = Writers([Application(table, seed, place, many, generation) for place in range(many)])
    try:
        yield writers
        writers.stop()
    finally:
        writers.end()


class Writers:
    """Applications, each in a separate process."""

    def __init__(self, applications: list[Application]) -> None:
        self._over = FORK.Event()
        self._children = [Child(lambda one=one: one.write_until(self._over)) for one in applications]  # type: ignore[misc]
        self.done: Counter[str] = Counter()

    def stop(self) -> None:
        """Let them end their transactions, and note what they did."""
        self._over.set()
        for child in self._children:
            self.done += child.value()
        self._children = []

    def end(self) -> None:
        for child in self._children:
            child.kill()


# --- runners -----------------------------------------------------------------------------------------------------


class Child:
    """A function at work in a forked child, which leads a separate process group and may have children."""

    def __init__(self, function: Callable[[], Any]) -> None:
        self._answer, answer = FORK.Pipe(duplex=False)
        self.process = FORK.Process(target=self._work, args=[function, answer])
        self.process.start()
        answer.close()

    def _work(self, function: Callable[[], Any], answer: Connection) -> None:
        os.setsid()
        try:
            answer.send((True, function()))
        except BaseException:
            answer.send((False, traceback.format_exc()))

    @property
    def is_killed(self) -> bool:
        return self.process.exitcode == -signal.SIGKILL

    def family(self) -> list[int]:
        """The child and its own children, as far as they live."""
        folder = Path(f"/proc/{self.process.pid}/task")
        found = [self.process.pid] if self.process.is_alive() else []
        with suppress(OSError):
            found += [int(pid) for task in folder.iterdir() for pid in (task / "children").read_text().split()]
        return [pid for pid in found if pid is not None]

    def value(self) -> Any:
        """What the function returned; fails with its traceback if it raised."""
        self.wait()
        assert not self.process.is_alive(), f"a child is still at work after {PATIENCE:.0f} s"
        assert self._answer.poll(), f"a child died with exit code {self.process.exitcode}"
        fine, value = self._answer.recv()
        assert fine, value
        return value

    def send(self, number: signal.Signals) -> None:
        with suppress(ProcessLookupError):
            os.kill(self.process.pid or 0, number)

    def wait(self, seconds: float = PATIENCE) -> None:
        """Wait until it has ended, for so long at most."""
        # join() waits for the end of a pipe, which its own children hold open.
        deadline = time.monotonic() + seconds
        while self.process.is_alive() and (left := deadline - time.monotonic()) > 0:
            time.sleep(min(left, 0.003))

    def wait_until_stopped(self) -> None:
        """Wait until SIGSTOP has met it, or it has ended."""
        deadline = time.monotonic() + PATIENCE
        while self.process.is_alive() and _state_of(self.process.pid) != "T":
            assert time.monotonic() < deadline, "a child neither stops nor ends"
            time.sleep(0.005)

    def kill(self) -> None:
        """Kill it alone; its own children live on."""
        self.process.kill()
        self.wait()

    def kill_all(self) -> None:
        """Kill it, and the rest of its group."""
        self.kill()
        with suppress(ProcessLookupError):
            os.killpg(self.process.pid or 0, signal.SIGKILL)


def _state_of(pid: int | None) -> str:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return ""


@reads("source", writes=("target",))
def filled(rows: Rows) -> list[dict[str, int]]:
    return [{"target": (row["source"] or 0) * 7 + 3} for row in rows]


@reads("balance", writes=("balance",))
def processed(rows: Rows) -> list[dict[str, int]]:
    return [{"balance": row["balance"] * 100 + 1} for row in rows]


@dataclasses.dataclass(frozen=True)
class Backfill:
    """The backfill of a table, as a revision calls it.

    Args:
        table: Both tables; the backfill knows of ``t`` alone.
        in_python: A function makes the values, not the database.
        workers: Processes that walk over ranges; 0 has it done here.
        batch_size: Rows of a batch: few, for many places to stop.
        server_dies: A lost connection is what a run of it may end with.
    """

    table: Table
    in_python: bool = False
    workers: int = 0
    batch_size: int = 8
    server_dies: bool = False

    def __call__(self) -> BackfillReport:
        """Run it to its end, in a separate context: a version that moves would be a conflict between two runners."""
        with self.table.engine.connect() as connection:
            context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
            with Operations.context(context), context.begin_transaction(_per_migration=True):
                return self._run()

    def while_the_application_writes(self) -> str:
        """Run it while the application keeps writing rows without a value; return how it ended."""
        try:
            self()
        except BackfillIncomplete:
            return "incomplete"
        # SQLAlchemy passes on what the driver raises while it changes to autocommit.
        except (
            BackfillStopped,
            Unreachable,
            sa.exc.OperationalError,
            psycopg.OperationalError,
            pymysql.OperationalError,
        ):
            if self.server_dies:
                return "lost its server"
            raise
        return "finished"

    def _run(self) -> BackfillReport:
        if not self.workers:
            return self._backfill(None)
        with ProcessPoolExecutor(self.workers, mp_context=FORK) as executor:
            return self._backfill(executor)

    def _backfill(self, executor: Executor | None) -> BackfillReport:
        if self.table.fills:
            values: Any = filled if self.in_python else {"target": sa.text(FILL)}
        else:
            values = processed if self.in_python else {"balance": sa.text(ONCE)}
        where = None if self.table.fills else True
        return backfill("t", values, where=where, name="oracle", batch_size=self.batch_size, executor=executor)


class Runners:
    """Runs a backfill in children, and kills them.

    Args:
        backfill: What they run.
        chance: Chooses the moments.
    """

    LONGEST = 0.25
    """Seconds after which a runner is killed at most: some batches after it has begun."""

    def __init__(self, backfill: Backfill, chance: random.Random) -> None:
        self.backfill, self.chance = backfill, chance
        self._children: list[Child] = []
        self.kills = 0

    def start(self, at_statement: Callable[[], None] | None = None) -> Child:
        """Start a runner; ``at_statement`` is called in it before and after each statement that it sends."""

        def run() -> str:
            if at_statement is not None:
                for moment in ("before", "after"):
                    sa.event.listen(sa.Engine, f"{moment}_cursor_execute", lambda *_: at_statement())
            return self.backfill.while_the_application_writes()

        self._children.append(Child(run))
        return self._children[-1]

    def killed(self) -> bool:
        """Start a runner and kill it at a random time; False if it had ended before."""
        if self.chance.random() < 0.6:
            return self.died(self.start(self.signalling(signal.SIGKILL)))
        child = self.start()
        self.kill_after(child, self.LONGEST)
        return self.died(child)

    def kill_after(self, child: Child, most: float) -> None:
        """Kill a runner alone after some time; workers of it live on."""
        child.wait(self.chance.uniform(0, most))
        child.kill()

    def kill_one_of(self, pids: list[int]) -> None:
        """Kill a runner or one of its workers."""
        if pids:
            self.kills += 1
            TALLY["killed of a family"] += 1
            with suppress(ProcessLookupError):
                os.kill(self.chance.choice(pids), signal.SIGKILL)

    def signalling(self, number: signal.Signals, last: int = 400) -> Callable[[], None]:
        """Return what makes a process send itself a signal, before or after a random statement."""
        # The first statements, which come once, matter as much as the many of the batches.
        early = int(math.exp(self.chance.uniform(0, math.log(last))))
        left = itertools.count(-self.chance.choice([early, self.chance.randrange(last)]))

        def strike() -> None:
            if next(left) == 0:
                os.kill(os.getpid(), number)

        return strike

    def died(self, child: Child) -> bool:
        """Return whether a runner was killed; if not, it must have succeeded."""
        child.wait()
        self.kills += child.is_killed
        TALLY["kills"] += child.is_killed
        if not child.is_killed:
            TALLY[child.value()] += 1
        return child.is_killed

    def end(self) -> None:
        for child in self._children:
            child.kill_all()


TALLY: Counter[str] = Counter()
"""What all tests did, for long runs."""


@contextmanager
def runners(backfill: Backfill, chance: random.Random) -> Iterator[Runners]:
    made = Runners(backfill, chance)
    try:
        yield made
    finally:
        made.end()
