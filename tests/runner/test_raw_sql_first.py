"""Raw SQL that removes what a later step would be refused for: an upgrade runs, though a plan cannot predict it."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.runner.deploys import Deploy
from tests.servers import Database

pytestmark = pytest.mark.only("pg18")

ADD = 'add_column_if_missing("users", sa.Column("n", DOMAIN("above", sa.Integer(), create_type=False)))'
CASES = {
    "a view": (
        "CREATE VIEW grown AS SELECT age FROM users",
        "DROP VIEW grown",
        'drop_column_if_exists("users", "age")',
    ),
    "a publication": (
        "CREATE PUBLICATION news FOR TABLE users",
        'DROP PUBLICATION "news"',
        'drop_constraint_if_exists("users_pkey", "users")',
    ),
    "a domain": ("INSERT INTO users VALUES (1, 1)", "ALTER DOMAIN above DROP CONSTRAINT above_check", ADD),
}


@pytest.mark.parametrize("case", CASES)
def test_what_raw_sql_removes_does_not_refuse_the_upgrade(tmp_path: Path, database: Database, case: str) -> None:
    before, first, then = CASES[case]
    database.execute(
        "CREATE DOMAIN above AS int CHECK (value > 0)", "CREATE TABLE users (id int PRIMARY KEY, age int)", before
    )
    domain = "from sqlalchemy.dialects.postgresql import DOMAIN"
    bodies = {"told": f"{domain}\n{then}", "done": f"{domain}\nop.execute({first!r})\n{then}"}
    answers = {
        name: Deploy(tmp_path / name, database, {"r1": (body, "pass")}).main("upgrade") for name, body in bodies.items()
    }
    assert answers == {"told": 3, "done": 0}
