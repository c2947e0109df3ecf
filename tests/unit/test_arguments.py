"""Mistakes in the arguments of every public callable: InvalidArgument names the argument and the call as it should be."""

import inspect
import pickle
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

import safeops
from safeops import ColumnRename, InvalidArgument, SafeOpsError, TableRename, TypeChange

OF_RESULTS = {"Archive", "BackfillProgress", "BackfillReport", "BackfillState"}
CHANGES = (
    ColumnRename("users", "name", "full_name"),
    TypeChange("users", "id", sa.BigInteger()),
    TableRename("users", "people"),
)
PHASES = ("expand", "switch", "contract", "undo_expand", "undo_switch", "undo_contract")


def public() -> dict[str, Callable[..., Any]]:
    named = {name: getattr(safeops, name) for name in safeops.__all__ if name not in OF_RESULTS}
    callables = {
        name: one for name, one in named.items() if not (isinstance(one, type) and issubclass(one, SafeOpsError))
    }
    phases = {
        f"{type(change).__name__}.{phase}": getattr(change, phase)
        for change in CHANGES
        for phase in PHASES
        if hasattr(change, phase)
    }
    return callables | phases


CALLABLES = public()


def parameters(called: Callable[..., Any], *kinds: Any) -> list[inspect.Parameter]:
    return [one for one in inspect.signature(called).parameters.values() if not kinds or one.kind in kinds]


def needed(called: Callable[..., Any]) -> list[str]:
    named = parameters(called, inspect.Parameter.POSITIONAL_OR_KEYWORD, inspect.Parameter.KEYWORD_ONLY)
    return [one.name for one in named if one.default is one.empty]


def refused(called: Callable[..., Any], *args: Any, **kwargs: Any) -> InvalidArgument:
    with pytest.raises(InvalidArgument) as raised:
        called(*args, **kwargs)
    assert "Nothing was changed" in str(raised.value)
    return raised.value


@pytest.mark.parametrize("name", CALLABLES)
def test_an_unknown_argument_is_refused(name: str) -> None:
    error = refused(CALLABLES[name], zzzzzz=1)
    assert error.problem == f"{name}() has no argument zzzzzz."
    named = [one.name for one in parameters(CALLABLES[name]) if one.kind is not inspect.Parameter.VAR_KEYWORD]
    assert all(one in error.code for one in named)


@pytest.mark.parametrize(
    "name", [name for name, one in CALLABLES.items() if parameters(one, inspect.Parameter.KEYWORD_ONLY)]
)
def test_a_misspelt_argument_is_corrected(name: str) -> None:
    for parameter in parameters(CALLABLES[name], inspect.Parameter.KEYWORD_ONLY):
        error = refused(CALLABLES[name], **{f"{parameter.name}x": "given"})
        assert error.remedy == f"Did you mean {parameter.name}? Write:"
        assert f'{parameter.name}="given"' in error.code


@pytest.mark.parametrize("name", [name for name, one in CALLABLES.items() if needed(one)])
def test_a_missing_argument_is_named(name: str) -> None:
    error = refused(CALLABLES[name])
    assert error.problem.startswith(f"{name}() needs the argument")
    assert all(one in error.problem and one in error.code for one in needed(CALLABLES[name]))


@pytest.mark.parametrize(
    "name", [name for name, one in CALLABLES.items() if not parameters(one, inspect.Parameter.VAR_POSITIONAL)]
)
def test_too_many_arguments_are_refused(name: str) -> None:
    count = len(parameters(CALLABLES[name], inspect.Parameter.POSITIONAL_OR_KEYWORD))
    error = refused(CALLABLES[name], *["given"] * (count + 1))
    assert f"{name}() takes " in error.problem and error.problem.endswith(f"by position, and got {count + 1}.")


def test_the_call_in_the_message_is_made_of_the_arguments_given() -> None:
    values = {"email_lower": sa.func.lower(sa.column("email"))}
    assert refused(safeops.backfill, "users", values, target_second=1).code == (
        'backfill("users", {"email_lower": sa.text("lower(email)")}, target_seconds=1)'
    )
    column = sa.Column("id", sa.BigInteger, primary_key=True)
    assert refused(safeops.create_table_if_missing, "users", column, shema="app").code == (
        'create_table_if_missing("users", sa.Column("id", sa.BigInteger(), primary_key=True), schema="app")'
    )
    assert refused(safeops.set_server_default, "users", "age", defualt=None).code == (
        'set_server_default("users", "age", default=None)'
    )
    assert refused(safeops.enforce_not_null, "users").code == 'enforce_not_null("users", column_name)'
    assert refused(safeops.reads, "name", write=("name_ascii",)).code == 'reads("name", writes=("name_ascii",))'
    assert refused(CHANGES[0].expand, batchsize=100).code == (
        'ColumnRename("users", "name", "full_name").expand(batch_size=100)'
    )


def test_an_argument_given_twice_is_refused() -> None:
    error = refused(safeops.enforce_not_null, "users", "email", table_name="users")
    assert error.problem == "enforce_not_null() got table_name twice: by position and by name."


def test_options_of_dialects_are_known() -> None:
    build = safeops.create_index_if_missing
    assert refused(build, "ix", "users", ["email"], uniqe=True).code.endswith("unique=True)")
    assert "postgresql_where" in refused(build, "ix", "users", ["email"], postgres_where="age > 1").code
    assert "postgresql_where" in refused(build, "ix", "users", ["email"], postgresql_wher="age > 1").code
    for option in ({"postgresql_where": "age > 1"}, {"mysql_length": 10}, {"mssql_clustered": True}, {"info": {}}):
        with pytest.raises(safeops.OutsideMigration):
            build("ix", "users", ["email"], **option)
    with pytest.raises(safeops.OutsideMigration):
        safeops.create_table_if_missing("users", mysql_anything="x", mariadb_engine="y", sqlite_with_rowid=False)


def test_python_code_may_expect_a_type_error() -> None:
    with pytest.raises(TypeError):
        safeops.enforce_not_null("users")  # type: ignore[call-arg]


def test_signatures_stay() -> None:
    assert str(inspect.signature(ColumnRename)) == (
        "(table_name: 'str', old_name: 'str', new_name: 'str', *, schema: 'str | None' = None) -> None"
    )
    assert [one.name for one in parameters(safeops.lock_timeout)] == ["seconds"]
    assert next(iter(inspect.signature(safeops.Settings).parameters)) == "lock_timeout"
    assert pickle.loads(pickle.dumps(CHANGES[0])) == CHANGES[0]
    assert safeops.migration_lock.__name__ == "migration_lock" and safeops.migration_lock.__doc__
