"""SQLite: it has no server that knows who waits."""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar

from safeops.rehearse import waits


class LockWaits(waits.LockWaits):
    """None is seen."""

    sees_waits: ClassVar[bool] = False
    unseen: ClassVar[str] = "SQLite does not show who waits: the traffic measures how long its statements took."

    def now(self) -> Iterable[waits.Waiting | waits.Held]:
        return ()
