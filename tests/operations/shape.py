"""What every helper shows, on every database. The module of a helper fills in the calls.

Shape         twice, crashes, --sql, bad input, cost, other drivers, other people's transactions
Reversible    its inverse restores the schema byte for byte
Defines       a name that is taken by another definition; other spellings of the same one
Named         the same name in another schema
OnTable       reads and writes are not blocked, and sessions wait behind the helper for one lock timeout at most
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, ClassVar, NamedTuple

import alembic.op
import pytest
import sqlalchemy
from tests.catalogue import assert_same, definitions
from tests.concurrency.harness import Traffic, idle_holder
from tests.lifecycle.harness import crash_everywhere, prepared, state, up_up_down_down_up
from tests.projects import migrate, render, run_sql, statements_of
from tests.servers import Database, has_ability, numbers
from tests.whole import several

from safeops import (
    DefinitionMismatch,
    InvalidArgument,
    LockNotAcquired,
    OnlineOnly,
    OutsideMigration,
    SafeOpsError,
    TransactionNotOurs,
    settings,
)

SQLALCHEMY = tuple(int(part) for part in sqlalchemy.__version__.split(".")[:3] if part.isdigit())

WORLD = (
    "CREATE TABLE teams (id integer PRIMARY KEY, title varchar(50) NOT NULL)",
    "INSERT INTO teams VALUES (1, 'red'), (2, 'blue')",
    "CREATE TABLE users (id integer PRIMARY KEY, team_id integer, email varchar(100), age integer, name varchar(50))",
    "INSERT INTO users VALUES (1, 1, 'a@x', 20, 'Ann'), (2, 2, 'b@x', 30, 'Bob'), (3, NULL, 'c@x', NULL, 'Cy%:c')",
)
LAST = several(10_000, 100_000)
"""Rows on PostgreSQL; MariaDB takes ten seconds to compare so many with those of the application."""
MANY = {
    "postgresql": f"INSERT INTO users SELECT i, 1 + i % 2, 'e' || i, i % 90, 'n' || i FROM generate_series(9, {LAST}) i",
    "mysql": "INSERT INTO users SELECT seq, 1 + seq % 2, concat('e', seq), seq % 90, concat('n', seq)"
    f" FROM {numbers(9, LAST // 5)}",
}

LOCK_TIMEOUT, RETRY_BUDGET = 0.25, 0.7
SLACK = 2.5 if "PYTEST_XDIST_WORKER" in os.environ else 0.75
"""Seconds that a busy machine can add to a wait; more if another suite runs at the same time."""

Call = Callable[..., Any]


class Expect(NamedTuple):
    """A call, and the words that its message must contain."""

    call: Call
    words: Sequence[str]
    error: type[SafeOpsError] = DefinitionMismatch
    needs: str = ""


def lock_timeout_of(database: Database) -> float:
    # MariaDB counts whole seconds.
    return 1.0 if database.kind == "mysql" else LOCK_TIMEOUT


def impatient(body: Call) -> Call:
    def run() -> Any:
        with settings(lock_timeout=LOCK_TIMEOUT, retry_budget=RETRY_BUDGET):
            return body()

    return run


def refused(database: Database, expected: Expect) -> str:
    """What is wrong with how a call is refused; empty if nothing is."""
    try:
        returned = migrate(database, expected.call)
    except expected.error as error:
        lacking = [word for word in expected.words if word.lower() not in str(error).lower()]
        return f"{lacking} not in: {error}" if lacking else ""
    return f"returned {returned!r} instead of {expected.error.__name__} with {expected.words}"


def for_database(database: Database, expected: Sequence[Expect]) -> list[Expect]:
    return [one for one in expected if not one.needs or has_ability(database.server, one.needs)]


def assert_refused(database: Database, expected: Sequence[Expect]) -> None:
    """Every call is refused with its words, and nothing is changed."""
    before = state(database)
    wrong = [problem for one in for_database(database, expected) if (problem := refused(database, one))]
    assert not wrong, "\n".join(wrong)
    assert_same(before, state(database), "after the refusals")


class Shape:
    """The tests of one helper; a subclass defines its calls."""

    prepare: ClassVar[Sequence[str]] = WORLD
    needs: ClassVar[Sequence[str]] = ()
    offline_needs: ClassVar[Sequence[str]] = ()
    """Abilities without which --sql is OnlineOnly; "never" if it always is."""
    linted_for: ClassVar[Sequence[str]] = ()
    """What squawk finds in the rendered SQL although it is meant so."""
    bad: ClassVar[Sequence[Expect]] = ()
    unknown: ClassVar[Sequence[Expect]] = ()
    nothing_there: ClassVar[Sequence[Call]] = ()
    """Calls for what is not there, which is as it should be."""

    @staticmethod
    def up(**kw: Any) -> bool:
        raise NotImplementedError

    @pytest.mark.smoke
    @pytest.mark.every_postgresql
    def test_the_second_call_does_nothing(self, database):
        prepared(database, self.prepare)
        assert migrate(database, self.up) is True
        after = state(database)
        with statements_of(database) as sent:
            assert migrate(database, self.up) is False
        assert sent.ddl == []
        assert_same(after, state(database), "the second call")

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_interrupted_anywhere_it_continues(self, new_database):
        crash_everywhere(new_database, self.up, self.prepare, kills=1)

    def test_what_is_not_there(self, database):
        prepared(database, self.prepare)
        assert_refused(database, self.unknown)
        before = state(database)
        assert [migrate(database, call) for call in self.nothing_there] == [False] * len(self.nothing_there)
        assert_same(before, state(database), "calls for what is not there")

    @pytest.mark.smoke
    @pytest.mark.every_postgresql
    def test_offline(self, new_database):
        online, offline = (prepared(new_database(), self.prepare) for _ in range(2))
        if not all(one != "never" and has_ability(online.server, one) for one in self.offline_needs):
            with pytest.raises(OnlineOnly) as error:
                render(online, self.up)
            assert "--sql" in str(error.value)
            return
        migrate(online, self.up)
        script = render(offline, self.up)
        for when in ("its --sql output", "its --sql output, run a second time"):
            run_sql(offline, script)
            assert_same(state(online), state(offline), when)

    @pytest.mark.only("pg18")
    def test_squawk_agrees_with_the_offline_sql(self, database):
        if "never" in self.offline_needs:
            return

        def bounded() -> Any:
            with settings(statement_timeout=5.0):
                return self.up()

        assert squawk(render(database, bounded)) == sorted(self.linted_for)

    def test_bad_input_is_refused_before_the_database_is_touched(self, database):
        for one in self.bad:
            sent: list[str] = []

            def body(call: Call = one.call, seen: list[str] = sent) -> None:
                with statements_of(database) as statements:
                    try:
                        call()
                    finally:
                        seen += statements.sql

            problem = refused(database, one._replace(call=body, error=InvalidArgument))
            assert not problem, problem
            assert sent == []

    def test_outside_a_migration(self, monkeypatch):
        # A migration that failed leaves Alembic's proxy behind.
        monkeypatch.delattr(alembic.op, "_proxy", raising=False)
        with pytest.raises(OutsideMigration, match="no Alembic migration is running"):
            self.up()

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_a_transaction_of_env_py(self, database):
        prepared(database, self.prepare)
        before = state(database)
        with database.engine().begin() as connection, pytest.raises(TransactionNotOurs) as error:
            migrate(database, self.up, connection=connection)
        assert "with engine.connect() as connection:" in str(error.value)
        assert_same(before, state(database), "the refusal")

    @pytest.mark.only("pg18")
    def test_a_skip_costs_two_statements(self, server_name, crowded):
        prepared(crowded, ("DROP SCHEMA IF EXISTS public, billing CASCADE", "CREATE SCHEMA public", *self.prepare))
        migrate(crowded, self.up)
        sent: list[str] = []

        def body() -> Any:
            with statements_of(crowded) as statements:
                try:
                    return self.up()
                finally:
                    sent.extend(statements.sql)

        assert migrate(crowded, body) is False
        assert 1 <= len(sent) <= 2, sent

    @pytest.mark.whole
    @pytest.mark.only("pg18")
    @pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
    def test_other_drivers(self, database, driver):
        prepared(database, self.prepare)
        other = database.with_driver(driver)
        assert [migrate(other, self.up), migrate(other, self.up)] == [True, False]


class Reversible(Shape):
    """A helper with an inverse."""

    lossless: ClassVar[bool] = True

    @staticmethod
    def down(**kw: Any) -> bool:
        raise NotImplementedError

    @pytest.mark.smoke
    @pytest.mark.every_postgresql
    def test_up_up_down_down_up(self, database):
        up_up_down_down_up(database, self.up, self.down, self.prepare, lossless=self.lossless)

    @pytest.mark.only("pg18", "mysql", "sqlite")
    def test_interrupted_anywhere_the_downgrade_continues(self, new_database):
        def raised(database: Database) -> None:
            migrate(prepared(database, self.prepare), self.up)

        crash_everywhere(new_database, self.down, raised, down=True, kills=0)


class Defines(Shape):
    """A helper that makes something of a definition."""

    different: ClassVar[Sequence[Expect]]
    same: ClassVar[Sequence[Call]]

    def test_another_definition_is_refused_and_each_difference_named(self, database):
        migrate(prepared(database, self.prepare), self.up)
        assert_refused(database, self.different)

    def test_another_definition_is_kept_on_demand(self, database):
        migrate(prepared(database, self.prepare), self.up)
        before = state(database)
        for one in for_database(database, self.different):
            assert migrate(database, lambda call=one.call: call(if_different="keep")) is False, one.words
        assert_same(before, state(database), "kept")

    def test_the_same_in_other_words_is_the_same(self, database):
        migrate(prepared(database, self.prepare), self.up)
        assert [migrate(database, call) for call in self.same] == [False] * len(self.same)


class Named(Reversible):
    """A helper whose object belongs to a schema."""

    def up_in(self, schema: str) -> Call:
        return lambda: self.up(schema=schema)

    def down_in(self, schema: str) -> Call:
        return lambda: self.down(schema=schema)

    @pytest.mark.only("postgresql", "mysql")
    def test_another_schema(self, database, new_database):
        schema, look = second_schema(database, new_database, self.prepare)
        prepared(database, self.prepare)
        assert migrate(database, self.up) is True
        here = look()
        assert [migrate(database, self.up_in(schema)) for _ in range(2)] == [True, False]
        assert look() != here
        assert migrate(database, self.down_in(schema), down=True) is True
        assert_same(here, look(), "the inverse in the other schema")


class OnTable(Shape):
    """A helper that works on a table that the application uses."""

    table: ClassVar[str] = "users"
    many: ClassVar[bool] = True
    columns: ClassVar[Sequence[str] | None] = None
    """What the application knows of the table."""
    tolerated: ClassVar[str] = "none"
    """Errors that the application can get while the helper runs."""
    blocked_by: ClassVar[str] = "ACCESS SHARE"
    """The lock of PostgreSQL, held by another, that stops it."""

    def left_by_giving_up(self, database: Database) -> str:
        return definitions(database)

    def traffic(self, database: Database) -> Traffic:
        team = {"team_id": lambda chance: chance.choice([1, 2])}
        known = self.columns or ["team_id", "email", "age", "name"]
        return Traffic(database, self.table, columns=known, values={k: v for k, v in team.items() if k in known})

    @pytest.mark.only("pg18", "mysql")
    def test_reads_and_writes_are_not_blocked(self, database):
        prepared(database, [*self.prepare, *([MANY[database.kind]] if self.many else [])])
        traffic = self.traffic(database)
        with traffic.running():
            assert migrate(database, impatient(self.up)) is True
            traffic.settle()
        assert traffic.longest_wait.seconds < lock_timeout_of(database) + SLACK, str(traffic.longest_wait)
        assert [error for error in traffic.errors if self.tolerated not in error] == []
        traffic.assert_no_rows_lost()

    @pytest.mark.only("pg18", "mysql")
    def test_an_idle_transaction_blocks_only_the_helper(self, database):
        prepared(database, self.prepare)
        traffic = self.traffic(database)
        before = definitions(database)
        mode = self.blocked_by if database.kind == "postgresql" else "ACCESS SHARE"
        with traffic.running(), idle_holder(database, self.table, mode, application_name="sleepy") as holder:
            with pytest.raises(LockNotAcquired) as error:
                migrate(database, impatient(self.up))
            assert str(holder.pid) in str(error.value)
            assert "sleepy" in str(error.value) or database.kind != "postgresql"
        assert_same(before, self.left_by_giving_up(database), "after giving up")
        assert traffic.longest_write.seconds < lock_timeout_of(database) + SLACK, str(traffic.longest_write)
        traffic.assert_no_errors()
        assert migrate(database, self.up) is True


def second_schema(
    database: Database, new_database: Callable[[], Database], statements: Sequence[str]
) -> tuple[str, Callable[[], str]]:
    """The same things in another schema, and a look at both."""
    if database.kind == "mysql":
        other = prepared(new_database(), statements)
        return other.name, lambda: definitions(database) + definitions(other)
    database.execute("CREATE SCHEMA second", "SET LOCAL search_path TO second", *statements)
    return "second", lambda: definitions(database)


def squawk(script: str) -> list[str]:
    """The names of the rules of squawk that a script breaks."""
    program = Path(sys.executable).parent / "squawk"
    # Which types they use is the authors' choice.
    choices = ["-e", "prefer-text-field,prefer-bigint-over-int"]
    command = [str(program), "--reporter", "json", "--pg-version", "18", *choices]
    done = subprocess.run(command, input=script, capture_output=True, text=True, check=False)
    assert done.stdout.strip().startswith("["), done.stderr
    return sorted({found["rule_name"] for found in json.loads(done.stdout)})
