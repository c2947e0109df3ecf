"""What a plan knows to be refused is refused before an upgrade begins, and nothing else is."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.catalogue import assert_same, definitions
from tests.plans.test_words import decisions, other_words
from tests.runner.deploys import Deploy, said, table
from tests.servers import Database

from safeops.runner.upgrades import upgrade

pytestmark = pytest.mark.only("pg18", "mariadb", "sqlite")

T = ("op.execute('CREATE TABLE t (id int PRIMARY KEY, u int, c varchar(9))')", "op.execute('DROP TABLE t')")
DROP = 'drop_column_if_exists("t", "u")'
DOTS = 'add_required_column("t", sa.Column("r", sa.Integer, nullable=False), populate=...)'
MISSING = 'create_index_if_missing("ix", "t", ["nope"])'
REWRITE = 'alter_column_type("t", "c", sa.Integer())'


def deploy(folder: Path, database: Database, *bodies: str) -> Deploy:
    """A project whose table is there, with these revisions pending."""
    made = Deploy(folder, database, {"r0": T})
    assert made.main("upgrade") == 0
    database.execute("INSERT INTO t VALUES (1, 1, '7')")
    for number, body in enumerate(bodies, 1):
        made.write(f"r{number}", body, down=f"r{number - 1}")
    return made


REFUSED = {
    "three dots": [f"{DROP}\n{DOTS}"],
    "after another table": [f"{table('n')[0]}\n{DROP}\n{DOTS}"],
    "in the second revision": [DROP, DOTS],
    "a column that is not there": [f"{table('n')[0]}\n{MISSING}"],
    "after raw SQL of another table": ["op.execute('CREATE TABLE n (id int)')", MISSING],
    "a rewrite": [f"{DROP}\n{REWRITE}"],
}


@pytest.mark.parametrize("kind", REFUSED)
def test_it_is_refused_before_anything_is_touched(
    database: Database, tmp_path: Path, kind: str, capsys: pytest.CaptureFixture[str]
) -> None:
    if kind == "a rewrite" and database.kind == "sqlite":
        pytest.skip("SQLite changes a type by editing the table's text")
    made = deploy(tmp_path, database, *REFUSED[kind])
    before = definitions(database)
    assert made.main("upgrade", "--backup") == 3
    told = said(capsys)
    assert f"r{len(REFUSED[kind])}: " in told and "would be refused" in told
    assert "Nothing was changed" in told
    assert_same(before, definitions(database), "the schema")
    assert made.current() == ("r0",)
    assert not (tmp_path / "backups").exists()


MAY_GO_WELL = {
    "its column comes first": ['add_column_if_missing("t", sa.Column("nope", sa.Integer))', MISSING],
    "its column comes by raw SQL": ["op.execute('ALTER TABLE t ADD COLUMN nope int')", MISSING],
    "its table comes first": [
        table("n", 'sa.Column("a", sa.Integer)')[0],
        'create_index_if_missing("ixn", "n", ["a"])\ndrop_column_if_exists("n", "a")',
    ],
    "the rows are filled first": ['op.execute("UPDATE t SET u = 1")', 'enforce_not_null("t", "u")'],
    "code that shows nothing comes first": [
        "op.get_bind().exec_driver_sql(' '.join(['ALTER', 'TABLE', chr(116), 'ADD', 'COLUMN nope int']))",
        MISSING,
    ],
    "a backfill comes first": ['backfill("t", {"u": sa.text("1")})', 'enforce_not_null("t", "u")'],
    "a dropped index makes way": [
        'create_index_if_missing("ix", "t", ["c"])',
        'drop_index_if_exists("ix", "t")\ncreate_index_if_missing("ix", "t", ["u"])',
    ],
    "raw SQL drops what has the name": [
        'create_index_if_missing("ix", "t", ["c"])',
        "drop_index_if_exists('ix', 't')",
        'create_index_if_missing("ix", "t", ["u"])',
    ],
}


@pytest.mark.parametrize("kind", MAY_GO_WELL)
def test_a_revision_that_rests_on_an_earlier_one_is_not_refused(database: Database, tmp_path: Path, kind: str) -> None:
    made = deploy(tmp_path, database, *MAY_GO_WELL[kind])
    database.execute("UPDATE t SET u = NULL")
    upgrade(made.config)
    assert made.current() == (f"r{len(MAY_GO_WELL[kind])}",)


@pytest.mark.parametrize("kind", [*REFUSED, *MAY_GO_WELL])
def test_the_words_of_an_error_decide_nothing(database: Database, tmp_path: Path, kind: str) -> None:
    made = deploy(tmp_path, database, *(REFUSED | MAY_GO_WELL)[kind])
    own = decisions(made)
    with other_words():
        assert decisions(made) == own
