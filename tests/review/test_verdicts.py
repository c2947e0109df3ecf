"""What an empty copy has shown is joined with what happens only if there are rows."""

from safeops.judging.finding import BRIEF, NOTE, UNSAFE, Finding
from safeops.judging.sent import Recording, Sent
from safeops.review.verdicts import with_rows

LOOP, ALTER, READ = "UPDATE t SET a = 1 WHERE id IN (SELECT id FROM t LIMIT 500)", "ALTER TABLE t ADD b int", "SELECT 1"


def finding(rule: str, verdict: str, sql: str) -> Finding:
    return Finding(rule, verdict, "why", statement=sql, sent=Sent(sql))


def test_what_counts_of_a_rung_with_rows() -> None:
    """A loop until no rows are left runs once on an empty copy; what that was never sent counts too."""
    measured = Recording("r1", "r1.py", "scratch", (Sent(LOOP), Sent(ALTER)))
    exact = [finding("brief-lock", BRIEF, ALTER)]
    mass = finding("mass-update", UNSAFE, LOOP)
    elsewhere = finding("drop-table", UNSAFE, "DROP TABLE u")
    wide = [mass, finding("table-rewrites", UNSAFE, ALTER), finding("json-type", NOTE, READ), elsewhere]
    assert with_rows(measured, exact, wide) == [*exact, mass, elsewhere]
    told = [finding("mass-update", UNSAFE, LOOP)]
    assert with_rows(measured, told, wide) == [*told, elsewhere]
