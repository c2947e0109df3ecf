"""The parser of the command line: its help, and its errors, which name the nearest command and show a right call."""

from __future__ import annotations

import difflib
import itertools
import sys
from argparse import SUPPRESS, Action, ArgumentError, ArgumentParser, RawDescriptionHelpFormatter
from collections.abc import Iterable, Sequence
from typing import Any, NoReturn

from safeops.cli.console import DEFAULT, width
from safeops.errors import InvalidArgument

WRONG_USAGE = 2
"""The exit status if the command line is wrong."""
INDENT = " " * 4


class UsageError(InvalidArgument):
    """The command line is wrong: nothing was run."""

    def lines(self) -> str:
        """Write it for a terminal."""
        code = "".join(f"\n{INDENT}{line}" for line in self.code.splitlines())
        return "\n".join(part for part in (self.problem, f"{self.remedy}{code}") if part)


class Parser(ArgumentParser):
    """A parser that raises UsageError.

    Args:
        example: A right call.
        options: Those of ``ArgumentParser``.
    """

    def __init__(self, *, example: str = "", **options: Any) -> None:
        super().__init__(formatter_class=_Formatter, add_help=False, **options)
        self.example = example
        # Python 3.14 would colour the help.
        self.color = False
        self.arguments, self.options = self.add_argument_group("Arguments"), self.add_argument_group("Options")
        self.options.add_argument("-h", "--help", action="help", help="show this help and exit")

    def error(self, message: str) -> NoReturn:
        raise self.usage_error(f"{message[:1].upper()}{message[1:].rstrip('.')}.")

    def usage_error(self, problem: str) -> UsageError:
        """Return the error of a wrong call, with a right one."""
        return UsageError(problem, remedy="Example:", code=f"{self.example}\n{self.prog} --help")

    def unknown_arguments(self, unknown: Sequence[str]) -> UsageError:
        """Return the error of arguments that the command does not take."""
        options = [option for option in unknown if option.startswith("-")]
        if not options:
            return self.usage_error(f"{self.prog} does not take {' '.join(unknown)}.")
        known = [name for action in self._actions if action.help != SUPPRESS for name in action.option_strings]
        name = options[0].partition("=")[0]
        return self.usage_error(f"{self.prog} has no option {name}.{did_you_mean(name, known)}")

    def _check_value(self, action: Action, value: Any) -> None:
        if action.choices is None or value in action.choices:
            return
        names = [str(choice) for choice in action.choices]
        if action.metavar == COMMAND:
            raise self.usage_error(f"There is no command {value}.{did_you_mean(str(value), names)}")
        raise ArgumentError(action, f"{value!r} is not one of {', '.join(names)}")


COMMAND = "COMMAND"


class _Formatter(RawDescriptionHelpFormatter):
    def __init__(self, prog: str, **options: Any) -> None:
        super().__init__(prog, **{**options, "width": min(width(), DEFAULT), "max_help_position": 26})


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Return the question whether the nearest name was meant; empty if none is near."""
    near = difflib.get_close_matches(name, list(known), n=1)
    return f" Did you mean {near[0]}?" if near else ""


def wants_json(arguments: Sequence[str] | None) -> bool:
    """Return whether JSON is requested, also by arguments that are wrong."""
    given = list(sys.argv[1:] if arguments is None else arguments)
    return "--json" in given or "--format=json" in given or ("--format", "json") in itertools.pairwise(given)
