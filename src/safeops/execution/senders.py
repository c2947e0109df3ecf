"""Whose code sends the statement that is about to be sent: the revision's own, a helper's, or Alembic's."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from enum import Enum
from types import CodeType, FrameType
from typing import Any

from alembic.runtime.migration import MigrationContext

from safeops.execution.migration import is_migrating

_RUN = MigrationContext.run_migrations.__code__


class Who(Enum):
    """Whose code it is."""

    REVISION = "the revision's own, also in a library that it calls"
    HELPER = "a helper's, or another part's of safeops"
    ALEMBIC = "Alembic's, or that of env.py"


@dataclass(frozen=True)
class Sender:
    """The migration that runs, and whose code in it sends a statement.

    Args:
        context: The context of the migration.
        step: Alembic's step, which knows the revision; None before the first one.
        who: Whose code it is.
        innermost: The frame that sends it.
        outermost: The frame of Alembic that runs the revision.
    """

    context: MigrationContext
    step: Any
    who: Who
    innermost: FrameType | None = None
    outermost: FrameType | None = None

    @property
    def revision(self) -> str:
        return str(getattr(getattr(self.step, "revision", None), "revision", ""))

    @property
    def is_upgrade(self) -> bool:
        return bool(getattr(self.step, "is_upgrade", True))


def sender() -> Sender | None:
    """Return who sends a statement, from inside an event about it; None if no migration runs."""
    if not is_migrating():
        return None
    frame: FrameType | None = sys._getframe(1)
    while frame is not None and _is_ours(frame):
        frame = frame.f_back
    through_helper, inner, innermost = False, None, frame
    while frame is not None and frame.f_code is not _RUN:
        through_helper = through_helper or _is_ours(frame)
        inner, frame = frame, frame.f_back
    if frame is None:
        return None
    context, step = frame.f_locals["self"], frame.f_locals.get("step")
    if through_helper:
        return Sender(context, step, Who.HELPER)
    if inner is None or not _is_body(inner, context, step):
        return Sender(context, step, Who.ALEMBIC)
    return Sender(context, step, Who.REVISION, innermost, frame)


def _is_ours(frame: FrameType) -> bool:
    # It is called for each frame of each statement.
    name = frame.f_globals.get("__name__")
    return isinstance(name, str) and name.startswith("safeops") and name[7:8] in ("", ".")


def _is_library(frame: FrameType) -> bool:
    """Return whether a frame is Alembic's or SQLAlchemy's."""
    name = str(frame.f_globals.get("__name__", ""))
    return name == "<string>" or name.partition(".")[0] in ("alembic", "sqlalchemy", "contextlib")


def _is_body(frame: FrameType, context: MigrationContext, step: Any) -> bool:
    """Return whether what Alembic called is ``upgrade()`` or ``downgrade()``, and neither its own code nor env.py's."""
    body = _code_of(getattr(step, "migration_fn", None))
    if body is not None:
        return frame.f_code is body
    callbacks = map(_code_of, context.on_version_apply_callbacks)
    return not _is_library(frame) and frame.f_code not in callbacks


def _code_of(function: Any) -> CodeType | None:
    return getattr(function, "__code__", None)
