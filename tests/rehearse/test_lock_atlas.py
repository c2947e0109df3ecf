"""A sample of the atlas is traced again, so what it has recorded stays true."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from tests.lock_atlas.cases import Case, cases
from tests.lock_atlas.results import Results
from tests.lock_atlas.tracing import Entry, traced
from tests.servers import Database

SAMPLE = {
    "ALTER TABLE users ADD COLUMN email varchar(100)",
    "CREATE INDEX ix_age ON users (age)",
    "CREATE INDEX CONCURRENTLY ix_age ON users (age)",
    "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
    "VACUUM FULL users",
    "ALTER TABLE users MODIFY age bigint NOT NULL",
    "DROP TABLE items",
    "enforce_not_null",
    "create_foreign_key",
    "table_rename_expand",
}


ATTEMPTS = 4
"""On MariaDB and MySQL the locks of a statement are sampled while it runs: a busy machine can miss a brief one."""


@pytest.mark.only("pg18", "mariadb", "mysql97")
def test_a_sample(new_database: Callable[[], Database], server_name: str, tmp_path: Path) -> None:
    recorded = Results.read().entries(server_name)
    database = new_database()
    wanted, found = sample_of(database.kind), dict[str, Entry]()
    for attempt in range(1 if database.kind == "postgresql" else ATTEMPTS):
        left = [case for case in wanted if found.get(case.name) != recorded[case.name]]
        if left:
            place = new_database() if attempt else database
            found |= {case.name: entry for case, entry in traced(place, tmp_path / str(attempt), left)}
    assert found == {name: recorded[name] for name in found}
    assert len(found) > 5


def sample_of(kind: str) -> list[Case]:
    return [case for case in cases(kind) if case.name in SAMPLE]
