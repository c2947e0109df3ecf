"""The throttles without a server: windows of time, rates, files, wrong arguments, and the way to a worker."""

import os
import pickle
from collections import deque
from dataclasses import replace
from datetime import datetime, timezone

import pytest

from safeops.backfilling import throttles
from safeops.backfilling.port import Replica, ServerLoad
from safeops.backfilling.progress import BackfillProgress
from safeops.backfilling.replicas import LogPositions, RemoteReplica, address
from safeops.backfilling.throttles import active_sessions, pause_file, replica_lag, rows_per_second, time_window
from safeops.databases import abilities_of
from safeops.errors import BackfillStopped, InvalidArgument, UnsupportedOnDatabase

PROGRESS = BackfillProgress(name="fill", table="users")


class Ticking:
    """A clock that stops until it is set forward."""

    def __init__(self):
        self.now = 1000.0

    def __call__(self):
        return self.now


@pytest.fixture
def clock(monkeypatch):
    ticking = Ticking()
    monkeypatch.setattr(throttles, "monotonic", ticking)
    return ticking


class Primary:
    """A database that answers from a list; the last answer is repeated."""

    sees_sessions_with = "a role"

    def __init__(self, *answers):
        self.abilities, self._ports = self, {ServerLoad.place: self}
        self.answers = deque(answers)

    def log_position(self):
        return self._next()[0]

    def replicas(self):
        return self.answer[1]

    def active_sessions(self):
        return self._next()

    def _next(self):
        self.answer = self.answers.popleft() if len(self.answers) > 1 else self.answers[0]
        return self.answer


def asked(primary, **fields):
    return replace(PROGRESS, database=primary, **fields)


class TestTimeWindow:
    @pytest.fixture
    def at(self, monkeypatch):
        def set_to(moment):
            instant = datetime.fromisoformat(moment).replace(tzinfo=timezone.utc)
            monkeypatch.setattr(throttles, "wall_clock", instant.astimezone)

        return set_to

    @pytest.mark.parametrize(
        ("start", "end", "inside", "outside"),
        [
            ("01:00", "05:00", ("01:00:00", "03:30:00", "04:59:59"), ("00:59:59", "05:00:00", "23:00:00")),
            ("22:00", "05:00", ("22:00:00", "23:59:59", "00:00:00", "04:59:59"), ("05:00:00", "12:00:00", "21:59:59")),
            ("22:00", "00:00", ("22:00:00", "23:59:59"), ("00:00:00", "21:59:59")),
            ("00:00", "23:59", ("00:00:00", "23:58:59"), ("23:59:00",)),
        ],
    )
    def test_has_its_start_and_not_its_end(self, at, start, end, inside, outside):
        window = time_window(start, end)
        for clock in inside:
            at(f"2026-07-01T{clock}")
            assert window(PROGRESS) is None, clock
        for clock in outside:
            at(f"2026-07-01T{clock}")
            assert window(PROGRESS) == f"it is {clock[:5]}, outside the window from {start} to {end} UTC"

    def test_is_in_its_zone(self, at):
        window = time_window("01:00", "05:00", tz="Europe/Paris")
        at("2026-07-01T23:00")
        assert window(PROGRESS) is None
        at("2026-07-01T04:00")
        assert window(PROGRESS) == "it is 06:00, outside the window from 01:00 to 05:00 Europe/Paris"

    def test_is_an_hour_shorter_when_clocks_are_set_forward(self, at):
        window, missing = (time_window(*times, tz="Europe/Paris") for times in (("01:30", "03:30"), ("02:00", "02:59")))
        open_ = []
        for minute in range(0, 180, 15):
            at(f"2026-03-29T{minute // 60:02}:{minute % 60:02}")
            assert missing(PROGRESS) is not None
            if window(PROGRESS) is None:
                open_.append(minute)
        # 01:30 and 01:45, then 03:00 and 03:15.
        assert open_ == [30, 45, 60, 75]

    def test_is_an_hour_longer_when_clocks_are_set_back(self, at):
        window = time_window("02:00", "03:00", tz="Europe/Paris")
        open_ = []
        for minute in range(-60, 180, 15):
            at(f"2026-10-{24 if minute < 0 else 25}T{minute // 60 % 24:02}:{minute % 60:02}")
            if window(PROGRESS) is None:
                open_.append(minute)
        assert open_ == list(range(0, 120, 15))

    def test_reads_the_clock_of_the_machine(self):
        now = datetime.now(timezone.utc)
        hour = now.hour
        assert time_window(f"{hour:02}:00", f"{(hour + 2) % 24:02}:00")(PROGRESS) is None
        assert time_window(f"{(hour + 3) % 24:02}:00", f"{(hour + 4) % 24:02}:00")(PROGRESS) is not None


class TestRowsPerSecond:
    def test_holds_until_the_rows_have_had_their_time(self, clock):
        throttle = rows_per_second(100)
        assert throttle(PROGRESS) is None
        after = replace(PROGRESS, rows=250)
        clock.now += 0.5
        assert throttle(after) == "it is 2.0 s ahead of 100 rows a second"
        clock.now += 1.9
        assert throttle(after) == "it is 0.1 s ahead of 100 rows a second"
        clock.now += 0.2
        assert throttle(after) is None

    def test_counts_from_its_first_call(self, clock):
        throttle = rows_per_second(10)
        assert throttle(replace(PROGRESS, rows=1_000_000)) is None

    def test_does_not_catch_up_on_a_long_pause(self, clock):
        throttle = rows_per_second(100)
        assert throttle(PROGRESS) is None
        clock.now += 3600
        assert throttle(replace(PROGRESS, rows=1)) is None
        assert throttle(replace(PROGRESS, rows=150)) is None
        assert throttle(replace(PROGRESS, rows=500)) == "it is 3.0 s ahead of 100 rows a second"

    def test_keeps_the_rate_over_a_long_run(self, clock):
        throttle, rows, began = rows_per_second(1000), 0, clock.now
        for _ in range(500):
            while throttle(replace(PROGRESS, rows=rows)) is not None:
                clock.now += 0.1
            rows += 300
            clock.now += 0.05
        assert rows / (clock.now - began) == pytest.approx(1000, rel=0.02)

    def test_begins_again_with_other_work(self, clock):
        throttle = rows_per_second(1)
        throttle(PROGRESS)
        assert throttle(replace(PROGRESS, rows=100)) is not None
        assert throttle(replace(PROGRESS, rows=100, name="other")) is None
        assert throttle(replace(PROGRESS, rows=200, name="other")) is not None
        # The next range of the same backfill counts from 0 again.
        assert throttle(replace(PROGRESS, rows=0, name="other")) is None


class TestPauseFile:
    def test_holds_while_the_file_exists(self, tmp_path):
        path = tmp_path / "pause"
        throttle = pause_file(path)
        assert throttle(PROGRESS) is None
        path.touch()
        assert throttle(PROGRESS) == f"the file {path} exists; remove it to continue"
        path.unlink()
        assert throttle(PROGRESS) is None

    def test_a_dangling_link_is_a_file_too(self, tmp_path):
        (tmp_path / "pause").symlink_to(tmp_path / "nothing")
        assert pause_file(tmp_path / "pause")(PROGRESS) is not None

    def test_no_folder_means_no_file(self, tmp_path):
        (tmp_path / "file").touch()
        assert pause_file(tmp_path / "none" / "pause")(PROGRESS) is None
        assert pause_file(tmp_path / "file" / "pause")(PROGRESS) is None

    def test_if_it_cannot_look_it_holds(self, monkeypatch):
        def refused(path):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr(os, "lstat", refused)
        reason = pause_file("/secret/pause")(PROGRESS)
        assert reason == "could not check whether the file /secret/pause exists (Permission denied)"

    def test_a_relative_path_is_that_of_the_call(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        throttle = pause_file("pause")
        (tmp_path / "pause").touch()
        monkeypatch.chdir("/")
        assert throttle(PROGRESS) is not None


class TestReplicaLag:
    def test_what_is_replayed_is_not_lag(self, clock):
        primary = Primary((100, [Replica("a", 100, lag=30.0)]))
        assert replica_lag(1.0)(asked(primary)) is None

    def test_the_servers_own_figure_counts_if_it_is_more(self, clock):
        throttle = replica_lag(5.0)
        assert throttle(asked(Primary((100, [Replica("a", 100)])))) is None
        reason = throttle(asked(Primary((110, [Replica("a", 105, lag=7.5)]))))
        assert reason == "replica a is 7.5 s behind, more than 5 s"

    def test_a_figure_that_does_not_change_does_not(self, clock):
        throttle, paused = replica_lag(5.0), [Replica("a", 100, lag=0.01)]
        reasons = []
        for end in range(100, 180, 10):
            reasons.append(throttle(asked(Primary((end, paused)))))
            clock.now += 1.0
        # Position 110 was noted in second 1, and is more than 5 s old in second 7.
        assert reasons[:6] == [None] * 6
        assert reasons[6] == "replica a is 5.0 to 6.0 s behind, which may be more than 5 s"
        assert reasons[7] == "replica a is 6.0 s behind, more than 5 s"

    def test_what_lies_before_the_first_look_is_unknown(self, clock):
        throttle = replica_lag(60.0)
        reason = throttle(asked(Primary((100, [Replica("a", 90, lag=0.01)]))))
        assert reason == "replica a has not replayed the first position that this throttle saw: it may be far behind"
        clock.now += 0.5
        assert throttle(asked(Primary((200, [Replica("a", 100)])))) is None

    def test_what_was_written_between_two_distant_looks_is_unknown(self, clock):
        throttle = replica_lag(5.0)
        assert throttle(asked(Primary((100, [Replica("a", 100)])))) is None
        clock.now += 100
        assert throttle(asked(Primary((900, [Replica("a", 800)])))) is not None
        clock.now += 0.5
        assert throttle(asked(Primary((950, [Replica("a", 900)])))) is None

    def test_every_replica_counts(self, clock):
        throttle = replica_lag(5.0)
        reason = throttle(asked(Primary((None, [Replica("a", lag=1.0), Replica("b", lag=6.0), Replica("c", lag=9.0)]))))
        assert reason == "replica b is 6.0 s behind, more than 5 s; replica c is 9.0 s behind, more than 5 s"

    def test_no_replica_is_not_one_without_lag(self, clock):
        throttle, progress = replica_lag(5.0, give_up_after=10.0), asked(Primary((100, [])))
        reason = "the lag of the replicas is unknown (no replica is connected to this server)"
        for _ in range(10):
            assert throttle(progress) == reason
            clock.now += 1.0
        with pytest.raises(BackfillStopped) as raised:
            throttle(progress)
        assert reason in str(raised.value)
        assert "replica_lag(5, urls=[" in raised.value.code
        # Caught, it does not fail at once again.
        assert throttle(progress) == reason

    def test_a_replica_that_has_disappeared_is_unknown(self, clock):
        throttle = replica_lag(5.0)
        assert throttle(asked(Primary((100, [Replica("a", 100), Replica("b", 100)])))) is None
        assert "replica b: it was connected before and no longer is" in throttle(
            asked(Primary((100, [Replica("a", 100)])))
        )
        assert throttle(asked(Primary((100, [Replica("a", 100), Replica("b", 100)])))) is None

    def test_doubt_counts_on_end_only(self, clock):
        throttle = replica_lag(5.0, give_up_after=10.0)
        here, gone = asked(Primary((100, [Replica("a", 100)]))), asked(Primary((100, [])))
        for progress in (gone, here) * 10:
            throttle(progress)
            clock.now += 6.0
        # Another throttle has waited all night.
        throttle(gone)
        clock.now += 8 * 3600
        throttle(replace(gone, database=Primary((100, [Replica("a", 100)]))))

    def test_a_long_wait_for_another_throttle_is_little_doubt(self, clock):
        throttle, gone = replica_lag(5.0, give_up_after=15.0), asked(Primary((100, [])))
        throttle(gone)
        clock.now += 8 * 3600
        assert throttle(gone) is not None

    def test_keeps_few_positions(self):
        positions = LogPositions()
        for moment in range(100_000):
            positions.add(moment / 10, moment, horizon=60.0)
        assert len(positions.times) == len(positions.ends) < 250
        assert positions.behind(99_989) == pytest.approx((0.9, 1.2), abs=0.3)
        least, most = positions.behind(5)
        assert least >= 60.0
        assert most == float("inf")

    def test_another_primary_begins_another_record(self):
        positions = LogPositions()
        positions.add(0.0, 1000, horizon=60.0)
        positions.add(50.0, 10, horizon=60.0)
        assert positions.behind(5) == (0.0, float("inf"))

    def test_a_replica_of_another_server_is_none(self, clock, monkeypatch):
        primary = Primary((100, []))
        primary.cluster = lambda: "ours"
        monkeypatch.setattr(RemoteReplica, "ask", lambda self: None)
        for cluster, held in (("ours", False), ("theirs", True), (None, True)):
            answer = Replica("r:1", 100, cluster=cluster)
            monkeypatch.setattr(RemoteReplica, "answer", lambda self, deadline, answer=answer: answer)
            reason = replica_lag(5.0, urls=["postgresql://r:1/d"])(asked(primary))
            assert (reason is not None) == held
            assert not held or "replica r:1: it replays the log of another server than this one" in reason

    @pytest.mark.parametrize(
        ("url", "shown"),
        [
            ("postgresql://me:secret@db.example:5433/shop", "db.example:5433"),
            ("postgresql://me:secret@db.example/shop?password=secret", "db.example"),
            ("postgresql:///shop?host=/run/secret-socket", "/run/secret-socket"),
            ("postgresql:///shop?host=a:1&host=b:2", "a:1,b:2"),
            ("mysql:///shop", "localhost"),
        ],
    )
    def test_a_replica_is_named_by_its_address(self, url, shown):
        (made,) = replica_lag(5.0, urls=[url]).urls
        assert address(made) == shown

    @pytest.mark.parametrize("url", ["postgresql://me:s3cret@db/shop", "postgresql://me@db/shop?password=s3cret"])
    def test_the_password_is_not_shown(self, url):
        throttle = replica_lag(5.0, urls=[url])
        error = RuntimeError(f"cannot use {url}\nand more")
        (made,) = throttle.urls
        told = RemoteReplica(made)._first_line(error)
        assert told == f"cannot use {url.replace('s3cret', '***')}"


class TestActiveSessions:
    def test_holds_above_its_count(self):
        throttle = active_sessions(2)
        assert throttle(asked(Primary((2, 2)))) is None
        assert throttle(asked(Primary((3, 9)))) == "3 sessions are active, more than 2"

    def test_hidden_sessions_matter_if_they_could_be_too_many(self, clock):
        throttle = active_sessions(2)
        assert throttle(asked(Primary((1, 2)))) is None
        hidden = asked(Primary((1, float("inf"))))
        assert throttle(hidden).startswith("it is unknown whether more than 2 sessions are active (1 are visible")
        with pytest.raises(BackfillStopped, match="a role") as raised:
            for _ in range(61):
                clock.now += 1.0
                throttle(hidden)
        assert raised.value.code == "active_sessions(2)"


class TestEverywhere:
    ALL = (
        replica_lag(5.0, urls=["postgresql://me:secret@db/shop"]),
        replica_lag(5, give_up_after=1),
        active_sessions(0),
        time_window("22:00", "05:00", tz="Europe/Paris"),
        rows_per_second(5_000),
        pause_file("/tmp/pause-backfill"),
    )

    @pytest.mark.parametrize("throttle", ALL, ids=lambda one: type(one).__name__)
    def test_is_passed_to_a_worker(self, throttle):
        again = pickle.loads(pickle.dumps(throttle))
        assert again == throttle
        assert hash(again) == hash(throttle)
        assert "secret" not in repr(throttle)

    def test_leaves_what_it_has_seen_behind(self, clock):
        rate, lag = rows_per_second(1), replica_lag(5.0)
        rate(PROGRESS)
        assert rate(replace(PROGRESS, rows=100)) is not None
        assert pickle.loads(pickle.dumps(rate))(replace(PROGRESS, rows=100)) is None
        lag(asked(Primary((100, [Replica("a", 100)]))))
        assert lag(asked(Primary((100, [])))).endswith("it was connected before and no longer is)")
        again = pickle.loads(pickle.dumps(lag))
        assert again(asked(Primary((100, [])))).endswith("no replica is connected to this server)")

    @pytest.mark.parametrize("throttle", [replica_lag(5.0), active_sessions(5)], ids=lambda one: type(one).__name__)
    def test_one_that_queries_the_server_needs_a_connection(self, throttle):
        with pytest.raises(InvalidArgument, match="needs a connection"):
            throttle(PROGRESS)

    @pytest.mark.parametrize(
        ("kind", "throttle", "needed"),
        [
            ("sqlite", replica_lag(5.0), "a server that has replicas"),
            ("sqlite", replica_lag(5.0, urls=["postgresql://db/shop"]), "a server that has replicas"),
            ("sqlite", active_sessions(5), "a server that lists its sessions"),
            ("mariadb", replica_lag(5.0), "a primary that knows how far its replicas are"),
            ("mysql", replica_lag(5.0), "urls="),
        ],
    )
    def test_what_a_database_has_not_is_refused(self, kind, throttle, needed):
        with pytest.raises(UnsupportedOnDatabase) as raised:
            throttle(asked(abilities_of(kind).database))
        assert needed in str(raised.value)


NUMBERS = (0, -1, True, float("nan"), float("inf"), "5", None)


@pytest.mark.parametrize(
    "make",
    [
        *(lambda value=value: replica_lag(value) for value in NUMBERS),
        *(lambda value=value: replica_lag(5.0, give_up_after=value) for value in NUMBERS),
        *(lambda value=value: rows_per_second(value) for value in NUMBERS),
        *(lambda value=value: active_sessions(value) for value in (-1, True, 1.5, float("nan"), "5", None)),
        *(
            lambda value=value: replica_lag(5.0, urls=value)
            for value in (None, 5, "postgresql://db/shop", [None], [5], ["nonsense"], ["nosuch://db/shop"], [b"x"])
        ),
        *(
            lambda value=value: time_window(value, "05:00")
            for value in ("1:00", "24:00", "12:60", "01:00:00", "0100", "", "०१:००", "01:00\n", 1, None, True)
        ),
        lambda: time_window("05:00", None),
        lambda: time_window("05:00", "05:00"),
        *(
            lambda value=value: time_window("01:00", "05:00", tz=value)
            for value in ("Europe/Atlantis", "Europe", "", "../etc/passwd", "/etc/localtime", 5, True, "a\0b", "Mars")
        ),
        *(lambda value=value: pause_file(value) for value in ("", None, 5, b"/tmp/x", "a\0b")),
    ],
)
def test_a_wrong_argument_is_refused_at_once(make):
    with pytest.raises(InvalidArgument) as raised:
        make()
    assert raised.value.problem
    assert raised.value.remedy
    assert raised.value.code


def test_a_wrong_url_is_not_shown():
    with pytest.raises(InvalidArgument) as raised:
        replica_lag(5.0, urls=["postgresql://db/shop", "nosuch://me:s3cret@db/shop"])
    assert "urls[1]" in str(raised.value)
    assert "s3cret" not in str(raised.value)
