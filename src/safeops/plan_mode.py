"""A dry run: it records what helpers would do, and changes nothing."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from typing import Any

from safeops import errors
from safeops.errors import SafeOpsError
from safeops.planned import NOTHING, RUN, SKIP, UNKNOWN, Effect, PlannedCall, PlannedStatement, RawStatement, summary

REST = "what follows from that"
AFTER = "would run after"
_UNKNOWN = (errors.UnknownTable, errors.UnknownColumn, errors.UnknownConstraint, errors.UnknownType)
MISSING = (*_UNKNOWN, errors.PhaseMissing, KeyError)
"""What a helper raises if the earlier steps have not been done yet."""


CERTAIN = (
    *(*_UNKNOWN, errors.PhaseMissing),
    *(errors.InvalidArgument, errors.UnsupportedOnDatabase, errors.UnsafeOperation, errors.DefinitionMismatch),
    *(errors.DependentObjects, errors.OrphanedRows, errors.DuplicateRows, errors.ViolatingRows),
)
"""What a helper raises again as long as the database stays as it is; others depend on who else is at work."""
_WORDS = """
ADD ALL ALTER ANALYZE AND AS BY CASCADE CHECK COLUMN COMMENT CONCURRENTLY CONSTRAINT CREATE DEFAULT DELETE DOMAIN DROP
EXISTS FOR FOREIGN FROM FUNCTION GRANT IDENTITY IF IN INDEX INSERT INTO IS KEY LOCK MATERIALIZED NOT NULL OF ON ONLY
OR ORDER POLICY PRIMARY PUBLICATION REFERENCES RENAME REPLACE REPLICA RESTRICT ROLE RULE SCHEMA SELECT SEQUENCE SET
TABLE TABLES TEMPORARY TO TRIGGER TYPE UNIQUE UPDATE USING VALIDATE VALUES VIEW WHERE WITH
"""
SQL_WORDS = frozenset(_WORDS.lower().split())
"""Words of SQL that occur in messages too, and name nothing."""


class WouldWrite(Exception):
    """A helper was about to write, outside a plan, in a dry run."""


@dataclass
class _Call:
    """A helper whose steps are recorded."""

    helper: str
    target: str | None
    table: str | None
    names: tuple[str, ...]
    loses: bool
    statements: list[PlannedStatement] = field(default_factory=list)
    outline: list[PlannedStatement] = field(default_factory=list)
    skipped: list[str] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)


class DryRun:
    """What the revisions would do, in order."""

    def __init__(self) -> None:
        self.revision = ""
        self.calls: list[tuple[str, PlannedCall]] = []
        self._open: _Call | None = None

    @property
    def in_helper(self) -> bool:
        return self._open is not None

    def add(self, statement: PlannedStatement) -> None:
        """Record what the running helper would do."""
        if self._open is not None:
            self._open.statements.append(statement)

    def outline(self, statement: PlannedStatement) -> None:
        """Record the outcome of the running phase, also if it finds nothing to do now."""
        if self._open is not None:
            self._open.outline.append(statement)

    def skip(self, what: str, why: str) -> None:
        """Record why the running helper has nothing to do."""
        if self._open is not None:
            self._open.skipped.append(f"{what}: {why}")

    def note(self, said: str) -> None:
        """Record a remark on the running helper."""
        if self._open is not None:
            self._open.notes.append(said)

    def unknown(
        self, helper: str, detail: str, *, raw: RawStatement | None = None, ends_revision: bool = False
    ) -> None:
        """Record a call whose effect cannot be predicted."""
        loses = raw is not None and raw.loses
        self.calls.append(
            (
                self.revision,
                PlannedCall(helper, None, UNKNOWN, detail, loses=loses, ends_revision=ends_revision, raw=raw),
            )
        )

    def would_add(self, table: str, column: str | None = None) -> bool:
        """Return whether a step before would have added a column, or any, or the helper that runs, as its first step."""
        if column is not None and self._open is not None and self._open.statements:
            return True
        added = [effect for effect in self._effects() if effect.column is not None and effect.name.name == table]
        return any(column in (None, one.column) for one in added)

    def would_create(self, type_: str) -> bool:
        """Return whether a step before may create a type: a helper of that name, or raw SQL that names it."""
        made = any(effect.column is None and effect.name.name == type_ for effect in self._effects())
        return made or any(type_ in one.raw.names for _, one in self.calls if one.raw is not None)

    def _effects(self) -> list[Effect]:
        """Return what the calls before would have made, and the steps before of the helper that runs."""
        own = [
            statement.effect
            for statement in (self._open.statements if self._open is not None else [])
            if statement.effect
        ]
        return [*(effect for _, one in self.calls if one.action == RUN for effect in one.effects), *own]

    @contextmanager
    def helper(self, call: _Call) -> Iterator[None]:
        """Run a helper and record what it would do; an error ends the helper that the revision calls, not the dry run."""
        if self._open is not None:
            yield
            return
        self._open = call
        error: Exception | None = None
        try:
            yield
        except Exception as raised:
            if getattr(raised, "connection_invalidated", False):
                raise
            error = raised
        finally:
            self._open = None
        self.calls.append((self.revision, self._settled(call, error)))

    def _settled(self, call: _Call, error: Exception | None) -> PlannedCall:
        if call.statements:
            return _done(call, cut_short=error is not None)
        if error is not None:
            return self._failed(call, error)
        earlier = self._earlier(lambda one: one.target == call.target or _creates(one, call))
        detail = "; ".join(dict.fromkeys(call.skipped)) or "there is nothing to do"
        if earlier is not None and call.outline and earlier[1].action == RUN:
            return _after(call, *earlier)
        if earlier is not None and call.target is not None:
            said = f"at present {detail}; {earlier[1].helper} of revision {earlier[0]} runs before it"
            return PlannedCall(call.helper, call.target, UNKNOWN, said, loses=call.loses, table=call.table)
        return PlannedCall(call.helper, call.target, SKIP, detail, table=call.table)

    def _failed(self, call: _Call, error: Exception) -> PlannedCall:
        said, missing = summary(error), isinstance(error, MISSING)
        about = _about(call, error)
        earlier = self._earlier(lambda one: _makes(one, call, about) if missing else _changes(one, call, error, about))
        detail = f"{'would be refused' if isinstance(error, SafeOpsError) else 'cannot be predicted'}: {said}"
        if earlier is None:
            refusal = error if isinstance(error, CERTAIN) and self._stays(call, error) else None
            told = PlannedCall(call.helper, call.target, UNKNOWN, detail, loses=call.loses, table=call.table)
            return replace(told, refusal=refusal)
        revision, before = earlier
        if missing and before.action == RUN:
            return _after(call, revision, before)
        detail = f"at present {detail}; {before.helper} of revision {revision} runs before it"
        return PlannedCall(call.helper, call.target, UNKNOWN, detail, loses=call.loses, table=call.table)

    def _stays(self, call: _Call, error: SafeOpsError) -> bool:
        """Return whether no step before could change what an error is about."""
        before = (one for _, one in self.calls if one.action != SKIP)
        about = _about(call, error)
        return error.in_any_case or not any(_may_change(one, call, about) for one in before)

    def _earlier(self, fits: Callable[[PlannedCall], bool]) -> tuple[str, PlannedCall] | None:
        """Return the latest step before that fits, at best one that would do something of itself."""
        found = [(revision, one) for revision, one in self.calls if one.action != SKIP and fits(one)]
        made = [(revision, one) for revision, one in found if one.action == RUN and not one.needs_earlier]
        return next(reversed(made or found), None)


_dry_run: ContextVar[DryRun | None] = ContextVar("safeops_forecast", default=None)


def current_dry_run() -> DryRun | None:
    """Return the dry run in progress; None if helpers make changes."""
    return _dry_run.get()


@contextmanager
def recorded_dry_run() -> Iterator[DryRun]:
    """Record what helpers inside would do; their INFO lines are left out."""
    dry_run = DryRun()
    token = _dry_run.set(dry_run)
    logger = logging.getLogger("safeops")
    logger.addFilter(_is_shown)
    try:
        yield dry_run
    finally:
        _dry_run.reset(token)
        logger.removeFilter(_is_shown)


def _is_shown(record: logging.LogRecord) -> bool:
    return record.levelno > logging.INFO or current_dry_run() is None


def planned_as(helper: str, given: Mapping[str, Any], *, loses: bool = False) -> AbstractContextManager[None]:
    """In a dry run, take what runs inside for one call of a helper; its arguments name its table."""
    dry_run = current_dry_run()
    if dry_run is None:
        return nullcontext()
    return dry_run.helper(_Call(helper, *_target(given), _names_in(given), loses and not given.get("archive")))


@contextmanager
def recorded(does: str) -> Iterator[None]:
    """Record a statement that is about to write outside a plan, and end its helper."""
    try:
        yield
    except WouldWrite:
        if (dry_run := current_dry_run()) is not None:
            dry_run.add(PlannedStatement(does))
        raise


def _after(call: _Call, revision: str, before: PlannedCall) -> PlannedCall:
    """Return what follows an earlier step: the call's own outline, if it has one."""
    after = f"{AFTER} {before.helper} of revision {revision}"
    if call.outline:
        own = _done(call, cut_short=False)
        return replace(own, detail=f"{after}: {own.detail}", needs_earlier=True)
    detail = f"{after}: {before.detail}"
    return PlannedCall(call.helper, call.target, RUN, detail, loses=call.loses, table=call.table, needs_earlier=True)


def _done(call: _Call, *, cut_short: bool) -> PlannedCall:
    statements = [*call.outline, *call.statements]
    texts = list(dict.fromkeys(statement.text for statement in statements)) + ([REST] if cut_short else [])
    rows = [statement.rows for statement in statements if statement.rows is not None]
    seconds = [statement.seconds for statement in statements if statement.seconds is not None]
    return PlannedCall(
        call.helper,
        call.target,
        RUN,
        ". ".join([f"would {'; then '.join(texts)}", *(note.rstrip(".") for note in dict.fromkeys(call.notes))]),
        "; ".join(dict.fromkeys(statement.lock.name for statement in statements if statement.lock.name)) or None,
        _blocked(statements),
        max(rows, default=None),
        sum(seconds) if seconds else None,
        any(statement.loses for statement in call.outline or statements),
        call.table,
        table_locks=tuple((table, statement.lock) for statement in statements for table in statement.tables),
        rewrites=any(statement.rewrites for statement in statements),
        effects=tuple(statement.effect for statement in statements if statement.effect is not None),
    )


def _blocked(statements: list[PlannedStatement]) -> str | None:
    found = dict.fromkeys(statement.lock for statement in statements)
    # A statement that blocks nothing matters only if no other one blocks anything.
    blocking = [one.blocks for one in found if one.blocked != NOTHING] or [one.blocks for one in found]
    return "; ".join(dict.fromkeys(blocking)) or None


def _makes(one: PlannedCall, call: _Call, about: Sequence[str]) -> bool:
    """Return whether a step may make what a later one misses: what the error names, or the table of the call."""
    if one.table is not None and (one.table == call.table or _names(about, one.table)):
        return True
    if one.target is not None and one.table is None:
        return _names(about, one.target)
    return call.table is not None and _sends(one, call.table)


def _creates(one: PlannedCall, call: _Call) -> bool:
    """Return whether a step makes or renames the table of a later call, which changes what that call found."""
    if one.table is not None:
        return one.target == call.table
    made = one.raw is not None and one.raw.makes_table
    return made and call.table is not None and _sends(one, call.table)


def _changes(one: PlannedCall, call: _Call, error: Exception, about: Sequence[str]) -> bool:
    """Return whether a step changes what blocks a later one; of raw SQL only the table's name counts."""
    if one.target is None:
        return call.table is not None and (_sends(one, call.table) or _mentions(one.raw, about))
    thing = one.target.partition(" on ")[0]
    return one.target == call.target or (isinstance(error, errors.DependentObjects) and _names(about, thing))


def _may_change(one: PlannedCall, call: _Call, about: Sequence[str]) -> bool:
    """Return whether a step may change the reason for which a later call is refused; if that is unknown, it may."""
    if one.target is None:
        opaque = one.ends_revision or one.raw is None or one.raw.hides or call.table is None
        return opaque or _sends(one, str(call.table)) or _mentions(one.raw, about)
    if one.table is None or one.table != call.table:
        return one.target == call.target or _names(about, one.table or one.target)
    if one.target == call.target or call.table in (one.target, call.target):
        return True
    if one.target.startswith(f"{one.table}.") or call.helper == "alter_column_type":
        # Another column, or an index that the message would name.
        return _names(about, one.target.partition(" on ")[0])
    return True


def _plain(name: str) -> str:
    return name.rpartition(".")[2]


def _sends(one: PlannedCall, table: str) -> bool:
    """Return whether a statement of the revision's own names a table."""
    return one.raw is not None and one.raw.names_table(_plain(table))


def _names(about: Sequence[str], name: str) -> bool:
    whole = re.compile(rf"(?<!\w){re.escape(_plain(name))}(?!\w)")
    return any(whole.search(text) is not None for text in about)


def _mentions(raw: RawStatement | None, about: Sequence[str]) -> bool:
    """Return whether raw SQL names something that an error is about: a view, a publication, a domain, a column."""
    return raw is not None and any(_names(about, name) for name in raw.names if name.lower() not in SQL_WORDS)


def _about(call: _Call, error: Exception) -> tuple[str, ...]:
    """Return what an error is about: the names in the call and those in the error, or the server's message."""
    own = error.args if isinstance(error, KeyError) else getattr(error, "about", ())
    if own and isinstance(error, MISSING):
        return tuple(map(str, own))
    refusal = getattr(error, "orig", None) or getattr(error.__cause__, "orig", None)
    return (*call.names, *own, *([str(refusal)] if refusal is not None else []))


# What was called ------------------------------------------------------------------------------------------------


def _names_in(given: Any) -> tuple[str, ...]:
    """Return the names in the arguments of a call: texts, and the names of columns, of their types and referents."""
    if isinstance(given, str):
        return (given,)
    if isinstance(given, Mapping):
        return tuple(name for key, value in given.items() for part in (key, value) for name in _names_in(part))
    if isinstance(given, (list, tuple)):
        return tuple(name for part in given for name in _names_in(part))
    parts = [getattr(given, attribute, None) for attribute in ("name", "type", "schema", "text", "target_fullname")]
    own = [part for part in parts if isinstance(part, str)]
    type_ = getattr(given, "type", None)
    keys = [key.target_fullname for key in getattr(given, "foreign_keys", ())]
    return (*own, *(_names_in(type_) if type_ is not None else ()), *keys)


def _target(given: Mapping[str, Any]) -> tuple[str | None, str | None]:
    """Return what a helper works on, and the table of it, from its arguments."""

    def text(*names: str) -> str | None:
        return next((given[name] for name in names if isinstance(given.get(name), str)), None)

    schema = text("schema", "source_schema")
    table = text("table_name", "source_table", "old_name")
    table = f"{schema}.{table}" if schema and table else table
    thing = text("index_name", "constraint_name")
    column = text("column_name") or (text("old_name") if "table_name" in given else None)
    column = column or getattr(given.get("column"), "name", None)
    if table is None:
        return text("enum_name", "schema_name", "name", "type_name"), None
    if thing:
        return f"{thing} on {table}", table
    return (f"{table}.{column}" if column else table), table
