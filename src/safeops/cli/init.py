"""``python -m safeops init``: set a project up, or fit an existing one out."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from safeops.authoring.projects.init import init
from safeops.authoring.projects.project import find_project
from safeops.cli.parsing import add_verb


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="write env.py, script.py.mako and the guide",
        description="Sets up a new Alembic project, or fits an existing one out with the\n"
        "template for revisions and the guide. Your env.py is never changed: the\n"
        "lines to change are shown.",
        example="python -m safeops init migrations",
    )
    parser.add_argument(
        "directory",
        metavar="DIRECTORY",
        nargs="?",
        help='where the migrations are, or go (default: as the configuration says, else "migrations")',
    )
    parser.add_argument("--force", action="store_true", help="replace script.py.mako and MIGRATIONS.md though changed")


def run(options: Namespace) -> int:
    project = find_project(options.config, options.name, options.directory, options.x)
    return 0 if init(project, force=options.force, say=print) else 1
