"""SQL on the pages, compared with what is sent or rendered."""

from __future__ import annotations

import re

from tests.docs.pages import Block


def is_sent(block: Block) -> bool:
    """By the revisions of the page."""
    return block.language == "sql" and not (is_rendered(block) or is_run(block) or is_sent_by_env(block))


def is_rendered(block: Block) -> bool:
    return block.language == "sql" and block.mark("rendered") is not None


def is_run(block: Block) -> bool:
    return block.language == "sql" and block.mark("run") is not None


def is_sent_by_env(block: Block) -> bool:
    return block.language == "sql" and block.mark("sent by env.py") is not None


def missing(sent: list[str], shown: list[str]) -> list[str]:
    """Return the statements on a page that were not sent in this order."""
    lost, left = [], iter(sent)
    for statement in shown:
        if not any(_is_shown(one, statement) for one in left):
            lost.append(statement)
            left = iter(sent)
    return lost


def _is_shown(sent: str, shown: str) -> bool:
    """Compare only the beginning if the page ends with three points."""
    if shown.endswith("..."):
        return sent.startswith(shown.removesuffix("...").rstrip())
    return sent.rstrip(";") == shown.rstrip(";")


def statements(block: Block) -> list[str]:
    """Each statement on the page: it ends with a semicolon, or with three points."""
    return [spaced(one) for one in re.split(r"(?<=;)\n|(?<=\.\.\.)\n", block.code) if one.strip()]


def spaced(statement: str) -> str:
    return re.sub(r"\s+", " ", statement).strip()
