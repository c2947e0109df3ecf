"""The command line: ``safeops COMMAND`` or ``python -m safeops COMMAND``, with Alembic's ``-c``, ``-n`` and ``-x``.

Exit status: 0 done or up to date, 1 pending or found wanting, 2 needs attention, 3 gave up (a lock, a pre-flight check),
4 raised, also if the arguments are wrong.
"""

from __future__ import annotations

import configparser
import sys
from argparse import SUPPRESS, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Sequence
from typing import NoReturn

from alembic.util import CommandError

from safeops import __version__
from safeops.cli.command import fitting, with_place
from safeops.cli.project import CHECK, GUIDE, HEADS, INIT, PLAN, STATUS
from safeops.cli.review import REVIEW
from safeops.cli.upgrades import BACKUP, RESTORE, ROLLBACK, STAMP, UPGRADE
from safeops.databases.connections import of_a_url
from safeops.errors import SafeOpsError
from safeops.runner.revision_run import DONE, RAISED

COMMANDS = (INIT, GUIDE, STATUS, PLAN, BACKUP, RESTORE, UPGRADE, ROLLBACK, HEADS, STAMP, CHECK, REVIEW)


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(RAISED, "".join(f"{line}\n" for line in fitting(f"{self.prog}: {message}")))


def main(argv: Sequence[str] | None = None) -> int:
    """Run a command, and return the exit status; an error is a message, not a traceback."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or DONE)
    try:
        status: int = options.run(options)
        return status
    except KeyboardInterrupt:
        return _failed("Stopped. Running it again is safe.")
    except Exception as error:
        known = of_a_url(error) or error
        explained = isinstance(known, (SafeOpsError, CommandError, configparser.Error, OSError))
        return _failed(str(known) if explained else with_place(error))


def _failed(message: str) -> int:
    print(message, file=sys.stderr)
    return RAISED


def _parser() -> ArgumentParser:
    parser = _Parser(
        prog="safeops",
        description="Safe migrations for Alembic projects.",
        epilog="Example:\n  safeops status\n\nFor one verb: safeops VERB --help",
        formatter_class=RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"safeops {__version__}")
    _add_alembic_options(parser, names=None, section="alembic")
    commands = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    # The same options after the command: if absent there, they must not override those before it.
    common = _Parser(add_help=False)
    _add_alembic_options(common, names=SUPPRESS, section=SUPPRESS)
    for command in COMMANDS:
        command.add_to(commands, common)
    return parser


def _add_alembic_options(parser: ArgumentParser, *, names: str | None, section: str) -> None:
    parser.add_argument("-c", "--config", action="append", default=names, help="alembic.ini or pyproject.toml to use")
    parser.add_argument("-n", "--name", default=section, help='section of alembic.ini to use (default: "alembic")')
    parser.add_argument("-x", action="append", default=names, help="argument for env.py, as in alembic -x url=...")
