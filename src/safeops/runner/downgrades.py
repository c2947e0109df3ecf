"""Reads from the files which revisions have no way back."""

from __future__ import annotations

import ast
from pathlib import Path

from alembic.script import Script


def missing_way_back(script: Script) -> tuple[int, str] | None:
    """Return the line, and what is missing there; None where a revision can be taken back, or says why not.

    A docstring alone does say why: of what the database had before, an upgrade makes nothing that could be taken back.
    """
    functions = {
        node.name: node for node in ast.parse(Path(script.path).read_bytes()).body if isinstance(node, ast.FunctionDef)
    }
    upgrade, downgrade = functions.get("upgrade"), functions.get("downgrade")
    if downgrade is None:
        # It may be assigned or imported, which only the module itself tells.
        return None if hasattr(script.module, "downgrade") else (1, "has no downgrade()")
    body = _deeds(downgrade)
    if body and all(_is_refusal(one) for one in body):
        return downgrade.lineno, "has a downgrade() that was not written"
    # What does nothing, as a merge, is undone by doing nothing.
    if not body and ast.get_docstring(downgrade) is None and upgrade is not None and _deeds(upgrade):
        return downgrade.lineno, "has an empty downgrade()"
    return None


def _deeds(function: ast.FunctionDef) -> list[ast.stmt]:
    return [one for one in function.body if not _does_nothing(one)]


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Return(value=None) | ast.Expr(value=ast.Constant()):
            return True
    return False


def _is_refusal(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
            return True
    return False
