"""Tests a team's own revisions: up and down, stopped anywhere, at once, with the old release. A plug-in of pytest.

Nothing is loaded before it is used; pytest itself only by the plug-in, the suite and the fixtures.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeops.homes import on_demand

if TYPE_CHECKING:
    from safeops.testing.failing import Failed, Untestable
    from safeops.testing.kit import Kit, Trial
    from safeops.testing.ledger import Ledger, WriteLedger
    from safeops.testing.project import Project, Revision
    from safeops.testing.snapshots import State

__all__ = ["Failed", "Kit", "Ledger", "Project", "Revision", "State", "Trial", "Untestable", "WriteLedger"]

_HOMES = {
    "Failed": "safeops.testing.failing",
    "Kit": "safeops.testing.kit",
    "Ledger": "safeops.testing.ledger",
    "Project": "safeops.testing.project",
    "Revision": "safeops.testing.project",
    "State": "safeops.testing.snapshots",
    "Trial": "safeops.testing.kit",
    "Untestable": "safeops.testing.failing",
    "WriteLedger": "safeops.testing.ledger",
}
__getattr__ = on_demand(__name__, _HOMES)
