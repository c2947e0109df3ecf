"""What the running revision itself goes on to change, read from its code.

A revision that adds a column and then makes it NOT NULL has to run again after a stop at its end, when the column differs
from what it added. The version does not tell a half-done revision from a foreign change, and a journal would leave a table
of ours in every schema. The code tells: a later call in the same function explains the difference.
"""

from __future__ import annotations

import ast
import inspect
import sys
import textwrap
from collections.abc import Iterable, Iterator
from types import CodeType, FrameType
from typing import Any

from safeops.databases.definitions import Difference

_CHANGES = {
    "set_server_default": {"default"},
    "enforce_not_null": {"nullable"},
    "relax_not_null": {"nullable"},
    "create_primary_key_if_missing": {"nullable"},
    "alter_column_type": {"type", "collation"},
    "alter_column": {"default", "nullable", "type", "comment"},
    "drop_column_if_exists": {"missing"},
    "drop_constraint_if_exists": {"missing"},
    "drop_table_if_exists": {"missing table"},
}
_UNKNOWN = object()


def unexplained(found: Iterable[Difference], table: str, thing: str) -> list[Difference]:
    """Return the differences of a table's column or constraint that no call of the running revision explains."""
    found = list(found)
    if not found:
        return []
    explained = {part for frame in _frames() for part in _explained(frame, table, thing)}
    return [one for one in found if _kind(one) not in explained]


def is_dropped(table: str, thing: str | None = None) -> bool:
    """Tell whether the running revision goes on to drop the table, or a column of it: an interrupted run came so far."""
    for frame in _frames():
        if "missing table" in set(_explained(frame, table, "")):
            return True
        if thing is not None and "missing" in set(_explained(frame, table, thing)):
            return True
    return False


def _kind(difference: Difference) -> str:
    return "missing" if difference.stands == "missing" else difference.part


def _frames() -> Iterator[FrameType]:
    """Go through the frames of the author's code, from the call of the helper up to Alembic."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        module = str(frame.f_globals.get("__name__", "")).partition(".")[0]
        if module == "alembic":
            return
        if module not in ("safeops", "contextlib"):
            yield frame
        frame = frame.f_back


def _explained(frame: FrameType, table: str, thing: str) -> Iterator[str]:
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(frame.f_code)))
    except (OSError, TypeError, SyntaxError):
        # Without source the names that the code uses are all there is to go by.
        for name in _names(frame.f_code) & _CHANGES.keys():
            yield from _CHANGES[name]
        return
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and (name := _called(node)) in _CHANGES:
            places = _PLACES["constraint" if name == "drop_constraint_if_exists" else "column"]
            first, second = (_value(node, place, keyword, frame) for place, keyword in places)
            whole = name in ("drop_table_if_exists", "create_primary_key_if_missing")
            if first in (table, _UNKNOWN) and (whole or second in (thing, _UNKNOWN)):
                yield from _CHANGES[name]


_PLACES = {
    "column": ((0, "table_name"), (1, "column_name")),
    "constraint": ((1, "table_name"), (0, "constraint_name")),
}


def _called(node: ast.Call) -> str:
    return str(getattr(node.func, "id", "") or getattr(node.func, "attr", ""))


def _value(node: ast.Call, place: int, keyword: str, frame: FrameType) -> Any:
    given = next((one.value for one in node.keywords if one.arg == keyword), None)
    given = node.args[place] if given is None and place < len(node.args) else given
    if isinstance(given, ast.Constant):
        return given.value
    if isinstance(given, ast.Name):
        return {**frame.f_globals, **frame.f_locals}.get(given.id, _UNKNOWN)
    return _UNKNOWN


def _names(code: CodeType) -> set[str]:
    nested = [_names(one) for one in code.co_consts if isinstance(one, CodeType)]
    return set(code.co_names).union(*nested)
