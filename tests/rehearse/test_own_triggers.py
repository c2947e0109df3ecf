"""What the application's own triggers and foreign keys change next to a write is not taken for a fault of the revisions."""

from __future__ import annotations

import pytest
from tests.rehearse.test_traffic import busy, traffic_on
from tests.servers import Database

from safeops.rehearse.saved_rows import keeping_rows
from safeops.rehearse.stage import staged
from safeops.rehearse.traffic import Replacements

TABLE = (
    "CREATE TABLE users (id integer PRIMARY KEY, email varchar(60) NOT NULL UNIQUE, name varchar(40), age integer,"
    " level integer)"
)


def make_users(database: Database) -> None:
    if database.kind == "sqlite":
        database.execute("PRAGMA journal_mode = wal")
    rows = (f"({n}, 'user{n}@example.org', 'name {n}', {18 + n % 60}, {1 + n % 9})" for n in range(1, 101))
    database.execute(TABLE, f"INSERT INTO users VALUES {', '.join(rows)}")


def add_triggers(database: Database) -> None:
    """Who has another age has another name."""
    match database.kind:
        case "postgresql":
            database.execute(
                "CREATE FUNCTION own() RETURNS trigger LANGUAGE plpgsql AS"
                " $$BEGIN NEW.name := 'aged ' || NEW.age; RETURN NEW; END$$",
                "CREATE TRIGGER own BEFORE UPDATE OF age ON users FOR EACH ROW EXECUTE FUNCTION own()",
            )
        case "mysql":
            database.execute(
                "CREATE TRIGGER own BEFORE UPDATE ON users FOR EACH ROW"
                " IF NEW.age <> OLD.age THEN SET NEW.name = concat('aged ', NEW.age); END IF",
            )
        case _:
            database.execute(
                "CREATE TRIGGER own AFTER UPDATE OF age ON users"
                " BEGIN UPDATE users SET name = 'aged ' || NEW.age WHERE id = NEW.id; END",
            )


@pytest.mark.by_hand("mysql97")
def test_a_value_that_a_trigger_replaces_is_not_lost(database: Database) -> None:
    make_users(database)
    add_triggers(database)
    with traffic_on(database) as traffic:
        busy(traffic, 120)
        traffic.stop()
        comparison = traffic.compare(database.observer())
    assert comparison.rows
    assert comparison.losses == ()


MIRROR = "INSERT INTO visits (id, email) VALUES (NEW.id, NEW.email)"
ELSEWHERE = {
    "postgresql": ("ALTER TABLE visits ADD FOREIGN KEY (email) REFERENCES users (email) ON UPDATE CASCADE",),
    "mysql": (
        f"CREATE TRIGGER own AFTER UPDATE ON users FOR EACH ROW {MIRROR} ON DUPLICATE KEY UPDATE email = NEW.email",
    ),
    "sqlite": (
        "CREATE TRIGGER own AFTER UPDATE ON users BEGIN UPDATE visits SET email = NEW.email WHERE id = NEW.id; END",
    ),
}


@pytest.mark.by_hand("mysql97")
def test_rows_that_writes_change_in_other_tables_are_not_compared(database: Database) -> None:
    make_users(database)
    database.execute(
        "CREATE TABLE visits (id integer PRIMARY KEY, email varchar(60))",
        "INSERT INTO visits SELECT id, email FROM users",
        "CREATE TABLE untouched (id integer PRIMARY KEY)",
        "INSERT INTO untouched VALUES (1)",
        *ELSEWHERE[database.kind],
    )
    engine = database.observer()
    with keeping_rows(engine) as keeper:
        visits, users = (next(t.name for t in keeper.tables if t.name.name == name) for name in ("visits", "users"))
        with staged(engine, [users, visits], "auto", 2) as stage:
            assert stage._traffic is not None
            busy(stage._traffic, 200)
            stage.compare("after", Replacements(), ())
            assert stage.compared["after"].losses == ()
            assert [str(changed) for changed in keeper.changed(stage.touched() or {})] == []
            assert any(note.startswith(f"{visits}: its values are not compared") for note in stage.notes)
            database.execute("DELETE FROM untouched")
            assert [changed.table.name for changed in keeper.changed(stage.touched() or {})] == ["untouched"]
