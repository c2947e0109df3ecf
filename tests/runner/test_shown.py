"""What the commands print: colours and width on a terminal, plain text elsewhere, and answers to a wrong command line."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tests.runner.deploys import Deploy, gate, table
from tests.servers import Database
from tests.terminals import on_terminal

from safeops.cli import COMMANDS, main
from safeops.cli.console import ATTENTION, FAILURE, PENDING, Line, fitting
from safeops.cli.plan import plan_lines
from safeops.cli.project import check_lines, status_lines
from safeops.planned import Lock, PlannedCall
from safeops.review.checking import CheckedAndReviewed
from safeops.runner.checks import Checked, Finding
from safeops.runner.planning import Plan, PlannedRevision
from safeops.runner.revisions import Pending
from safeops.runner.status_report import Attention, Status

SHOW = "from safeops.cli.console import Line, show; show([Line('[bold]3 revisions :tada:', 'red'), 'plain'])"
RED, YELLOW, CYAN = "\x1b[31m", "\x1b[33m", "\x1b[36m"


def on_a_terminal(*arguments: str, columns: int = 80, **environment: str) -> str:
    """Runs Python on a terminal, and returns what the terminal gets."""
    written, _ = on_terminal([sys.executable, *arguments], columns=columns, environ=environment)
    return written.replace("\r\n", "\n")


# Colours --------------------------------------------------------------------------------------------------------


def test_a_terminal_gets_colours_and_the_text_unchanged() -> None:
    pytest.importorskip("rich")
    assert on_a_terminal("-c", SHOW) == f"{RED}[bold]3 revisions :tada:\x1b[0m\nplain\n"


@pytest.mark.parametrize("environment", [{"NO_COLOR": "1"}, {"TERM": "dumb"}])
def test_a_terminal_without_colours_gets_plain_text(environment: dict[str, str]) -> None:
    assert on_a_terminal("-c", SHOW, **environment) == "[bold]3 revisions :tada:\nplain\n"


def test_without_rich_a_terminal_gets_plain_text() -> None:
    without = f"import sys; sys.modules['rich.console'] = None; {SHOW}"
    assert on_a_terminal("-c", without) == "[bold]3 revisions :tada:\nplain\n"


def test_a_pipe_gets_plain_text() -> None:
    shown = subprocess.check_output([sys.executable, "-c", SHOW], text=True)
    assert shown == "[bold]3 revisions :tada:\nplain\n"


def test_an_error_is_red_and_its_remedy_is_not(tmp_path: Path) -> None:
    pytest.importorskip("rich")
    shown = on_a_terminal("-m", "safeops", "-c", str(tmp_path / "nosuch.ini"), "status")
    assert shown.startswith(RED)
    assert "    safeops -c path/to/alembic.ini status\n" in shown
    assert "\x1b" not in shown[shown.index("Give the path") :]


def colours(lines: list[str]) -> dict[str, str]:
    return {line.strip(): line.colour for line in lines if isinstance(line, Line) and line.colour}


def test_a_status_colours_what_is_pending_and_what_needs_attention() -> None:
    items = (Attention("invalid index", "ix on t", "Drop it."), Attention("open phase", "t.a and b", "Contract it."))
    lines = list(status_lines(Status("app", "SQLite", "", 1, ("r1",), ("r2",), (Pending("r2", "two"),), items, None)))
    assert "Migration lock  free" in lines
    assert lines.index("Needs attention") < lines.index("In progress")
    assert colours(lines) == {
        "Pending         1": PENDING,
        "r2  two": PENDING,
        "Needs attention": ATTENTION,
        "invalid index: ix on t": ATTENTION,
    }


def test_a_plan_numbers_its_steps_and_colours_what_blocks() -> None:
    from safeops.naming import Name

    users = Name("users")
    blocking, harmless = Lock("ACCESS EXCLUSIVE", "reads and writes", "briefly"), Lock("SHARE UPDATE EXCLUSIVE")
    steps = (
        PlannedCall(
            "add", "users.a", "run", "would add it", "x", "y", table_locks=((users, blocking), (users, blocking))
        ),
        PlannedCall("build", "ix", "run", "would build it", "x", "y", seconds=2.5, table_locks=((users, harmless),)),
        PlannedCall("make", "t", "skip", "it exists"),
        PlannedCall("op.execute", None, "unknown", "SELECT 1"),
    )
    lines = list(plan_lines(Plan((PlannedRevision("r1", "first", steps),))))
    assert lines == [
        "r1  first",
        "  1. add users.a",
        "     would add it",
        "     Lock  ACCESS EXCLUSIVE on users: blocks reads and writes, briefly",
        "  2. build ix",
        "     would build it",
        "     Lock  SHARE UPDATE EXCLUSIVE on users: blocks nothing",
        "     Time  about 2.5 s",
        "  3. make t  [skip]",
        "     it exists",
        "  4. op.execute  [cannot be predicted]",
        "     SELECT 1",
    ]
    assert colours(lines) == {
        "r1  first": PENDING,
        lines[3].strip(): ATTENTION,
        "4. op.execute  [cannot be predicted]": ATTENTION,
    }


def test_a_check_is_a_line_for_each_kind_and_what_is_wrong() -> None:
    findings = (Finding("offline", "note", "r1"), Finding("models", "error", "They differ:\n    op.add_column()"))
    checked = Checked(2, findings, checks=("load", "offline", "models"))
    lines = list(check_lines(CheckedAndReviewed(checked)))
    assert lines == [
        "load       ok",
        "offline    1 note",
        "models     1 error",
        "note: r1",
        "error: They differ:",
        "    op.add_column()",
        "2 revisions: 1 error",
    ]
    assert set(colours(lines).values()) == {FAILURE}


# Width ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("columns", "expected"), [(40, 60), (60, 60), (100, 100), (200, 120)])
def test_lines_are_as_wide_as_the_terminal(columns: int, expected: int) -> None:
    code = "from safeops.cli.console import fitting, show; show(fitting('x ' * 300))"
    widths = [len(line) for line in on_a_terminal("-c", code, columns=columns, NO_COLOR="1").splitlines()]
    assert expected - 2 <= max(widths) <= expected


def test_without_a_terminal_lines_have_80_characters() -> None:
    assert max(len(line) for line in fitting("x " * 300)) == 79


def test_code_in_a_message_is_not_broken() -> None:
    code = "    safeops upgrade --health-check http://localhost:8000/health --rollback-on-failure  [S001]"
    assert list(fitting(f"{'word ' * 20}\n{code}"))[-1] == code


# The command line -----------------------------------------------------------------------------------------------


def test_without_a_project_it_explains_how_to_name_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    for command in ("status", "plan", "backup", "upgrade", "rollback", "heads", "check", "review"):
        assert main([command]) == 4
        said = capsys.readouterr()
        assert "There is no Alembic project here: there is no file alembic.ini." in said.err, command
        assert "safeops -c path/to/alembic.ini" in said.err
        assert said.out == ""
    assert not list(tmp_path.iterdir())


def test_a_configuration_that_does_not_exist_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "here.ini").write_text("[alembic]\nscript_location = %(here)s\n")
    assert main(["-c", "nosuch.ini", "heads"]) == 4
    assert "There is no file nosuch.ini." in capsys.readouterr().err
    assert main(["-c", "here.ini", "-n", "nosuch", "heads"]) == 4
    assert "here.ini has no section [nosuch]." in capsys.readouterr().err


@pytest.mark.parametrize(
    ("arguments", "reported"),
    [
        (["frob"], "There is no command frob. Example: safeops status safeops --help"),
        (["upgrad"], "There is no command upgrad. Did you mean upgrade?"),
        (
            ["upgrade", "--bakup"],
            "safeops upgrade has no option --bakup. Did you mean --backup? Example: safeops upgrade",
        ),
        (["--nmae=x", "status"], "has no option --nmae. Did you mean --name?"),
        (["guide", "here"], "safeops guide does not take here. Example: python -m safeops guide"),
        (["restore"], "arguments are required: FILE, --into. Example: safeops restore backups/"),
        (["review", "--format", "xml"], "'xml' is not one of text, json, sarif"),
        (["check", "--write-baseline"], "--write-baseline needs --baseline"),
        (["upgrade", "--wait", "-5"], "'-5' is not a number of seconds: give 0 or more"),
        (["upgrade", "--health-patience", "nan"], "'nan' is not a number of seconds"),
        (["backup", "--keep", "0"], "'0' is not a number of backups: give 1 or more"),
    ],
)
def test_a_wrong_command_line_gets_a_right_one(
    arguments: list[str], reported: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(arguments) == 2
    said = capsys.readouterr()
    assert reported in " ".join(said.err.split())
    assert "Traceback" not in said.err
    assert max(map(len, said.err.splitlines())) <= 80
    assert said.out == ""
    if arguments[0] not in ("frob", "upgrad", "--nmae=x", "guide"):
        assert main([*arguments, "--json"]) == 2
        assert reported.split(".")[0].split("'")[-1] in json.loads(capsys.readouterr().out)["error"]["message"]


def test_without_a_command_it_prints_the_commands_in_groups(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    text = capsys.readouterr().out
    for title in ("First steps:", "Before a deploy:", "Deploy:", "Recover:", "Example:"):
        assert f"\n{title}\n" in text
    assert [name for name in re.findall(r"^  ([a-z]+) {2,}\S", text, re.MULTILINE) if name != "safeops"] == [
        command.name for command in COMMANDS
    ]


@pytest.mark.parametrize("command", ["", *(command.name for command in COMMANDS)])
def test_the_help_of_each_command_fits_and_has_an_example(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main([*([command] if command else []), "--help"]) == 0
    text = capsys.readouterr().out
    assert max(map(len, text.splitlines())) <= 80
    assert re.search(rf"^Example:\n  .*safeops {command}", text, re.MULTILINE)


# Ends -----------------------------------------------------------------------------------------------------------


@pytest.mark.only("sqlite")
def test_a_reader_that_closes_the_pipe_does_not_end_the_command(database: Database, tmp_path: Path) -> None:
    revisions = {"r1": (gate(tmp_path, "r1") + table("one")[0], "pass"), "r2": table("two")}
    project = Deploy(tmp_path, database, revisions)
    with project.start("upgrade") as runner:
        assert runner.stdout is not None and runner.stderr is not None
        runner.stdout.close()
        (tmp_path / "go").touch()
        log = runner.stderr.read()
        assert runner.wait() == 0
    assert "Broken pipe" not in log and "BrokenPipe" not in log
    assert project.current() == ("r2",)


@pytest.mark.only("sqlite")
def test_ctrl_c_ends_a_command_without_a_traceback(database: Database, tmp_path: Path) -> None:
    waits = f'import pathlib, time\npathlib.Path("{tmp_path}/here").touch()\ntime.sleep(60)\n'
    project = Deploy(tmp_path, database, {"r1": table("one")}, before=waits)
    with project.start("status", "--json") as runner:
        deadline = time.monotonic() + 30
        while not (tmp_path / "here").exists() and time.monotonic() < deadline:
            time.sleep(0.02)
        runner.send_signal(signal.SIGINT)
        out, log = runner.communicate()
    assert runner.returncode == 3
    assert "Stopped by Ctrl-C" in json.loads(out)["error"]["message"]
    assert "Traceback" not in log


@pytest.mark.only("sqlite")
def test_a_rollback_without_a_terminal_requires_yes(
    database: Database, tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    project = Deploy(tmp_path, database, {"r1": table("one")})
    assert project.main("upgrade") == 0
    capsys.readouterr()
    with open(os.devnull) as nothing:
        monkeypatch.setattr("sys.stdin", nothing)
        assert project.main("rollback") == 3
    said = capsys.readouterr()
    assert "Cannot prompt for confirmation: stdin is not a terminal. Pass --yes" in " ".join(said.err.split())
    assert said.out.startswith(
        "Will do:\n  downgrade r1\n    1. drop_table_if_exists one\n\nData that will be lost:\n  would drop table one"
    )


@pytest.mark.only("pg18")
def test_the_log_shows_alembics_context_once_and_none_of_a_check(database: Database, tmp_path: Path) -> None:
    logged = "import logging; logging.basicConfig(level=logging.INFO)"
    project = Deploy(tmp_path, database, {"r1": table("one"), "r2": table("two")}, before=logged)

    def log_of(*arguments: str) -> str:
        with project.start(*arguments) as runner:
            return runner.communicate()[1]

    assert "INFO" not in log_of("status")
    assert "INFO" not in log_of("plan")
    assert "INFO" not in log_of("check", "--no-review")
    assert "INFO:safeops:created table one" in log_of("check", "--no-review", "-v")
    log = log_of("upgrade")
    assert log.count("Context impl PostgresqlImpl") == 1
    assert log.count("created table") == 2
