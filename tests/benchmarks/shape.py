"""What a benchmark is made of: parts, and the variants of each that are compared."""

from __future__ import annotations

import dataclasses
import importlib
import time
from collections.abc import Callable, Iterator, Mapping

from tests.servers import Database

MODULES = ("backfill", "mysql", "functions", "recipes", "chain", "autogenerate")
"""The modules with parts, in the order in which they are measured."""


@dataclasses.dataclass(frozen=True)
class Variant:
    """How to do the work of a part.

    Args:
        run: Does it on a fresh copy of the database, and returns the seconds of what matters.
        ours: It uses safeops: an earlier build is measured too.
        rounds: It takes part in only so many rounds: a slow one.
    """

    title: str
    run: Callable[[Database], float]
    ours: bool = False
    rounds: int | None = None


@dataclasses.dataclass(frozen=True)
class Part:
    """Variants that are measured in turn on each of the servers.

    Args:
        servers: By the names of tests/servers.py.
        variants: By name; the first is the one whose speed is 1.
        fill: Makes the tables with so many rows in an empty database: once, each run gets a copy.
        check: Raises if a variant left work undone.
        rows: Of the table that the variants work on; with 0 each run has a newly filled database.
        quick: Rows under --quick.
        writer: An UPDATE of the row with id = %s, which an application sends every 2 ms while a variant runs; after a line
            break, the one that it sends when the column was renamed.
        in_memory: On the servers of the tests, which flush nothing, as those of a test suite.
    """

    name: str
    title: str
    servers: tuple[str, ...]
    variants: Mapping[str, Variant]
    fill: Callable[[Database, int], None]
    check: Callable[[Database], None]
    rows: int
    quick: int
    rounds: int = 5
    writer: str = ""
    in_memory: bool = False


def parts() -> Iterator[tuple[str, Part]]:
    """Each part, with the module that it is in."""
    for module in MODULES:
        for part in importlib.import_module(f"tests.benchmarks.{module}").PARTS:
            yield module, part


def unchecked(_database: Database) -> None:
    """Other tests prove what the variants leave."""


def timed(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began
