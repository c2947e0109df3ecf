"""The source of running code: its syntax, and which of its calls are still to come."""

from __future__ import annotations

import ast
import linecache
import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import islice
from types import CodeType, FrameType
from typing import Any

_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def node_of(code: CodeType, names: Mapping[str, Any]) -> ast.AST | None:
    """Return the syntax of a function or module; None where there is no source or it is not told apart in it."""
    tree = _parsed("".join(linecache.getlines(code.co_filename, dict(names))))
    if tree is None or code.co_name == "<module>":
        return tree
    found = [one for one in ast.walk(tree) if isinstance(one, _FUNCTIONS) and code.co_firstlineno in _starts(one)]
    return next((one for one in found if getattr(one, "name", "<lambda>") == code.co_name), None)


@lru_cache(maxsize=32)
def _parsed(source: str) -> ast.Module | None:
    try:
        return ast.parse(source) if source else None
    except SyntaxError:
        return None


def _starts(node: Any) -> set[int]:
    return {node.lineno, *(one.lineno for one in getattr(node, "decorator_list", ()))}


def walk(node: ast.AST) -> Iterator[ast.AST]:
    """Go through what runs when the code runs: not through the functions and classes that it only defines."""
    for child in ast.iter_child_nodes(node):
        if not isinstance(child, (*_FUNCTIONS, ast.ClassDef)):
            yield child
            yield from walk(child)


def is_later(node: ast.Call, nodes: Sequence[ast.AST], now: tuple[int, int]) -> bool:
    """Tell whether a call comes after the place where the code is now, be it in the next turn of a loop around both."""
    if (node.lineno, node.col_offset) > now:
        return True
    loops = (one for one in nodes if isinstance(one, (ast.For, ast.AsyncFor, ast.While)))
    return any(one.lineno <= node.lineno and one.lineno <= now[0] <= (one.end_lineno or 0) for one in loops)


def block_of(nodes: Sequence[ast.AST], line: int) -> ast.AST | None:
    """Return the outermost ``with`` block around a line."""
    blocks = (one for one in nodes if isinstance(one, (ast.With, ast.AsyncWith)))
    return next((one for one in blocks if one.lineno <= line <= (one.end_lineno or 0)), None)


def place_of(frame: FrameType) -> tuple[int, int]:
    """Return the line and column of the call in which a frame is now."""
    if sys.version_info >= (3, 11):
        line, _, column, _ = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
        if line is not None and column is not None:
            return line, column
    # Without columns, the calls of one line count as one.
    return frame.f_lineno, sys.maxsize
