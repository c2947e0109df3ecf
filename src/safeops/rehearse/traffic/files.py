"""Traffic from a file: SQL statements with rates, or a script of pgbench."""

from __future__ import annotations

import random
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from safeops.errors import InvalidArgument
from safeops.rehearse.traffic.expressions import evaluate
from safeops.rehearse.traffic.plan import Script, Step, TrafficPlan
from safeops.rehearse.traffic.sql import Statement, split_statements

RATE = re.compile(r"--\s*rate:\s*([\d.]+)\s*/?\s*(s|min|h)?\w*\s*$", re.I)
SECONDS = {"s": 1.0, "min": 60.0, "h": 3600.0}
UNITS = {"us": 1e-6, "ms": 1e-3, "s": 1.0}
EXAMPLE = """\\set id random(1, 1000)
-- rate: 20/s
SELECT * FROM users WHERE id = :id;"""


def plan_from_file(path: Path | str) -> TrafficPlan:
    """Read traffic from a file.

    Each statement after a line ``-- rate: 20/s`` runs at that rate; statements up to the next such line run one after
    another. Without such lines the whole file is a script that repeats, as in pgbench. ``:name`` is a variable, which
    ``\\set`` defines for what follows.

    Args:
        path: The file.

    Raises:
        InvalidArgument: A line cannot be read.

    Example:
        plan = plan_from_file("traffic.sql")
    """
    place = Path(path)
    try:
        lines = place.read_text().splitlines()
    except OSError as error:
        raise InvalidArgument(f"The file of the traffic cannot be read: {error}.", remedy="Check its name.") from error
    reader = _Reader(place)
    for number, line in enumerate(lines, 1):
        reader.line(number, line)
    return TrafficPlan(scripts=tuple(reader.scripts()))


@dataclass
class _Section:
    """What runs at one rate."""

    rate: float | None
    line: int
    steps: list[Step] = field(default_factory=list)


class _Reader:
    def __init__(self, path: Path) -> None:
        self.path = path
        self.sections = [_Section(None, 1)]
        self.variables: dict[str, object] = {"scale": 1, "client_id": 0}
        self._text = ""

    def line(self, number: int, line: str) -> None:
        rate = RATE.match(line.strip())
        if rate or line.lstrip().startswith("\\"):
            self._end_statements(number)
        if rate:
            self.sections.append(_Section(float(rate[1]) / SECONDS[(rate[2] or "s").lower()], number))
        elif line.lstrip().startswith("\\"):
            self.sections[-1].steps.append(self._command(number, line.strip()))
        else:
            self._text += f"{line}\n"

    def scripts(self) -> Iterator[Script]:
        """Return the scripts; what comes before the first rate defines variables for all of them."""
        self._end_statements(0)
        first, *rest = self.sections
        if not rest or any(step.sql for step in first.steps):
            rest, shared = self.sections, []
        else:
            shared = first.steps
        for section in rest:
            if any(step.sql for step in section.steps):
                yield Script((*shared, *section.steps), section.rate, (), f"{self.path}:{section.line}")

    def _command(self, number: int, line: str) -> Step:
        words = line.split(None, 2)
        if words[0] == "\\set" and len(words) == 3:
            self._check(number, words[1], words[2])
            return Step(variable=words[1], expression=words[2])
        if words[0] == "\\sleep" and len(words) > 1 and words[1].isdigit():
            return Step(pause=int(words[1]) * UNITS.get("".join(words[2:3]) or "s", 1.0))
        raise self._refused(number, line)

    def _check(self, number: int, variable: str, expression: str) -> None:
        try:
            self.variables[variable] = evaluate(expression, self.variables, random.Random(0))
        except (ValueError, SyntaxError, TypeError, ArithmeticError) as error:
            raise self._refused(number, expression) from error

    def _end_statements(self, number: int) -> None:
        for text in split_statements(self._text):
            unknown = [name for name in Statement.read(text).names if name not in self.variables]
            if unknown:
                raise self._refused(number or 0, f":{unknown[0]}")
            self.sections[-1].steps.append(Step(sql=text))
        self._text = ""

    def _refused(self, number: int, what: str) -> InvalidArgument:
        place = f"{self.path}, line {number}" if number else str(self.path)
        return InvalidArgument(
            f"{place}: {what} is not known.",
            why="A file of traffic has SQL statements, \\set with numbers, variables and random functions, and \\sleep.",
            remedy="Define each variable before the statement that uses it:",
            code=EXAMPLE,
        )
