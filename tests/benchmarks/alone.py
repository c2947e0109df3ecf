"""One variant in its own process, which reports what it cost: by the build of safeops that its PYTHONPATH names."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import sqlalchemy as sa

from tests.benchmarks.shape import Part
from tests.servers import ROOT, Database


@dataclasses.dataclass(frozen=True)
class Alone:
    """What a process measured of itself.

    Args:
        seconds: What the variant returned.
        cpu_seconds: Of this process and those that it started, all the time.
        peak_kb: The largest part of the memory that this process had.
        began: By a clock that all processes share.
        ended: By the same.
        build: The folder that safeops was imported from; "" if it was not.
    """

    seconds: float
    cpu_seconds: float
    peak_kb: int
    began: float
    ended: float
    build: str


def run_alone(module: str, part: str, variant: str, database: Database, build: Path) -> Alone:
    url = database.url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", __name__, module, part, variant, url, database.kind]
    environment = {**os.environ, "PYTHONPATH": f"{build}{os.pathsep}{ROOT}"}
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True, cwd=ROOT, env=environment)
    if done.returncode:
        raise RuntimeError(f"{variant} ended with status {done.returncode}:\n{done.stderr.strip()[-600:]}")
    alone = Alone(**json.loads(done.stdout.splitlines()[-1]))
    if alone.build and Path(alone.build) != build:
        raise RuntimeError(f"{variant} ran with the safeops of {alone.build}, not of {build}")
    return alone


def _peak_kb() -> int:
    # Not ru_maxrss: a process starts there with the peak of the one that it was forked from.
    status = Path("/proc/self/status")
    if not status.exists():
        return 0
    lines = dict(line.split(":", 1) for line in status.read_text().splitlines())
    return int(lines["VmHWM"].split()[0])


def _cpu_seconds() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def main(module: str, part: str, variant: str, url: str, kind: str) -> None:
    parts: Mapping[str, Part] = {one.name: one for one in importlib.import_module(f"tests.benchmarks.{module}").PARTS}
    address = sa.make_url(url)
    server: Any = SimpleNamespace(kind=kind, drivername=address.drivername)
    cpu, began = _cpu_seconds(), time.monotonic()
    seconds = parts[part].variants[variant].run(Database(address, cast("Any", server)))
    ended, used, safeops = time.monotonic(), _cpu_seconds() - cpu, sys.modules.get("safeops")
    build = str(Path(str(safeops.__file__)).parents[1]) if safeops else ""
    print(json.dumps(dataclasses.asdict(Alone(seconds, used, _peak_kb(), began, ended, build))))


if __name__ == "__main__":
    main(*sys.argv[1:])
