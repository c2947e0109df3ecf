"""Running migrations: status, plan, checks, backups, upgrades and rollbacks."""

from __future__ import annotations

from typing import TYPE_CHECKING

from safeops.homes import on_demand

if TYPE_CHECKING:
    from safeops.runner.backups import Backup, backup
    from safeops.runner.checks import Checked, Finding, check
    from safeops.runner.planning import Plan, PlannedRevision, plan
    from safeops.runner.readiness import require_current
    from safeops.runner.restoring import Restored, restore
    from safeops.runner.revision_run import Applied
    from safeops.runner.revisions import Pending, heads, merge
    from safeops.runner.stamping import Stamped, stamp
    from safeops.runner.status_report import Attention, Status, status
    from safeops.runner.upgrades import Upgraded, rollback, upgrade

__all__ = [
    "Applied",
    "Attention",
    "Backup",
    "Checked",
    "Finding",
    "Pending",
    "Plan",
    "PlannedRevision",
    "Restored",
    "Stamped",
    "Status",
    "Upgraded",
    "backup",
    "check",
    "heads",
    "merge",
    "plan",
    "require_current",
    "restore",
    "rollback",
    "stamp",
    "status",
    "upgrade",
]

_HOMES = {
    "backups": "Backup backup",
    "checks": "Checked Finding check",
    "planning": "Plan PlannedRevision plan",
    "readiness": "require_current",
    "restoring": "Restored restore",
    "revision_run": "Applied",
    "revisions": "Pending heads merge",
    "stamping": "Stamped stamp",
    "status_report": "Attention Status status",
    "upgrades": "Upgraded rollback upgrade",
}
# A service calls require_current() at its start, and a command needs a part of this.
__getattr__ = on_demand(
    __name__, {name: f"{__name__}.{module}" for module, names in _HOMES.items() for name in names.split()}
)
