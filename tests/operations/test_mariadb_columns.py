"""What is MariaDB's and MySQL's own about columns: MODIFY repeats the whole definition, names, defaults, refusals."""

import re

import pytest
import sqlalchemy as sa
from sqlalchemy.dialects import mysql
from tests.catalogue import snapshot
from tests.lifecycle.harness import crash_everywhere, up_up_down_down_up
from tests.projects import migrate, render, run_sql, statements_of

from safeops import (
    DefinitionMismatch,
    DependentObjects,
    InvalidArgument,
    OnlineOnly,
    UnsafeOperation,
    UnsupportedOnDatabase,
    ViolatingRows,
    add_column_if_missing,
    alter_column_type,
    assured,
    create_index_if_missing,
    create_table_if_missing,
    drop_column_if_exists,
    enforce_not_null,
    relax_not_null,
    set_server_default,
)

pytestmark = pytest.mark.only("mysql")

RICH = r"""CREATE TABLE rich (
  id int unsigned NOT NULL AUTO_INCREMENT PRIMARY KEY,
  latin varchar(20) CHARACTER SET latin1 DEFAULT 'it''s \\ %s :x' COMMENT 'say "hi", it''s \\ :y 50%',
  emoji varchar(20) DEFAULT 'a?🙂?' COMMENT 'plain',
  counted int unsigned DEFAULT 5 COMMENT 'a, b (c',
  stamp timestamp NULL DEFAULT current_timestamp() ON UPDATE current_timestamp(),
  price decimal(8,2) DEFAULT 1.50,
  flag bool DEFAULT true,
  mood enum('a','it''s','x,y') COLLATE utf8mb4_bin DEFAULT 'it''s',
  doc json,
  total int GENERATED ALWAYS AS (counted * 2) VIRTUAL,
  KEY ix_latin (latin(5), counted DESC)
) COMMENT 'a table''s, (comment'"""
HOSTILE = [
    "a`b",
    'a"b',
    "a'b",
    "a.b",
    "a b",
    "select",
    "MiXed",
    "x" * 64,
    "100%s",
    ":colon",
    "naïve-ß",
    "a\\b",
    "/*x*/",
]


@pytest.mark.parametrize("column", ["latin", "emoji", "counted", "price", "flag", "mood"])
def test_not_null_and_back_keeps_everything_else(database, column):
    database.execute(RICH, "INSERT INTO rich (id) VALUES (1)", "ALTER TABLE rich ADD COLUMN later varchar(5)")
    before = snapshot(database)
    assert migrate(database, lambda: enforce_not_null("rich", column)) is True
    quoted = f"`{column}`"
    changed = [line for line in snapshot(database).splitlines() if line not in before.splitlines()]
    assert len(changed) == 1
    assert quoted in changed[0]
    assert "NOT NULL" in changed[0]
    assert migrate(database, lambda: relax_not_null("rich", column)) is True
    assert snapshot(database) == before
    database.execute("INSERT INTO rich (id) VALUES (2)")
    assert database.query("SELECT count(DISTINCT emoji), max(emoji) FROM rich") == [(1, "a?🙂?")]


def test_the_characters_that_the_server_shows_as_question_marks_are_kept_in_an_empty_table_too(database):
    database.execute("CREATE TABLE t (id int NOT NULL, a varchar(9) NOT NULL DEFAULT '🙂?', b varchar(9) DEFAULT '?')")
    migrate(database, lambda: relax_not_null("t", "a"))
    migrate(database, lambda: alter_column_type("t", "b", sa.String(30)))
    database.execute("INSERT INTO t (id) VALUES (1)")
    assert database.query("SELECT * FROM t") == [(1, "🙂?", "?")]


def test_a_default_that_is_not_constant_makes_not_null_a_copy(database):
    database.execute(RICH, "INSERT INTO rich (id) VALUES (1)")
    if database.server.product == "mysql":
        assert migrate(database, lambda: enforce_not_null("rich", "stamp")) is True
        return
    with pytest.raises(UnsafeOperation, match="non-constant DEFAULT"):
        migrate(database, lambda: enforce_not_null("rich", "stamp"))


@pytest.mark.only("mariadb")
def test_a_column_with_a_check_is_copied_and_therefore_refused(database):
    database.execute(RICH, "INSERT INTO rich (doc) VALUES ('{}')")
    before = snapshot(database)
    with pytest.raises(UnsafeOperation, match="cannot do this online"):
        migrate(database, lambda: enforce_not_null("rich", "doc"))
    assert snapshot(database) == before

    def up():
        with assured("nobody uses it"):
            return enforce_not_null("rich", "doc")

    assert migrate(database, up) is True
    assert "CHECK (json_valid(`doc`))" in snapshot(database)


def test_widening_keeps_everything_else(database):
    database.execute(RICH)
    before = snapshot(database)
    assert migrate(database, lambda: alter_column_type("rich", "latin", sa.String(40))) is True
    assert snapshot(database) == before.replace("`latin` varchar(20)", "`latin` varchar(40)")
    assert migrate(database, lambda: alter_column_type("rich", "latin", sa.String(40))) is False
    assert migrate(database, lambda: alter_column_type("rich", "mood", mysql.ENUM("a", "it's", "x,y", "new"))) is True
    assert "COLLATE utf8mb4_bin DEFAULT 'it''s'" in snapshot(database)


@pytest.mark.parametrize(
    "column, type_", [("counted", sa.BigInteger()), ("latin", sa.Text()), ("price", sa.Numeric(10, 2))]
)
def test_a_copy_is_refused_unless_assured(database, column, type_):
    database.execute(RICH, "INSERT INTO rich (counted) VALUES (7)")
    before = snapshot(database)
    with pytest.raises(UnsafeOperation, match="TypeChange"):
        migrate(database, lambda: alter_column_type("rich", column, type_))
    assert snapshot(database) == before

    def up():
        with assured("nobody uses it"):
            return alter_column_type("rich", column, type_)

    assert [migrate(database, up) for _ in range(2)] == [True, False]


def test_narrowing_never_cuts_values(database):
    database.execute(
        RICH, "ALTER TABLE rich ADD COLUMN bare varchar(20)", "INSERT INTO rich (bare) VALUES ('0123456789')"
    )
    database.execute("SET GLOBAL sql_mode = ''")
    before = database.query("SELECT bare FROM rich")

    def up():
        with assured("we think that it fits"):
            return alter_column_type("rich", "bare", sa.String(5))

    try:
        with pytest.raises(ViolatingRows, match=r"too long|truncated"):
            migrate(database, up)
        with pytest.raises(Exception, match="NULL in"):
            database.execute("INSERT INTO rich (counted) VALUES (NULL)")
            migrate(database, lambda: enforce_not_null("rich", "counted"))
    finally:
        database.execute("SET GLOBAL sql_mode = DEFAULT")
    assert database.query("SELECT bare FROM rich WHERE id = 1") == before


SAME = [
    sa.Column("c", sa.Boolean(), server_default=sa.true()),
    sa.Column("c", sa.Integer(), server_default="5"),
    sa.Column("c", sa.Numeric(), server_default="7"),
    sa.Column("c", sa.Numeric(8, 2), server_default=sa.text("1.5")),
    sa.Column("c", sa.Float(), server_default="1.5"),
    sa.Column("c", sa.DateTime(), server_default=sa.func.now()),
    sa.Column("c", mysql.DATETIME(fsp=3), server_default=sa.text("CURRENT_TIMESTAMP(3)")),
    sa.Column("c", sa.TIMESTAMP(), server_default=sa.text("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")),
    sa.Column("c", sa.JSON()),
    sa.Column("c", sa.Text()),
    sa.Column("c", sa.LargeBinary()),
    sa.Column("c", sa.Enum("a", "it's", "x, y", name="e"), server_default="it's"),
    sa.Column("c", mysql.INTEGER(unsigned=True), nullable=False, server_default="0"),
    sa.Column("c", mysql.TINYINT(1)),
    sa.Column("c", mysql.INTEGER(display_width=7, zerofill=True)),
    sa.Column("c", mysql.BIT(3), server_default=sa.text("b'101'")),
    sa.Column("c", mysql.YEAR()),
    sa.Column("c", sa.CHAR()),
    sa.Column("c", sa.String(9, collation="latin1_bin")),
    sa.Column("c", mysql.VARCHAR(9, charset="latin1")),
    sa.Column("c", sa.String(50), server_default="it's 100% :x \\ 🙂", comment="it's, (:x) \\ %s"),
    sa.Column("c", sa.Date(), server_default="2020-01-01"),
    sa.Column("c", sa.Integer(), sa.Computed("id * 2 + 1")),
    sa.Column("c", sa.Integer(), server_default=sa.text("(-7)")),
    sa.Column("c", sa.Float(), server_default=sa.text("+1e3")),
    sa.Column("c", sa.VARBINARY(9), server_default=sa.text("x'4142'")),
    sa.Column("c", sa.TIMESTAMP(), server_default=sa.func.localtimestamp()),
    sa.Column("c", sa.BINARY(16)),
    sa.Column("c", sa.Uuid()),
    sa.Column("c", sa.Double()),
]


@pytest.mark.parametrize("column", SAME, ids=lambda one: repr(one.type)[:40])
def test_every_type_is_as_requested_the_second_time(database, column):
    database.execute("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    before = snapshot(database)

    def up():
        return add_column_if_missing("t", column._copy())

    assert [migrate(database, up) for _ in range(2)] == [True, False]
    assert migrate(database, lambda: drop_column_if_exists("t", "c"), down=True) is True
    assert snapshot(database) == before


@pytest.mark.parametrize(
    "column, words",
    [
        (sa.Column("latin", sa.String(30)), ["type is varchar(20), not varchar(30)", "default is"]),
        (sa.Column("counted", sa.Integer(), server_default="5"), ["type is int unsigned, not int"]),
        (sa.Column("counted", mysql.INTEGER(unsigned=True), server_default="6"), ["default is 5, not 6"]),
        (sa.Column("price", sa.Numeric(8, 3), server_default="1.5"), ["decimal(8,2)", "decimal(8,3)"]),
        (sa.Column("flag", sa.Boolean(), nullable=False, server_default=sa.true()), ["nullable is True, not False"]),
        (sa.Column("mood", sa.Enum("a", "b", name="e"), server_default="a"), ["enum('a', 'b')"]),
        (sa.Column("total", sa.Integer(), sa.Computed("counted * 3")), ["computed is"]),
        (sa.Column("total", sa.Integer(), sa.Computed("counted * 2", persisted=True)), ["computed is", "stored"]),
        (sa.Column("stamp", sa.TIMESTAMP(), server_default=sa.text("CURRENT_TIMESTAMP")), ["default is", "ON UPDATE"]),
        (sa.Column("doc", mysql.LONGTEXT()), ["type is json, not longtext"]),
        (
            sa.Column("counted", mysql.INTEGER(unsigned=True), server_default="5", comment="z"),
            ["comment is a, b (c, not z"],
        ),
        (
            sa.Column("emoji", sa.String(20, collation="utf8mb4_bin"), server_default="a?🙂?"),
            ["collation is none, not utf8mb4_bin"],
        ),
    ],
)
def test_each_difference_is_named(database, column, words):
    database.execute(RICH)
    before = snapshot(database)
    with pytest.raises(DefinitionMismatch) as error:
        migrate(database, lambda: add_column_if_missing("rich", column._copy()))
    # MySQL keeps each literal as a string.
    said = re.sub(r"'(\d+)'", r"\1", str(error.value))
    assert [word for word in words if word not in said] == [], said
    assert snapshot(database) == before


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_names(database, name):
    def up():
        made = [
            create_table_if_missing(name, sa.Column("id", sa.Integer, primary_key=True, autoincrement=False)),
            add_column_if_missing(name, sa.Column(name, sa.String(20), server_default=name[:20], comment=name)),
            create_index_if_missing(name, name, [name]),
            enforce_not_null(name, name),
            set_server_default(name, name, "x"),
        ]
        return all(made)

    def down():
        return all(
            [
                set_server_default(name, name, name[:20]),
                relax_not_null(name, name),
                drop_column_if_exists(name, name),
            ]
        )

    before = "CREATE TABLE " + database.quoted(name)
    assert migrate(database, up) is True
    after = snapshot(database)
    assert before in after
    assert migrate(database, down, down=True) is True
    assert database.quoted(name) + " varchar" not in snapshot(database)
    assert migrate(database, lambda: add_column_if_missing(name, sa.Column(name.upper(), sa.String(20)))) is True


@pytest.mark.parametrize("name", ["😀", "x" * 65, "ends "])
def test_names_that_the_server_does_not_take(database, name):
    with pytest.raises(InvalidArgument, match=r"MariaDB|MySQL"):
        migrate(database, lambda: add_column_if_missing(name, sa.Column("a", sa.Integer)))


def test_case_does_not_count(database):
    database.execute("CREATE TABLE t (id int, Email varchar(20), KEY IX_Email (Email))")
    assert migrate(database, lambda: add_column_if_missing("t", sa.Column("email", sa.String(20)))) is False
    assert migrate(database, lambda: create_index_if_missing("ix_email", "t", ["email"])) is False
    assert migrate(database, lambda: drop_column_if_exists("t", "EMAIL")) is True


def test_what_depends_on_a_column_is_named(database):
    database.execute(
        RICH,
        "CREATE VIEW `a view` AS SELECT r.counted AS other FROM rich r",
        "CREATE TRIGGER watch BEFORE UPDATE ON rich FOR EACH ROW SET NEW.latin = NEW.mood",
        "CREATE TABLE child (id int unsigned, CONSTRAINT fk_child FOREIGN KEY (id) REFERENCES rich (id))",
    )
    for column, word in (
        ("counted", "view"),
        ("counted", "total"),
        ("mood", "trigger watch"),
        ("id", "fk_child"),
        ("latin", "ix_latin"),
    ):
        with pytest.raises(DependentObjects, match=word):
            migrate(database, lambda column=column: drop_column_if_exists("rich", column))


def test_a_column_is_dropped_with_all_that_belongs_to_it(new_database):
    prepare = [
        "CREATE TABLE p (id int PRIMARY KEY)",
        "CREATE TABLE t (id int PRIMARY KEY, c int, CONSTRAINT fk FOREIGN KEY (c) REFERENCES p (id),"
        " CONSTRAINT ck CHECK (c > 0), UNIQUE KEY uq (c), KEY ix (c DESC))",
    ]
    assert crash_everywhere(new_database, lambda: drop_column_if_exists("t", "c"), prepare, kills=1) >= 4


def test_defaults_come_and_go(database):
    prepare = ["CREATE TABLE t (id int PRIMARY KEY, a int, b int NOT NULL, c timestamp NULL)"]
    on_update = sa.text("CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP")
    for column, default in (("a", "5"), ("b", "6"), ("c", sa.func.now()), ("c", on_update), ("a", sa.text("(1 + 2)"))):
        up_up_down_down_up(
            database,
            lambda column=column, default=default: set_server_default("t", column, default),
            lambda column=column: set_server_default("t", column, None),
            prepare,
        )
        # Rows that omit a nullable column are still accepted.
        migrate(database, lambda column=column: set_server_default("t", column, None), down=True)
        database.execute("INSERT INTO t (id, b) VALUES (1, 1)", "DROP TABLE t")


def test_what_the_server_lacks_is_reported(database):
    database.execute(RICH)
    if database.server.product == "mariadb":
        with pytest.raises(UnsupportedOnDatabase, match=r"(?s)expression.*MariaDB 10\.11.*generated column"):
            migrate(database, lambda: create_index_if_missing("ix", "rich", [sa.text("lower(latin)")]))
    with pytest.raises(UnsupportedOnDatabase, match="identity"):
        migrate(database, lambda: add_column_if_missing("rich", sa.Column("i", sa.Integer, sa.Identity())))


def test_values_that_differ_from_row_to_row_are_refused(database):
    database.execute(RICH, "INSERT INTO rich (id) VALUES (1)")
    before = snapshot(database)
    for column in (
        sa.Column("u", sa.String(40), server_default=sa.text("uuid()")),
        sa.Column("u", sa.Float, server_default=sa.text("rand()")),
        sa.Column("u", sa.Integer, sa.Computed("counted + 1", persisted=True)),
    ):
        with pytest.raises(UnsafeOperation, match="add_required_column"):
            migrate(database, lambda column=column: add_column_if_missing("rich", column))
    assert snapshot(database) == before
    database.execute("DELETE FROM rich")
    default = sa.text("uuid()")
    for name, nullable in (("u", True), ("v", False)):
        up = lambda name=name, nullable=nullable: add_column_if_missing(  # noqa: E731
            "rich", sa.Column(name, sa.String(40), server_default=default, nullable=nullable, comment="its own")
        )
        assert [migrate(database, up) for _ in range(2)] == [True, False]
    database.execute("INSERT INTO rich (id) VALUES (1), (2)")
    assert database.query("SELECT count(DISTINCT u), count(DISTINCT v) FROM rich") == [(2, 2)]


@pytest.mark.only("mysql97")
def test_a_column_whose_default_comes_after_it_is_completed_after_a_stop(new_database):
    """MySQL adds no column together with a default that it calls unsafe for replicas."""
    column = sa.Column("u", sa.String(40), server_default=sa.text("(uuid())"), nullable=False)
    up = lambda: add_column_if_missing("t", column._copy())  # noqa: E731
    assert crash_everywhere(new_database, up, ["CREATE TABLE t (id int PRIMARY KEY)"]) >= 3


EXPRESSIONS = [
    sa.Column("c", sa.Integer(), server_default=sa.text("(1 + 2)")),
    sa.Column("c", sa.JSON(), server_default=sa.text("('[]')")),
    sa.Column("c", sa.JSON(), server_default="[]", nullable=False),
    sa.Column("c", sa.Text(), server_default="it's"),
    sa.Column("c", sa.Date(), server_default=sa.func.current_date()),
    sa.Column("c", mysql.DATETIME(fsp=3), server_default=sa.func.now()),
    sa.Column("c", sa.JSON(), server_default=sa.text("(json_array())"), nullable=False),
]


@pytest.mark.only("mysql97")
@pytest.mark.parametrize("column", EXPRESSIONS, ids=lambda one: f"{one.type} {one.server_default.arg}")
def test_mysql_copies_the_table_for_an_expression_but_never_an_empty_one(database, column):
    database.execute("CREATE TABLE t (id int PRIMARY KEY)", "INSERT INTO t VALUES (1)")
    up = lambda: add_column_if_missing("t", column._copy())  # noqa: E731
    with pytest.raises(UnsafeOperation, match="add_required_column"):
        migrate(database, up)
    with pytest.raises(OnlineOnly):
        render(database, up)
    database.execute("DELETE FROM t")
    assert [migrate(database, up) for _ in range(2)] == [True, False]
    added = snapshot(database)
    database.execute("DROP TABLE t")
    table = lambda: create_table_if_missing("t", sa.Column("id", sa.Integer, primary_key=True), column._copy())  # noqa: E731
    assert [migrate(database, table) for _ in range(2)] == [True, False]
    assert snapshot(database).replace(" AUTO_INCREMENT", "") == added
    default = column.server_default.arg
    database.execute("INSERT INTO t VALUES ()")
    if column.nullable:
        assert migrate(database, lambda: set_server_default("t", "c", None)) is True
        change = lambda: set_server_default("t", "c", default)  # noqa: E731
        assert [migrate(database, change) for _ in range(2)] == [True, False]
        assert snapshot(database).replace(" AUTO_INCREMENT", "").split("AUTO_INCREMENT=")[0] in added


def test_every_alter_names_its_algorithm(database):
    database.execute(RICH, "INSERT INTO rich (id) VALUES (1)")

    def up():
        add_column_if_missing("rich", sa.Column("a", sa.Integer, index=True))
        enforce_not_null("rich", "counted")
        set_server_default("rich", "a", "1")
        drop_column_if_exists("rich", "a")

    with statements_of(database) as sent:
        migrate(database, up)
    ours = [one for one in sent.ddl if "alembic_version" not in one and "safeops_probe" not in one]
    assert [one for one in ours if "ALGORITHM=" not in one] == []
    assert [one for one in ours if "INSTANT" in one and "LOCK=" in one] == []
    assert run_sql(database, "SELECT 1")


def test_a_type_stays_while_a_foreign_key_uses_the_column(database):
    database.execute(
        "CREATE TABLE parent (code varchar(10) UNIQUE, kind enum('a') UNIQUE)",
        "CREATE TABLE child (code varchar(10), kind enum('a'),"
        " CONSTRAINT fk_code FOREIGN KEY (code) REFERENCES parent (code),"
        " CONSTRAINT fk_kind FOREIGN KEY (kind) REFERENCES parent (kind))",
    )
    before = snapshot(database)
    if database.server.product == "mysql":
        for table in ("parent", "child"):
            assert migrate(database, lambda table=table: alter_column_type(table, "code", sa.String(20))) is True
        before = snapshot(database)
    longer = sa.String(20) if database.server.product == "mariadb" else sa.Text()
    for table in ("parent", "child"):
        with pytest.raises(DependentObjects, match=r'\("fk_code", "child", type_="foreignkey"\)') as caught:
            migrate(database, lambda table=table: alter_column_type(table, "code", longer))
        assert f"type of {table}.code" in str(caught.value)
    assert snapshot(database) == before
    for table in ("parent", "child"):
        assert migrate(database, lambda table=table: alter_column_type(table, "kind", mysql.ENUM("a", "b"))) is True
