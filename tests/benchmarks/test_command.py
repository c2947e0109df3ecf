"""The command of the benchmarks runs, on tables so small that its times mean nothing."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import pytest

from tests.benchmarks import __main__ as benchmarks
from tests.benchmarks import builds, shape
from tests.benchmarks.backfill import PARTS
from tests.benchmarks.results import IDLE, Results
from tests.servers import ROOT

pytestmark = pytest.mark.skipif(not (ROOT / ".git").exists(), reason="a source archive has no history of git")
SHOWN = ("single", "serial")


@pytest.fixture
def results(tmp_path: Path) -> Path:
    return tmp_path / "results.json"


@pytest.mark.parametrize("name", ["backfill", "writer"])
def test_a_part_is_measured_with_an_earlier_build(name: str, results: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (part,) = (one for one in PARTS if one.name == name)
    small = dataclasses.replace(part, quick=500, variants={key: part.variants[key] for key in SHOWN})
    monkeypatch.setattr(shape, "parts", lambda: [("backfill", small)])
    monkeypatch.setattr(benchmarks, "parts", shape.parts)
    earlier = builds.short("HEAD")
    benchmarks.main(["--quick", "--repeat", "1", "--servers", "pg18", "--against", earlier, "--json", str(results)])
    found = Results.read(results).of(name, "PostgreSQL 18")
    measured = {(one.variant, one.build) for one in found}
    idle = {(IDLE, "")} if part.writer else set()
    assert measured == {("single", ""), ("serial", ""), ("serial", earlier), *idle}
    assert all(len(one.seconds) == 1 and bool(one.longest) == bool(part.writer) for one in found)


def test_an_earlier_commit_must_be_in_the_history(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        benchmarks.main(["--against", "0000000"])
    assert "0000000 is not in the history" in capsys.readouterr().err
