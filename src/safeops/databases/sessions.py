"""A session on a database: what is sent, how its waiting is bounded, who blocks it, and what its errors mean."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TypeAlias

Handed: TypeAlias = tuple[tuple[str, str], ...]
"""What was set on a session, by name, as a value that travels to another session."""


@dataclass
class Watch:
    """What was seen of a step from beside: who blocked it last, and whether it was cancelled for that.

    ``attached`` tells that somebody looks on, so that the step need not bound its own waiting.
    """

    blocked_by: list[str] = field(default_factory=list)
    cancelled: bool = False
    attached: bool = False
