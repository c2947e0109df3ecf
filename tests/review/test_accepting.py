"""What is accepted: by a comment on the statement, or by a baseline that outlives moved lines."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from safeops.errors import InvalidArgument
from safeops.judging.finding import UNSAFE, Finding
from safeops.review.allowed import Allowed
from safeops.review.baseline import accepted_in, key_of, normalised, write
from safeops.review.reviewed import ReviewedRevision

RULES = ("drop-column", "truncate", "mass-update")
REVISION = '''\
"""Words: # safeops: allow truncate -- not a comment"""
# safeops: allow models -- of a check
def upgrade():
    op.drop_column("a", "b")  # safeops: allow drop-column -- nobody reads b
    # safeops: allow truncate -- a cache
    # of nothing
    op.execute("TRUNCATE a")
    op.execute(
        # safeops: allow mass-update, truncate -- forty rows
        "UPDATE a SET b = 1"
    )
    with op.batch_alter_table("a") as batch:
        batch.add_column(x)
        batch.drop_column("c")  # safeops: allow drop-column -- c too
    for name in names:
        op.drop_column("a", name)
        op.execute("TRUNCATE b")  # safeops: allow truncate -- a cache too

    op.drop_column("a", "d")  # safeops: allow drop-column
    op.drop_column("a", "e")  # safeops: allow dorp-column -- a slip
'''


@pytest.fixture
def allowed(tmp_path: Path) -> Allowed:
    file = tmp_path / "r1.py"
    file.write_text(REVISION)
    return Allowed(str(file))


@pytest.mark.parametrize(
    ("rule", "line", "reason"),
    [
        ("drop-column", 4, "nobody reads b"),
        ("truncate", 4, None),
        ("truncate", 7, "a cache"),
        ("mass-update", 8, "forty rows"),
        ("truncate", 10, "forty rows"),
        ("drop-column", 12, "c too"),
        ("drop-column", 13, None),
        ("truncate", 15, None),
        ("drop-column", 16, None),
        ("drop-column", 19, None),
        ("drop-column", 20, None),
        ("truncate", 1, None),
        ("truncate", 99, None),
    ],
)
def test_a_comment_accepts_what_is_found_in_its_statement(
    allowed: Allowed, rule: str, line: int, reason: str | None
) -> None:
    assert allowed.reason_for(rule, line) == reason


def test_an_unused_comment_is_reported(allowed: Allowed) -> None:
    for rule, line in (("drop-column", 4), ("truncate", 7), ("mass-update", 8), ("drop-column", 12)):
        allowed.reason_for(rule, line)
    notes = {(note.place and note.place.line, note.rule): note.why for note in allowed.notes(RULES, complete=True)}
    assert set(notes) == {
        *((9, "unused-allow"), (17, "unused-allow")),
        *((19, "allow-without-reason"), (20, "unknown-allow")),
    }
    assert "drop-column" in notes[20, "unknown-allow"]
    rest = {note.rule for note in allowed.notes(RULES, complete=False)}
    assert rest == {"allow-without-reason", "unknown-allow"}


def test_a_comment_that_the_tests_of_revisions_read_may_be_for_them(tmp_path: Path) -> None:
    """A review accepts a helper that drops a column, but the old release may use it."""
    file = tmp_path / "r1.py"
    file.write_text("""
# safeops: allow lossy-downgrade -- counters
# safeops: allow truncate -- a cache
drop_column_if_exists("a", "b")  # safeops: allow drop-column -- the release is stopped
""")
    assert [
        note.place and note.place.line for note in Allowed(str(file)).notes((*RULES, "lossy-downgrade"), complete=True)
    ] == [3]


def test_a_file_that_python_cannot_read_accepts_what_it_can(tmp_path: Path) -> None:
    file = tmp_path / "r1.py"
    file.write_text("op.drop_column()  # safeops: allow drop-column -- why\ndef (:\n")
    assert Allowed(str(file)).reason_for("drop-column", 1) == "why"
    assert Allowed(str(tmp_path / "gone.py")).reason_for("drop-column", 1) is None


# A baseline -----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("UPDATE a SET b = 1", "update_ -- no\n"),
        ("UPDATE a\n  SET b = 'x''y'", "UPDATE a SET b = %(b)s"),
        ("DELETE FROM a WHERE id IN (1, 2, 3)", "DELETE FROM a WHERE id IN (%s, %s)"),
        ("INSERT INTO a VALUES (1, 'x'), (2, 'y')", "INSERT INTO a VALUES (:id, :name);"),
        ("SELECT '/* no comment */' /* a comment */", "SELECT $1"),
    ],
)
def test_values_and_layout_make_no_difference(one: str, other: str) -> None:
    assert (normalised(one) == normalised(other)) is (other != "update_ -- no\n")


def test_names_do() -> None:
    assert normalised("DROP TABLE log_2026") != normalised("DROP TABLE log_2027")
    assert normalised('DROP TABLE "1"') != normalised('DROP TABLE "2"')
    assert normalised("SELECT a::int") == "SELECT a :: int"


def test_a_baseline_accepts_what_is_found_and_leaves_other_sections(tmp_path: Path) -> None:
    file = tmp_path / "baseline.json"
    file.write_text('{"version": 1, "findings": ["downgrade:r1"]}')
    assert accepted_in(file, "review") == frozenset()
    found = Finding("truncate", UNSAFE, "", statement="TRUNCATE a")
    revision = ReviewedRevision("r1", "r1.py", findings=(found, found, Finding("brief-lock", "brief", "")))
    write(file, [revision])
    said = json.loads(file.read_text())
    assert said["findings"] == ["downgrade:r1"]
    assert said["review"] == [{"revision": "r1", "rule": "truncate", "statement": "TRUNCATE a"}]
    assert accepted_in(file, "review") == {key_of("r1", found)}
    write(file, [])
    assert json.loads(file.read_text()) == {"version": 1, "findings": ["downgrade:r1"], "review": []}


@pytest.mark.parametrize("text", [None, "[]", "{}", "no JSON", '{"version": 2}', '{"version": 1, "review": [1]}'])
def test_a_file_that_is_not_a_baseline_is_reported(tmp_path: Path, text: str | None) -> None:
    file = tmp_path / "baseline.json"
    if text is not None:
        file.write_text(text)
    with pytest.raises(InvalidArgument, match=r"baseline\.json") as raised:
        accepted_in(file, "review")
    assert f"safeops review --baseline {file} --write-baseline" in str(raised.value)
