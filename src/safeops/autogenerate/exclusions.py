"""Writes exclusion constraints whole: Alembic leaves out their operator classes, and writes True as a string."""

from __future__ import annotations

from typing import Any

from alembic.autogenerate import render
from alembic.autogenerate.api import AutogenContext
from alembic.ddl.postgresql import CreateExcludeConstraintOp, _exclude_constraint
from sqlalchemy.dialects.postgresql import ExcludeConstraint


def register() -> None:
    """Register with Alembic."""
    renderers: Any = render._constraint_renderers
    theirs = renderers.dispatch(ExcludeConstraint)

    def written(constraint: Any, context: AutogenContext, metadata: Any) -> str:
        return whole(constraint, theirs(constraint, context, metadata))

    renderers._registry[ExcludeConstraint, "default"] = written


def whole(constraint: Any, written: str) -> str:
    """Return the call that Alembic has written, with what it leaves out."""
    written = written.replace("deferrable='True'", "deferrable=True")
    ops = {str(name): str(value) for name, value in (constraint.ops or {}).items()}
    return f"{written.removesuffix(')')}, ops={ops!r})" if ops and "ops=" not in written else written


def arguments(operation: CreateExcludeConstraintOp, context: AutogenContext) -> str:
    """Write the arguments of a helper that adds an exclusion constraint."""
    constraint: Any = operation.to_constraint(context.migration_context)
    return whole(constraint, _exclude_constraint(constraint, context, alter=True)).partition("(")[2]
