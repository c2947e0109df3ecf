"""`python -m safeops init`: a new project works, and an existing one is fitted out without harm."""

from __future__ import annotations

import ast
import re
import shutil
import sqlite3
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from alembic.config import Config
from tests.authoring.checks import assert_accepted
from tests.authoring.commands import MODELS, alembic, files_in, fill_in, python, revision, stock, substitute
from tests.servers import Database
from tests.whole import one_in

from safeops.authoring.env_file import advise
from safeops.authoring.init import _is_shipped_by_alembic, advise_ini
from safeops.authoring.project import rendered
from safeops.cli import COMMANDS, main

TEMPLATES = Path(Config().get_template_directory())
STOCK = sorted(path.parent.name for path in TEMPLATES.glob("*/env.py"))

Init = Callable[..., tuple[int, str]]


@pytest.fixture
def init(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Init:
    """Runs `python -m safeops init` in the test's folder; gives the exit status and what was printed."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("ALEMBIC_CONFIG", raising=False)

    def run(*arguments: str, verb: str = "init") -> tuple[int, str]:
        status = main([*arguments] if verb in arguments else [verb, *arguments])
        printed = capsys.readouterr()
        return status, printed.out + printed.err

    return run


@pytest.fixture
def init_files(init: Init, monkeypatch: pytest.MonkeyPatch) -> Init:
    """The same without the trial of env.py, which needs a separate process."""
    monkeypatch.setattr("safeops.authoring.init.try_env", lambda *_: None)
    return init


# A new project ---------------------------------------------------------------------------------------------------


def test_a_new_project_works(init: Init, tmp_path: Path) -> None:
    status, said = init()
    assert status == 0
    assert "migrations/env.py was run offline, without a database: it works." in said
    made = files_in(tmp_path)
    assert set(made) == {"alembic.ini", *(f"migrations/{one}" for one in ("env.py", "script.py.mako", "MIGRATIONS.md"))}
    assert (tmp_path / "migrations" / "versions").is_dir()
    assert "\ntarget_metadata = None\n" in made["migrations/env.py"]
    assert "\nsqlalchemy.url =\n" in made["alembic.ini"]
    assert max(map(len, said.splitlines())) <= 80

    fill_in(tmp_path, "sqlite:///it.db")
    alembic(tmp_path, "revision --autogenerate -m first")
    (revision,) = (tmp_path / "migrations" / "versions").glob("*.py")
    assert "create_table_if_missing" in revision.read_text()
    shown = alembic(tmp_path, "upgrade head", "check", "current", "downgrade base", "upgrade head")
    assert "No new upgrade operations detected." in shown
    assert "(head)" in shown
    assert "[safeops]" in shown, "what the helpers do is not shown"
    tables = sqlite3.connect(tmp_path / "it.db").execute("SELECT name FROM sqlite_master WHERE type = 'table'")
    assert {"users", "alembic_version"} <= {name for (name,) in tables}

    before = files_in(tmp_path)
    status, said = init()
    assert status == 0
    assert "replaced  migrations/MIGRATIONS.md" in said, "the database is known now"
    assert {name for name, text in files_in(tmp_path).items() if text != before[name]} == {"migrations/MIGRATIONS.md"}
    after = files_in(tmp_path)
    assert init()[0] == 0
    assert files_in(tmp_path) == after


def test_the_url_comes_from_the_command_line_the_environment_or_the_file(init_files: Init, tmp_path: Path) -> None:
    init_files()
    refused = alembic(tmp_path, "-x other=1 upgrade head", fails=True)
    assert "Set DATABASE_URL, or fill in sqlalchemy.url in\nalembic.ini" in refused
    assert "Traceback" not in refused
    alembic(tmp_path, "upgrade head", DATABASE_URL="sqlite:///environment.db")
    assert (tmp_path / "environment.db").exists()
    substitute(tmp_path / "alembic.ini", "(?m)^sqlalchemy.url =$", "sqlalchemy.url = sqlite:///file.db")
    (tmp_path / "environment.db").unlink()
    commands = ("upgrade head", "-x url=sqlite:///line.db upgrade head")
    alembic(tmp_path, *commands, DATABASE_URL="sqlite:///environment.db")
    assert [path.name for path in sorted(tmp_path.glob("*.db"))] == ["environment.db", "line.db"]
    alembic(tmp_path, "upgrade head")
    assert (tmp_path / "file.db").exists()


def test_the_trial_gets_the_arguments_for_env_py(init: Init, tmp_path: Path) -> None:
    stock(tmp_path)
    env = tmp_path / "migrations" / "env.py"
    env.write_text(f"{env.read_text()}\nassert context.get_x_argument(as_dictionary=True) == {{'tenant': 'a'}}\n")
    assert "could not be run offline:\n  line 80: AssertionError" in init()[1]
    assert "it works" in init("-x", "tenant=a", "init")[1]


@pytest.mark.only("pg18", "sqlite")
def test_an_asynchronous_driver_works(init_files: Init, tmp_path: Path, database: Database) -> None:
    driver = "aiosqlite" if database.kind == "sqlite" else "asyncpg"
    pytest.importorskip(driver)
    init_files("db")
    url = database.with_driver(driver).url.render_as_string(hide_password=False)
    substitute(tmp_path / "alembic.ini", "(?m)^sqlalchemy.url =$", f"sqlalchemy.url = {url}".replace("%", "%%"))
    call = "add_column_if_missing('t', sa.Column('b', sa.Integer))"
    revision(tmp_path, f"op.execute('CREATE TABLE t (a int)')\n    {call}")
    assert "(head)" in alembic(tmp_path, "upgrade head", "current")
    assert database.query("SELECT count(b) FROM t") == [(0,)]


def test_a_connection_may_be_handed_over(init_files: Init, tmp_path: Path) -> None:
    init_files()
    script = (
        "import sqlalchemy as sa; from alembic import command; from alembic.config import Config\n"
        "given = Config('alembic.ini')\n"
        "with sa.create_engine('sqlite:///it.db').connect() as connection:\n"
        "    given.attributes.update(connection=connection, configure_logging=False)\n"
        "    command.upgrade(given, 'head')\n"
        "print(sa.inspect(sa.create_engine('sqlite:///it.db')).get_table_names())"
    )
    assert "['alembic_version']" in python(tmp_path, "-c", script)


def test_another_configuration_and_section(init_files: Init, tmp_path: Path) -> None:
    status, said = init_files("-c", "config/db.ini", "-n", "billing", "init", "billing/migrations")
    assert status == 0, said
    assert (
        "alembic -c config/db.ini -n billing upgrade head"
        in (tmp_path / "billing/migrations/MIGRATIONS.md").read_text()
    )
    alembic(tmp_path, "-c config/db.ini -n billing -x url=sqlite:///it.db upgrade head")
    assert init_files("-c", "config/db.ini", "-n", "billing")[0] == 0


def test_a_pyproject_that_names_the_directory_gets_the_rest(init: Init, tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/db"\n')
    status, said = init()
    assert status == 0
    assert "db/env.py was run offline, without a database: it works." in said
    assert "script_location" not in (tmp_path / "alembic.ini").read_text()
    alembic(tmp_path, "upgrade head", "current", DATABASE_URL="sqlite:///it.db")


def test_configure_works_if_pyproject_alone_has_the_configuration(tmp_path: Path) -> None:
    (tmp_path / "pyproject.toml").write_text('[tool.alembic]\nscript_location = "%(here)s/db"\n')
    (tmp_path / "db/versions").mkdir(parents=True)
    (tmp_path / "db/env.py").write_text(
        "from alembic import context\nfrom safeops import configure\n\nconfigure(lock_timeout=1)\n"
        "context.configure(dialect_name='sqlite')\ncontext.run_migrations()\n"
    )
    alembic(tmp_path, "upgrade head --sql")


def test_a_file_in_the_way_of_the_directory_is_an_error(init_files: Init, tmp_path: Path) -> None:
    (tmp_path / "migrations").touch()
    status, said = init_files()
    assert (status, set(files_in(tmp_path))) == (4, {"migrations"})
    assert "migrations is a file" in said


def test_commands_can_be_typed_if_a_path_has_a_space(init_files: Init, tmp_path: Path) -> None:
    _, said = init_files("-c", "our db/alembic.ini", "our db/migrations")
    assert "alembic -c 'our db/alembic.ini' revision --autogenerate" in said
    assert "alembic -c 'our db/alembic.ini' upgrade head" in init_files("-c", "our db/alembic.ini", verb="guide")[1]


def test_no_existing_file_is_lost(init_files: Init, tmp_path: Path) -> None:
    (tmp_path / "migrations").mkdir()
    (tmp_path / "migrations" / "MIGRATIONS.md").write_text("Ours.\n")
    (tmp_path / "migrations" / "script.py.mako").write_text("# ours\n")
    status, said = init_files()
    assert status == 1
    assert "-Ours." in said
    assert "-# ours" in said
    assert (tmp_path / "migrations" / "MIGRATIONS.md").read_text() == "Ours.\n"
    assert (tmp_path / "migrations" / "script.py.mako").read_text() == "# ours\n"
    assert init_files("--force")[0] == 0
    assert "Ours." not in (tmp_path / "migrations" / "MIGRATIONS.md").read_text()
    assert init_files()[0] == 0


@pytest.mark.whole
def test_the_new_env_py_passes_the_checks_of_a_project(tmp_path: Path, request: pytest.FixtureRequest) -> None:
    (tmp_path / "env.py").write_text(rendered("env.py.template"))
    assert_accepted([tmp_path / "env.py"], cache=request.config.cache.mkdir("mypy-of-revisions"))


def test_the_tests_of_pytest_alembic_pass(init_files: Init, tmp_path: Path) -> None:
    init_files()
    fill_in(tmp_path, "sqlite:///it.db")
    alembic(tmp_path, "revision --autogenerate -m first", "upgrade head")
    (tmp_path / "models.py").write_text(MODELS + "    nickname: Mapped[str | None]\n")
    alembic(tmp_path, "revision --autogenerate -m second")
    (tmp_path / "conftest.py").write_text(
        "import pytest, sqlalchemy as sa\n\n\n"
        "@pytest.fixture\ndef alembic_engine(tmp_path):\n    return sa.create_engine(f'sqlite:///{tmp_path}/it.db')\n"
    )
    (tmp_path / "test_it.py").write_text("from pytest_alembic.tests import *  # noqa: F403\n")
    said = python(tmp_path, "-m", "pytest", "-q", "-p", "no:cacheprovider", "test_it.py")
    assert "4 passed" in said


# An existing project ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("template", one_in(3, [*STOCK]))
def test_alembics_own_templates(init: Init, tmp_path: Path, template: str) -> None:
    stock(tmp_path, template)
    theirs = files_in(tmp_path)
    status, said = init()
    assert status == 0, said
    ours = files_in(tmp_path)
    changed = {name for name, text in ours.items() if text != theirs.get(name)}
    assert changed == {"migrations/script.py.mako", "migrations/MIGRATIONS.md"}
    assert "migrations/env.py was run offline, without a database: it works." in said
    assert not list(tmp_path.glob("*.sql"))
    assert re.search(r"(?m)^\+ +transaction_per_migration=True,$", said)
    assert "+from safeops import migration_lock" in said

    # With the lines as shown, it works.
    url = "sqlite+aiosqlite:///it.db" if "async" in template else "sqlite:///it.db"
    ini, env = tmp_path / "alembic.ini", tmp_path / "migrations" / "env.py"
    for placeholder, real in (("dbname2", "sqlite:///it2.db"), ("dbname", url)):
        ini.write_text(ini.read_text().replace(f"driver://user:pass@localhost/{placeholder}\n", f"{real}\n"))
    env.write_text(advise(env.read_text()).text)
    ini.write_text(advise_ini(ini.read_text()))
    revision(
        tmp_path,
        "op.create_table('t', sa.Column('a', sa.Integer))\n    create_index_if_missing('ix_t_a', 't', ['a'])",
        "op.drop_table('t')",
    )
    said = alembic(tmp_path, "upgrade head", "downgrade base", "upgrade head", "upgrade head --sql")
    assert "[safeops]" in said
    for database in tmp_path.glob("*.db"):
        found = sqlite3.connect(database).execute("SELECT name FROM sqlite_master WHERE type = 'index'").fetchall()
        assert ("ix_t_a",) in found
    assert len(list(tmp_path.glob("*.db"))) == (2 if template == "multidb" else 1)


def test_the_shown_lines_can_be_taken_over_by_patch(init: Init, tmp_path: Path) -> None:
    if shutil.which("patch") is None:
        pytest.skip("no program patch on this machine")
    stock(tmp_path)
    said = init()[1]
    env = tmp_path / "migrations" / "env.py"
    wanted = advise(env.read_text()).text
    subprocess.run(["patch", "-p0"], input=said, cwd=tmp_path, text=True, check=True, capture_output=True)
    assert env.read_text() == wanted
    assert "[logger_safeops]" in (tmp_path / "alembic.ini").read_text()
    assert "was not changed" not in init()[1], "nothing is left to change"


def test_a_changed_template_is_left_alone(init_files: Init, tmp_path: Path) -> None:
    stock(tmp_path, directory="alembic")
    script = tmp_path / "alembic" / "script.py.mako"
    script.write_text(f"# Company & Co.\n{script.read_text()}")
    theirs = script.read_text()
    status, said = init_files()
    assert status == 1
    assert "alembic/script.py.mako was changed by hand, so it was not replaced." in said
    assert "-# Company & Co." in said
    assert script.read_text() == theirs
    assert init_files("--force", "alembic")[0] == 0
    assert "Company" not in script.read_text()


def test_line_ends_and_trailing_blanks_are_not_a_change(init_files: Init, tmp_path: Path) -> None:
    stock(tmp_path)
    script = tmp_path / "migrations" / "script.py.mako"
    script.write_bytes(script.read_bytes().replace(b"\n", b" \r\n"))
    status, said = init_files()
    assert status == 0
    assert "replaced  migrations/script.py.mako" in said


def test_a_guide_that_was_changed_is_left_alone(init_files: Init, tmp_path: Path) -> None:
    init_files()
    written = tmp_path / "migrations" / "MIGRATIONS.md"
    text = written.read_text().replace("## CI", "## Our CI")
    written.write_text(text)
    status, said = init_files()
    assert status == 1
    assert "-## Our CI\n+## CI" in said
    assert written.read_text() == text


OLD_TEMPLATE = '''"""${message}

Revision ID: ${up_revision}
Revises: ${down_revision | comma,n}
Create Date: ${create_date}

"""
from alembic import op
import sqlalchemy as sa
${imports if imports else ""}

# revision identifiers, used by Alembic.
revision = ${repr(up_revision)}
down_revision = ${repr(down_revision)}
branch_labels = ${repr(branch_labels)}
depends_on = ${repr(depends_on)}


def upgrade():
    ${upgrades if upgrades else "pass"}


def downgrade():
    ${downgrades if downgrades else "pass"}
'''


def test_the_templates_of_all_alembics_are_known() -> None:
    assert _is_shipped_by_alembic(OLD_TEMPLATE)
    assert not _is_shipped_by_alembic(OLD_TEMPLATE.replace("Create Date", "Date"))
    for template in STOCK:
        assert _is_shipped_by_alembic((TEMPLATES / template / "script.py.mako").read_text())


@pytest.mark.parametrize(
    ("location", "files"),
    [
        ("%(here)s/db/migrations", {"alembic.ini": "[alembic]\nscript_location = {}\n"}),
        ("company.db:migrations", {"alembic.ini": "[alembic]\nprepend_sys_path = src\nscript_location = {}\n"}),
        ("db/migrations", {"pyproject.toml": '[tool.alembic]\nscript_location = "{}"\n'}),
    ],
)
def test_the_directory_is_found_as_alembic_finds_it(
    init: Init, tmp_path: Path, location: str, files: dict[str, str]
) -> None:
    package = tmp_path / "src" / "company" / "db"
    directory = package / "migrations" if ":" in location else tmp_path / "db" / "migrations"
    directory.mkdir(parents=True)
    if ":" in location:
        (package / "__init__.py").touch()
        (package.parent / "__init__.py").touch()
    for name, text in files.items():
        (tmp_path / name).write_text(text.format(location))
    for name in ("env.py", "script.py.mako"):
        shutil.copy(TEMPLATES / "generic" / name, directory / name)
    # In a separate process: a package is imported for it.
    said = python(tmp_path, "-m", "safeops", "init")
    assert (directory / "MIGRATIONS.md").exists(), said
    assert "Page" in (directory / "script.py.mako").read_text()
    assert not (tmp_path / "migrations").exists()


def test_a_project_below_is_found_by_its_directory(init_files: Init, tmp_path: Path) -> None:
    (tmp_path / "backend").mkdir()
    stock(tmp_path / "backend", directory="backend/migrations")
    status, said = init_files("backend/migrations")
    assert status == 0, said
    assert not (tmp_path / "alembic.ini").exists()
    assert "alembic -c backend/alembic.ini upgrade head" in (tmp_path / "backend/migrations/MIGRATIONS.md").read_text()


def test_another_directory_than_the_configurations_is_an_error(init_files: Init, tmp_path: Path) -> None:
    stock(tmp_path)
    before = files_in(tmp_path)
    status, said = init_files("elsewhere")
    assert status == 4
    assert "alembic.ini sets the folder of the migrations to migrations, not to elsewhere." in said
    assert "Traceback" not in said
    assert files_in(tmp_path) == before


def test_a_configuration_without_a_directory_is_an_error(init_files: Init, tmp_path: Path) -> None:
    (tmp_path / "alembic.ini").write_text("[alembic]\nsqlalchemy.url = sqlite://\n")
    status, said = init_files("db")
    assert status == 4
    assert "script_location = %(here)s/db" in said


# env.py ----------------------------------------------------------------------------------------------------------

HEAD = "from alembic import context\nfrom sqlalchemy import create_engine, text\n\n"

SHAPES = {
    "begin": (
        "with create_engine('sqlite://').begin() as connection:\n"
        "    context.configure(connection=connection)\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()\n",
        "with create_engine('sqlite://').connect() as connection:\n",
    ),
    "statement before": (
        "with create_engine('sqlite://').connect() as connection:\n"
        "    connection.execute(text('SELECT 1'))\n"
        "    context.configure(connection=connection)\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()\n",
        "    connection.execute(text('SELECT 1'))\n    connection.commit()\n    context.configure(\n",
    ),
    "hugging": (
        "def ü(connection):  # ü\n"
        "    context.configure(connection=connection,  # ü\n"
        "                      compare_type=True)\n"
        "    with context.begin_transaction():\n"
        "        context.run_migrations()\n\n\n"
        "with create_engine('sqlite://').connect() as connection:\n"
        "    ü(connection)\n",
        "        compare_type=True,\n        transaction_per_migration=True,\n",
    ),
}


@pytest.mark.parametrize("shape", SHAPES)
def test_the_lines_to_change(shape: str, tmp_path: Path) -> None:
    before, wanted = SHAPES[shape]
    advice = advise(HEAD + before)
    assert wanted in advice.text
    assert not advice.by_hand
    assert advise(advice.text) == type(advice)(advice.text), "nothing is left to say"
    for name in ("migrations", "migrations/versions"):
        (tmp_path / name).mkdir()
    (tmp_path / "alembic.ini").write_text("[alembic]\nscript_location = migrations\n")
    (tmp_path / "migrations" / "env.py").write_text(advice.text)
    alembic(tmp_path, "upgrade head")


GUARDED = 'configure(lock_timeout=2.0, guard="raise")\n'


@pytest.mark.parametrize("parsers", [True, False])
def test_a_new_env_py_has_the_guard_if_its_parsers_are_here(
    init_files: Init, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, parsers: bool
) -> None:
    monkeypatch.setattr("safeops.authoring.env_file.missing_parsers", lambda: [] if parsers else ["pglast"])
    init_files()
    text = (tmp_path / "migrations" / "env.py").read_text()
    assert (GUARDED in text) is parsers
    assert ("\nconfigure(lock_timeout=2.0)\n" in text) is not parsers
    # The message shows how to install it in any case.
    assert 'guard="raise"' in text and "alembic-safeops[review]" in text


def test_an_existing_env_py_gets_the_guard(tmp_path: Path) -> None:
    text = HEAD + SHAPES["begin"][0]
    assert f"from safeops.autogenerate import safe_operations\n\n{GUARDED}" in advise(text).text
    older = text.replace("\n\n", "\nfrom safeops import configure\n\nconfigure(\n    lock_timeout=1.0,\n)\n\n", 1)
    assert 'configure(\n    lock_timeout=1.0, guard="raise",\n)' in advise(older).text
    declined = older.replace("lock_timeout=1.0,", 'lock_timeout=1.0, guard="off"')
    assert 'guard="raise"' not in advise(declined).text


def test_loggers_are_kept_however_the_call_is_written() -> None:
    for call in ("fileConfig(name)", "fileConfig(name,)", "fileConfig(\n    name,\n)"):
        text = f"{HEAD}{call}\ncontext.configure(connection=c)\nwith context.begin_transaction():\n    pass\n"
        (kept,) = [
            node for node in ast.walk(ast.parse(advise(text).text)) if ast.unparse(node).startswith("fileConfig(")
        ][:1]
        assert ast.unparse(kept) == "fileConfig(name, disable_existing_loggers=False)"


def test_what_only_the_author_can_change_is_shown_with_code() -> None:
    ours = advise(
        f"{HEAD}def run(connection, **options):\n"
        "    connection.begin()\n"
        "    context.configure(connection=connection, process_revision_directives=mine, **options)\n"
        "    context.run_migrations()\n"
    )
    told = "\n".join(ours.by_hand)
    assert "Line 5 begins a transaction, which a helper cannot commit: connection.begin()" in told
    assert "mine(context, revision, scripts)" in told
    assert "transaction_per_migration=True," in told
    assert "with migration_lock(connection), context.begin_transaction():" in told
    assert "context.configure(\n" in advise("from elsewhere import run\n\nrun()\n").by_hand[0]


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("import airline\n", "line 1: ModuleNotFoundError: No module named 'airline'"),
        (f"{HEAD}create_engine('sqlite:///made.db').connect()\n", "it connects to the database, even offline"),
        ("raise SystemExit('not here')\n", "line 1: SystemExit: not here"),
        ("def run(:\n", "SyntaxError"),
    ],
)
def test_an_env_py_that_does_not_run_here_is_reported_and_left(
    init: Init, tmp_path: Path, text: str, told: str
) -> None:
    stock(tmp_path)
    (tmp_path / "migrations" / "env.py").write_text(text)
    status, said = init()
    assert status == 0
    assert "migrations/env.py could not be run offline:" in said
    assert told in said
    assert (tmp_path / "migrations" / "env.py").read_text() == text
    assert not list(tmp_path.glob("*.db"))


# The command line ------------------------------------------------------------------------------------------------


def test_the_command_line(init_files: Init, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--version"]) == 0
    assert capsys.readouterr().out.startswith("safeops 0.")
    for verb in ([], *([command.name] for command in COMMANDS)):
        assert main([*verb, "--help"]) == 0
        shown = capsys.readouterr().out
        assert re.search(r"Example:\n  (python -m )?safeops", shown)
        assert max(map(len, shown.splitlines())) <= 80
    for wrong in ([], ["unknown"], ["init", "--wrong"]):
        assert main(wrong) == 2
        assert "Traceback" not in capsys.readouterr().err
    for wrong in (["-c", "a.ini", "-c", "b.ini", "guide"],):
        assert main(wrong) == 4
        assert "Traceback" not in capsys.readouterr().err
    (tmp_path / "alembic.ini").write_text("no section\n")
    assert main(["init"]) == 4
    assert "no section headers" in capsys.readouterr().err
