"""The imports of a revision that autogenerate writes into a template of the project's own."""

from __future__ import annotations

import re
from pathlib import Path

from alembic.autogenerate.api import AutogenContext

WIDTH = 88
_HELPERS = "from safeops import "
_NOQA = "# ruff: noqa: "
_OF_ALEMBIC = "from alembic import op\nimport sqlalchemy as sa\n${imports"
_TYPED = "from typing import Sequence, Union"


def import_helper(context: AutogenContext, name: str) -> None:
    """Have the revision import a helper, with the others in one statement."""
    before = next((one for one in context.imports if one.startswith(_HELPERS)), "")
    names = {name, *re.findall(r"\w+", before.removeprefix(_HELPERS))}
    context.imports.discard(before)
    context.imports.add(_statement(sorted(names, key=lambda one: (one[:1].islower(), one))))


def _statement(names: list[str]) -> str:
    line = f"{_HELPERS}{', '.join(names)}"
    return line if len(line) <= WIDTH else "\n".join([f"{_HELPERS}(", *(f"    {one}," for one in names), ")"])


def note_use(context: AutogenContext, code: str) -> None:
    """Mark what ruff finds in the imports of Alembic's own template, which no rewriter can change.

    That template has them in an order of its own, types of old, and imports what a revision of helpers may not use.
    """
    template = _template(context)
    if _OF_ALEMBIC not in template:
        return
    used: set[str] = context.opts.setdefault("safeops_used", set())
    used |= {one for one in ("op", "sa") if re.search(rf"\b{one}\.", code)}
    codes = ["F401"] if len(used) < 2 else []
    codes += ["I001", *(["UP007", "UP035"] if _TYPED in template else [])]
    for one in [one for one in context.imports if one.startswith(_NOQA)]:
        context.imports.discard(one)
    context.imports.add(_NOQA + ", ".join(codes))


def _template(context: AutogenContext) -> str:
    script = context.migration_context.script
    path = Path(script.dir) / "script.py.mako" if script is not None else None
    return path.read_text() if path is not None and path.is_file() else ""
