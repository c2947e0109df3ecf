"""Several heads: why `head` names no revision then, and what to do."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from alembic.script.revision import MultipleHeads
from alembic.util import CommandError

from safeops.errors import NotReady


def several_heads(heads: Sequence[str]) -> NotReady:
    """Return the error of an upgrade to `head` if there are several heads."""
    return NotReady(
        f"There are {len(heads)} heads: {', '.join(heads)}.",
        why="Two revisions have the same parent, usually because two branches were merged.",
        remedy="Write the revision that merges them, review it, commit it, and upgrade again (to keep the branches"
        " separate, give each its own branch label, or upgrade to `heads`):",
        code="safeops heads --merge",
    )


@contextmanager
def heads_explained() -> Iterator[None]:
    """Have Alembic's error about several heads explain how to merge them, for the block."""
    try:
        yield
    except CommandError as error:
        if isinstance(error.__cause__, MultipleHeads):
            raise several_heads(sorted(error.__cause__.heads)) from error
        raise
