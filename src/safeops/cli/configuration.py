"""The configuration of the project that a verb is about, as ``alembic`` itself finds it."""

from __future__ import annotations

from argparse import Namespace
from pathlib import Path

from alembic.config import Config

from safeops.authoring.projects.project import Project, find_project
from safeops.errors import InvalidArgument

_USES = "safeops -c path/to/alembic.ini status"


def config_of(options: Namespace) -> Config:
    """Return the configuration that ``-c``, ``-n`` and ``-x`` name, or raise InvalidArgument where there is no project."""
    missing = [name for name in options.config or () if not Path(name).is_file()]
    if missing:
        # Alembic would take pyproject.toml for it, which may be another project's.
        raise InvalidArgument(
            f"There is no file {missing[0]}.", remedy="Say which configuration the project has:", code=_USES
        )
    project = find_project(options.config, options.name, arguments=options.x)
    config = project.config
    if not config.get_alembic_option("script_location"):
        raise InvalidArgument(
            f"There is no Alembic project here: {_lack(project)}.",
            why="script_location in alembic.ini, or in [tool.alembic] of pyproject.toml, names their folder.",
            remedy="Go to the project's folder, say which configuration it has, or set a project up:",
            code=f"{_USES}\npython -m safeops init",
        )
    # A template of revisions may ask for more than -x.
    config.cmd_opts = options
    return config


def _lack(project: Project) -> str:
    section = project.config.config_ini_section
    if not project.ini.is_file():
        return f"there is no file {project.ini}"
    if not project.config.file_config.has_section(section):
        return f"{project.ini} has no section [{section}]"
    return f"{project.ini} does not say where the revisions are"
