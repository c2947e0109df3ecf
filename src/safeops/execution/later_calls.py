"""The later calls of the running revision, read from its code.

A revision that adds a column and then makes it NOT NULL must run again after a stop at its end, when the column differs
from what it added. The version does not distinguish a half-done revision from a foreign change, and a journal would need
a table in every schema. The code does: a later call in the same function explains the difference. If the code does not
show on which table a call works, the call explains nothing.
"""

from __future__ import annotations

import ast
import inspect
import linecache
import re
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass, field
from functools import cache, lru_cache
from itertools import islice
from types import CodeType, FrameType, FunctionType, ModuleType
from typing import Any, NamedTuple

from safeops.databases.definitions import Difference
from safeops.homes import HOME_OF, loaded
from safeops.naming import Name


class _Change(NamedTuple):
    """What a call explains, and how it names the table, and the column, constraint or index: by place or by keyword."""

    parts: frozenset[str]
    table: tuple[int, str]
    thing: tuple[int, str] | None
    schema: str = "schema"


_TABLE_COLUMN = ((0, "table_name"), (1, "column_name"))
_NAME_TABLE = ((1, "table_name"), (0, "constraint_name"))
_OF_ALEMBIC = {
    "alter_column": _Change(frozenset(), *_TABLE_COLUMN),
    "create_foreign_key": _Change(frozenset({"not yet"}), (1, "source_table"), (0, "constraint_name"), "source_schema"),
    "create_primary_key": _Change(frozenset({"nullable"}), (1, "table_name"), (2, "columns")),
    "drop_column": _Change(frozenset({"missing"}), *_TABLE_COLUMN),
    "drop_constraint": _Change(frozenset({"missing"}), *_NAME_TABLE),
    "drop_index": _Change(frozenset({"missing"}), (1, "table_name"), (0, "index_name")),
    "drop_table": _Change(frozenset({"missing table"}), (0, "table_name"), None),
}
_TABLES, _THINGS = ("table_name", "source_table"), ("columns", "column_name", "constraint_name", "index_name")
_ALTERED = {
    "nullable": {"nullable"},
    "type_": {"type", "collation"},
    "server_default": {"default"},
    "comment": {"comment"},
    "new_column_name": {"missing"},
}
_DEPTH = 3
_UNKNOWN = object()


def unexplained(found: Iterable[Difference], table: Name, thing: str) -> list[Difference]:
    """Return the differences of a table's column or constraint that no later call of the running revision explains."""
    found = list(found)
    if not found:
        return []
    explained = {part for call in _later_calls() for part in call.explains(table, thing)}
    return [
        one for one in found if not explained & ({"missing", "not yet"} if one.existing == "missing" else {one.part})
    ]


def is_dropped(table: Name, thing: str | None = None) -> bool:
    """Return whether a later call of the running revision drops the table or a part of it: an interrupted run reached it."""
    part = "missing table" if thing is None else "missing"
    return any(part in call.explains(table, thing or "") for call in _later_calls())


@dataclass(frozen=True)
class _Call:
    """A call in the author's code, and what the names in it refer to."""

    node: ast.Call
    name: str
    names: Mapping[str, Any]
    batches: Mapping[str, ast.Call] = field(default_factory=dict)

    def explains(self, table: Name, thing: str) -> Set[str]:
        if self.name == "execute":
            return self._explained_by_text(table, thing)
        change = _change(self.name)
        if change is None:
            return set()
        of_thing = change.thing
        batch = self.batches.get(getattr(getattr(self.node.func, "value", None), "id", ""))
        if batch is not None:
            # A batch names the table once, and its calls leave it out.
            on, of_thing = self._value(batch, 0, "table_name"), (0, of_thing[1] if of_thing else "")
        else:
            on = self._value(self.node, *change.table)
        schema = self._value(batch or self.node, 99, change.schema)
        if on != table.name or schema not in (None, _UNKNOWN, table.schema):
            return set()
        what = thing if of_thing is None else self._value(self.node, *of_thing)
        if what not in (thing, _UNKNOWN) and not (isinstance(what, list) and {thing, _UNKNOWN} & set(what)):
            return set()
        return change.parts.union(*(_ALTERED.get(str(keyword.arg), set()) for keyword in self._keywords()))

    def _keywords(self) -> list[ast.keyword]:
        return self.node.keywords if self.name == "alter_column" else []

    def _explained_by_text(self, table: Name, thing: str) -> set[str]:
        words = re.findall(r"\w+", _text(self.node.args[0], self.names).lower() if self.node.args else "")
        named = {"alter", table.name.lower(), thing.lower()} <= set(words)
        return {"nullable", "default", "type", "collation"} if named else set()

    def _value(self, call: ast.Call, place: int, keyword: str) -> Any:
        given = next((one.value for one in call.keywords if one.arg == keyword), None)
        if given is None and place < len(call.args):
            given = call.args[place]
        return None if given is None else _read(given, self.names)


@cache
def _change(name: str) -> _Change | None:
    """Return what a call of Alembic or of a helper changes, by its name; a helper declares it."""
    if name in _OF_ALEMBIC or name not in HOME_OF:
        return _OF_ALEMBIC.get(name)
    declaration = getattr(loaded(name), "declaration", None)
    if declaration is None or not declaration.changes:
        return None
    places = {parameter: (place, parameter) for place, parameter in enumerate(declaration.signature.parameters)}
    table = next(places[name] for name in _TABLES if name in places)
    thing = next((places[name] for name in _THINGS if name in places), None)
    schema = "source_schema" if "source_schema" in places else "schema"
    return _Change(declaration.changes, table, thing, schema)


def _later_calls() -> Iterator[_Call]:
    """Go through the calls that the author's code has still to come to, from the call of the helper up to Alembic."""
    frame: FrameType | None = sys._getframe(1)
    frames: list[FrameType] = []
    while frame is not None and (module := _module(frame)) != "alembic":
        if module not in ("safeops", "contextlib"):
            frames.append(frame)
        frame = frame.f_back
    # A script with its own migration context may run many migrations in one function, a block each.
    runs_revision = frame is not None
    for one in frames if runs_revision else frames[:1]:
        yield from _calls_of(one.f_code, {**one.f_globals, **one.f_locals}, place_of(one), _DEPTH, not runs_revision)


def _module(frame: FrameType) -> str:
    return str(frame.f_globals.get("__name__", "")).partition(".")[0]


def _calls_of(
    code: CodeType, names: Mapping[str, Any], now: tuple[int, int] | None, depth: int, in_block: bool = False
) -> Iterator[_Call]:
    """Yield the calls of a function, in a running one those after the current call, and of the functions called."""
    body = node_of(code, names)
    nodes = list(walk(body)) if body is not None else []
    if in_block and now is not None:
        block = block_of(nodes, now[0])
        nodes = [node for node in nodes if block_of(nodes, getattr(node, "lineno", now[0])) is block]
    batches = dict(batch for node in nodes if isinstance(node, ast.With) for batch in _batches(node))
    for node in nodes:
        if not isinstance(node, ast.Call) or (now is not None and not is_later(node, nodes, now)):
            continue
        called = _read(node.func, names)
        written = str(getattr(node.func, "id", "") or getattr(node.func, "attr", ""))
        if isinstance(called, FunctionType) and not _is_library(called):
            if depth > 0:
                yield from _calls_of(called.__code__, _names_in(called, node, names), None, depth - 1)
            continue
        name = called.__name__ if isinstance(called, FunctionType) else written
        if name == "execute" or _change(name) is not None:
            yield _Call(node, name, names, batches)


def _is_library(function: FunctionType) -> bool:
    root = function.__module__.partition(".")[0] if function.__module__ else ""
    return root in ("safeops", "alembic", "sqlalchemy") or root in sys.stdlib_module_names


def _batches(block: ast.With) -> Iterator[tuple[str, ast.Call]]:
    for item in block.items:
        call = item.context_expr
        if isinstance(call, ast.Call) and getattr(call.func, "attr", "") == "batch_alter_table":
            yield str(getattr(item.optional_vars, "id", "")), call


def _names_in(function: FunctionType, call: ast.Call, names: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the names in a function refer to in this call."""
    given = [_read(argument, names) for argument in call.args]
    keywords = {keyword.arg: _read(keyword.value, names) for keyword in call.keywords if keyword.arg}
    try:
        bound = inspect.signature(function).bind_partial(*given, **keywords)
    except TypeError:
        return dict(function.__globals__)
    bound.apply_defaults()
    return {**function.__globals__, **inspect.getclosurevars(function).nonlocals, **bound.arguments}


def _read(node: ast.expr, names: Mapping[str, Any]) -> Any:
    """Return the value of a literal or a name; nothing is called, and only attributes of modules are read."""
    if isinstance(node, ast.Constant):
        return node.value
    if isinstance(node, ast.Name):
        return names.get(node.id, _UNKNOWN)
    if isinstance(node, (ast.List, ast.Tuple)):
        return [_read(element, names) for element in node.elts]
    if isinstance(node, ast.Attribute):
        owner = _read(node.value, names)
        return vars(owner).get(node.attr, _UNKNOWN) if isinstance(owner, (ModuleType, type)) else _UNKNOWN
    return _UNKNOWN


def _text(node: ast.expr, names: Mapping[str, Any]) -> str:
    """Return the SQL of an argument as far as it can be read: a string, an f-string, or either in a call of text()."""
    if isinstance(node, ast.JoinedStr):
        return "".join(_text(value, names) for value in node.values)
    if isinstance(node, ast.FormattedValue):
        return _text(node.value, names)
    if isinstance(node, ast.Call) and node.args:
        return _text(node.args[0], names)
    value = _read(node, names)
    return value if isinstance(value, str) else " "


_FUNCTIONS = (ast.FunctionDef, ast.AsyncFunctionDef, ast.Lambda)


def node_of(code: CodeType, names: Mapping[str, Any]) -> ast.AST | None:
    """Return the syntax of a function or module; None if there is no source, or if it cannot be found there."""
    tree = _parsed("".join(linecache.getlines(code.co_filename, dict(names))))
    if tree is None or code.co_name == "<module>":
        return tree
    found = [node for node in ast.walk(tree) if isinstance(node, _FUNCTIONS) and code.co_firstlineno in _starts(node)]
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
    """Return whether a call comes after the call that runs now, perhaps in the next turn of a loop around both."""
    if (node.lineno, node.col_offset) > now:
        return True
    loops = (node for node in nodes if isinstance(node, (ast.For, ast.AsyncFor, ast.While)))
    return any(loop.lineno <= node.lineno and loop.lineno <= now[0] <= (loop.end_lineno or 0) for loop in loops)


def block_of(nodes: Sequence[ast.AST], line: int) -> ast.AST | None:
    """Return the outermost ``with`` block around a line."""
    blocks = (node for node in nodes if isinstance(node, (ast.With, ast.AsyncWith)))
    return next((block for block in blocks if block.lineno <= line <= (block.end_lineno or 0)), None)


def place_of(frame: FrameType) -> tuple[int, int]:
    """Return the line and column of the call in which a frame is now."""
    if sys.version_info >= (3, 11):
        line, _, column, _ = next(islice(frame.f_code.co_positions(), frame.f_lasti // 2, None))
        if line is not None and column is not None:
            return line, column
    # Without columns, the calls of one line count as one.
    return frame.f_lineno, sys.maxsize
