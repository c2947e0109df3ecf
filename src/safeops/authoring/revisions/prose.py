"""Prose for the docstring of a revision."""

from __future__ import annotations

import textwrap
from typing import Any

from safeops.authoring.revisions.layout import WIDTH


def paragraph(label: str, text: str, untold: str) -> str:
    """Fill the prose behind a label up to lines; a line that is indented is a command, and stays whole."""
    lines = in_docstring(f"{label}: {text or f'TODO {untold}'}").split("\n")
    filled = [line if line.startswith(" ") else _filled(line) for line in lines]
    return "\n".join(filled).removeprefix(f"{label}:").strip()


def _filled(line: str) -> str:
    options: dict[str, Any] = {"break_long_words": False, "break_on_hyphens": False}
    return textwrap.fill(line, WIDTH, subsequent_indent="    ", **options)


def in_docstring(text: str) -> str:
    """Write text such that it is itself in a docstring, and that ``ruff format`` leaves it as it is."""
    shown = "".join(one if one == "\n" or one.isprintable() else " " for one in text.replace("\r\n", "\n"))
    shown = "\n".join(line.rstrip() for line in shown.strip().split("\n"))
    return shown.replace("\\", r"\\").replace('"""', r"\"\"\"")
