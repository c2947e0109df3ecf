"""The deployed and the current models of a project: whether code still uses a table or a column.

A drop or a rename is safe only if the deployed models no longer have the table or column. The project's own env.py, as
it was before the revision, loads them in a separate process.
"""

from __future__ import annotations

import json
import subprocess
import sys
import tempfile
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config

from safeops.judging.application import Uses
from safeops.naming import Name
from safeops.review.repository import NoRepository, Repository

MODELS_SECONDS = 60
"""How long env.py may take to import the models."""


class ModelsUnknown(Exception):
    """The models could not be loaded; its text has the reason."""


@dataclass(frozen=True)
class Models:
    """The tables of models, with the columns of each; never empty, which would prove nothing.

    Args:
        tables: The columns by table; a schema of None is the default one.
    """

    tables: Mapping[Name, frozenset[str]]

    def use(self, table: Name, column: str | None) -> bool | None:
        """Return whether models use a table, or a column of it; None for a column of a table that no model has."""
        found = [columns for name, columns in self.tables.items() if _may_be_one(name, table)]
        if column is None or not found:
            # A table without a model can be used by SQL: its columns are not known.
            return bool(found) if column is None else None
        return any(column in columns for columns in found)


def models_of(target_metadata: Any) -> Models | None:
    """Return the models of what env.py passes as ``target_metadata``; None if it passes none."""
    tables: dict[Name, frozenset[str]] = {}
    for metadata in _each(target_metadata):
        for table in metadata.tables.values():
            tables[Name(table.name, table.schema)] = frozenset(column.name for column in table.columns)
    return Models(tables) if tables else None


def released_models(config: Config, commit: str) -> Models:
    """Return the models that a project had at a commit.

    Steps: writes the files of the commit into a temporary folder, and runs env.py there in a new process, which cannot
    connect to a database. Neither the repository nor the project is changed.

    Raises:
        ModelsUnknown: There is no such commit, env.py fails there or takes too long, or it has no models.
    """
    ini = Path(config.config_file_name or config.toml_file_name or ".").absolute()
    try:
        repository = Repository.around(ini)
        with tempfile.TemporaryDirectory() as folder:
            repository.export(commit, Path(folder))
            return _models_in(config, repository.root.resolve(), Path(folder).resolve())
    except (NoRepository, ModelsUnknown, OSError) as error:
        raise ModelsUnknown(f"Could not load the models of commit {commit[:10]}: {error}") from error


@dataclass
class Released:
    """The tables and columns of the deployed application, by the models of the commits before the revisions.

    Args:
        config: The configuration of the project.
        target_metadata: What env.py passes now.
        since: The branch or the commit that is deployed; by default the main branch.
        remarks: Why the models are not known, if so.
    """

    config: Config
    target_metadata: Any = None
    since: str | None = None
    remarks: list[str] = field(default_factory=list)
    _models: dict[str, Models | None] = field(default_factory=dict)

    def uses(self, file: str) -> Uses | None:
        """Return a function that reports whether a table or column is in use; None if the models are not known."""
        now = models_of(self.target_metadata)
        # Without current models there were hardly any before: git and env.py are not run.
        released = self._released(Path(file)) if now is not None else None
        return None if now is None or released is None else _either(released, now)

    def _released(self, file: Path) -> Models | None:
        try:
            commit = self._commit_before(file.absolute())
        except NoRepository as error:
            return self._unknown(f"Could not load the deployed models: {error}")
        if commit is None:
            return self._unknown("Could not load the deployed models: no commit is older than the revision.")
        if commit not in self._models:
            self._models[commit] = self._models_at(commit)
        return self._models[commit]

    def _commit_before(self, file: Path) -> str | None:
        """Return the merge base with the deployed branch; on that branch itself, the commit before the file was added."""
        repository = Repository.around(file)
        base = repository.merge_base(self.since)
        return base if base is not None and base != repository.commit("HEAD") else repository.before(file)

    def _models_at(self, commit: str) -> Models | None:
        try:
            return released_models(self.config, commit)
        except ModelsUnknown as error:
            return self._unknown(str(error))

    def _unknown(self, remark: str) -> Models | None:
        if remark not in self.remarks:
            self.remarks.append(remark)
        return None


def _either(released: Models, now: Models) -> Uses:
    def used(table: Name, column: str | None) -> bool | None:
        answers = {released.use(table, column), now.use(table, column)}
        if True in answers:
            return True
        return None if None in answers else False

    return used


def _may_be_one(first: Name, second: Name) -> bool:
    """Return whether two names can mean the same table; one without a schema can be in any."""
    return first.name == second.name and (first.schema is None or second.schema is None or first == second)


def _each(target_metadata: Any) -> Iterable[sa.MetaData]:
    several = isinstance(target_metadata, Sequence | Mapping) and not isinstance(target_metadata, str)
    given = target_metadata.values() if isinstance(target_metadata, Mapping) else target_metadata
    return [one for one in (given if several else [given]) if isinstance(one, sa.MetaData)]


# In a separate process -------------------------------------------------------------------------------------------


def _models_in(config: Config, root: Path, copy: Path) -> Models:
    answer = copy / "safeops-models.json"
    given = {
        "ini": _moved(config.config_file_name, root, copy),
        "toml": _moved(config.toml_file_name, root, copy),
        "section": config.config_ini_section,
        "x": getattr(config.cmd_opts, "x", None),
        "root": str(root),
        "copy": str(copy),
        "answer": str(answer),
    }
    here = Path.cwd().resolve()
    folder = copy / here.relative_to(root) if here.is_relative_to(root) else Path(given["ini"] or copy).parent
    if not folder.is_dir():
        raise ModelsUnknown(f"there was no folder {folder.relative_to(copy)}")
    command = [sys.executable, "-W", "ignore", "-m", "safeops.review.models_at"]
    try:
        done = subprocess.run(
            command, input=json.dumps(given), cwd=folder, capture_output=True, text=True, timeout=MODELS_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ModelsUnknown(f"env.py had not ended after {MODELS_SECONDS} s") from error
    if not answer.exists():
        raise ModelsUnknown(_last_line(done.stderr))
    return _answered(json.loads(answer.read_text(encoding="utf-8")))


def _answered(answer: dict[str, Any]) -> Models:
    if "failure" in answer:
        raise ModelsUnknown(answer["failure"])
    if not answer["tables"]:
        raise ModelsUnknown("env.py passed no target_metadata with tables")
    return Models({Name(name, schema): frozenset(columns) for schema, name, columns in answer["tables"]})


def _moved(file: Any, root: Path, copy: Path) -> str | None:
    if file is None:
        return None
    path = Path(file).resolve()
    if not path.is_relative_to(root):
        raise ModelsUnknown(f"{path.name} is not in the repository")
    moved = copy / path.relative_to(root)
    return str(moved) if moved.exists() else None


def _last_line(text: str) -> str:
    return text.strip().rpartition("\n")[2][-300:] or "env.py ended without an answer"
