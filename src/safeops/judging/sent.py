"""What a revision sent to its database, statement by statement."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from safeops.judging.truths import Measured


@dataclass(frozen=True)
class Place:
    """A line of a revision, or of a module that it calls."""

    file: str
    line: int


@dataclass(frozen=True)
class Call:
    """The call of ``alembic.op`` that sent a statement.

    Args:
        name: How it is called, as ``create_index``.
        operation: Alembic's operation object with its arguments; None for ``op.execute``.
        number: The same for all statements of one call.
    """

    name: str
    operation: Any = field(default=None, compare=False)
    number: int = 0


@dataclass(frozen=True)
class Sent:
    """A statement, as the server would get it.

    Args:
        sql: Its text as the server gets it, with the placeholders of the driver; may be several statements.
        parameters: Its values, None without any; of an ``executemany`` those of the first time.
        times: How often it was sent at once, as by ``executemany``.
        transaction: The number of the transaction that it is part of; None in autocommit.
        place: The line of the revision that sent it.
        call: The call of ``alembic.op`` that sent it; None if it came by a connection or a session.
        synthetic: Its text or its values contain a value of a made-up row (made-up values must be unusual), so it is sent
            once for each row that was read.
        measured: What a scratch copy showed of it; None on the other rungs.
        assured: The reason of the ``assured(...)`` block around it; None if there is none.
    """

    sql: str
    parameters: Mapping[str, Any] | Sequence[Any] | None = None
    times: int = 1
    transaction: int | None = 0
    place: Place | None = None
    call: Call | None = None
    synthetic: bool = False
    measured: Measured | None = field(default=None, compare=False)
    assured: str | None = None


@dataclass(frozen=True)
class HelperSent:
    """A call of a helper of safeops: it is not judged, it ends the transaction, and it changes what exists.

    Args:
        name: How it is called, as ``add_column_if_missing``.
        given: Its arguments by name.
        place: The line of the revision that calls it.
    """

    name: str
    given: Mapping[str, Any]
    place: Place | None = None


@dataclass(frozen=True)
class Unseen:
    """Something that a recording could not see, with the reason: it is a finding.

    Args:
        why: As a sentence.
        place: The line of the revision.
        sql: The statement, if there is one.
    """

    why: str
    place: Place | None = None
    sql: str = ""


Event = Sent | HelperSent | Unseen


@dataclass(frozen=True)
class Recording:
    """What a revision did, in order, and on which rung of the ladder that was seen.

    Args:
        revision: The revision.
        file: Its file.
        seen: "offline", "live", "scratch", or "unseen".
        events: What it did.
        error: What it raised; None if it ended.
    """

    revision: str
    file: str
    seen: str
    events: tuple[Event, ...]
    error: Exception | None = field(default=None, compare=False)
