"""What to write instead of a statement that changes or deletes many rows."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa

from safeops.judging.replacements.code import constant_code, escaped
from safeops.judging.replacements.replacement import NOTHING_TO_UNDO, About, Replacement, key_of, keys_of, lines
from safeops.naming import Code, Name, call

ADVICE = "Change the rows with backfill(), in batches with short transactions, by SQL or by a Python function."


@dataclass(frozen=True)
class Rows:
    """What a statement does to rows.

    Args:
        values: The new values by column, as SQL or constants of Python; empty for a DELETE.
        condition: Which rows, as SQL; None for all.
    """

    values: Mapping[str, Any]
    condition: str | None


def update(rows: Rows, name: Name, about: About) -> Replacement:
    """Return the backfill that writes the same values in batches, each row once."""
    values = {column: _value(value) for column, value in rows.values.items()}
    where = Code("True") if rows.condition is None else escaped(rows.condition)
    code = call("backfill", name.name, values, where=where, key=key_of(about, name), schema=name.schema)
    return Replacement(code, f"{NOTHING_TO_UNDO}: the old values are not kept", one_to_one=True)


def _value(value: Any) -> Code:
    if isinstance(value, sa.TextClause):
        return Code(call("sa.text", escaped(value.text)))
    return Code("sa.null()") if value is None else constant_code(value)


BATCH = 5_000


def delete(sql: str) -> Replacement:
    """Return a loop that deletes in batches, each in a separate transaction."""
    return Replacement(
        lines(
            f"batch = {call('sa.text', escaped(sql))}",
            "with op.get_context().autocommit_block():",
            "    while op.get_bind().execute(batch).rowcount > 0:",
            "        pass",
        ),
        call("irreversible", "the rows are deleted"),
        note="safeops has no call that deletes rows: this loop deletes in batches, with a commit after each. If the"
        " application might still need the rows, copy them first.",
    )


def key_column(about: About, name: Name) -> str | None:
    """Return a single column that is a key of a table, if one is known."""
    return next((key[0] for key in keys_of(about, name) or () if len(key) == 1), None)
