"""Rewrites calls of ``alembic.op`` in a revision as calls of safeops, if one call replaces one call.

The author's own arguments, comments and formatting stay. What takes several calls, or a decision, is left to the author.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from collections.abc import Collection, Iterable
from pathlib import Path

from safeops.judging.finding import Finding

log = logging.getLogger("safeops")

__all__ = ["fixed", "write_fixes"]


def fixed(source: str, findings: Iterable[Finding]) -> str:
    """Return the text of a revision with the calls rewritten that findings are about; as it is if there are none.

    Args:
        source: Its text.
        findings: The findings of the revision, by their lines in this very text.
    """
    # Loaded only when needed: it takes as long as a small review.
    from safeops.review.fix.revision import Revision

    return Revision(source).rewritten(findings)


def write_fixes(findings: Iterable[Finding], applied: Collection[str] = ()) -> list[Path]:
    """Rewrite the files that findings are about, and return those that have changed.

    Args:
        findings: The findings that are not accepted.
        applied: The files of the revisions that the database has applied, which stay as they are.
    """
    untouched = {Path(file).resolve() for file in applied}
    by_file: defaultdict[Path, list[Finding]] = defaultdict(list)
    for finding in findings:
        if finding.place is not None and Path(finding.place.file).resolve() not in untouched:
            by_file[Path(finding.place.file).resolve()].append(finding)
    return [file for file, own in sorted(by_file.items()) if _write(file, own)]


def _write(file: Path, findings: list[Finding]) -> bool:
    # Bytes keep the line ends.
    before = file.read_bytes().decode()
    after = fixed(before, findings)
    if after != before:
        file.write_bytes(after.encode())
        log.info("rewrote %s", file)
    return after != before
