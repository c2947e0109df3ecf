"""MariaDB and MySQL: each change of a table commits, after which the server no longer knows what it locked."""

from __future__ import annotations

from typing import ClassVar

from safeops.rehearse import following
from safeops.rehearse.following import Effects


class Observer(following.Observer):
    """The locks come from the review of the statements, and their waits from the traffic."""

    unseen: ClassVar[str] = (
        "MariaDB and MySQL do not show which locks a statement held: these are those that safeops review knows of it."
    )

    def begin(self) -> None:
        """There is nothing to note."""

    def after(self, sql: str) -> Effects | None:
        return None
