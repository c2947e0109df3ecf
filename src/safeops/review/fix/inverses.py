"""Which call in ``downgrade()`` undoes one in ``upgrade()``, and the helper that does so."""

from __future__ import annotations

import libcst as cst

from safeops.review.fix.arguments import given
from safeops.review.fix.calls import PLACES, Wanted

_UNDONE_BY: dict[str, tuple[str, str]] = {
    "create_index_if_missing": ("drop_index", "drop_index_if_exists"),
    "drop_index_if_exists": ("create_index", "create_index_if_missing"),
    "add_column_if_missing": ("drop_column", "drop_column_if_exists"),
    "add_required_column": ("drop_column", "drop_column_if_exists"),
    "drop_column_if_exists": ("add_column", "restore_column"),
    "drop_table_if_exists": ("create_table", "restore_table"),
    "create_foreign_key_if_missing": ("drop_constraint", "drop_constraint_if_exists"),
    "create_check_constraint_if_missing": ("drop_constraint", "drop_constraint_if_exists"),
    "create_unique_constraint_if_missing": ("drop_constraint", "drop_constraint_if_exists"),
    "create_primary_key_if_missing": ("drop_constraint", "drop_constraint_if_exists"),
    "enforce_not_null": ("alter_column", "relax_not_null"),
    "relax_not_null": ("alter_column", "enforce_not_null"),
    "set_server_default": ("alter_column", "set_server_default"),
}
"""The call of ``op`` that undoes what a helper does, and the helper that does so."""
_ABOUT = {
    "create_foreign_key": ("constraint_name", "source_table"),
    "create_check_constraint": ("constraint_name", "table_name"),
    "create_unique_constraint": ("constraint_name", "table_name"),
    "create_primary_key": ("constraint_name", "table_name"),
    "drop_constraint": ("constraint_name", "table_name"),
    "create_index": ("index_name",),
    "drop_index": ("index_name",),
    "add_column": ("table_name", "column"),
    "drop_column": ("table_name", "column_name"),
    "alter_column": ("table_name", "column_name"),
    "create_table": ("table_name",),
    "drop_table": ("table_name",),
}
"""The arguments that name the target of a call."""
_SETS = {"relax_not_null": "True", "enforce_not_null": "False"}


def inverse_of(upgrade: cst.Call, its_name: str, wanted: Wanted, downgrade: cst.Call, name: str) -> Wanted | None:
    """Return the helper that a call in ``downgrade()`` becomes; None if it does not undo that of ``upgrade()``."""
    undone_by, helper = _UNDONE_BY.get(wanted.helper, ("", ""))
    about = _about(upgrade, its_name)
    if name != undone_by or about is None or about != _about(downgrade, name):
        return None
    nullable = given(downgrade, (), "nullable")
    if helper in _SETS and not (isinstance(nullable, cst.Name) and nullable.value == _SETS[helper]):
        return None
    return Wanted(helper, places=_places(upgrade, its_name, helper))


def _about(call: cst.Call, name: str) -> tuple[str, ...] | None:
    """Return the target of a call, as code; None if it is not a plain value."""
    values = [given(call, PLACES.get(name, ()), argument) for argument in _ABOUT.get(name, ())]
    if not values or any(value is None for value in values):
        return None
    return tuple(_code(value) for value in values if value is not None)


def _code(value: cst.BaseExpression) -> str:
    """Return a value as code, a column as its name, and a string as its text."""
    if (
        isinstance(value, cst.Call)
        and value.args
        and cst.Module([]).code_for_node(value.func).endswith(("Column", "op.f"))
    ):
        value = value.args[0].value
    if isinstance(value, cst.SimpleString):
        return repr(value.evaluated_value)
    return cst.Module([]).code_for_node(value)


def _places(upgrade: cst.Call, its_name: str, helper: str) -> tuple[cst.BaseExpression, ...]:
    """Return the positional arguments of a helper; ``upgrade()`` supplies those that ``downgrade()`` lacks."""
    if helper != "drop_index_if_exists":
        return ()
    values = [given(upgrade, PLACES[its_name], name) for name in ("index_name", "table_name")]
    return tuple(value for value in values if value is not None)
