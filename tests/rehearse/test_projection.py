"""Times at the size of production: a range from two measurements."""

from __future__ import annotations

import pytest

from safeops.naming import Name
from safeops.rehearse.projection import duration_text, projected, rows_of

MILLION = 1_000_000


def test_what_grows_with_the_rows() -> None:
    found = projected(1.0, 10.0, (MILLION // 10, MILLION, 10 * MILLION))
    assert found.low <= 100 <= found.high
    assert found.low >= 50 and found.high <= 250


def test_what_does_not_grow_stays() -> None:
    found = projected(0.020, 0.021, (1000, 10_000, 10 * MILLION))
    assert found.high < 0.05


def test_a_production_that_is_smaller_than_the_copy() -> None:
    found = projected(1.0, 10.0, (10_000, 100_000, 50_000))
    assert found.low <= 5 <= found.high and found.high < 10


@pytest.mark.parametrize("small, large, rows", [(0, 0, (1, 10, 0)), (5.0, 1.0, (10, 100, 1000)), (1.0, 2.0, (0, 0, 9))])
def test_measurements_that_make_no_sense_give_no_nonsense(
    small: float, large: float, rows: tuple[int, int, int]
) -> None:
    found = projected(small, large, rows)
    assert 0 <= found.low <= found.high


def test_the_largest_table_that_is_known() -> None:
    rows = {Name("users", "public"): 5, Name("orders"): 7}
    assert rows_of(["public.users", "public.orders", "public.unknown"], rows) == ("public.orders", 7)
    assert rows_of(["main"], rows) is None


def test_durations_in_words() -> None:
    texts = [duration_text(seconds) for seconds in (0.0402, 2.12, 35.4, 720, 12_600)]
    assert texts == ["40 ms", "2.1 s", "35 s", "12 min", "3.5 h"]
