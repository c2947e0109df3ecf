"""A whole rehearsal on a copy that a test makes: what revisions of known truth do is reported, and judged."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from tests.runner.deploys import Deploy
from tests.servers import Database
from tests.whole import alike

from safeops.naming import Name
from safeops.rehearse.copying import Copy
from safeops.rehearse.rehearsing import Asked, Rehearsing
from safeops.rehearse.result import Rehearsal
from safeops.rehearse.running import run_up

ROWS = 20_000
USERS = """CREATE TABLE users (id SERIAL PRIMARY KEY, name text NOT NULL, points integer NOT NULL DEFAULT 0)"""
FILL = f"INSERT INTO users (name) SELECT 'name ' || i FROM generate_series(1, {ROWS}) i"
OTHER = "CREATE TABLE other (id SERIAL PRIMARY KEY, note text)"


def rehearsed(database: Database, folder: Path, revision: tuple[str, str], **asked: Any) -> Rehearsal:
    database.execute(USERS, FILL, OTHER, "ANALYZE")
    project = Deploy(folder, database, {"r1": ("pass", "pass"), "r2": revision})
    run_up(project.config, "r1")
    copy = Copy(project.config, database.engine(), "r1", {Name("users", "public"): ROWS}, "filled")
    return Rehearsing(copy, Asked(**{"before": 0.5, "after": 0.5, **asked})).run()


ONLINE = ('create_index_if_missing("ix", "users", ["name"])', 'drop_index_if_exists("ix", "users")')
BLOCKING = (
    """op.execute("SET LOCAL statement_timeout = '1min'")
op.create_index("ix", "users", ["name"])
op.execute("SELECT pg_sleep(3)")""",
    'op.drop_index("ix", "users")',
)


@pytest.mark.only("pg18")
def test_an_index_that_is_built_online_passes(database: Database, tmp_path: Path) -> None:
    found = rehearsed(database, tmp_path, ONLINE, max_wait=60.0)
    assert found.verdict.findings == (), found.summary
    assert found.exit_status == 0 and found.summary.startswith("Ready: ")
    report = found.as_json()
    (build,) = [one for one in report["statements"] if "CREATE INDEX" in one["sql"]]
    # On a busy machine a build of milliseconds can end between two samples, and is not called free then.
    assert (build["seen"], build["locks"], build["effect"]) in (
        ("sampled", {"public.users": "SHARE UPDATE EXCLUSIVE"}, "free"),
        ("not seen", {}, "unknown"),
    )
    assert report["traffic"]["writes"] > 0 and report["traffic"]["lost"] == 0 and report["traffic"]["errors"] == []
    assert report["back"]["same_schema"] and report["back"]["same_rows"] and report["back"]["again_same"]


@pytest.mark.only("pg18")
def test_a_blocking_build_misses_the_budget(database: Database, tmp_path: Path) -> None:
    found = rehearsed(database, tmp_path, BLOCKING, max_wait=1.5)
    assert found.exit_status == 1
    (missed,) = [one for one in found.verdict.findings if one.kind == "wait"]
    assert "CREATE INDEX ix" in missed.sql and "public.users" in missed.what
    assert missed.instead.startswith("create_index_if_missing(") and missed.rule == "index-blocks-writes"
    assert missed.as_json()["rule"] == missed.rule
    report = found.as_json()
    (build,) = [one for one in report["statements"] if "CREATE INDEX" in one["sql"]]
    assert build["locks"] == {"public.users": "SHARE"} and build["effect"] == "writes wait"
    assert build["built"] == ["public.users"] and build["rewrote"] == []
    # Its pages are logged; so is what the traffic wrote.
    assert build["wal_bytes"] > ROWS * 10 and "also for the traffic" in " ".join(report["measured"])
    assert report["disk_bytes"] > 0 and report["temporary_bytes"] is not None
    # As long as the writer of the traffic itself measured.
    during = report["traffic"]["during"]["public.users"]["writes"]["longest"]
    assert alike(build["longest_wait"], during)


@pytest.mark.only("pg18")
def test_percent_signs_in_names(database: Database, tmp_path: Path) -> None:
    database.execute(
        'CREATE TABLE "50%" (id serial PRIMARY KEY, "a%b" text)', """INSERT INTO "50%" ("a%b") VALUES ('x')"""
    )
    percent = ('op.add_column("50%", sa.Column("c%d", sa.Text))', 'op.drop_column("50%", "c%d")')
    found = rehearsed(database, tmp_path, percent, max_wait=60.0)
    (added,) = [one for one in found.as_json()["statements"] if "ADD COLUMN" in one["sql"] and one["direction"] == "up"]
    assert added["sql"] == 'ALTER TABLE "50%" ADD COLUMN "c%d" TEXT'
    assert found.run.works_on(Name("50%", "public"))
    assert "public.50%" in found.as_json()["traffic"]["during"]


@pytest.mark.only("pg18")
def test_a_downgrade_that_loses_values_is_found_next_to_traffic(database: Database, tmp_path: Path) -> None:
    lossy = ('backfill("users", {"name": sa.text("upper(name)")}, where=sa.true())', 'forget_backfill("r2/users/name")')
    found = rehearsed(database, tmp_path, lossy)
    (missed,) = [one for one in found.verdict.findings if one.kind == "downgrade"]
    assert "rows differ" in missed.what and "public.users: at least" in missed.why
    assert found.exit_status == 1


@pytest.mark.only("pg18")
def test_rows_that_a_comment_accepts_to_lose(database: Database, tmp_path: Path) -> None:
    lossy = "# safeops: allow lossy-downgrade -- the names stay\nop.execute('UPDATE users SET name = upper(name)')"
    found = rehearsed(database, tmp_path, (lossy, "pass"), max_wait=60.0, traffic="none")
    assert found.verdict.findings == (), found.summary
    assert found.as_json()["back"]["same_rows"] is None
    assert "A comment in r2 accepts that its downgrade does not restore all rows." in found.measured


@pytest.mark.only("pg18")
def test_rows_that_an_update_holds_are_not_called_free(database: Database, tmp_path: Path) -> None:
    held = "op.execute('UPDATE users SET points = points + 1'); op.execute('SELECT pg_sleep(0.3)')"
    back = "op.execute('UPDATE users SET points = points - 1')"
    found = rehearsed(database, tmp_path, (held, back), max_wait=60.0, traffic="none")
    (update,) = [
        one for one in found.as_json()["statements"] if "UPDATE users" in one["sql"] and one["direction"] == "up"
    ]
    assert (update["locks"], update["effect"]) == ({"public.users": "ROW EXCLUSIVE"}, "rows wait")


UPPER = """op.execute("UPDATE users SET name = upper(name)")
op.execute("DELETE FROM users WHERE points < 0")"""
LOWER = 'op.execute("UPDATE users SET name = lower(name)")'


@pytest.mark.only("pg18")
def test_values_that_a_plain_statement_changes_in_place_are_not_lost(database: Database, tmp_path: Path) -> None:
    found = rehearsed(database, tmp_path, (UPPER, LOWER), max_wait=60.0)
    assert found.verdict.findings == (), found.summary
    traffic = found.as_json()["traffic"]
    note = "public.users.name: what a revision makes of the values is not compared."
    assert traffic["compared_rows"] > 0 and traffic["not_compared"] == [note]


@pytest.mark.only("pg18")
def test_statements_of_the_running_release_that_fail(database: Database, tmp_path: Path) -> None:
    dropped = (
        'op.execute("ALTER TABLE users DROP COLUMN points")',
        'op.execute("ALTER TABLE users ADD COLUMN points int NOT NULL DEFAULT 0")',
    )
    found = rehearsed(database, tmp_path, dropped)
    errors = [one for one in found.verdict.findings if one.kind == "errors"]
    assert errors and "points" in errors[0].what
    assert found.exit_status == 1


@pytest.mark.only("pg18")
def test_without_traffic_only_the_time_and_the_downgrade_are_judged(database: Database, tmp_path: Path) -> None:
    found = rehearsed(
        database, tmp_path, ('op.execute("SELECT pg_sleep(0.6)")', "pass"), traffic="none", max_seconds=0.5
    )
    assert [one.kind for one in found.verdict.findings] == ["time"]
    assert found.as_json()["traffic"] is None


@pytest.mark.only("pg18")
def test_nothing_is_pending(database: Database, tmp_path: Path) -> None:
    database.execute(USERS)
    project = Deploy(tmp_path, database, {"r1": ("pass", "pass")})
    run_up(project.config, "r1")
    found = Rehearsing(Copy(project.config, database.engine(), "r1", {}, "filled"), Asked()).run()
    assert found.exit_status == 0 and "Nothing is pending" in found.summary


@pytest.mark.only("pg18")
def test_a_table_that_is_dropped_is_shown_with_its_lock(database: Database, tmp_path: Path) -> None:
    dropped = (
        'op.drop_table("other")',
        'op.create_table("other", sa.Column("id", sa.Integer, primary_key=True), sa.Column("note", sa.Text))',
    )
    found = rehearsed(database, tmp_path, dropped, traffic="none")
    (drop,) = [one for one in found.as_json()["statements"] if "DROP TABLE" in one["sql"]]
    assert drop["locks"] == {"public.other": "ACCESS EXCLUSIVE"}
