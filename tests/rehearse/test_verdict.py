"""The verdict, from figures alone: equal errors are one finding, and nothing is claimed that was not measured."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from safeops.naming import Name
from safeops.rehearse.measuring import Run
from safeops.rehearse.reports.words import back_text
from safeops.rehearse.result import Rehearsal
from safeops.rehearse.traffic import Comparison, Loss, TrafficError, TrafficResult
from safeops.rehearse.verdict import Evidence, judged
from safeops.rehearse.way_back import Back
from safeops.runner.revision_run import Applied

PLAN = "cached plan must not change result type"
SILENT = TrafficResult(0, 0, (), 0.0, "", {}, {}, (), ("orders: left out, because no account may write it.",))
RAN = (Applied("r1", "", 0.004),)


def rehearsal(traffic: TrafficResult, rows: int = 10) -> Rehearsal:
    tables = {Name("orders"): rows} if rows else {}
    run = Run(RAN, (), rows=tables)
    evidence = Evidence(run, traffic, {}, None, {}, {}, 0.5, 600.0, {})
    return Rehearsal(RAN, judged(evidence), run=run, traffic=traffic)


def error(sql: str, message: str = PLAN, **parts: Any) -> TrafficError:
    return replace(TrafficError("public.orders", sql, message, "0A000", 3, 1.0), **parts)


def test_an_error_of_several_statements_is_one_finding_that_names_them() -> None:
    sent = (error("SELECT 1"), error("SELECT 2"), error("SELECT 3"), error("SELECT 1", table="public.users"))
    first, second = rehearsal(replace(SILENT, reads=50, errors=sent)).verdict.findings
    assert first.what == f"3 statements of the application on public.orders failed 9 times: {PLAN}"
    assert first.sql == "SELECT 1; SELECT 2; SELECT 3"
    assert second.what == f"A statement of the application on public.users failed 3 times: {PLAN}"


def test_an_error_whose_message_has_the_value_is_the_same_error() -> None:
    sent = tuple(error("INSERT", f"Duplicate entry '{i}' for key 'uq'") for i in range(5))
    (found,) = rehearsal(replace(SILENT, writes=50, errors=sent)).verdict.findings
    assert found.what.endswith("failed 15 times: Duplicate entry '0' for key 'uq'") and found.sql == "INSERT"


def test_nothing_is_certain_if_nothing_was_sent() -> None:
    found = rehearsal(SILENT)
    assert found.exit_status == 2
    assert found.summary == (
        "Not certain: The traffic sent no statement: waits, errors and lost writes cannot be judged."
    )
    assert found.verdict.findings[0].why == SILENT.notes[0]


def test_without_tables_nothing_can_wait() -> None:
    found = rehearsal(SILENT, rows=0)
    assert found.exit_status == 0
    assert found.summary.endswith("; the application sent nothing, because no table existed before.")


def test_an_upgrade_that_was_over_before_the_next_statement_has_no_longest_one() -> None:
    found = rehearsal(replace(SILENT, reads=50))
    assert found.summary.endswith("; no statement of the application failed.")


@pytest.mark.parametrize(
    ("message", "advice"),
    [
        ('null value in column "short" of relation "users" violates not-null constraint', "keep_filled=True"),
        ("NOT NULL constraint failed: users.short", "keep_filled=True"),
        ("Field 'short' doesn't have a default value", "keep_filled=True"),
        ("Deadlock found when trying to get lock; try restarting transaction", "short batches"),
        (PLAN, "prepare its statements again"),
        ("column users.points does not exist", "in steps"),
    ],
)
def test_the_advice_is_about_the_error(message: str, advice: str) -> None:
    (missed,) = rehearsal(replace(SILENT, reads=50, errors=(error("INSERT", message),))).verdict.findings
    assert advice in missed.advice


def test_rows_that_were_not_compared_do_not_differ() -> None:
    back = Back(same_schema=True, same_rows=None, again_same=True)
    found = replace(rehearsal(replace(SILENT, reads=50)), back=back)
    assert back_text(found.as_json()).startswith("schema as before, rows not compared; ")
    evidence = Evidence(found.run, None, {}, replace(back, same_schema=False), {}, {}, 0.5, 600.0, {})
    assert [one.what for one in judged(evidence).findings] == ["After the downgrade the schema differs from before."]


@pytest.mark.parametrize(
    ("loss", "advice"),
    [
        (Loss("public.orders", (1,), "", "missing"), "drop_table_if_exists(..., archive=True)"),
        (
            Loss("public.orders", (1,), "note", "old value", "b", "a"),
            "A trigger that keeps two columns in sync is missing",
        ),
    ],
    ids=["row", "value"],
)
def test_the_advice_about_lost_rows_is_not_that_about_lost_values(loss: Loss, advice: str) -> None:
    compared = {"after the downgrade": Comparison(1, 1, (loss,))}
    evidence = Evidence(Run(RAN, ()), None, compared, None, {}, {}, 0.5, 600.0, {})
    (found,) = judged(evidence).findings
    assert advice in found.advice
