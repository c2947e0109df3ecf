"""The documentation's build."""

import contextlib
import io
import os
import re

import safeops
from safeops.authoring.pattern import Argument
from safeops.authoring.patterns import PATTERNS
from safeops.cli import COMMANDS, main

project = "safeops"
author = "The safeops authors"
copyright = "2026, The safeops authors"
release = safeops.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"safeops {release}"
html_static_path = ["_static"]
html_css_files = ["safeops.css"]
exclude_patterns = ["_build"]
autodoc_preserve_defaults = True
autodoc_typehints = "description"
maximum_signature_line_length = 100
autodoc_typehints_description_target = "documented_params"
nitpicky = True
# Types of Python, SQLAlchemy and Alembic: links to them need their inventories from the network, which CI does not have.
nitpick_ignore_regex = [("py:class", r"(alembic|collections|concurrent|contextlib|os|pathlib|sqlalchemy)\..*")]
nitpick_ignore = [
    # Types in signatures that are not part of the public interface.
    ("py:class", "safeops.backfilling.values.F"),
    ("py:class", "safeops.databases.base.Database"),
    ("py:class", "safeops.judging.operations.Operation"),
    ("py:class", "safeops.judging.sent.Place"),
    ("py:class", "safeops.judging.sent.Sent"),
    ("py:class", "safeops.rehearse.effects.Statement"),
    ("py:class", "safeops.rehearse.measuring.Run"),
    ("py:class", "safeops.rehearse.projection.Projected"),
    ("py:class", "safeops.rehearse.traffic.losses.Comparison"),
    ("py:class", "safeops.rehearse.traffic.result.TrafficResult"),
    # Those of the testing kit, which only type checkers import.
    ("py:class", "Config"),
    ("py:class", "Kit"),
    ("py:class", "Ledger"),
    ("py:class", "MigratedTo"),
    ("py:class", "OldApplications"),
    ("py:class", "OlderTables"),
    ("py:class", "OwnRows"),
    ("py:class", "Release"),
    ("py:class", "Revision"),
    ("py:class", "Rows"),
    ("py:class", "StoppedAfter"),
    ("py:class", "Template"),
    ("py:class", "URL"),
    ("py:class", "safeops.testing.snapshots.State"),
    ("py:exc", "Untestable"),
]
myst_heading_anchors = 3


def format_sections(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Render the sections of a docstring that napoleon does not know: a paragraph each, the example as code."""
    for place, line in enumerate(lines):
        if begun := re.match(r"(Steps|Locks|Running it again|Offline): ", line):
            lines[place] = f"**{begun[1]}:** {line[begun.end() :]}"
            for following in range(place + 1, len(lines)):
                if not lines[following].strip():
                    break
                lines[following] = lines[following].strip()
    if "Example:" in lines:
        place = lines.index("Example:")
        code = [f"    {line}" if line else "" for line in lines[place + 1 :]]
        lines[place:] = ["Example:", "    .. code-block:: python", "", *code]


def patterns() -> str:
    """Return the revision templates and their arguments as tables."""
    rows = [
        f"| `{name}` | {one.summary} | {_names(one.required)} | {_names(one.optional)} | {', '.join(one.phases)} |"
        for name, one in PATTERNS.items()
    ]
    helps = {(one.name, one.help): one.example for pattern in PATTERNS.values() for one in pattern.arguments}
    arguments = [f"| `{name}` | {help} | {example and f'`{example}`'} |" for (name, help), example in helps.items()]
    return "\n".join(
        [
            *("| pattern | what it is | required | optional | phases |", "|---|---|---|---|---|", *rows, ""),
            *("| argument | what it is | for example |", "|---|---|---|", *arguments, ""),
        ]
    )


def _names(arguments: tuple[Argument, ...]) -> str:
    return ", ".join(f"`{one.name}`" for one in arguments)


def command_line(*words: str) -> str:
    """Return the help of a command."""
    printed = io.StringIO()
    os.environ["COLUMNS"] = "100"
    with contextlib.redirect_stdout(printed):
        main([*words, "--help"])
    return f"```text\n{printed.getvalue()}```\n"


def exit_codes() -> str:
    """The exit codes of each command, as a table."""
    rows = []
    for command in COMMANDS:
        meanings = dict(re.findall(r"\b([0-4]) (.*?)(?=, [0-4] |\.?$)", command.exit_statuses))
        if meanings:
            rows.append(f"| `safeops {command.name}` | {' | '.join(meanings.get(code, '') for code in '01234')} |")
    return "\n".join(["| command | 0 | 1 | 2 | 3 | 4 |", "|---|---|---|---|---|---|", *rows, ""])


def made_at_the_build(app: object, page: str, source: list[str]) -> None:
    """Insert what would go out of date if it were written by hand."""
    made = {"patterns": lambda *_: patterns(), "help": command_line, "exit-codes": lambda *_: exit_codes()}

    def replaced(found: re.Match[str]) -> str:
        what, *words = found[1].split()
        return made[what](*words)

    source[0] = re.sub(r"<!-- made at the build: (.*?) -->", replaced, source[0])


def setup(app: object) -> None:
    app.connect("source-read", made_at_the_build)  # type: ignore[attr-defined]
    # Before napoleon, which has the default priority of 500.
    app.connect("autodoc-process-docstring", format_sections, priority=400)  # type: ignore[attr-defined]
