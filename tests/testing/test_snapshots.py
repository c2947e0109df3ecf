"""How two states differ, in the words of the tests' messages."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timezone
from typing import Any

import pytest

from safeops.naming import Name
from safeops.testing.snapshots import State, row_differences, varying

USERS = Name("users")


def state(*rows: dict[str, Any], key: tuple[str, ...] = ("id",)) -> State:
    return State({}, {USERS: list(rows)}, {USERS: key})


ADA, BOB = {"id": 1, "name": "Ada"}, {"id": 2, "name": None}


def test_rows_are_compared_by_their_key() -> None:
    assert row_differences(state(ADA, BOB), state(ADA, BOB)) == []
    assert row_differences(state(ADA, BOB), state(BOB)) == ["users: 1 row missing (id 1)"]
    assert row_differences(state(BOB), state(ADA, BOB)) == ["users: 1 row added (id 1)"]
    changed = row_differences(state(ADA), state({"id": 1, "name": "Eve"}))
    assert changed == ["users.name was 'Ada', and is 'Eve' in the row with id 1"]


def test_a_null_that_is_filled_is_a_difference_unless_values_alone_count() -> None:
    filled = state({"id": 2, "name": "Bob"})
    assert row_differences(state(BOB), filled) == ["users.name was NULL, and is 'Bob' in the row with id 2"]
    assert row_differences(state(BOB), filled, nulls_kept=False) == []
    assert row_differences(filled, state(BOB), nulls_kept=False) == [
        "users.name was 'Bob', and is NULL in the row with id 2"
    ]


def test_rows_without_a_key_are_compared_as_a_whole() -> None:
    found = row_differences(state(ADA, ADA, key=()), state(ADA, BOB, key=()))
    assert found == [
        "users: 1 row missing or changed, such as (id 1, name 'Ada')",
        "users: 1 row added or changed, such as (id 2, name None)",
    ]


def test_columns_that_differ_from_run_to_run_are_left_out() -> None:
    one, other = state({"id": 1, "token": "a", "n": 1}), state({"id": 1, "token": "b", "n": 1})
    assert varying(one, other) == {(USERS, "token")}
    assert row_differences(one, other, ignoring=varying(one, other)) == []


@pytest.mark.parametrize(
    "now",
    [
        # When the test runs, which may be long after it was collected.
        lambda: datetime.now(timezone.utc),
        datetime.now,
        lambda: datetime.now().isoformat(" "),
        lambda: int(time.time()),
        lambda: time.time() * 1000,
    ],
    ids=["aware", "naive", "text", "seconds", "milliseconds"],
)
def test_a_value_that_shows_the_present_time_varies_though_two_runs_had_the_same(now: Callable[[], object]) -> None:
    row = {"id": 1, "at": now()}
    assert varying(state(row), state(row)) == {(USERS, "at")}


def test_other_times_and_numbers_do_not_vary() -> None:
    row = {"id": 1, "at": datetime(2020, 1, 1), "text": "2020-01-01 00:00:00", "number": 1_500_000_000, "flag": True}
    assert varying(state(row), state(row)) == set()
