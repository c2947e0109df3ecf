"""The configuration of the project that a verb is about, as ``alembic`` itself finds it."""

from __future__ import annotations

from argparse import Namespace

from alembic.config import Config

from safeops.authoring.projects.project import find_project
from safeops.errors import InvalidArgument


def config_of(options: Namespace) -> Config:
    """Return the configuration that ``-c``, ``-n`` and ``-x`` name, or raise InvalidArgument where there is no project."""
    config = find_project(options.config, options.name, arguments=options.x).config
    if not config.get_alembic_option("script_location"):
        raise InvalidArgument(
            f"There is no Alembic project here: {config.config_file_name} does not say where the revisions are.",
            why="script_location in alembic.ini, or in [tool.alembic] of pyproject.toml, names their folder.",
            remedy="Go to the project's folder, say which configuration it has, or set a project up:",
            code="safeops -c path/to/alembic.ini status\npython -m safeops init",
        )
    # A template of revisions may ask for more than -x.
    config.cmd_opts = options
    return config
