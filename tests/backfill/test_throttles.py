"""The throttles that query a server, on real ones: busy sessions, and primaries whose replica lags and stops."""

import socket
import subprocess
import time
from contextlib import ExitStack, contextmanager

import pytest
from tests.backfill.replication import autocommit, busy, progress, replicating, standby, until
from tests.servers import MissingServer, _fail_or_skip, _unprivileged

from safeops.backfilling import replicas
from safeops.backfilling.throttles import active_sessions, replica_lag
from safeops.errors import BackfillStopped, UnsupportedOnDatabase

MAX = 0.3
"""Seconds that a replica may be behind here."""
GIVE_UP = 0.4


def pair_of(config, name, started):
    chosen = config.getoption("--databases")
    if chosen is not None and name not in chosen.split(","):
        pytest.skip(f"{name} is not among --databases")
    try:
        return started()
    except MissingServer as error:
        return _fail_or_skip(error)


@pytest.fixture(scope="module", params=["pg18", "pg14"])
def postgresql(request):
    with ExitStack() as stack:
        yield pair_of(request.config, request.param, lambda: stack.enter_context(standby(request.param)))


@pytest.fixture(scope="module", params=["mariadb", "mysql97"])
def mysql(request):
    with ExitStack() as stack:
        yield pair_of(request.config, request.param, lambda: stack.enter_context(replicating(request.param)))


@pytest.fixture(params=["connected", "urls"])
def lag(request, postgresql):
    """Makes throttles of one kind and the other."""

    def make(max_seconds=MAX, **options):
        urls = [postgresql.replica_url()] if request.param == "urls" else []
        return replica_lag(max_seconds, urls=urls, **options)

    return make


@contextmanager
def paused(replica):
    replica.pause()
    try:
        yield
    finally:
        replica.resume()


@contextmanager
def killed(replica):
    replica.kill9()
    try:
        yield
    finally:
        replica.start()


def stopped_by(pair, throttle):
    """Calls the throttle until it gives up, and returns its error."""
    began = time.monotonic()
    with pytest.raises(BackfillStopped) as raised:
        until(pair.asked(throttle), lambda reason: reason is None, "the throttle to give up")
    assert time.monotonic() - began >= GIVE_UP * 0.9
    assert "the lag of the replicas is unknown" in str(raised.value)
    return str(raised.value)


class TestReplicaLagOnPostgreSQL:
    def test_continues_while_the_replica_keeps_up(self, postgresql, lag):
        throttle = lag(5.0)
        postgresql.goes_on(throttle)
        postgresql.goes_on(throttle)

    def test_holds_while_replay_is_paused(self, postgresql, lag):
        throttle = lag()
        postgresql.goes_on(throttle)
        with paused(postgresql.replica):
            reason = postgresql.holds(throttle, f"behind, more than {MAX:g} s")
            assert reason.startswith("replica 127.0.0.1")
        postgresql.goes_on(throttle)

    def test_holds_also_while_nothing_more_is_written(self, postgresql, lag):
        throttle = lag()
        postgresql.goes_on(throttle)
        with paused(postgresql.replica):
            postgresql.write()
            now = progress(postgresql.connection)
            until(lambda: throttle(now), lambda reason: reason and "more than" in reason, "it to hold")
        until(lambda: throttle(now), lambda reason: reason is None, "it to go on")

    def test_a_replica_that_lagged_before_holds_from_the_first_look(self, postgresql, lag):
        throttle = lag(600.0)
        with paused(postgresql.replica):
            postgresql.write()
            until(lambda: _replays_less(postgresql), bool, "the replica to be behind")
            reason = throttle(progress(postgresql.connection))
            assert "has not replayed the first position that this throttle saw" in reason
        postgresql.goes_on(throttle)

    def test_works_in_a_transaction(self, postgresql, lag):
        throttle = lag()
        with postgresql.connection.engine.execution_options(isolation_level="READ COMMITTED").begin() as connection:
            now = progress(connection)
            until(lambda: throttle(now), lambda reason: reason is None, "it to go on")
            with paused(postgresql.replica):
                postgresql.write()
                until(lambda: throttle(now), lambda reason: reason and "more than" in reason, "it to hold")
            until(lambda: throttle(now), lambda reason: reason is None, "it to go on")

    def test_a_user_without_the_right_gets_an_error(self, postgresql):
        postgresql.primary.admin.execute("CREATE ROLE low LOGIN")
        try:
            with autocommit(postgresql.url.set(username="low")) as connection:
                reason = replica_lag(MAX)(progress(connection))
                assert "grant it the role pg_monitor" in reason
                # The replica itself reports it to any user.
                throttle = replica_lag(5.0, urls=[postgresql.replica_url(username="low")])
                until(lambda: throttle(progress(connection)), lambda reason: reason is None, "it to go on")
                postgresql.primary.admin.execute("GRANT pg_monitor TO low")
                throttle = replica_lag(5.0)
                until(lambda: throttle(progress(connection)), lambda reason: reason is None, "it to go on")
        finally:
            postgresql.primary.admin.execute("DROP ROLE low")

    @pytest.mark.parametrize("driver", ["psycopg2", "asyncpg"])
    def test_works_with_any_driver(self, postgresql, driver):
        pytest.importorskip(driver)
        url = postgresql.replica_url(drivername=f"postgresql+{driver}")
        postgresql.goes_on(replica_lag(5.0, urls=[url.render_as_string(hide_password=False)]))

    def test_a_primary_is_not_a_replica(self, postgresql):
        throttle = replica_lag(MAX, urls=[postgresql.replica_url(), postgresql.url])
        reason = throttle(progress(postgresql.connection))
        assert f"replica 127.0.0.1:{postgresql.primary.port}: it is not in recovery" in reason
        assert str(postgresql.replica.port) not in reason


def _replays_less(pair):
    end = pair.primary.admin.execute("SELECT pg_current_wal_flush_lsn()").fetchone()
    replayed = "SELECT pg_last_wal_replay_lsn() < %s::pg_lsn"
    return pair.replica.admin.execute(replayed, end).fetchone()[0]


@pytest.fixture(scope="class")
def bereft(postgresql):
    """A primary whose replica was killed, and the throttles that have seen it alive."""
    connected, urls = (replica_lag(5.0, urls=urls, give_up_after=GIVE_UP) for urls in ((), [postgresql.replica_url()]))
    postgresql.goes_on(connected)
    postgresql.goes_on(urls)
    with killed(postgresql.replica):
        yield postgresql, connected, urls
    # It has another port now.
    postgresql.goes_on(connected)


class TestAStoppedReplica:
    def test_stops_a_throttle_that_has_seen_it(self, bereft):
        postgresql, throttle, _ = bereft
        postgresql.holds(throttle, "replica 127.0.0.1: it was connected before and no longer is")
        stopped_by(postgresql, throttle)

    def test_stops_a_throttle_that_queries_it(self, bereft):
        postgresql, _, throttle = bereft
        postgresql.holds(throttle, f"replica 127.0.0.1:{postgresql.replica.port}: ")
        stopped_by(postgresql, throttle)

    def test_is_not_replaced_by_who_only_stores_the_log(self, bereft):
        postgresql, _, _ = bereft
        with storing_the_log(postgresql):
            assert "no replica is connected to this server" in stopped_by(
                postgresql, replica_lag(5.0, give_up_after=GIVE_UP)
            )


@contextmanager
def storing_the_log(pair):
    source = ["-h", "127.0.0.1", "-p", str(pair.primary.port), "-U", "postgres"]
    receiver = [pair.primary.bin / "pg_receivewal", *source, "-D", pair.replica.sockets]
    process = subprocess.Popen(
        [*_unprivileged("--pdeathsig=TERM"), *receiver],
        cwd=pair.replica.folder,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        connected = "SELECT application_name FROM pg_stat_replication WHERE write_lsn IS NOT NULL"
        until(lambda: pair.primary.admin.execute(connected).fetchall(), [("pg_receivewal",)].__eq__, "the receiver")
        yield
    finally:
        process.terminate()
        process.wait(20)


@pytest.mark.only("pg18")
class TestAReplicaThatDoesNotAnswer:
    def test_no_server_listens(self, database):
        with socket.socket() as closed:
            closed.bind(("127.0.0.1", 0))
            url = database.url.set(password="s3cret", port=closed.getsockname()[1])
            with autocommit(database.url) as connection:
                throttle, now = replica_lag(MAX, urls=[url], give_up_after=0.3), progress(connection)
                assert "refused" in throttle(now)
                with pytest.raises(BackfillStopped) as raised:
                    until(lambda: throttle(now), lambda reason: reason is None, "it to give up")
        assert "s3cret" not in str(raised.value)

    def test_it_hangs(self, database, monkeypatch):
        monkeypatch.setattr(replicas, "ANSWERING", 0.2)
        with socket.socket() as silent:
            silent.bind(("127.0.0.1", 0))
            silent.listen()
            url = database.url.set(port=silent.getsockname()[1])
            with autocommit(database.url) as connection:
                throttle, now = replica_lag(MAX, urls=[url, url], give_up_after=GIVE_UP), progress(connection)
                began = time.monotonic()
                assert throttle(now).count("it does not answer") == 2
                with pytest.raises(BackfillStopped):
                    until(lambda: throttle(now), lambda reason: reason is None, "it to give up")
                # The driver itself waits longer: 3 s.
                assert time.monotonic() - began < 2.9


class TestReplicaLagOnMariaDBAndMySQL:
    def test_follows_the_lag_of_the_replica(self, mysql):
        throttle = replica_lag(MAX, urls=[mysql.replica_url()], give_up_after=60)
        mysql.goes_on(throttle)
        with paused(mysql.replica):
            mysql.holds(throttle, f"behind, more than {MAX:g} s")
        mysql.goes_on(throttle)

    @pytest.mark.parametrize("thread", ["SQL_THREAD", "IO_THREAD"])
    def test_replication_that_does_not_run_stops_it(self, mysql, thread):
        throttle = replica_lag(5.0, urls=[mysql.replica_url()], give_up_after=GIVE_UP)
        mysql.goes_on(throttle)
        mysql.replica.stop_thread(thread)
        try:
            mysql.holds(throttle, "its replication is not running")
            error = stopped_by(mysql, throttle)
        finally:
            mysql.replica.start_threads()
        assert mysql.url.password not in error.replace("user:password@", "")
        mysql.goes_on(replica_lag(5.0, urls=[mysql.replica_url()]))

    def test_a_primary_is_not_a_replica(self, mysql):
        reason = replica_lag(MAX, urls=[mysql.url])(progress(mysql.connection))
        assert f"replica 127.0.0.1:{mysql.primary.port}: it is not a replica" in reason

    def test_a_user_without_the_right_gets_an_error(self, mysql):
        mysql.replica._administer("CREATE USER low@'%' IDENTIFIED BY 'Uv9low'")
        url = mysql.replica_url(username="low", password="Uv9low", database="information_schema")
        reason = replica_lag(MAX, urls=[url])(progress(mysql.connection))
        assert {"mariadb": "SLAVE MONITOR", "mysql": "REPLICATION CLIENT"}[mysql.replica.product] in reason
        assert "Uv9low" not in reason

    def test_without_urls_it_is_refused(self, mysql):
        with pytest.raises(UnsupportedOnDatabase, match="urls="):
            replica_lag(MAX)(progress(mysql.connection))


@pytest.mark.only("sqlite")
@pytest.mark.parametrize("throttle", [replica_lag(5.0), active_sessions(5)], ids=["replica_lag", "active_sessions"])
def test_a_file_has_neither_replicas_nor_sessions(database, throttle):
    with (
        database.engine().connect() as connection,
        pytest.raises(UnsupportedOnDatabase, match="Leave the throttle out"),
    ):
        throttle(progress(connection))


SLEEP = {"postgresql": "SELECT pg_sleep(60)", "mysql": "SELECT SLEEP(60)"}


@pytest.mark.only("postgresql", "mysql")
class TestActiveSessions:
    @pytest.mark.parametrize("isolation", ["AUTOCOMMIT", "REPEATABLE READ"])
    def test_holds_while_others_are_at_work(self, database, isolation):
        throttle = active_sessions(0)
        with database.engine(isolation_level=isolation).connect() as own, database.engine().connect() as idle:
            now = progress(own)
            idle.exec_driver_sql("SELECT 1")
            until(lambda: throttle(now), lambda reason: reason is None, "nobody to be at work")
            with busy(database.url, SLEEP[database.kind]):
                reason = until(lambda: throttle(now), bool, "it to hold")
                assert reason == "1 sessions are active, more than 0"
                assert active_sessions(1)(now) is None
            until(lambda: throttle(now), lambda reason: reason is None, "nobody to be at work")

    def test_other_databases_do_not_count(self, database, new_database):
        with autocommit(database.url) as own, busy(new_database().url, SLEEP[database.kind]):
            now = progress(own)
            until(lambda: active_sessions(0)(now), lambda reason: reason is None, "nobody to be at work")

    def test_a_user_without_the_right_gets_an_error(self, database):
        user, grant = _low_user(database)
        url = database.url.set(username=user, password="low")
        try:
            with busy(database.url, SLEEP[database.kind]):
                with autocommit(url) as own:
                    throttle, now = active_sessions(0), progress(own)
                    reason = until(lambda: throttle(now), bool, "it to hold")
                    assert "it is unknown whether more than 0 sessions are active (0 are visible" in reason
                database.execute(grant)
                with autocommit(url) as own:
                    now = progress(own)
                    until(lambda: throttle(now), "1 sessions are active, more than 0".__eq__, "it to hold")
        finally:
            database.execute(f"DROP {'ROLE' if database.kind == 'postgresql' else 'USER'} {user}")


def _low_user(database):
    """Creates a user who cannot see other sessions, and returns it with what to grant for that."""
    user = f"low_{database.name}"
    if database.kind == "postgresql":
        database.execute(f"CREATE ROLE {user} LOGIN")
        return user, f"GRANT pg_read_all_stats TO {user}"
    database.execute(f"CREATE USER {user}@'%' IDENTIFIED BY 'low'", f"GRANT ALL ON {database.name}.* TO {user}@'%'")
    return user, f"GRANT PROCESS ON *.* TO {user}@'%'"
