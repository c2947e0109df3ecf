"""The timeouts of a step, as values of the server's settings."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from safeops.databases.steps import Step

SEES_ALL = {"row_security": "off"}
"""With this setting the server raises an error instead of hiding rows; roles that see all rows do not notice it."""


def wanted(
    version: Sequence[int], own: Mapping[str, str], deadlock: float, lock: float, statement: float | None, step: Step
) -> dict[str, str]:
    """Return the settings of a step on a session that has its own ones."""
    lock = _before_deadlock(lock, deadlock, step)
    return {**_raised(own, lock), **bounds_of_step(version, lock, statement, step), **SEES_ALL}


def bounds_of_step(version: Sequence[int], lock: float, statement: float | None, step: Step) -> dict[str, str]:
    """Return the settings of a step, in milliseconds; 0 means without bound."""
    unbounded = step.scans or step.waits_inside
    bounds = {"lock_timeout": "0" if step.waits_inside else str(max(int(lock * 1000), 1))}
    if unbounded:
        bounds["statement_timeout"] = "0"
    elif statement is not None:
        bounds["statement_timeout"] = str(max(int(_outlasting(statement, lock) * 1000), 1))
    if unbounded and tuple(version) >= (17,):
        bounds["transaction_timeout"] = "0"
    return bounds


def text_of_transaction(settings: Mapping[str, str]) -> str:
    """Return the statements that set the bounds of the transaction which they begin."""
    # The timer of a transaction runs already: it starts again only if it is switched off first.
    anew = ["SET LOCAL transaction_timeout = 0"] if settings.get("transaction_timeout", "0") != "0" else []
    return ";".join([*anew, *(f"SET LOCAL {name} = {value}" for name, value in settings.items())])


_UNITS = {"ms": 0.001, "s": 1.0, "min": 60.0, "h": 3600.0, "d": 86400.0}


def seconds(setting: str) -> float:
    """Return the seconds of a timeout as the server shows it: 0, 300ms, 2s, 1min."""
    digits = setting.rstrip("abcdefghijklmnopqrstuvwxyz")
    return float(digits) * _UNITS.get(setting[len(digits) :], 0.001)


def _before_deadlock(lock: float, deadlock: float, step: Step) -> float:
    """Return a shorter bound for a step that waits for several tables one after the other.

    It holds the first while it waits: an application that has locked them in the other order, and waits behind it, would
    detect the deadlock and lose. So the step ends before any session checks for deadlocks.
    """
    many = len(set(step.locks))
    return lock if many < 2 else min(lock, 0.9 * deadlock / many)


def _outlasting(bound: float, lock: float) -> float:
    """Return a bound on a statement that counts from when it has its lock: the server counts its waiting too."""
    return bound if bound > lock else lock + bound


def _raised(own: Mapping[str, str], lock: float) -> dict[str, str]:
    """Return what to raise of a session's own timeouts, which would end a step before its lock timeout does."""
    bounds = {name: seconds(setting) for name, setting in own.items() if name not in ("lock_timeout", *SEES_ALL)}
    return {name: str(int((lock + bound) * 1000)) for name, bound in bounds.items() if 0 < bound <= lock}
