"""Records what a revision sends: each statement with its line, its transaction, and the call of ``op`` that sent it."""

from __future__ import annotations

import re
import sys
import time
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from types import FrameType
from typing import Any

from safeops import _alembic
from safeops.execution.recording import helpers_recorded_by
from safeops.judging.sent import Call, Event, HelperSent, Place, Sent, Unseen
from safeops.policy import assurance

MOST, LONGEST = 10_000, 20.0
"""The limits of one revision, in statements and seconds: beyond them it counts as an endless loop."""
NUMBER = re.compile(r"\d+")
LIBRARIES = ("alembic", "sqlalchemy", "safeops", "contextlib", "importlib", "asyncio", "greenlet", "concurrent")


class Endless(BaseException):
    """A revision sends statements indefinitely; its ``except Exception`` must not catch this."""


@dataclass(frozen=True)
class _Given:
    """A call of ``op``: its place, and the ``assured(...)`` around it."""

    call: Call
    place: Place | None
    assured: str | None


@dataclass
class Recorder:
    """What one revision sends.

    Args:
        file: Its file, whose lines are the places of what it sends.
        made_up: The numbers in made-up values, and made-up values without a number.
    """

    file: str
    made_up: set[Any] = field(default_factory=set)

    def __post_init__(self) -> None:
        self.events: list[Event] = []
        self.helpers = 0
        self.batched: list[Any] = []
        """The operations of batches, which suppose that a table has certain columns and constraints."""
        self._transactions = 0
        self._calls = 0
        self._given: _Given | None = None
        self._repeats: Counter[tuple[str, Place | None]] = Counter()
        self._began_at = time.monotonic()

    # What it sends ----------------------------------------------------------------------------------------------

    def statement(self, sql: str, parameters: Any, transaction: int | None, times: int = 1) -> None:
        """Record a statement that is sent now."""
        if len(self.events) >= MOST or time.monotonic() - self._began_at > LONGEST:
            raise Endless(
                f"The review stopped it after {len(self.events):,} statements: it might send them indefinitely."
            )
        given = self._given or _Given(Call(""), self.place(), assurance())
        sent = Sent(sql, parameters or None, times, transaction, given.place, given.call if self._given else None)
        self.events.append(
            replace(sent, synthetic=self._is_synthetic(sql, parameters), assured=given.assured or assurance())
        )

    def unseen(self, why: str, error: BaseException) -> Unseen:
        """Return an event without a known effect, at the line that raised an error."""
        return Unseen(why, self._place_of(error))

    def repeats(self, sql: str) -> int:
        """Count how often the newest statement was sent from its line, with any numbers in it."""
        key = NUMBER.sub("0", sql), self.events[-1].place
        self._repeats[key] += 1
        return self._repeats[key]

    def next_transaction(self) -> int:
        """Return the number of a transaction that begins."""
        self._transactions += 1
        return self._transactions - 1

    def _is_synthetic(self, sql: str, parameters: Any) -> bool:
        if not self.made_up:
            return False
        return self._has_made_up(sql) or any(
            self._has_made_up(value) if isinstance(value, str) else value in self.made_up
            for value in _values(parameters)
        )

    def _has_made_up(self, text: str) -> bool:
        return any(int(number) in self.made_up for number in NUMBER.findall(text))

    # Places -----------------------------------------------------------------------------------------------------

    def place(self) -> Place | None:
        """Return the line of the revision that runs; else that of the first function outside of all libraries."""
        outside: Place | None = None
        frame: FrameType | None = sys._getframe(1)
        while frame is not None:
            if frame.f_code.co_filename == self.file:
                return Place(self.file, frame.f_lineno)
            if outside is None and not _is_library(frame):
                outside = Place(frame.f_code.co_filename, frame.f_lineno)
            frame = frame.f_back
        return outside

    def _place_of(self, error: BaseException) -> Place | None:
        place, found = error.__traceback__, None
        while place is not None:
            if place.tb_frame.f_code.co_filename == self.file:
                found = Place(self.file, place.tb_lineno)
            place = place.tb_next
        return found

    # Calls of op and of helpers ---------------------------------------------------------------------------------

    @contextmanager
    def recording(self) -> Iterator[None]:
        """Note for the block which call of ``op`` sends a statement, and note helpers instead of running them."""
        with _alembic.invoking_by(self._invoke), helpers_recorded_by(self.helper):
            yield

    def _invoke(self, operations: Any, operation: Any, invoke: Any) -> Any:
        before, self._given = self._given, self._given or self._new_call(operation)
        batch = _alembic.batch_of(operations, self._began)
        if batch is not None:
            self.batched.append(operation)
        try:
            return invoke(operations, operation)
        finally:
            if batch is not None:
                # They run when the batch ends, at the line of the ``with``.
                batch.given += [self._given] * (len(batch) - len(batch.given))
            self._given = before

    def _new_call(self, operation: Any) -> _Given:
        self._calls += 1
        name = _name_of(operation)
        kept = None if name == "execute" else operation
        return _Given(Call(name, kept, self._calls), self.place(), assurance())

    def _began(self, given: _Given | None) -> None:
        self._given = given

    def helper(self, name: str, given: Mapping[str, Any]) -> bool:
        """Record a helper; return whether that takes the place of running it."""
        self.helpers += 1
        self.events.append(HelperSent(name, dict(given), self.place()))
        return True


def _name_of(operation: Any) -> str:
    """Return how an operation is called: ``create_index`` for a CreateIndexOp."""
    name = type(operation).__name__.removesuffix("Op")
    return "execute" if name == "ExecuteSQL" else re.sub(r"(?<!^)(?=[A-Z])", "_", name).lower()


def _is_library(frame: FrameType) -> bool:
    module = str(frame.f_globals.get("__name__", ""))
    return module.partition(".")[0] in LIBRARIES or frame.f_code.co_filename.startswith("<")


def _values(parameters: Any) -> Iterator[Any]:
    """Return each value in the parameters of a statement that can be looked up."""
    if isinstance(parameters, Mapping):
        parameters = list(parameters.values())
    if isinstance(parameters, (str, bytes)) or not isinstance(parameters, Sequence):
        yield parameters
        return
    for value in parameters:
        yield from _values(value)
