"""The placeholders of a driver in a statement, numbered as ``$1``, with their values."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

_TOKEN = re.compile(
    r"""
    '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ | (?P<tag>\$\w*\$).*?(?P=tag)   # no placeholder in these
    | %\((?P<named>\w+)\)s | (?P<plain>%s) | (?P<numbered>\$\d+) | (?<![:\w]):(?P<colon>[A-Za-z_]\w*)
    """,
    re.VERBOSE | re.DOTALL,
)


@dataclass
class Numbered:
    """A statement with numbered placeholders.

    Args:
        sql: Its text.
        values: Their values, in order; a value that is not known is ``UNKNOWN``.
    """

    sql: str
    values: list[Any] = field(default_factory=list)


UNKNOWN = object()
"""The unknown value of a placeholder."""


def numbered(sql: str, parameters: Mapping[str, Any] | Sequence[Any] | None) -> Numbered:
    """Number the placeholders of a statement."""
    if parameters is None:
        return Numbered(sql)
    made, names = Numbered(sql), {}

    def replaced(match: re.Match[str]) -> str:
        name = match["named"] or match["colon"]
        if match["numbered"]:
            _append(made, parameters, int(match["numbered"][1:]) - 1)
        elif match["plain"]:
            _append(made, parameters, len(made.values))
        elif name is not None and isinstance(parameters, Mapping) and name in parameters:
            if name not in names:
                made.values.append(parameters[name])
                names[name] = len(made.values)
            return f"${names[name]}"
        else:
            return match[0]
        return f"${len(made.values)}"

    made.sql = _TOKEN.sub(replaced, sql)
    return made


def _append(made: Numbered, parameters: Any, place: int) -> None:
    listed = [*parameters.values()] if isinstance(parameters, Mapping) else [*(parameters or ())]
    made.values.append(listed[place] if place < len(listed) else UNKNOWN)
