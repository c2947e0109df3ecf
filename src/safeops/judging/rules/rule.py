"""A rule as data."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """A rule, as its page shows it.

    Args:
        name: Its public name.
        title: The problem and what to do, in one line: the title of its page.
        verdict: "unsafe", "brief" or "note".
        catches: The statements that it finds.
        why: The effect on a running application.
        instead: What to do.
        bad: Lines of ``upgrade()`` that it finds, on the tables ``users`` and ``orders``.
        good: Lines to write instead.
        undo: The lines of ``downgrade()`` for those.
        kinds: The kinds of operations that it is about.
    """

    name: str
    title: str
    verdict: str
    catches: str
    why: str
    instead: str
    bad: str = ""
    good: str = ""
    undo: str = ""
    kinds: tuple[str, ...] = ()
