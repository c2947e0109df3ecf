"""The parts of an error, as a message and as data."""

from __future__ import annotations

import pickle

import pytest

from safeops.errors import NOTHING_CHANGED, LockNotAcquired, SafeOpsError, error_as_json
from safeops.planned import could_not

LOCK = LockNotAcquired(
    "Could not add column t.a: the lock was not granted within 2.0 s (1 attempt of at most 2 s).\nHeld by:\n  - pid 7",
    why="Each attempt is short.",
    remedy="End those sessions, or allow more time:",
    code="with settings(retry_budget=600):\n    ...",
)
MESSAGE = """\
Could not add column t.a: the lock was not granted within 2.0 s (1 attempt of at most 2 s).
Held by:
  - pid 7
Each attempt is short.
End those sessions, or allow more time:
    with settings(retry_budget=600):
        ...
Nothing was changed; running again is safe.  [S401]"""


def test_a_message_has_each_part_once_and_ends_with_the_code() -> None:
    assert str(LOCK) == MESSAGE
    assert str(pickle.loads(pickle.dumps(LOCK))) == MESSAGE
    assert str(SafeOpsError("It failed.", state="See above.")) == "It failed.\nSee above.  [S000]"


def test_an_error_as_data() -> None:
    assert error_as_json(LOCK) == LOCK.as_json()
    assert LOCK.as_json() == {
        "code": "S401",
        "number": "S401",
        "problem": LOCK.problem,
        "why": "Each attempt is short.",
        "remedy": "End those sessions, or allow more time:",
        "code_block": "with settings(retry_budget=600):\n    ...",
        "state": NOTHING_CHANGED,
        "message": MESSAGE,
    }


def test_an_error_of_another_library_as_data() -> None:
    assert set(error_as_json(ValueError("wrong"))) == set(LOCK.as_json())
    assert error_as_json(ValueError("wrong"))["message"] == "wrong"
    assert error_as_json(KeyboardInterrupt())["message"] == "KeyboardInterrupt"
    assert error_as_json(ValueError("wrong"))["code"] is None


@pytest.mark.parametrize(
    ("done", "failed"),
    [
        ("added column t.a", "Could not add column t.a"),
        ("built index i on t", "Could not build index i on t"),
        ("ran ALTER TABLE t ADD a int", "Could not run ALTER TABLE t ADD a int"),
        ("new rows of t have a value", "Could not complete this step: new rows of t have a value"),
    ],
)
def test_a_failed_step_is_named_in_the_infinitive(done: str, failed: str) -> None:
    assert could_not(done) == failed


def test_the_state_lists_what_is_kept_and_how_to_continue() -> None:
    error = SafeOpsError("It failed.")
    error.after(["added column t.a"], ["created table n"])
    assert error.state == (
        "Completed and kept: added column t.a. Completed earlier in this revision and kept: created table n."
        " Running again continues from there."
    )
    error.set_work([f"made {number}" for number in range(10)], ["index i"])
    assert "made 9; and 2 earlier changes." in error.state
    assert "Could not be removed, because the same sessions block it: index i." in error.state
