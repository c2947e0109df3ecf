"""A trigger that gives new rows the value of a required column while the application does not know it yet."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from safeops.databases.definitions import Table
from safeops.databases.ports import Port
from safeops.databases.steps import Step
from safeops.naming import Name

ROW = "/*safeops:row*/"
"""Stands in the query of a value for the row that it is made of."""
FILLS = "safeops_fill"
"""Begins the names of such triggers, and of their functions."""


@dataclass(frozen=True)
class Filler:
    """What fills a column of new rows.

    Args:
        table: The table, in its schema.
        column: The column that is filled where it is NULL.
        query: The query of the value, with ``ROW`` where it selects the columns of the row from.
        reads: The columns of the row that the query may read; None is all, where nobody knows them (``--sql``).
    """

    table: Name
    column: str
    query: str
    reads: tuple[str, ...] | None


class Triggers(Port):
    """What each database does to keep new rows filled. ``stands`` is the table as it stands; None is ``--sql``."""

    place = "safeops.databases.{family}.triggers:Triggers"
    asked = "Triggers"

    @abstractmethod
    def fill_new_rows(self, filler: Filler, stands: Table | None) -> Iterator[Step]:
        """Plan that rows which are written without a value get it; no step where they do already."""

    @abstractmethod
    def stop_filling(self, name: Name, column: str, stands: Table | None) -> Iterator[Step]:
        """Plan that new rows are not filled any more; no step where they are not."""

    def null_of(self, type_: str) -> str:
        """Render NULL as a value of a type."""
        return "NULL"

    def check_value(self, query: str, type_: str) -> None:
        """Have the server plan a query of values for a column of this type, which raises what is wrong with it."""
        self.database.sizes.explain(query)

    def filled_query(self, filler: Filler, record: str = "NEW") -> str:
        """Return the query of the value with the row of a trigger in it."""
        if filler.reads is None:
            return filler.query.replace(ROW, f"SELECT {record}.*")
        columns = [f"{record}.{self.quoted(one)} AS {self.quoted(one)}" for one in filler.reads]
        return filler.query.replace(ROW, f"SELECT {', '.join(columns or ['1 AS safeops_row'])}")

    def update_triggers(self, table: Name) -> list[str]:
        """Describe the author's triggers that run on an UPDATE of the table, and may cancel it or take its values back."""
        return []

    def check_triggers(self, asked: str, table: Name, *, locks_table: bool) -> None:
        """Raise what keeps this server or account from making triggers, before anything is changed.

        Args:
            asked: What needs them, for the message.
            table: The table.
            locks_table: It also needs a lock that keeps all other sessions from writing.
        """


def later_than(name: str, triggers: Sequence[str]) -> list[str]:
    """Return the triggers that run after one of this name where they run in the order of their names."""
    return [one for one in triggers if one.encode() > name.encode()]
