"""A rehearsal as a pull request comment: the verdict, the statements, the traffic, and what to write instead."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from safeops.rehearse.projection import duration_text
from safeops.rehearse.reports.words import (
    Report,
    back_text,
    copy_text,
    latencies,
    others_text,
    production_rows,
    statements_of,
    traffic_text,
    work_text,
)
from safeops.rehearse.words import locks_together
from safeops.review.reports.markdown import cell

STATEMENTS = ("| statement | time | locks | work | application | longest wait |", "|---|---|---|---|---|---|")
TRAFFIC = ("| table | phase | 99 % within | longest |", "|---|---|---|---|")
PRODUCTION = ("| revision | here | in production |", "|---|---|---|")


def render(report: Report) -> str:
    """Return the JSON of a rehearsal as Markdown."""
    return "\n".join(_lines(report))


def _lines(report: Report) -> Iterator[str]:
    yield f"### safeops rehearse: {report['summary']}"
    for finding in report["verdict"]["findings"]:
        yield from _finding(finding)
    if not report["revisions"]:
        return
    yield from ("", f"Copy: {copy_text(report)}.")
    for revision in report["revisions"]:
        yield from _revision(report, revision)
    yield from ("", f"**Traffic**: {traffic_text(report)}.")
    yield from _latencies(report)
    yield from ("", f"**Downgrade**: {cell(back_text(report))}.")
    projected = [f"| {' | '.join(cells)} |" for cells in production_rows(report)]
    yield from ("", *PRODUCTION, *projected) if projected else ()
    yield from _measured(report)


def _revision(report: Report, revision: Report) -> Iterator[str]:
    shown, others = statements_of(report, revision["revision"])
    yield from ("", f"**{revision['revision']}** {cell(revision['message'])}: {duration_text(revision['seconds'])}")
    if shown:
        yield from ("", *STATEMENTS, *map(_statement, shown))
    if others:
        yield from ("", f"{others_text(others, len(shown))}.")


def _latencies(report: Report) -> Iterator[str]:
    found = [(table, *figures) for table, phases in latencies(report) for figures in phases]
    if found:
        yield from ("", *TRAFFIC)
    for table, phase, p99, longest in found:
        yield f"| `{table}` | {phase} | {duration_text(p99)} | {duration_text(longest)} |"


def _statement(one: Any) -> str:
    wait = duration_text(one["longest_wait"]) if one["longest_wait"] else ""
    sql = f"`{cell(one['sql'][:120]).replace('`', '')}`"
    locks, work = cell(locks_together(one["locks"])), cell(work_text(one))
    cells = (sql, duration_text(one["seconds"]), locks, work, one["effect"], wait)
    return f"| {' | '.join(cells)} |"


def _finding(finding: Report) -> Iterator[str]:
    yield from ("", f"- **{finding['kind']}**: {cell(finding['what'])} {cell(finding['why'])}".rstrip())
    if finding["sql"]:
        yield f"  `{cell(finding['sql']).replace('`', '')}` ({finding['revision']})"
    for place, code in (("upgrade()", finding["instead"]), ("downgrade()", finding["instead_down"])):
        if code:
            yield from ("", f"  Write in {place} instead:", "", "  ```python", *_indented(code), "  ```")
    if finding["advice"]:
        yield from ("", f"  {cell(finding['advice'])}")


def _measured(report: Report) -> Iterator[str]:
    if report["measured"]:
        yield from ("", "<details><summary>How it was measured</summary>", "")
        yield from (f"- {cell(one)}" for one in report["measured"])
        yield from ("", "</details>")


def _indented(code: str) -> list[str]:
    return [f"  {line}" for line in code.splitlines()]
