"""``python -m safeops guide``: print the guide."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace, RawDescriptionHelpFormatter
from typing import Any

from safeops.authoring.projects.guide import guide
from safeops.authoring.projects.project import find_project


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = verbs.add_parser(
        "guide",
        parents=[common],
        help="print the guide for this project",
        description="Prints the guide to migrations, written for the project in this folder.",
        epilog="Example:\n  python -m safeops guide > GUIDE.md",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.set_defaults(run=run)


def run(options: Namespace) -> int:
    print(guide(find_project(options.config, options.name)), end="")
    return 0
