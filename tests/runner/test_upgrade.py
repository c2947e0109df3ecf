"""``safeops upgrade``: pre-flight checks, one runner at a time, and messages if something fails."""

from __future__ import annotations

import dataclasses
import http.server
import json
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from tests.runner.deploys import ONE_EACH, Deploy, gate, printed, said, table, until
from tests.runner.hoard import EACH, with_user
from tests.servers import Database

from safeops.errors import InvalidArgument, LockNotAcquired, RevisionFailed, TransactionNotOurs, Unhealthy
from safeops.runner.planning import plan
from safeops.runner.upgrades import upgrade

THREE = {"r1": table("one"), "r2": table("two"), "r3": table("three")}


@EACH
def test_it_runs_what_is_pending_and_then_finds_nothing(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    project = Deploy(tmp_path, database, THREE)
    assert project.main("upgrade", "r1") == 0
    assert "  r1 " in capsys.readouterr().out
    assert project.main("upgrade", "--json") == 0
    done = printed(capsys)
    assert (done["before"], done["current"], [one["revision"] for one in done["revisions"]]) == (
        ["r1"],
        ["r3"],
        ["r2", "r3"],
    )
    assert project.main("upgrade") == 0
    assert said(capsys).endswith("Nothing to do: the database is at r3.\n")


@ONE_EACH
def test_a_backup_is_made_first(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, THREE)
    assert project.main("upgrade", "--backup-to", str(tmp_path / "kept"), "--json") == 0
    backup = Path(printed(capsys)["backup"])
    assert backup.parent == tmp_path / "kept" and "-base." in backup.name
    assert project.main("upgrade", "--backup-to", str(tmp_path / "kept")) == 0
    assert len(list((tmp_path / "kept").glob("*-base.*"))) == 2


@ONE_EACH
def test_a_dry_run_is_a_plan(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    database.execute("CREATE TABLE anything (a integer)")
    project = Deploy(tmp_path, database, THREE)
    assert project.main("upgrade", "heads", "--dry-run", "--json") == 1
    assert [one["revision"] for one in printed(capsys)["revisions"]] == list(THREE)
    assert project.current() == ()


# Failures ------------------------------------------------------------------------------------------------------


@EACH
def test_a_revision_that_fails_reports_what_is_kept_and_running_again_continues(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    bad = f'{THREE["r2"][0]}\nop.execute("SELECT * FROM nowhere")'
    project = Deploy(tmp_path, database, {**THREE, "r2": (bad, THREE["r2"][1])})
    assert project.main("upgrade") == 4
    text = " ".join(said(capsys).split())
    assert "Revision r2 failed after" in text and "at r2.py:" in text and "nowhere" in text
    assert "The database is at r1. Completed in this run: r1." in text
    assert ("rolled back" in text) == (database.kind == "postgresql")
    assert project.current() == ("r1",)
    project.write("r2", *THREE["r2"], down="r1")
    assert [one.revision for one in upgrade(project.config).revisions] == ["r2", "r3"]


@ONE_EACH
def test_all_revisions_in_one_transaction(database: Database, tmp_path: Path) -> None:
    raw = {name: (f"op.execute('CREATE TABLE {name} (a int)')", "pass") for name in ("r1", "r2")}
    project = Deploy(tmp_path, database, {**raw, "r3": ("op.execute('SELECT * FROM nowhere')", "pass")})
    env = tmp_path / "migrations/env.py"
    env.write_text(env.read_text().replace("transaction_per_migration=True", "transaction_per_migration=False"))
    with pytest.raises(RevisionFailed) as raised:
        upgrade(project.config)
    stands = "no revision. Also rolled back" if database.kind == "postgresql" else "r2. Completed in this run: r1, r2."
    assert f"The database is at {stands}" in str(raised.value)
    assert ("one transaction: r1, r2" in str(raised.value)) == (database.kind == "postgresql")
    assert project.current() == (() if database.kind == "postgresql" else ("r2",))


@ONE_EACH
def test_several_heads(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one")})
    for name in ("a", "b"):
        project.write(name, *table(name), down="r1")
    for refused in (("upgrade",), ("upgrade", "--dry-run"), ("plan", "head")):
        assert project.main(*refused) == 3
        assert "safeops heads --merge" in said(capsys)
    assert project.main("plan") == 1
    assert project.current() == ()
    assert project.main("upgrade", "heads") == 0
    assert set(project.current()) == {"a", "b"}


@ONE_EACH
def test_unknown_revisions(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, THREE)
    assert project.main("upgrade", "r1") == 0
    for revision in ("r9", "+9", "r2+9", "", "-x"):
        for verb in ("upgrade", "plan"):
            assert project.main(verb, "--", revision) == 4
            assert f"There is no upgrade to {revision}: " in said(capsys)
    assert project.main("upgrade") == 0
    with pytest.raises(InvalidArgument, match="There is no downgrade to r9"):
        plan(project.config, "r9", down=True)
    said(capsys)
    (tmp_path / "migrations/versions/r3.py").unlink()
    for verb in ("upgrade", "plan"):
        assert project.main(verb, "--json") == 3
        error = printed(capsys)["error"]
        assert error["number"] == "S704" and "The database is at r3, but no file has that revision" in error["message"]


@pytest.mark.only("pg15", "pg18", "mysql")
def test_a_user_who_cannot_connect_gets_an_explanation_without_the_password(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    right = with_user(database, "deployer", "right")
    urls = {"wrong": right.url.set(password="s3cret-x"), "lost": right.url.set(database="no_such", password="right")}
    for name, url in urls.items():
        project = Deploy(tmp_path / name, dataclasses.replace(right, url=url), THREE)
        assert project.main("upgrade") == 4
        text = said(capsys)
        assert "The database cannot be reached" in text
        assert "s3cret-x" not in text


@pytest.mark.only("pg15", "pg18")
def test_who_may_only_read(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path / "whole", database, THREE)
    project.main("upgrade", "r1")
    reader = with_user(database, "who_only_reads", "x")
    database.execute(
        "ALTER TABLE alembic_version OWNER TO CURRENT_USER", "GRANT SELECT ON alembic_version TO who_only_reads"
    )
    database.execute(
        f'ALTER DATABASE "{database.name}" OWNER TO CURRENT_USER', "ALTER SCHEMA public OWNER TO CURRENT_USER"
    )
    database.execute("REVOKE CREATE ON SCHEMA public FROM who_only_reads, PUBLIC")
    reading = Deploy(tmp_path / "reader", reader, THREE)
    assert reading.main("upgrade") == 4
    text = " ".join(said(capsys).split())
    assert "permission denied" in text and "The database is at r1." in text
    database.execute("ALTER ROLE who_only_reads SET default_transaction_read_only = on")
    assert reading.main("upgrade") == 3
    assert "Cannot write to" in said(capsys)


@ONE_EACH
def test_an_env_that_loses_everything_is_found_out(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {"r1": ("op.execute('CREATE TABLE one (a int)')", "pass")})
    env = tmp_path / "migrations/env.py"
    lost = 'connection.execute(sa.text("SELECT 1")); context.configure(connection=connection'
    env.write_text(env.read_text().replace("context.configure(connection=connection", lost))
    with pytest.raises(TransactionNotOurs, match="is still at its earlier revision"):
        upgrade(project.config)


@pytest.mark.only("pg15", "pg18", "mysql")
def test_a_transaction_that_may_block_is_named(
    database: Database, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("safeops.runner.readiness.OLD", 0)
    database.execute("CREATE TABLE held (id integer PRIMARY KEY)")
    project = Deploy(tmp_path, database, THREE)
    found: list[str] = []
    with closing(database.observer().connect()) as other:
        other.exec_driver_sql("INSERT INTO held VALUES (1)")
        until(lambda: _seconds_open(database) >= 1)
        upgrade(project.config, warn=found.append)
    assert any(one.startswith("An open transaction may block a step: ") for one in found)
    assert project.current() == ("r3",)


def _seconds_open(database: Database) -> float:
    questions = {
        "postgresql": "SELECT max(extract(epoch FROM clock_timestamp() - xact_start)) FROM pg_stat_activity"
        " WHERE datname = current_database() AND pid <> pg_backend_pid()",
        "mysql": "SELECT MAX(TIMESTAMPDIFF(SECOND, trx_started, NOW())) FROM information_schema.INNODB_TRX",
    }
    return float(database.query(questions[database.kind])[0][0] or 0)


HASTY = """
from safeops import configure
configure(lock_timeout=0.2)

def engine_of(begins):
    engine = sa.create_engine(URL, poolclass=sa.pool.NullPool, connect_args={"timeout": 0.2})
    if begins:
        sa.event.listen(engine, "connect", lambda driver, _: setattr(driver, "isolation_level", None))
        sa.event.listen(engine, "begin", lambda connection: connection.exec_driver_sql("BEGIN"))
    return engine
"""


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("begins", [False, True])
def test_the_first_read_waits_for_a_locked_file_too(database: Database, tmp_path: Path, begins: bool) -> None:
    project = Deploy(tmp_path, database, THREE, before=HASTY, engine=f"engine_of({begins})")
    upgrade(project.config, "r1")
    with closing(sqlite3.connect(database.url.database, isolation_level=None, check_same_thread=False)) as holder:
        holder.execute("BEGIN EXCLUSIVE")
        timer = threading.Timer(1.0, holder.execute, ["COMMIT"])
        timer.start()
        assert [one.revision for one in upgrade(project.config).revisions] == ["r2", "r3"]
        timer.join()


# Two at once ----------------------------------------------------------------------------------------------------


@EACH
def test_the_second_runner_waits_and_finds_nothing_or_gives_up(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {"r1": (gate(tmp_path, "r1") + THREE["r1"][0], "pass"), "r2": THREE["r2"]})
    with project.start("upgrade") as first:
        until((tmp_path / "at_r1").exists)
        with pytest.raises(LockNotAcquired, match="another runner") as raised:
            upgrade(project.config, wait=0)
        assert "pid" in str(raised.value) or "session" in str(raised.value)
        with project.start("upgrade", "--no-wait") as hasty:
            assert hasty.wait() == 3
        with project.start("upgrade") as second:
            assert second.stderr is not None
            assert "waiting for another runner" in second.stderr.readline()
            (tmp_path / "go").touch()
            assert first.wait() == 0
            assert second.wait() == 0
            assert second.stdout is not None and "Nothing to do" in second.stdout.read()
    assert project.current() == ("r2",)


@ONE_EACH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_wait(database: Database, tmp_path: Path, number: signal.Signals) -> None:
    is_async = database.kind == "postgresql"
    driver = database.with_driver("asyncpg") if is_async else database
    project = Deploy(tmp_path, driver, {"r1": (gate(tmp_path, "r1") + THREE["r1"][0], "pass")}, is_async=is_async)
    with project.start("upgrade") as first:
        until((tmp_path / "at_r1").exists)
        with project.start("upgrade", "--json") as second:
            assert second.stderr is not None and second.stdout is not None
            waiting = second.stderr.readline()
            assert "waiting for another runner" in waiting
            if database.kind == "postgresql":
                holder = " ".join((waiting + second.stderr.readline()).split())
                assert f"application 'safeops, pid {first.pid} on " in holder
            second.send_signal(number)
            told = json.loads(second.stdout.read())
            assert f"Stopped by {number.name} while another runner was migrating" in told["error"]["message"]
            assert second.wait() == 3
        (tmp_path / "go").touch()
        assert first.wait() == 0
    assert project.current() == ("r1",)


@EACH
def test_a_killed_runner_blocks_no_other_runner(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {"r1": THREE["r1"], "r2": (gate(tmp_path, "r2") + THREE["r2"][0], "pass")})
    with project.start("upgrade") as runner:
        until((tmp_path / "at_r2").exists)
        runner.kill()
    (tmp_path / "go").touch()
    assert [one.revision for one in upgrade(project.config, wait=20).revisions] == ["r2"]


@ONE_EACH
@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_stops_it_between_two_revisions(database: Database, tmp_path: Path, number: signal.Signals) -> None:
    project = Deploy(tmp_path, database, {"r1": (gate(tmp_path, "r1") + THREE["r1"][0], "pass"), "r2": THREE["r2"]})
    with project.start("upgrade") as runner:
        until((tmp_path / "at_r1").exists)
        runner.send_signal(number)
        (tmp_path / "go").touch()
        assert runner.wait() == 3
        assert runner.stdout is not None and f"Stopped by {number.name}" in runner.stdout.read()
    assert project.current() == ("r1",)
    assert [one.revision for one in upgrade(project.config).revisions] == ["r2"]


@ONE_EACH
def test_a_signal_in_a_backfill_does_not_count_as_a_failure(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE users (id integer PRIMARY KEY, name varchar(20))")
    database.execute(*[f"INSERT INTO users (id) VALUES ({number})" for number in range(20)])
    seen = tmp_path / "seen"
    progress = f"progress=lambda _: pathlib.Path({str(seen)!r}).touch()"
    fill = f'backfill("users", {{"name": "x"}}, batch_size=1, pause=0.1, {progress})'
    project = Deploy(tmp_path, database, {"r1": (fill, "pass")})
    with project.start("upgrade", "r1") as runner:
        until(seen.exists)
        runner.send_signal(signal.SIGTERM)
        assert runner.stderr is not None
        text = " ".join(runner.stderr.read().split())
        assert runner.wait() == 3
    assert "Revision r1 was stopped after " in text and "the cause" not in text
    assert f"Run again to continue: safeops -c {project.folder}/alembic.ini upgrade r1" in text


@pytest.mark.only("pg18")
def test_a_revision_that_ends_the_transaction_is_named(database: Database, tmp_path: Path) -> None:
    database.execute("CREATE TABLE users (id integer PRIMARY KEY)")
    ends = 'op.execute("INSERT INTO users VALUES (1)")\nop.get_bind().commit()'
    with pytest.raises(TransactionNotOurs) as raised:
        upgrade(Deploy(tmp_path, database, {"r1": (ends, "pass")}).config)
    text = str(raised.value)
    assert "A revision committed or rolled back the connection itself" in text
    assert "running again is safe" not in text and "is kept, and would be done again" in text
    assert database.query("SELECT * FROM users") == [(1,)]


# Health ---------------------------------------------------------------------------------------------------------


@contextmanager
def answering(*statuses: int) -> Iterator[str]:
    """A server that answers with these, one after the other, and then always with the last."""
    left = list(statuses)

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(left.pop(0) if len(left) > 1 else left[0])
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/health"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.mark.only("sqlite")
def test_the_application_may_take_some_time(database: Database, tmp_path: Path) -> None:
    with answering(503, 200) as url:
        upgrade(Deploy(tmp_path, database, THREE).config, health_check=url)


@ONE_EACH
def test_an_ill_application(database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    project = Deploy(tmp_path, database, THREE)
    upgrade(project.config, "r1")
    with answering(500) as url, pytest.raises(Unhealthy, match="answered 500") as raised:
        upgrade(project.config, health_check=url, health_patience=0, rollback_on_failure=True)
    assert "The upgrade was rolled back: the database is at r1 again." in str(raised.value)
    assert project.current() == ("r1",)
    assert project.main("upgrade", "--health-check", "echo no >&2; exit 7", "--health-patience", "0") == 4
    text = " ".join(said(capsys).split())
    assert "exited with 7: no" in text and "The upgrade is kept: the database is at r3." in text
    assert f"safeops -c {tmp_path}/alembic.ini rollback -2" in text


@pytest.mark.only("sqlite")
def test_a_health_check_that_is_stopped_rolls_nothing_back(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, THREE)
    asked = tmp_path / "asked"
    check = ["--health-check", f"touch {asked}; exit 1", "--health-patience", "60", "--rollback-on-failure"]
    with project.start("upgrade", *check) as runner:
        until(asked.exists)
        runner.send_signal(signal.SIGTERM)
        assert runner.wait() == 4
        assert runner.stderr is not None
        text = " ".join(runner.stderr.read().split())
    assert "its health check was stopped by SIGTERM" in text and "The upgrade is kept: the database is at r3." in text
    assert project.current() == ("r3",)


@pytest.mark.only("sqlite")
def test_a_health_check_that_answers_badly_is_an_ill_application(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, THREE)
    with closing(socket.create_server(("127.0.0.1", 0))) as server:

        def answer() -> None:
            with server.accept()[0] as caller:
                caller.recv(4096)
                caller.sendall(b"garbage\r\n")
            with server.accept()[0] as caller, suppress(OSError):
                for _ in range(30):
                    caller.sendall(b"H")
                    time.sleep(0.1)

        threading.Thread(target=answer).start()
        url = f"http://127.0.0.1:{server.getsockname()[1]}/"
        checks = {
            url: "did not answer: BadStatusLine: garbage",
            f"{url}drips": "after 1 s: .* took longer than 1 s",
            "printf '\\377\\n'; exit 1": "exited with 1",
            "\0": "could not be run",
            # The shell's child would hold its pipe open.
            "sleep 30; true": "after 1 s: the command took longer than 1 s",
        }
        for check, why in checks.items():
            with pytest.raises(Unhealthy, match=why):
                upgrade(project.config, health_check=check, health_patience=0.5, rollback_on_failure=True)
            assert project.current() == ()


@pytest.mark.only("sqlite")
@pytest.mark.parametrize(
    "check", ["http://localhost:8765/a b", "http://[bad/", "HTTP://", "http://h:99999/", "https://u:secret@h/", ""]
)
def test_a_health_check_that_is_impossible(database: Database, tmp_path: Path, check: str) -> None:
    project = Deploy(tmp_path, database, THREE)
    with pytest.raises(InvalidArgument, match="This health check cannot be made") as raised:
        upgrade(project.config, health_check=check)
    assert "secret" not in str(raised.value)
    assert project.current() == ()


@pytest.mark.only("sqlite")
def test_a_rollback_that_fails_after_a_failed_health_check(database: Database, tmp_path: Path) -> None:
    project = Deploy(tmp_path, database, {**THREE, "r2": (THREE["r2"][0], 'irreversible("because")')})
    with pytest.raises(RevisionFailed, match="The rollback failed too") as raised:
        upgrade(project.config, health_check="exit 1", health_patience=0, rollback_on_failure=True)
    assert "The database is at r2." in str(raised.value)
    with pytest.raises(InvalidArgument, match="needs a health check"):
        upgrade(project.config, rollback_on_failure=True)


@pytest.mark.only("pg18")
def test_an_asynchronous_env(database: Database, tmp_path: Path) -> None:
    from tests.projects import Project

    driver = database.with_driver("asyncpg")
    project = Project(tmp_path, driver, THREE, env="async", imports="from safeops import *")
    assert [one.revision for one in upgrade(project.config).revisions] == ["r1", "r2", "r3"]
