"""The batch size: how many rows the next batch has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeops.backfilling.batch_size import FAR_TOO_LONG, FIRST, GROWTH, LARGEST, BatchSize

TARGET = 0.1


def sizes(size, *seconds):
    """The sizes that it chooses if each batch is of that size and takes so many seconds."""
    chosen = []
    for one in seconds:
        size.adapt(size.rows, one)
        chosen.append(size.rows)
    return chosen


def test_it_begins_with_few_rows():
    assert BatchSize(TARGET).rows == FIRST
    assert BatchSize(TARGET, largest=10).rows == 10


def test_it_grows_by_at_most_a_factor():
    assert sizes(BatchSize(TARGET), 0.0, 0.0001, 0.0) == [FIRST * GROWTH, FIRST * GROWTH**2, FIRST * GROWTH**3]


def test_it_has_an_upper_end():
    assert sizes(BatchSize(TARGET), *[0.0] * 30)[-1] == LARGEST
    assert sizes(BatchSize(TARGET, largest=700), 0.0) == [700]


@pytest.mark.parametrize("rate", [500, 3_000, 80_000])
def test_it_comes_to_rest_below_the_target(rate):
    size = BatchSize(TARGET)
    for _ in range(40):
        size.adapt(size.rows, size.rows / rate)
    assert 0.7 * TARGET <= size.rows / rate <= TARGET


def test_a_batch_that_took_far_too_long_counts_alone():
    size = BatchSize(TARGET)
    sizes(size, *[0.01] * 10)
    before = size.rows
    size.adapt(before, FAR_TOO_LONG * TARGET * 10)
    assert size.rows <= before / (FAR_TOO_LONG * 10)


def test_a_batch_that_took_a_little_too_long_counts_with_those_before():
    size = BatchSize(TARGET)
    sizes(size, *[0.08] * 10)
    before = size.rows
    size.adapt(before, 2 * TARGET)
    assert before / 2 < size.rows < before


def test_a_failure_halves_it_and_success_restores_it():
    size = BatchSize(TARGET)
    sizes(size, *[0.08] * 10)
    before = size.rows
    size.halve()
    assert size.rows == before // 2
    size.adapt(size.rows, size.rows / before * 0.08)
    assert size.rows > before // 2


def test_it_never_falls_below_one_row():
    size = BatchSize(TARGET)
    for _ in range(20):
        size.halve()
    assert size.rows == 1
    assert sizes(size, 1000.0, 1000.0) == [1, 1]


def test_a_fixed_size_does_not_depend_on_the_time_of_a_batch():
    assert sizes(BatchSize(TARGET, fixed=7), 0.0, 100.0, 0.05) == [7, 7, 7]


def test_a_fixed_size_comes_back_after_a_failure():
    size = BatchSize(TARGET, fixed=8)
    size.halve()
    size.halve()
    assert size.rows == 2
    assert sizes(size, 0.0, 0.0, 0.0) == [4, 8, 8]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000)), max_size=60), st.none() | st.integers(1, 9000))
def test_every_size_is_a_number_of_rows_within_bounds(course, fixed):
    size = BatchSize(TARGET, fixed=fixed)
    for failed, seconds in course:
        before = size.rows
        if failed:
            size.halve()
        else:
            size.adapt(before, seconds)
        assert isinstance(size.rows, int)
        assert 1 <= size.rows <= min(fixed or LARGEST, max(before * GROWTH, 1))


def test_a_slow_network_does_not_make_batches_ever_smaller():
    size = BatchSize(TARGET)
    for _ in range(50):
        size.adapt(size.rows, 3 * TARGET + size.rows / 20_000, 3 * TARGET)
    assert 0.7 * TARGET <= size.rows / 20_000 <= TARGET
    size.adapt(size.rows, TARGET, 1000.0)
    assert size.rows < 2 * 0.8 * TARGET * 20_000
