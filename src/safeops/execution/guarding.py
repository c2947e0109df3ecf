"""The part of the guard that runs need before there is anything to judge: it imports neither the judge nor the parsers."""

from __future__ import annotations

from importlib.util import find_spec
from weakref import WeakKeyDictionary

from alembic.runtime.migration import MigrationContext

from safeops.errors import NotReady, UnsafeOperation

PARSERS = ("pglast", "sqlglot")
refusals: WeakKeyDictionary[MigrationContext, UnsafeOperation] = WeakKeyDictionary()
"""What the guard has refused, by the run."""


def check_refusal(context: MigrationContext) -> None:
    """Raise a refusal again: a revision that catches it must not be taken for one that has ended well."""
    if refusal := refusals.get(context):
        raise refusal


def check_parsers() -> None:
    """Raise NotReady if what reads SQL is not installed."""
    missing = missing_parsers()
    if missing:
        raise NotReady(
            f"The guard reads each statement with a parser, and {' and '.join(missing)} is not installed.",
            why="The parsers are an extra, needed only for the guard and for safeops review.",
            remedy='Install them on each machine that runs migrations, or write configure(guard="off"):',
            code="pip install 'alembic-safeops[review]'",
        )


def missing_parsers() -> list[str]:
    """Return what the guard needs and is not installed."""
    return [name for name in PARSERS if find_spec(name) is None]
