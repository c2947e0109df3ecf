"""What README, the table of locks and plans claim about locks is what the atlas has recorded."""

from __future__ import annotations

import re
from collections.abc import Iterator

import pytest

from safeops.judging.postgresql.truths import LOCKS
from tests.docs.pages import DOCS, ROOT
from tests.lock_atlas import page
from tests.lock_atlas.results import Results
from tests.plans.calls import ASSURED, CALLS
from tests.servers import MYSQL, POSTGRESQL

RESULTS = Results.read()
ASSURED_TO_REWRITE = {"add_column_that_rewrites", "type_that_rewrites"}
"""Calls that a helper refuses unless the author permits them."""
IMPLIED = {"online": "SHARE UPDATE EXCLUSIVE", "rows of a batch": "ROW EXCLUSIVE"}
WAITS = {"writes wait", "all wait"}
ARCHIVES = {
    "drop_column_if_exists(..., archive=True)": ["archive_column"],
    "restore_column": ["restore_column"],
    "drop_table_if_exists(..., archive=True)": ["archive_table"],
    "restore_table": ["restore_table"],
}
WORDS_OF_MYSQL = {
    "ALGORITHM=INSTANT": "INSTANT",
    "ALGORITHM=INPLACE": "INPLACE",
    "ALGORITHM=NOCOPY": "INPLACE",
    "ALGORITHM=COPY": "copies the table",
    "EXCLUSIVE metadata lock": "metadata lock",
    "SHARED_NO_WRITE metadata lock": "metadata lock",
    "LOCK TABLES": "LOCK TABLES",
    "SHARED_WRITE metadata lock": "rows of a batch",
}
"""How the table of locks calls the locks of MariaDB and MySQL."""
PLAIN = {
    "add or drop a column": ["ALTER TABLE users ADD COLUMN email varchar(100)", "ALTER TABLE users DROP COLUMN code"],
    "create an index": ["CREATE INDEX ix_age ON users (age)"],
    "add a foreign key": ["ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (team_id) REFERENCES teams (id)"],
    "make a column NOT NULL": ["ALTER TABLE users ALTER COLUMN name SET NOT NULL"],
    "change a column's type": ["ALTER TABLE users ALTER COLUMN age TYPE bigint"],
    "fill a column": ["UPDATE users SET nick = 'x'"],
}
HELPERS = {
    "add or drop a column": ["add_column", "drop_column"],
    "create an index": ["create_index"],
    "add a foreign key": ["create_foreign_key", "validate_foreign_key"],
    "make a column NOT NULL": ["enforce_not_null"],
    "change a column's type": [name for name in CALLS if name.startswith("type_change_")],
    "fill a column": ["backfill"],
}
"""The rows of README's table, with the statements and helpers of each."""


def rows(path: str, first: str) -> Iterator[list[str]]:
    """Yield the cells of the table with this head."""
    text = (ROOT / path).read_text()
    table = text[text.index(f"| {first} |") :].split("\n\n")[0].splitlines()
    for line in table[2:]:
        yield [cell.strip() for cell in line.strip("|").split("|")]


LOCKS_OF_HELPERS = list(rows("docs/reference/locks.md", "helper"))


def test_the_page_shows_the_results() -> None:
    assert page.PAGE.read_text() == page.rendered(RESULTS), "render it again: python -m tests.lock_atlas --draw"


def test_each_case_was_traced_on_each_server() -> None:
    assert list(RESULTS.servers) == [*POSTGRESQL, *MYSQL]
    assert not [(name, case) for name in RESULTS.servers for case, one in RESULTS.entries(name).items() if one["error"]]


@pytest.mark.parametrize("row", LOCKS_OF_HELPERS, ids=lambda row: row[0])
def test_the_table_of_locks_on_postgresql(row: list[str]) -> None:
    found = [RESULTS.entries(name)[case] for name in POSTGRESQL for case in cases_of(row[0]) if case in CALLS]
    assert strongest(row[1]) == max((LOCKS.index(lock) for one in found for lock in one["locks"].values()), default=-1)
    if "for the build" not in row[1]:
        assert not WAITS & {one["application"] for one in found}


@pytest.mark.parametrize("row", LOCKS_OF_HELPERS, ids=lambda row: row[0])
def test_the_table_of_locks_on_mysql(row: list[str]) -> None:
    found = [
        (name, case, lock)
        for name in MYSQL
        for case in cases_of(row[0])
        for lock in RESULTS.entries(name).get(case, {}).get("every", ())
    ]
    missing = [
        one for one in found for begins, word in WORDS_OF_MYSQL.items() if is_missing(one[2], begins, word, row[2])
    ]
    assert not missing


def is_missing(lock: str, begins: str, word: str, cell: str) -> bool:
    return lock.startswith(begins) and word not in cell


@pytest.mark.parametrize("row", list(rows("README.md", "to")), ids=lambda row: row[0])
def test_the_table_of_readme(row: list[str]) -> None:
    for server in POSTGRESQL:
        plain = [RESULTS.entries(server)[one] for one in PLAIN[row[0]]]
        assert strongest(row[1]) == max(LOCKS.index(lock) for one in plain for lock in one["locks"].values())
        helpers = [RESULTS.entries(server)[one] for one in HELPERS[row[0]]]
        claimed = row[2].replace("the same", row[1].partition(" for")[0])
        assert strongest(claimed) == max(LOCKS.index(lock) for one in helpers for lock in one["locks"].values())
        words = {one["application"] for one in plain}
        assert ("reads and writes wait" in row[1]) == ("all wait" in words)
        assert ("writes wait" in row[1]) == bool(WAITS & words)
        assert not WAITS & {one["application"] for one in helpers}


def cases_of(names: str) -> list[str]:
    """Return the cases of the helpers that the first cell of a row names."""
    found: list[str] = []
    for helper in re.findall(r"`([^`]*)`", names):
        calls = [name for name, call in CALLS.items() if call.code.removeprefix(ASSURED).startswith(f"{helper}(")]
        found += ARCHIVES.get(helper) or [name for name in calls if name not in {*ASSURED_TO_REWRITE, *ARCHIVED}]
    return found


ARCHIVED = {case for found in ARCHIVES.values() for case in found}


def strongest(claim: str) -> int:
    """Return the place of the strongest lock that a cell names; -1 for none."""
    implied = "; ".join(lock for word, lock in IMPLIED.items() if word in claim)
    return max((LOCKS.index(lock) for lock in locks_in(f"{claim}; {implied}")), default=-1)


def locks_in(text: str) -> list[str]:
    text = re.sub(r"row locks (on all rows|of)", "ROW EXCLUSIVE", text)
    return re.findall("|".join(sorted(LOCKS, key=len, reverse=True)), text)


def test_the_documentation_has_the_page() -> None:
    assert "lock-atlas" in (DOCS / "reference/index.md").read_text()
