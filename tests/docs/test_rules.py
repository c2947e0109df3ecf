"""Each rule has a page that is up to date; it finds its bad lines, and no rule is unsafe for its good lines."""

from __future__ import annotations

from pathlib import Path

import pytest

import safeops
from safeops.databases import database_for
from safeops.judging.finding import UNSAFE, Finding
from safeops.judging.judge import Judge
from safeops.judging.rules import RULES, Rule
from safeops.judging.server import Session
from safeops.review.offline import environment_of
from safeops.review.replay import Replay
from tests.docs.rule_pages import FOLDER, pages
from tests.docs.running import execute
from tests.docs.scene import ROWS, set_the_scene
from tests.projects import migrate
from tests.review.recorded import project
from tests.servers import Database

PAGES = pages()
TABLES = """
op.create_table("users", sa.Column("id", sa.Integer, primary_key=True), sa.Column("name", sa.String(100), nullable=False),
    sa.Column("email", sa.String(300), nullable=False), sa.Column("status", sa.String(20), nullable=False),
    sa.Column("age", sa.Integer), sa.Column("legacy_code", sa.String(20)))
op.create_table("orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("user_id", sa.Integer),
    sa.Column("total", sa.Integer, nullable=False), sa.Column("kind", sa.String(20), nullable=False))
op.create_table("old_orders", sa.Column("id", sa.Integer, primary_key=True), sa.Column("total", sa.Integer))
op.execute("CREATE TYPE order_status AS ENUM ('open', 'paid')")
op.execute("CREATE TABLE log (at date NOT NULL, msg text) PARTITION BY RANGE (at)")
op.execute("CREATE TABLE log_2027 (at date, msg text)")
"""
LOG = (
    "CREATE TABLE log (at date NOT NULL, msg text) PARTITION BY RANGE (at)",
    "CREATE TABLE log_2027 (at date NOT NULL, msg text)",
)
WITH_BAD = [rule for rule in RULES.values() if rule.bad]
WITH_GOOD = [rule for rule in RULES.values() if rule.good]


@pytest.mark.parametrize("name", PAGES)
def test_the_page_is_up_to_date(name: str) -> None:
    assert (FOLDER / name).read_text() == PAGES[name], "write the pages again: python -m tests.docs.rule_pages"


def test_no_page_is_left_over() -> None:
    assert {path.name for path in FOLDER.glob("*.md")} == {*PAGES}


@pytest.mark.parametrize("name", RULES)
def test_code_yields_findings_of_each_rule(name: str) -> None:
    """A rule that only its page names would never be found."""
    judging = Path(safeops.__file__).parent / "judging"
    files = [*judging.rglob("*.py"), *(judging.parent / "review").rglob("*.py")]
    assert any(f'"{name}"' in file.read_text() for file in files if file.parent.name != "rules")


@pytest.mark.parametrize("rule", WITH_BAD, ids=lambda rule: rule.name)
def test_the_bad_lines_are_caught(rule: Rule, tmp_path: Path) -> None:
    found = findings(rule.bad, tmp_path)
    assert rule.name in {finding.rule for finding in found}
    assert {finding.verdict for finding in found if finding.rule == rule.name} == {rule.verdict}


@pytest.mark.parametrize("rule", WITH_GOOD, ids=lambda rule: rule.name)
def test_the_good_lines_are_not(rule: Rule, tmp_path: Path) -> None:
    if "assured" in rule.good:
        pytest.skip("a judge still finds what is assured; the review accepts it")
    found = findings(rule.good, tmp_path)
    assert rule.name not in {finding.rule for finding in found}
    assert not [finding for finding in found if finding.verdict == UNSAFE]


IMPORTS = "from safeops import *"


def findings(body: str, folder: Path) -> list[Finding]:
    """The findings of a review of the body of an upgrade, without a database."""
    config = project(folder, TABLES, body, head=IMPORTS)
    environment = environment_of(config)
    scripts = [script for script in environment.script.walk_revisions() if script.revision == "r1"]
    ((_, schema, recording),) = Replay(environment, scripts)
    judge = Judge(database_for(environment.dialect, None), schema, Session("psycopg"))
    return [*(one for event in recording.events for one in judge.judge(event)), *judge.end_revision()]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("rule", WITH_GOOD, ids=lambda rule: rule.name)
def test_the_good_lines_run(rule: Rule, database: Database) -> None:
    set_the_scene(database)
    database.execute(*LOG, f"INSERT INTO log_2027 SELECT date '2027-01-01' + i FROM generate_series(1, {ROWS}) i")
    migrate(database, lambda: execute(rule.good))
    if rule.undo:
        names = rule.good.splitlines()[0] if " = " in rule.good.splitlines()[0] else ""
        migrate(database, lambda: execute(f"{names}\n{rule.undo}"), down=True)
