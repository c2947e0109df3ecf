"""What a run measured, and the ratios that are made of it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tests.benchmarks.alone import Run
from tests.benchmarks.variants import SINGLE
from tests.benchmarks.writer import Waited

IDLE = "idle"


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median of some repeats, between the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def format(self, form: str = ".2f") -> str:
        return f"{self.median:{form}} ({self.low:{form}}–{self.high:{form}})"


@dataclasses.dataclass
class ServerResults:
    """What was measured on one server, by repeats: the n-th of one list was run next to the n-th of another."""

    version: str
    seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    cpu_seconds: dict[str, list[float]] = dataclasses.field(default_factory=dict)
    waits: dict[str, list[Waited]] = dataclasses.field(default_factory=dict)
    alone: dict[str, dict[int, list[Run]]] = dataclasses.field(default_factory=dict)

    def speed(self, variant: str, other: str = SINGLE) -> Spread:
        """How many times as fast as another one."""
        pairs = zip(self.seconds[variant], self.seconds[other], strict=True)
        return Spread.of([theirs / mine for mine, theirs in pairs])

    def wait_ratio(self, what: str, variant: str, other: str) -> Spread:
        pairs = zip(self.waits[variant], self.waits[other], strict=True)
        return Spread.of([getattr(mine, what) / getattr(theirs, what) for mine, theirs in pairs])

    def cost_per_row(self, variant: str, large: int, small: int) -> Spread:
        """How many times as much a row costs in the large table as in the small one."""
        runs = self.alone[variant]
        pairs = zip(runs[large], runs[small], strict=True)
        return Spread.of([(many.seconds / large) / (few.seconds / small) for many, few in pairs])

    def peak_growth_mb(self, variant: str, large: int, small: int) -> Spread:
        runs = self.alone[variant]
        return Spread.of(
            [(many.peak_kb - few.peak_kb) / 1024 for many, few in zip(runs[large], runs[small], strict=True)]
        )


@dataclasses.dataclass
class Results:
    started: str
    machine: dict[str, Any]
    settings: dict[str, str]
    rows: int
    sizes: dict[str, int]
    subject: str
    servers: list[ServerResults] = dataclasses.field(default_factory=list)

    def write(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(dataclasses.asdict(self), indent=1) + "\n")

    @classmethod
    def read(cls, path: Path) -> Results:
        raw = json.loads(path.read_text())
        return cls(**{**raw, "servers": [_server(server) for server in raw["servers"]]})


def _server(raw: dict[str, Any]) -> ServerResults:
    waits = {name: [Waited(**wait) for wait in waits] for name, waits in raw["waits"].items()}
    alone = {
        name: {int(rows): [Run(**run) for run in runs] for rows, runs in sizes.items()}
        for name, sizes in raw["alone"].items()
    }
    return ServerResults(raw["version"], raw["seconds"], raw["cpu_seconds"], waits, alone)


def machine() -> dict[str, Any]:
    model = [line for line in Path("/proc/cpuinfo").read_text().splitlines() if line.startswith("model name")]
    memory = Path("/proc/meminfo").read_text().split()[1]
    return {
        "system": platform.platform(),
        "processor": model[0].split(":")[1].strip() if model else platform.machine(),
        "cores": os.cpu_count(),
        "memory_gb": round(int(memory) / 2**20),
        "python": platform.python_version(),
    }
