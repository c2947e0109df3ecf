"""How well `safeops review` knows the key: precision and recall, false alarms and misses.

    python -m tests.review.scoring [--on pg18] [--rungs offline,scratch,url] [--only k]

The whole key is reviewed by one command, each revision on its own: offline, with an empty database to run it on, or with
the filled one to look at.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.review import keys
from tests.servers import PostgreSQL, start

RUNGS = ("offline", "scratch", "url")


@dataclass(frozen=True)
class Score:
    """The answers of a tool about a key.

    Args:
        tool: The tool, or the rung.
        unsafe: What it reports as unsafe.
        expected: What is unsafe.
        revisions: All revisions that it judged.
        seconds: How long it took for all of them.
    """

    tool: str
    unsafe: frozenset[str]
    expected: frozenset[str]
    revisions: frozenset[str]
    seconds: float = 0.0

    @property
    def right(self) -> frozenset[str]:
        return self.unsafe & self.expected

    @property
    def false_alarms(self) -> list[str]:
        return sorted((self.unsafe - self.expected) & self.revisions)

    @property
    def misses(self) -> list[str]:
        return sorted(self.expected - self.unsafe)

    @property
    def precision(self) -> float:
        called = len(self.unsafe & self.revisions)
        return len(self.right) / called if called else 1.0

    @property
    def recall(self) -> float:
        return len(self.right) / len(self.expected) if self.expected else 1.0

    def __str__(self) -> str:
        numbers = f"precision {self.precision:.3f}, recall {self.recall:.3f} over {len(self.revisions)}"
        return f"{self.tool}: {numbers}, in {self.seconds:.1f} s"


def score(
    tool: str, unsafe: frozenset[str], entries: Sequence[Mapping[str, Any]], version: str, seconds: float = 0.0
) -> Score:
    expected = frozenset(entry["revision"] for entry in entries if entry["unsafe"][version])
    return Score(tool, unsafe, expected, frozenset(entry["revision"] for entry in entries), seconds)


KNOWN = {"offline": {"files"}, "scratch": {"files", "schema"}, "url": {"files", "schema", "rows"}}
"""What each rung can know: the files, the existing tables, and their rows."""


def knowable(entries: Sequence[dict[str, Any]], rung: str) -> list[dict[str, Any]]:
    """Those whose truth can be known on a rung."""
    return [entry for entry in entries if entry["known_by"] in KNOWN[rung]]


def reviewed(ini: Path, *options: str) -> dict[str, dict[str, Any]]:
    """What `safeops review --all` prints of each revision."""
    command = [sys.executable, "-W", "ignore", "-m", "safeops", "review", "--all", "--format", "json", *options]
    done = subprocess.run(command, cwd=ini.parent, capture_output=True, text=True, timeout=900)
    if done.returncode not in (0, 1, 2):
        raise AssertionError(f"{' '.join(command)} exits with {done.returncode}: {done.stderr[-3000:]}")
    try:
        answer = json.loads(done.stdout)
    except json.JSONDecodeError as error:
        raise AssertionError(f"{done.stdout[-500:]}\n{done.stderr[-3000:]}") from error
    return {one["revision"]: one for one in answer["revisions"]}


def unsafe_in(answer: Mapping[str, Mapping[str, Any]]) -> frozenset[str]:
    return frozenset(
        revision
        for revision, one in answer.items()
        if any(finding["verdict"] == "unsafe" for finding in one["findings"])
    )


class Scorer:
    """Reviews the key on a server, on each rung."""

    def __init__(self, server: PostgreSQL, folder: Path, entries: Sequence[dict[str, Any]]) -> None:
        self.filled = keys.Filled(server, folder / "base")
        self.version = str(server.version[0])
        self.folder = folder
        self.entries = entries
        self.files = [entry["file"] for entry in entries]

    def __call__(self, rung: str) -> tuple[Score, dict[str, dict[str, Any]]]:
        began = time.monotonic()
        answer = getattr(self, f"_{rung}")()
        seconds = time.monotonic() - began
        entries = knowable(self.entries, rung)
        return score(f"{rung} on {self.version}", unsafe_in(answer), entries, self.version, seconds), answer

    def _offline(self) -> dict[str, dict[str, Any]]:
        return reviewed(keys.project(self.folder, self.files), "--server-version", self.version)

    def _scratch(self) -> dict[str, dict[str, Any]]:
        empty = self.filled.server.new_database()
        return reviewed(keys.project(self.folder, self.files), "--scratch-url", empty.render_as_string())

    def _url(self) -> dict[str, dict[str, Any]]:
        with self.filled.copied() as url:
            return reviewed(
                keys.project(self.folder, self.files, url.render_as_string()), "--url", url.render_as_string()
            )


def main() -> None:
    parser = argparse.ArgumentParser(description="Scores safeops review over the key.")
    parser.add_argument("--on", default="pg15,pg18", help="the servers")
    parser.add_argument("--rungs", default=",".join(RUNGS))
    parser.add_argument("--only", default="", help="only revisions that begin so")
    options = parser.parse_args()
    for name in options.on.split(","):
        server = start(name)
        assert isinstance(server, PostgreSQL)
        try:
            with tempfile.TemporaryDirectory() as folder:
                entries = [entry for entry in keys.load() if entry["revision"].startswith(options.only)]
                scorer = Scorer(server, Path(folder), entries)
                for rung in options.rungs.split(","):
                    tell(*scorer(rung), scorer.entries)
        finally:
            server.stop()


def tell(result: Score, answer: Mapping[str, Mapping[str, Any]], entries: Sequence[Mapping[str, Any]]) -> None:
    by_revision = {entry["revision"]: entry for entry in entries}
    print(f"\n{result}")
    for title, revisions in (("FALSE ALARM", result.false_alarms), ("MISS", result.misses)):
        for revision in revisions:
            entry = by_revision[revision]
            found = answer.get(revision, {"findings": [], "seen": "nothing"})
            print(f"{title} {revision} {entry['name']} ({found['seen']}): {entry['why']}")
            for finding in found["findings"]:
                print(
                    f"    {finding['verdict']} {finding['rule']}: {finding['statement'][:90]} | {finding['why'][:200]}"
                )


if __name__ == "__main__":
    main()
