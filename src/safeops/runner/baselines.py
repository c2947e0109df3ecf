"""The file of what a project has accepted: a section for each command that finds something."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import Any, TypeVar

from safeops.errors import InvalidArgument

VERSION = 1
T = TypeVar("T")


def read_baseline(file: Path, section: str, command: str, parse: Callable[[Any], T]) -> list[T]:
    """Return what a section of a baseline accepts, or raise InvalidArgument if the file is not a baseline.

    Args:
        file: Its path.
        section: The section; without it, nothing is accepted.
        command: The command that reads it, for the error.
        parse: Reads an entry; what it raises becomes such an error.
    """
    try:
        found = _sections(file)
        return [parse(entry) for entry in found.get(section, [])]
    except FileNotFoundError:
        problem = f"There is no baseline {file}."
    except (OSError, ValueError, KeyError, TypeError) as error:
        problem = f"{file} is not a baseline of safeops: {type(error).__name__}."
    raise InvalidArgument(
        problem,
        remedy="Write one, which accepts all current findings:",
        code=f"safeops {command} --baseline {file} --write-baseline",
    )


def save_baseline(file: Path, section: str, entries: list[Any]) -> None:
    """Write what a command accepts; the sections of others stay."""
    kept: dict[str, Any] = {}
    with suppress(OSError, ValueError, KeyError, TypeError):
        kept = _sections(file)
    kept[section] = entries
    # The version first, for those who read it.
    whole = {"version": VERSION, **{name: kept[name] for name in sorted(kept)}}
    file.write_text(json.dumps(whole, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _sections(file: Path) -> dict[str, Any]:
    found = dict(json.loads(file.read_text(encoding="utf-8")))
    if (version := found.pop("version")) != VERSION:
        raise ValueError(f"version {version}")
    return found
