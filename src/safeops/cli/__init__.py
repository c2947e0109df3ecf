"""The command line: ``safeops VERB`` or ``python -m safeops VERB``, with Alembic's ``-c``, ``-n`` and ``-x``.

One module a verb. Each has ``add_parser(verbs, common)``, which sets ``run``: a function from the options to the exit
status.

Exit status: 0 done or up to date, 1 pending or found wanting, 2 needs attention, 3 gave up (a lock, the checklist),
4 raised, also where the arguments are wrong.
"""

from __future__ import annotations

import configparser
import sys
from argparse import SUPPRESS, ArgumentParser, Namespace, RawDescriptionHelpFormatter
from collections.abc import Callable, Sequence
from typing import NoReturn

from alembic.util import CommandError

from safeops import __version__
from safeops.cli import backup, check, guide, heads, init, plan, restore, rollback, stamp, status, upgrade
from safeops.cli.outcome import fitting, with_place
from safeops.databases.reaching import of_a_url
from safeops.errors import SafeOpsError

VERBS = (init, guide, status, plan, backup, restore, upgrade, rollback, heads, stamp, check)

DONE, WANTING, RAISED = 0, 1, 4


class _Parser(ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.print_usage(sys.stderr)
        self.exit(RAISED, "".join(f"{line}\n" for line in fitting(f"{self.prog}: {message}")))


def main(argv: Sequence[str] | None = None) -> int:
    """Run one verb, and return the exit status; an error is a message, not a traceback."""
    try:
        options = _parser().parse_args(argv)
    except SystemExit as end:
        return int(end.code or DONE)
    run: Callable[[Namespace], int] = options.run
    try:
        return run(options)
    except KeyboardInterrupt:
        return _failed("Stopped. Running it again is safe.")
    except (SafeOpsError, CommandError, configparser.Error, OSError) as error:
        return _failed(str(of_a_url(error) or error))
    except Exception as error:
        if (told := of_a_url(error)) is not None:
            return _failed(str(told))
        return _failed(with_place(error))


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
    verbs = parser.add_subparsers(metavar="VERB", required=True, parser_class=_Parser)
    # The same options after the verb: absent there, they must not undo what stood before it.
    common = _Parser(add_help=False)
    _add_alembic_options(common, names=SUPPRESS, section=SUPPRESS)
    for verb in VERBS:
        verb.add_parser(verbs, common)
    return parser


def _add_alembic_options(parser: ArgumentParser, *, names: str | None, section: str) -> None:
    parser.add_argument("-c", "--config", action="append", default=names, help="alembic.ini or pyproject.toml to use")
    parser.add_argument("-n", "--name", default=section, help='section of alembic.ini to use (default: "alembic")')
    parser.add_argument("-x", action="append", default=names, help="argument for env.py, as in alembic -x url=...")
