"""The line of progress: what fits a terminal, and what happens around it."""

from __future__ import annotations

import io
import logging
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from safeops.backfilling import progress as progress_module
from safeops.backfilling import terminal as terminal_module
from safeops.backfilling.progress import BackfillProgress, Reporter, _short
from safeops.backfilling.terminal import cells, fitted, rendered

NAMES = ["backfilling users.email_lower", "users.email_lower"]
FIGURES = [["42 %", "420,000 of about 1,000,000 rows", "18,000 rows/s"], ["42 %", "420k/1.0M rows", "18k rows/s"]]
HALF = BackfillProgress("it", "users", walked=420_000, total=1_000_000, rows_per_second=18_000.0, seconds_left=32.2)


class Screen(io.StringIO):
    """A terminal."""

    encoding = "utf-8"

    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(progress_module, "SHOW_AFTER", 0.0)
    monkeypatch.setattr(progress_module, "DRAW_EVERY", 0.0)
    monkeypatch.setenv("TERM", "xterm")


@contextmanager
def screen() -> Iterator[Screen]:
    """A terminal as stderr, without rich. No fixture: pytest sets stderr again before the test."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(sys.modules, "rich.console", None)
        shown = Screen()
        patch.setattr(sys, "stderr", shown)
        yield shown


def test_the_log_line_has_percent_rows_rate_and_time_left() -> None:
    assert str(HALF) == "42 % (420,000 of about 1,000,000 rows), 18,000 rows/s, about 32 s left"


def test_a_log_line_without_an_estimate_has_rows_and_rate() -> None:
    assert str(BackfillProgress("it", "users", walked=5, rows_per_second=2.0)) == "5 rows, 2 rows/s"


def test_an_estimate_that_was_too_low_is_not_shown_as_complete() -> None:
    assert str(BackfillProgress("it", "users", walked=10, total=5)).startswith("99 % (10 of about 10 rows)")


@pytest.mark.parametrize("rich", [True, False])
@pytest.mark.parametrize(
    "name", ["users.email_lower", "x" * 300, "表" * 50, "bell\a\nline\x1b[2J"], ids=["usual", "long", "wide", "control"]
)
def test_no_terminal_is_too_narrow(rich: bool, name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if not rich:
        monkeypatch.setitem(sys.modules, "rich.console", None)
    monkeypatch.setenv("NO_COLOR", "1")
    for width in (*range(2, 30), *range(30, 200, 7)):
        line = rendered([f"backfilling {name}", name], FIGURES, 0.42)(Screen(), width)
        assert cells(line) < width
        assert line.isprintable()


@pytest.mark.parametrize(
    ("room", "name", "figures"),
    [
        (90, "backfilling users.email_lower", "42 %, 420,000 of about 1,000,000 rows, 18,000 rows/s"),
        (73, "users.email_lower", "42 %, 420,000 of about 1,000,000 rows, 18,000 rows/s"),
        (65, "backfilling users.email_lower", "42 %, 420k/1.0M rows, 18k rows/s"),
        (52, "users.email_lower", "42 %, 420k/1.0M rows, 18k rows/s"),
        (48, "users.…l_lower", "42 %, 420k/1.0M rows, 18k rows/s"),
        (36, "users.…l_lower", "42 %, 420k/1.0M rows"),
        (10, "use…ower", ""),
    ],
)
def test_what_fits_is_shown_in_full_and_else_shorter(room: int, name: str, figures: str) -> None:
    shown, parts = fitted(NAMES, FIGURES, room, ", ")
    assert (shown, ", ".join(parts)) == (name, figures)


@pytest.mark.parametrize(
    ("number", "text"),
    [(0, "0"), (999, "999"), (9_999, "9,999"), (10_000, "10k"), (420_000, "420k"), (1_000_000, "1.0M"), (2e9, "2.0G")],
)
def test_numbers_are_shortened(number: float, text: str) -> None:
    assert _short(number) == text


def test_a_closed_terminal_does_not_end_the_work(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "safeops")
    with screen() as shown, Reporter("backfilling", "users.email_lower") as report:
        report(HALF)
        shown.close()
        report(HALF)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(progress_module, "REPORT_EVERY", 0.0)
            report(HALF)
    assert caplog.messages == [f"backfilling users.email_lower: {HALF}"]


def test_streams_and_handlers_are_restored() -> None:
    logger = logging.getLogger("tests.terminal")
    with screen() as shown:
        handler = logging.StreamHandler(shown)
        logger.addHandler(handler)
        try:
            with Reporter("backfilling", "users") as report:
                report(HALF)
                assert sys.stderr is not shown
                assert handler.stream is not shown
                logger.warning("logged")
            assert sys.stderr is shown
            assert handler.stream is shown
        finally:
            logger.removeHandler(handler)
        assert "\rlogged\nusers: 42 %" in shown.getvalue()
        assert shown.getvalue().endswith("took 1 s\n")


def test_a_stream_that_is_replaced_in_the_meantime_is_kept() -> None:
    other = Screen()
    with screen():
        with Reporter("backfilling", "users") as report:
            report(HALF)
            sys.stderr = other
        assert sys.stderr is other


def test_a_forked_worker_draws_no_line(monkeypatch: pytest.MonkeyPatch) -> None:
    with screen() as shown, Reporter("backfilling", "users") as report:
        report(HALF)
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(terminal_module.os, "getpid", lambda: 0)
            print("from a worker", file=sys.stderr)
        assert shown.getvalue().count("42 %") == 1
        assert "\rfrom a worker" in shown.getvalue()


def test_an_incomplete_line_of_output_is_not_drawn_over() -> None:
    with screen() as shown, Reporter("backfilling", "users") as report:
        report(HALF)
        print("so far", end="", file=sys.stderr)
        report(HALF)
        assert shown.getvalue().endswith("so far")
        print(", so good", file=sys.stderr)
        assert "\rso far, so good\nusers: 42 %" in shown.getvalue()
