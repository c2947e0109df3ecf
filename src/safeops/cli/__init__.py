"""The command line: ``safeops COMMAND`` or ``python -m safeops COMMAND``, with Alembic's ``-c``, ``-n`` and ``-x``.

Exit status: 0 done or up to date, 1 pending, or something was found, 2 needs attention, or the command line is wrong,
3 gave up (a lock, a pre-flight check, a signal), 4 failed.
"""

from __future__ import annotations

from argparse import SUPPRESS
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from typing import Any

from safeops import __version__
from safeops.cli.command import Command, show_error
from safeops.cli.console import fitting, show
from safeops.cli.parser import COMMAND, WRONG_USAGE, Parser, UsageError, wants_json
from safeops.cli.plan import PLAN
from safeops.cli.project import CHECK, GUIDE, HEADS, INIT, STATUS
from safeops.cli.rehearse import REHEARSE
from safeops.cli.review import REVIEW
from safeops.cli.trace import TRACE
from safeops.cli.upgrades import BACKUP, RESTORE, ROLLBACK, STAMP, UPGRADE
from safeops.runner.revision_run import DONE

GROUPS: Mapping[str, tuple[Command, ...]] = {
    "First steps": (INIT, GUIDE),
    "Before a deploy": (CHECK, REVIEW, TRACE, REHEARSE, HEADS),
    "Deploy": (STATUS, PLAN, BACKUP, UPGRADE),
    "Recover": (ROLLBACK, RESTORE, STAMP),
}
COMMANDS = tuple(command for group in GROUPS.values() for command in group)
COLUMN = 12
EXAMPLE = "safeops status"


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit status; an error is a message, not a traceback."""
    parser = _parser()
    try:
        options, unknown = parser.parse_known_args(argv)
        if unknown:
            raise getattr(options, "parser", parser).unknown_arguments(unknown)
    except SystemExit as end:
        # After --help and --version.
        return int(end.code or DONE)
    except UsageError as error:
        return show_error(error, as_json=wants_json(argv))
    if "run" not in options:
        show([parser.format_help()])
        return WRONG_USAGE
    status: int = options.run(options)
    return status


def _parser() -> Parser:
    parser = Parser(
        prog="safeops",
        usage="safeops [-c FILE] [-n SECTION] [-x NAME=VALUE] COMMAND ...",
        description="\n".join(["Safe migrations for Alembic projects on large live databases.", *_commands()]),
        epilog=f"Example:\n  {EXAMPLE}\n\nHelp for one command:\n  safeops COMMAND --help",
        example=EXAMPLE,
    )
    parser.options.add_argument(
        "--version", action="version", version=f"safeops {__version__}", help="print the version"
    )
    _add_alembic_options(parser.options, names=None, section="alembic")
    commands = parser.add_subparsers(prog="safeops", metavar=COMMAND, parser_class=Parser, help=SUPPRESS)
    for command in COMMANDS:
        # If these are absent after the command, they must not override those before it.
        command.add_to(commands, partial(_add_alembic_options, names=SUPPRESS, section=SUPPRESS))
    return parser


def _commands() -> Iterator[str]:
    for title, group in GROUPS.items():
        yield f"\n{title}:"
        for command in group:
            yield from fitting(f"  {command.name:<{COLUMN}}{command.help}", " " * (COLUMN + 2))


def _add_alembic_options(parser: Any, *, names: str | None, section: str) -> None:
    parser.add_argument(
        "-c", "--config", metavar="FILE", action="append", default=names, help="alembic.ini or pyproject.toml to use"
    )
    parser.add_argument(
        "-n", "--name", metavar="SECTION", default=section, help='section of alembic.ini (default: "alembic")'
    )
    parser.add_argument(
        "-x", metavar="NAME=VALUE", action="append", default=names, help="argument for env.py, such as -x url=..."
    )
