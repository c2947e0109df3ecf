"""Running migrations: status, plan, checks, backups, upgrades and rollbacks."""

from __future__ import annotations

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
