"""The output formats of a review for other programs."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safeops.review.reviewed import Reviewed


def _written(name: str, reviewed: Reviewed) -> str:
    written: str = import_module(f"safeops.review.reports.{name}").render(reviewed)
    return written


FORMATS: dict[str, Callable[[Reviewed], str]] = {
    name: partial(_written, name) for name in ("sarif", "github", "gitlab", "markdown")
}
"""The writer of each format; text and JSON are written as by the other commands."""
