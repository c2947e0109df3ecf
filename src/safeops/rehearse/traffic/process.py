"""The traffic, as the rehearsal sees it: a separate process, which does not slow the revisions."""

from __future__ import annotations

import json
import os
import queue
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, Engine
from typing_extensions import Self

from safeops.errors import SafeOpsError
from safeops.naming import Name
from safeops.rehearse.temporary_folder import temporary_folder
from safeops.rehearse.traffic.comparison import compare
from safeops.rehearse.traffic.losses import Comparison
from safeops.rehearse.traffic.plan import TrafficPlan
from safeops.rehearse.traffic.replacements import Replacements
from safeops.rehearse.traffic.result import TrafficResult

START = 60.0
"""Seconds for the traffic to read its rows and to try its statements."""
ANSWER = 60.0
MODULE = "safeops.rehearse.traffic"


class Traffic:
    """Traffic on a database, for the block; it also ends with this process, however that ends.

    Args:
        url: The database.
        plan: What the traffic does.
        writers: The clients that write each table, next to one that reads it.
        rate: The statements a second of all of them together.
        seed: Decides which rows and values they take; None takes others each time, since new values must be unique.

    Example:
        with Traffic(url, plan_of(engine, [Name("users")])) as traffic:
            traffic.mark("during")
            command.upgrade(config, "head")
            traffic.mark("after")
            time.sleep(2)
            result = traffic.stop()
    """

    def __init__(
        self, url: URL | str, plan: TrafficPlan, writers: int = 2, rate: float = 150.0, *, seed: int | None = None
    ) -> None:
        self.url = url if isinstance(url, str) else url.render_as_string(hide_password=False)
        self.plan, self.writers, self.rate, self.seed = plan, writers, rate, seed
        self.notes: tuple[str, ...] = plan.notes
        self.elsewhere: frozenset[Name] = frozenset()
        """The tables whose rows the traffic changes without naming them, by a trigger or a foreign key."""
        self.latest: dict[str, Any] = {}
        """The last report of the process: ``reads``, ``writes``, and ``waiting``: client, table and seconds of each."""
        self._answers: queue.Queue[dict[str, Any]] = queue.Queue()
        self._result: TrafficResult | None = None
        self._process: subprocess.Popen[str] | None = None

    def __enter__(self) -> Self:
        with ExitStack() as stack:
            self._folder = stack.enter_context(temporary_folder("safeops_traffic_"))
            stack.callback(self._end)
            self._start()
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    @property
    def process_id(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def ledger(self) -> Path:
        """The file of the acknowledged writes, which is deleted at the end of the block."""
        return self._folder / "ledger"

    def mark(self, phase: str) -> None:
        """Begin a phase: "before", "during", "after", or another one."""
        self._ask("mark", phase=phase, at=time.monotonic())

    def pause(self) -> None:
        """Let every client finish its statement, and send no other one until ``resume``."""
        self._ask("pause", seconds=ANSWER / 2)

    def resume(self) -> None:
        self._ask("resume")

    def compare(self, engine: Engine, replacements: Replacements | None = None) -> Comparison:
        """Compare the acknowledged writes with the tables as they are now, while the traffic is paused or after it.

        Args:
            engine: Reaches the database.
            replacements: What the revisions have renamed, or given another type.
        """
        return compare(self.ledger, self.plan, engine, replacements)

    def stop(self) -> TrafficResult:
        """End the traffic, and return what it met."""
        if self._result is None:
            answer = self._ask("stop")
            self._result = TrafficResult.from_json(answer["result"])
            self._wait()
        return self._result

    # The process ------------------------------------------------------------------------------------------------

    def _start(self) -> None:
        order = {
            "url": self.url,
            "plan": self.plan.as_json(),
            "folder": str(self._folder),
            "writers": self.writers,
            "rate": self.rate,
            "seed": self.seed,
        }
        with (self._folder / "errors").open("w") as errors:
            self._process = subprocess.Popen(
                _command(), stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=errors, text=True, env=_environment()
            )
        threading.Thread(target=self._listen, args=[self._process], daemon=True).start()
        # The URL is sent over the input: the arguments of a process are visible to all.
        self._send(order)
        answer = self._answer(START)
        if "failed" in answer:
            raise _not_started(answer["failed"])
        self.notes = (*self.plan.notes, *answer["notes"])
        self.elsewhere = frozenset(Name(**one) for one in answer["elsewhere"])

    def _listen(self, process: subprocess.Popen[str]) -> None:
        assert process.stdout is not None
        for line in process.stdout:
            said = json.loads(line)
            if "tick" in said:
                self.latest = said
            else:
                self._answers.put(said)
        self._answers.put({"ended": True})

    def _ask(self, what: str, **details: Any) -> dict[str, Any]:
        self._send({"do": what, **details})
        return self._answer(ANSWER)

    def _send(self, message: dict[str, Any]) -> None:
        assert self._process is not None and self._process.stdin is not None
        try:
            self._process.stdin.write(json.dumps(message) + "\n")
            self._process.stdin.flush()
        except BrokenPipeError as error:
            raise self._died() from error

    def _answer(self, seconds: float) -> dict[str, Any]:
        try:
            answer = self._answers.get(timeout=seconds)
        except queue.Empty as error:
            raise self._died() from error
        if "ended" in answer:
            raise self._died()
        return answer

    def _died(self) -> SafeOpsError:
        said = (self._folder / "errors").read_text().strip().splitlines()
        return SafeOpsError(
            f"The process of the traffic does not answer{': ' + said[-1] if said else ''}.",
            why="It sends statements to the copy while the revisions run. Something ended it, or the machine is overloaded.",
            remedy="Run the rehearsal again, or without traffic:",
            code="safeops rehearse --traffic none",
        )

    def _wait(self) -> None:
        assert self._process is not None
        try:
            self._process.wait(ANSWER)
        except subprocess.TimeoutExpired:
            self._process.kill()

    def _end(self) -> None:
        process = self._process
        if process is not None:
            process.kill()
            process.wait()
            for pipe in (process.stdin, process.stdout):
                if pipe is not None:
                    pipe.close()


def _command() -> Sequence[str]:
    return [sys.executable, "-m", MODULE]


def _environment() -> dict[str, str]:
    """Return the environment in which the process imports what this one does."""
    return {**os.environ, "PYTHONPATH": os.pathsep.join(path for path in sys.path if path)}


def _not_started(words: str) -> SafeOpsError:
    return SafeOpsError(
        f"The traffic cannot begin: {words}",
        why="It connects to the copy by its URL, in a separate process, and reads some rows of each table first.",
        remedy="Check that the URL alone is enough to connect, or rehearse without traffic:",
        code="safeops rehearse --traffic none",
    )
