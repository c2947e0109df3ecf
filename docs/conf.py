"""The documentation's build."""

import contextlib
import io
import os
import re

import safeops
from safeops.authoring.pattern import Argument
from safeops.authoring.patterns import PATTERNS
from safeops.cli import main

project = "safeops"
author = "The safeops authors"
copyright = "2026, The safeops authors"
release = safeops.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
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
]
myst_heading_anchors = 3


def example_as_code(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Render the Example section of a docstring, which is the last one, as code."""
    if "Example:" in lines:
        place = lines.index("Example:")
        code = [f"    {line}" if line else "" for line in lines[place + 1 :]]
        lines[place:] = ["Example:", "    .. code-block:: python", "", *code]


def patterns() -> str:
    """The patterns, and what their arguments are, as tables."""
    rows = [
        f"| `{name}` | {one.summary} | {_names(one.required)} | {_names(one.optional)} | {', '.join(one.phases)} |"
        for name, one in PATTERNS.items()
    ]
    helps = {(one.name, one.help): one.example for pattern in PATTERNS.values() for one in pattern.arguments}
    told = [f"| `{name}` | {help} | {example and f'`{example}`'} |" for (name, help), example in helps.items()]
    return "\n".join(
        [
            *("| pattern | what it is | required | optional | phases |", "|---|---|---|---|---|", *rows, ""),
            *("| argument | what it is | for example |", "|---|---|---|", *told, ""),
        ]
    )


def _names(arguments: tuple[Argument, ...]) -> str:
    return ", ".join(f"`{one.name}`" for one in arguments)


def command_line(*words: str) -> str:
    """What the command line says of itself."""
    said = io.StringIO()
    os.environ["COLUMNS"] = "100"
    with contextlib.redirect_stdout(said):
        main([*words, "--help"])
    return f"```text\n{said.getvalue()}```\n"


def made_at_the_build(app: object, page: str, source: list[str]) -> None:
    """Put in what would be out of date if somebody had written it."""
    made = {"patterns": lambda *_: patterns(), "help": command_line}

    def replaced(found: re.Match[str]) -> str:
        what, *words = found[1].split()
        return made[what](*words)

    source[0] = re.sub(r"<!-- made at the build: (.*?) -->", replaced, source[0])


def setup(app: object) -> None:
    app.connect("source-read", made_at_the_build)  # type: ignore[attr-defined]
    # Before napoleon, which has the default priority of 500.
    app.connect("autodoc-process-docstring", example_as_code, priority=400)  # type: ignore[attr-defined]
