"""What the calls in a revision do and why each is safe: the docstring of a revision, for its reviewer."""

from __future__ import annotations

import ast
import textwrap
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from safeops.authoring.layout import WIDTH, parsed
from safeops.execution.helper import Said, declaration_of
from safeops.homes import HOME_OF, loaded


class Kind(NamedTuple):
    """What several calls of one helper have in common, in words."""

    text: str
    noun: str = ""
    """What a verb in ``text`` is about, to be counted; empty if ``text`` is all."""
    archived: bool = False


class Description(NamedTuple):
    """What a call does, why that is safe, and its place between deploys."""

    what: str
    why: str
    phase: str
    kind: Kind


def described(body: str, module: str = "") -> Iterator[Description]:
    """Describe each call of a body; ``module`` has the values that it uses by name."""
    values = {
        target.id: statement.value
        for statement in ast.walk(parsed(module + "\n" + body))
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name)
    }
    for statement in ast.walk(parsed(body)):
        if isinstance(statement, (ast.Expr, ast.Assign, ast.AnnAssign)) and isinstance(statement.value, ast.Call):
            yield _description(statement.value, values)


def _description(node: ast.Call, values: dict[str, ast.expr]) -> Description:
    called, arguments = ast.unparse(node.func), node.args
    if isinstance(node.func, ast.Attribute):
        owner = _resolved(node.func.value, values)
        if isinstance(owner, ast.Call):
            called, arguments = f"{ast.unparse(owner.func)}.{node.func.attr}", owner.args
    names = [_as_words(_resolved(argument, values)) for argument in arguments]
    said = said_of(called)
    if said is None:
        on = f" on {names[0]}" if names else ""
        todo = f"TODO {called} is not a safeops helper: describe what it locks, and for how long."
        return Description(f"calls {called}{on}", todo, "", Kind(f"calls {called}"))
    archived = any(option.arg == "archive" for option in node.keywords)
    replaces = any(
        option.arg == "if_different" and ast.unparse(option.value) == "'replace'" for option in node.keywords
    )
    what = said.what.format(*names, *["?"] * 3)
    what += ", replacing the one of that name" if replaces else ""
    what += ", archiving its data" if archived else ""
    return Description(what, said.why, said.phase, _kind_of(said, archived))


def said_of(called: str) -> Said | None:
    """Return what a helper, or a phase such as "ColumnRename.expand", declares of its calls; None of any other call."""
    name, _, phase = called.removeprefix("safeops.").partition(".")
    found = loaded(name) if name in HOME_OF else None
    declaration = declaration_of(getattr(found, phase, None) if phase else found)
    return declaration.summary if declaration is not None else None


def _kind_of(said: Said, archived: bool) -> Kind:
    begins = said.what.partition(f" {said.noun} " if said.noun else "{")[0].rstrip()
    return Kind(said.kind or begins, said.noun, archived)


def _resolved(node: ast.expr, values: dict[str, ast.expr]) -> ast.expr:
    return values.get(node.id, node) if isinstance(node, ast.Name) else node


def _as_words(node: ast.expr) -> str:
    """Name an argument: a string is itself, a list or mapping its items, a call such as sa.Column(...) its first one."""
    match node:
        case ast.Constant(value=str(text)):
            return " ".join(text.split())
        case ast.List(elts=items) | ast.Tuple(elts=items) | ast.Dict(keys=items):
            return ", ".join(_as_words(item) for item in items if item)
        case ast.Call(args=[first, *_]):
            return _as_words(first)
    return ast.unparse(node)


MANY = 5
"""More calls than these are counted by kind."""


def summary(calls: Sequence[Description]) -> str:
    """Summarise what calls do; many calls of one kind are counted."""
    each = dict.fromkeys(call.what for call in calls)
    if len(each) <= MANY:
        return "; ".join(each) + "." if each else ""
    kinds: dict[Kind, list[str]] = {}
    for call in calls:
        kinds.setdefault(call.kind, []).append(call.what)
    return "; ".join(same[0] if len(same) == 1 else _counted(kind, len(same)) for kind, same in kinds.items()) + "."


def reasons(calls: Sequence[Description]) -> str:
    """Explain why calls are safe; if there are many, name the calls of each reason."""
    if len(dict.fromkeys(call.what for call in calls)) <= MANY:
        return " ".join(dict.fromkeys(call.why for call in calls))
    kinds: dict[str, list[str]] = {}
    for call in calls:
        kinds.setdefault(call.why, []).append(_kind_in_plural(call.kind))
    labels = {why: ", ".join(dict.fromkeys(of)) for why, of in kinds.items()}
    return " ".join(f"{label[:1].upper()}{label[1:]}: {_uncapitalised(why)}" for why, label in labels.items())


def _counted(kind: Kind, number: int) -> str:
    if not kind.noun:
        return f"{kind.text} ({number} times)"
    archived = ", archiving their data" if kind.archived else ""
    return f"{kind.text} {number} {_plural(kind.noun)}{archived}"


def _kind_in_plural(kind: Kind) -> str:
    return f"{kind.text} {_plural(kind.noun)}" if kind.noun else kind.text


def _uncapitalised(sentence: str) -> str:
    return sentence if sentence[:2].isupper() else f"{sentence[:1].lower()}{sentence[1:]}"


def _plural(noun: str) -> str:
    return f"{noun}es" if noun.endswith("x") else f"{noun}s"


# The docstring --------------------------------------------------------------------------------------------------


def paragraph(label: str, text: str, missing: str) -> str:
    """Wrap the text after a label; an indented line is a command, and stays whole."""
    lines = in_docstring(f"{label}: {text or f'TODO {missing}'}").split("\n")
    wrapped = [line if line.startswith(" ") else _wrapped(line) for line in lines]
    return "\n".join(wrapped).removeprefix(f"{label}:").strip()


def _wrapped(line: str) -> str:
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line, WIDTH, subsequent_indent="    ", **options)


def in_docstring(text: str) -> str:
    """Escape text for a docstring, and as ``ruff format`` leaves it."""
    escaped = "".join(each if each == "\n" or each.isprintable() else " " for each in text.replace("\r\n", "\n"))
    escaped = "\n".join(line.rstrip() for line in escaped.strip().split("\n"))
    return escaped.replace("\\", r"\\").replace('"""', r"\"\"\"")
