"""The imports of a new revision: what its code uses, and what Alembic and the project's renderers ask for."""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy import dialects

from safeops.authoring.layout import WIDTH
from safeops.homes import HOME_OF

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
        given: Further imports, as code; unused ones are kept, and marked for ruff.
        at_hand: Names of safeops that the author may need, with ``sa`` and ``op``; marked for ruff.
        project: The folder of the project, which has its modules, or ``src`` in it.
    """
    used = {node.id for node in ast.walk(_tree(text)) if isinstance(node, ast.Name)}
    asked, others = _read(given)
    wanted = {*asked, *_known(used - {imported.bound for imported in asked})}
    if at_hand := list(at_hand):
        wanted |= {_OP, _SA, *(_Import("safeops", name) for name in at_hand)}
    wanted.add(_Import("collections.abc", "Sequence"))
    sections: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for (module, _), members in sorted(_merged(wanted).items(), key=lambda item: _place(item[0], item[1])):
        root = (module or members[0].name).split(".")[0]
        is_used = all(member.bound in {*used, "Sequence"} for member in members)
        sections[_section(root, project)].append(_line(module, members, "" if is_used else _UNUSED))
    sections[2] += others
    return "\n\n".join("\n".join(lines) for lines in sections.values() if lines)


def _section(root: str, project: Path) -> int:
    """Return 0 for the standard library, 1 for installed packages, 2 for the project's modules.

    To isort and ruff ``alembic`` is one of those if the migrations are in a folder of that name.
    """
    if root in sys.stdlib_module_names:
        return 0
    places = [project / root, project / "src" / root]
    is_own = not root or any(place.is_dir() or place.with_suffix(".py").is_file() for place in places)
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
        elif name in HOME_OF:
            yield _Import("safeops", name)
        elif name in dialects.__all__:
            yield _Import("sqlalchemy.dialects", name)


def _read(given: str) -> tuple[list[_Import], list[str]]:
    """Return the imports of a text, and its other statements as they are."""
    imports: list[_Import] = []
    others = []
    for statement in _tree(given).body:
        if isinstance(statement, ast.Import):
            imports += [_Import("", name.name, name.asname) for name in statement.names]
        elif isinstance(statement, ast.ImportFrom):
            module = "." * statement.level + (statement.module or "")
            imports += [_Import(module, name.name, name.asname) for name in statement.names if module != "__future__"]
        else:
            others.append(ast.unparse(statement))
    return imports, others


def _merged(imports: Iterable[_Import]) -> dict[tuple[str, str], list[_Import]]:
    """Gather the names of a module into one statement; each name with an alias has its own."""
    merged: dict[tuple[str, str], list[_Import]] = {}
    for each in sorted(imports, key=_rank):
        alone = f"{each.name} {each.alias}" if each.alias or not each.module else ""
        merged.setdefault((each.module, alone), []).append(each)
    return merged


def _rank(imported: _Import) -> tuple[int, str, str]:
    name = imported.name
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name


def _place(key: tuple[str, str], members: list[_Import]) -> tuple[bool, str, str]:
    return bool(key[0]), (key[0] or members[0].name).lower(), key[1]


def _line(module: str, members: list[_Import], mark: str) -> str:
    names = [member.name + (f" as {member.alias}" if member.alias else "") for member in members]
    line = f"from {module} import {', '.join(names)}" if module else f"import {names[0]}"
    if len(line) <= WIDTH:
        return line + mark
    return "\n".join([f"from {module} import ({mark}", *(f"    {name}," for name in names), ")"])
