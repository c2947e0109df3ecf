"""The deployed and the current models of a project: whether code still uses a table or a column.

A drop or a rename is safe only if the deployed models no longer have the table or column. The project's own env.py, as
it was before the revision, loads them in a separate process.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from alembic.config import Config

from safeops.judging.application import Uses
from safeops.naming import Name
from safeops.review.released_files import ModelsUnknown, ProjectFiles, exported, released_commit
from safeops.review.repository import NoRepository

MODELS_SECONDS = 60
"""How long env.py may take to import the models."""


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
    for metadata in each_metadata(target_metadata):
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
    with exported(config, commit) as files:
        return _models_in(files)


@dataclass
class Released:
    """The tables and columns of the deployed application, by the models of the commits before the revisions.

    Args:
        config: The configuration of the project.
        target_metadata: What env.py passes now.
        since: The branch or the commit that is deployed; by default the main branch. For a revision that it has already, it
            is the commit before that.
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
            commit = released_commit(file.absolute(), self.since)
        except NoRepository as error:
            return self._unknown(f"Could not load the deployed models: {error}")
        if commit is None:
            return self._unknown("Could not load the deployed models: no commit is older than the revision.")
        if commit not in self._models:
            self._models[commit] = self._models_at(commit)
        return self._models[commit]

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


def each_metadata(target_metadata: Any) -> Iterable[sa.MetaData]:
    """Return each metadata of what env.py passes: one, several, or none."""
    several = isinstance(target_metadata, Sequence | Mapping) and not isinstance(target_metadata, str)
    given = target_metadata.values() if isinstance(target_metadata, Mapping) else target_metadata
    return [one for one in (given if several else [given]) if isinstance(one, sa.MetaData)]


# In a separate process -------------------------------------------------------------------------------------------


def _models_in(files: ProjectFiles) -> Models:
    answer = files.copy / "safeops-models.json"
    command = [sys.executable, "-W", "ignore", "-m", "safeops.review.models_at"]
    given = json.dumps({**files.given(), "answer": str(answer)})
    try:
        done = subprocess.run(
            command, input=given, cwd=files.folder(), capture_output=True, text=True, timeout=MODELS_SECONDS
        )
    except subprocess.TimeoutExpired as error:
        raise ModelsUnknown(f"env.py had not ended after {MODELS_SECONDS} s") from error
    if not answer.exists():
        raise ModelsUnknown(last_line(done.stderr))
    return _answered(json.loads(answer.read_text(encoding="utf-8")))


def _answered(answer: dict[str, Any]) -> Models:
    if "failure" in answer:
        raise ModelsUnknown(answer["failure"])
    if not answer["tables"]:
        raise ModelsUnknown("env.py passed no target_metadata with tables")
    return Models({Name(name, schema): frozenset(columns) for schema, name, columns in answer["tables"]})


def last_line(text: str) -> str:
    """Return the last line of what the process of env.py has written to its error output."""
    return text.strip().rpartition("\n")[2][-300:] or "env.py ended without an answer"
