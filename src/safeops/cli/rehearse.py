"""``rehearse`` runs the pending revisions on a copy under traffic, and holds a release if a budget is missed."""

from __future__ import annotations

import sys
from argparse import ArgumentTypeError, Namespace
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from safeops.cli.command import Argument, Command, config_of, seconds
from safeops.cli.console import ATTENTION, CODE, FAILURE, fitting, row, show, shown_path
from safeops.cli.parser import UsageError

if TYPE_CHECKING:
    from safeops.rehearse.result import Rehearsal

COLUMN, INDENT = 12, "     "


def _rehearse(options: Namespace) -> Rehearsal:
    # The other commands need none of it.
    from safeops.rehearse.rehearsal import rehearse

    if options.report is not None:
        from safeops.rehearse.reports.html import check_installed

        check_installed()
    given = [name for name in ("from_backup", "rows", "as_is") if getattr(options, name)]
    if len(given) > 1:
        names = " and ".join(f"--{name.replace('_', '-')}" for name in given)
        raise UsageError(
            f"{names} exclude each other: the copy is restored, or filled, or there already.",
            remedy="Example:",
            code="safeops rehearse --into URL --rows 1000000",
        )
    result = rehearse(
        config_of(options),
        options.revision,
        into=options.into,
        backup=options.from_backup,
        rows=options.rows,
        as_is=options.as_is,
        like=options.like,
        traffic=options.traffic,
        writers=options.writers,
        max_wait=options.max_wait,
        max_seconds=options.max_seconds,
        project=options.project,
    )
    if options.report is not None:
        _write_report(result, Path(options.report))
    return result


def _write_report(result: Rehearsal, path: Path) -> None:
    from safeops.rehearse.reports.html import html

    path.write_text(html(result.as_json()), encoding="utf-8")
    show([f"Report: {shown_path(str(path))}"], sys.stderr)


# For people -----------------------------------------------------------------------------------------------------


def rehearsal_lines(result: Rehearsal) -> Iterator[str]:
    """Write a rehearsal for people."""
    from safeops.rehearse.reports.words import back_text, copy_text, production_rows, traffic_text

    report = result.as_json()
    if not result.revisions:
        yield report["summary"]
        return
    yield from fitting(f"Rehearsed on {copy_text(report)}", "  ")
    for revision in report["revisions"]:
        yield ""
        yield from _revision_lines(report, revision)
    yield ""
    yield from row("Traffic", traffic_text(report), COLUMN)
    yield from _latency_lines(report)
    yield from row("Downgrade", back_text(report), COLUMN)
    for name, here, there in production_rows(report):
        yield from row("Production", f"{name}: {here} here, {there}", COLUMN)
    for place, remark in enumerate(report["measured"]):
        yield from row("" if place else "Measured", remark, COLUMN)
    yield ""
    yield from _verdict_lines(report)


def _revision_lines(report: Mapping[str, Any], revision: Mapping[str, Any]) -> Iterator[str]:
    from safeops.rehearse.projection import duration_text
    from safeops.rehearse.reports.words import others_text, statements_of

    title = f"{revision['revision']}  {revision['message']}".rstrip()
    yield from fitting(f"{title}  ({duration_text(revision['seconds'])})", "  ")
    shown, others = statements_of(report, revision["revision"])
    for place, statement in enumerate(shown, 1):
        yield from _statement_lines(f"  {place}. ", statement)
    if others:
        yield f"  {others_text(others, len(shown))}"


def _statement_lines(number: str, statement: Mapping[str, Any]) -> Iterator[str]:
    from safeops.rehearse.projection import duration_text
    from safeops.rehearse.reports.words import work_text
    from safeops.rehearse.words import locks_together

    blocks = statement["effect"] in ("writes wait", "all wait")
    yield from fitting(f"{number}{' '.join(statement['sql'].split())[:200]}", INDENT)
    yield from row("Time", duration_text(statement["seconds"]), COLUMN, INDENT)
    locks, unseen = locks_together(statement["locks"]), "not seen" if statement["effect"] == "unknown" else ""
    yield from row(
        "Locks", f"{locks}: {statement['effect']}" if locks else unseen, COLUMN, INDENT, ATTENTION if blocks else ""
    )
    yield from row("Work", work_text(statement), COLUMN, INDENT)
    if statement["longest_wait"]:
        yield from row("Waited", f"the application, up to {duration_text(statement['longest_wait'])}", COLUMN, INDENT)


def _latency_lines(report: Mapping[str, Any]) -> Iterator[str]:
    from safeops.rehearse.projection import duration_text
    from safeops.rehearse.reports.words import latencies

    for table, phases in latencies(report):
        figures = [f"{phase} {duration_text(p99)}, {duration_text(longest)}" for phase, p99, longest in phases]
        yield from row("", f"{table}: 99 % within, and the longest: {'; '.join(figures)}", COLUMN)


def _verdict_lines(report: Mapping[str, Any]) -> Iterator[str]:
    for finding in report["verdict"]["findings"]:
        yield from fitting(finding["what"], "  ", FAILURE)
        if finding["sql"]:
            yield from row("Statement", ": ".join(filter(None, [finding["revision"], finding["sql"]])), COLUMN, "  ")
        yield from row("Why", finding["why"], COLUMN, "  ")
        for place, code in (("upgrade()", finding["instead"]), ("downgrade()", finding["instead_down"])):
            if code:
                yield f"  Write in {place} instead:"
                yield from (f"{CODE}{line}" for line in code.splitlines())
        yield from row("Advice", finding["advice"], COLUMN, "  ")
        yield ""
    ok = report["verdict"]["ok"]
    yield from fitting(report["summary"], "  ", "" if ok else FAILURE)


def _markdown(result: Rehearsal) -> str:
    from safeops.rehearse.reports.markdown import render

    return render(result.as_json())


# The command ----------------------------------------------------------------------------------------------------


def _number(text: str) -> int:
    if not text.isdigit() or not int(text):
        raise ArgumentTypeError(f"{text!r} is not a number: give 1 or more")
    return int(text)


REHEARSE = Command(
    "rehearse",
    _rehearse,
    help="run the pending revisions on a copy under traffic, and judge budgets",
    description="Makes a copy of the database, with rows whose shape follows production's statistics or from a backup. Runs "
    "the pending revisions there while other processes read and write, and shows what each statement locked, who waited and "
    "for how long, whether a write was lost, whether the downgrade leads back, and how long it would take in production. "
    "Production is only read.",
    exit_statuses="0 all budgets and promises were kept, 1 one was missed, 2 that could not be judged, 3 gave up (the copy "
    "is not empty, Ctrl-C), 4 failed, as a revision on the copy",
    example="safeops rehearse --rows 200000 --max-wait 0.5 --report report.html",
    arguments=(
        Argument(
            "revision",
            metavar="[START:]REV",
            nargs="?",
            default="head",
            help="the target (default: head); with START:, the copy is filled at that revision",
        ),
        Argument(
            "--into",
            metavar="URL",
            help="an empty database for the copy (default: a temporary one, if that is possible)",
        ),
        Argument("--from-backup", metavar="FILE", help="restore a backup of safeops backup into it"),
        Argument("--rows", metavar="N", type=_number, help="fill each table with so many rows"),
        Argument("--as-is", action="store_true", help="the database at --into is a copy already"),
        Argument(
            "--like",
            metavar="URL",
            help="production, which is only read: its revision and the statistics of its tables",
        ),
        Argument(
            "--traffic",
            metavar="auto|none|FILE|URL",
            default="auto",
            help="the statements of the application: planned, none, a file, or those that pg_stat_statements of a "
            "PostgreSQL database has counted (default: auto)",
        ),
        Argument("--writers", metavar="N", type=_number, default=2, help="clients that write each table (default: 2)"),
        Argument(
            "--max-wait",
            metavar="SECONDS",
            type=seconds,
            default=0.5,
            help="the longest that a statement of the application may take (default: 0.5)",
        ),
        Argument(
            "--max-seconds",
            metavar="SECONDS",
            type=seconds,
            default=600.0,
            help="the longest that the revisions may take (default: 600)",
        ),
        Argument(
            "--no-projection",
            dest="project",
            action="store_false",
            help="do not run them on a tenth of the rows first, which projects the times to production",
        ),
        Argument("--report", metavar="FILE", help="also write a report for people, as one HTML file"),
    ),
    lines_of=rehearsal_lines,
    formats={"markdown": _markdown},
)
