"""What a team has decided to live with: findings of a baseline file, of an option, or of a comment in the file itself."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from safeops.errors import InvalidArgument

ALLOWED = re.compile(r"#\s*safeops:\s*allow\s+(\w+(?:\s*,\s*\w+)*)\s*--\s*\S")
"""The comment that accepts what a check finds in its file: with a reason."""
VERSION = 1


@dataclass(frozen=True)
class Finding:
    """Something that was found.

    Args:
        kind: Which check found it: "load", "heads", "downgrade", "offline", "up", "down", "models", "env", "database".
        level: "error", or "note" for what is worth knowing.
        message: What it is, and what to do.
        file: The file that it is in; None where it is about no one file.
        line: The line in it.
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
        """What a baseline knows it by: it stays the same where lines move."""
        return f"{self.kind}:{self.revision or self.message.splitlines()[0]}"


def not_accepted(findings: Iterable[Finding], ignore: Sequence[str], baseline: Path | None) -> list[Finding]:
    """Return the findings that nobody has accepted."""
    known = {*ignore, *(_read(baseline) if baseline is not None else ())}
    return [one for one in findings if not known.intersection((one.kind, one.name)) and not _is_allowed(one)]


def write(findings: Iterable[Finding], baseline: Path) -> None:
    """Write a baseline that accepts these findings."""
    names = sorted({one.name for one in findings})
    baseline.write_text(json.dumps({"version": VERSION, "findings": names}, indent=2) + "\n", encoding="utf-8")


def _read(baseline: Path) -> list[str]:
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


def _is_allowed(one: Finding) -> bool:
    if one.file is None:
        return False
    text = Path(one.file).read_text(encoding="utf-8", errors="replace")
    return any(one.kind in re.split(r"\s*,\s*", found[1]) for found in ALLOWED.finditer(text))
