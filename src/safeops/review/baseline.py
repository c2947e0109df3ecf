"""Accepted findings by revision, rule and statement, which do not change when lines move."""

from __future__ import annotations

import hashlib
import re
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from safeops.databases import sqltext
from safeops.judging.finding import UNSAFE, Finding
from safeops.review.reviewed import ReviewedRevision
from safeops.runner.baselines import read_baseline, save_baseline

SECTION = "review"
Key = tuple[str, str, str]
_PLACEHOLDER = re.compile(r"%\(\w+\)s|%s|(?<![:\w]):[a-zA-Z_]\w*|\$\d+")
_LISTS = ((re.compile(r"\?(?: , \?)+"), "?"), (re.compile(r"\( \? \)(?: , \( \? \))+"), "( ? )"))


def normalised(sql: str) -> str:
    """Return a statement without comments and layout, with each value, and each list of values, as a question mark."""
    tokens = sqltext.tokens(_PLACEHOLDER.sub("?", sql))
    text = " ".join("?" if kind in ("string", "number") else text for kind, text in tokens)
    for lists, one in _LISTS:
        text = lists.sub(one, text)
    return text.rstrip("; ")


def key_of(revision: str, finding: Finding) -> Key:
    """Return how a baseline identifies a finding."""
    # A finding shortens a long statement.
    return revision, finding.rule, normalised(finding.sent.sql if finding.sent is not None else finding.statement)


def fingerprints(revision: str, findings: Iterable[Finding]) -> Iterator[tuple[Finding, str]]:
    """Return each finding with a fingerprint that no other has, and that stays if lines move."""
    seen: Counter[Key] = Counter()
    for finding in findings:
        key = key_of(revision, finding)
        seen[key] += 1
        text = "\n".join((*key, str(seen[key])))
        yield finding, hashlib.sha256(text.encode()).hexdigest()


def accepted_in(baseline: Path, command: str) -> frozenset[Key]:
    """Return what a baseline accepts, or raise InvalidArgument if it is none."""
    return frozenset(read_baseline(baseline, SECTION, command, _key))


def _key(entry: dict[str, str]) -> Key:
    return entry["revision"], entry["rule"], entry["statement"]


def write(baseline: Path, revisions: Iterable[ReviewedRevision]) -> None:
    """Write a baseline that accepts what is unsafe now; entries of other commands are kept."""
    save_baseline(baseline, SECTION, _entries(revisions))


def _entries(revisions: Iterable[ReviewedRevision]) -> list[dict[str, Any]]:
    keys = {
        key_of(revision.revision, finding)
        for revision in revisions
        for finding in revision.findings
        if finding.verdict == UNSAFE
    }
    return [{"revision": revision, "rule": rule, "statement": sql} for revision, rule, sql in sorted(keys)]
