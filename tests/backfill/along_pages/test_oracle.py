"""See ``tests.backfill.test_oracle``: of the backfills that fill, since the others go along a key."""

from tests.backfill.test_oracle import (  # noqa: F401
    chance,
    hurried,
    make,
    pytestmark,
    test_a_runner_that_was_taken_for_dead_wakes_up,
    test_rows_are_filled_and_what_the_application_wrote_is_kept,
    test_the_server_is_killed,
    test_two_runners_at_once_one_of_which_is_killed,
    told,
)
