"""What a run measured, as it is kept in a file, and the ratios that are made of it."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
import statistics
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

IDLE = "idle"


@dataclasses.dataclass(frozen=True)
class Spread:
    """The median of some rounds, between the lowest and the highest."""

    median: float
    low: float
    high: float

    @classmethod
    def of(cls, values: Sequence[float]) -> Spread:
        return cls(statistics.median(values), min(values), max(values))

    def format(self, form: str = ".2f") -> str:
        return f"{self.median:{form}} ({self.low:{form}}–{self.high:{form}})"


@dataclasses.dataclass
class Series:
    """One variant on one server: the n-th run was next to the n-th of the other variants of the part.

    Args:
        build: The commit of an earlier safeops, or "".
        seconds: What the variant took.
        cpu_seconds: What the server's sessions and the client took of the processor.
        peak_mb: Of the memory of the client.
        longest: What an update of the writer waited, in milliseconds; empty if the part has no writer.
        p99: The same, of 99 %.
        median: The same, of half of them.
    """

    part: str
    server: str
    variant: str
    title: str
    rows: int
    build: str = ""
    seconds: list[float] = dataclasses.field(default_factory=list)
    cpu_seconds: list[float] = dataclasses.field(default_factory=list)
    peak_mb: list[float] = dataclasses.field(default_factory=list)
    longest: list[float] = dataclasses.field(default_factory=list)
    p99: list[float] = dataclasses.field(default_factory=list)
    median: list[float] = dataclasses.field(default_factory=list)

    @property
    def major(self) -> str:
        """The server without what follows the first number of its version, as "PostgreSQL 18"; of MariaDB and MySQL two."""
        product, _, version = self.server.partition(" ")
        return f"{product} {'.'.join(version.split('.')[: 1 if product == 'PostgreSQL' else 2])}"

    def speed(self, other: Series) -> Spread:
        """How many times as fast as another one."""
        return Spread.of([theirs / mine for mine, theirs in zip(self.seconds, other.seconds, strict=False)])

    def wait(self, other: Series) -> Spread:
        """Its longest wait as a multiple of another one's."""
        return Spread.of([mine / theirs for mine, theirs in zip(self.longest, other.longest, strict=False)])


@dataclasses.dataclass
class Results:
    started: str
    commit: str
    machine: dict[str, Any]
    settings: dict[str, dict[str, str]]
    titles: dict[str, str]
    series: list[Series] = dataclasses.field(default_factory=list)
    commits: dict[str, str] = dataclasses.field(default_factory=dict)
    """Of the parts that were measured again at another commit."""

    def write(self, path: Path) -> None:
        """Keep the file as it was if this is interrupted."""
        path.parent.mkdir(parents=True, exist_ok=True)
        head = {key: value for key, value in dataclasses.asdict(self).items() if key != "series"}
        lines = ",\n".join("  " + json.dumps(dataclasses.asdict(one)) for one in self.series)
        text = json.dumps(head, indent=1)[:-2] + f',\n "series": [\n{lines}\n ]\n}}\n'
        other = path.with_suffix(".new")
        other.write_text(text)
        other.replace(path)

    @classmethod
    def read(cls, path: Path) -> Results:
        raw = json.loads(path.read_text())
        return cls(**{**raw, "series": [Series(**one) for one in raw["series"]]})

    def of(self, part: str, server: str) -> list[Series]:
        """What was measured of a part, on a server by its name with or without the end of its version."""
        return [one for one in self.series if one.part == part and server in (one.server, one.major) and one.seconds]

    def one(self, part: str, server: str, variant: str, build: str = "") -> Series | None:
        found = (one for one in self.of(part, server) if (one.variant, one.build) == (variant, build))
        return next(found, None)

    def tables(self) -> Iterator[tuple[str, str]]:
        """The parts and servers, in the order in which they were measured."""
        yield from dict.fromkeys((one.part, one.server) for one in self.series if one.seconds)


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
