"""The arguments of a call, changed such that all else stays as the author wrote it."""

from __future__ import annotations

from collections.abc import Collection, Sequence

import libcst as cst


def name_of(argument: cst.Arg) -> str | None:
    return argument.keyword.value if argument.keyword is not None else None


def is_plain(call: cst.Call) -> bool:
    """Return whether all arguments of a call are written out, without stars."""
    return not any(argument.star for argument in call.args)


def given(call: cst.Call, names: Sequence[str], name: str) -> cst.BaseExpression | None:
    """Return an argument of a call by its name, given by place or by keyword; ``names`` are those of the places."""
    for place, argument in enumerate(call.args):
        placed = names[place] if argument.keyword is None and place < len(names) else None
        if name in (name_of(argument), placed):
            return argument.value
    return None


def without(arguments: Sequence[cst.Arg], names: Collection[str]) -> list[cst.Arg]:
    """Leave keywords out; the comma of the last argument stays that of the last."""
    kept = [argument for argument in arguments if name_of(argument) not in names]
    return _ended_as(kept, arguments)


def with_place(arguments: Sequence[cst.Arg], value: cst.BaseExpression) -> list[cst.Arg]:
    """Add an argument by its place at the end."""
    return _ended_as([*_followed([*arguments]), cst.Arg(value)], arguments)


def with_keywords(arguments: Sequence[cst.Arg], keywords: dict[str, cst.BaseExpression]) -> list[cst.Arg]:
    """Add keywords at the end, one a line if the others are."""
    made = list(arguments)
    for name, value in keywords.items():
        made = [*_followed(made), _keyword(name, value)]
    return _ended_as(made, arguments)


def _keyword(name: str, value: cst.BaseExpression) -> cst.Arg:
    tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return cst.Arg(value, keyword=cst.Name(name), equal=tight)


def _followed(arguments: list[cst.Arg]) -> list[cst.Arg]:
    """Give the last argument the comma that those before it have."""
    if not arguments:
        return []
    before = next((argument.comma for argument in arguments[:-1] if isinstance(argument.comma, cst.Comma)), None)
    if before is None and isinstance(arguments[-1].comma, cst.Comma):
        before = arguments[-1].comma
    comma = before or cst.Comma(whitespace_after=cst.SimpleWhitespace(" "))
    return [*arguments[:-1], arguments[-1].with_changes(comma=_without_comment(comma))]


def _without_comment(comma: cst.Comma) -> cst.Comma:
    """Return a comma without the comment behind it, which belongs to its own argument."""
    after = comma.whitespace_after
    if isinstance(after, cst.ParenthesizedWhitespace):
        plain = cst.TrailingWhitespace(newline=after.first_line.newline)
        return comma.with_changes(whitespace_after=after.with_changes(first_line=plain, empty_lines=[]))
    return comma


def _ended_as(arguments: list[cst.Arg], original: Sequence[cst.Arg]) -> list[cst.Arg]:
    """End the arguments as the original ones ended: with a comma and a line break, or without."""
    if not arguments or not original:
        return arguments
    ended = arguments[-1].with_changes(comma=original[-1].comma)
    return [*arguments[:-1], ended]
