"""The truths about SQLite: a writer locks the whole file; the steps of the virtual machine show its work for each row.

With ``journal_mode=WAL`` a writer does not block readers; otherwise they wait while it writes to the file.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

from safeops.judging import operations as op
from safeops.judging.truths import BUILD, CATALOGUE, REWRITE, ROWS, SCAN, Effect, Truth

EXCLUSIVE, RESERVED = "EXCLUSIVE", "RESERVED"
STRENGTH = (RESERVED, EXCLUSIVE)
BLOCKS = {EXCLUSIVE: "reads and writes", RESERVED: "writes"}
MEASURED = ("sqlite 3.40",)


def _truth(
    kind: str, work: str, *when: str, why: str = "", on: str = "table", measured: tuple[str, ...] = MEASURED
) -> Truth:
    source = "" if measured else "https://www.sqlite.org/lang_altertable.html"
    return Truth(kind, (Effect(on, EXCLUSIVE, work),), frozenset(when), why=why, measured=measured, source=source)


def _columns() -> Iterator[Truth]:
    yield _truth(op.ADD_COLUMN, SCAN, "inline check", why="existing rows are checked")
    yield _truth(op.ADD_COLUMN, SCAN, "virtual", "not null", why="the expression is computed for existing rows")
    yield _truth(op.ADD_COLUMN, CATALOGUE, why="only the schema changes")
    yield _truth(op.DROP_COLUMN, CATALOGUE, "virtual", why="a virtual column has no stored values")
    yield _truth(op.DROP_COLUMN, REWRITE, why="each row is rewritten without the column")
    yield _truth(op.RENAME_COLUMN, REWRITE, "batch", why="batch mode copies all rows into a new table")
    yield _truth(op.RENAME_COLUMN, CATALOGUE)
    for kind in (op.SET_NOT_NULL, op.ADD_CHECK):
        yield _truth(kind, SCAN, why="existing rows are checked", measured=())
    for kind in (op.DROP_NOT_NULL, op.DROP_CONSTRAINT):
        yield _truth(kind, CATALOGUE, measured=())


def _tables() -> Iterator[Truth]:
    yield _truth(op.REWRITE_TABLE, REWRITE, why="batch mode copies all rows into a new table")
    yield _truth(op.VACUUM, REWRITE, why="the whole file is rewritten")
    yield _truth(op.CREATE_INDEX, BUILD, why="the file is locked during the whole build")
    yield _truth(op.REINDEX, BUILD, why="the file is locked during the whole build")
    yield _truth(op.ANALYZE, SCAN, why="the file is locked while the indexes are read")
    brief = (op.DROP_TABLE, op.RENAME_TABLE, op.DROP_INDEX, op.CREATE_TRIGGER, op.DROP_TRIGGER, op.ALTER_TABLE)
    yield from (_truth(kind, CATALOGUE) for kind in (*brief, op.REPLACE_TABLE))


def _rows() -> Iterator[Truth]:
    why = "the file is locked until the transaction ends"
    for trait in ("by key", "limit"):
        yield Truth(op.INSERT, (), frozenset({"from table", trait}), measured=MEASURED)
    yield _truth(op.INSERT, SCAN, "from table", why=why, on="other")
    for kind in (op.UPDATE, op.DELETE):
        yield Truth(kind, (), frozenset({"by key"}), measured=MEASURED)
        yield _truth(kind, ROWS, why=why)


def _both(truths: Iterator[Truth]) -> Iterator[Truth]:
    """Yield each truth twice: with a write-ahead log, readers are not blocked."""
    for truth in truths:
        if truth.effects and truth.effects[0].lock:
            effects = tuple(replace(effect, lock=RESERVED) for effect in truth.effects)
            yield replace(truth, effects=effects, when=truth.when | {"write-ahead log"})
        yield truth


TRUTHS = (*_both(_columns()), *_both(_tables()), *_both(_rows()))
