"""The files of a project as they were at a commit, and how a separate process imports the project from them."""

from __future__ import annotations

import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from alembic.config import Config

from safeops.review.repository import NoRepository, Repository


class ModelsUnknown(Exception):
    """The models could not be loaded; its text has the reason."""


@dataclass(frozen=True)
class ProjectFiles:
    """The files of a project in a folder.

    Args:
        config: The configuration of the project.
        root: The folder that the project is in.
        copy: The folder that its files are taken from; ``root`` itself for the project as it is.
    """

    config: Config
    root: Path
    copy: Path

    def folder(self) -> Path:
        """Return the folder to run in: the one in the copy that corresponds to the current one."""
        here, file = Path.cwd().resolve(), self._moved(_file_of(self.config))
        is_inside = here.is_relative_to(self.root)
        folder = self.copy / here.relative_to(self.root) if is_inside else file.parent if file else self.copy
        if not folder.is_dir():
            raise ModelsUnknown(f"there was no folder {folder.relative_to(self.copy)}")
        return folder

    def given(self) -> dict[str, Any]:
        """Return what ``models_at`` needs to import the project."""
        ini, toml = self._moved(self.config.config_file_name), self._moved(self.config.toml_file_name)
        return {
            "ini": None if ini is None else str(ini),
            "toml": None if toml is None else str(toml),
            "section": self.config.config_ini_section,
            "options": self._folders(),
            "x": getattr(self.config.cmd_opts, "x", None),
            "root": str(self.root),
            "copy": str(self.copy),
            # What this process imports from, as a test runner may have added folders.
            "path": sys.path,
        }

    def _folders(self) -> dict[str, str]:
        """Return the folders of the copy that correspond to those of the configuration in memory."""
        found: dict[str, str] = {}
        for option in ("script_location", "prepend_sys_path"):
            # get_main_option() raises if pyproject.toml alone has the configuration.
            path = Path(self.config.file_config.get(self.config.config_ini_section, option, fallback=".") or ".")
            if path.is_absolute() and path.resolve().is_relative_to(self.root):
                moved = self.copy / path.resolve().relative_to(self.root)
                found |= {option: str(moved)} if moved.exists() else {}
        return found

    def _moved(self, file: Any) -> Path | None:
        if file is None:
            return None
        path = Path(file).resolve()
        if not path.is_relative_to(self.root):
            if not path.exists():
                # Alembic's default name, in a project that only pyproject.toml configures.
                return None
            raise ModelsUnknown(f"{path.name} is not in the repository")
        moved = self.copy / path.relative_to(self.root)
        return moved if moved.exists() else None


@contextmanager
def exported(config: Config, commit: str) -> Iterator[ProjectFiles]:
    """Write the files of a commit into a temporary folder, for the block. The repository is not changed.

    Raises:
        ModelsUnknown: There is no such commit, or something went wrong in the block.
    """
    try:
        repository = Repository.around(_file_of(config))
        with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as folder:
            repository.export(commit, Path(folder))
            yield ProjectFiles(config, repository.root.resolve(), Path(folder).resolve())
    except (NoRepository, ModelsUnknown, OSError) as error:
        raise ModelsUnknown(f"Could not load the models of commit {commit[:10]}: {error}") from error


def as_it_is(config: Config) -> ProjectFiles:
    """Return the files of a project as they are now, committed or not."""
    file = _file_of(config)
    try:
        root = Repository.around(file).root.resolve()
    except NoRepository:
        root = file.parent.resolve()
    return ProjectFiles(config, root, root)


def released_commit(file: Path, since: str | None = None) -> str | None:
    """Return the commit that was released before a revision; None if no commit is older than it.

    That is the merge base with the deployed branch; if that has the revision already, the commit before its file was added.

    Args:
        file: The file of the revision.
        since: The branch or the commit that is deployed; by default the main branch.

    Raises:
        NoRepository: The file is in no repository.
    """
    repository = Repository.around(file)
    base = repository.merge_base(since)
    return base if base is not None and not repository.has(base, file) else repository.before(file)


def _file_of(config: Config) -> Path:
    """Return the file that configures a project: Alembic names alembic.ini also if there is only pyproject.toml."""
    names = [name for name in (config.config_file_name, config.toml_file_name) if name is not None]
    return Path(next((name for name in names if Path(name).is_file()), [*names, "."][0])).absolute()
