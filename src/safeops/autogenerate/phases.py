"""Where the phases of type changes stand in a revision, and the commands that write those to come."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

import sqlalchemy as sa
from alembic.operations import ops

from safeops.autogenerate import operations as safe
from safeops.autogenerate.operations import Note
from safeops.naming import Name, in_shell, written_type

Operations = list[ops.MigrateOperation]


def expanded_last(found: Operations) -> Operations:
    """Begin the changes of type after all else: they copy what stands on the columns, which is to be what stays there."""
    begun = _taken(found, "expand")
    changes = [change for one in begun for change in getattr(one, "ops", [one])]
    return [*found, *([Note(_expanding(changes))] if changes else []), *begun]


def undone_first(found: Operations) -> Operations:
    """Take back the changes of type before all else: what comes back must not find their copies."""
    undone = _taken(found, "undo_expand")
    return [*undone, *found]


def _taken(found: Operations, phase: str) -> Operations:
    """Take what is this phase alone out, in operations of their own on each table."""
    taken: Operations = []
    for one in [*found]:
        if isinstance(one, safe.TableOps):
            own = _taken(one.ops, phase)
            taken += [safe.become(safe.TableOps, one, ops=own)] if own else []
            if not one.ops:
                found.remove(one)
        elif isinstance(one, safe.ChangeType) and one.phases == (phase,):
            found.remove(one)
            taken.append(one)
    return taken


def switching(change: safe.ChangeType) -> Note:
    """Say what follows a switch."""
    return Note(
        f"{_column(change)} has been expanded: this gives it its new type, and belongs in a deploy after the one that"
        " expanded it. When nobody needs the old type any more, write the last revision:\n"
        f"{_command(change, 'contract')}"
    )


def _expanding(changes: Sequence[safe.ChangeType]) -> str:
    one = len(changes) == 1
    what = "A change of type" if one else "Changes of type"
    types = "the new type" if one else "the new types"
    following = (
        "the next revision, and then the last" if one else "the next revisions, and then the last, in this order"
    )
    # Where two hang together, an index is not built twice if both have their types before one is contracted.
    commands = [_command(change, phase) for phase in ("switch", "contract") for change in changes]
    return (
        f"{what} over three deploys, because the server would rewrite or scan the table under a lock. When this one is"
        f" deployed, and the application is ready for {types}, write {following}:\n" + "\n".join(commands)
    )


def _command(change: safe.ChangeType, phase: str) -> str:
    place = {"schema": change.schema, "table": change.table_name, "column": change.column_name}
    how = {"type": written_type(sa.types.to_instance(change.target)), **(change.options or {}), "phase": phase}
    given = {"pattern": "type-change", **place, **how}
    options = " ".join(f"-x {name}={shlex.quote(str(value))}" for name, value in given.items() if value)
    return f"    alembic {options} revision -m {in_shell(f'{phase} {_column(change)}')}"


def _column(change: safe.ChangeType) -> str:
    return f"{Name(str(change.table_name), change.schema or None)}.{change.column_name}"
