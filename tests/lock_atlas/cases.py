"""What the atlas traces: each public helper and each phase, and plain statements, on a small schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from tests.plans.calls import CALLS, MYSQL, PARTED, POSTGRESQL, WORLD, on

MORE_OF_POSTGRESQL = (
    *PARTED,
    "ALTER TABLE users ADD CONSTRAINT ck_nick CHECK (nick IS NOT NULL)",
    "ALTER TABLE users ADD CONSTRAINT ck_age CHECK (age > 0) NOT VALID",
    "ALTER TABLE users ADD CONSTRAINT fk_late FOREIGN KEY (team_id) REFERENCES teams (id) NOT VALID",
    "CREATE INDEX ix_code ON users (code)",
    "CREATE UNIQUE INDEX uq_id ON loose (id)",
    "CREATE TABLE items (id integer PRIMARY KEY, loose_id integer REFERENCES teams (id))",
    "CREATE TABLE parted_3 (id integer NOT NULL, at integer NOT NULL, PRIMARY KEY (id, at))",
    "CREATE MATERIALIZED VIEW counted AS SELECT team_id, count(*) AS n FROM users GROUP BY team_id",
    "CREATE UNIQUE INDEX counted_team ON counted (team_id)",
    "CREATE VIEW named AS SELECT id, name FROM teams",
    "CREATE FUNCTION on_row() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NEW; END'",
)
MORE_OF_MYSQL = (
    "CREATE INDEX ix_code ON users (code)",
    "ALTER TABLE users ADD CONSTRAINT fk_team FOREIGN KEY (team_id) REFERENCES teams (id)",
    "CREATE TABLE items (id integer PRIMARY KEY, loose_id integer)",
)
ALONE = ("VACUUM", "REINDEX INDEX CONCURRENTLY")
PLAIN = {
    POSTGRESQL: (
        "ALTER TABLE users ADD COLUMN email varchar(100)",
        "ALTER TABLE users ADD COLUMN email varchar(100) DEFAULT 'x'",
        "ALTER TABLE users ADD COLUMN email varchar(100) DEFAULT 'x' NOT NULL",
        "ALTER TABLE users ADD COLUMN seen timestamptz DEFAULT now()",
        "ALTER TABLE users ADD COLUMN draw float DEFAULT random()",
        "ALTER TABLE users ADD COLUMN number int GENERATED ALWAYS AS IDENTITY",
        "ALTER TABLE users ADD COLUMN twice int GENERATED ALWAYS AS (age * 2) STORED",
        "ALTER TABLE users ADD COLUMN rank int CHECK (rank > 0)",
        "ALTER TABLE users ADD COLUMN boss int REFERENCES teams (id)",
        "ALTER TABLE users ADD COLUMN email varchar(100) UNIQUE",
        "ALTER TABLE users DROP COLUMN code",
        "ALTER TABLE users RENAME COLUMN code TO short",
        "ALTER TABLE users ALTER COLUMN name SET NOT NULL",
        "ALTER TABLE users ALTER COLUMN nick SET NOT NULL -- proven by a valid CHECK",
        "ALTER TABLE users ALTER COLUMN age DROP NOT NULL",
        "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'",
        "ALTER TABLE users ALTER COLUMN age TYPE bigint",
        "ALTER TABLE users ALTER COLUMN name TYPE varchar(100)",
        "ALTER TABLE users ALTER COLUMN name TYPE varchar(40)",
        "ALTER TABLE users ALTER COLUMN name TYPE text",
        "CREATE INDEX ix_age ON users (age)",
        "CREATE UNIQUE INDEX ix_age ON users (age)",
        "CREATE INDEX CONCURRENTLY ix_age ON users (age)",
        "CREATE INDEX ix_at ON parted (at)",
        "DROP INDEX ix_code",
        "DROP INDEX CONCURRENTLY ix_code",
        "ALTER INDEX ix_code RENAME TO ix_short",
        "REINDEX INDEX ix_code",
        "REINDEX INDEX CONCURRENTLY ix_code",
        "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 1)",
        "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 1) NOT VALID",
        "ALTER TABLE users VALIDATE CONSTRAINT ck_age",
        "ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (team_id) REFERENCES teams (id)",
        "ALTER TABLE users ADD CONSTRAINT fk FOREIGN KEY (team_id) REFERENCES teams (id) NOT VALID",
        "ALTER TABLE users VALIDATE CONSTRAINT fk_late",
        "ALTER TABLE users ADD CONSTRAINT uq UNIQUE (age)",
        "ALTER TABLE loose ADD CONSTRAINT uq UNIQUE USING INDEX uq_id",
        "ALTER TABLE loose ADD PRIMARY KEY (id)",
        "ALTER TABLE users DROP CONSTRAINT ck_nick",
        "ALTER TABLE users DROP CONSTRAINT fk_late",
        "ALTER TABLE users SET UNLOGGED",
        "ALTER TABLE users SET (fillfactor = 70)",
        "ALTER TABLE users RENAME TO people",
        "ALTER TABLE parted ATTACH PARTITION parted_3 FOR VALUES FROM (200) TO (300)",
        "ALTER TABLE parted DETACH PARTITION parted_2",
        "ALTER TABLE parted DETACH PARTITION parted_2 CONCURRENTLY",
        "DROP TABLE items",
        "TRUNCATE loose",
        "CREATE TABLE visits (id int PRIMARY KEY, user_id int REFERENCES users (id))",
        "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW EXECUTE FUNCTION on_row()",
        "COMMENT ON TABLE users IS 'people'",
        "CREATE OR REPLACE VIEW named AS SELECT id, name FROM teams",
        "DROP VIEW named",
        "REFRESH MATERIALIZED VIEW counted",
        "REFRESH MATERIALIZED VIEW CONCURRENTLY counted",
        "UPDATE users SET nick = 'x'",
        "DELETE FROM users",
        "INSERT INTO loose VALUES (1, 2)",
        "SELECT count(*) FROM users",
        "SELECT id FROM users FOR UPDATE",
        "LOCK TABLE users",
        "ANALYZE users",
        "VACUUM users",
        "VACUUM FULL users",
        "CLUSTER users USING ix_code",
    ),
    MYSQL: (
        "ALTER TABLE users ADD COLUMN email varchar(100)",
        "ALTER TABLE users ADD COLUMN email varchar(100) NOT NULL DEFAULT 'x'",
        "ALTER TABLE users ADD COLUMN seen datetime DEFAULT (now())",
        "ALTER TABLE users ADD COLUMN twice int AS (age * 2) STORED",
        "ALTER TABLE users ADD COLUMN twice int AS (age * 2) VIRTUAL",
        "ALTER TABLE users ADD COLUMN number int NOT NULL UNIQUE AUTO_INCREMENT",
        "ALTER TABLE users ADD COLUMN rank_of int CHECK (rank_of > 0)",
        "ALTER TABLE users ADD COLUMN email varchar(100) UNIQUE",
        "ALTER TABLE users ADD COLUMN email varchar(100) FIRST",
        "ALTER TABLE users DROP COLUMN nick",
        "ALTER TABLE users DROP COLUMN code",
        "ALTER TABLE users RENAME COLUMN nick TO short",
        "ALTER TABLE users MODIFY name varchar(50) NOT NULL",
        "ALTER TABLE users MODIFY age integer NULL",
        "ALTER TABLE users ALTER COLUMN name SET DEFAULT 'x'",
        "ALTER TABLE users MODIFY age bigint NOT NULL",
        "ALTER TABLE users MODIFY name varchar(60)",
        "ALTER TABLE users MODIFY name varchar(40)",
        "ALTER TABLE users MODIFY name varchar(300)",
        "ALTER TABLE users MODIFY name text",
        "CREATE INDEX ix_age ON users (age)",
        "CREATE UNIQUE INDEX ix_age ON users (age)",
        "CREATE FULLTEXT INDEX ix_name ON users (name)",
        "DROP INDEX ix_code ON users",
        "ALTER TABLE users RENAME INDEX ix_code TO ix_short",
        "ALTER TABLE users ADD CONSTRAINT ck CHECK (age > 1)",
        "ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (loose_id) REFERENCES teams (id)",
        "ALTER TABLE items ADD CONSTRAINT fk FOREIGN KEY (loose_id) REFERENCES teams (id), ALGORITHM=COPY, LOCK=SHARED",
        "ALTER TABLE users DROP FOREIGN KEY fk_team",
        "ALTER TABLE users ADD CONSTRAINT uq UNIQUE (age)",
        "ALTER TABLE loose ADD PRIMARY KEY (id)",
        "ALTER TABLE users DROP PRIMARY KEY",
        "ALTER TABLE users ADD COLUMN a int, ALGORITHM=COPY, LOCK=SHARED",
        "ALTER TABLE users ADD COLUMN a int, ALGORITHM=INPLACE, LOCK=NONE",
        "ALTER TABLE users ENGINE=InnoDB",
        "ALTER TABLE users ROW_FORMAT=COMPRESSED",
        "ALTER TABLE users COMMENT 'people'",
        "ALTER TABLE users CONVERT TO CHARACTER SET latin1",
        "ALTER TABLE loose PARTITION BY HASH (id) PARTITIONS 4",
        "ALTER TABLE loose RENAME TO freed",
        "RENAME TABLE loose TO freed",
        "DROP TABLE items",
        "TRUNCATE TABLE loose",
        "CREATE TABLE visits (id int PRIMARY KEY, user_id int, FOREIGN KEY (user_id) REFERENCES users (id))",
        "CREATE TRIGGER t BEFORE UPDATE ON users FOR EACH ROW SET NEW.nick = 'x'",
        "CREATE VIEW named AS SELECT id, name FROM teams",
        "UPDATE users SET nick = 'x'",
        "DELETE FROM users",
        "INSERT INTO loose VALUES (1, 2)",
        "INSERT INTO items SELECT id, at FROM loose",
        "SELECT id FROM users FOR UPDATE",
        "LOCK TABLES users WRITE",
        "LOCK TABLES users READ",
        "ANALYZE TABLE users",
    ),
}
"""The statements of each kind of database."""


@dataclass(frozen=True)
class Case:
    """A statement or a call of a helper.

    Args:
        name: What the atlas calls it.
        body: The body of its revision.
        before: The bodies of the revisions before it.
    """

    name: str
    body: str
    before: tuple[str, ...]
    is_helper: bool = False


def cases(kind: str) -> Iterator[Case]:
    """Yield the cases of a kind of database."""
    more = MORE_OF_POSTGRESQL if kind == POSTGRESQL else MORE_OF_MYSQL
    world = executing(*(one.replace("%", "%%") for one in (*WORLD, *more)))
    for sql in PLAIN[kind]:
        alone = ("CONCURRENTLY" in sql and not sql.startswith("REFRESH")) or sql.startswith(ALONE)
        body = executing(sql.partition(" -- ")[0])
        yield Case(sql, in_autocommit(body) if alone else body, (world,))
    for name, call in CALLS.items():
        if kind in call.on:
            world = executing(*WORLD, *call.world)
            yield Case(name, on(kind, call.code), (world, *(on(kind, one) for one in call.after)), is_helper=True)


def executing(*statements: str) -> str:
    return "\n".join(f"op.execute({one!r})" for one in statements)


def in_autocommit(body: str) -> str:
    return f"with op.get_context().autocommit_block():\n    {body}"
