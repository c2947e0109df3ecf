"""Lays statements out as ``ruff format`` does: a new revision passes a project's checks."""

from __future__ import annotations

import ast
import copy
import io
import re
import tokenize
from collections.abc import Iterator, Sequence
from typing import Any

WIDTH = 88
_STEP = "    "
_VALUE = "_safeops_value"
# Neither a prefix but b, nor three quotes.
_PLAIN_STRING = re.compile(r"b?(?:'(?!'')|\"(?!\"\"))")


Parts = tuple[str, list[tuple[str, ast.expr]], str]


class _CannotLayOut(Exception):
    """The statement is left as its author wrote it."""


def laid_out(source: str, *, depth: int = 0) -> str:
    """Return the statements of ``source`` in the layout of ``ruff format``, indented by ``depth`` steps.

    Comments between statements are kept. A statement that has a comment inside, a string over several lines or a form that
    is not known here is left as it is.
    """
    lines, body = source.splitlines(), ast.parse(source).body
    new = [*_block(body, lines, 0, depth), *lines[_end(body) :]]
    return "\n".join(_STEP * depth + line if line else "" for line in new)


def literal(value: str | bytes) -> str:
    """Return a string as source code, in double quotes unless single ones need fewer backslashes."""
    prefix = "b" if isinstance(value, bytes) else ""
    # Next to a double quote, repr() chooses single quotes and leaves double ones alone.
    written = repr(value + b'"') if isinstance(value, bytes) else repr(value + '"')
    body = re.sub(r"\\(.)", lambda match: "'" if match[1] == "'" else match[0], written[len(prefix) + 1 : -2])
    quote = "'" if body.count('"') > body.count("'") else '"'
    return prefix + quote + body.replace(quote, f"\\{quote}") + quote


def parsed(source: str) -> ast.Module:
    """Return the syntax tree of a source; an empty one if it is not Python."""
    try:
        return ast.parse(source)
    except SyntaxError:
        return ast.Module([], [])


# Statements -----------------------------------------------------------------------------------------------------


def _block(body: Sequence[ast.stmt], lines: Sequence[str], start: int, depth: int) -> Iterator[str]:
    for statement in body:
        first, end = statement.lineno - 1, _end([statement])
        yield from (line.strip() for line in lines[start:first])
        try:
            yield from _statement(statement, lines, depth)
        except _CannotLayOut:
            yield from (_without_indent(line, statement.col_offset) for line in lines[max(start, first) : end])
        start = end


def _end(body: Sequence[ast.stmt]) -> int:
    return (body[-1].end_lineno or 0) if body else 0


def _without_indent(line: str, columns: int) -> str:
    return line if line[:columns].strip() else line[columns:]


def _statement(statement: ast.stmt, lines: Sequence[str], depth: int) -> list[str]:
    if isinstance(statement, ast.With):
        return _with(statement, lines, depth)
    _refuse_lossy(lines[statement.lineno - 1 : _end([statement])])
    part = "exc" if isinstance(statement, ast.Raise) else "value"
    value, used = getattr(statement, part, None), depth * len(_STEP)
    if not isinstance(value, (ast.Call, ast.List, ast.Tuple, ast.Dict)) or used + len(_flat(statement)) <= WIDTH:
        return [_fitting(_flat(statement), used)]
    if len(_links(value)) > 1:
        # Outside of brackets ruff puts a chain into parentheses.
        raise _CannotLayOut
    around = copy.copy(statement)
    setattr(around, part, ast.Name(_VALUE, ast.Load()))
    prefix, suffix = _flat(around).split(_VALUE)
    return _broken(value, prefix, suffix, used)


def _with(statement: ast.With, lines: Sequence[str], depth: int) -> list[str]:
    header = _fitting(_flat(ast.copy_location(ast.With(statement.items, []), statement)), depth * len(_STEP))
    if statement.items[-1].context_expr.end_lineno != statement.lineno or statement.body[0].lineno == statement.lineno:
        raise _CannotLayOut
    return [header, *(_STEP + line for line in _block(statement.body, lines, statement.lineno, depth + 1))]


def _fitting(line: str, used: int) -> str:
    if used + len(line) > WIDTH:
        raise _CannotLayOut
    return line


def _refuse_lossy(own: Sequence[str]) -> None:
    """Refuse what the tree lacks: comments, second statements of a line, strings with prefixes or in pieces."""
    before = tokenize.OP
    for token in tokenize.generate_tokens(io.StringIO("\n".join(own).strip() + "\n").readline):
        in_pieces = token.type == before == tokenize.STRING
        bare = token.type == tokenize.STRING and not _PLAIN_STRING.match(token.string)
        if in_pieces or bare or token.type == tokenize.COMMENT or token.string == ";":
            raise _CannotLayOut
        before = before if token.type == tokenize.NL else token.type


# Expressions ----------------------------------------------------------------------------------------------------


def _flat(node: ast.AST) -> str:
    """Return a node on one line, its strings as ``ruff format`` quotes them."""
    quoting = _Quoting()
    # Python 3.10 writes "lambda : x".
    flat = ast.unparse(quoting.visit(copy.deepcopy(node))).replace("lambda :", "lambda:")
    if "\n" in flat:
        raise _CannotLayOut
    return re.sub(r"_safeops_(\d+)_", lambda match: quoting.strings[int(match[1])], flat)


class _Quoting(ast.NodeTransformer):
    """Replaces strings by names, and keeps them."""

    def __init__(self) -> None:
        self.strings: list[str] = []

    def visit_Constant(self, node: ast.Constant) -> ast.AST:
        if not isinstance(node.value, (str, bytes)):
            return node
        self.strings.append(literal(node.value))
        return ast.Name(f"_safeops_{len(self.strings) - 1}_", ast.Load())

    def visit_JoinedStr(self, node: ast.JoinedStr) -> ast.AST:
        raise _CannotLayOut

    def visit_Pow(self, node: ast.Pow) -> ast.AST:
        raise _CannotLayOut


def _broken(node: ast.expr, prefix: str, suffix: str, used: int) -> list[str]:
    """Return a node between a prefix and a suffix, on as many lines as it needs."""
    flat = prefix + _flat(node) + suffix
    if used + len(flat) <= WIDTH or isinstance(node, (ast.Constant, ast.Name)):
        return [flat]
    match node:
        case ast.Call(ast.Attribute(ast.Call() as inner_call, method), args=[], keywords=[]):
            # ruff breaks the call in front, not the empty one behind it.
            return _broken(inner_call, prefix, f".{method}(){suffix}", used)
    if len(links := _links(node)) > 1:
        return _chained(links, prefix, suffix, used)
    return _in_brackets(_parts(node), flat, prefix, suffix, used)


def _in_brackets(whole: Parts, flat: str, prefix: str, suffix: str, used: int) -> list[str]:
    opening, parts, closing = whole
    if not parts:
        return [flat]
    if used + len(prefix + opening) > WIDTH:
        raise _CannotLayOut
    inner, joined = used + len(_STEP), ", ".join(before + _flat(part) for before, part in parts)
    if closing == ")" and opening != "(" and inner + len(joined) <= WIDTH:
        lines = [joined]
    else:
        lines = [line for before, part in parts for line in _broken(part, before, ",", inner)]
    return [prefix + opening, *(_STEP + line for line in lines), closing + suffix]


def _links(node: ast.expr) -> list[ast.Call]:
    """Return a chain of method calls, the first one first; ruff does not treat a single call as a chain."""
    match node:
        case ast.Call(ast.Attribute(ast.Call() as before)):
            return [*_links(before), node]
        case ast.Call(func) if any(isinstance(part, ast.Call) for part in ast.walk(func)):
            raise _CannotLayOut
    return []


def _chained(links: Sequence[ast.Call], prefix: str, suffix: str, used: int) -> list[str]:
    """Put each call of a chain on separate lines."""
    first: Any = links[0].func
    lines = _broken(first.value, prefix, "", used)
    for link in links:
        method: Any = link.func
        opening, parts, closing = _parts(link)
        opening, last = f".{method.attr}(", suffix if link is links[-1] else ""
        flat = f"{opening}{', '.join(before + _flat(part) for before, part in parts)}){last}"
        fits = used + len(flat) <= WIDTH
        lines += [flat] if fits else _in_brackets((opening, parts, closing), flat, "", last, used)
    return lines


def _parts(node: ast.expr) -> Parts:
    """Return the opening bracket of a node, its parts, each with its prefix, and the closing bracket."""
    if isinstance(node, ast.Call):
        named = [(f"{keyword.arg}=" if keyword.arg else "**", keyword.value) for keyword in node.keywords]
        return f"{_flat(node.func)}(", [*map(_argument, node.args), *named], ")"
    if isinstance(node, (ast.List, ast.Tuple)):
        opening, closing = "[]" if isinstance(node, ast.List) else "()"
        return opening, [_argument(item) for item in node.elts], closing
    if isinstance(node, ast.Dict) and None not in node.keys:
        return "{", [(f"{_flat(key)}: ", value) for key, value in zip(node.keys, node.values, strict=True) if key], "}"
    raise _CannotLayOut


def _argument(node: ast.expr) -> tuple[str, ast.expr]:
    return ("*", node.value) if isinstance(node, ast.Starred) else ("", node)
