"""How every helper begins: it declares what it is, its arguments are checked, and it gets the running migration."""

from __future__ import annotations

import inspect as signatures
from collections.abc import Callable, Collection, Mapping
from dataclasses import Field, dataclass, field, fields
from functools import cached_property, wraps
from typing import Any, ClassVar, Concatenate, NamedTuple, ParamSpec, TypeVar

import sqlalchemy as sa

from safeops.arguments import NO_KEYWORDS, Keywords, arguments_checked, bind
from safeops.databases.definitions import Table
from safeops.errors import InvalidArgument, PhaseMissing
from safeops.execution import inspect
from safeops.execution.inspect import Absent, Inspected, check_choice, check_flags, check_names
from safeops.execution.later_calls import is_dropped
from safeops.execution.migration import Migration, running
from safeops.execution.migration_lock import retry_if_overtaken
from safeops.execution.recording import recorded_instead
from safeops.naming import Name, call, columns_of, type_code
from safeops.plan_mode import planned_as

P = ParamSpec("P")
R = TypeVar("R")
C = TypeVar("C", bound=Callable[..., Any])

ONLINE = "without blocking reads and writes (SQLite: writers wait)"
BRIEF_LOCK = "The table is locked for milliseconds (SQLite may rewrite it)"
UNUSED = "First deploy the application that no longer uses it."
CHECKED = "Refused unless both agree on every row; the exchange locks the table for milliseconds."
IN_SYNC = (
    "Triggers keep both in sync, whether the application writes the old or the new one; rows are filled in short batches;"
    f" indexes and constraints are built {ONLINE}."
)
"""Texts that several helpers declare."""

DROPPED_LATER = "a later step of this revision has dropped it"
NAMES = {
    *("table_name", "column_name", "constraint_name", "index_name", "enum_name", "schema_name", "value"),
    *("source_table", "referent_table", "schema", "source_schema", "referent_schema"),
}
"""The arguments of helpers that are names."""


class Said(NamedTuple):
    """What a call does and why it is safe, for the docstring of a revision."""

    what: str
    """What the call does; a number in braces is the argument at that position."""
    why: str
    phase: str = ""
    """When it runs between deploys."""
    noun: str = ""
    """What ``what`` changes, for counting calls; empty if calls are not counted."""
    kind: str = ""
    """What all calls of the helper have in common, unless it is how ``what`` begins."""


@dataclass(frozen=True)
class Declaration:
    """What a helper declares about itself.

    Args:
        name: The name of the function; for a phase with the name of its class.
        summary: How a call of it is described.
        signature: Its parameters.
        about: What it works on, for messages: a name in braces is an argument, ``{table}`` is the table with its schema.
        changes: The parts of a definition that it changes, as ``Difference`` names them; "missing" if it drops an object,
            "missing table" if it drops a table, "not yet" if it adds an object that another call left out.
        loses: It drops data that cannot be restored, unless ``archive`` is given.
        example: Arguments that a message shows instead of those given: values, or functions of those given.
        choices: The values that an argument may have.
    """

    name: str
    summary: Said | None
    signature: signatures.Signature
    about: str = ""
    changes: frozenset[str] = frozenset()
    loses: bool = False
    example: Mapping[str, Any] = field(default_factory=dict)
    choices: Mapping[str, tuple[str | None, ...]] = field(default_factory=dict)

    @cached_property
    def names(self) -> dict[str, bool]:
        """The arguments that are names, and whether each may be None."""
        parameters = self.signature.parameters.values()
        return {one.name: "None" in str(one.annotation) for one in parameters if one.name in NAMES}

    @cached_property
    def flags(self) -> list[str]:
        """The arguments that are True, False or perhaps None."""
        parameters = self.signature.parameters.values()
        return [one.name for one in parameters if str(one.annotation) in ("bool", "bool | None")]


class Skip(Exception):
    """There is nothing to do."""

    def __init__(self, what: str, why: str) -> None:
        super().__init__(what, why)
        self.what, self.why = what, why


@dataclass(frozen=True)
class HelperCall(Migration):
    """A helper that runs: the running migration, what the helper declares, and its arguments."""

    declaration: Declaration
    given: Mapping[str, Any] = field(repr=False)

    @property
    def name(self) -> Name:
        """The table that the helper works on."""
        given = self.given
        table = given.get("table_name", given.get("source_table"))
        return Name(table, given.get("schema", given.get("source_schema")))

    @property
    def about(self) -> str:
        """What the call works on, for messages."""
        enum = Name(self.given.get("enum_name"), self.given.get("schema"))  # type: ignore[arg-type]
        return self.declaration.about.format(table=self.name, type=enum, **self.given)

    @cached_property
    def right(self) -> str:
        """The call as it should be, for messages."""
        return written_call(self.declaration, self.given)

    def check_arguments(self) -> None:
        """Raise InvalidArgument for an invalid name, flag or choice."""
        try:
            self._check_names_and_flags("")
        except InvalidArgument:
            # Only then is the right call written.
            self._check_names_and_flags(self.right)
        for argument, choices in self.declaration.choices.items():
            check_choice(argument, self.given[argument], choices)

    def _check_names_and_flags(self, right: str) -> None:
        names = self.declaration.names
        given = {name: value for name in names if (value := self.given[name]) is not None or not names[name]}
        check_names(self, right, **given)
        check_flags(right, **{name: self.given[name] for name in self.declaration.flags})

    def inspect(self, *, to_create: bool = False) -> Inspected:
        """Return what is known about the helper's table, or raise UnknownTable for a view."""
        inspected = inspect.inspect(self, self.name, to_create=to_create)
        if isinstance(inspected, Table):
            inspect.refuse_view(inspected, self.name)
        return inspected

    def existing(self, *columns: str, things: Collection[str] | None = None) -> Table | None:
        """Return the helper's table, which has the columns; None if it cannot be inspected.

        Raises:
            UnknownTable, UnknownColumn: The table or a column does not exist.
            Skip: A later step of this revision has dropped it, in a run that was interrupted.
        """
        return existing_or_skip(self, self.name, self.about, columns, things=things)

    def skip(self, why: str) -> bool:
        return inspect.skipped(self.about, why)


def existing_or_skip(
    migration: Migration,
    name: Name,
    about: str,
    parts: Collection[str],
    seen: Inspected | None = None,
    things: Collection[str] | None = None,
) -> Table | None:
    """Return a table that has the columns; None if it cannot be inspected. Raises as ``HelperCall.existing``.

    Args:
        migration: The running migration.
        name: The table.
        about: What the helper works on, for the message of ``Skip``.
        parts: The columns.
        seen: The table, if it has just been inspected.
        things: See ``Database.table``.
    """
    match seen or inspect.inspect(migration, name, things=things):
        case Absent() as absent:
            if is_dropped(name):
                raise Skip(about, DROPPED_LATER)
            return inspect.required(migration, absent, name)
        case Table() as table:
            if any(is_gone(table, name, part) for part in parts):
                raise Skip(about, DROPPED_LATER)
            inspect.refuse_view(table, name)
            inspect.check_has_columns(table, parts)
            return table
    return None


def is_gone(table: Table, name: Name, part: str) -> bool:
    """Return whether a later step of ``downgrade()`` dropped a column or constraint before an interruption."""
    return part not in table.columns and part not in table.constraints and is_dropped(name, part)


def skipping(action: Callable[[], bool]) -> bool:
    """Run an action; if it raises ``Skip``, report that it is skipped, and return False."""
    try:
        return action()
    except Skip as skip:
        return inspect.skipped(skip.what, skip.why)


def written_call(declaration: Declaration, given: Mapping[str, Any]) -> str:
    """Write a call of a helper as code, with its required arguments."""
    shown = []
    for parameter in declaration.signature.parameters.values():
        needed = parameter.default is parameter.empty and parameter.kind is not parameter.VAR_KEYWORD
        if needed and parameter.kind is not parameter.KEYWORD_ONLY:
            example = declaration.example.get(parameter.name, given[parameter.name])
            shown.append(example(given) if callable(example) else example)
    return call(declaration.name, *shown, schema=given.get("schema"))


def shown_columns(given: Mapping[str, Any]) -> Any:
    """Return the columns of a call for messages, or an example if they are not a list."""
    return columns_of(given["table_name"], given["columns"])


def helper(
    summary: Said | None = None,
    about: str = "",
    *,
    changes: Collection[str] = (),
    loses: bool = False,
    example: Mapping[str, Any] | None = None,
    choices: Mapping[str, tuple[str | None, ...]] | None = None,
    keywords: Keywords = NO_KEYWORDS,
    retried: bool = False,
) -> Callable[[Callable[Concatenate[HelperCall, P], R]], Callable[P, R]]:
    """Make a function with these declarations a helper; it gets the call as its first argument.

    An error of the server or its driver becomes an error of safeops. ``Skip`` ends it with False. ``retried``: it inspects
    again and continues if another runner was faster with a step of it.
    """

    def decorate(function: Callable[Concatenate[HelperCall, P], R]) -> Callable[P, R]:
        full = signatures.signature(function)
        signature = full.replace(parameters=[*full.parameters.values()][1:])
        declaration = Declaration(
            function.__name__, summary, signature, about, frozenset(changes), loses, example or {}, choices or {}
        )

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            given = bind(signature, declaration.name, args, kwargs, keywords)
            if recorded_instead(declaration.name, given):
                return _plausible(declaration)  # type: ignore[no-any-return]

            def once() -> R:
                with running(declaration.name, given, loses=loses) as migration:
                    this = HelperCall(migration.database, migration.settings, migration.context, declaration, given)
                    this.check_arguments()
                    try:
                        return function(this, *args, **kwargs)
                    except Skip as skip:
                        return inspect.skipped(skip.what, skip.why)  # type: ignore[return-value]

            return retry_if_overtaken(once) if retried else once()

        return _declared(called, declaration)

    return decorate


def composite(
    summary: Said, *, retried: bool = False, keywords: Keywords = NO_KEYWORDS
) -> Callable[[Callable[P, R]], Callable[P, R]]:
    """Make a function, or a phase of a change over several deploys, a helper that looks up the running migration.

    Args:
        summary: How a call of it is described.
        retried: It inspects the table again and continues if another runner was faster with a step of it.
        keywords: What it accepts as ``**kw``.
    """

    def decorate(function: Callable[P, R]) -> Callable[P, R]:
        name = ".".join(function.__qualname__.split(".")[-2:])
        declaration = Declaration(name, summary, signatures.signature(function))
        is_phase = "self" in declaration.signature.parameters

        @wraps(function)
        def called(*args: P.args, **kwargs: P.kwargs) -> R:
            change = args[0] if is_phase and args else None
            code = change._call(function.__name__).removesuffix("()") if isinstance(change, PhasedChange) else name
            bound = bind(declaration.signature, name, args, kwargs, keywords, code)
            given = vars(change) if is_phase else bound
            if recorded_instead(name, given):
                return _plausible(declaration)  # type: ignore[no-any-return]
            with planned_as(name, given):
                if retried:
                    return retry_if_overtaken(lambda: function(*args, **kwargs))
                return function(*args, **kwargs)

        return _declared(called, declaration)

    return decorate


def described(summary: Said) -> Callable[[C], C]:
    """Declare how a call is described, for a function that needs no migration."""

    def decorate(function: C) -> C:
        declaration = Declaration(function.__name__, summary, signatures.signature(function))
        return _declared(arguments_checked()(function), declaration)

    return decorate


def _plausible(declaration: Declaration) -> Any:
    """Return what a helper returns after a change."""
    annotation = str(declaration.signature.return_annotation)
    return {"bool": True, "None": None}.get(annotation, Done())


class Done:
    """The report of a helper that was recorded instead of run: each figure is 0."""

    resumed = False

    def __getattr__(self, name: str) -> int:
        if name.startswith("_"):
            raise AttributeError(name)
        return 0


def _declared(called: C, declaration: Declaration) -> C:
    annotations = {
        name: one for name, one in called.__annotations__.items() if name in declaration.signature.parameters
    }
    attributes = {
        "declaration": declaration,
        "__signature__": declaration.signature,
        "__annotations__": {**annotations, "return": declaration.signature.return_annotation},
    }
    for name, value in attributes.items():
        setattr(called, name, value)
    return called


def declaration_of(function: Any) -> Declaration | None:
    """Return what a helper declares; None for any other function."""
    found = getattr(function, "declaration", None)
    return found if isinstance(found, Declaration) else None


class PhasedChange:
    """A change over several deploys. Each phase has an inverse, ``undo_...``, and needs the phase before it."""

    _phases: ClassVar[tuple[str, ...]] = ("expand", "contract")

    __dataclass_fields__: ClassVar[dict[str, Field[Any]]]

    def _call(self, phase: str) -> str:
        """Return the call of a phase as its author writes it."""
        written = {field.name: _as_argument(getattr(self, field.name)) for field in fields(self)}
        keywords = {field.name: written.pop(field.name) for field in fields(self) if field.kw_only}
        return f"{call(type(self).__name__, *written.values(), **keywords)}.{phase}()"

    def _call_before(self, phase: str) -> str:
        """Return the call of the phase that must finish before this one."""
        order = [*self._phases, *(f"undo_{phase}" for phase in reversed(self._phases))]
        return self._call(order[order.index(phase) - 1])

    def _check_names(self, migration: Migration, code: str) -> None:
        """Raise InvalidArgument for an invalid name or schema; ``code`` is the call as it should be."""
        names = {field.name: getattr(self, field.name) for field in fields(self)}
        check_names(
            migration, code, **{key: value for key, value in names.items() if key.endswith(("_name", "schema"))}
        )


def _as_argument(value: Any) -> Any:
    is_type = isinstance(value, (type, sa.types.TypeEngine))
    return type_code(sa.types.to_instance(value)) if is_type else value


def phase_missing(problem: str, missing: str) -> PhaseMissing:
    """Return the error of a phase that was called before another one has finished."""
    return PhaseMissing(
        problem,
        why="Each phase depends on the one before it.",
        remedy="Run that phase first, in an earlier revision; if it was interrupted, it continues:",
        code=missing,
    )
