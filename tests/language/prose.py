"""The prose of the project's files: text, docstrings, comments, messages and the names of tests, without the code in it."""

from __future__ import annotations

import ast
import io
import re
import tokenize
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).resolve().parents[2]
WRITTEN_BY_OTHERS = ("tests/review/key_", "tests/language/words.py", "examples/cities/data")
"""Revisions as people write them; and the list of the words."""
NAMES = ("*.md", "*.py", "*.mako", "*.sh", "*.toml", "*.yaml", "*.yml", "run", "package", "*.ini")
FENCED = re.compile(r"^([ >]*)(```|~~~).*?^\1?\2 *$", re.M | re.S)
PERSISTED = "safeops: stands for a table that has been renamed"
"""A comment that databases keep."""
NOT_PROSE = re.compile(
    rf"{PERSISTED}|``.*?``|`[^`\n]*`|\]\([^)\s]*\)|<!--.*?-->|https?://\S+|\{{[^{{}}\n]*\}}|:[a-z_]+\b|\b\w+="
    r"|^ +\*{0,2}\w+:(?= )",
    re.S | re.M,
)
WORDS_OF_A_MESSAGE = 2


class Passage(NamedTuple):
    path: str
    line: int
    text: str


def passages(paths: list[Path]) -> Iterator[Passage]:
    """Yield each passage of prose in files and folders of the project."""
    for path in paths:
        for file in [path] if path.is_file() else _files(path):
            name = file.relative_to(ROOT).as_posix()
            if not name.startswith(WRITTEN_BY_OTHERS):
                yield from (Passage(name, line, text) for line, text in _prose(file))


def _files(folder: Path) -> list[Path]:
    found = {file for name in NAMES for file in folder.rglob(name) if file.is_file()}
    return sorted(file for file in found if not _is_out_of_sight(file.relative_to(ROOT)))


def _is_out_of_sight(path: Path) -> bool:
    return any(part.startswith((".", "_build")) and part not in (".ci", ".github") for part in path.parts[:-1])


def _prose(file: Path) -> Iterator[tuple[int, str]]:
    text = file.read_text(encoding="utf-8")
    if file.suffix == ".md":
        yield 1, _blanked(NOT_PROSE, _blanked(FENCED, text))
    elif file.suffix == ".py":
        yield from _prose_of_code(file, text)
    elif file.suffix == ".mako":
        yield 1, _blanked(NOT_PROSE, text)
    else:
        for number, line in enumerate(text.splitlines(), 1):
            if "#" in line and not line.startswith("#!"):
                yield number, _blanked(NOT_PROSE, line.partition("#")[2])


def _prose_of_code(file: Path, text: str) -> Iterator[tuple[int, str]]:
    tree = ast.parse(text)
    in_tests = "tests" in file.relative_to(ROOT).parts
    docstrings = set(_docstrings(tree))
    for node in docstrings:
        yield node.lineno, _blanked(NOT_PROSE, _without_example(node.value))
    for token in tokenize.generate_tokens(io.StringIO(text).readline):
        if token.type == tokenize.COMMENT:
            yield token.start[0], _blanked(NOT_PROSE, token.string)
    if in_tests:
        yield from _test_names(tree)
    else:
        yield from _messages(tree, docstrings)


def _docstrings(tree: ast.Module) -> Iterator[ast.Constant]:
    """Yield docstrings, also those below a constant or a field."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value


def _without_example(docstring: str) -> str:
    before, example, after = docstring.partition("Example:\n")
    return before + example + re.sub(r"[^\n]", " ", after)


def _test_names(tree: ast.Module) -> Iterator[tuple[int, str]]:
    for node in ast.walk(tree):
        if isinstance(node, (ast.FunctionDef, ast.ClassDef)) and node.name.lower().startswith("test"):
            yield node.lineno, re.sub(r"(?<=[a-z])(?=[A-Z])", " ", node.name).replace("_", " ")


def _messages(tree: ast.Module, docstrings: set[ast.Constant]) -> Iterator[tuple[int, str]]:
    """Yield strings of several words; what is put into an f-string is left out."""
    parts = {part for node in ast.walk(tree) if isinstance(node, ast.JoinedStr) for part in node.values}
    for node in ast.walk(tree):
        if isinstance(node, ast.JoinedStr):
            text = "".join(part.value if isinstance(part, ast.Constant) else "{}" for part in node.values)
        elif isinstance(node, ast.Constant) and isinstance(node.value, str) and node not in docstrings | parts:
            text = node.value
        else:
            continue
        if len(re.findall(r"\b[a-z]{2,}\b", text)) >= WORDS_OF_A_MESSAGE:
            yield node.lineno, _blanked(NOT_PROSE, text)


def _blanked(pattern: re.Pattern[str], text: str) -> str:
    """Return the text with dots for what the pattern finds; lines keep their numbers."""
    return pattern.sub(lambda found: re.sub(r"[^\n]", "·", found[0]), text)
