"""Reads ``alembic -x ... revision``: the requested pattern, or an error that lists all of them."""

from __future__ import annotations

import re
import shlex
import sys
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from alembic.util import CommandError

from safeops.authoring.pattern import Argument, Draft, Pattern, Values
from safeops.authoring.patterns import PATTERNS
from safeops.errors import InvalidArgument
from safeops.naming import nearest, shell_quoted

NO_FILE = "No file was written."


def requested(options: Any, revision: str, engines: Sequence[str] = ()) -> Draft | None:
    """Return what the pattern of a command line writes; None without a pattern.

    Args:
        options: What Alembic read from its command line; None if it was called from Python.
        revision: The id of the new revision.
        engines: The databases, if the project has several.
    """
    typed = list(getattr(options, "x", None) or ())
    if not any(option.split("=")[0] == "pattern" for option in typed):
        return None
    given = _split(typed)
    pattern = _pattern(given.pop("pattern").lower().replace("_", "-"))
    if getattr(options, "autogenerate", False):
        raise _invalid(pattern, "A pattern writes the whole revision, so it cannot be combined with --autogenerate.")
    phase = given.pop("phase", "expand")
    engine = _engine(pattern, given, engines)
    if phase not in pattern.phases:
        raise _invalid(pattern, f"Pattern {pattern.name} has no phase {phase}; it has {', '.join(pattern.phases)}.")
    values = _values(pattern, given)
    same = (values.get("old"), f"{values.get('schema')}.{values.get('old')}")
    if values.get("new") is not None and values["new"] in same:
        raise _invalid(pattern, f"-x old and -x new are both {values['old']}: there is nothing to rename.")
    draft = pattern.phases[phase](Values(**values, revision=revision))
    text = draft.phase.replace("{next}", _next_command(options, typed, pattern, phase))
    return replace(draft, phase=text, engine=engine)


def example(pattern: Pattern) -> str:
    """Return a command that writes the pattern with its required arguments."""
    typed = [f"pattern={pattern.name}", *(f"{argument.name}={argument.example}" for argument in pattern.required)]
    return _command(typed, f"{pattern.name} {pattern.required[0].example}")


def _split(typed: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for option in typed:
        name, equals, value = (part.strip() for part in option.partition("="))
        if not equals or not name or not value or not value.isprintable():
            raise InvalidArgument(
                f"-x {option!r} is not NAME=VALUE on one line.",
                state=NO_FILE,
                remedy="Write:",
                code=example(PATTERNS["index"]),
            )
        name = name.lower().replace("-", "_")
        if name in given:
            raise InvalidArgument(f"-x {name} is given twice.", state=NO_FILE)
        given[name] = value
    return given


def _pattern(name: str) -> Pattern:
    if name not in PATTERNS:
        width = max(map(len, PATTERNS))
        raise InvalidArgument(
            f"There is no pattern {name}. {nearest(name, PATTERNS, 'patterns', len(PATTERNS))}",
            state=NO_FILE,
            remedy="All patterns:",
            code="\n".join(f"{known:{width}}  {pattern.summary}" for known, pattern in PATTERNS.items()),
        )
    return PATTERNS[name]


def _engine(pattern: Pattern, given: dict[str, str], engines: Sequence[str]) -> str | None:
    if not engines:
        return None
    engine = given.pop("engine", engines[0] if len(engines) == 1 else None)
    if engine not in engines:
        raise _invalid(pattern, f"This project has several databases: add -x engine= one of {', '.join(engines)}.")
    return engine


def _values(pattern: Pattern, given: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for argument in pattern.arguments:
        typed = [alias for alias in (argument.name, *argument.aliases) if alias in given]
        if len(typed) > 1:
            raise _invalid(pattern, f"-x {typed[0]} and -x {typed[1]} are the same argument.")
        if typed:
            values[argument.name] = _read(pattern, argument, given.pop(typed[0]))
    if given:
        raise _invalid(pattern, f"Pattern {pattern.name} has no argument {', '.join(given)}.")
    missing = [argument.name for argument in pattern.required if argument.name not in values]
    if missing:
        raise _invalid(pattern, f"Pattern {pattern.name} needs {' and '.join(missing)}.")
    return _with_schema(values)


def _read(pattern: Pattern, argument: Argument, text: str) -> Any:
    try:
        return argument.read(text)
    except ValueError as error:
        raise _invalid(pattern, f"-x {argument.name}={text} is invalid; expected {error}.") from error


def _with_schema(values: dict[str, Any]) -> dict[str, Any]:
    """Split ``schema.table``."""
    for name in ("table", "enum", "old"):
        whole = re.fullmatch(r"(\w+)\.(\w+)", values.get(name, ""))
        if whole and "schema" not in values and (name != "old" or "table" not in values):
            values["schema"], values[name] = whole.groups()
    return values


def _invalid(pattern: Pattern, problem: str) -> InvalidArgument:
    width = max(len(argument.name) for argument in pattern.arguments)
    lines = [f"{each.name:{width}}  {each.help}" for each in pattern.required]
    lines += [f"{each.name:{width}}  optional: {each.help}" for each in pattern.optional]
    if len(pattern.phases) > 1:
        lines.append(f"{'phase':{width}}  optional: {', '.join(pattern.phases)}")
    return InvalidArgument(
        problem,
        state=NO_FILE,
        remedy=f"Use pattern {pattern.name} like this, with these arguments:",
        code="\n".join([example(pattern), *lines]),
    )


def _next_command(options: Any, typed: Sequence[str], pattern: Pattern, phase: str) -> str:
    phases = list(pattern.phases)
    if phase == phases[-1]:
        return ""
    following = phases[phases.index(phase) + 1]
    rest = [option for option in typed if option.partition("=")[0].strip() != "phase"]
    place = [part for file in getattr(options, "config", None) or () for part in ("-c", str(file))]
    section = getattr(options, "name", None) or "alembic"
    place += ["-n", section] if section != "alembic" else []
    return "    " + _command([*rest, f"phase={following}"], f"{pattern.name} {following}", place)


def _command(typed: Sequence[str], message: str, place: Sequence[str] = ()) -> str:
    words = [*place, *(part for option in typed for part in ("-x", option))]
    return f"alembic {shlex.join(words)} revision -m {shell_quoted(message)}"


class RevisionRefused(CommandError):
    """No revision is written, and the command ends with this.

    If a template raises, Alembic reports "Template rendering failed; see" a temporary file, which gets the error's text.
    When Alembic formats that text, the error raises itself, so the command ends with the text instead.
    """

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self._text: str | None = text
        self._formatted = False

    def __str__(self) -> str:
        if not self._formatted:
            self._formatted = True
            raise self
        return str(self._text)


def refuse_long(revision: str, longest: int) -> None:
    if len(revision) > longest:
        raise InvalidArgument(
            f"The revision id {revision} has {len(revision)} characters; alembic_version.version_num holds {longest}.",
            why="SQLite accepts it, but PostgreSQL and MariaDB do not: the upgrade would fail there.",
            state=NO_FILE,
            remedy="Pass a shorter one, or omit it. If your version table is wider, set its width in script.py.mako:",
            code=f"--rev-id {revision[:longest]}\npage = Page(context, longest_revision_id={len(revision)})",
        )


def refused(error: InvalidArgument, *, by_command: bool) -> RevisionRefused:
    """Show the whole message on a terminal: Alembic would wrap it to one paragraph."""
    if not by_command:
        return RevisionRefused(str(error))
    print(f"\n{error}\n", file=sys.stderr)
    return RevisionRefused(f"{error.problem} {NO_FILE}")
