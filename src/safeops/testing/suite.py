"""The tests of each revision. ``pytest --safeops`` collects them from the configuration file of the project.

A test module may have them too, next to other tests:

    from safeops.testing.suite import *
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from safeops.testing.kit import Kit
    from safeops.testing.project import Revision

__all__ = [
    "test_bounded",
    "test_nothing_lost",
    "test_offline",
    "test_old_release",
    "test_stopped_anywhere",
    "test_two_at_once",
    "test_up_down_up",
]


def test_up_down_up(safeops_kit: Kit, safeops_revision: Revision) -> None:
    """The downgrade leads back to the schema and the rows from before, and the upgrade works again."""
    _check("up_down_up", safeops_kit, safeops_revision)


def test_stopped_anywhere(safeops_kit: Kit, safeops_revision: Revision) -> None:
    """An upgrade that was stopped after any of its statements can be run again, and ends in the same state."""
    _check("stopped_anywhere", safeops_kit, safeops_revision)


def test_two_at_once(safeops_kit: Kit, safeops_revision: Revision) -> None:
    """Of two runners one wins, and the other finds nothing to do."""
    _check("two_at_once", safeops_kit, safeops_revision)


def test_old_release(safeops_kit: Kit, safeops_revision: Revision) -> None:
    """The released application keeps working during and after the upgrade, and the new one works after it."""
    _check("old_release", safeops_kit, safeops_revision)


def test_nothing_lost(safeops_kit: Kit, safeops_revision: Revision) -> None:
    """Each row that was written during the upgrade, and acknowledged, is there after it."""
    _check("nothing_lost", safeops_kit, safeops_revision)


def test_offline(safeops_kit: Kit, safeops_revision: Revision) -> None:
    """The script that ``--sql`` writes does the same as the revision."""
    _check("offline", safeops_kit, safeops_revision)


def test_bounded(safeops_kit: Kit, safeops_revision: Revision) -> None:
    """A session that holds a table makes no other one wait longer than the lock timeout."""
    _check("bounded", safeops_kit, safeops_revision)


def _check(name: str, kit: Kit, revision: Revision) -> None:
    """Run a check, which is loaded when it is first run."""
    import_module(f"safeops.testing.checks.{name}").check(kit, revision)
