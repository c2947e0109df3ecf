"""The memory of a backfill by a Python function does not grow with the width of a row or the number of rows."""

import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import sqlalchemy as sa
from tests.projects import migrate
from tests.servers import ROOT, Database, numbers

from safeops import backfill, reads

WIDTH, ROWS, NARROW = 100_000, 600, 10_000
MEGABYTES = 64

pytestmark = pytest.mark.only("pg18", "mysql", "sqlite")


def wide_table(database, type_="text"):
    text = f"replace(hex(zeroblob({WIDTH // 2})), '0', 'b')" if database.kind == "sqlite" else f"repeat('b', {WIDTH})"
    wide = f"""'{{"a": "' || {text} || '"}}'""" if type_ != "text" else text
    ids = {
        "postgresql": "SELECT generate_series(1, {0}) AS i",
        "mysql": f"SELECT seq AS i FROM {numbers(1, NARROW)} WHERE seq <= {{0}}",
        "sqlite": "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {0}) SELECT i FROM n",
    }[database.kind]
    type_ = "longtext" if database.kind == "mysql" else type_
    for table, rows, value in (("narrow", NARROW, "'{}'"), ("wide", ROWS, wide)):
        value = f"CAST({value} AS {type_})" if database.kind == "postgresql" else value
        database.execute(
            f"CREATE TABLE {table} (id integer PRIMARY KEY, v {type_}, w {type_})",
            f"INSERT INTO {table} SELECT i, {value}, NULL FROM ({ids.format(rows)}) s",
        )


@reads("v", writes=("w",))
def copied(rows):
    return [{"w": row["v"]} for row in rows]


def peak_kb():
    lines = dict(line.split(":", 1) for line in Path("/proc/self/status").read_text().splitlines())
    return int(lines["VmHWM"].split()[0])


def child(kind, drivername, url):
    """Prints by how much the wide table raises the peak of this process after the narrow one."""
    database = Database(sa.make_url(url), SimpleNamespace(kind=kind, drivername=drivername))
    peaks = []
    for table in ("narrow", "wide"):
        migrate(database, lambda table=table: backfill(table, copied), revision=table)
        peaks.append(peak_kb())
    print(peaks[1] - peaks[0])


def growth(database):
    url = database.url.render_as_string(hide_password=False)
    code = f"import {__name__} as t; t.child({database.kind!r}, {database.server.drivername!r}, {url!r})"
    done = subprocess.run([sys.executable, "-c", code], cwd=ROOT, stdout=subprocess.PIPE, text=True, check=True)
    return int(done.stdout.split()[-1]) / 1024


@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
def test_wide_rows_are_read_and_written_in_portions(database):
    wide_table(database)
    assert growth(database) <= MEGABYTES
    assert database.query("SELECT count(*) FROM wide WHERE w = v") == [(ROWS,)]


@pytest.mark.only("pg18")
@pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="needs Linux")
@pytest.mark.parametrize("type_", ["json", "jsonb"])
def test_wide_documents_too(database, type_):
    wide_table(database, type_)
    assert growth(database) <= MEGABYTES
    assert database.query("SELECT count(*) FROM wide WHERE w::text = v::text") == [(ROWS,)]


def test_wide_rows_among_narrow_ones(database):
    """Some rows come in the first query of a batch, the others later: each gets its value, in the order of the keys."""
    wide = "replace(hex(zeroblob(10000)), '0', 'b')" if database.kind == "sqlite" else "repeat('b', 20000)"
    wide = {"postgresql": f"{wide} || i", "mysql": f"concat({wide}, i)", "sqlite": f"{wide} || i"}[database.kind]
    ids = "WITH RECURSIVE n(i) AS (SELECT 0 UNION ALL SELECT i + 1 FROM n WHERE i < 799) SELECT i FROM n"
    database.execute(
        "CREATE TABLE people (id integer, part integer, v text, w text, PRIMARY KEY (part, id))",
        f"INSERT INTO people SELECT i, i % 2, CASE WHEN i % 3 = 0 THEN {wide} END, NULL FROM ({ids}) s",
    )
    seen = []

    @reads("part", "id", "v", writes=("w",))
    def numbered(rows):
        seen.extend((row["part"], row["id"]) for row in rows)
        return [{"w": f"{row['id']} {len(row['v'] or '')}"} for row in rows]

    report = migrate(database, lambda: backfill("people", numbered, batch_size=800))
    assert (report.rows, seen) == (800, sorted(seen))
    lengths = {i: 20000 + len(str(i)) if i % 3 == 0 else 0 for i in range(800)}
    assert database.query("SELECT id, w FROM people ORDER BY id") == [(i, f"{i} {lengths[i]}") for i in range(800)]


@pytest.mark.only("pg18", "sqlite")
def test_a_trigger_deletes_all_rows_of_the_next_portion(database):
    wide_table(database)
    first = "CREATE TRIGGER once AFTER UPDATE ON wide"
    delete = "DELETE FROM wide WHERE id BETWEEN 2 AND 599"
    if database.kind == "postgresql":
        database.execute(
            f"CREATE FUNCTION thin() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN {delete}; RETURN NULL; END'",
            f"{first} FOR EACH STATEMENT EXECUTE FUNCTION thin()",
        )
    else:
        database.execute(f"{first} BEGIN {delete}; END")
    migrate(database, lambda: backfill("wide", copied, batch_size=ROWS))
    assert database.query("SELECT id, length(w) FROM wide ORDER BY id") == [(1, WIDTH), (ROWS, WIDTH)]
