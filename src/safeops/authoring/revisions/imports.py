"""The imports of a new revision: what its text uses, and what Alembic and the project's own renderers ask for."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import dialects

import safeops
from safeops.authoring.revisions.layout import WIDTH

_UNUSED = "  # noqa: F401"


@dataclass(frozen=True)
class _Import:
    """One imported name; ``module`` is empty for ``import name``."""

    module: str
    name: str
    alias: str | None = None

    @property
    def bound(self) -> str:
        return self.alias or self.name.split(".")[0]


_OP, _SA = _Import("alembic", "op"), _Import("", "sqlalchemy", "sa")


def written_imports(text: str, given: str = "", at_hand: Iterable[str] = (), project: Path = Path()) -> str:
    """Return the import lines of a revision, merged and sorted as isort does.

    Args:
        text: The code of the revision: what it uses of ``sa``, ``op``, safeops and the dialects is imported.
        given: Further imports, as code; those that nothing uses stay, marked for ruff.
        at_hand: Names of safeops, with ``sa`` and ``op``, that the author may want; marked for ruff.
        project: The folder of the project: what stands there, or in its ``src``, are modules of its own.
    """
    used = {node.id for node in ast.walk(_tree(text)) if isinstance(node, ast.Name)}
    asked, others = _read(given)
    wanted = {*asked, *_known(used - {one.bound for one in asked})}
    if at_hand := list(at_hand):
        wanted |= {_OP, _SA, *(_Import("safeops", name) for name in at_hand)}
    wanted.add(_Import("collections.abc", "Sequence"))
    sections: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for (module, _), members in sorted(_merged(wanted).items(), key=lambda item: _place(item[0], item[1])):
        root = (module or members[0].name).split(".")[0]
        is_used = all(one.bound in {*used, "Sequence"} for one in members)
        sections[_section(root, project)].append(_line(module, members, "" if is_used else _UNUSED))
    sections[2] += others
    return "\n\n".join("\n".join(lines) for lines in sections.values() if lines)


def _section(root: str, project: Path) -> int:
    """Return 0 for the standard library, 1 for what is installed, 2 for what is the project's own.

    To isort and ruff that is also ``alembic``, where the migrations stand in a folder of that name.
    """
    if root in sys.stdlib_module_names:
        return 0
    places = [project / root, project / "src" / root]
    is_own = not root or any(one.is_dir() or one.with_suffix(".py").is_file() for one in places)
    return 2 if is_own else 1


def _tree(text: str) -> ast.Module:
    try:
        return ast.parse(text)
    except SyntaxError:
        return ast.Module([], [])


def _known(names: Iterable[str]) -> Iterator[_Import]:
    for name in names:
        if name in ("op", "sa"):
            yield _OP if name == "op" else _SA
        elif name in safeops.__all__:
            yield _Import("safeops", name)
        elif name in dialects.__all__:
            yield _Import("sqlalchemy.dialects", name)


def _read(given: str) -> tuple[list[_Import], list[str]]:
    """Return the imports of a text, and its other statements as they stand."""
    imports: list[_Import] = []
    others = []
    for statement in _tree(given).body:
        if isinstance(statement, ast.Import):
            imports += [_Import("", one.name, one.asname) for one in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            imports += [_Import(module, one.name, one.asname) for one in statement.names if module != "__future__"]
        else:
            others.append(ast.unparse(statement))
    return imports, others


def _merged(imports: Iterable[_Import]) -> dict[tuple[str, str], list[_Import]]:
    """Gather the plain names of a module into one statement; what has an alias stands alone."""
    merged: dict[tuple[str, str], list[_Import]] = {}
    for one in sorted(imports, key=_rank):
        alone = f"{one.name} {one.alias}" if one.alias or not one.module else ""
        merged.setdefault((one.module, alone), []).append(one)
    return merged


def _rank(one: _Import) -> tuple[int, str, str]:
    kind = 0 if one.name.isupper() and len(one.name) > 1 else 1 if one.name[:1].isupper() else 2
    return kind, one.name.lower(), one.name


def _place(key: tuple[str, str], members: list[_Import]) -> tuple[bool, str, str]:
    return bool(key[0]), (key[0] or members[0].name).lower(), key[1]


def _line(module: str, members: list[_Import], mark: str) -> str:
    names = [one.name + (f" as {one.alias}" if one.alias else "") for one in members]
    line = f"from {module} import {', '.join(names)}" if module else f"import {names[0]}"
    if len(line) <= WIDTH:
        return line + mark
    return "\n".join([f"from {module} import ({mark}", *(f"    {name}," for name in names), ")"])
