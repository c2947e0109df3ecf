"""``python -m safeops guide``: print the guide."""

from __future__ import annotations

from argparse import ArgumentParser, Namespace
from typing import Any

from safeops.authoring.projects.guide import guide
from safeops.authoring.projects.project import find_project
from safeops.cli.parsing import add_verb


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    add_verb(
        verbs,
        common,
        run,
        help="print the guide for this project",
        description="Prints the guide to migrations, written for the project in this folder.",
        example="python -m safeops guide > GUIDE.md",
    )


def run(options: Namespace) -> int:
    print(guide(find_project(options.config, options.name)), end="")
    return 0
