"""Cities can be found by a name without accents.

What SQL cannot say alike on every database, Python says. The application that writes the new column comes with the next
deploy; until then it adds cities without one, so nothing requires it yet, and the condition is our own: what is added
meanwhile is left, not waited for.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Any

import sqlalchemy as sa

from safeops import add_column_if_missing, backfill, drop_column_if_exists, reads

revision: str = "0010"
down_revision: str | None = "0009"


def without_accents(name: str) -> str:
    """São Paulo becomes Sao Paulo; what has no Latin letters stays as it is."""
    folded = unicodedata.normalize("NFKD", name).encode("ascii", "ignore").decode().strip()
    return folded or name


@reads("name", writes=("plain_name",))
def plain_names(rows: Sequence[Any]) -> list[dict[str, str]]:
    """The new values of a batch, one a row."""
    return [{"plain_name": without_accents(row["name"])} for row in rows]


def upgrade() -> None:
    add_column_if_missing("cities", sa.Column("plain_name", sa.String(200)))
    backfill("cities", plain_names, where=sa.column("plain_name").is_(None))


def downgrade() -> None:
    drop_column_if_exists("cities", "plain_name")
