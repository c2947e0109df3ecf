"""PostgreSQL: a hash of a row, and its key as text."""

from __future__ import annotations

from collections.abc import Sequence

from safeops.rehearse import saved_rows


class SavedRows(saved_rows.SavedRows):
    """By the server's own hash of the text of a row."""

    def prepare(self) -> None:
        self.run("SET extra_float_digits = 1")
        # Without it a comparison by a nested loop takes hours once the estimates are wrong.
        self.run("SET enable_nestloop = off")
        # The cost of a nested loop that cannot be avoided has it compile each look at the catalogue, for seconds.
        self.run("SET jit = off")

    def hashed(self, values: Sequence[str]) -> str:
        return f"pg_catalog.hashtextextended(CAST(ROW({', '.join(values)}) AS text), 0)"

    def keys(self, columns: Sequence[str]) -> list[str]:
        # As text: a revision could not drop a type that a saved column has.
        return [f"CAST(t.{self.quoted(name)} AS text)" for name in columns]
