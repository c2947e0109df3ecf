"""How a call of ``alembic.op`` becomes that of a helper with the author's own arguments."""

from __future__ import annotations

from dataclasses import dataclass, field

import libcst as cst

from safeops.homes import HOME_OF
from safeops.review.fix.arguments import given, is_plain, name_of, with_keywords, with_place, without

PLACES: dict[str, tuple[str, ...]] = {
    "add_column": ("table_name", "column"),
    "alter_column": ("table_name", "column_name"),
    "create_check_constraint": ("constraint_name", "table_name", "condition"),
    "create_foreign_key": ("constraint_name", "source_table", "referent_table", "local_cols", "remote_cols"),
    "create_index": ("index_name", "table_name", "columns"),
    "create_primary_key": ("constraint_name", "table_name", "columns"),
    "create_unique_constraint": ("constraint_name", "table_name", "columns"),
    "create_table": ("table_name",),
    "drop_column": ("table_name", "column_name"),
    "drop_constraint": ("constraint_name", "table_name", "type_"),
    "drop_index": ("index_name", "table_name"),
    "drop_table": ("table_name",),
}
"""The arguments that a call of ``op`` takes by place, which those of the helpers are too."""
HELPERS: dict[str, frozenset[str]] = {
    "add_column": frozenset({"add_column_if_missing", "add_required_column", "restore_column"}),
    "alter_column": frozenset({"enforce_not_null", "relax_not_null", "set_server_default", "alter_column_type"}),
    "create_check_constraint": frozenset({"create_check_constraint_if_missing"}),
    "create_foreign_key": frozenset({"create_foreign_key_if_missing"}),
    "create_index": frozenset({"create_index_if_missing"}),
    "create_primary_key": frozenset({"create_primary_key_if_missing"}),
    "create_unique_constraint": frozenset({"create_unique_constraint_if_missing"}),
    "create_table": frozenset({"restore_table"}),
    "drop_column": frozenset({"drop_column_if_exists"}),
    "drop_constraint": frozenset({"drop_constraint_if_exists"}),
    "drop_index": frozenset({"drop_index_if_exists"}),
    "drop_table": frozenset({"drop_table_if_exists"}),
}
"""Which helpers do what a call of ``op`` does."""
CHANGES: dict[str, str] = {
    "enforce_not_null": "nullable",
    "relax_not_null": "nullable",
    "set_server_default": "server_default",
    "alter_column_type": "type_",
}
"""The keyword of ``op.alter_column`` that selects a helper."""
KEPT = frozenset({"schema"})
SETTLED = frozenset(
    {"if_exists", "if_not_exists", "postgresql_concurrently", "postgresql_not_valid", "inline_references"}
)
"""Keywords that the helpers set themselves, or that have another name there."""


@dataclass(frozen=True)
class Wanted:
    """The call to write instead.

    Args:
        helper: The helper.
        places: What it takes by place, by the names of the places.
        keywords: What it takes by keyword.
        code: All of it.
    """

    helper: str
    places: tuple[cst.BaseExpression, ...] = ()
    keywords: dict[str, cst.BaseExpression] = field(default_factory=dict)
    code: cst.BaseExpression | None = None


def wanted_in(code: str | None) -> Wanted | None:
    """Return the call of which a replacement consists; None if it is more than one, or none of safeops."""
    try:
        body = cst.parse_module(code or "").body
    except cst.ParserSyntaxError:
        return None
    line = body[0] if len(body) == 1 else None
    statement = line.body[0] if isinstance(line, cst.SimpleStatementLine) else None
    call = statement.value if isinstance(statement, cst.Expr) else None
    if not isinstance(call, cst.Call) or not isinstance(call.func, cst.Name) or call.func.value not in HOME_OF:
        return None
    places = tuple(argument.value for argument in call.args if argument.keyword is None)
    keywords = {name: argument.value for argument in call.args if (name := name_of(argument)) is not None}
    return Wanted(call.func.value, places, keywords, call)


def in_common(wanted: list[Wanted]) -> Wanted | None:
    """Return the call that takes the place of one that a loop makes several times; None if these differ in kind."""
    first = wanted[0]
    if any(other.helper != first.helper for other in wanted):
        return None
    keywords = {
        name: value
        for name, value in first.keywords.items()
        if all(name in other.keywords and value.deep_equals(other.keywords[name]) for other in wanted)
    }
    same = [
        all(values[0].deep_equals(value) for value in values)
        for values in zip(*(one.places for one in wanted), strict=False)
    ]
    # A place that differs is the author's own expression.
    return Wanted(
        first.helper,
        tuple(value if equal else cst.Name("None") for value, equal in zip(first.places, same, strict=False)),
        keywords,
        first.code if all(same) and len(keywords) == len(first.keywords) else None,
    )


def as_helper(call: cst.Call, op_name: str, wanted: Wanted) -> cst.BaseExpression | None:
    """Return a call of ``op`` as that of a helper; None if their arguments do not correspond."""
    if op_name == "execute":
        return wanted.code if _is_one_text(call) else None
    if wanted.helper not in HELPERS.get(op_name, ()) or not is_plain(call) or _is_guess(wanted):
        return None
    if wanted.helper == "restore_table":
        return _restored(call)
    arguments = _altered(call, wanted) if op_name == "alter_column" else _same(call, op_name, wanted)
    if not arguments or _is_none(arguments[0].value):
        return None
    return call.with_changes(func=cst.Name(wanted.helper), args=arguments)


def _restored(call: cst.Call) -> cst.Call:
    """Return the call that restores a table, which needs none of its columns."""
    names = ("table_name", "schema")
    kept = [argument for place, argument in enumerate(call.args) if not place or name_of(argument) in names]
    plain = [argument.with_changes(comma=cst.MaybeSentinel.DEFAULT) for argument in kept]
    nothing = cst.SimpleWhitespace("")
    plain = [argument.with_changes(whitespace_after_arg=nothing) for argument in plain]
    return call.with_changes(func=cst.Name("restore_table"), args=plain, whitespace_before_args=nothing)


def _is_one_text(call: cst.Call) -> bool:
    """Return whether a call executes SQL that is written out in it."""
    if len(call.args) != 1 or call.args[0].keyword is not None:
        return False
    value = call.args[0].value
    if isinstance(value, cst.Call) and len(value.args) == 1:
        value = value.args[0].value
    return isinstance(value, (cst.SimpleString, cst.ConcatenatedString)) and isinstance(value.evaluated_value, str)


def _is_guess(wanted: Wanted) -> bool:
    """Return whether existing rows would get a value that only the author can choose."""
    if wanted.helper != "add_required_column" or len(wanted.places) < 2:
        return False
    column = wanted.places[1]
    named = [name_of(argument) for argument in column.args] if isinstance(column, cst.Call) else []
    return "server_default" not in named


def _same(call: cst.Call, op_name: str, wanted: Wanted) -> list[cst.Arg] | None:
    """Return the arguments of a call whose helper takes the same by place."""
    places = PLACES[op_name]
    arguments = without(call.args, SETTLED)
    if op_name == "drop_constraint":
        arguments = [_named_type(argument, place) for place, argument in enumerate(arguments)]
    arguments = _completed(arguments, places, wanted)
    known = {name for argument in arguments if (name := name_of(argument)) is not None}
    more = {name: value for name, value in wanted.keywords.items() if name not in known and name in _ADDED}
    return with_keywords(arguments, more)


_ADDED = ("archive", "populate", "validate", "key")
"""What only the helpers have."""


def _named_type(argument: cst.Arg, place: int) -> cst.Arg:
    """Give the kind of a constraint its keyword, as the helper takes it."""
    if place != 2 or argument.keyword is not None:
        return argument
    tight = cst.AssignEqual(cst.SimpleWhitespace(""), cst.SimpleWhitespace(""))
    return argument.with_changes(keyword=cst.Name("type_"), equal=tight)


def _completed(arguments: list[cst.Arg], places: tuple[str, ...], wanted: Wanted) -> list[cst.Arg]:
    """Add the name of a constraint that has none, and the table of an index, which the replacement knows."""
    if arguments and _is_none(arguments[0].value) and wanted.places:
        arguments = [arguments[0].with_changes(value=wanted.places[0]), *arguments[1:]]
    named = {name_of(argument) for argument in arguments}
    placed = sum(argument.keyword is None for argument in arguments)
    lacks_table = places == PLACES["drop_index"] and placed < 2 and "table_name" not in named
    if lacks_table and len(wanted.places) > 1:
        by_place = len(arguments) == 1 and placed == 1
        table = wanted.places[1]
        arguments = with_place(arguments, table) if by_place else with_keywords(arguments, {"table_name": table})
    return arguments


def _is_none(value: cst.BaseExpression) -> bool:
    return isinstance(value, cst.Name) and value.value == "None"


def _altered(call: cst.Call, wanted: Wanted) -> list[cst.Arg] | None:
    """Return the arguments of a change of a column, if it changes one thing."""
    change = CHANGES[wanted.helper]
    changing = {"nullable", "server_default", "type_", "new_column_name", "comment", "postgresql_using"}
    names = {name for argument in call.args if (name := name_of(argument)) is not None}
    value = given(call, (), change)
    if names & changing != {change} or value is None:
        return None
    places = [argument for argument in call.args if name_of(argument) in (None, "table_name", "column_name")]
    kept = [argument for argument in call.args if name_of(argument) in KEPT]
    arguments = places if change == "nullable" else [*places, _placed(call, change)]
    return _spaced([*arguments, *kept], call)


def _placed(call: cst.Call, name: str) -> cst.Arg:
    argument = next(argument for argument in call.args if name_of(argument) == name)
    return argument.with_changes(keyword=None, equal=cst.MaybeSentinel.DEFAULT)


def _spaced(arguments: list[cst.Arg], call: cst.Call) -> list[cst.Arg]:
    """End the arguments as those of the call ended, with a comma between any two."""
    between = next((argument.comma for argument in call.args[:-1]), cst.Comma())
    made = [argument.with_changes(comma=between) for argument in arguments]
    return [*made[:-1], made[-1].with_changes(comma=call.args[-1].comma)]
