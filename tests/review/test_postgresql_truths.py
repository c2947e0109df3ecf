"""Each truth about PostgreSQL is what real servers do: locks, scans, builds and rewrites, by version."""

from __future__ import annotations

import pytest
import sqlalchemy as sa
from tests.review.measure_postgresql import Seen, differences, measured, prepared, told, wanted
from tests.review.postgresql_examples import EXAMPLES, Example
from tests.servers import Database

from safeops.judging.postgresql.truths import SERVERS, TRUTHS
from safeops.judging.traits import FOUND, SHOWN
from safeops.judging.truths import Truth


@pytest.mark.only(*(f"pg{version}" for version in SERVERS))
@pytest.mark.by_default("pg18")
def test_each_truth_is_what_the_server_does(database: Database) -> None:
    version = database.version[0]
    prepared(database)
    examples = [one for one in EXAMPLES if one.since <= version < one.below]
    seen: list[Truth] = []
    wrong = {}
    for example in examples:
        truths, found = _looked_at(database, example)
        seen += truths
        if found:
            wrong[f"{example.before} {example.sql}"] = found
    assert wrong == {}
    unmeasured = [truth for truth in TRUTHS if str(version) in truth.measured and truth not in seen]
    assert unmeasured == []


def _looked_at(database: Database, example: Example) -> tuple[list[Truth], list[str]]:
    """Return the truths about an example, and the mistakes in them."""
    with database.engine().connect() as connection:
        for statement in filter(None, example.before.split(";")):
            connection.execute(sa.text(statement))
        said = told(connection, database.version[0], example)
        if not example.waits_for:
            return said.truths, differences(measured(connection, example.sql), said)
    seen = Seen(wanted(database, example.sql, example.waits_for), {})
    return said.truths, differences(seen, said)


def test_each_trait_of_a_truth_is_explained() -> None:
    words = {word for truth in TRUTHS for word in truth.when | truth.unless}
    assert words - SHOWN.keys() - FOUND.keys() == set()


def test_each_truth_was_measured_or_names_its_source() -> None:
    assert [truth for truth in TRUTHS if not truth.measured and not truth.source] == []
