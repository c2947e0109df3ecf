"""A review as SARIF 2.1.0, for code scanning and editors.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import PurePath
from typing import Any

from safeops import __version__
from safeops.judging.finding import BRIEF, NOTE, UNSAFE, Finding
from safeops.judging.rules import RULES
from safeops.review.baseline import fingerprints
from safeops.review.reports.words import message_of, page_of, with_instead
from safeops.review.reviewed import Accepted, Reviewed, ReviewedRevision, path_in_repository, place_of

SCHEMA = "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
LEVELS = {UNSAFE: "error", BRIEF: "note", NOTE: "note"}
FINGERPRINT = "safeops/v1"


def render(reviewed: Reviewed) -> str:
    results = [result for revision in reviewed.revisions for result in _results(revision)]
    names = sorted({result["ruleId"] for result in results})
    driver = {"name": "safeops", "version": __version__, "rules": [_rule(name) for name in names]}
    for result in results:
        result["ruleIndex"] = names.index(result["ruleId"])
    run = {"tool": {"driver": driver}, "columnKind": "unicodeCodePoints", "results": results}
    return json.dumps({"$schema": SCHEMA, "version": "2.1.0", "runs": [run]}, indent=2, ensure_ascii=False)


def _rule(name: str) -> dict[str, Any]:
    rule = RULES.get(name)
    if rule is None:
        return {"id": name, "shortDescription": {"text": name.replace("-", " ")}}
    text = f"{rule.why} {rule.instead}"
    return {
        "id": name,
        "shortDescription": {"text": rule.title},
        "help": {"text": text, "markdown": text},
        "helpUri": page_of(name),
    }


def _results(revision: ReviewedRevision) -> Iterator[dict[str, Any]]:
    for finding, fingerprint in fingerprints(revision.revision, revision.all):
        yield _result(revision, finding, fingerprint)
    given = {id(accepted.finding): accepted for accepted in revision.accepted}
    for finding, fingerprint in fingerprints(revision.revision, [accepted.finding for accepted in revision.accepted]):
        yield {**_result(revision, finding, fingerprint), "suppressions": [_suppression(given[id(finding)])]}


def _result(revision: ReviewedRevision, finding: Finding, fingerprint: str) -> dict[str, Any]:
    return {
        "ruleId": finding.rule,
        "level": LEVELS[finding.verdict],
        "message": {"text": message_of(finding), "markdown": _markdown(finding)},
        "locations": [_location(revision, finding)],
        "partialFingerprints": {FINGERPRINT: fingerprint},
        "properties": {
            "revision": revision.revision,
            "statement": finding.statement,
            "table": finding.table,
            "lock": finding.lock,
            "seen": finding.seen,
        },
    }


def _markdown(finding: Finding) -> str:
    # In Markdown, indented code needs an empty line before it.
    return with_instead(finding).replace(":\n    ", ":\n\n    ").replace("\nand in", "\n\nand in")


def _location(revision: ReviewedRevision, finding: Finding) -> dict[str, Any]:
    place = place_of(revision, finding)
    path = path_in_repository(place.file)
    uri = PurePath(path).as_uri() if PurePath(path).is_absolute() else path.replace(" ", "%20")
    return {"physicalLocation": {"artifactLocation": {"uri": uri}, "region": {"startLine": place.line}}}


def _suppression(accepted: Accepted) -> dict[str, str]:
    kind = "external" if accepted.by == "baseline" else "inSource"
    return {"kind": kind, **({"justification": accepted.reason} if accepted.reason else {})}
