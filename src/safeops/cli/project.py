"""``safeops init`` sets a project up, or adds to an existing one; ``safeops guide`` prints its guide."""

from __future__ import annotations

from argparse import Namespace

from safeops.authoring.init import guide, init
from safeops.authoring.project import find_project
from safeops.cli.command import Argument, Command


def _init(options: Namespace) -> int:
    project = find_project(options.config, options.name, options.directory, options.x)
    return 0 if init(project, force=options.force, say=print) else 1


def _guide(options: Namespace) -> int:
    print(guide(find_project(options.config, options.name)), end="")
    return 0


INIT = Command(
    "init",
    _init,
    help="write env.py, script.py.mako and the guide",
    description="Sets up a new Alembic project, or fits an existing one out with the\n"
    "template for revisions and the guide. Your env.py is never changed: the\n"
    "lines to change are shown.",
    example="python -m safeops init migrations",
    arguments=(
        Argument(
            "directory",
            metavar="DIRECTORY",
            nargs="?",
            help='where the migrations are, or go (default: as the configuration says, else "migrations")',
        ),
        Argument("--force", action="store_true", help="replace script.py.mako and MIGRATIONS.md though changed"),
    ),
)
GUIDE = Command(
    "guide",
    _guide,
    help="print the guide for this project",
    description="Prints the guide to migrations, written for the project in this folder.",
    example="python -m safeops guide > GUIDE.md",
)
