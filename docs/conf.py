"""The documentation's build."""

import safeops

project = "safeops"
author = "The safeops authors"
copyright = "2026, The safeops authors"
release = safeops.__version__

extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
exclude_patterns = ["_build"]
autodoc_typehints = "description"
autodoc_typehints_description_target = "documented_params"
nitpicky = False
myst_heading_anchors = 3


def example_as_code(app: object, what: str, name: str, obj: object, options: object, lines: list[str]) -> None:
    """Render the Example section of a docstring, which is the last one, as code."""
    if "Example:" in lines:
        place = lines.index("Example:")
        code = [f"    {line}" if line else "" for line in lines[place + 1 :]]
        lines[place:] = ["Example:", "    .. code-block:: python", "", *code]


def setup(app: object) -> None:
    # Before napoleon, which has the default priority of 500.
    app.connect("autodoc-process-docstring", example_as_code, priority=400)  # type: ignore[attr-defined]
