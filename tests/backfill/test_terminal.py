"""The progress of long work on a real terminal, under `alembic upgrade` and `safeops upgrade`, and in a log."""

import os
import re
import signal
import subprocess
import sys
import textwrap

import pytest
from tests.backfill.workers import accounts, is_filled, sums
from tests.servers import ROOT
from tests.terminals import COLOURS, on_terminal, screen

ROWS = 1000
INI = """
[alembic]
script_location = migrations
[loggers]
keys = root,alembic,safeops
[handlers]
keys = console
[formatters]
keys = generic
[logger_root]
level = WARNING
handlers = console
[logger_alembic]
level = INFO
handlers =
qualname = alembic
[logger_safeops]
level = INFO
handlers =
qualname = safeops
[handler_console]
class = StreamHandler
args = (sys.stderr,)
formatter = generic
[formatter_generic]
format = %(levelname)-5.5s [%(name)s] %(message)s
"""
ENV = """
import os
from logging.config import fileConfig
from alembic import context
from sqlalchemy import create_engine
from safeops.backfilling import progress

progress.SHOW_AFTER = 0.0
progress.REPORT_EVERY = 0.2
fileConfig(context.config.config_file_name)
url = os.environ["DATABASE_URL"]
if context.is_offline_mode():
    context.configure(url=url, literal_binds=True)
    with context.begin_transaction():
        context.run_migrations()
else:
    with create_engine(url).connect() as connection:
        context.configure(connection=connection, transaction_per_migration=True)
        with context.begin_transaction():
            context.run_migrations()
"""
REVISION = """
import logging
import os
import signal
import sys
import time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
import sqlalchemy as sa
from alembic import op
from safeops import ColumnRename, TypeChange, add_required_column, backfill, drop_column_if_exists
from safeops import drop_archives, reads, restore_column
from tests.backfill.workers import KilledOnce, Slow
revision, down_revision = "r1", None

def upgrade():
{body}

def downgrade():
    pass
"""
FILL = 'backfill("accounts", Slow(0.06), where=True, name="it", batch_size=100{})'
WITHOUT_RICH = "import sys; sys.modules['rich'] = None; sys.modules['rich.console'] = None;"
ALEMBIC = "from alembic.config import main; sys.exit(main(prog='alembic'))"
SAFEOPS = "from safeops.cli import main; sys.exit(main())"

pytestmark = pytest.mark.only("pg18", "sqlite")


class Command:
    """A command line in a project that has one revision."""

    def __init__(self, database, folder, body):
        self.database, self.folder = database, folder
        (folder / "migrations/versions").mkdir(parents=True)
        (folder / "alembic.ini").write_text(INI)
        (folder / "migrations/env.py").write_text(ENV)
        body = textwrap.indent(textwrap.dedent(body).strip(), "    ")
        (folder / "migrations/versions/r1.py").write_text(REVISION.format(body=body))

    def environ(self):
        url = self.database.url.render_as_string(hide_password=False)
        return {"DATABASE_URL": url, "PYTHONPATH": os.pathsep.join([str(ROOT), *sys.path])}

    def line(self, *words, main=ALEMBIC, rich=True):
        return [sys.executable, "-c", f"import sys; {'' if rich else WITHOUT_RICH} {main}", *words]

    def on_terminal(self, *words, main=ALEMBIC, rich=True, environ=None, **options):
        line = self.line(*(words or ("upgrade", "head")), main=main, rich=rich)
        return on_terminal(line, environ={**self.environ(), **(environ or {})}, folder=self.folder, **options)

    def piped(self, *words):
        return subprocess.run(
            self.line(*(words or ("upgrade", "head"))),
            cwd=self.folder,
            env={**os.environ, **self.environ()},
            text=True,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
        )


@pytest.fixture
def project(database, tmp_path):
    accounts(database, ROWS)
    return lambda body: Command(database, tmp_path, body)


def drawings(written):
    """What the line showed, one after the other."""
    parts = [part.strip() for part in re.split(r"[\r\n]+", COLOURS.sub("", written))]
    return [part for part in parts if re.search(r"\d (of about|rows)", part) and "[safeops]" not in part]


def matching(lines, pattern):
    return [line for line in lines if re.search(pattern, line)]


FIGURES = r"\d+ %[, ] +[\d,]+ of about [\d,]+ rows[, ] +[\d,]+ rows/s[, ] +about \d+ s left"
FIGURES_AT_END = r"100 %[, ] 1,000 rows[, ] [\d,]+ rows/s[, ] took \d+ s"


@pytest.mark.only("pg18")
@pytest.mark.parametrize(
    ("main", "rich", "columns"),
    [(ALEMBIC, True, 120), (SAFEOPS, True, 80), (ALEMBIC, False, 80), (SAFEOPS, False, 120)],
    ids=["alembic-rich", "safeops-rich", "alembic-plain", "safeops-plain"],
)
def test_a_terminal_shows_one_line_that_is_rewritten(project, main, rich, columns):
    command = project(FILL.format(""))
    written, status = command.on_terminal(main=main, rich=rich, columns=columns)
    assert status == 0, written
    assert is_filled(command.database)
    shown = drawings(written)
    assert len(shown) > 3
    assert all(len(line) < columns for line in shown)
    separator = " [━╸╺]+  +" if rich else ": +"
    assert all(re.match(f"(backfilling )?accounts{separator}", line) for line in shown)
    if columns == 120:
        assert len(matching(shown, f"{FIGURES}$")) > 1
    (at_end,) = matching(screen(written, columns), "rows/s")
    assert re.fullmatch(f"backfilling accounts{separator}{FIGURES_AT_END}", at_end)
    assert matching(screen(written, columns), r"^INFO +\[safeops\] finished backfill it: 1,000 rows in 10 batches")


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
def test_other_output_comes_above_the_line(project, rich):
    command = project(
        """
        @reads("id", "balance")
        def talking(rows):
            time.sleep(0.02)
            logging.getLogger("alembic.app").info("logged %s", rows[0]["id"])
            print("printed", rows[0]["id"])
            print("warned", rows[0]["id"], file=sys.stderr)
            return [{"balance": row["balance"] * 100} for row in rows]
        backfill("accounts", talking, where=True, name="it", batch_size=100)
        sys.stderr.write("after\\n")
        """
    )
    written, status = command.on_terminal(rich=rich)
    assert status == 0, written
    shown = screen(written)
    firsts = range(1, ROWS, 100)
    assert [line for line in shown if re.match("logged|printed|warned|INFO.*logged", line)] == [
        line
        for first in firsts
        for line in (f"INFO  [alembic.app] logged {first}", f"printed {first}", f"warned {first}")
    ]
    assert len(matching(shown, "rows/s")) == 1
    assert re.match(r"backfilling accounts.*took", shown[shown.index("after") - 2])


@pytest.mark.only("sqlite")
def test_colours_can_be_disabled(project):
    command = project(FILL.format(""))
    assert COLOURS.search(command.on_terminal()[0])
    command.database.execute("DELETE FROM alembic_version", "DROP TABLE safeops_backfill")
    written, _ = command.on_terminal(environ={"NO_COLOR": "1"})
    assert drawings(written)
    assert "\x1b" not in written


@pytest.mark.only("pg18")
def test_a_dumb_terminal_and_a_pipe_get_log_lines(project):
    command = project(FILL.format(""))
    written, status = command.on_terminal(environ={"TERM": "dumb"})
    assert status == 0
    command.database.execute("DELETE FROM alembic_version", "DROP TABLE safeops_backfill")
    piped = command.piped()
    line = (
        r"INFO  \[safeops\] backfilling accounts: \d+ % \([\d,]+ of about [\d,]+ rows\), [\d,]+ rows/s,"
        r" about \d+ s left, batches of 100"
    )
    for output in (written, piped.stdout):
        lines = output.splitlines()
        assert "\r" not in output.replace("\r\n", "\n")
        reported = matching(lines, "rows/s")
        assert 0 < len(reported) < 10
        assert all(re.fullmatch(line, one) for one in reported)


@pytest.mark.parametrize("rich", [True, False], ids=["rich", "plain"])
def test_after_an_error_it_stays_above_the_message(project, rich):
    command = project(
        """
        def failing(progress=[]):
            progress.append(1)
            if len(progress) > 5:
                raise ZeroDivisionError("mine")
        backfill("accounts", Slow(0.02), where=True, name="it", batch_size=100, throttles=[lambda _: failing()])
        """
    )
    written, status = command.on_terminal(rich=rich)
    assert status == 1
    shown = screen(written)
    (last,) = matching(shown, "rows/s")
    assert matching([last], "^backfilling accounts.* 500 ")
    assert shown.index(last) < shown.index("Traceback (most recent call last):")


def test_ctrl_c_leaves_it_as_it_is(project):
    command = project(FILL.replace("0.02", "0.1").format(""))
    sent = []

    def interrupt(written, process):
        if "rows/s" in written and not sent:
            sent.append(os.killpg(process.pid, signal.SIGINT))

    written, status = command.on_terminal(when=interrupt)
    assert status == 255, written
    shown = screen(written)
    (last,) = matching(shown, "rows/s")
    message = matching(shown, "Backfill it was stopped by SIGINT")[0]
    assert shown.index(last) < shown.index(message)
    assert sums(command.database)[1]


@pytest.mark.only("pg18")
@pytest.mark.parametrize("pool", ["ThreadPoolExecutor(2)", "ProcessPoolExecutor(2)"])
def test_workers_share_one_line(project, pool):
    command = project(
        f"""
        from safeops.backfilling import parallel
        parallel.LOOK_EVERY, parallel.SMALLEST = 0.05, 100
        with {pool} as executor:
            backfill("accounts", Slow(0.05), where=True, name="it", batch_size=20, executor=executor)
        """
    )
    written, status = command.on_terminal()
    assert status == 0, written
    assert is_filled(command.database)
    assert len(drawings(written)) > 3
    (last,) = matching(screen(written), "rows/s")
    assert re.search(FIGURES_AT_END, last)


@pytest.mark.only("pg18")
def test_a_worker_that_is_killed_leaves_it_whole(project):
    command = project(
        """
        from safeops.backfilling import parallel
        parallel.LOOK_EVERY, parallel.SMALLEST = 0.05, 100
        with ProcessPoolExecutor(2) as executor:
            backfill("accounts", KilledOnce("killed"), where=True, name="it", batch_size=20, executor=executor)
        """
    )
    written, status = command.on_terminal()
    assert status == 0, written
    shown = screen(written)
    assert is_filled(command.database)
    assert (command.folder / "killed").exists()
    assert matching(shown, "^WARNI.*a worker stopped")
    (last,) = matching(shown, "rows/s")
    assert re.search(FIGURES_AT_END, last)


WORK = {
    "a required column": (
        'add_required_column("accounts", sa.Column("kind", sa.Integer()), populate=sa.literal(1), batch_size=100)',
        ["backfilling accounts.kind"],
    ),
    "a rename": ('ColumnRename("accounts", "balance", "sum").expand(batch_size=100)', ["backfilling accounts.sum"]),
    "a change of the type": (
        'TypeChange("accounts", "balance", sa.Numeric(20, 2)).expand(batch_size=100)',
        [r"backfilling accounts\.\w*balance\w*"],
    ),
    "an archive": (
        'drop_column_if_exists("accounts", "balance", archive=True)\n'
        'restore_column("accounts", sa.Column("balance", sa.BigInteger()))',
        ["archiving accounts.balance", "restoring accounts.balance"],
    ),
}


@pytest.mark.parametrize("work", WORK)
def test_it_is_shown_by_all_that_runs_in_batches(project, work):
    body, lines = WORK[work]
    command = project(body)
    written, status = command.on_terminal()
    assert status == 0, written
    shown = screen(written)
    assert len(matching(shown, "rows/s")) == len(lines)
    for line in lines:
        assert len(matching(shown, f"^{line} .*100 %  1,000 rows")) == 1


@pytest.mark.only("pg18")
def test_a_dry_run_and_sql_show_nothing(project):
    command = project('backfill("accounts", {"balance": sa.text("balance * 100")}, where=True)')
    for words, main in ((["upgrade", "head", "--sql"], ALEMBIC), (["plan"], SAFEOPS)):
        written, status = command.on_terminal(*words, main=main)
        assert "accounts" in written, (words, status)
        assert not matching(written.splitlines(), "backfilling|rows/s")
