"""Each private part of Alembic and SQLAlchemy works in the versions that are installed."""

from __future__ import annotations

import ast
import copy
import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import alembic.context
import pytest
import sqlalchemy as sa
from alembic.autogenerate import comparators, produce_migrations
from alembic.autogenerate.api import AutogenContext
from alembic.config import Config
from alembic.operations import ops
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from alembic.util import CommandError
from alembic.util.messaging import err
from sqlalchemy.dialects import postgresql

import safeops
from safeops import _alembic, _sqlalchemy

REVISION = '"""One."""\nrevision, down_revision = {!r}, {!r}\n\ndef upgrade(): ...\n\ndef downgrade(): ...\n'


@pytest.fixture
def script(tmp_path: Path) -> ScriptDirectory:
    versions = tmp_path / "versions"
    versions.mkdir()
    (versions / "a.py").write_text(REVISION.format("a", None))
    (versions / "b.py").write_text(REVISION.format("b", "a"))
    return ScriptDirectory(str(tmp_path))


@pytest.fixture
def context() -> Iterator[MigrationContext]:
    with sa.create_engine("sqlite://").connect() as connection:
        yield MigrationContext.configure(connection)


def of_postgresql() -> AutogenContext:
    context = MigrationContext.configure(dialect_name="postgresql", opts={"as_sql": True})
    options = {"alembic_module_prefix": "op.", "sqlalchemy_module_prefix": "sa.", "user_module_prefix": None}
    return AutogenContext(context, opts={**context.opts, **options, "render_item": None}, autogenerate=False)


# Alembic --------------------------------------------------------------------------------------------------------


def test_the_environment_behind_the_proxy(script: ScriptDirectory) -> None:
    assert _alembic.proxied(alembic.context) is None
    with EnvironmentContext(Config(), script) as environment:
        assert _alembic.proxied(alembic.context) is environment


def test_alembics_own_transaction(context: MigrationContext) -> None:
    assert _alembic.own_transaction(context) is None
    with context.begin_transaction(_per_migration=True):
        began = _alembic.own_transaction(context)
        assert began.is_active
        _alembic.set_own_transaction(context, None)
        assert _alembic.own_transaction(context) is None
        _alembic.set_own_transaction(context, began)
    assert not began.is_active


def test_what_op_executes(context: MigrationContext) -> None:
    seen: list[str] = []
    with _alembic.executing_by(context, lambda construct, *_, **__: seen.append(str(construct))):
        context.impl.execute("DROP TABLE missing")
    assert seen == ["DROP TABLE missing"]
    context.impl.execute("CREATE TABLE made (id INTEGER)")
    assert context.connection is not None
    assert sa.inspect(context.connection).has_table("made")


def test_steps_parents_and_folders(script: ScriptDirectory) -> None:
    assert [step.revision.revision for step in _alembic.upgrade_steps(script, "head", ())] == ["a", "b"]
    assert [step.revision.revision for step in _alembic.downgrade_steps(script, "base", ("b",))] == ["b", "a"]
    undone = _alembic.downgrade_step(script, "b")
    assert undone.is_downgrade and undone.revision.revision == "b"
    assert _alembic.parents(script.get_revision("b")) == ("a",)
    assert _alembic.parents(script.get_revision("a")) == ()
    assert _alembic.parents_and_dependencies(script.get_revision("b")) == ("a",)
    assert _alembic.version_folders(script) == [str(Path(script.dir) / "versions")]


def test_comparators_run_first_and_last(context: MigrationContext, monkeypatch: pytest.MonkeyPatch) -> None:
    ran: list[str] = []
    registered: Any = comparators
    monkeypatch.setattr(registered, "_registry", copy.deepcopy(registered._registry))
    _alembic.compare_last(lambda _, upgrade, __: ran.append("last" if upgrade.ops else "before the tables"))
    _alembic.compare_first(lambda _, upgrade, __: ran.append("after the tables" if upgrade.ops else "first"))
    metadata = sa.MetaData()
    sa.Table("new", metadata, sa.Column("id", sa.Integer))
    found = produce_migrations(context, metadata)
    assert ran == ["first", "last"]
    assert found.upgrade_ops is not None
    assert found.upgrade_ops.ops


def test_the_inverse_of_a_drop() -> None:
    made = ops.CreateUniqueConstraintOp("uq", "users", ["name"])
    assert _alembic.inverse_of(_alembic.constraint_drop("uq", "users", None, made)) is made
    assert _alembic.inverse_of(ops.DropConstraintOp("uq", "users", "unique")) is None
    assert _alembic.inverse_of(ops.DropTableOp("users")) is None


def test_what_is_rendered() -> None:
    context = of_postgresql()
    column: sa.Column[str] = sa.Column("name", sa.String(5), server_default="new", nullable=False)
    text = "sa.Column('name', sa.String(length=5), server_default='new', nullable=False)"
    assert _alembic.rendered_column(column, context) == text
    assert _alembic.rendered_type(sa.BigInteger(), context) == "sa.BigInteger()"
    assert _alembic.rendered_default(sa.DefaultClause(sa.text("now()")), context) == "sa.text('now()')"
    assert _alembic.rendered_name(sa.sql.elements.conv("ck"), context) == "op.f('ck')"


def test_exclusion_constraints_and_domains_are_rendered() -> None:
    context = of_postgresql()
    exclusion = postgresql.ExcludeConstraint((sa.column("room"), "="), name="no_overlap")
    sa.Table("bookings", sa.MetaData(), sa.Column("room", sa.Integer), exclusion)
    rendered = _alembic.rendered_exclusion(exclusion, context)
    assert rendered.startswith("op.create_exclude_constraint('no_overlap', 'bookings', (")
    _alembic.render_domains_by(context.migration_context.impl, lambda type_, _: f"DOMAIN {type_.name}")
    assert _alembic.rendered_type(postgresql.DOMAIN("email", sa.Text()), context) == "DOMAIN email"


# SQLAlchemy -----------------------------------------------------------------------------------------------------


def test_a_table_and_its_parts() -> None:
    metadata = sa.MetaData(naming_convention={"ix": "ix_%(table_name)s_%(column_0_name)s"})
    mood = sa.Enum("sad", "ok", name="mood", metadata=metadata)
    first, second = sa.CheckConstraint("a > 0", name="z"), sa.CheckConstraint("a > 1", name="a")
    flag = sa.Column("flag", sa.Boolean(create_constraint=True))
    table = sa.Table("t", metadata, sa.Column("id", sa.Integer, primary_key=True), flag, first, second)
    assert _sqlalchemy.counted_column(table) is table.c.id
    copied = _sqlalchemy.copied(flag)
    assert (copied.name, copied.table) == ("flag", None)
    assert _sqlalchemy.copied(first) is not first
    named = [str(each.name) for each in _sqlalchemy.ordered_constraints(table) if each in (first, second)]
    assert named == ["z", "a"]
    assert mood in _sqlalchemy.created_with(metadata)
    checks = [each for each in table.constraints if isinstance(each, sa.CheckConstraint)]
    (brought,) = [each for each in checks if each not in (first, second)]
    on = {name: MigrationContext.configure(dialect_name=name).impl for name in ("postgresql", "mysql")}
    assert not _sqlalchemy.is_for_dialect(brought, on["postgresql"])
    assert _sqlalchemy.is_for_dialect(brought, on["mysql"])
    assert _sqlalchemy.is_for_dialect(first, on["postgresql"])
    assert _sqlalchemy.are_akin(sa.Integer(), sa.BigInteger())
    assert not _sqlalchemy.are_akin(sa.Integer(), sa.Text())


def test_generated_names_are_cut() -> None:
    metadata = sa.MetaData(naming_convention={"uq": "uq_%(table_name)s_%(column_0_name)s"})
    table = sa.Table("t" * 60, metadata, sa.Column("name", sa.Text), sa.UniqueConstraint("name"))
    (key,) = [each for each in table.constraints if isinstance(each, sa.UniqueConstraint)]
    assert _sqlalchemy.is_generated_name(key.name)
    assert not _sqlalchemy.is_generated_name("uq")
    name = _sqlalchemy.generated_name(key, postgresql.dialect())
    assert len(name) <= 63
    assert _sqlalchemy.cut_name(key.name, postgresql.dialect()) == name


def test_texts() -> None:
    assert [each.key for each in _sqlalchemy.parameters(sa.text("a = :one AND b = :two"))] == ["one", "two"]
    dialect: Any = postgresql.psycopg2.dialect()
    text = sa.text("a % 2")
    assert str(text.compile(dialect=dialect)) == "a %% 2"
    with _sqlalchemy.single_percents(dialect):
        assert str(text.compile(dialect=dialect)) == "a % 2"
    assert str(text.compile(dialect=dialect)) == "a %% 2"


def test_a_parameter_without_a_value() -> None:
    dialect: Any = postgresql.psycopg2.dialect()
    dialect.statement_compiler = _sqlalchemy.closed_compiler(dialect.statement_compiler)
    literal: dict[str, Any] = {"dialect": dialect, "compile_kwargs": {"literal_binds": True}}
    assert str(sa.text("a = :one").bindparams(one=None).compile(**literal)) == "a = NULL"
    with pytest.raises(sa.exc.CompileError, match=":one has no value"):
        sa.text("a = :one").compile(**literal)


def test_backslashes() -> None:
    dialect, other = postgresql.dialect(), postgresql.dialect()
    literal = sa.literal("a\\b")
    _sqlalchemy.keep_backslashes(dialect)
    _sqlalchemy.copy_backslashes(dialect, other)
    for each in (dialect, other):
        assert str(literal.compile(dialect=each, compile_kwargs={"literal_binds": True})) == "'a\\b'"


def test_the_dialect_of_a_pooled_connection() -> None:
    engine, seen = sa.create_engine("sqlite://"), []
    sa.event.listen(engine, "checkout", lambda _driver, _record, proxy: seen.append(_sqlalchemy.dialect_of(proxy)))
    with engine.connect():
        assert seen == [engine.dialect]


# Elsewhere ------------------------------------------------------------------------------------------------------

PUBLIC = {"_getframe", "_mapping", "_replace", "_max_workers"}
"""Names of ``sys``, of rows and of named tuples that are documented; an executor may lack its own."""


def is_private(name: str) -> bool:
    return name.startswith("_") and not name.startswith("__") and name not in PUBLIC


def names_made(tree: ast.Module) -> Iterator[str]:
    """Go through what a module itself defines."""
    for node in ast.walk(tree):
        match node:
            case ast.FunctionDef(name=name) | ast.ClassDef(name=name) | ast.Name(id=name, ctx=ast.Store()):
                yield name
            case ast.Attribute(value=ast.Name(id="self"), attr=name, ctx=ast.Store()):
                yield name


def names_used(tree: ast.Module) -> Iterator[str]:
    """Go through the names of others that a module uses."""
    for node in ast.walk(tree):
        match node:
            case ast.Attribute(attr=name):
                yield name
            case ast.Call(
                func=ast.Name(id="getattr" | "hasattr" | "setattr"), args=[_, ast.Constant(value=str(name)), *_]
            ):
                yield name
            case ast.ImportFrom(module=str(module), names=names) if not module.startswith("safeops"):
                yield from (*module.split("."), *(each.name for each in names))


def test_no_other_module_uses_privates() -> None:
    source = Path(safeops.__file__).parent
    own = {path: ast.parse(path.read_text()) for path in source.rglob("*.py")}
    made = {name for tree in own.values() for name in names_made(tree)}
    others = {path: tree for path, tree in own.items() if path.name not in ("_alembic.py", "_sqlalchemy.py")}
    used = {(path.name, name) for path, tree in others.items() for name in names_used(tree) if is_private(name)}
    assert not {(module, name) for module, name in used if name not in made}


def test_whether_a_connection_commits_each_statement() -> None:
    with sa.create_engine("sqlite://").connect() as connection:
        assert not _sqlalchemy.is_autocommit(connection)
        assert _sqlalchemy.is_autocommit(connection.execution_options(isolation_level="AUTOCOMMIT"))
    with sa.create_engine("sqlite://", isolation_level="AUTOCOMMIT").connect() as connection:
        assert _sqlalchemy.is_autocommit(connection)


@pytest.mark.parametrize(("handlers", "printed"), [(["stderr"], False), (["a file"], True)])
def test_an_error_is_printed_only_if_its_log_is_not_shown(
    handlers: list[str], printed: bool, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    config = Config()
    _alembic.print_errors_once(config)
    _alembic.print_errors_once(config)
    handler = logging.StreamHandler() if handlers == ["stderr"] else logging.FileHandler(tmp_path / "log")
    logger = logging.getLogger("alembic")
    logger.addHandler(handler)
    logger.propagate = False
    try:
        raise CommandError("failed\n    code")
    except CommandError as error:
        with pytest.raises(SystemExit):
            err(str(error), **config.messaging_opts)
    finally:
        logger.removeHandler(handler)
        logger.propagate = True
        handler.close()
    shown = capsys.readouterr()
    assert ("FAILED" in shown.out) is printed
    assert ("failed\n    code" in shown.err) is not printed
    assert config.messaging_opts["quiet"] is False


@pytest.mark.parametrize("level", ["REPEATABLE READ", None])
def test_the_isolation_level_is_known_for_a_block(level: str | None) -> None:
    with sa.create_engine("sqlite://").connect() as connection:
        own = connection.get_isolation_level()
        with _sqlalchemy.isolation_level_known(connection, level):
            assert connection.get_isolation_level() == (level or own)
        assert connection.get_isolation_level() == own
