"""A finding in words: the same in each report for people."""

from __future__ import annotations

from safeops.judging.finding import Finding
from safeops.planned import counted

ASSUMED = "assumed"


def lock_of(finding: Finding) -> str:
    """Say what a statement locks, and who waits for it; empty if it locks nothing."""
    if not finding.lock:
        return ""
    on = f" on {finding.table}" if finding.table else ""
    return f"{finding.lock}{on}, which blocks {finding.blocks}"


def work_of(finding: Finding) -> str:
    """Say what a statement does, for how long, and where that is known from; empty if that is not known."""
    rows = counted(finding.rows) if finding.rows is not None else ""
    for_rows = f"for {rows}" if rows and finding.seconds is not None else rows
    about = f"about {duration(finding.seconds)}" if finding.seconds is not None else ""
    size = " ".join(part for part in (about, for_rows) if part)
    source = f" ({_source(finding)})" if size else ""
    return ", ".join(part for part in (finding.work or "", f"{size}{source}") if part)


def _source(finding: Finding) -> str:
    return "assumed: --url or stats.json tells" if finding.known_from == ASSUMED else f"from {finding.known_from}"


def duration(seconds: float) -> str:
    """Return a duration as people say it."""
    if seconds < 0.1:
        return f"{seconds * 1000:.0f} ms"
    return f"{seconds:.1f} s" if seconds < 120 else f"{seconds / 60:.0f} min"


def page_of(rule: str) -> str:
    """Return the page of the documentation about a rule."""
    return f"docs/rules/{rule}.md"


def sentence(text: str) -> str:
    """Return a text with a full stop."""
    return text if text.endswith((".", "!", "?", ":")) else f"{text}."


def message_of(finding: Finding) -> str:
    """Return all that is to be said of a finding in one line, but the code to write instead."""
    facts = "; ".join(part for part in (lock_of(finding), work_of(finding)) if part)
    return f"{sentence(finding.why)} It takes {facts}." if facts else sentence(finding.why)


def instead_of(finding: Finding) -> list[tuple[str, str]]:
    """Return the code to write instead, each with where to write it."""
    up, down = finding.replacement, finding.replacement_downgrade
    places = (("Write in upgrade() instead:", up), ("and in downgrade():" if up else "Write in downgrade():", down))
    return [(place, code) for place, code in places if code]


def with_instead(finding: Finding) -> str:
    """Return all that is to be said of a finding, with the code to write instead."""
    code = [f"{place}\n{_indented(text)}" for place, text in instead_of(finding)]
    advice = [sentence(finding.advice)] if finding.advice else []
    return "\n".join([message_of(finding), *code, *advice])


def _indented(code: str) -> str:
    return "\n".join(f"    {line}" for line in code.splitlines())
