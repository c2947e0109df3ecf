"""A finding in words, the same in each report for people."""

from __future__ import annotations

from safeops.judging.finding import Finding
from safeops.judging.truths import BUILD, CATALOGUE, NO_WORK, REWRITE, ROWS, SCAN
from safeops.planned import counted

ASSUMED = "assumed"
PAGES = "https://alembic-safeops.readthedocs.io/en/latest/rules/"
WORK = {
    CATALOGUE: "catalogue change",
    SCAN: "table scan",
    BUILD: "index build",
    REWRITE: "table rewrite",
    ROWS: "row changes",
    NO_WORK: "none",
}


def lock_of(finding: Finding) -> str:
    """Return the lock of a statement and what it blocks; empty if there is none."""
    if not finding.lock:
        return ""
    on = f" on {finding.table}" if finding.table else ""
    return f"{finding.lock}{on} (blocks {finding.blocks})"


def work_of(finding: Finding) -> str:
    """Return the work of a statement, its duration, and the source of that; empty if the work is not known."""
    rows = counted(finding.rows) if finding.rows is not None else ""
    for_rows = f"for {rows}" if rows and finding.seconds is not None else rows
    about = f"about {duration(finding.seconds)}" if finding.seconds is not None else ""
    size = " ".join(part for part in (about, for_rows) if part)
    source = f" ({_source(finding)})" if size else ""
    return ", ".join(part for part in (WORK.get(finding.work or "", finding.work or ""), f"{size}{source}") if part)


def _source(finding: Finding) -> str:
    return (
        "an assumption: pass --url, or commit stats.json"
        if finding.known_from == ASSUMED
        else f"from {finding.known_from}"
    )


def duration(seconds: float) -> str:
    """Return a duration in words."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def page_of(rule: str) -> str:
    """Return the page of the documentation about a rule."""
    return f"{PAGES}{rule}.html"


def sentence(text: str) -> str:
    """Return a text with a full stop."""
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def message_of(finding: Finding) -> str:
    """Return a finding in one line, without the code to write instead."""
    lock, work = lock_of(finding), work_of(finding)
    facts = [f"Lock: {lock}." if lock else "", f"Work: {work}." if work else ""]
    return " ".join([sentence(finding.why), *filter(None, facts)])


def instead_of(finding: Finding) -> list[tuple[str, str]]:
    """Return the code to write instead, each with its place."""
    up, down = finding.replacement, finding.replacement_downgrade
    places = (("Write in upgrade() instead:", up), ("and in downgrade():" if up else "Write in downgrade():", down))
    return [(place, code) for place, code in places if code]


def with_instead(finding: Finding) -> str:
    """Return a finding with the code to write instead."""
    code = [f"{place}\n{_indented(text)}" for place, text in instead_of(finding)]
    advice = [sentence(finding.advice)] if finding.advice else []
    return "\n".join([message_of(finding), *code, *advice])


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
