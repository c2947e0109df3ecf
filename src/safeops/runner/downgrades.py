"""Reads from the files which revisions have no way back."""

from __future__ import annotations

import ast
import io
import tokenize
from pathlib import Path

from alembic.script import Script

from safeops.authoring.revisions.page import NOTHING_TO_UNDO


def missing_way_back(script: Script) -> tuple[int, str] | None:
    """Return the line, and what is missing there; None where a revision can be taken back, or says why not.

    A comment that begins with "Nothing to undo" says why. A docstring does not: Alembic's template writes one too.
    """
    source = Path(script.path).read_bytes()
    functions = {node.name: node for node in ast.parse(source).body if isinstance(node, ast.FunctionDef)}
    upgrade, downgrade = functions.get("upgrade"), functions.get("downgrade")
    if downgrade is None:
        # It may be assigned or imported, which only the module itself tells.
        return None if hasattr(script.module, "downgrade") else (1, "has no downgrade()")
    body = _deeds(downgrade)
    if body and all(_is_refusal(one) for one in body):
        return downgrade.lineno, "has a downgrade() that was not written"
    # What does nothing, as a merge, is undone by doing nothing.
    if not body and upgrade is not None and _deeds(upgrade) and not _says_nothing_to_undo(source, downgrade):
        return downgrade.lineno, "has an empty downgrade()"
    return None


def _says_nothing_to_undo(source: bytes, function: ast.FunctionDef) -> bool:
    # To Python, a comment after its last statement stands behind the function.
    for token in tokenize.tokenize(io.BytesIO(source).readline):
        if (
            token.type == tokenize.COMMENT
            and token.start[0] >= function.lineno
            and token.start[1] > function.col_offset
        ):
            if token.string.startswith(NOTHING_TO_UNDO):
                return True
        elif token.type == tokenize.NAME and token.start[0] > function.lineno and token.start[1] == 0:
            return False
    return False


def _deeds(function: ast.FunctionDef) -> list[ast.stmt]:
    return [one for one in function.body if not _does_nothing(one)]


def _does_nothing(statement: ast.stmt) -> bool:
    match statement:
        case ast.Pass() | ast.Return(value=None | ast.Constant(value=None)) | ast.Expr(value=ast.Constant()):
            return True
    return False


def _is_refusal(statement: ast.stmt) -> bool:
    match statement:
        case ast.Raise(exc=ast.Name(id="NotImplementedError") | ast.Call(func=ast.Name(id="NotImplementedError"))):
            return True
    return False
