"""A review knows the key: few false alarms and few misses, on each rung of the ladder."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from tests.review import keys
from tests.review.scoring import Score, Scorer, reviewed
from tests.servers import PostgreSQL, start
from tests.whole import sample

LEAST = {"offline": (0.95, 0.90), "scratch": (0.98, 0.97), "url": (0.98, 0.97)}
"""Precision and recall that each rung must have, over what it can know."""


@pytest.fixture(scope="module", params=["pg15", "pg18"])
def scorer(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Scorer]:
    server = start(request.param)
    assert isinstance(server, PostgreSQL)
    try:
        yield Scorer(server, tmp_path_factory.mktemp("key"), sample(keys.load(), 5))
    finally:
        server.stop()


@pytest.mark.whole
@pytest.mark.timeout(1800)
@pytest.mark.parametrize("rung", ["offline", "url"])
def test_a_review_knows_the_key(scorer: Scorer, rung: str) -> None:
    _check(scorer, rung)


@pytest.mark.exhaustive
@pytest.mark.timeout(1800)
def test_a_review_on_a_scratch_copy_knows_the_key(scorer: Scorer) -> None:
    """With a trial of each replacement, which takes a second."""
    _check(scorer, "scratch")


def _check(scorer: Scorer, rung: str) -> None:
    result, answer = scorer(rung)
    precision, recall = LEAST[rung]
    assert answer.keys() >= result.revisions
    assert result.precision >= precision, result.false_alarms
    assert result.recall >= recall, result.misses


def test_a_few_of_the_key_without_a_server(tmp_path: Path) -> None:
    """Quick, and of each sort: what blocks, what breaks, what changes rows, what is hidden in Python, and look-alikes."""
    entries = [one for one in keys.load() if one["revision"] in SAMPLE]
    ini = keys.project(tmp_path, [one["file"] for one in entries])
    answer = reviewed(ini, "--server-version", "18")
    found = {one: any(f["verdict"] == "unsafe" for f in answer[one]["findings"]) for one in sorted(SAMPLE)}
    assert found == {one["revision"]: one["unsafe"]["18"] for one in entries}


SAMPLE = {
    *("r001", "r005", "r006", "r011", "r020", "r040", "r050", "r057", "r066", "r083", "r086", "r087", "r092", "r104"),
    *("r106", "r128", "r141", "r145", "r155", "r157", "k005", "k016", "k043", "k070", "k073", "k083", "k116", "k119"),
    *("k120", "k123", "k127", "k128", "k149", "k150", "k162", "k163", "k166", "k181", "k182", "k210", "k219", "k221"),
}


def test_a_score_counts() -> None:
    result = Score("x", frozenset("abc"), frozenset("bcd"), frozenset("abcde"))
    assert (result.precision, result.recall) == (2 / 3, 2 / 3)
    assert (result.false_alarms, result.misses) == (["a"], ["d"])
    assert str(result) == "x: precision 0.667, recall 0.667 over 5, in 0.0 s"
