"""A sample of the atlas is traced again, so what it has recorded stays true."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.lock_atlas.cases import Case, cases
from tests.lock_atlas.results import Results
from tests.lock_atlas.tracing import traced
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


@pytest.mark.only("pg18", "mariadb", "mysql97")
def test_a_sample(database: Database, server_name: str, tmp_path: Path) -> None:
    recorded = Results.read().entries(server_name)
    found = {case.name: entry for case, entry in traced(database, tmp_path, sample_of(database.kind))}
    assert found == {name: recorded[name] for name in found}
    assert len(found) > 5


def sample_of(kind: str) -> list[Case]:
    return [case for case in cases(kind) if case.name in SAMPLE]
