"""Imports a project from a copy of its files, in a separate process; alone, it writes which tables the models have."""

from __future__ import annotations

import json
import os
import sys
from argparse import Namespace
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from alembic.config import Config
from sqlalchemy import event
from sqlalchemy.engine import Dialect, Engine

from safeops.errors import SafeOpsError
from safeops.review.models import models_of
from safeops.review.offline import environment_of
from safeops.review.runs import Environment

connecting: list[Dialect] = []
"""The dialects of the engines that may connect; no engine of the project may."""


def main() -> None:
    given = json.loads(sys.stdin.read())
    try:
        answer: dict[str, Any] = {"tables": _tables(imported(given))}
    except SafeOpsError as error:
        answer = {"failure": error.problem}
    Path(given["answer"]).write_text(json.dumps(answer), encoding="utf-8")


def imported(given: dict[str, Any]) -> Environment:
    """Run env.py in the copy, and return its environment; from now on no engine connects, except for ``connecting``.

    Args:
        given: What ``ProjectFiles.given`` returns.

    Raises:
        SafeOpsError: env.py fails there.
    """
    _import_from(Path(given["root"]), Path(given["copy"]), given["path"])
    event.listen(Engine, "do_connect", _refuse)
    return environment_of(_config(given))


def _tables(environment: Environment) -> list[tuple[str | None, str, list[str]]]:
    models = models_of(environment.options.get("target_metadata"))
    return [] if models is None else [(name.schema, name.name, sorted(used)) for name, used in models.tables.items()]


def _config(given: dict[str, Any]) -> Config:
    if given["ini"] is None and given["toml"] is None:
        raise SystemExit("the project had no alembic.ini")
    config = Config(given["ini"], given["toml"], ini_section=given["section"], cmd_opts=Namespace(x=given["x"]))
    for option, folder in given["options"].items():
        config.set_main_option(option, folder.replace("%", "%%"))
    return config


def _import_from(root: Path, copy: Path, path: Sequence[str]) -> None:
    """Import the project from its copy, even if it is installed as editable."""
    # `-m` puts the current folder first, which the command `alembic` does not.
    entries = [Path(os.path.abspath(entry)) for entry in sys.path[1:]]
    # What only the other process imports from; its current folder corresponds to this one.
    entries += [one for one in map(Path, map(os.path.abspath, path)) if one not in entries]
    sys.path[:] = [str(_moved(entry, root, copy)) for entry in entries]
    for name, module in list(sys.modules.items()):
        if name.startswith("__editable__") and isinstance(mapping := getattr(module, "MAPPING", None), dict):
            mapping.update({package: str(_moved(Path(place), root, copy)) for package, place in mapping.items()})


def _moved(path: Path, root: Path, copy: Path) -> Path:
    """Return the place of a path in the copy; a virtual environment inside the project is none of its files."""
    if not path.is_relative_to(root):
        return path
    moved = copy / path.relative_to(root)
    return moved if moved.exists() else path


def _refuse(dialect: Dialect, *_: Any) -> None:
    if dialect not in connecting:
        raise RuntimeError("env.py connects to the database even for --sql")


if __name__ == "__main__":
    main()
