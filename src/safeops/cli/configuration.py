"""The configuration of the project that a verb is about, as ``alembic`` itself finds it."""

from __future__ import annotations

from argparse import Namespace

from alembic.config import Config

from safeops.authoring.projects.project import find_project


def config_of(options: Namespace) -> Config:
    """Return the configuration that ``-c``, ``-n`` and ``-x`` name."""
    config = find_project(options.config, options.name, arguments=options.x).config
    # A template of revisions may ask for more than -x.
    config.cmd_opts = options
    return config
