"""The parts of a new revision, for ``script.py.mako``: its docstring, imports and code."""

from __future__ import annotations

import ast
import re
import sys
import textwrap
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any, NamedTuple

from alembic.util import format_as_comma
from sqlalchemy import dialects

from safeops.authoring.command_line import refuse_long, refused, requested
from safeops.authoring.descriptions import Description, described, in_docstring, paragraph, reasons, summary
from safeops.authoring.layout import WIDTH, laid_out, parsed
from safeops.errors import InvalidArgument
from safeops.homes import HOME_OF
from safeops.schema.refusals import NOTHING_TO_UNDO

OFFERED = (
    "add_column_if_missing",
    "backfill",
    "create_index_if_missing",
    "drop_column_if_exists",
    "drop_index_if_exists",
    "irreversible",
)
"""What an empty revision imports for its author."""

_NOT_WRITTEN = """\
raise NotImplementedError(
    "This downgrade is not written yet. Write the inverse of upgrade(), or call"
    " safeops.irreversible(reason) if there is none."
)"""


class Body(NamedTuple):
    """What a revision does to one database; ``engine`` is empty if there is only one."""

    engine: str
    upgrade: str
    downgrade: str


class Page:
    """The parts of a new revision file, each as text; the template arranges them.

    Args:
        context: What Alembic passes to the template.
        engines: The names of the databases, separated by commas, if env.py has several.
        longest_revision_id: How many characters ``alembic_version.version_num`` takes.
    """

    def __init__(self, context: Any, *, engines: str | None = None, longest_revision_id: int = 32) -> None:
        self._context: dict[str, Any] = context.kwargs
        self._engines = [name for name in re.split(r"[,\s]+", engines or "") if name]
        revision, options = str(self._context["up_revision"]), getattr(self._context.get("config"), "cmd_opts", None)
        try:
            refuse_long(revision, longest_revision_id)
            self._draft = requested(options, revision, self._engines)
        except InvalidArgument as error:
            raise refused(error, by_command=options is not None) from error

    # What a reviewer reads --------------------------------------------------------------------------------------

    @property
    def message(self) -> str:
        return re.sub('^"', r"\"", in_docstring(self._context["message"]))

    @property
    def revises(self) -> str:
        return format_as_comma(self._context["down_revision"]) or "<base>"

    @property
    def what(self) -> str:
        if self._is_merge:
            return "Merges branches of revisions; does not change the database."
        text = summary(self._upgrades)
        return paragraph("What", text[:1].upper() + text[1:], "which tables change, and how.")

    @property
    def why_safe(self) -> str:
        if self._is_merge:
            return "It runs no statement."
        return paragraph(
            "Why it is safe",
            reasons(self._upgrades),
            "which locks it takes and for how long; what the running application sees.",
        )

    @property
    def phase(self) -> str:
        phases = " ".join(dict.fromkeys(call.phase for call in self._upgrades if call.phase)) or "1 of 1."
        text = self._draft.phase if self._draft else phases if self._upgrades or self._is_merge else ""
        return paragraph("Phase", text, "the only phase, or which of several deploys, and the next step.")

    @property
    def roll_back(self) -> str:
        if self._is_merge:
            to = self._context["down_revision"][0]
            return f"alembic downgrade {to} splits the branches again; nothing else. -1 is ambiguous here."
        undone, more = summary(self._downgrades) or "changes nothing.", self._draft.roll_back if self._draft else ""
        is_known = self._downgrades or self._draft
        text = f"alembic downgrade -1 {undone} {more}".strip() if is_known else ""
        return paragraph("Roll back", text, "what `alembic downgrade -1` restores, and what it cannot restore.")

    # What Alembic reads -----------------------------------------------------------------------------------------

    @property
    def revision(self) -> str:
        return self._value("revision: str", "up_revision")

    @property
    def down_revision(self) -> str:
        return self._value("down_revision: str | Sequence[str] | None")

    @property
    def branch_labels(self) -> str:
        return self._value("branch_labels: str | Sequence[str] | None")

    @property
    def depends_on(self) -> str:
        return self._value("depends_on: str | Sequence[str] | None")

    def _value(self, target: str, key: str = "") -> str:
        value = self._context[key or target.split(":")[0]]
        return laid_out(f"{target} = {value!r}").removeprefix(f"{target} = ")

    # Code -------------------------------------------------------------------------------------------------------

    @property
    def imports(self) -> str:
        text = "\n".join([self.module, *(body.upgrade + "\n" + body.downgrade for body in self._bodies)])
        is_plain = not self._upgrades and not self._is_merge and not self._draft
        named = getattr(self._context.get("config"), "config_file_name", None)
        project = Path(named).absolute().parent if named else Path()
        return import_lines(text, self._context.get("imports") or "", OFFERED if is_plain else (), project)

    @property
    def module(self) -> str:
        """What comes before both functions; often nothing."""
        return laid_out(self._draft.module) if self._draft else ""

    @property
    def upgrade(self) -> str:
        return _indented(self._bodies[0].upgrade)

    @property
    def downgrade(self) -> str:
        return _indented(self._bodies[0].downgrade)

    @property
    def engines(self) -> list[Body]:
        """The name, upgrade and downgrade of each database."""
        return [Body(body.engine, _indented(body.upgrade), _indented(body.downgrade)) for body in self._bodies]

    # Details ----------------------------------------------------------------------------------------------------

    @cached_property
    def _is_merge(self) -> bool:
        return isinstance(self._context["down_revision"], (tuple, list)) and not self._draft

    @cached_property
    def _upgrades(self) -> list[Description]:
        return [call for body in self._bodies for call in described(body.upgrade, self.module)]

    @cached_property
    def _downgrades(self) -> list[Description]:
        return [call for body in self._bodies for call in described(body.downgrade, self.module)]

    @cached_property
    def _bodies(self) -> list[Body]:
        found = [self._found(engine) for engine in self._engines or [""]]
        is_plain = not any(_has_statements(body.upgrade) for body in found)
        return [self._complete(body, is_plain) for body in found]

    def _found(self, engine: str) -> Body:
        if self._draft:
            is_own = not engine or engine == self._draft.engine
            return Body(engine, self._draft.upgrade if is_own else "", self._draft.downgrade if is_own else "")
        prefix = f"{engine}_" if engine else ""
        return Body(engine, *(_dedented(self._context.get(prefix + key) or "") for key in ("upgrades", "downgrades")))

    def _complete(self, body: Body, is_plain: bool) -> Body:
        """Have an empty downgrade raise, unless there is nothing to undo."""
        has_upgrade, has_downgrade = _has_statements(body.upgrade), _has_statements(body.downgrade)
        upgrade, downgrade = body.upgrade or "pass", body.downgrade or "pass"
        is_open = has_upgrade or (is_plain and not self._is_merge)
        if is_open and not has_downgrade and NOTHING_TO_UNDO not in downgrade:
            kept = [line for line in downgrade.splitlines() if line.strip() != "pass"]
            last = [kept.pop()] if kept and kept[-1].startswith("# ### end") else []
            downgrade = "\n".join([*kept, _NOT_WRITTEN, *last])
        return Body(body.engine, upgrade, downgrade)


def _has_statements(source: str) -> bool:
    try:
        body = ast.parse(source).body
    except SyntaxError:
        return True
    return any(not isinstance(statement, ast.Pass) and not _is_docstring(statement) for statement in body)


def _is_docstring(statement: ast.stmt) -> bool:
    return isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Constant)


def _dedented(text: str) -> str:
    """Remove the indentation that Alembic gives to all lines but the first."""
    return re.sub(r"^ {4}", "", text.strip(), flags=re.MULTILINE)


def _indented(source: str) -> str:
    """Lay a body out, without the indentation of its first line, which the template has."""
    try:
        return laid_out(source, depth=1).strip()
    except SyntaxError:
        return textwrap.indent(source, "    ").strip()


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


def import_lines(text: str, given: str = "", offered: Iterable[str] = (), project: Path = Path()) -> str:
    """Return the import lines of a revision, merged and sorted as isort does.

    Args:
        text: The code of the revision: what it uses of ``sa``, ``op``, safeops and the dialects is imported.
        given: Further imports, as code; unused ones are kept, and marked for ruff.
        offered: Names of safeops that the author may need, with ``sa`` and ``op``; marked for ruff.
        project: The folder of the project, which has its modules, or ``src`` in it.
    """
    used = {node.id for node in ast.walk(parsed(text)) if isinstance(node, ast.Name)}
    imports, others = _imports_in(given)
    wanted = {*imports, *_imports_of(used - {imported.bound for imported in imports})}
    if offered := list(offered):
        wanted |= {_OP, _SA, *(_Import("safeops", name) for name in offered)}
    wanted.add(_Import("collections.abc", "Sequence"))
    sections: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for (module, _), members in sorted(_merged(wanted).items(), key=lambda item: _sort_key(item[0], item[1])):
        root = (module or members[0].name).split(".")[0]
        is_used = all(member.bound in {*used, "Sequence"} for member in members)
        sections[_section(root, project)].append(_import_line(module, members, "" if is_used else _UNUSED))
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


def _imports_of(names: Iterable[str]) -> Iterator[_Import]:
    for name in names:
        if name in ("op", "sa"):
            yield _OP if name == "op" else _SA
        elif name in HOME_OF:
            yield _Import("safeops", name)
        elif name in dialects.__all__:
            yield _Import("sqlalchemy.dialects", name)


def _imports_in(given: str) -> tuple[list[_Import], list[str]]:
    """Return the imports of a text, and its other statements as they are."""
    imports: list[_Import] = []
    others = []
    for statement in parsed(given).body:
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
    for each in sorted(imports, key=_isort_rank):
        alone = f"{each.name} {each.alias}" if each.alias or not each.module else ""
        merged.setdefault((each.module, alone), []).append(each)
    return merged


def _isort_rank(imported: _Import) -> tuple[int, str, str]:
    name = imported.name
    kind = 0 if name.isupper() and len(name) > 1 else 1 if name[:1].isupper() else 2
    return kind, name.lower(), name


def _sort_key(key: tuple[str, str], members: list[_Import]) -> tuple[bool, str, str]:
    return bool(key[0]), (key[0] or members[0].name).lower(), key[1]


def _import_line(module: str, members: list[_Import], mark: str) -> str:
    names = [member.name + (f" as {member.alias}" if member.alias else "") for member in members]
    line = f"from {module} import {', '.join(names)}" if module else f"import {names[0]}"
    if len(line) <= WIDTH:
        return line + mark
    return "\n".join([f"from {module} import ({mark}", *(f"    {name}," for name in names), ")"])
