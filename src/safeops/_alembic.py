"""The parts of Alembic that are not public. No other module uses them.

Each docstring ends with the versions in which the part was seen to work; tests/unit/test_privates.py tries each.
"""

from __future__ import annotations

import logging
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from importlib import import_module
from types import ModuleType
from typing import Any

from alembic import util
from alembic.autogenerate import comparators, render
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.ddl import postgresql
from alembic.operations import AbstractOperations, ops
from alembic.operations.batch import BatchOperationsImpl
from alembic.runtime.migration import MigrationContext, MigrationStep
from alembic.script import ScriptDirectory

# Commands -------------------------------------------------------------------------------------------------------


def print_errors_once(config: Config) -> None:
    """Have the command of this configuration print an error by its log alone, if a terminal shows that. 1.16.0 to 1.20.1.

    Alembic logs an error and prints it too, and on a terminal it prints all lines as one paragraph, the code among them.
    """
    if not isinstance(config.messaging_opts, _QuietIfLogged):
        config.messaging_opts = _QuietIfLogged(config.messaging_opts)


class _QuietIfLogged(Mapping[str, Any]):
    """Alembic's messaging options: quiet while it prints an error that a terminal shows as a log line."""

    def __init__(self, options: Mapping[str, Any]) -> None:
        self._options = options

    def __getitem__(self, name: str) -> Any:
        logged = name == "quiet" and isinstance(sys.exc_info()[1], util.CommandError) and _log_is_shown()
        return logged or self._options[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._options)

    def __len__(self) -> int:
        return len(self._options)


def _log_is_shown() -> bool:
    logger: logging.Logger | None = logging.getLogger("alembic.util.messaging")
    if logger is None or not logger.isEnabledFor(logging.ERROR):
        return False
    handlers: list[logging.Handler] = []
    while logger is not None:
        handlers += logger.handlers
        logger = logger.parent if logger.propagate else None
    # Without any, logging itself writes to standard error.
    return not handlers or any(
        isinstance(handler, logging.StreamHandler)
        and handler.stream in (sys.stdout, sys.stderr)
        and handler.level <= logging.ERROR
        for handler in handlers
    )


# Running migrations ---------------------------------------------------------------------------------------------


def proxied(proxy: ModuleType) -> Any:
    """Return what ``alembic.context`` or ``alembic.op`` refers to; None outside of a command. 1.16.0 to 1.20.1."""
    return getattr(proxy, "_proxy", None)


def own_transaction(context: MigrationContext) -> Any:
    """Return the transaction that Alembic began itself, or None. 1.16.0 to 1.20.1."""
    return context._transaction


def set_own_transaction(context: MigrationContext, transaction: Any) -> None:
    """Have Alembic end this transaction as the one that it began. 1.16.0 to 1.20.1."""
    context._transaction = transaction


@contextmanager
def executing_by(context: MigrationContext, execute: Callable[..., Any]) -> Iterator[None]:
    """Have ``op`` execute by this function, for the block. 1.16.0 to 1.20.1."""
    impl: Any = context.impl
    impl._exec = execute
    try:
        yield
    finally:
        del impl._exec


@contextmanager
def environment_kept() -> Iterator[None]:
    """Have ``alembic.context`` and ``alembic.op`` refer afterwards to what they refer to now. 1.16.0 to 1.20.1."""
    before = [proxied(module) for module in (import_module("alembic.context"), import_module("alembic.op"))]
    try:
        yield
    finally:
        for proxy in before:
            if proxy is not None:
                proxy._install_proxy()


@contextmanager
def invoking_by(invoke: Callable[[Any, Any, Callable[[Any, Any], Any]], Any]) -> Iterator[None]:
    """Have ``op`` and batches invoke each operation by this function, for the block. 1.16.0 to 1.20.1.

    Args:
        invoke: Gets the operations, the operation, and Alembic's own function to call with both.
    """
    own: Any = AbstractOperations.invoke

    def invoked(operations: Any, operation: Any) -> Any:
        return invoke(operations, operation, own)

    AbstractOperations.invoke = invoked  # type: ignore[method-assign,assignment]
    try:
        yield
    finally:
        AbstractOperations.invoke = own  # type: ignore[method-assign]


class Batch(list[Any]):
    """The operations of a batch, which runs them when it ends; ``began`` gets what was given for each, then None.

    1.16.0 to 1.20.1.
    """

    def __init__(self, began: Callable[[Any], None]) -> None:
        super().__init__()
        self._began = began
        self.given: list[Any] = []

    def __iter__(self) -> Iterator[Any]:
        for entry, given in zip(super().__iter__(), self.given, strict=True):
            self._began(given)
            yield entry
        self._began(None)


def batch_of(operations: Any, began: Callable[[Any], None]) -> Batch | None:
    """Return the operations that a batch has collected; None for ``op`` itself. 1.16.0 to 1.20.1."""
    impl: Any = operations.impl
    if not isinstance(impl, BatchOperationsImpl):
        return None
    if not isinstance(impl.batch, Batch):
        impl.batch = Batch(began)
    return impl.batch


# Revisions ------------------------------------------------------------------------------------------------------


def upgrade_steps(script: ScriptDirectory, revision: str, current: Sequence[str]) -> list[Any]:
    """Return the steps of ``alembic upgrade``. 1.16.0 to 1.20.1."""
    return list(script._upgrade_revs(revision, tuple(current)))  # type: ignore[arg-type]


def downgrade_steps(script: ScriptDirectory, revision: str, current: Sequence[str]) -> list[Any]:
    """Return the steps of ``alembic downgrade``. 1.16.0 to 1.20.1."""
    return list(script._downgrade_revs(revision, tuple(current)))  # type: ignore[arg-type]


def downgrade_step(script: ScriptDirectory, revision: str) -> Any:
    """Return the step that undoes one revision, also one that merges others. 1.16.0 to 1.20.1."""
    return MigrationStep.downgrade_from_script(script.revision_map, script.get_revision(revision))


def version_folders(script: ScriptDirectory) -> list[str]:
    """Return the folders that have the revisions. 1.16.0 to 1.20.1."""
    return [str(folder) for folder in script._version_locations]


def parents(revision: Any) -> tuple[str, ...]:
    """Return the revisions that a revision follows. 1.16.0 to 1.20.1."""
    found: tuple[str, ...] = revision._normalized_down_revisions
    return found


def parents_and_dependencies(revision: Any) -> tuple[str, ...]:
    """Return the revisions that must have run before a revision. 1.16.0 to 1.20.1."""
    dependencies: tuple[str, ...] = revision._normalized_resolved_dependencies
    return tuple(dict.fromkeys((*parents(revision), *dependencies)))


# Autogenerate ---------------------------------------------------------------------------------------------------

COMPARISON_LOGGERS = tuple(
    f"alembic.autogenerate.compare{module}" for module in ("", ".tables", ".constraints", ".comments")
)
"""The loggers of what autogenerate finds: the first one up to 1.17, the others from 1.18.0 to 1.20.1."""


def compare_first(comparator: Callable[..., Any]) -> None:
    """Register a comparator that runs before the tables are compared. 1.16.0 to 1.20.1; from 1.18 on by public means."""
    ranks: Any = getattr(util, "DispatchPriority", None)
    if ranks:
        comparators.dispatch_for("schema", priority=ranks.FIRST)(comparator)
    else:
        registered: Any = comparators
        registered._registry["schema", "default"].insert(0, comparator)


def compare_last(comparator: Callable[..., Any]) -> None:
    """Register a comparator that runs when the tables are compared. 1.16.0 to 1.20.1, by public means."""
    # Without priorities, what is registered later runs later.
    ranks: Any = getattr(util, "DispatchPriority", None)
    comparators.dispatch_for("schema", **({"priority": ranks.LAST} if ranks else {}))(comparator)


def inverse_of(drop: Any) -> Any:
    """Return what autogenerate found that a drop operation drops; None if it found nothing. 1.16.0 to 1.20.1."""
    return drop._reverse


def constraint_drop(name: str, table_name: str, schema: str | None, inverse: Any) -> ops.DropConstraintOp:
    """Return the drop of a constraint that an operation creates again. 1.16.0 to 1.20.1."""
    return ops.DropConstraintOp(name, table_name, schema=schema, _reverse=inverse)


# Rendering ------------------------------------------------------------------------------------------------------


def rendered_column(column: Any, context: AutogenContext) -> str:
    """Return a column as code. 1.16.0 to 1.20.1."""
    return render._render_column(column, context)


def rendered_type(type_: Any, context: AutogenContext) -> str:
    """Return a type as code. 1.16.0 to 1.20.1."""
    return render._repr_type(type_, context)


def rendered_default(default: Any, context: AutogenContext) -> str:
    """Return a server default as code. 1.16.0 to 1.20.1."""
    return str(render._render_server_default(default, context))


def rendered_name(name: Any, context: AutogenContext) -> str:
    """Return the name of a constraint or an index as code. 1.16.0 to 1.20.1."""
    return repr(render._render_gen_name(context, name))


def rendered_exclusion(constraint: Any, context: AutogenContext) -> str:
    """Return the call of ``op`` that adds an exclusion constraint. 1.16.0 to 1.20.1."""
    return postgresql._exclude_constraint(constraint, context, alter=True)


def wrap_constraint_renderer(kind: type[Any], wrap: Callable[[Any, str], str]) -> None:
    """Change what Alembic renders for constraints of a kind inside of a table. 1.16.0 to 1.20.1."""
    renderers: Any = render._constraint_renderers
    theirs = renderers.dispatch(kind)

    def rendered(constraint: Any, context: AutogenContext, metadata: Any) -> str:
        return wrap(constraint, theirs(constraint, context, metadata))

    renderers._registry[kind, "default"] = rendered


def render_domains_by(impl: Any, renderer: Callable[[Any, AutogenContext], str]) -> None:
    """Have Alembic render domains by a function, which it looks up by this name. 1.16.0 to 1.20.1."""
    impl._render_DOMAIN_type = renderer
