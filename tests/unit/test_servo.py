"""The servo: how many rows the next batch has."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from safeops.backfilling.load import FAR_TOO_LONG, FIRST, GROWTH, LARGEST, Servo

TARGET = 0.1


def sizes(servo, *seconds):
    """The sizes that it chooses, where each batch was as large as it said and took so many seconds."""
    chosen = []
    for one in seconds:
        servo.after(servo.size, one)
        chosen.append(servo.size)
    return chosen


def test_it_begins_with_few_rows():
    assert Servo(TARGET).size == FIRST
    assert Servo(TARGET, largest=10).size == 10


def test_it_grows_by_no_more_than_a_factor():
    assert sizes(Servo(TARGET), 0.0, 0.0001, 0.0) == [FIRST * GROWTH, FIRST * GROWTH**2, FIRST * GROWTH**3]


def test_it_has_an_upper_end():
    assert sizes(Servo(TARGET), *[0.0] * 30)[-1] == LARGEST
    assert sizes(Servo(TARGET, largest=700), 0.0) == [700]


@pytest.mark.parametrize("rate", [500, 3_000, 80_000])
def test_it_comes_to_rest_below_the_target(rate):
    servo = Servo(TARGET)
    for _ in range(40):
        servo.after(servo.size, servo.size / rate)
    assert 0.7 * TARGET <= servo.size / rate <= TARGET


def test_a_batch_that_took_far_too_long_counts_alone():
    servo = Servo(TARGET)
    sizes(servo, *[0.01] * 10)
    before = servo.size
    servo.after(before, FAR_TOO_LONG * TARGET * 10)
    assert servo.size <= before / (FAR_TOO_LONG * 10)


def test_a_batch_that_took_a_little_too_long_counts_with_those_before():
    servo = Servo(TARGET)
    sizes(servo, *[0.08] * 10)
    before = servo.size
    servo.after(before, 2 * TARGET)
    assert before / 2 < servo.size < before


def test_a_failure_halves_it_and_success_brings_it_back():
    servo = Servo(TARGET)
    sizes(servo, *[0.08] * 10)
    before = servo.size
    servo.after_failure()
    assert servo.size == before // 2
    servo.after(servo.size, servo.size / before * 0.08)
    assert servo.size > before // 2


def test_it_never_falls_below_one_row():
    servo = Servo(TARGET)
    for _ in range(20):
        servo.after_failure()
    assert servo.size == 1
    assert sizes(servo, 1000.0, 1000.0) == [1, 1]


def test_a_fixed_size_stays_whatever_a_batch_takes():
    assert sizes(Servo(TARGET, fixed=7), 0.0, 100.0, 0.05) == [7, 7, 7]


def test_a_fixed_size_comes_back_after_a_failure():
    servo = Servo(TARGET, fixed=8)
    servo.after_failure()
    servo.after_failure()
    assert servo.size == 2
    assert sizes(servo, 0.0, 0.0, 0.0) == [4, 8, 8]


@given(st.lists(st.tuples(st.booleans(), st.floats(0, 1000)), max_size=60), st.none() | st.integers(1, 9000))
def test_every_size_is_a_number_of_rows_within_bounds(course, fixed):
    servo = Servo(TARGET, fixed=fixed)
    for failed, seconds in course:
        before = servo.size
        if failed:
            servo.after_failure()
        else:
            servo.after(before, seconds)
        assert isinstance(servo.size, int)
        assert 1 <= servo.size <= min(fixed or LARGEST, max(before * GROWTH, 1))
