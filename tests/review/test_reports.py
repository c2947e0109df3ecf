"""The formats of a review: what programs and people read of the same findings."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest

from safeops.judging.finding import BRIEF, NOTE, UNSAFE, Finding
from safeops.judging.sent import Place
from safeops.review.reports import FORMATS
from safeops.review.reviewed import Accepted, Reviewed, ReviewedRevision

KEYS = {
    *("rule", "verdict", "line", "statement", "table", "lock", "work", "blocks", "seconds", "why"),
    *("replacement", "replacement_downgrade"),
}


@pytest.fixture
def file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    (tmp_path / ".git").mkdir()
    (tmp_path / "app/versions").mkdir(parents=True)
    monkeypatch.chdir(tmp_path / "app")
    return str(tmp_path / "app/versions/one, two.py")


def index(file: str, line: int = 14) -> Finding:
    return Finding(
        "index-blocks-writes",
        UNSAFE,
        "100 % of the writers wait | for the build",
        Place(file, line),
        "CREATE INDEX ix_users_email ON users (email)",
        "public.users",
        "SHARE",
        "build",
        "writes",
        20_000_000,
        30.0,
        "stats.json",
        'create_index_if_missing("ix_users_email", "users", ["email"])',
        'drop_index_if_exists("ix_users_email", "users")',
    )


def reviewed(file: str) -> Reviewed:
    brief = Finding("brief-lock", BRIEF, "It is short", Place(file, 9), "ALTER TABLE users ADD x int", "public.users")
    note = Finding("missing-downgrade", NOTE, "There is no downgrade()")
    assured = Finding("drop-column", UNSAFE, "It is gone", Place(file, 20), "ALTER TABLE users DROP x", "public.users")
    first = ReviewedRevision(
        "r1", file, "an index", "scratch", (brief, index(file)), (note,), (Accepted(assured, "comment", "unused"),)
    )
    return Reviewed((first, ReviewedRevision("r2", file, "nothing")), "PostgreSQL 18")


def test_json_has_the_keys_that_are_promised(file: str) -> None:
    said = reviewed(file).as_json()
    first, second = said["revisions"]
    assert json.loads(json.dumps(said)) == said
    assert (first["revision"], first["file"], first["seen"]) == ("r1", "versions/one, two.py", "scratch")
    assert all(set(finding) >= KEYS for finding in first["findings"])
    assert [finding["verdict"] for finding in first["findings"]] == ["brief", "unsafe"]
    assert [note["rule"] for note in first["notes"]] == ["missing-downgrade"]
    assert first["accepted"][0]["reason"] == "unused"
    assert second["findings"] == []


@pytest.mark.parametrize(
    ("findings", "status"),
    [
        ([], 0),
        ([("brief-lock", BRIEF), ("json-type", NOTE)], 0),
        ([("unseen", UNSAFE)], 2),
        ([("unseen", UNSAFE), ("truncate", UNSAFE)], 1),
    ],
)
def test_the_exit_status_shows_the_worst(findings: list[tuple[str, str]], status: int) -> None:
    found = tuple(Finding(rule, verdict, "") for rule, verdict in findings)
    assert Reviewed((ReviewedRevision("r1", "r1.py", findings=found),)).exit_status == status


def test_the_summary_counts(file: str) -> None:
    assert reviewed(file).summary() == "2 revisions: 1 unsafe, 1 brief, 1 note, 1 accepted"
    assert Reviewed((ReviewedRevision("r1", file),)).summary() == "1 revision: all well"


def test_github_gets_a_command_for_each_finding(file: str) -> None:
    brief, unsafe, note, summary = FORMATS["github"](reviewed(file)).splitlines()
    place = "file=app/versions/one%2C two.py"
    assert unsafe.startswith(f"::error {place},line=14,title=unsafe%3A index-blocks-writes::100 %25 of the writers")
    assert "%0A    create_index_if_missing(" in unsafe
    assert brief.startswith(f"::notice {place},line=9,")
    assert note.startswith(f"::notice {place},line=1,title=note%3A missing-downgrade")
    assert summary.startswith("2 revisions")


def test_gitlab_gets_stable_and_unique_fingerprints(file: str) -> None:
    issues = json.loads(FORMATS["gitlab"](reviewed(file)))
    assert [issue["severity"] for issue in issues] == ["minor", "critical", "info"]
    for issue in issues:
        assert set(issue) == {"description", "check_name", "fingerprint", "severity", "location"}
        assert issue["location"]["path"] == "app/versions/one, two.py" and issue["location"]["lines"]["begin"] >= 1
    twice = Reviewed((ReviewedRevision("r1", file, findings=(index(file, 3), index(file, 40))),))
    prints = [issue["fingerprint"] for issue in json.loads(FORMATS["gitlab"](twice))]
    assert len(set(prints)) == 2
    assert prints[0] == issues[1]["fingerprint"]


def test_sarif_has_the_structure_of_its_standard(file: str) -> None:
    said = json.loads(FORMATS["sarif"](reviewed(file)))
    assert said["version"] == "2.1.0"
    (run,) = said["runs"]
    rules = [rule["id"] for rule in run["tool"]["driver"]["rules"]]
    assert len(set(rules)) == len(rules) == 4
    for result in run["results"]:
        assert rules[result["ruleIndex"]] == result["ruleId"]
        assert result["level"] in ("error", "warning", "note")
        assert result["message"]["text"]
        (location,) = result["locations"]
        uri = location["physicalLocation"]["artifactLocation"]["uri"]
        assert re.fullmatch(r"app/versions/one,%20two\.py", uri)
        assert location["physicalLocation"]["region"]["startLine"] >= 1
    assert [result.get("suppressions") for result in run["results"]] == [
        *(None, None, None),
        [{"kind": "inSource", "justification": "unused"}],
    ]


def test_markdown_is_a_table_and_the_code_to_write(file: str) -> None:
    lines = FORMATS["markdown"](reviewed(file)).splitlines()
    rows = [line for line in lines if line.startswith("|")]
    assert all(len(re.findall(r"(?<!\\)\|", row)) == 7 for row in rows)
    assert any("**unsafe**" in row and "writers wait \\| for" in row and "about 30.0 s for" in row for row in rows)
    assert lines.count("```python") == 2 and lines.count("```") == 2
