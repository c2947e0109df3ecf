"""One variant in its own process, which reports its cost: seconds, and the peak of this process's memory."""

from __future__ import annotations

import dataclasses
import json
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa

from tests.servers import Database


@dataclasses.dataclass(frozen=True)
class Run:
    seconds: float
    peak_kb: int


def run_alone(variant: str, database: Database) -> Run:
    command = [sys.executable, "-m", __name__, variant, database.url.render_as_string(hide_password=False)]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True, check=True)
    return Run(**json.loads(done.stdout.splitlines()[-1]))


def _peak_kb() -> int:
    # Not ru_maxrss: a process starts there with the peak of the one that it was forked from.
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0])


def main(variant: str, url: str) -> None:
    from tests.benchmarks.variants import VARIANTS

    server: Any = SimpleNamespace(kind="postgresql", drivername="postgresql+psycopg")
    database = Database(sa.make_url(url), cast("Any", server))
    seconds = VARIANTS[variant].run(database)
    print(json.dumps(dataclasses.asdict(Run(seconds, _peak_kb()))))


if __name__ == "__main__":
    main(*sys.argv[1:])
