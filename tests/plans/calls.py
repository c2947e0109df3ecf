"""Every public helper, and every phase of a change that takes several deploys, in a small world."""

from __future__ import annotations

from dataclasses import dataclass

ROWS = 300
WORLD = (
    "CREATE TABLE teams (id integer PRIMARY KEY, name varchar(50))",
    "CREATE TABLE users (id integer PRIMARY KEY, name varchar(50), age integer NOT NULL, team_id integer,"
    " code varchar(20) NOT NULL, nick varchar(50))",
    "CREATE TABLE loose (id integer NOT NULL, at integer)",
    *[f"INSERT INTO teams VALUES ({i}, 'team {i}')" for i in range(1, 4)],
    "INSERT INTO users VALUES "
    + ", ".join(f"({i}, 'name {i}', {i + 5000}, {i % 3 + 1}, '0{i + 10000}', 'nick {i}')" for i in range(1, ROWS)),
    "INSERT INTO loose VALUES (7001, 8001), (7002, 8002)",
)
FOREIGN_KEY = "ALTER TABLE users ADD CONSTRAINT fk_users_team FOREIGN KEY (team_id) REFERENCES teams (id)"
UNIQUE = "ALTER TABLE users ADD CONSTRAINT uq_users_age UNIQUE (age)"
CHECK = "ALTER TABLE users ADD CONSTRAINT ck_users_age CHECK (age > 0)"
INDEX = "CREATE INDEX ix_users_name ON users (name)"
PARTED = (
    "CREATE TABLE parted (id integer NOT NULL, at integer NOT NULL, PRIMARY KEY (id, at)) PARTITION BY RANGE (at)",
    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (100)",
    "CREATE TABLE parted_2 PARTITION OF parted FOR VALUES FROM (100) TO (200)",
    "INSERT INTO parted SELECT i, i FROM generate_series(1, 199) i",
)
POSTGRESQL, MYSQL, SQLITE = "postgresql", "mysql", "sqlite"
ALL = (POSTGRESQL, MYSQL, SQLITE)
TWO = (POSTGRESQL, MYSQL)
ASSURED = 'with assured("a test"):\n    '
COLUMN = 'ColumnRename("users", "name", "full_name")'
# Every value of the type before is one of the type after, in the same characters.
WIDER = 'TypeChange("users", "age", sa.String(40))'
NARROWER = 'TypeChange("users", "code", sa.Integer(){using})'
TABLE = 'TableRename("users", "people")'


@dataclass(frozen=True)
class Call:
    """A call of a revision, and what comes before it.

    Args:
        code: The call.
        after: The calls of revisions before.
        world: More of the world.
        on: The databases that have it.
    """

    code: str
    after: tuple[str, ...] = ()
    world: tuple[str, ...] = ()
    on: tuple[str, ...] = ALL


CALLS = {
    # Tables.
    "create_table": Call('create_table_if_missing("cities", sa.Column("id", sa.Integer, primary_key=True))'),
    "create_table_with_foreign_key": Call(
        'create_table_if_missing("cities", sa.Column("id", sa.Integer, primary_key=True),'
        ' sa.Column("team_id", sa.Integer, sa.ForeignKey("teams.id", name="fk_cities_team")))'
    ),
    "drop_table": Call('drop_table_if_exists("users")'),
    "drop_table_with_foreign_key": Call('drop_table_if_exists("users")', world=(FOREIGN_KEY,), on=TWO),
    "archive_table": Call('drop_table_if_exists("users", archive=True)'),
    "restore_table": Call('restore_table("users")', ('drop_table_if_exists("users", archive=True)',)),
    "drop_archives": Call(
        "drop_archives(older_than=0)",
        ('drop_table_if_exists("users", archive=True)', 'drop_column_if_exists("teams", "name", archive=True)'),
    ),
    # Columns.
    "add_column": Call('add_column_if_missing("users", sa.Column("email", sa.String(100)))'),
    "add_column_with_default": Call(
        'add_column_if_missing("users", sa.Column("email", sa.String(100), server_default="VALIDATE CONSTRAINT later"))'
    ),
    "add_column_with_comment": Call(
        'add_column_if_missing("users", sa.Column("email", sa.String(100), comment="never DROP TABLE it"))',
        on=TWO,
    ),
    "add_column_with_index": Call('add_column_if_missing("users", sa.Column("email", sa.String(100), index=True))'),
    "add_column_with_foreign_key": Call(
        'add_column_if_missing("users", sa.Column("boss", sa.Integer, sa.ForeignKey("teams.id", name="fk_boss")))'
    ),
    "add_column_that_rewrites": Call(
        ASSURED + 'add_column_if_missing("users", sa.Column("seen", sa.Float, server_default=sa.text("random() * 0")))',
        on=(POSTGRESQL,),
    ),
    "drop_column": Call('drop_column_if_exists("users", "nick")'),
    "drop_column_with_index": Call('drop_column_if_exists("users", "name")', world=(INDEX,)),
    "archive_column": Call('drop_column_if_exists("users", "nick", archive=True)'),
    "restore_column": Call(
        'restore_column("users", sa.Column("nick", sa.String(50)))',
        ('drop_column_if_exists("users", "nick", archive=True)',),
    ),
    "set_default": Call('set_server_default("users", "name", "ADD FOREIGN KEY")'),
    "set_default_that_looks_stronger": Call('set_server_default("users", "name", "VALIDATE CONSTRAINT later")'),
    "drop_default": Call('set_server_default("users", "name", None)', ('set_server_default("users", "name", "x")',)),
    "wider_type": Call('alter_column_type("users", "name", sa.String(60))'),
    "type_that_rewrites": Call(ASSURED + 'alter_column_type("users", "age", sa.BigInteger())'),
    "enforce_not_null": Call('enforce_not_null("users", "name")'),
    "relax_not_null": Call('relax_not_null("users", "age")'),
    "add_required_column": Call(
        'add_required_column("users", sa.Column("email", sa.String(80), nullable=False),'
        ' populate=sa.func.upper(sa.column("name")))'
    ),
    "add_required_column_with_default": Call(
        'add_required_column("users", sa.Column("email", sa.String(80), nullable=False, server_default="x"),'
        ' populate=sa.func.upper(sa.column("name")))'
    ),
    "drop_required_column": Call(
        'drop_column_if_exists("users", "email")',
        (
            'add_required_column("users", sa.Column("email", sa.String(80), nullable=False),'
            ' populate=sa.func.upper(sa.column("name")))',
        ),
    ),
    "set_comment": Call('set_comment("users", "name", "never DROP TABLE it")', on=TWO),
    "set_comment_of_table": Call('set_comment("users", None, "VALIDATE CONSTRAINT later")', on=TWO),
    # Indexes.
    "create_index": Call('create_index_if_missing("ix_users_name", "users", ["name"])'),
    "create_unique_index": Call('create_index_if_missing("ix_users_code", "users", ["code"], unique=True)'),
    "create_index_on_partitions": Call(
        'create_index_if_missing("ix_parted_at", "parted", ["at"])', world=PARTED, on=(POSTGRESQL,)
    ),
    "replace_index": Call(
        'create_index_if_missing("ix_users_name", "users", ["name", "age"], if_different="replace")', world=(INDEX,)
    ),
    "drop_index": Call('drop_index_if_exists("ix_users_name", "users")', world=(INDEX,)),
    "drop_index_on_partitions": Call(
        'drop_index_if_exists("ix_parted_at", "parted")',
        ('create_index_if_missing("ix_parted_at", "parted", ["at"])',),
        world=PARTED,
        on=(POSTGRESQL,),
    ),
    # Constraints.
    "create_foreign_key": Call(
        'create_foreign_key_if_missing("fk_users_team", "users", "teams", ["team_id"], ["id"], index=True)'
    ),
    "create_foreign_key_unvalidated": Call(
        'create_foreign_key_if_missing("fk_users_team", "users", "teams", ["team_id"], ["id"], validate=False)',
        on=(POSTGRESQL,),
    ),
    "validate_foreign_key": Call(
        'validate_constraint("fk_users_team", "users")', world=(f"{FOREIGN_KEY} NOT VALID",), on=(POSTGRESQL,)
    ),
    "drop_foreign_key": Call(
        'drop_constraint_if_exists("fk_users_team", "users", type_="foreignkey")',
        ('create_foreign_key_if_missing("fk_users_team", "users", "teams", ["team_id"], ["id"], index=True)',),
    ),
    "create_check": Call(ASSURED + 'create_check_constraint_if_missing("ck_users_age", "users", "age > 0")'),
    "create_check_on_partitions": Call(
        'create_check_constraint_if_missing("ck_parted", "parted", "at > 0")', world=PARTED, on=(POSTGRESQL,)
    ),
    "drop_check": Call(
        'drop_constraint_if_exists("ck_users_age", "users", type_="check")',
        (ASSURED + 'create_check_constraint_if_missing("ck_users_age", "users", "age > 0")',),
    ),
    "create_unique": Call('create_unique_constraint_if_missing("uq_users_age", "users", ["age"])'),
    "drop_unique": Call(
        'drop_constraint_if_exists("uq_users_age", "users", type_="unique")',
        ('create_unique_constraint_if_missing("uq_users_age", "users", ["age"])',),
    ),
    "create_primary_key": Call(ASSURED + 'create_primary_key_if_missing("pk_loose", "loose", ["id"])'),
    "drop_primary_key": Call(
        ASSURED + 'drop_constraint_if_exists("pk_loose", "loose", type_="primary")',
        (ASSURED + 'create_primary_key_if_missing("pk_loose", "loose", ["id"])',),
    ),
    "create_exclusion": Call(
        ASSURED + 'create_exclude_constraint_if_missing("ex_loose", "loose", ("id", "="), using="btree")',
        on=(POSTGRESQL,),
    ),
    "drop_exclusion": Call(
        'drop_constraint_if_exists("ex_loose", "loose")',
        world=("ALTER TABLE loose ADD CONSTRAINT ex_loose EXCLUDE (id WITH =)",),
        on=(POSTGRESQL,),
    ),
    # Types and schemas.
    "create_enum": Call('create_enum_if_missing("mood", ["sad", "happy"])', on=(POSTGRESQL,)),
    "add_enum_value": Call(
        'add_enum_value_if_missing("mood", "proud")',
        world=("CREATE TYPE mood AS ENUM ('sad')", "CREATE TABLE moods (id int PRIMARY KEY, mood mood)"),
        on=(POSTGRESQL,),
    ),
    "drop_enum": Call('drop_enum_if_exists("mood")', ('create_enum_if_missing("mood", ["sad"])',), on=(POSTGRESQL,)),
    "create_schema": Call('create_schema_if_missing("billing")', on=(POSTGRESQL,)),
    "drop_schema": Call('drop_schema_if_exists("billing")', ('create_schema_if_missing("billing")',), on=(POSTGRESQL,)),
    # Backfills.
    "backfill": Call(
        'backfill("users", {"email": sa.func.upper(sa.column("name"))})',
        ('add_column_if_missing("users", sa.Column("email", sa.String(100)))',),
    ),
    "backfill_over_values": Call('backfill("users", {"nick": sa.func.upper(sa.column("name"))}, where=True)'),
    "forget_backfill": Call(
        'forget_backfill("b")',
        (
            'add_column_if_missing("users", sa.Column("email", sa.String(100)))\n'
            'backfill("users", {"email": "x"}, name="b")',
        ),
    ),
    # Changes over several deploys.
    "column_rename_expand": Call(f"{COLUMN}.expand()", world=(INDEX,)),
    "column_rename_contract": Call(f"{COLUMN}.contract()", (f"{COLUMN}.expand()",), world=(INDEX,)),
    "column_rename_undo_expand": Call(f"{COLUMN}.undo_expand()", (f"{COLUMN}.expand()",), world=(INDEX,)),
    "column_rename_undo_contract": Call(
        f"{COLUMN}.undo_contract()", (f"{COLUMN}.expand()", f"{COLUMN}.contract()"), world=(INDEX,)
    ),
    "type_change_expand": Call(f"{WIDER}.expand()", world=(UNIQUE,), on=TWO),
    "type_change_switch": Call(f"{WIDER}.switch()", (f"{WIDER}.expand()",)),
    "type_change_contract": Call(f"{NARROWER}.contract()", (f"{NARROWER}.expand()", f"{NARROWER}.switch()"), on=TWO),
    "type_change_undo_expand": Call(f"{WIDER}.undo_expand()", (f"{WIDER}.expand()",)),
    "type_change_undo_switch": Call(f"{WIDER}.undo_switch()", (f"{WIDER}.expand()", f"{WIDER}.switch()")),
    "type_change_undo_contract": Call(
        f"{WIDER}.undo_contract()", (f"{WIDER}.expand()", f"{WIDER}.switch()", f"{WIDER}.contract()")
    ),
    "table_rename_expand": Call(f"{TABLE}.expand()", on=TWO),
    "table_rename_contract": Call(f"{TABLE}.contract()", (f"{TABLE}.expand()",), on=TWO),
    "table_rename_undo_expand": Call(f"{TABLE}.undo_expand()", (f"{TABLE}.expand()",), on=TWO),
    "table_rename_undo_contract": Call(
        f"{TABLE}.undo_contract()", (f"{TABLE}.expand()", f"{TABLE}.contract()"), on=TWO
    ),
}
USING = {
    POSTGRESQL: ', using="CAST(code AS integer)", reverse_using="CAST(code AS varchar)"',
    MYSQL: ', using="CAST(code AS SIGNED)", reverse_using="CAST(code AS CHAR)"',
    SQLITE: "",
}


def on(kind: str, code: str) -> str:
    """Returns a call as a database of a kind takes it."""
    return code.replace("{using}", USING[kind])
