"""What is to be known of a rule."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    """What is to be known of a rule.

    Args:
        name: Its name.
        title: What it says, in a line.
        verdict: "unsafe", "brief" or "note".
        catches: What it catches.
        why: What happens to a running application.
        instead: What to do.
        bad: Lines of ``upgrade()`` that it catches, on the tables ``users`` and ``orders``.
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
