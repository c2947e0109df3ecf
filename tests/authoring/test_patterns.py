"""Each pattern writes a revision that is correct without changes: it passes the checks of a project, and it runs."""

from __future__ import annotations

import shlex
from pathlib import Path

import pytest
import sqlalchemy as sa
from tests import catalogue
from tests.authoring.checks import assert_accepted
from tests.authoring.revisions import Refused, Revisions
from tests.servers import Database

from safeops.authoring.pattern import type_from_text
from safeops.authoring.patterns import PATTERNS
from safeops.errors import SafeOpsError

USERS = (
    "CREATE TABLE teams (id int PRIMARY KEY, title varchar(50))",
    "CREATE TABLE users (id int PRIMARY KEY, name varchar(50), city varchar(50), score int, age int, team_id int)",
    "CREATE TABLE notes (id int PRIMARY KEY, body varchar(50))",
    "CREATE TABLE relics (id int PRIMARY KEY, body varchar(50))",
    "INSERT INTO teams VALUES (1, 'red')",
    "INSERT INTO users VALUES (1, 'Ada', 'London', 7, 36, 1), (2, 'Alan', 'Wilmslow', 8, 41, NULL)",
    "INSERT INTO notes VALUES (1, 'one')",
    "INSERT INTO relics VALUES (1, 'old')",
)
HISTORY = (
    {"pattern": "add-column", "table": "users", "column": "nickname", "type": "varchar(50)", "comment": "as typed"},
    {
        "pattern": "required-column",
        "table": "users",
        "column": "email",
        "type": "varchar(99)",
        "populate": "lower(name)",
    },
    {"pattern": "backfill", "table": "users", "column": "nickname", "value": "upper(name)"},
    {"pattern": "not-null", "table": "users", "column": "nickname"},
    {"pattern": "index", "table": "users", "columns": "name,email"},
    {"pattern": "unique", "table": "users", "column": "email"},
    {"pattern": "check", "table": "users", "condition": "age >= 0"},
    {"pattern": "foreign-key", "table": "users", "column": "team_id", "to": "teams.id", "index": "yes"},
    {"pattern": "enum-value", "enum": "mood", "value": "curious", "after": "sad"},
    {"pattern": "rename-column", "table": "users", "old": "city", "new": "town"},
    {"pattern": "rename-column", "table": "users", "old": "city", "new": "town", "phase": "contract"},
    {"pattern": "type-change", "table": "users", "column": "score", "type": "varchar(20)"},
    {"pattern": "type-change", "table": "users", "column": "score", "type": "varchar(20)", "phase": "switch"},
    {"pattern": "type-change", "table": "users", "column": "score", "type": "varchar(20)", "phase": "contract"},
    {"pattern": "rename-table", "old": "notes", "new": "remarks"},
    {"pattern": "rename-table", "old": "notes", "new": "remarks", "phase": "contract"},
    {"pattern": "drop-column", "table": "users", "column": "age2", "type": "int"},
    {"pattern": "drop-table", "table": "relics"},
)


# With every option: all code that patterns write is checked.
TABLE = {"table": "crm.users"}
FULL = (
    {"pattern": "add-column", **TABLE, "column": "a", "type": "jsonb", "default": "'{\"a\": 1}'", "comment": "it's"},
    {"pattern": "required-column", **TABLE, "column": "a", "type": "text"},
    {"pattern": "required-column", **TABLE, "column": "a", "type": "uuid", "default": "gen_random_uuid()"},
    {"pattern": "required-column", **TABLE, "column": "a", "type": "text", "populate": "'12:30 :x'", "where": "b > 1"},
    {"pattern": "backfill", **TABLE, "column": "a", "set": "lower(b)", "where": "a IS NULL", "key": "x,y"},
    {"pattern": "backfill", **TABLE, "column": "a", "value": "1", "batch_size": "9", "name": "mine"},
    {"pattern": "not-null", **TABLE, "column": "a"},
    {"pattern": "index", **TABLE, "columns": "lower(a), coalesce(b, 'c,d'), e", "unique": "yes", "name": "i"},
    {"pattern": "index", **TABLE, "column": "a", "using": "gin", "where": "a IS NOT NULL"},
    {"pattern": "unique", **TABLE, "columns": "a,b"},
    {"pattern": "check", **TABLE, "condition": "a ~ '^\\d+:x$'", "name": "ck"},
    {"pattern": "foreign-key", **TABLE, "columns": "a,b", "references": "hq.teams(x, y)", "ondelete": "set_null"},
    {"pattern": "foreign-key", **TABLE, "columns": "a", "to": "teams", "index": "yes", "on-update": "cascade"},
    {"pattern": "enum-value", "type": "crm.mood", "value": 'it\'s "odd" \\', "before": "ok"},
    {"pattern": "rename-column", **TABLE, "from": "a", "to": "b"},
    {"pattern": "rename-column", **TABLE, "from": "a", "to": "b", "phase": "contract"},
    {"pattern": "rename-table", "table": "crm.users", "to": "members"},
    {"pattern": "rename-table", "table": "crm.users", "to": "members", "phase": "contract"},
    {
        "pattern": "type-change",
        **TABLE,
        "column": "a",
        "type": "bigint",
        "using": "a::bigint",
        "reverse_using": "a::text",
    },
    {"pattern": "type-change", **TABLE, "column": "a", "type": "sa.Numeric(10, 2)", "phase": "switch"},
    {"pattern": "type-change", **TABLE, "column": "a", "type": "numeric(10,2)", "phase": "contract"},
    {"pattern": "drop-column", **TABLE, "column": "a", "type": "timestamptz"},
    {"pattern": "drop-table", **TABLE},
)


@pytest.fixture
def project(tmp_path: Path) -> Revisions:
    return Revisions(tmp_path)


# What is written ------------------------------------------------------------------------------------------------


def test_every_pattern_with_every_option_passes_the_checks_of_a_project(
    project: Revisions, request: pytest.FixtureRequest
) -> None:
    texts = [project.pattern(**values).read_text() for values in FULL]
    assert {name for name in PATTERNS if not any(one["pattern"] == name for one in FULL)} == set()
    assert all("TODO" not in text for text, one in zip(texts, FULL, strict=True) if "populate" in one)
    assert_accepted(project.files, cache=request.config.cache.mkdir("mypy-of-revisions"))


@pytest.mark.parametrize(
    ("typed", "wanted"),
    [
        (FULL[0], """server_default=sa.text("'{\\"a\\": 1}'")"""),
        (
            FULL[1],
            'add_required_column("users", sa.Column("a", sa.Text(), nullable=False), populate=..., schema="crm")',
        ),
        (FULL[3], """populate=sa.text("'12:30 \\\\:x'"), where=sa.text("b > 1")"""),
        (FULL[7], """"i", "users", [sa.text("lower(a)"), sa.text("coalesce(b, 'c,d')"), "e"], unique=True"""),
        (
            {
                "pattern": "index",
                "table": "t",
                "columns": 'the name, a desc, "b (c), d", Ä, e "f", x collate "C", lower(g)',
            },
            """"ix_t_the_name_a_desc_b_c_d_Ä_e_f_x_collate_C_lower_g", "t", ["the name", sa.text("a desc"), "b (c), d",
            "Ä", 'e "f"', sa.text('x collate "C"'), sa.text("lower(g)")]""",
        ),
        (
            {"pattern": "foreign-key", "table": "t", "columns": "a b", "to": '"b.c"."the ""id"""', "index": "yes"},
            '"fk_t_a_b_b_c", "t", "b.c", ["a b"], [\'the "id"\']',
        ),
        (FULL[8], 'sqlite_where=sa.text("a IS NOT NULL")'),
        (FULL[11], '["x", "y"], ondelete="SET NULL", source_schema="crm", referent_schema="hq"'),
        (FULL[12], 'create_index_if_missing("ix_users_a", "users", ["a"], schema="crm")'),
        (FULL[13], '''"mood", 'it\\'s "odd" \\\\', before="ok", schema="crm"'''),
        (FULL[16], 'change = TableRename("users", "members", schema="crm")'),
        (FULL[18], 'sa.BigInteger(), using="a::bigint", reverse_using="a::text", schema="crm"'),
        (FULL[21], 'restore_column("users", sa.Column("a", sa.DateTime(timezone=True)), schema="crm")'),
        (
            {
                "pattern": "Foreign_Key",
                "source_table": "users",
                "local_cols": "a",
                "referent_table": "t",
                "remote_column": "k",
            },
            '"fk_users_a_t", "users", "t", ["a"], ["k"]',
        ),
    ],
)
def test_what_is_typed_comes_out_as_code(project: Revisions, typed: dict[str, str], wanted: str) -> None:
    text = project.pattern(**typed).read_text()
    assert _words(wanted) in _words(text)


def _words(code: str) -> str:
    """Code without the layout that its length gives it."""
    return "".join(code.split()).replace(",)", ")").replace(",]", "]")


def test_a_reviewer_reads_what_it_does_and_which_command_comes_next(project: Revisions) -> None:
    document = project.pattern("rename-column", table="users", old="name", new="full_name").read_text()
    assert "What: Adds users.full_name next to name, filled and in sync.\n" in document
    assert "Phase: 1 of 2, expand. Then deploy the application that uses full_name only." in document
    assert "Roll back: alembic downgrade -1 drops users.full_name; name has every write.\n" in document
    (line,) = [line for line in document.splitlines() if line.startswith("    alembic ")]
    written = project.files
    project.run(*shlex.split(line)[1:])
    (contract,) = project.files - written
    assert 'change = ColumnRename("users", "name", "full_name")' in contract.read_text()
    assert "change.contract()" in contract.read_text() and "Phase: 2 of 2, contract." in contract.read_text()


def test_a_name_is_final_under_any_naming_convention(tmp_path: Path) -> None:
    models = sa.MetaData(naming_convention={"ck": "ck_%(table_name)s_%(constraint_name)s"})
    project = Revisions(tmp_path, f"sqlite:///{tmp_path}/data.sqlite", target_metadata=models)
    engine = sa.create_engine(project.url)
    with engine.begin() as connection:
        connection.execute(sa.text("CREATE TABLE users (id int PRIMARY KEY, age int)"))
    project.pattern("check", table="users", condition="age >= 0")
    project.upgrade()
    assert [one["name"] for one in sa.inspect(engine).get_check_constraints("users")] == ["ck_users_age"]
    project.downgrade()
    assert sa.inspect(engine).get_check_constraints("users") == []


def test_the_next_command_finds_the_same_project(project: Revisions) -> None:
    file = project.written(*_x("pattern=rename-table", "old=a b", "new=c"), "-c", "other.ini", "-n", "two")
    assert (
        "alembic -c other.ini -n two -x pattern=rename-table -x 'old=a b' -x new=c -x phase=contract"
        in file.read_text()
    )


def _x(*values: str) -> list[str]:
    return [part for one in values for part in ("-x", one)]


def test_a_required_column_without_values_fails_loudly(tmp_path: Path) -> None:
    project = Revisions(tmp_path, f"sqlite:///{tmp_path}/data.sqlite")
    text = project.pattern("required-column", table="users", column="a", type="text").read_text()
    assert "# TODO: replace ..." in text and "populate=..." in text
    with sa.create_engine(project.url).begin() as connection:
        connection.execute(sa.text("CREATE TABLE users (id int PRIMARY KEY)"))
    with pytest.raises(SafeOpsError, match="populate"):
        project.upgrade()
    assert project.current() == set()


def test_a_value_is_data(project: Revisions) -> None:
    hostile = 'x"); import os; os.system("touch /tmp/never"); ("${1+1} <%! a %> \\'
    file = project.pattern("rename-column", table=hostile, old=hostile, new='"""')
    module = project.module(file)
    assert (module.change.table_name, module.change.old_name, module.change.new_name) == (hostile, hostile, '"""')
    assert_accepted([file])


# What is refused ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "said"),
    [
        (["pattern=rename-colum"], ["There is no pattern rename-colum. Did you mean rename-column", *PATTERNS]),
        (["pattern=xyz"], [f"There is no pattern xyz. There are the patterns {', '.join(sorted(PATTERNS))}.\n"]),
        (["pattern=rename-column", "table=t", "old=a", "new=a"], ["-x old and -x new are both a"]),
        (["pattern=rename-table", "old=s.a", "new=s.a"], ["-x old and -x new are both a"]),
        (
            ["pattern=index"],
            ["Pattern index needs table and columns.", "optional: no two rows have the same values", "alembic -x"],
        ),
        (["pattern=index", "table=t", "columns=a", "colour=red"], ["no argument colour", "using"]),
        (["pattern=index", "table=t", "columns=a", "column=a"], ["-x columns and -x column are the same argument"]),
        (["pattern=index", "table=t", "table=u"], ["-x table is given twice"]),
        (["pattern=index", "table"], ["'table' is not NAME=VALUE"]),
        (["pattern"], ["'pattern' is not NAME=VALUE"]),
        (["pattern=index", "table="], ["'table=' is not NAME=VALUE"]),
        (["pattern=index", "table=a\nb", "columns=a"], [r"'table=a\nb' is not NAME=VALUE on one line"]),
        (["pattern=index", "table=t", "columns=a,,b"], ["names separated by commas"]),
        (["pattern=index", "table=t", 'columns="a,b'], ["names separated by commas"]),
        (["pattern=index", "table=t", "columns=a", "unique=perhaps"], ["yes or no"]),
        (["pattern=index", "table=t", "columns=a", "phase=contract"], ["has no phase contract; it has expand"]),
        (["pattern=type-change", "table=t", "column=a", "type=bigint", "phase=3"], ["it has expand, switch, contract"]),
        (["pattern=backfill", "table=t", "column=a", "value=1", "batch_size=0"], ["a whole number, at least 1"]),
        (["pattern=foreign-key", "table=t", "columns=a", "to=a.b.c.d"], ["table.column, schema.table.column"]),
        (["pattern=foreign-key", "table=t", "columns=a", "to=b", "ondelete=shrug"], ["one of CASCADE, SET NULL"]),
        (["pattern=add-column", "table=t", "column=a", "type=os.system()"], ["a type of SQLAlchemy, such as bigint"]),
    ],
)
def test_what_cannot_be_written_is_refused_with_what_can(project: Revisions, typed: list[str], said: list[str]) -> None:
    with pytest.raises(Refused) as refused:
        project.written(*_x(*typed))
    assert refused.value.status != 0
    assert [one for one in [*said, "No file was written.", "FAILED: "] if one not in str(refused.value)] == []
    assert not list(project.versions.iterdir())


def test_a_pattern_with_autogenerate_is_refused(tmp_path: Path) -> None:
    project = Revisions(tmp_path, f"sqlite:///{tmp_path}/data.sqlite", target_metadata=sa.MetaData())
    with pytest.raises(Refused, match="A pattern writes the whole revision"):
        project.run("-x", "pattern=drop-table", "-x", "table=users", "revision", "--autogenerate", "-m", "x")
    assert not project.files


def test_other_arguments_are_left_to_env_py(project: Revisions) -> None:
    assert "NotImplementedError" in project.written("-x", "tenant=one", "-x", "verbose").read_text()


# Types ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("typed", "code"),
    [
        ("bigint", "sa.BigInteger()"),
        ("BigInteger", "sa.BigInteger()"),
        ("sa.BigInteger", "sa.BigInteger()"),
        ("sqlalchemy.BigInteger()", "sa.BigInteger()"),
        ("text", "sa.Text()"),
        ("TEXT", "sa.TEXT()"),
        ("date", "sa.Date()"),
        ("integer", "sa.Integer()"),
        ("json", "sa.JSON()"),
        ("real", "sa.REAL()"),
        ("varchar(50)", "sa.String(50)"),
        ("character varying(50)", "sa.String(50)"),
        ("numeric(10, 2)", "sa.Numeric(10, 2)"),
        ("sa.Numeric(precision=10, scale=2)", "sa.Numeric(precision=10, scale=2)"),
        ("timestamptz", "sa.DateTime(timezone=True)"),
        ("timestamp with time zone", "sa.DateTime(timezone=True)"),
        ("double precision", "sa.Double()"),
        ("bool", "sa.Boolean()"),
        ("uuid", "sa.Uuid()"),
        ("jsonb", "postgresql.JSONB()"),
        ("postgresql.INET()", "postgresql.INET()"),
        ("mysql.TINYINT(1)", "mysql.TINYINT(1)"),
        ("postgresql.ARRAY(sa.Integer)", "postgresql.ARRAY(sa.Integer())"),
        ("sa.Enum('new', 'old', name='state')", 'sa.Enum("new", "old", name="state")'),
    ],
)
def test_a_type_is_read_as_people_type_it(typed: str, code: str) -> None:
    assert type_from_text(typed) == code


@pytest.mark.parametrize(
    "typed",
    [
        "",
        "nothing",
        "sa",
        "sa.text('x')",
        "sa.String(open('x'))",
        "os.system('x')",
        "sa.String(**{})",
        "int; x",
        "a.b.c.d",
        "sa.Numeric(1, 2, 3, 4, 5, 6)",
        "postgresql.ARRAY()",
        "lambda: 1",
        "__import__('os')",
        "sa.String(x)",
        pytest.param("(" * 5000, id="deep"),
    ],
)
def test_what_is_not_a_type_is_refused(typed: str) -> None:
    with pytest.raises(ValueError, match="a type of SQLAlchemy"):
        type_from_text(typed)


# Run ------------------------------------------------------------------------------------------------------------


def test_every_pattern_and_phase_is_among_those_that_run() -> None:
    run = {(one["pattern"], one.get("phase", "expand")) for one in HISTORY}
    assert run == {(name, phase) for name, pattern in PATTERNS.items() for phase in pattern.phases}


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_every_pattern_runs_up_down_and_up_again(database: Database, tmp_path: Path) -> None:
    database.execute(*USERS, "ALTER TABLE users ADD age2 int", "UPDATE users SET age2 = 5")
    if database.kind == "postgresql":
        database.execute("CREATE TYPE mood AS ENUM ('sad', 'happy')")
    project = Revisions(tmp_path, database.url)
    renames_tables = database.kind != "sqlite"
    for values in HISTORY:
        if values["pattern"] != "rename-table" or renames_tables:
            file = project.pattern(**values)
            if values["pattern"] == "check" and database.kind == "mysql":
                _assure(file)
    before, rows = catalogue.unordered(database), _rows(database)
    project.upgrade()
    after = catalogue.unordered(database)
    assert database.query("SELECT email, nickname, town, score FROM users ORDER BY id") == [
        ("ada", "ADA", "London", "7"),
        ("alan", "ALAN", "Wilmslow", "8"),
    ]
    assert database.query(f"SELECT body FROM {'remarks' if renames_tables else 'notes'}") == [("one",)]
    project.downgrade("base")
    # No server takes a value out of a type.
    undone = catalogue.unordered(database).replace("{sad,curious,happy}", "{sad,happy}").replace("'curious'\n", "")
    catalogue.assert_same(before, undone, "down")
    assert rows == _rows(database)
    project.upgrade()
    catalogue.assert_same(after, catalogue.unordered(database), "up again")


NASTY = ("the name", "Order", "a,b (c)", "50% :x", "it's", 'a "b"', "a.b", "größe", "desc")


@pytest.mark.only("pg18", "mysql", "sqlite")
def test_any_name_of_a_column_will_do(database: Database, tmp_path: Path) -> None:
    quote = database.quoted
    defined = ", ".join(f"{quote(one)} int" for one in NASTY)
    database.execute("CREATE TABLE teams (id int PRIMARY KEY)")
    database.execute(f"CREATE TABLE {quote('The users')} (id int PRIMARY KEY, {defined})")
    project = Revisions(tmp_path, database.url)
    for place, name in enumerate(NASTY):
        typed = '"{}"'.format(name.replace('"', '""')) if "," in name or "(" in name else name
        asked = {"table": "The users", "columns": typed}
        project.pattern("index", **asked, name=f"ix{place}")
        project.pattern("unique", **asked, name=f"uq{place}")
        project.pattern("foreign-key", **asked, to="teams", name=f"fk{place}")
    before = catalogue.unordered(database)
    project.upgrade()
    # SQLAlchemy itself does not read foreign keys and constraints of such names.
    indexes = sa.inspect(database.observer()).get_indexes("The users")
    assert {one["column_names"][0] for one in indexes if one["name"].startswith("ix")} == set(NASTY)
    made = catalogue.unordered(database)
    assert [
        f"{kind}{place}" for kind in ("uq", "fk") for place in range(len(NASTY)) if f"{kind}{place}" not in made
    ] == []
    project.downgrade("base")
    catalogue.assert_same(before, catalogue.unordered(database), "down")


def _assure(file: Path) -> None:
    """Does what the error of the helper shows to the author: MariaDB cannot check rows without blocking writers."""
    text = file.read_text().replace("from safeops", "from safeops import assured\nfrom safeops")
    file.write_text(text.replace("    create_check", '    with assured("small"):\n        create_check'))


def _rows(database: Database) -> list[tuple[object, ...]]:
    return database.query("SELECT id, name, city, score, age, age2, team_id FROM users ORDER BY id") + database.query(
        "SELECT notes.body, relics.body FROM notes CROSS JOIN relics"
    )
