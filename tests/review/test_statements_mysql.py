"""What statements to MariaDB and MySQL are taken for, and what is true of them: compared with the servers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pymysql
import pytest
import sqlalchemy as sa
from tests.servers import Database

from safeops.databases import database_on
from safeops.judging import operations as op
from safeops.judging.existing import Facts
from safeops.judging.mysql.statements import operations_of
from safeops.judging.mysql.truths import TRUTHS
from safeops.judging.schema import Schema
from safeops.judging.server import JudgedServer, Session
from safeops.judging.truths import truth_of
from safeops.naming import Name
from safeops.review.mysql.ways import tried_way

TABLES = {
    "t": "id INT PRIMARY KEY AUTO_INCREMENT, a INT, b VARCHAR(20), c VARCHAR(100) NOT NULL, d TEXT, e ENUM('x', 'y'),"
    " s SET('x', 'y'), f DECIMAL(10,2), h INT NOT NULL DEFAULT 0, j JSON, i INT, bi VARCHAR(20),"
    " u3 VARCHAR(20) CHARACTER SET utf8mb3, KEY k_i (i), KEY k_bi (bi), CONSTRAINT ck CHECK (a > -100)",
    "latin": "id INT PRIMARY KEY, b VARCHAR(20), c VARCHAR(250)",
    "virtuals": "id INT PRIMARY KEY, a INT, v INT AS (a + 1) VIRTUAL",
    "computed": "id INT PRIMARY KEY, a INT, v INT AS (a + 1) STORED",
    "texts": "id INT PRIMARY KEY, x TEXT, n INT, FULLTEXT KEY f_x (x)",
    "packed": "id INT PRIMARY KEY, a INT",
    "plain": "id INT NOT NULL, a INT",
    "parent": "id INT PRIMARY KEY, k INT",
    "places": "id INT PRIMARY KEY, g POINT NOT NULL",
}
OPTIONS = {"latin": "DEFAULT CHARACTER SET latin1", "packed": "ROW_FORMAT=COMPRESSED"}

CHANGES = """
t ADD COLUMN z INT
t ADD COLUMN z INT NOT NULL
t ADD COLUMN z INT NOT NULL DEFAULT 5
t ADD COLUMN z INT DEFAULT -1
t ADD COLUMN z INT DEFAULT (-1)
t ADD COLUMN z DATETIME DEFAULT CURRENT_TIMESTAMP
t ADD COLUMN z DATETIME DEFAULT (now())
t ADD COLUMN z TIMESTAMP DEFAULT CURRENT_TIMESTAMP ON UPDATE CURRENT_TIMESTAMP
t ADD COLUMN z DATE NOT NULL
t ADD COLUMN z CHAR(36) DEFAULT (uuid())
t ADD COLUMN z INT DEFAULT (a + 1)
t ADD COLUMN z VARCHAR(20) DEFAULT (concat('a', 'b'))
t ADD COLUMN z JSON
t ADD COLUMN z INT FIRST
t ADD COLUMN z INT AFTER a
t ADD COLUMN z INT AS (a + 1) VIRTUAL
t ADD COLUMN z INT AS (a + 1) STORED
t ADD COLUMN z INT UNIQUE
t ADD COLUMN z INT CHECK (z > 0)
t ADD COLUMN z INT, ADD CONSTRAINT cz CHECK (z > 0)
t ADD COLUMN z INT REFERENCES parent (id)
t ADD COLUMN z INT, ADD INDEX iz (z)
t ADD COLUMN z INT COMMENT 'CHECK (1)', ADD COLUMN y INT
t ADD (z INT, y INT)
t DROP COLUMN b
t DROP COLUMN i
t DROP COLUMN id
t RENAME COLUMN b TO bb
t CHANGE b bb VARCHAR(20)
t CHANGE b bb VARCHAR(200)
t MODIFY b VARCHAR(20)
t MODIFY b VARCHAR(63)
t MODIFY b VARCHAR(64)
t MODIFY b VARCHAR(10)
t MODIFY c VARCHAR(200) NOT NULL
t MODIFY c VARCHAR(100) NULL
t MODIFY b VARCHAR(40) NOT NULL
t MODIFY b VARCHAR(20) COLLATE utf8mb4_bin
t MODIFY bi VARCHAR(20) COLLATE utf8mb4_bin
t MODIFY u3 VARCHAR(20) CHARACTER SET utf8mb4
t MODIFY d MEDIUMTEXT
t MODIFY d TEXT COMMENT 'x'
t MODIFY a BIGINT
t MODIFY a INT(5)
t MODIFY a INTEGER
t MODIFY a INT UNSIGNED
t MODIFY a INT NOT NULL
t MODIFY h INT NULL DEFAULT 0
t MODIFY a INT DEFAULT 7 COMMENT 'x'
t MODIFY a INT AFTER b
t MODIFY f DECIMAL(12,2)
t MODIFY e ENUM('x', 'y', 'z')
t MODIFY e ENUM('x', 'z', 'y')
t MODIFY e ENUM('x', 'yy')
t MODIFY s SET('x', 'y', 'z')
t MODIFY s SET('x', 'y', 'a', 'b', 'c', 'd', 'e', 'f', 'g')
t MODIFY e VARCHAR(10)
t MODIFY id BIGINT AUTO_INCREMENT
t ALTER COLUMN a SET DEFAULT 3
t ALTER COLUMN a DROP DEFAULT
t ADD INDEX q (a)
t ADD UNIQUE (a)
t ADD FULLTEXT INDEX q (d)
t DROP INDEX k_i
t RENAME INDEX k_i TO k_j
t DROP INDEX k_i, ADD INDEX k_i (i, a)
t ADD CONSTRAINT fk FOREIGN KEY (i) REFERENCES parent (id)
t ADD CONSTRAINT ck2 CHECK (a > -1000)
t DROP CONSTRAINT ck
t RENAME TO tt
t ENGINE=InnoDB
t FORCE
t ROW_FORMAT=DYNAMIC
t COMMENT='x'
t AUTO_INCREMENT=1000
t ADD INDEX q (a), MODIFY f DECIMAL(12,2)
latin MODIFY b VARCHAR(255)
latin MODIFY c VARCHAR(300)
latin CONVERT TO CHARACTER SET utf8mb4
latin CONVERT TO CHARACTER SET latin1
latin DEFAULT CHARACTER SET utf8mb4
latin DROP PRIMARY KEY
latin DROP PRIMARY KEY, ADD PRIMARY KEY (id, b)
virtuals ADD COLUMN z INT FIRST
virtuals ADD COLUMN z INT
computed MODIFY a INT NOT NULL
computed ADD COLUMN z INT FIRST
texts ADD COLUMN z INT
texts DROP COLUMN n
texts ENGINE=InnoDB
texts MODIFY n INT NOT NULL
packed ADD COLUMN z INT
packed DROP COLUMN a
plain ADD PRIMARY KEY (id)
plain ADD COLUMN z INT AUTO_INCREMENT UNIQUE
places ADD SPATIAL INDEX q (g)
"""
OF_MYSQL = """
t ADD INDEX q ((lower(b)))
t ADD CONSTRAINT ck2 CHECK (a > -1000) NOT ENFORCED
t ALTER CHECK ck NOT ENFORCED
t DROP CHECK ck
t ALTER INDEX k_i INVISIBLE
"""


def changes_for(product: str) -> list[str]:
    more = OF_MYSQL if product == "MySQL" else ""
    return [*CHANGES.strip().splitlines(), *more.strip().splitlines()]


class Server:
    """Empty tables on a server, and the judgements of their changes."""

    def __init__(self, connection: sa.Connection) -> None:
        self.database = database_on(connection)
        self.judged = JudgedServer.of(self.database)
        self.connection = connection

    def make(self, table: str) -> None:
        for name in ("tt", "t", "parent", table):
            self._send(f"DROP TABLE IF EXISTS {name}")
        for name in ("parent", table):
            self._send(f"CREATE TABLE {name} ({TABLES[name]}) {OPTIONS.get(name, '')}")

    def told(self, sql: str) -> str:
        """The way of the slowest of the operations of a statement."""
        schema, ways = Schema(facts=Facts.of(self.database)), []
        for operation in self.judged.parse(sql):
            found = self.judged.with_facts(operation, schema, Session())
            truth = truth_of(found, TRUTHS, self.database.product, self.database.version)
            assert truth is not None, found
            ways.append(truth.effects[0].lock)
            schema.apply([found], new=False)
        return max(ways, key=self._slowness)

    def asked(self, sql: str) -> str | None:
        """The way that the server takes, NOCOPY counted as INPLACE; None if it refuses the statement."""
        way = tried_way(self._send, sql)
        return str(way).replace("NOCOPY", "INPLACE") if way is not None else None

    def _slowness(self, way: str) -> tuple[bool, bool, bool]:
        return ("COPY" in way, "SHARED" in way, "INPLACE" in way)

    def _send(self, sql: str) -> None:
        self.connection.exec_driver_sql(sql.replace("%", "%%"))


@pytest.mark.only("mysql")
def test_what_is_true_is_what_the_server_does(database: Database) -> None:
    wrong = {}
    with database.engine().connect() as connection:
        server = Server(connection)
        for change in [
            *CHANGES.strip().splitlines(),
            *(OF_MYSQL.strip().splitlines() * (server.database.product == "MySQL")),
        ]:
            table = change.split()[0]
            server.make(table)
            sql = f"ALTER TABLE {change}"
            told, asked = server.told(sql), server.asked(sql)
            # MySQL with its binary log refuses a default that differs from row to row.
            if asked not in (told, None) and not told.endswith("metadata lock"):
                wrong[change] = (told, asked)
    assert wrong == {}


@pytest.mark.only("mysql")
def test_a_requested_algorithm_is_used_or_refused(database: Database) -> None:
    """Exactly the statements that are judged as refused are refused."""
    ways = ("ALGORITHM=INSTANT", "ALGORITHM=INPLACE", "ALGORITHM=COPY", "LOCK=NONE", "LOCK=SHARED", "LOCK=EXCLUSIVE")
    changes = (
        "ADD COLUMN z INT",
        "ADD INDEX q (a)",
        "MODIFY a BIGINT",
        "MODIFY a INT NOT NULL",
        "ADD FULLTEXT (d)",
    )
    with database.engine().connect() as connection:
        server = Server(connection)
        for change in changes:
            for way in (*ways, "ALGORITHM=INSTANT, LOCK=NONE", "ALGORITHM=COPY, LOCK=NONE"):
                server.make("t")
                sql = f"ALTER TABLE t {change}, {way}"
                refused = _refused(lambda sql=sql: connection.exec_driver_sql(sql))  # type: ignore[misc]
                server.make("t")
                schema = Schema(facts=Facts.of(server.database))
                found = [server.judged.with_facts(each, schema, Session()) for each in server.judged.parse(sql)]
                assert bool(server.judged.failure(found[0], Session(), in_transaction=False)) == refused, sql


def _refused(send: Callable[[], Any]) -> bool:
    try:
        send()
    except (sa.exc.DBAPIError, pymysql.err.MySQLError):
        return True
    return False


@pytest.mark.only("mysql")
def test_facts_of_a_table(database: Database) -> None:
    database.execute(f"CREATE TABLE parent ({TABLES['parent']})", f"CREATE TABLE t ({TABLES['t']})")
    database.execute("ALTER TABLE t ADD CONSTRAINT fk FOREIGN KEY (i) REFERENCES parent (id)")
    database.execute("INSERT INTO parent (id) VALUES (1), (2), (3)")
    with database.engine().connect() as connection:
        facts = Facts.of(database_on(connection))
        schema = Schema(facts=facts)
        table, parent = schema.table(Name("t")), schema.table(Name("parent"))
        assert table is not None
        assert parent is not None
        assert (table.empty, parent.empty, schema.table(Name("nothing"))) == (True, False, None)
        assert table.columns["b"].type == "varchar(20)"
        assert (table.columns["c"].nullable, table.columns["a"].nullable) == (False, True)
        assert table.constraints["fk"].columns == ("i",)
        assert table.constraints["PRIMARY"].columns == ("id",)
        assert facts.rows_of("UPDATE parent SET k = 1 WHERE id = 2") == 1
        assert (facts.rows_of("UPDATE parent SET k = 1 WHERE k IS NULL") or 0) >= 3


KINDS = {
    "RENAME TABLE a TO b, c TO d": [op.RENAME_TABLE, op.RENAME_TABLE],
    "LOCK TABLES a WRITE, b AS c READ": [op.LOCK_TABLE, op.LOCK_TABLE],
    "UNLOCK TABLES": [op.COMMIT],
    "SET SESSION foreign_key_checks = 0, @x := 3": [op.SET_SESSION, op.SET_SESSION],
    "SET GLOBAL max_connections = 3": [op.OTHER],
    "TRUNCATE a": [op.TRUNCATE],
    "DROP TABLE IF EXISTS a, `b c`": [op.DROP_TABLE, op.DROP_TABLE],
    "CREATE TABLE a LIKE b": [op.CREATE_TABLE],
    "CREATE TABLE a (id INT PRIMARY KEY) AS SELECT * FROM b": [op.CREATE_TABLE, op.INSERT],
    "REPLACE INTO a SELECT * FROM b": [op.INSERT],
    "CREATE TRIGGER tr BEFORE INSERT ON a FOR EACH ROW BEGIN SET NEW.x = 1; DROP TABLE b; END": [op.CREATE_TRIGGER],
    "CALL fix()": [op.OPAQUE],
    "PREPARE s FROM 'DROP TABLE a'": [op.OPAQUE],
    "BEGIN NOT ATOMIC DROP TABLE a; END": [op.OPAQUE],
    "FLUSH TABLES WITH READ LOCK": [op.OPAQUE],
    "FROBNICATE a": [op.OPAQUE],
    "ALTER TABLE a FROBNICATE": [op.OPAQUE],
    "SELECT 'unterminated": [op.OPAQUE],
    "SELECT 1;; SELECT 2;": [op.OTHER, op.OTHER],
    "/* DROP TABLE a; */ SELECT 1 -- DROP TABLE b": [op.OTHER],
    "/*!50001 DROP TABLE a */": [op.DROP_TABLE],
    "/*M! DROP TABLE a */; SELECT 1": [op.DROP_TABLE, op.OTHER],
    "SET STATEMENT max_statement_time = 1 FOR DROP TABLE a": [op.DROP_TABLE],
    "ALTER TABLE a ADD COLUMN `check` INT, ADD `key` INT": [op.ADD_COLUMN, op.ADD_COLUMN],
    "": [],
}


@pytest.mark.parametrize("sql", KINDS)
def test_what_a_statement_does(sql: str) -> None:
    assert [operation.kind for operation in operations_of(sql)] == KINDS[sql]


ROWS = {
    "UPDATE t SET a = 1": None,
    "UPDATE t SET a = %(a)s WHERE id = %(id)s": 1,
    "UPDATE t SET a = %s WHERE id IN (%s, %s) AND b LIKE 'x%%'": 2,
    "UPDATE t SET a = 1 WHERE id < 50": 49,
    "UPDATE t SET a = 1 WHERE id >= 10 AND id < 20": 10,
    "UPDATE t SET a = 1 WHERE b IS NULL LIMIT 100": 100,
    "DELETE FROM t WHERE id BETWEEN 5 AND 7": 3,
    "DELETE FROM t WHERE id = 1 OR b = 2": None,
    "SELECT * FROM t WHERE id = ? FOR UPDATE": 1,
    "UPDATE t JOIN u ON t.id = u.id SET t.a = u.a": None,
    "INSERT INTO t SELECT * FROM u WHERE id < 10": 9,
}


@pytest.mark.parametrize("sql", ROWS)
def test_how_many_rows_a_statement_is_about(sql: str) -> None:
    (operation,) = operations_of(sql)
    assert operation.rows == ROWS[sql]


def test_the_parser_logs_nothing(caplog: pytest.LogCaptureFixture) -> None:
    operations_of("SELECT 1; REPLACE INTO t VALUES (1); RENAME TABLE a TO b; CREATE INDEX i ON t (a) LOCK=NONE")
    assert caplog.text == ""
