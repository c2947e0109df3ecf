"""Loads a project's revisions, and finds which of its files are why that fails."""

from __future__ import annotations

import re
import traceback
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType
from typing import Any

from alembic.config import Config
from alembic.script import ScriptDirectory
from alembic.util import load_python_file, to_tuple

from safeops.errors import SafeOpsError
from safeops.foretold import summary

RESERVED = frozenset({"base", "head", "heads", "current"})
"""Names of revisions that Alembic reads as places."""


@dataclass(frozen=True)
class Fault:
    """Why the revisions cannot be loaded.

    Args:
        what: What is wrong, as the end of a sentence.
        file: The file that it is in; None where it is in no one file.
        line: The line in it.
    """

    what: str
    file: str | None = None
    line: int | None = None

    def __str__(self) -> str:
        return f"{Path(self.file).name}:{self.line}: {self.what}" if self.file else self.what


def scripts_of(config: Config) -> ScriptDirectory:
    """Load the revisions of a project, or raise SafeOpsError that names each file that is why it cannot be done."""
    script = ScriptDirectory.from_config(config)
    found = faults(script)
    if found:
        listed = "".join(f"\n  {one}" for one in found)
        raise SafeOpsError(
            f"The revisions cannot be loaded:{listed}",
            why="Alembic loads all of them before it does anything.",
            remedy="Put them right. Where a revision is missing, get its file back, as from the branch that it was written"
            " on. Then look at all of them:",
            code="safeops check",
        )
    return script


def faults(script: ScriptDirectory) -> list[Fault]:
    """Return why the revisions cannot be loaded; nothing where they can."""
    with warnings.catch_warnings():
        # What Alembic warns of before it fails is told here, with its file.
        warnings.filterwarnings("ignore", "Revision .* is not present")
        try:
            script.get_heads()
            # A walk passes by what has such a name, but not by what follows it.
            walked = [(one.revision, *to_tuple(one.down_revision, default=())) for one in script.walk_revisions()]
            reserved = RESERVED.intersection(name for names in walked for name in names)
        except Exception as error:
            return list(_found(script)) or [Fault(str(error) or summary(error))]
        return list(_found(script)) if reserved else []


def files_of(script: ScriptDirectory) -> list[Path]:
    """Return the files that Alembic takes for revisions."""
    pattern = "**/*.py" if script.recursive_version_locations else "*.py"
    found = [path for place in script._version_locations for path in sorted(Path(place).glob(pattern))]
    return [path for path in found if not path.name.startswith((".#", "__init__"))]


def line_in(path: Path, error: Exception) -> int:
    """Return the line of a revision that raised; that of its first function where it is not on the way."""
    if isinstance(error, SyntaxError) and error.filename == str(path):
        return error.lineno or 1
    frames = [one for one in traceback.extract_tb(error.__traceback__) if Path(one.filename) == path]
    lines = [one.lineno for one in frames if one.lineno is not None]
    return lines[-1] if lines else line_of(path, "def (?:up|down)grade")


def line_of(path: Path, pattern: str) -> int:
    """Return the first line with a statement that begins so; the first of all where there is none."""
    text = path.read_text(errors="replace")
    found = re.search(rf"^(?:.*; *)?{pattern}\b", text, re.MULTILINE)
    return text[: found.start()].count("\n") + 1 if found else 1


def _found(script: ScriptDirectory) -> Iterator[Fault]:
    loaded: dict[Path, ModuleType] = {}
    for path in files_of(script):
        try:
            loaded[path] = load_python_file(path.parent, path.name)
        except Exception as error:
            yield Fault(summary(error), str(path), line_in(path, error))
    for path, module in loaded.items():
        for name in ("revision", "down_revision"):
            if not hasattr(module, name):
                yield Fault(f"it says no {name}", str(path), 1)
        if getattr(module, "revision", None) in RESERVED:
            said = f"revision is {module.revision!r}, a word that Alembic keeps for itself: give it another name"
            yield Fault(said, str(path), line_of(path, "revision"))
    # What a file that does not load would have, nobody knows.
    if len(loaded) == len(files_of(script)):
        known = {name for module in loaded.values() for name in _names(module)}
        for path, module in loaded.items():
            yield from _missing(path, module, known)


def _names(module: ModuleType) -> tuple[Any, ...]:
    return getattr(module, "revision", None), *to_tuple(getattr(module, "branch_labels", None), default=())


def _missing(path: Path, module: ModuleType, known: set[Any]) -> Iterator[Fault]:
    for variable in ("down_revision", "depends_on"):
        for one in to_tuple(getattr(module, variable, None), default=()):
            # What it depends on may be written short.
            if one not in known and not (variable == "depends_on" and any(str(name).startswith(one) for name in known)):
                said = f"{variable} is {one!r}, and no file has that revision"
                yield Fault(said, str(path), line_of(path, variable))
