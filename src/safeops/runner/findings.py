"""What a check found, and what a team has accepted: by an option, a baseline file, or a comment in the file itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safeops.errors import InvalidArgument

ALLOWED = re.compile(r"#\s*safeops:\s*allow\s+(\w+(?:\s*,\s*\w+)*)\s*--\s*\S")
"""The comment that accepts the findings of its file: with a reason."""
VERSION = 1
ERROR, NOTE = "error", "note"


@dataclass(frozen=True)
class Finding:
    """Something that a check found.

    Args:
        kind: Which check found it: "load", "heads", "downgrade", "offline", "up", "down", "models", "env", "database".
        level: "error", or "note" for information.
        message: What is wrong, and what to do.
        file: The file; None if it is about no single file.
        line: The line in that file.
        revision: The revision that it is about.
    """

    kind: str
    level: str
    message: str
    file: str | None = None
    line: int | None = None
    revision: str | None = None

    @property
    def name(self) -> str:
        """Its name in a baseline: does not change if lines move."""
        return f"{self.kind}:{self.revision or self.message.splitlines()[0]}"


def not_accepted(findings: Iterable[Finding], ignore: Sequence[str], baseline: Path | None) -> list[Finding]:
    """Return the findings that are not accepted."""
    known = {*ignore, *(_read_baseline(baseline) if baseline is not None else ())}
    return [
        finding
        for finding in findings
        if not known.intersection((finding.kind, finding.name)) and not _is_allowed(finding)
    ]


def save_baseline(findings: Iterable[Finding], baseline: Path) -> None:
    """Write a baseline that accepts these findings."""
    names = sorted({finding.name for finding in findings})
    baseline.write_text(json.dumps({"version": VERSION, "findings": names}, indent=2) + "\n", encoding="utf-8")


def _read_baseline(baseline: Path) -> list[str]:
    try:
        found = json.loads(baseline.read_text(encoding="utf-8"))
        names: list[str] = found["findings"]
    except FileNotFoundError:
        problem = f"There is no baseline {baseline}."
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"{baseline} is no baseline that safeops wrote: {type(error).__name__}."
    else:
        return names
    raise InvalidArgument(
        problem,
        remedy="Write one, which accepts all that is found now:",
        code=f"safeops check --baseline {baseline} --write-baseline",
    )


def _is_allowed(finding: Finding) -> bool:
    if finding.file is None:
        return False
    text = Path(finding.file).read_text(encoding="utf-8", errors="replace")
    return any(finding.kind in re.split(r"\s*,\s*", comment[1]) for comment in ALLOWED.finditer(text))
