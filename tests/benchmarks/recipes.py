"""How long an application waits while a column is renamed or gets another type, against doing it in one statement.

    SAFEOPS_PG_HOME=... python -m tests.benchmarks.recipes [--rows 1000000] [--version 18] [--repeat 3]

Two writers, an old application and a new one, each update a random row every 2 ms, all the time. Ways:

alter     op.alter_column("users", "logins", type_=BigInteger): rewrites the table
update    UPDATE users SET logins = logins: one statement over all rows
type      TypeChange("users", "logins", BigInteger()): all phases
rename    ColumnRename("users", "name", "full_name"): all phases; from expand() on the new application uses the new name
"""

from __future__ import annotations

import argparse
import datetime
import json
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path

import alembic.op
import sqlalchemy as sa

from safeops import ColumnRename, TypeChange
from tests.benchmarks import server
from tests.benchmarks.results import machine
from tests.benchmarks.writer import Waits, writing
from tests.projects import migrate
from tests.servers import Database

RESULTS = Path(__file__).parent / "results"
COUNT = "UPDATE users SET logins = logins + 1 WHERE id = %s"
OLD = "UPDATE users SET name = name || '' WHERE id = %s"
NEW = "UPDATE users SET full_name = full_name || '' WHERE id = %s"
TYPE = TypeChange("users", "logins", sa.BigInteger())
RENAME = ColumnRename("users", "name", "full_name")


class Way:
    """One method, measured on a fresh copy of the table: how long the writers waited at most, by phase."""

    def __init__(self, database: Database, rows: int) -> None:
        self.database, self.rows = database, rows
        self.longest: dict[str, float] = {}
        self.seconds: dict[str, float] = {}

    @contextmanager
    def beside(self, phase: str, *statements: str) -> Iterator[None]:
        """Measure the block while two writers run."""
        with ExitStack() as stack:
            waits: list[Waits] = [stack.enter_context(writing(self.database, self.rows, one)) for one in statements]
            time.sleep(0.5)
            began = time.monotonic()
            yield
            ended = time.monotonic()
        self.seconds[phase] = ended - began
        self.longest[phase] = max(one.between(began, ended).longest for one in waits)

    def run(self, phase: str, body: Callable[[], object], *statements: str) -> None:
        with self.beside(phase, *statements):
            migrate(self.database, body)


def alter(way: Way) -> None:
    way.run("alter", lambda: alembic.op.alter_column("users", "logins", type_=sa.BigInteger()), COUNT, COUNT)


def update(way: Way) -> None:
    way.run("update", lambda: alembic.op.execute("UPDATE users SET logins = logins"), COUNT, COUNT)


def type_(way: Way) -> None:
    for phase in ("expand", "switch", "contract", "undo_contract", "undo_switch", "undo_expand"):
        way.run(phase, getattr(TYPE, phase), COUNT, COUNT)


def rename(way: Way) -> None:
    way.run("expand", RENAME.expand, OLD, OLD)
    way.run("contract", RENAME.contract, NEW, NEW)
    way.run("undo_contract", RENAME.undo_contract, NEW, NEW)
    way.run("undo_expand", RENAME.undo_expand, OLD, OLD)


def overhead(database: Database, rows: int) -> dict[str, float]:
    """The median of single-row updates without a pair, with one, and of the column itself, in milliseconds."""
    found = {}

    def measure(what: str, statement: str) -> None:
        began = time.monotonic()
        with writing(database, rows, statement) as waits:
            time.sleep(4)
        found[what] = waits.between(began, time.monotonic()).median

    measure("alone", OLD)
    migrate(database, RENAME.expand)
    measure("renamed column, paired", OLD)
    measure("another column, paired", COUNT)
    return found


WAYS: dict[str, Callable[[Way], None]] = {"alter": alter, "update": update, "type": type_, "rename": rename}


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.benchmarks.recipes", description=__doc__.split("\n")[0])
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--version", default="18")
    parser.add_argument("--repeat", type=int, default=3)
    options = parser.parse_args(arguments)
    found: list[dict[str, object]] = []
    with server.started(options.version, {}) as running:
        for number in range(options.repeat):
            for name, measured in WAYS.items():
                with running.copy(options.rows) as database:
                    way = Way(database, options.rows)
                    measured(way)
                found.append({"repeat": number, "way": name, "longest_ms": way.longest, "seconds": way.seconds})
                print(number, name, {phase: round(wait, 1) for phase, wait in way.longest.items()}, flush=True)
        with running.copy(options.rows) as database:
            single = overhead(database, options.rows)
    summary = {name: _medians(found, name) for name in WAYS}
    started = datetime.datetime.now(datetime.timezone.utc)
    path = RESULTS / f"recipes-{started:%Y%m%d-%H%M%S}.json"
    said = {
        "machine": machine(),
        "rows": options.rows,
        "version": options.version,
        "runs": found,
        "single_row_ms": single,
    }
    path.write_text(json.dumps({**said, "longest_ms": summary}, indent=1))
    print(f"longest wait in ms, medians of {options.repeat} runs: {summary}; single rows: {single}; written to {path}")


def _medians(found: list[dict[str, object]], way: str) -> float:
    longest = [max(one["longest_ms"].values()) for one in found if one["way"] == way]  # type: ignore[attr-defined]
    return statistics.median(longest)


if __name__ == "__main__":
    main()
