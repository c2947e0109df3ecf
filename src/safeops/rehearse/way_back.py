"""The downgrade of what was rehearsed: whether schema and rows are as before, and the upgrade again."""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Any

from alembic.config import Config
from sqlalchemy.engine import Engine

from safeops.databases import database_on
from safeops.errors import Irreversible, NotReady, RevisionFailed, SafeOpsError
from safeops.rehearse.following import OBSERVER, Followed
from safeops.rehearse.running import run_down, run_up
from safeops.rehearse.saved_rows import RowKeeper, Touched
from safeops.rehearse.schemas import Schema, schema_differences, schema_now


@dataclass(frozen=True)
class Back:
    """What the downgrade of a rehearsed upgrade did.

    Args:
        same_schema: Whether the schema is as it was before the upgrade; None if that is not known.
        same_rows: Whether each row is; None if that is not known.
        again_same: Whether the upgrade, run again, led to the same schema; None if it was not run.
        differences: How they differ, one text each.
        seconds: How long the downgrades took.
        why: Why it was not run, or why it failed; empty if it was run.
        irreversible: The revisions declare that they cannot be undone.
    """

    same_schema: bool | None = None
    same_rows: bool | None = None
    again_same: bool | None = None
    differences: tuple[str, ...] = ()
    seconds: float = 0.0
    why: str = ""
    irreversible: bool = False

    @property
    def ok(self) -> bool:
        """Whether it led back, or was never promised to."""
        kept = not self.why and False not in (self.same_schema, self.same_rows, self.again_same)
        return self.irreversible or kept

    def as_json(self) -> dict[str, Any]:
        return {
            "same_schema": self.same_schema,
            "same_rows": self.same_rows,
            "again_same": self.again_same,
            "differences": list(self.differences),
            "seconds": round(self.seconds, 3),
            "why": self.why,
            "irreversible": self.irreversible,
        }


class WayBack:
    """Knows schema and rows from before an upgrade, and compares them after its downgrade.

    Args:
        config: The configuration of the project, for the copy.
        engine: The copy.
        keeper: Has the rows from before the upgrade.
        before: The revision from before the upgrade; "base" for none.
    """

    def __init__(self, config: Config, engine: Engine, keeper: RowKeeper, before: str) -> None:
        self._config, self._engine, self._keeper, self._before = config, engine, keeper, before
        self._schema = self._upgraded = self._schema_now()

    def down(self, followed: Followed | None = None) -> Back:
        """Run the downgrades."""
        self._upgraded = self._schema_now()
        began = time.monotonic()
        try:
            run_down(self._config, self._before, followed)
        except (RevisionFailed, NotReady) as error:
            return _without(error)
        return Back(seconds=time.monotonic() - began)

    def compared(self, back: Back, touched: Touched | None) -> Back:
        """Compare schema and rows with those from before the upgrade.

        Args:
            back: The downgrade.
            touched: The keys of rows that others have written in the meantime, which are compared in another way; None if
                it is not known which: rows are then not compared.
        """
        schema = schema_differences(self._schema, self._schema_now())
        rows = [str(changed) for changed in self._keeper.changed(touched)] if touched is not None else []
        same_rows = None if touched is None else not rows
        return replace(back, same_schema=not schema, same_rows=same_rows, differences=(*schema, *rows))

    def again(self, back: Back, revision: str) -> Back:
        """Upgrade to the revision again, and compare the schema with that after the first upgrade."""
        if back.why:
            return back
        try:
            run_up(self._config, revision)
        except SafeOpsError as error:
            why = f"the upgrade, run again, fails: {' '.join(error.problem.split())}"
            return replace(back, again_same=False, differences=(*back.differences, why))
        found = [f"after up, down and up: {text}" for text in schema_differences(self._upgraded, self._schema_now())]
        return replace(back, again_same=not found, differences=(*back.differences, *found))

    def _schema_now(self) -> Schema:
        with self._engine.connect() as connection:
            connection.execution_options(isolation_level="AUTOCOMMIT", **OBSERVER)
            return schema_now(database_on(connection))


def _without(error: SafeOpsError) -> Back:
    irreversible = error.number == Irreversible.number
    return Back(why=" ".join(error.problem.split()), irreversible=irreversible)
