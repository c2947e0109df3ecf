"""Alembic's comparison of server defaults, which asks the server, kept from failing there."""

from __future__ import annotations

from typing import Any

from alembic import util
from alembic.autogenerate import comparators
from alembic.autogenerate.api import AutogenContext
from alembic.operations import ops
from sqlalchemy.exc import DBAPIError


def register() -> None:
    """Register with Alembic, to run before it compares the tables."""
    ranks: Any = getattr(util, "DispatchPriority", None)
    if ranks:
        comparators.dispatch_for("schema", priority=ranks.FIRST)(_ask_safely)
    else:
        # Versions without priorities run these in order, and have no public way to be the first.
        first: Any = comparators
        first._registry["schema", "default"].insert(0, _ask_safely)


def _ask_safely(context: AutogenContext, _upgrade_ops: ops.UpgradeOps, _schemas: Any) -> None:
    """Take for different what the server cannot compare: JSON, an apostrophe undoubled, a value that it has not yet.

    What differs by its spelling alone is left out later.
    """
    connection: Any = context.connection
    impl: Any = context.migration_context.impl
    # The others compare the texts, and ask nobody.
    if connection is None or not type(impl).transactional_ddl:
        return
    theirs = impl.compare_server_default

    def differ(*columns_and_defaults: Any) -> bool:
        try:
            with connection.begin_nested():
                return bool(theirs(*columns_and_defaults))
        except DBAPIError:
            return True

    impl.compare_server_default = differ
