"""The built-in functions: their first version, and whether they are volatile."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from safeops.naming import Name


@dataclass(frozen=True)
class Function:
    """A built-in function: whether it is volatile, and the first major version that has it (0: 14 or older)."""

    volatile: bool
    since: int = 0


@cache
def built_in() -> dict[str, Function]:
    """Return the built-in functions of PostgreSQL by name, from its catalogue."""
    text = (files(__package__) / "functions.txt").read_text()
    lines = [line.split() for line in text.splitlines() if line and not line.startswith("#")]
    return {name: Function("volatile" in words, _since(words)) for name, *words in lines}


def _since(words: list[str]) -> int:
    return next((int(word) for word in words if word.isdigit()), 0)


def is_known(name: Name) -> bool:
    """Return whether a function is built in."""
    return name.schema is None and name.name in built_in()


def is_volatile(name: Name) -> bool | None:
    """Return whether a built-in function is volatile; None for other functions."""
    return built_in()[name.name].volatile if is_known(name) else None
