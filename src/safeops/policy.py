"""What a run of migrations is allowed to do, as one frozen value."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, fields, replace
from typing import Any, TypeGuard

from safeops.arguments import Keywords, arguments_checked
from safeops.errors import InvalidArgument

GUARDS = ("raise", "warn", "off")


@arguments_checked()
@dataclass(frozen=True)
class Settings:
    """The settings of a run of migrations.

    Args:
        lock_timeout: Seconds that one attempt at a strong lock may wait, and so hold up the application.
        retry_budget: Seconds of wall-clock time to retry before ``LockNotAcquired``.
        statement_timeout: Seconds that a short statement may run; None leaves the session's own. Long scans and online
            builds run without one.
        target_seconds: Seconds that a batch of a backfill should take.
        schema_for_state: The schema of the tables that safeops itself keeps; None is the default schema.
        flush_each_batch: Whether each batch of a backfill waits until it is on the disk. It need not: a crash of the
            server then loses the newest batches together with the note that they were done. PostgreSQL only.
        guard: What happens to an unsafe statement that a revision sends itself: "raise", "warn" or "off".
        guard_from: The oldest revision that is guarded, with all that follow it; None guards each.
        small_table: Tables with fewer rows may be locked, scanned and rewritten; the guard lets that pass.
    """

    lock_timeout: float = 2.0
    retry_budget: float = 120.0
    statement_timeout: float | None = None
    target_seconds: float = 0.1
    schema_for_state: str | None = None
    flush_each_batch: bool = False
    guard: str = "off"
    guard_from: str | None = None
    small_table: int = 1_000

    def with_(self, **changes: Any) -> Settings:
        """Return these settings with some changed, or raise InvalidArgument."""
        Settings(**changes)
        for name, value in changes.items():
            _CHECKS.get(name, _check_seconds)(name, value)
        return replace(self, **changes)


SETTINGS = Keywords(tuple(field.name for field in fields(Settings)))


def _check_flag(name: str, value: object) -> None:
    if not isinstance(value, bool):
        raise InvalidArgument(
            f"{name} is {value!r}, not True or False.", remedy="Write:", code=f"configure({name}=True)"
        )


def _check_schema(name: str, value: object) -> None:
    if value is not None and not isinstance(value, str):
        raise InvalidArgument(
            f"{name} is {value!r}, not the name of a schema or None.",
            remedy="Write:",
            code=f'configure({name}="public")',
        )


def _check_guard(name: str, value: object) -> None:
    if value not in GUARDS:
        raise InvalidArgument(
            f"{name} is {value!r}, and it must be one of {', '.join(map(repr, GUARDS))}.",
            remedy="Write:",
            code=f'configure({name}="{GUARDS[0]}")',
        )


def _check_revision(name: str, value: object) -> None:
    if value is not None and not (isinstance(value, str) and value):
        raise InvalidArgument(
            f"{name} is {value!r}, not a revision or None.", remedy="Write:", code=f'configure({name}="ae1027a6acf")'
        )


def _check_rows(name: str, value: object) -> None:
    if not isinstance(value, int) or isinstance(value, bool) or value < 0:
        raise InvalidArgument(
            f"{name} is {value!r}, not a number of rows.", remedy="Write:", code=f"configure({name}=1000)"
        )


_MAY_BE_NONE = {"statement_timeout"}


def is_number(value: object) -> TypeGuard[float]:
    """Return whether a value is a number; True and False are not."""
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def is_above_zero(value: object) -> TypeGuard[float]:
    return is_number(value) and 0 < value < float("inf")


def _check_seconds(name: str, value: object) -> None:
    if value is None and name in _MAY_BE_NONE:
        return
    if not is_above_zero(value):
        raise InvalidArgument(
            f"{name} is {value!r}, not a number of seconds above 0.",
            why="Without a bound, one waiting statement makes every later statement on its table wait behind it.",
            remedy="Write seconds as a number:",
            code=f"configure({name}=2.0)",
        )


_CHECKS: dict[str, Callable[[str, object], None]] = {
    "flush_each_batch": _check_flag,
    "schema_for_state": _check_schema,
    "guard": _check_guard,
    "guard_from": _check_revision,
    "small_table": _check_rows,
}
DEFAULTS = Settings()
_blocks: ContextVar[tuple[dict[str, Any], ...]] = ContextVar("safeops_settings", default=())
_assured: ContextVar[str | None] = ContextVar("safeops_assured", default=None)


def in_force(base: Settings | None) -> Settings:
    """Return ``base``, or the default settings, as the ``settings(...)`` blocks around the caller change them."""
    base = base or DEFAULTS
    for changes in _blocks.get():
        base = replace(base, **changes)
    return base


@arguments_checked(SETTINGS)
@contextmanager
def settings(**changes: Any) -> Iterator[None]:
    """Change settings for the helpers inside the block.

    Args:
        **changes: Fields of ``Settings``: ``lock_timeout``, ``retry_budget``, ``statement_timeout``,
            ``target_seconds`` in seconds, ``schema_for_state``, ``flush_each_batch``, ``guard``, ``small_table``.

    Raises:
        InvalidArgument: A setting is unknown or not a number of seconds.

    Example:
        with settings(lock_timeout=0.5, retry_budget=600):
            enforce_not_null("users", "email")
    """
    DEFAULTS.with_(**changes)
    token = _blocks.set((*_blocks.get(), changes))
    try:
        yield
    finally:
        _blocks.reset(token)


@arguments_checked()
def lock_timeout(seconds: float) -> AbstractContextManager[None]:
    """Bound how long each attempt at a lock may wait, for the helpers inside the block.

    Args:
        seconds: Seconds, above 0. MariaDB and MySQL count whole seconds: it is rounded up there.

    Raises:
        InvalidArgument: ``seconds`` is not a number above 0.

    Example:
        with lock_timeout(0.5):
            add_column_if_missing("users", sa.Column("nickname", sa.Text))
    """
    return settings(lock_timeout=seconds)


@arguments_checked()
@contextmanager
def assured(reason: str) -> Iterator[None]:
    """Skip the safety refusals of the helpers, and of the guard, inside the block. What they promise otherwise still holds.

    Args:
        reason: Why it is fine here; required, and written to the log with each refusal that it skips.

    Raises:
        InvalidArgument: The reason is empty.

    Example:
        with assured("the table has 40 rows and is written once a day"):
            alter_column_type("plans", "price", sa.Numeric(12, 2))
    """
    if not isinstance(reason, str) or not reason.strip():
        raise InvalidArgument(
            "assured() needs a reason.",
            why="It switches the safety refusals off, and a reviewer must see why that is fine here.",
            remedy="Write:",
            code='with assured("the table has 40 rows"):',
        )
    token = _assured.set(reason)
    try:
        yield
    finally:
        _assured.reset(token)


def assurance() -> str | None:
    """Return the reason of the ``assured(...)`` block around the caller, or None."""
    return _assured.get()
