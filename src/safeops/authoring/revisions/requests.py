"""What ``alembic -x ... revision`` asks for: a pattern, read and checked, or an error that lists what there is."""

from __future__ import annotations

import re
import shlex
from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from safeops.authoring.revisions.arguments import Argument, Values
from safeops.authoring.revisions.drafts import Draft
from safeops.authoring.revisions.patterns import PATTERNS, Pattern
from safeops.errors import InvalidArgument
from safeops.naming import in_shell, nearest

NO_FILE = "No file was written."
_PHASES = ("expand", "switch", "contract")


def requested(options: Any, revision: str, engines: Sequence[str] = ()) -> Draft | None:
    """Return what the pattern of a command line writes; None without one.

    Args:
        options: What Alembic read of its command line; None where it was called from Python.
        revision: The id of the new revision.
        engines: The databases of a project that has several.
    """
    typed = list(getattr(options, "x", None) or ())
    if not any(one.split("=")[0] == "pattern" for one in typed):
        return None
    given = _split(typed)
    name = given.pop("pattern").lower().replace("_", "-")
    pattern = _pattern(name)
    if getattr(options, "autogenerate", False):
        raise _wrong(name, pattern, "A pattern writes the whole revision; --autogenerate would write another into it.")
    phase = given.pop("phase", "expand")
    engine = _engine(name, pattern, given, engines)
    if phase not in pattern.phases:
        raise _wrong(name, pattern, f"Pattern {name} has no phase {phase}; it has {', '.join(pattern.phases)}.")
    values = _read(name, pattern, given)
    same = (values.get("old"), f"{values.get('schema')}.{values.get('old')}")
    if values.get("new") is not None and values["new"] in same:
        raise _wrong(name, pattern, f"-x old and -x new are both {values['old']}: there is nothing to rename.")
    draft = pattern.phases[phase](Values(**values, revision=revision))
    text = draft.phase.replace("{next}", _next(options, typed, name, pattern, phase))
    return replace(draft, phase=text, engine=engine)


def example(name: str, pattern: Pattern) -> str:
    """Return a command that writes the pattern with the arguments that it must have."""
    typed = [f"pattern={name}", *(f"{one.name}={one.example}" for one in pattern.required)]
    return _command(typed, f"{name} {pattern.required[0].example}")


def _split(typed: Sequence[str]) -> dict[str, str]:
    given: dict[str, str] = {}
    for one in typed:
        name, equals, value = (part.strip() for part in one.partition("="))
        if not equals or not name or not value or not value.isprintable():
            raise InvalidArgument(
                f"-x {one!r} is not NAME=VALUE on one line.",
                state=NO_FILE,
                remedy="Write:",
                code=example("index", PATTERNS["index"]),
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
            code="\n".join(f"{one:{width}}  {pattern.summary}" for one, pattern in PATTERNS.items()),
        )
    return PATTERNS[name]


def _engine(name: str, pattern: Pattern, given: dict[str, str], engines: Sequence[str]) -> str | None:
    if not engines:
        return None
    engine = given.pop("engine", engines[0] if len(engines) == 1 else None)
    if engine not in engines:
        raise _wrong(name, pattern, f"This project has several databases: add -x engine= one of {', '.join(engines)}.")
    return engine


def _read(name: str, pattern: Pattern, given: dict[str, str]) -> dict[str, Any]:
    values: dict[str, Any] = {}
    for argument in pattern.arguments:
        typed = [one for one in (argument.name, *argument.aliases) if one in given]
        if len(typed) > 1:
            raise _wrong(name, pattern, f"-x {typed[0]} and -x {typed[1]} are the same argument.")
        if typed:
            values[argument.name] = _value(name, pattern, argument, given.pop(typed[0]))
    if given:
        raise _wrong(name, pattern, f"Pattern {name} has no argument {', '.join(given)}.")
    missing = [one.name for one in pattern.required if one.name not in values]
    if missing:
        raise _wrong(name, pattern, f"Pattern {name} needs {' and '.join(missing)}.")
    return _with_schema(values)


def _value(name: str, pattern: Pattern, argument: Argument, text: str) -> Any:
    try:
        return argument.read(text)
    except ValueError as error:
        raise _wrong(name, pattern, f"-x {argument.name}={text} is not what it should be: {error}.") from error


def _with_schema(values: dict[str, Any]) -> dict[str, Any]:
    """Take ``schema.table`` apart."""
    for name in ("table", "enum", "old"):
        whole = re.fullmatch(r"(\w+)\.(\w+)", values.get(name, ""))
        if whole and "schema" not in values and (name != "old" or "table" not in values):
            values["schema"], values[name] = whole.groups()
    return values


def _wrong(name: str, pattern: Pattern, problem: str) -> InvalidArgument:
    width = max(len(one.name) for one in pattern.arguments)
    lines = [f"{one.name:{width}}  {one.help}" for one in pattern.required]
    lines += [f"{one.name:{width}}  optional: {one.help}" for one in pattern.optional]
    if len(pattern.phases) > 1:
        lines.append(f"{'phase':{width}}  optional: {', '.join(pattern.phases)}")
    return InvalidArgument(
        problem,
        state=NO_FILE,
        remedy=f"Pattern {name} is written so, with these arguments:",
        code="\n".join([example(name, pattern), *lines]),
    )


def _next(options: Any, typed: Sequence[str], name: str, pattern: Pattern, phase: str) -> str:
    phases = list(pattern.phases)
    if phase == phases[-1]:
        return ""
    following = phases[phases.index(phase) + 1]
    rest = [one for one in typed if one.partition("=")[0].strip() != "phase"]
    place = [part for file in getattr(options, "config", None) or () for part in ("-c", str(file))]
    section = getattr(options, "name", None) or "alembic"
    place += ["-n", section] if section != "alembic" else []
    return "    " + _command([*rest, f"phase={following}"], f"{name} {following}", place)


def _command(typed: Sequence[str], message: str, place: Sequence[str] = ()) -> str:
    words = [*place, *(part for one in typed for part in ("-x", one))]
    return f"alembic {shlex.join(words)} revision -m {in_shell(message)}"
