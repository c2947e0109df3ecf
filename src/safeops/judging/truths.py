"""Truths are data: the locks of an operation with its traits on a server, and the work under them.

Each family has its table of truths, the special ones first. Docs, messages and tests are rendered from them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from safeops.judging.operations import Operation
from safeops.naming import Name

CATALOGUE, SCAN, BUILD, REWRITE, ROWS, NO_WORK = (
    "catalogue only",
    "scan",
    "build",
    "rewrite",
    "rows",
    "nothing",
)
"""What a statement does while it holds its lock."""
LONG = frozenset({SCAN, BUILD, REWRITE, ROWS})
"""The work that takes longer the more rows there are."""
Version = tuple[int, ...]


@dataclass(frozen=True)
class Effect:
    """A lock on a table, and the work under it.

    Args:
        on: "table", "other" or "index": which table of the operation; "default partition" and so on for a family's own.
        lock: The lock as the server names it, as "ACCESS EXCLUSIVE"; of MariaDB and MySQL algorithm and lock, as
            "ALGORITHM=COPY, LOCK=SHARED"; empty for none.
        work: What it does to that table.
    """

    on: str
    lock: str
    work: str = CATALOGUE


@dataclass(frozen=True)
class Truth:
    """What a kind of operation does.

    Args:
        kind: The kind of the operation.
        effects: What it locks and does.
        when: The traits that it needs.
        unless: The traits that it must not have.
        products: The products that it holds for; empty means each of its family.
        since: The first version that it holds for.
        before: The first version that it no longer holds for.
        why: Why the server does so, as a clause that ends a sentence.
        measured: The servers that it was measured on, as "15", "18", "mariadb 10.11"; empty if it is only documented.
        source: Its documentation, if it was not measured.
        rule: The rule that a finding of it belongs to; by default that of its kind.
    """

    kind: str
    effects: tuple[Effect, ...]
    when: frozenset[str] = frozenset()
    unless: frozenset[str] = frozenset()
    products: frozenset[str] = frozenset()
    since: Version = ()
    before: Version = ()
    why: str = ""
    measured: tuple[str, ...] = ()
    source: str = ""
    rule: str = ""

    def holds_for(self, operation: Operation, product: str, version: Version) -> bool:
        """Return whether it applies to an operation; an unknown version counts as the newest."""
        return (
            operation.kind == self.kind
            and self.when <= operation.traits
            and self.unless.isdisjoint(operation.traits)
            and (not self.products or product in self.products)
            and (not version or version >= self.since)
            and (not self.before or (bool(version) and version < self.before))
        )


@dataclass(frozen=True)
class Measured:
    """What a scratch copy showed of one statement.

    Args:
        effects: The tables that were there before and that it locked, with lock and work: it takes the place of the truths.
        error: How the server refused it; None if it ran.
        exact: Whether the server was observed; False if it could not be, as with a concurrent build.
        of_the_copy: The error can come from the copy, which has no rows, or from its server, which can lack a role or an
            extension: it proves nothing.
        scanned: The tables that were there before and that it read in sequence.
        sampled: Whether a second session read the locks again and again, so a very short one can be missing.
    """

    effects: tuple[tuple[Name, str, str], ...] = ()
    error: str | None = None
    exact: bool = True
    of_the_copy: bool = False
    scanned: tuple[Name, ...] = ()
    sampled: bool = False


def truth_of(operation: Operation, truths: Iterable[Truth], product: str, version: Version = ()) -> Truth | None:
    """Return the first truth that holds for an operation; None if nothing is known of it."""
    return next((truth for truth in truths if truth.holds_for(operation, product, version)), None)
