"""The rewriter that puts helpers in the place of Alembic's operations, in ``upgrade()`` and ``downgrade()`` alike."""

from __future__ import annotations

import logging
from typing import Any

from alembic.autogenerate import rewriter
from alembic.operations import ops
from alembic.runtime.migration import MigrationContext
from sqlalchemy.sql.elements import conv

from safeops.autogenerate.arranging import arranged_downgrade, arranged_upgrade, constraints_gone, name_of
from safeops.autogenerate.converting import Downgrade, Upgrade
from safeops.autogenerate.finding import find
from safeops.autogenerate.live import Live, looking
from safeops.autogenerate.misread import correct_misread
from safeops.autogenerate.operations import Differs, Note
from safeops.autogenerate.phases import expanded_last, undone_first
from safeops.autogenerate.replacing import replace_keys
from safeops.autogenerate.servers import COMPARED
from safeops.errors import UnsupportedOnDatabase
from safeops.migration import refuse_translated

log = logging.getLogger("safeops.autogenerate")


class SafeOperations(rewriter.Rewriter):
    """Alembic's ``Rewriter``, to be chained with others, before or after them."""

    def process_revision_directives(
        self, context: MigrationContext, revision: Any, directives: list[ops.MigrationScript]
    ) -> None:
        """Rewrite what autogenerate has found."""
        refuse_translated(context)
        super().process_revision_directives(context, revision, directives)
        for script in directives:
            for upgrade, downgrade in zip(script.upgrade_ops_list, script.downgrade_ops_list, strict=True):
                # With several databases Alembic hands over those that it has handled before once more.
                if not upgrade.info.get("safeops"):
                    upgrade.info["safeops"] = True
                    _rewrite(context, upgrade, downgrade)


def _rewrite(context: MigrationContext, upgrade: ops.UpgradeOps, downgrade: ops.DowngradeOps) -> None:
    compared = upgrade.info.get(COMPARED, ())
    if not upgrade.ops and not downgrade.ops and not compared:
        return
    try:
        with looking(context) as live:
            if live is not None:
                correct_misread(live, upgrade, downgrade)
                find(live, compared, upgrade, downgrade)
                _spell_constraints(live, [*upgrade.ops, *downgrade.ops])
                _leave_out_keys_to_partitions(live, upgrade, downgrade)
            replace_keys(context, live, upgrade.ops, downgrade.ops)
            if live is not None:
                live.gone = constraints_gone(upgrade.ops)
            forth = Upgrade(context, live)
            upgrade.ops[:] = expanded_last(forth.converted(arranged_upgrade(upgrade.ops)))
            downgrade.ops[:] = undone_first(Downgrade(context, forth).converted(arranged_downgrade(downgrade.ops)))
    except UnsupportedOnDatabase as error:
        log.warning("left as Alembic wrote it: %s", error)
        return
    _fill_empty(upgrade)
    _fill_empty(downgrade)


def _spell_constraints(live: Live, found: list[ops.MigrateOperation]) -> None:
    for table in found:
        for one in table.ops if isinstance(table, ops.ModifyTableOps) else ():
            name = getattr(one, "constraint_name", None)
            if name and (spelled := live.constraint_name(name_of(table), str(name))) != name:
                one.constraint_name = conv(spelled)  # type: ignore[attr-defined]


def _leave_out_keys_to_partitions(live: Live, *bodies: ops.OpContainer) -> None:
    """Leave out the foreign keys that PostgreSQL keeps to each partition by itself: SQLAlchemy reflects them too."""
    for body in bodies:
        for table in [one for one in body.ops if isinstance(one, ops.ModifyTableOps)]:
            own = live.keys_to_partitions(name_of(table))
            table.ops[:] = [one for one in table.ops if not (own and _key_name(one) in own)]
            if not table.ops:
                body.ops.remove(table)


def _key_name(one: ops.MigrateOperation) -> str | None:
    dropped = isinstance(one, ops.DropConstraintOp) and one.constraint_type == "foreignkey"
    return str(one.constraint_name) if dropped or isinstance(one, ops.CreateForeignKeyOp) else None  # type: ignore[attr-defined]


def _fill_empty(body: ops.OpContainer) -> None:
    """Make a body that has nothing but comments one that Python reads."""
    if body.ops and all(map(_says_nothing, body.ops)):
        body.ops.append(Note("", "pass"))


def _says_nothing(one: ops.MigrateOperation) -> bool:
    if isinstance(one, (Note, Differs)):
        return not one.code
    return isinstance(one, ops.OpContainer) and all(map(_says_nothing, one.ops))
