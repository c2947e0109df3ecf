"""What a test of a revision ends with: a flaw, with what to write instead, or the reason why it cannot be tested."""

from __future__ import annotations

from collections.abc import Sequence

SHOWN = 10
"""How many differences a message lists."""


class Failed(AssertionError):
    """A flaw of a revision.

    Args:
        problem: What is wrong, with the names of the project.
        why: Why it matters, or how it comes about.
        details: What was seen, one text each.
        remedy: What to do, as a sentence that introduces ``code``.
        code: The lines to write.
    """

    def __init__(
        self, problem: str, *, why: str = "", details: Sequence[str] = (), remedy: str = "", code: str = ""
    ) -> None:
        self.problem, self.why, self.remedy, self.code = problem, why, remedy, code
        self.details = tuple(details)
        super().__init__(str(self))

    def __str__(self) -> str:
        more = len(self.details) - SHOWN
        details = [f"  {text}" for text in self.details[:SHOWN]] + [f"  and {more} more"] * (more > 0)
        code = [f"    {line}" for line in self.code.splitlines()]
        return "\n".join(filter(None, [self.problem, self.why, *details, self.remedy, *code]))


class Untestable(Exception):
    """This revision cannot be tested so; the test is skipped, with the reason."""

    def __init__(self, reason: str) -> None:
        self.reason = reason
        super().__init__(reason)
