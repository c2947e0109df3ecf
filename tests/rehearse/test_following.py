"""The statements of revisions on a copy with rows: what each did is known, by few questions to the server."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
import pytest
from tests.runner.deploys import Deploy
from tests.servers import Database, numbers

from safeops.databases import database_on
from safeops.rehearse.effects import Statement
from safeops.rehearse.following import BATCHED, OBSERVER, SEPARATE, Observer, following
from safeops.rehearse.postgresql.following import POSITION
from safeops.rehearse.running import run_up
from safeops.rehearse.statement import MEASURED, NOT_SEEN
from safeops.review.postgresql.state import HELD

ROWS = 1000
USERS = "CREATE TABLE users (id serial PRIMARY KEY, name text, age int, n int)"
FILL = f"INSERT INTO users (name, age) SELECT 'name ' || i, i % 90 FROM generate_series(1, {ROWS}) i"
Effect = tuple[dict[str, str], tuple[str, ...], tuple[str, ...], dict[str, int]]


def executed(sql: str) -> str:
    return f"op.execute({sql!r})"


def followed(database: Database, folder: Path, *body: str) -> list[Statement]:
    """Returns the statements of a revision that runs on a table with rows."""
    if database.kind == "postgresql":
        database.execute(USERS, FILL)
    project = Deploy(folder, database, {"r1": ("; ".join(body), "pass")})
    with database.engine().connect() as connection:
        connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
        with following(Observer.of(database_on(connection))) as found:
            run_up(project.config, "r1", found)
    return found.statements


def effect_of(statement: Statement) -> Effect:
    effects = statement.effects
    return dict(effects.locks), effects.rewrote, effects.built, dict(effects.scanned)


EXCLUSIVE, SHARE, ROW_EXCLUSIVE = ({"public.users": lock} for lock in ("ACCESS EXCLUSIVE", "SHARE", "ROW EXCLUSIVE"))
ON_USERS = ("public.users",)
SCANNED, TWICE = {"public.users": ROWS}, {"public.users": 2 * ROWS}
BLOCK = "with op.get_context().autocommit_block(): op.execute({!r})"

KNOWN: dict[str, tuple[list[str], Effect]] = {
    "a change of the catalogue": (["ALTER TABLE users ADD COLUMN mail text"], (EXCLUSIVE, (), (), {})),
    "a query before is not blamed on it": (
        ["SELECT count(*) FROM users", "ALTER TABLE users ADD COLUMN mail text"],
        (EXCLUSIVE, (), (), {}),
    ),
    "a scan": (["ALTER TABLE users ALTER COLUMN age SET NOT NULL"], (EXCLUSIVE, (), (), SCANNED)),
    "a second scan of as many rows": (
        [
            "ALTER TABLE users ADD CHECK (age > -1)",
            "COMMIT",
            "BEGIN",
            "ALTER TABLE users ALTER COLUMN age SET NOT NULL",
        ],
        (EXCLUSIVE, (), (), SCANNED),
    ),
    # Its rows are read once to copy them, and once more for the index of its key.
    "a rewrite": (["ALTER TABLE users ALTER COLUMN age TYPE bigint"], (EXCLUSIVE, ON_USERS, (), TWICE)),
    "an index": (["CREATE INDEX ix ON users (age)"], (SHARE, (), ON_USERS, SCANNED)),
    "an index that was rolled back is not built again": (
        [
            "SAVEPOINT before",
            "CREATE INDEX ix ON users (age)",
            "ROLLBACK TO SAVEPOINT before",
            "LOCK TABLE users IN ACCESS EXCLUSIVE MODE",
        ],
        (EXCLUSIVE, (), (), {}),
    ),
    "a table that is emptied is not rewritten": (["TRUNCATE users"], (EXCLUSIVE, (), (), {})),
    "a table that is dropped": (["DROP TABLE users"], (EXCLUSIVE, (), (), {})),
    "rows by their key": (["UPDATE users SET n = 1 WHERE id = 5"], (ROW_EXCLUSIVE, (), (), {})),
    "rows of the whole table": (["UPDATE users SET n = 1"], (ROW_EXCLUSIVE, (), (), SCANNED)),
    "a lock that the transaction has": (
        ["LOCK TABLE users IN ACCESS EXCLUSIVE MODE", "ALTER TABLE users ADD COLUMN mail text"],
        ({}, (), (), {}),
    ),
}


@pytest.mark.only("pg15", "pg18")
@pytest.mark.parametrize("what", KNOWN)
def test_what_a_statement_did(database: Database, tmp_path: Path, what: str) -> None:
    sent, expected = KNOWN[what]
    statement = followed(database, tmp_path, *map(executed, sent))[-1]
    assert (statement.sql, statement.seen) == (sent[-1], MEASURED)
    assert effect_of(statement) == expected


@pytest.mark.only("pg18")
def test_an_index_that_a_statement_without_a_transaction_has_built(database: Database, tmp_path: Path) -> None:
    """The next statement, which locks it, did not build it."""
    build = "CREATE UNIQUE INDEX CONCURRENTLY uq ON users (id)"
    adopt = "ALTER TABLE users ADD CONSTRAINT uq UNIQUE USING INDEX uq"
    first, second = followed(database, tmp_path, f"\n{BLOCK.format(build)}\n{executed(adopt)}")
    assert (first.sql, first.seen) == (build, NOT_SEEN)
    assert (second.sql, second.seen, effect_of(second)) == (adopt, MEASURED, (EXCLUSIVE, (), (), {}))


@pytest.mark.only("mariadb", "mysql97")
def test_the_log_of_mariadb_and_mysql(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE users (id int AUTO_INCREMENT PRIMARY KEY, name varchar(100))")
    insert = f"INSERT INTO users (name) SELECT repeat('x', 100) FROM {numbers(1, ROWS)}"
    change, nothing = followed(database, tmp_path, executed(insert), executed("UPDATE users SET id = 1 WHERE id = 0"))
    if database.server.product == "mysql":
        assert (change.wal_bytes, nothing.wal_bytes) == (None, None)
        return
    assert change.wal_bytes is not None and nothing.wal_bytes is not None
    assert 100 * ROWS < change.wal_bytes < 1000 * ROWS and nothing.wal_bytes < 10 * ROWS


@pytest.mark.only("sqlite")
def test_sqlite_counts_no_log(database: Database, tmp_path: Path) -> None:
    (statement,) = followed(database, tmp_path, executed("CREATE TABLE users (id int)"))
    assert (statement.wal_bytes, statement.locks) == (None, {"main": "EXCLUSIVE"})


# How often the server is queried --------------------------------------------------------------------------------


@contextmanager
def counting(monkeypatch: pytest.MonkeyPatch) -> Iterator[Counter[str]]:
    """Counts what is sent: looks at the locks of a session, looks at the log, and statements of the revision."""
    counts, execute = Counter[str](), psycopg.Cursor.execute

    def counted(cursor: Any, sql: Any, *more: Any, **options: Any) -> Any:
        text = str(sql)
        what = "locks" if text.startswith(HELD) else "log" if text == POSITION else text.split()[0]
        counts[what] += 1
        return execute(cursor, sql, *more, **options)

    with monkeypatch.context() as patched:
        patched.setattr(psycopg.Cursor, "execute", counted)
        yield counts


@pytest.mark.only("pg18")
@pytest.mark.parametrize("batch", [100, 5])
def test_a_backfill_is_looked_at_once(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, batch: int
) -> None:
    """However many batches there are: of each only the log is read, and of the last ones seldom."""
    fill = f'backfill("users", {{"n": sa.text("age + 1")}}, batch_size={batch})'
    with counting(monkeypatch) as counts:
        statements = followed(database, tmp_path, fill)
    assert {one.sql.split()[0] for one in statements} == {"UPDATE"}
    assert sum(one.times for one in statements) == ROWS / batch
    assert {one.seen for one in statements} == {MEASURED}
    assert {tuple(one.locks.items()) for one in statements} == {tuple(ROW_EXCLUSIVE.items())}
    # Before and after the first batch, and the second one, whose condition has another form.
    assert counts["locks"] <= 4
    assert counts["log"] <= 2 * min(len(statements), 2 * SEPARATE) + max(ROWS / batch - SEPARATE, 0)
    assert all(one.wal_bytes for one in statements)


@pytest.mark.only("pg18")
def test_rows_one_by_one(database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A loop over rows is the dearest to observe: a statement takes as long as a look."""
    loop = "for i in range(1, 1001): op.execute(f\"UPDATE users SET name = 'other {i}' WHERE id = {i}\")"
    with counting(monkeypatch) as counts:
        statements = followed(database, tmp_path, f"\n{loop}")
    assert counts["UPDATE"] == sum(one.times for one in statements) == ROWS
    assert sum(one.wal_bytes or 0 for one in statements) > ROWS * 50
    assert counts["locks"] <= 4 and counts["log"] < ROWS / 2
    assert all(one.sql.split()[0] in BATCHED for one in statements)
