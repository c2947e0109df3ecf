"""Revisions of real projects are reviewed without a database, on each kind: none ends the review, each is reported."""

from __future__ import annotations

import json
import textwrap
from pathlib import Path

import pytest
from tests.authoring.commands import python
from tests.authoring.test_real_projects import PROJECTS, STAND_INS, Real, extract
from tests.review.recorded import ENV

pytestmark = pytest.mark.whole
URLS = {
    "postgresql": "postgresql+psycopg://nobody@127.0.0.1:1/app",
    "mysql": "mysql+pymysql://nobody@127.0.0.1:1/app",
    "sqlite": "sqlite:////nowhere/app.db",
}
REVIEW = """
import json, sys
from alembic.config import Config
from alembic.script import ScriptDirectory
from safeops.review import review

config = Config()
config.set_main_option("script_location", sys.argv[1])
config.set_main_option("sqlalchemy.url", sys.argv[2])
found = review(config, all_revisions=True).as_json()
count = len(list(ScriptDirectory.from_config(config).walk_revisions()))
print(json.dumps({"count": count, **found}, default=str))
"""
SEEN = {"optuna": 1.0, "dagster": 0.9, "mlflow": 0.6}
"""The share of revisions that are seen without the application, from which some read their tables."""


@pytest.mark.parametrize(
    "kind", ["postgresql", *(pytest.param(kind, marks=pytest.mark.exhaustive) for kind in ("mysql", "sqlite"))]
)
@pytest.mark.parametrize("real", PROJECTS, ids=str)
def test_no_revision_ends_the_review(real: Real, kind: str, tmp_path: Path) -> None:
    (tmp_path / "stand_ins").mkdir()
    (tmp_path / "stand_ins" / "sitecustomize.py").write_text(textwrap.dedent(STAND_INS))
    root = extract(real, tmp_path / "project")
    (root / real.directory / "env.py").write_text(ENV)
    stand_ins = str(tmp_path / "stand_ins")
    output = python(root, "-W", "ignore", "-c", REVIEW, str(root / real.directory), URLS[kind], PYTHONPATH=stand_ins)
    found = json.loads(next(line for line in output.splitlines() if line.startswith('{"count"')))
    revisions = found["revisions"]
    assert len(revisions) == found["count"] > 5
    assert "defect of safeops" not in output
    seen = [one for one in revisions if one["seen"] == "offline"]
    assert len(seen) >= SEEN[real.release.partition("==")[0]] * len(revisions)
