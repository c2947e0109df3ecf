"""``safeops check``: what a team wants to know of its revisions before it deploys them."""

from __future__ import annotations

import os
from argparse import ArgumentParser, Namespace
from collections.abc import Iterator
from typing import Any

from safeops.cli.configuration import config_of
from safeops.cli.outcome import fitting, shown_path, told
from safeops.cli.parsing import add_json, add_scratch, add_verb
from safeops.errors import InvalidArgument
from safeops.runner.checks import Checked, check
from safeops.runner.findings import ERROR, Finding

ANNOTATION = {ERROR: "error"}


def add_parser(verbs: Any, common: ArgumentParser) -> None:
    parser = add_verb(
        verbs,
        common,
        run,
        help="check the revisions: for continuous integration",
        description="Looks for one head, a way back from every revision, up, down and up again on\n"
        "a scratch database, models that agree, and SQL that can be rendered. On GitHub\n"
        "what it finds is shown at its line. A comment in a file accepts what is found in\n"
        "it: # safeops: allow KIND -- why\n\n"
        "Exit status: 0 all well, 1 found wanting, 3 gave up, 4 raised.",
        example="safeops check --scratch-url postgresql+psycopg://ci@localhost/scratch",
    )
    add_scratch(parser)
    said = "of REV and what is before it, ask only that it loads and runs"
    parser.add_argument("--since", metavar="REV", help=said)
    parser.add_argument("--baseline", metavar="FILE", help="accept the findings in this file")
    parser.add_argument("--write-baseline", action="store_true", help="write that file: accept all that is found now")
    said = "accept a kind of finding, or one: downgrade, downgrade:ae1027"
    parser.add_argument("--ignore", metavar="KIND[:REV]", action="append", default=[], help=said)
    add_json(parser)


def run(options: Namespace) -> int:
    def do() -> Checked:
        if options.write_baseline and options.baseline is None:
            raise InvalidArgument(
                "There is no file to write the baseline to.",
                remedy="Say which:",
                code="safeops check --baseline check-baseline.json --write-baseline",
            )
        return check(
            config_of(options),
            scratch_url=options.scratch_url,
            since=options.since,
            ignore=options.ignore,
            baseline=options.baseline,
            write_baseline=options.write_baseline,
        )

    return told(options, do, lines_of)


def lines_of(found: Checked) -> Iterator[str]:
    for one in found.findings:
        place = f"{shown_path(one.file)}:{one.line}: " if one.file else ""
        yield from fitting(f"{place}{one.level}: {one.message}")
        if os.environ.get("GITHUB_ACTIONS"):
            yield annotation(one)
    errors = sum(one.level == ERROR for one in found.findings)
    told = f"{errors} error{'' if errors == 1 else 's'}" if errors else "all well"
    accepted = f", {found.accepted} accepted" if found.accepted else ""
    yield f"{found.revisions} revision{'' if found.revisions == 1 else 's'}: {told}{accepted}"


def annotation(one: Finding) -> str:
    """Write a finding as a command of GitHub's runners, which show it at its line."""
    # https://docs.github.com/actions/reference/workflow-commands-for-github-actions
    place = f"file={_property(shown_path(one.file))},line={one.line or 1}," if one.file else ""
    return f"::{ANNOTATION.get(one.level, 'notice')} {place}title=safeops check::{_data(one.message)}"


def _data(text: str) -> str:
    return text.replace("%", "%25").replace("\r", "%0D").replace("\n", "%0A")


def _property(text: str) -> str:
    return _data(text).replace(":", "%3A").replace(",", "%2C")
