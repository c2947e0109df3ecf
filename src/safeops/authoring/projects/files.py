"""Writes the files of a project, and never over a change of the team's."""

from __future__ import annotations

import difflib
from collections.abc import Callable
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from string import Template

from safeops.authoring.projects.project import shown

Say = Callable[[str], None]


@dataclass(frozen=True)
class Wanted:
    """A file as it is to stand."""

    path: Path
    text: str
    untouched: Callable[[str], bool] | None = None
    """Whether the text that stands there is a tool's own and nobody's change; None: whatever stands there stays."""


def rendered(template: str, **values: str) -> str:
    """Fill in one of the templates that safeops ships."""
    return Template(template_text(template)).substitute(values)


def template_text(template: str) -> str:
    return (files("safeops.authoring") / "templates" / template).read_text(encoding="utf-8")


def put(wanted: Wanted, *, force: bool, say: Say) -> bool:
    """Write a file where it is missing or may be replaced, else show the difference; return whether all is well."""
    name = shown(wanted.path)
    if not wanted.path.exists():
        _write(wanted)
        say(f"  wrote     {name}")
        return True
    current = wanted.path.read_text(encoding="utf-8")
    if wanted.untouched is None or normalised(current) == normalised(wanted.text):
        say(f"  stands    {name}")
        return True
    if force or wanted.untouched(current):
        _write(wanted)
        say(f"  replaced  {name}")
        return True
    say(f"  differs   {name}")
    say(f"\n{name} was changed by hand and was left as it is.")
    say("init --force would replace it and change this:\n")
    say(difference(current, wanted.text, name))
    return False


def _write(wanted: Wanted) -> None:
    wanted.path.parent.mkdir(parents=True, exist_ok=True)
    wanted.path.write_text(wanted.text, encoding="utf-8", newline="\n")


def normalised(text: str) -> str:
    """Give a text without what editors and version control change by themselves: line ends and trailing blanks."""
    return "\n".join(line.rstrip() for line in text.strip().splitlines())


def difference(before: str, after: str, name: str) -> str:
    """Show a change as ``patch`` reads it."""
    lines = difflib.unified_diff(before.splitlines(), after.splitlines(), name, name, lineterm="")
    return "\n".join(lines) + "\n"
