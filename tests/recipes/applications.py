"""An old and a new application that write a column while migrations rename it or change its type, and are killed.

    World           the tables, the schemas that the phases must leave, and the comparison with the references
    Application     writes rows and, in the same transaction, a reference with the expected value of each row
    Phases          runs phases in children that are killed, whose sessions are ended, or that wait for locks

What a row must be follows from the applications' own transactions alone: nothing here knows how the two columns are kept
in sync. Each statement on the table returns the keys that it met, and the reference is changed for those: both
see the same rows, even if the other application commits between the two statements.
"""

from __future__ import annotations

import dataclasses
import itertools
import os
import random
import signal
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg
import sqlalchemy as sa
from alembic.operations import Operations
from alembic.runtime.migration import MigrationContext
from tests.backfill.oracle import FORK, Child
from tests.catalogue import assert_same, unordered
from tests.servers import Database

from safeops import BackfillStopped, Unreachable, settings

TALLY: Counter[str] = Counter()
"""What all tests did, for long runs."""


# --- the tables ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class World:
    """The tables, and their expected rows.

    Args:
        database: The database that has them.
        prepare: The statements that make them.
        schemas: By phase, the function that turns the schema of ``prepare`` into the expected one.
        checks: Queries for rows that are wrong, by name; each must find none.
    """

    database: Database
    prepare: tuple[str, ...]
    schemas: dict[str, str | None]
    checks: dict[str, str]
    expected: dict[str, str] = dataclasses.field(default_factory=dict)

    def create(self, new_database: Callable[[], Database]) -> None:
        self.database.execute(*self.prepare)
        for phase, statement in self.schemas.items():
            other = new_database()
            other.execute(*self.prepare, *([statement] if statement else []))
            self.expected[phase] = unordered(other)
            other.drop()

    def assert_exact(self, phase: str, checks: tuple[str, ...]) -> None:
        for name in checks:
            wrong = self.database.query(self.checks[name])
            assert not wrong, f"after {phase}, {name}: {len(wrong)} rows are wrong: {sorted(wrong, key=repr)[:8]}"
        if phase in self.expected:
            assert_same(self.expected[phase], unordered(self.database), f"after {phase}")


# --- the applications ----------------------------------------------------------------------------------------------

Keys = list[int]


class Application:
    """Writes in a separate process; between ``hold`` and ``go`` it has no transaction.

    Args:
        database: The database that it writes to.
        seed: Makes it choose the same things.
        place: The number of the application: new keys are its own, existing rows are shared.
        prepares: Its driver prepares what it sends often, as psycopg does automatically.
    """

    def __init__(self, database: Database, seed: int, place: int, *, prepares: bool = True) -> None:
        self.database, self.place, self.prepares = database, place, prepares
        self.chance = random.Random(f"{seed} {place}")
        self.flags = {name: FORK.Event() for name in ("over", "ready", "reads")}
        self._turn = FORK.Lock()
        self._numbers = itertools.count(1000 + place, 2)
        self.done: Counter[str] = Counter()

    def is_able(self, cursor: psycopg.Cursor[Any]) -> bool:
        """Return whether its writes are committed."""
        return True

    def actions(self) -> list[Callable[[psycopg.Cursor[Any]], None]]:
        """Return what it may do, each as often as it shall come."""
        raise NotImplementedError

    # Its turn -------------------------------------------------------------------------------------------------------

    def hold(self) -> None:
        self._turn.acquire()

    def go(self) -> None:
        self._turn.release()

    def write_until_over(self) -> Counter[str]:
        url = self.database.url
        with psycopg.connect(
            host=url.host,
            port=url.port,
            user=url.username,
            dbname=url.database,
            application_name=f"application {self.place}",
            prepare_threshold=2 if self.prepares else None,
        ) as connection:
            while not self.flags["over"].is_set():
                with self._turn, connection.cursor() as cursor:
                    self._transaction(connection, cursor)
                time.sleep(self.chance.uniform(0, 0.006))
        return self.done

    def _transaction(self, connection: psycopg.Connection[Any], cursor: psycopg.Cursor[Any]) -> None:
        if not self.is_able(cursor):
            connection.rollback()
            return
        action = self.chance.choice(self.actions())
        began = time.monotonic()
        try:
            action(cursor)
        except psycopg.Error as error:
            raise AssertionError(f"application {self.place}, {action.__name__}: {error!r}") from error
        if self.chance.random() < 0.15:
            connection.rollback()
            self.done["rolled back"] += 1
        else:
            connection.commit()
            self.done["committed"] += 1
        self.done["longest wait, ms"] = max(self.done["longest wait, ms"], int(1000 * (time.monotonic() - began)))
        self.done[action.__name__.strip("_")] += 1

    def number(self) -> int:
        return next(self._numbers)

    def near(self, most: int = 1) -> Keys:
        """Some keys around one that may exist, of any application."""
        first = self.chance.choice(
            [self.chance.randrange(1, 60), self.chance.randrange(1000, max(self.number(), 1001))]
        )
        return [*range(first, first + self.chance.randint(1, most))]

    def own(self) -> int:
        """A key that no other application gives."""
        [key] = self.near()
        return 2 * (key // 2) + self.place


class Renamed(Application):
    """Writes ``t`` under one of the names of its column, and ``said``; ``t`` has a column ``code`` too.

    Args:
        column: The name that it knows the column by.
        upserts: It upserts by the column, which is unique.
    """

    def __init__(self, database: Database, seed: int, place: int, column: str, *, unique: bool) -> None:
        super().__init__(database, seed, place)
        self.column, self.unique = column, unique

    def is_able(self, cursor: psycopg.Cursor[Any]) -> bool:
        sql = "SELECT 1 FROM pg_attribute WHERE attrelid = 't'::regclass AND attname = %s AND NOT attisdropped"
        return cursor.execute(sql, [self.column]).fetchone() is not None

    def actions(self) -> list[Callable[[psycopg.Cursor[Any]], None]]:
        often = [self._insert, self._insert_many, self._write, self._write, self._touch, self._delete]
        some = [self._upsert, self._move, self._write_range, self._copy, self._keep]
        some += [self._insert_child] if self.unique else [self._insert_default, self._write_null]
        if self.flags["reads"].is_set():
            some += [self._append, self._upsert_by_value] if self.unique else [self._append]
        return often * 2 + some

    def value(self) -> str:
        """A value that no other row has."""
        return f"{self.column}{self.number()}" + "x" * self.chance.choice([0, 0, 5])

    def _say(self, cursor: psycopg.Cursor[Any], value: str | None) -> None:
        keys = [row[0] for row in cursor.fetchall()]
        cursor.execute("UPDATE said SET v = %s WHERE id = ANY (%s)", [value, keys])

    def _insert(self, cursor: psycopg.Cursor[Any]) -> None:
        values = [self.number(), self.value()]
        cursor.execute(f"INSERT INTO t (id, {self.column}) VALUES (%s, %s)", values)
        cursor.execute("INSERT INTO said (id, v) VALUES (%s, %s)", values)

    def _insert_default(self, cursor: psycopg.Cursor[Any]) -> None:
        key = self.number()
        cursor.execute("INSERT INTO t (id) VALUES (%s)", [key])
        cursor.execute("INSERT INTO said (id, v) VALUES (%s, 'anon')", [key])

    def _insert_many(self, cursor: psycopg.Cursor[Any]) -> None:
        values = [one for _ in range(3) for one in (self.number(), self.value())]
        cursor.execute(f"INSERT INTO t (id, {self.column}) VALUES (%s, %s), (%s, %s), (%s, %s)", values)
        cursor.execute("INSERT INTO said (id, v) VALUES (%s, %s), (%s, %s), (%s, %s)", values)

    def _insert_child(self, cursor: psycopg.Cursor[Any]) -> None:
        """A row of the table, and one of another that refers to it by the column."""
        key, value = self.number(), self.value()
        cursor.execute(f"INSERT INTO t (id, {self.column}) VALUES (%s, %s)", [key, value])
        cursor.execute("INSERT INTO child (v) VALUES (%s)", [value])
        cursor.execute("INSERT INTO said (id, v) VALUES (%s, %s)", [key, value])

    def _upsert(self, cursor: psycopg.Cursor[Any]) -> None:
        key, value = self.own(), self.value()
        sql = "INSERT INTO {} (id, {}) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET {} = excluded.{}"
        cursor.execute(sql.format("t", *[self.column] * 3), [key, value])
        cursor.execute(sql.format("said", "v", "v", "v"), [key, value])

    def _upsert_by_value(self, cursor: psycopg.Cursor[Any]) -> None:
        value = self.value()
        sql = f"INSERT INTO t (id, {self.column}) VALUES (%s, %s) ON CONFLICT ({self.column}) DO UPDATE SET n = t.n + 1"
        for key in (self.number(), self.number()):
            cursor.execute(f"{sql} RETURNING id", [key, value])
        [key] = cursor.fetchall()[0]
        cursor.execute("INSERT INTO said (id, v) VALUES (%s, %s)", [key, value])

    def _write(self, cursor: psycopg.Cursor[Any]) -> None:
        value = self.value()
        cursor.execute(f"UPDATE t SET {self.column} = %s WHERE id = ANY (%s) RETURNING id", [value, self.near()])
        self._say(cursor, value)

    def _keep(self, cursor: psycopg.Cursor[Any]) -> None:
        """Writes the existing value again, as an object mapper does that writes whole rows."""
        found = cursor.execute("SELECT id, v FROM said WHERE id = ANY (%s)", [self.near(5)]).fetchall()
        for key, value in found:
            sql = f"UPDATE t SET {self.column} = %s, n = n + 1 WHERE id = %s RETURNING id"
            self._say(cursor.execute(sql, [value, key]), value)
            break

    def _write_null(self, cursor: psycopg.Cursor[Any]) -> None:
        if self.column == "v" or self.flags["reads"].is_set():
            # Under the new name NULL is not a value before the fill has finished.
            cursor.execute(f"UPDATE t SET {self.column} = NULL WHERE id = ANY (%s) RETURNING id", [self.near()])
            self._say(cursor, None)

    def _write_range(self, cursor: psycopg.Cursor[Any]) -> None:
        keys = self.near(15)
        among = "id IN (SELECT id FROM t WHERE id = ANY (%s) ORDER BY id FOR UPDATE)"
        prefix = self.value()
        cursor.execute(f"UPDATE t SET {self.column} = %s || id, n = n + 1 WHERE {among} RETURNING id", [prefix, keys])
        keys = [row[0] for row in cursor.fetchall()]
        cursor.execute("UPDATE said SET v = %s || id WHERE id = ANY (%s)", [prefix, keys])

    def _touch(self, cursor: psycopg.Cursor[Any]) -> None:
        cursor.execute("UPDATE t SET n = n + 1 WHERE id = ANY (%s)", [self.near()])

    def _append(self, cursor: psycopg.Cursor[Any]) -> None:
        """What it reads under its name counts."""
        sql = "UPDATE {0} SET {1} = {1} || 'y' WHERE id = ANY (%s) AND length({1}) < 40"
        cursor.execute(f"{sql.format('t', self.column)} RETURNING id", [self.near()])
        keys = [row[0] for row in cursor.fetchall()]
        cursor.execute(sql.format("said", "v"), [keys])

    def _delete(self, cursor: psycopg.Cursor[Any]) -> None:
        rows = cursor.execute("DELETE FROM t WHERE id = ANY (%s) RETURNING id", [self.near()]).fetchall()
        cursor.execute("DELETE FROM said WHERE id = ANY (%s)", [[row[0] for row in rows]])

    def _move(self, cursor: psycopg.Cursor[Any]) -> None:
        """A row gets another key, ahead of the walk or behind it."""
        new = self.chance.choice([self.number(), -self.number()])
        [old] = self.near()
        rows = cursor.execute("UPDATE t SET id = %s WHERE id = %s RETURNING id", [new, old]).fetchall()
        if rows:
            cursor.execute("UPDATE said SET id = %s WHERE id = %s", [new, old])

    def _copy(self, cursor: psycopg.Cursor[Any]) -> None:
        rows = [(self.number(), self.value()) for _ in range(3)]
        for target in (f"t (id, {self.column})", "said (id, v)"):
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)


class Keyed(Application):
    """Writes ``t``, whose key becomes wider, and ``child``, which refers to it; the references are ``said`` and ``owned``.

    While ``ready`` is set it gives keys that the old type does not take.
    """

    BIG = 3_000_000_000

    def __init__(self, database: Database, seed: int, place: int) -> None:
        # The types of what a prepared statement gets and gives are those of before a switch.
        super().__init__(database, seed, place, prepares=False)

    def actions(self) -> list[Callable[[psycopg.Cursor[Any]], None]]:
        often = [self._insert, self._insert_child, self._write, self._delete, self._move]
        return often * 3 + [self._number, self._insert_both, self._copy, self._reparent]

    def key(self) -> int:
        big = self.flags["ready"].is_set() and self.chance.random() < 0.5
        return self.number() + (self.BIG if big else 0)

    def _insert(self, cursor: psycopg.Cursor[Any]) -> None:
        key = self.key()
        for table in ("t", "said"):
            cursor.execute(f"INSERT INTO {table} (id, v) VALUES (%s, %s)", [key, str(key)])

    def _number(self, cursor: psycopg.Cursor[Any]) -> None:
        """The table's own sequence gives the key: none twice."""
        [key] = cursor.execute("INSERT INTO t (v) VALUES ('own') RETURNING id").fetchall()[0]
        cursor.execute("INSERT INTO said (id, v) VALUES (%s, 'own')", [key])

    def _insert_child(self, cursor: psycopg.Cursor[Any]) -> None:
        child, keys = self.number(), self.near(20)
        sql = "INSERT INTO child (id, t_id) SELECT %s, id FROM t WHERE id = ANY (%s) LIMIT 1 RETURNING t_id"
        # Locked as the foreign key does: it cannot be deleted in between.
        cursor.execute("SELECT id FROM t WHERE id = ANY (%s) ORDER BY id LIMIT 1 FOR KEY SHARE", [keys])
        found = [row[0] for row in cursor.fetchall()]
        if found:
            cursor.execute(sql, [child, found])
            cursor.execute("INSERT INTO owned (id, t_id) VALUES (%s, %s)", [child, found[0]])

    def _insert_both(self, cursor: psycopg.Cursor[Any]) -> None:
        key, child = self.key(), self.number()
        for table, owned in (("t", "child"), ("said", "owned")):
            cursor.execute(f"INSERT INTO {table} (id, v) VALUES (%s, 'both')", [key])
            cursor.execute(f"INSERT INTO {owned} (id, t_id) VALUES (%s, %s)", [child, key])

    def _reparent(self, cursor: psycopg.Cursor[Any]) -> None:
        key = self.key()
        for table in ("t", "said"):
            cursor.execute(f"INSERT INTO {table} (id, v) VALUES (%s, 'parent')", [key])
        rows = cursor.execute(
            "UPDATE child SET t_id = %s WHERE id = ANY (%s) RETURNING id", [key, self.near()]
        ).fetchall()
        cursor.execute("UPDATE owned SET t_id = %s WHERE id = ANY (%s)", [key, [row[0] for row in rows]])

    def _write(self, cursor: psycopg.Cursor[Any]) -> None:
        value = str(self.number())
        rows = cursor.execute("UPDATE t SET v = %s WHERE id = ANY (%s) RETURNING id", [value, self.near()]).fetchall()
        cursor.execute("UPDATE said SET v = %s WHERE id = ANY (%s)", [value, [row[0] for row in rows]])

    def _delete(self, cursor: psycopg.Cursor[Any]) -> None:
        """The rows that refer to it go with it."""
        rows = cursor.execute("DELETE FROM t WHERE id = ANY (%s) RETURNING id", [self.near()]).fetchall()
        self._without([row[0] for row in rows], cursor)

    def _without(self, keys: Keys, cursor: psycopg.Cursor[Any]) -> None:
        cursor.execute("DELETE FROM owned WHERE t_id = ANY (%s)", [keys])
        cursor.execute("DELETE FROM said WHERE id = ANY (%s)", [keys])

    def _move(self, cursor: psycopg.Cursor[Any]) -> None:
        """The rows that refer to it follow."""
        [old], new = self.near(), self.key()
        rows = cursor.execute("UPDATE t SET id = %s WHERE id = %s RETURNING id", [new, old]).fetchall()
        if rows:
            cursor.execute("UPDATE owned SET t_id = %s WHERE t_id = %s", [new, old])
            cursor.execute("UPDATE said SET id = %s WHERE id = %s", [new, old])

    def _copy(self, cursor: psycopg.Cursor[Any]) -> None:
        rows = [(self.key(), "copied") for _ in range(3)]
        for target in ("t (id, v)", "said (id, v)"):
            with cursor.copy(f"COPY {target} FROM STDIN") as copy:
                for row in rows:
                    copy.write_row(row)


class Retyped(Application):
    """Writes texts of JSON into a column that becomes jsonb; the reference has them as text."""

    def __init__(self, database: Database, seed: int, place: int) -> None:
        super().__init__(database, seed, place, prepares=False)

    def actions(self) -> list[Callable[[psycopg.Cursor[Any]], None]]:
        return [self._insert, self._insert_default, self._write, self._write, self._delete, self._move, self._upsert]

    def value(self) -> str | None:
        number = self.number()
        return self.chance.choice(
            [None, f'{{"b": {number},  "a": [1.0, {number}]}}', f"[{number}, null]", f'"{number}"']
        )

    def _insert(self, cursor: psycopg.Cursor[Any]) -> None:
        values = [self.number(), self.value()]
        for table in ("t", "said"):
            cursor.execute(f"INSERT INTO {table} (id, v) VALUES (%s, %s)", values)

    def _insert_default(self, cursor: psycopg.Cursor[Any]) -> None:
        key = self.number()
        cursor.execute("INSERT INTO t (id) VALUES (%s)", [key])
        cursor.execute("INSERT INTO said (id, v) VALUES (%s, '{}')", [key])

    def _upsert(self, cursor: psycopg.Cursor[Any]) -> None:
        values = [self.own(), self.value()]
        for table in ("t", "said"):
            sql = f"INSERT INTO {table} (id, v) VALUES (%s, %s) ON CONFLICT (id) DO UPDATE SET v = excluded.v"
            cursor.execute(sql, values)

    def _write(self, cursor: psycopg.Cursor[Any]) -> None:
        value = self.value()
        rows = cursor.execute("UPDATE t SET v = %s WHERE id = ANY (%s) RETURNING id", [value, self.near()]).fetchall()
        cursor.execute("UPDATE said SET v = %s WHERE id = ANY (%s)", [value, [row[0] for row in rows]])

    def _delete(self, cursor: psycopg.Cursor[Any]) -> None:
        rows = cursor.execute("DELETE FROM t WHERE id = ANY (%s) RETURNING id", [self.near()]).fetchall()
        cursor.execute("DELETE FROM said WHERE id = ANY (%s)", [[row[0] for row in rows]])

    def _move(self, cursor: psycopg.Cursor[Any]) -> None:
        new, [old] = self.number(), self.near()
        rows = cursor.execute("UPDATE t SET id = %s WHERE id = %s RETURNING id", [new, old]).fetchall()
        if rows:
            cursor.execute("UPDATE said SET id = %s WHERE id = %s", [new, old])


@contextmanager
def writing(*applications: Application) -> Iterator[None]:
    """Applications at work for the length of the block; none of their statements may fail."""
    children = [Child(one.write_until_over) for one in applications]
    try:
        yield
        for one, child in zip(applications, children, strict=True):
            one.flags["over"].set()
            done = child.value()
            assert done["committed"], "it came too late to show anything"
            longest = max(TALLY["longest wait, ms"], done.pop("longest wait, ms"))
            TALLY.update(done)
            TALLY["longest wait, ms"] = longest
    finally:
        for child in children:
            child.kill()


@contextmanager
def held(*applications: Application) -> Iterator[None]:
    """Applications that have no transaction for the length of the block."""
    for one in applications:
        one.hold()
    try:
        yield
    finally:
        for one in applications:
            one.go()


# --- the phases ----------------------------------------------------------------------------------------------------


@dataclasses.dataclass
class Phases:
    """Runs phases as a revision does, in children that do not live long.

    Args:
        database: What they migrate.
        chance: Chooses how each ends.
        tables: Those that other sessions lock in the meantime.
    """

    database: Database
    chance: random.Random
    tables: tuple[str, ...] = ("t",)

    KILLS = 2
    """How often a phase is stopped at most, before it is let end."""

    def __post_init__(self) -> None:
        # Made once: children inherit what it has read from the server, and no connection.
        self.engine = self.database.engine(connect_args={"application_name": "the migration"})
        self.engine.connect().close()

    def run(self, phase: Callable[[], bool]) -> None:
        """Run a phase until there is no work left."""
        for _ in range(self.KILLS):
            TALLY["runs"] += 1
            stop = self.chance.choice([self._killed_by_itself, self._killed, self._sessions_ended, self._held_up])
            if stop(phase):
                break
        child = Child(lambda: self._migrated(phase))
        child.value()
        assert Child(lambda: self._migrated(phase)).value() is False, f"{phase} had something left to do"

    def _migrated(self, phase: Callable[[], bool]) -> bool:
        with self.engine.connect() as connection, settings(lock_timeout=0.1):
            context = MigrationContext.configure(connection, opts={"transaction_per_migration": True})
            with Operations.context(context), context.begin_transaction(_per_migration=True):
                return phase()

    # How it may end: each returns whether it was let end --------------------------------------------------------------

    def _killed_by_itself(self, phase: Callable[[], bool]) -> bool:
        left = itertools.count(-self.chance.randrange(250))

        def strike(*_: Any) -> None:
            if next(left) == 0:
                os.kill(os.getpid(), signal.SIGKILL)

        def run() -> bool:
            sa.event.listen(sa.Engine, "before_cursor_execute", strike)
            sa.event.listen(sa.Engine, "after_cursor_execute", strike)
            return self._migrated(phase)

        return self._ended(Child(run))

    def _killed(self, phase: Callable[[], bool]) -> bool:
        child = Child(lambda: self._migrated(phase))
        child.wait(self.chance.uniform(0, 1.0))
        child.kill()
        return self._ended(child)

    def _ended(self, child: Child) -> bool:
        child.wait()
        if not child.is_killed:
            child.value()
            return True
        TALLY["killed"] += 1
        self._let_server_notice()
        return False

    def _sessions_ended(self, phase: Callable[[], bool]) -> bool:
        def run() -> str:
            try:
                self._migrated(phase)
            except (BackfillStopped, Unreachable):
                return "lost"
            except sa.exc.DBAPIError as error:
                assert error.connection_invalidated, error
                return "lost"
            return "ended"

        child = Child(run)
        child.wait(self.chance.uniform(0, 1.0))
        sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the migration'"
        self.database.query(f"{sql} AND datname = current_database()")
        lost = child.value() == "lost"
        TALLY["sessions ended"] += lost
        return not lost

    def _held_up(self, phase: Callable[[], bool]) -> bool:
        """Sessions that are idle in a transaction keep it from its locks for a while."""
        child = Child(lambda: self._migrated(phase))
        for _ in range(4):
            with self.database.observer().connect() as holder:
                child.wait(self.chance.uniform(0, 0.25))
                mode = self.chance.choice(["ACCESS SHARE", "ROW EXCLUSIVE"])
                holder.exec_driver_sql(f"LOCK TABLE {self.chance.choice(self.tables)} IN {mode} MODE")
                child.wait(self.chance.uniform(0.1, 0.4))
                holder.rollback()
        TALLY["held up"] += 1
        return self._ended(child)

    def _let_server_notice(self) -> None:
        """A backend completes its current statement, and only then finds that its client has disconnected."""
        if self.chance.random() < 0.5:
            sql = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'the migration'"
            self.database.query(f"{sql} AND datname = current_database()")
