"""Tests replacements: they run on the scratch copy, and end in the same schema."""

from __future__ import annotations

import ast
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from dataclasses import dataclass
from difflib import unified_diff
from io import StringIO
from typing import Any

from alembic.config import Config
from alembic.script import Script
from sqlalchemy.engine import Connection

import safeops
from safeops.databases import database_on
from safeops.databases.driver_text import send_again
from safeops.errors import Irreversible, SafeOpsError
from safeops.execution.migration import current_connection
from safeops.judging.replacements import Replacement
from safeops.judging.sent import Recording, Sent
from safeops.planned import summary
from safeops.review.catalogue import Catalogue
from safeops.review.scratch import Copy, Unreached
from safeops.review.tracing import Trace

Written = tuple[Sent, Replacement]
IMPORTS = "import safeops, sqlalchemy as sa\nfrom alembic import op"
"""What a revision has imported, in addition to the names of safeops."""
SHOWN = 10
"""Lines of a difference that are kept."""


@dataclass(frozen=True)
class Trial:
    """The result of code that was run instead of statements.

    Args:
        error: What it raised; None if it ran.
        differences: How the schema differs afterwards from that of the statements; none if it is the same.
        undo_error: What its downgrade raised; None if it ran, or if there is none.
        undo_differences: How the schema differs after its downgrade from the one before.
        has_undo: Whether it has a downgrade that does something.
    """

    error: str | None = None
    differences: tuple[str, ...] = ()
    undo_error: str | None = None
    undo_differences: tuple[str, ...] = ()
    has_undo: bool = False

    @property
    def is_same(self) -> bool:
        """Whether it ran and ends in the same schema."""
        return self.error is None and not self.differences

    @property
    def is_undone(self) -> bool:
        """Whether its downgrade, if there is one, ran and ends in the schema before."""
        return self.undo_error is None and not self.undo_differences


class Trials:
    """Tries replacements, each on the schema that the statement finds.

    Args:
        config: The configuration of the project.
        scratch_url: An empty database, as for ``record_scratch``.
    """

    def __init__(self, config: Config, scratch_url: str | None = None) -> None:
        self._copy = Copy(config, scratch_url, saves=True)

    def __enter__(self) -> Trials:
        return self

    def __exit__(self, *_: object) -> None:
        self._copy.close()

    def tried(self, one: Script, recording: Recording, written: Sequence[Written]) -> list[Trial | None]:
        """Return the result of each replacement; None if it cannot be tested.

        The statements of one call of ``op``, and those of one line, are replaced together.

        Args:
            one: The revision.
            recording: What it did on a scratch copy.
            written: Statements of the recording, and what to write instead.
        """
        places = [_place_of(recording, sent) for sent, _ in written]
        trials: dict[int, Trial | None] = {}
        for group in _groups(recording, places):
            pairs = [(place, new) for place, (_, new) in zip(places, written, strict=True) if place in group]
            trials |= dict.fromkeys(group, self._trial(one, recording, group, pairs))
        return [None if place is None else trials.get(place) for place in places]

    def _trial(
        self, one: Script, recording: Recording, group: list[int], written: list[tuple[int, Replacement]]
    ) -> Trial | None:
        code = _code(recording, group, written)
        if code is None:
            return None
        old = _Original(one.path, group[0], group[-1])
        new = _Replaced(one.path, group[0], code, _undo(written))
        try:
            raised = self._copy.run(one, old) or self._copy.run(one, new)
        except Unreached:
            return None
        return new.trial(old) if raised is None and old.stopped and new.stopped else None


# Which statements -----------------------------------------------------------------------------------------------


def _place_of(recording: Recording, sent: Sent) -> int | None:
    """Return the number of a statement in a recording, be it one of another rung."""
    events = recording.events
    same = [place for place, event in enumerate(events) if event is sent]
    alike = [place for place, event in enumerate(events) if isinstance(event, Sent) and _alike(event, sent)]
    return next(iter([*same, *alike]), None)


def _alike(one: Sent, other: Sent) -> bool:
    return (one.sql.split(), one.place) == (other.sql.split(), other.place)


def _groups(recording: Recording, places: Iterable[int | None]) -> Iterator[list[int]]:
    """Yield the numbers of the statements that are replaced together."""
    done: set[int] = set()
    for place in places:
        if place is None or place in done:
            continue
        key = _key(recording.events[place])
        group = [each for each, event in enumerate(recording.events) if _key(event) == key]
        done.update(group)
        yield group


def _key(event: Any) -> object:
    if not isinstance(event, Sent):
        return None
    return event.call.number if event.call is not None else event.place


# What to run ----------------------------------------------------------------------------------------------------

Step = Callable[[], object]


def _code(recording: Recording, group: list[int], written: list[tuple[int, Replacement]]) -> list[Step] | None:
    """Return the replacement of some statements; those without one stay unchanged."""
    steps: list[Step] = []
    texts: list[str] = []
    for place in group:
        new = [replacement.upgrade for number, replacement in written if number == place]
        if any(not text for text in new):
            return None
        event = recording.events[place]
        if not new and isinstance(event, Sent):
            steps.append(_sender(event))
        for text in new:
            if text not in texts:
                texts.append(text)
                steps.append(_runner(text))
    return steps


def _undo(written: list[tuple[int, Replacement]]) -> list[Step]:
    texts = list(dict.fromkeys(replacement.downgrade for _, replacement in written))
    return [_runner(text) for text in reversed(texts) if _does_something(text)]


def _does_something(code: str) -> bool:
    try:
        return any(not isinstance(statement, ast.Pass) for statement in ast.parse(code).body)
    except SyntaxError:
        return True


def _runner(code: str) -> Step:
    names = {name: getattr(safeops, name) for name in safeops.__all__}

    def run() -> None:
        with redirect_stdout(StringIO()):
            exec(f"{IMPORTS}\n{code}", dict(names))

    return run


def _sender(sent: Sent) -> Step:
    def run() -> None:
        send_again(current_connection(), sent.sql, sent.parameters)

    return run


# Runs -----------------------------------------------------------------------------------------------------------


class _Original(Trace):
    """A run up to the statements that are replaced, and with them: the schema before and after.

    Args:
        file: The file of the revision.
        first: The number of the first statement.
        last: The number of the last one.
    """

    def __init__(self, file: str, first: int, last: int) -> None:
        super().__init__(file)
        self._first, self._last_one = first, last
        self.before: list[str] = []
        self.after: list[str] = []

    def comes(self, connection: Connection) -> None:
        if len(self.events) == self._first:
            with self.ignoring():
                self.before = _schema(connection)

    def came(self, connection: Connection) -> None:
        if len(self.events) == self._last_one + 1:
            with self.ignoring():
                self.after = _schema(connection)
            self.stop()


class _Replaced(Trace):
    """A run up to the statements that are replaced, and what takes their place.

    Args:
        file: The file of the revision.
        first: The number of the first statement.
        steps: What to run.
        undo: What undoes it.
    """

    def __init__(self, file: str, first: int, steps: list[Step], undo: list[Step]) -> None:
        super().__init__(file)
        self._first, self._steps, self._undo = first, steps, undo
        self._made: list[str] = []
        self._undone: list[str] | None = None
        self._error: Exception | None = None
        self._undo_error: Exception | None = None

    def comes(self, connection: Connection) -> None:
        if len(self.events) != self._first:
            return
        self.committed = True
        with self.ignoring():
            self._error = _raised(self._steps)
            if self._error is None:
                self._made = _schema(current_connection())
                self._take_back()
        self.stop()

    def _take_back(self) -> None:
        self._undo_error = _raised(self._undo)
        if isinstance(self._undo_error, Irreversible):
            self._undo, self._undo_error = [], None
        elif self._undo and self._undo_error is None:
            self._undone = _schema(current_connection())

    def trial(self, original: _Original) -> Trial:
        """Return the result."""
        if self._error is not None:
            return Trial(error=_said(self._error))
        return Trial(
            None,
            _differences(original.after, self._made),
            _said(self._undo_error) if self._undo_error is not None else None,
            () if self._undone is None else _differences(original.before, self._undone),
            bool(self._undo),
        )


def _raised(steps: list[Step]) -> Exception | None:
    try:
        for step in steps:
            step()
    except Exception as error:
        return error
    return None


def _schema(connection: Connection) -> list[str]:
    return Catalogue.of(database_on(connection)).lines()


def _differences(expected: list[str], found: list[str]) -> tuple[str, ...]:
    lines = [
        line for line in unified_diff(expected, found, lineterm="", n=0) if not line.startswith(("---", "+++", "@@"))
    ]
    return tuple(lines[:SHOWN])


def _said(error: BaseException) -> str:
    return error.problem if isinstance(error, SafeOpsError) else summary(error)
