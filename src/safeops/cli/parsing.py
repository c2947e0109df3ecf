"""How a verb is added to the parser, and the arguments that several verbs take."""

from __future__ import annotations

from argparse import ArgumentParser, ArgumentTypeError, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable
from contextlib import suppress
from typing import Any

from safeops.runner.revision_run import WAIT


def add_verb(
    verbs: Any,
    common: ArgumentParser,
    run: Callable[[Namespace], int],
    *,
    help: str,
    description: str,
    example: str,
) -> ArgumentParser:
    """Add the verb that the module of ``run`` is named after.

    Args:
        verbs: Where it is added.
        common: The arguments that each verb takes.
        run: Runs it, and returns the exit status.
        help: What it does, in a few words.
        description: What it does, in lines of 80 columns, with its exit statuses.
        example: One call.
    """
    name = run.__module__.rpartition(".")[2]
    formatter = RawDescriptionHelpFormatter
    epilog = f"Example:\n  {example}"
    parser: ArgumentParser = verbs.add_parser(
        name, parents=[common], help=help, description=description, epilog=epilog, formatter_class=formatter
    )
    parser.set_defaults(run=run)
    return parser


def add_backup(parser: ArgumentParser) -> None:
    parser.add_argument("--backup", action="store_true", help="make a backup first, in backups/ beside alembic.ini")
    # No optional value of the one above: it would swallow the revision.
    parser.add_argument("--backup-to", dest="backup", metavar="DIR", help="make a backup first, in DIR")


def seconds(text: str) -> float:
    """Read a number of seconds."""
    with suppress(ValueError):
        # Also false of what is no number.
        if (found := float(text)) >= 0:
            return found
    raise ArgumentTypeError(f"{text!r} is no number of seconds: give 0 or more")


def number(text: str) -> int:
    """Read how many of something there are to be, of which there must be one."""
    with suppress(ValueError):
        if (found := int(text)) > 0:
            return found
    raise ArgumentTypeError(f"{text!r} is no number of backups: give 1 or more")


def add_wait(parser: ArgumentParser) -> None:
    said = f"seconds to wait for another runner (default: {WAIT:g})"
    parser.add_argument("--wait", metavar="SECONDS", type=seconds, default=WAIT, help=said)
    parser.add_argument("--no-wait", dest="wait", action="store_const", const=0.0, help="give up at once")


def add_scratch(parser: ArgumentParser) -> None:
    said = "an empty database to run the revisions on; what they make stays there"
    parser.add_argument("--scratch-url", metavar="URL", help=said)


def add_json(parser: ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print one JSON object and nothing else")
