"""What valid checks prove about a partition: with such a proof, attaching it scans no rows."""

from __future__ import annotations

from typing import Any

from pglast import ast

from safeops.judging.existing import KnownTable
from safeops.judging.operations import Operation
from safeops.judging.postgresql.nodes import comparison, number_of, text_of
from safeops.judging.postgresql.proofs import comparisons, proves_not_null, valid_checks
from safeops.judging.schema import Schema

Value = int | str
Range = tuple[Value | None, Value | None]
"""From (included) and to (not included); None has no end."""


def partition_words(operation: Operation, parent: KnownTable | None, schema: Schema) -> set[str]:
    """Return what is proven of the partition that is attached, and of the default partition of its parent."""
    bounds = range_of(getattr(operation.node, "bound", None) or getattr(operation.node, "partbound", None))
    part = schema.table(operation.other) if operation.other is not None else None
    default = default_partition(parent, schema) if parent is not None else None
    words = {"builds index"} if parent is not None and part is not None and _lacks_index(part, parent) else set()
    if bounds is not None and part is not None and _is_within(part, bounds):
        words.add("bounds proven")
    if _nothing_to_search(parent, default) or (
        bounds is not None and default is not None and _is_outside(default, bounds)
    ):
        words.add("default excludes")
    return words


def _lacks_index(part: KnownTable, parent: KnownTable) -> bool:
    """Return whether a completely known table lacks an index that its new parent has."""
    own = {index.columns for index in part.indexes.values() if index.valid}
    return part.complete and any(index.columns not in own for index in parent.indexes.values())


def default_partition(parent: KnownTable, schema: Schema) -> KnownTable | None:
    """Return the default partition of a table."""
    own = [table for table in schema.tables.values() if table.parent == parent.name and table.is_default_partition]
    if not own and parent.default_partition is not None:
        return schema.table(parent.default_partition)
    return own[0] if own else None


def _nothing_to_search(parent: KnownTable | None, default: KnownTable | None) -> bool:
    known_not_to_have_one = parent is not None and parent.complete and default is None
    return known_not_to_have_one or (default is not None and (default.empty or default.new))


def range_of(bound: Any) -> Range | None:
    """Return the bounds of a partition by range over one column; None of others."""
    if bound is None or bound.is_default or bound.strategy != "r" or len(bound.lowerdatums) != 1:
        return None
    return _value(bound.lowerdatums[0]), _value(bound.upperdatums[0])


def _value(node: Any) -> Value | None:
    number = number_of(node)
    return number if number is not None else text_of(node)


def _is_within(part: KnownTable, bounds: Range) -> bool:
    """Return whether valid checks of a table prove that a NOT NULL column is within bounds."""
    for column in {column for column, _, _ in comparisons(part)}:
        known = part.columns.get(column)
        required = (known is not None and known.nullable is False) or proves_not_null(part, column)
        if required and _reaches(part, column, bounds):
            return True
    return False


def _reaches(part: KnownTable, column: str, bounds: Range) -> bool:
    low, high = bounds
    own = [(operator, _value(value)) for name, operator, value in comparisons(part) if name == column]
    above = low is None or any(op in (">=", ">", "=") and _at_least(value, low) for op, value in own)
    below = high is None or any(
        (op == "<" and _at_least(high, value)) or (op in ("<=", "=") and _above(high, value)) for op, value in own
    )
    return above and below


def _is_outside(default: KnownTable, bounds: Range) -> bool:
    """Return whether a valid check of the default partition leaves no room for rows within bounds."""
    low, high = bounds
    for part in valid_checks(default):
        options = list(part.args or ()) if isinstance(part, ast.BoolExpr) and part.boolop == 1 else [part]
        if all(_misses(option, low, high) for option in options):
            return True
    return False


def _misses(option: Any, low: Value | None, high: Value | None) -> bool:
    _, operator, node = comparison(option) or ("", "", None)
    value = _value(node)
    if operator == "<":
        return _at_least(low, value)
    if operator == "<=":
        return _above(low, value)
    return operator in (">=", ">") and _at_least(value, high)


def _at_least(one: Value | None, other: Value | None) -> bool:
    return _comparable(one, other) and one >= other  # type: ignore[operator]


def _above(one: Value | None, other: Value | None) -> bool:
    return _comparable(one, other) and one > other  # type: ignore[operator]


def _comparable(one: Value | None, other: Value | None) -> bool:
    """Dates in ISO order compare as text does; of other texts equal ones alone are certain."""
    if one is None or other is None or type(one) is not type(other):
        return False
    return isinstance(one, int) or one == other or (_is_date(one) and _is_date(other))


def _is_date(value: Value | None) -> bool:
    return isinstance(value, str) and len(value) >= 10 and value[:4].isdigit() and value[4] == value[7] == "-"
