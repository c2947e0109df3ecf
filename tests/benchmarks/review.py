"""What `safeops review` and other linters of migrations know of the key, side by side.

    python -m tests.benchmarks.review [--on pg18] [--tools FOLDER] [--only NAME] [--without-safeops]

Each linter is installed into its own environment (kept in FOLDER for the next time), and judges each revision
of tests/review/key_postgresql, whose truth was measured on the server. A linter with several severities is taken at the
one that serves it best: the largest difference between its recall and its share of false alarms. Prints a table in Markdown.
"""

from __future__ import annotations

import argparse
import io
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Iterable, Iterator, Sequence
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config

from tests.benchmarks.linters import LINTERS, SEVERITIES, Levels, Linter, Material, Silent
from tests.review import keys
from tests.review.scoring import RUNGS, Score, Scorer, score, unsafe_in
from tests.servers import PostgreSQL, start

TIMEOUTS = "SET lock_timeout = '2s';\nSET statement_timeout = '1h';\n"
HEAD = "| tool | precision | recall | false alarms | misses | seconds |\n|---|---|---|---|---|---|"


def main() -> None:
    options = _options()
    entries = keys.load()
    with tempfile.TemporaryDirectory() as folder:
        print(f"{len(entries)} revisions, PostgreSQL {_version(options.on)}\n\n{HEAD}", flush=True)
        if not options.without_safeops:
            for result in _safeops(options.on, entries, Path(folder)):
                print(row(result), flush=True)
        missing = []
        for linter in LINTERS:
            if options.only in linter.name:
                result = _linter(linter, entries, options, Path(folder))
                print(row(result), flush=True) if isinstance(result, Score) else missing.append(result)
    print("\n" + "\n".join(missing) if missing else "")


def row(result: Score) -> str:
    numbers = f"{result.precision:.2f} | {result.recall:.2f}"
    counts = f"{len(result.false_alarms)} | {len(result.misses)} | {result.seconds:.0f}"
    return f"| {result.tool} | {numbers} | {counts} |"


# safeops --------------------------------------------------------------------------------------------------------


def _safeops(name: str, entries: Sequence[dict[str, Any]], folder: Path) -> Iterator[Score]:
    server = start(name)
    assert isinstance(server, PostgreSQL)
    try:
        scorer = Scorer(server, folder, entries)
        for rung in RUNGS:
            found, answer = scorer(rung)
            # Over all of the key, also what can be known only with a database.
            yield score(
                f"**safeops review**, {TITLES[rung]}", unsafe_in(answer), entries, _version(name), found.seconds
            )
    finally:
        server.stop()


TITLES = {"offline": "no database", "scratch": "with `--scratch-url`", "url": "with `--url`"}


def _version(name: str) -> str:
    return name.removeprefix("pg")


# The others -----------------------------------------------------------------------------------------------------


def _linter(
    linter: Linter, entries: Sequence[dict[str, Any]], options: argparse.Namespace, folder: Path
) -> Score | str:
    home = Path(options.tools or folder / "tools").absolute() / linter.packages[0].rpartition("/")[2]
    try:
        programs, version = _installed(linter, home)
    except (subprocess.SubprocessError, OSError) as error:
        return f"{linter.name} cannot be installed: {error}"
    material = _material(entries, folder)
    began = time.monotonic()
    try:
        levels = linter.levels(programs, material)
    except (Silent, subprocess.TimeoutExpired) as error:
        return f"{linter.name} {version} fails: {str(error).strip().splitlines()[-1:]}"
    seconds = time.monotonic() - began
    return best(f"{linter.name} {version}", levels, entries, _version(options.on), seconds)


def best(tool: str, levels: Levels, entries: Sequence[dict[str, Any]], version: str, seconds: float) -> Score:
    """The score at the severity that serves the tool best."""
    tries = [
        score(tool, frozenset(one for one, found in levels.items() if found >= level), entries, version, seconds)
        for level in sorted({*SEVERITIES.values()})
    ]
    safe = len(entries) - len(tries[0].expected)
    return max(tries, key=lambda one: one.recall - len(one.false_alarms) / safe)


def _installed(linter: Linter, home: Path) -> tuple[Path, str]:
    if linter.by == "npm":
        programs = home / "node_modules" / ".bin"
        if not programs.exists():
            home.mkdir(parents=True, exist_ok=True)
            _run("npm", "install", "--no-audit", "--no-fund", "--prefix", str(home), *linter.packages)
        return programs, _run(str(programs / linter.name), "--version").strip()
    if not (home / "bin").exists():
        venv.create(home, with_pip=True)
    python = str(home / "bin" / "python")
    _run(python, "-m", "pip", "install", "-q", *linter.packages)
    asked = f"from importlib.metadata import version; print(version({linter.packages[0]!r}))"
    return home / "bin", _run(python, "-c", asked).strip()


def _run(*arguments: str) -> str:
    return subprocess.run(arguments, check=True, capture_output=True, text=True, timeout=600).stdout


def _material(entries: Sequence[dict[str, Any]], folder: Path) -> Material:
    ini = keys.project(folder / "project", ["*"])
    versions = ini.parent / "migrations" / "versions"
    sql = folder / "sql"
    if not sql.exists():
        sql.mkdir()
        for entry in entries:
            if (text := rendered(entry, folder / "one")) is not None:
                (sql / f"{entry['revision']}.sql").write_text(TIMEOUTS + text)
    return Material(
        ini.parent,
        versions,
        {path.stem: path for path in sorted(sql.glob("*.sql"))},
        [one["revision"] for one in entries],
    )


def rendered(entry: dict[str, Any], folder: Path) -> str | None:
    """The SQL of a revision, without the table of Alembic; None if it cannot be rendered."""
    folder.mkdir(exist_ok=True)
    config = Config(keys.project(folder, [entry["file"]]), output_buffer=io.StringIO())
    try:
        with redirect_stdout(io.StringIO()):
            command.upgrade(config, f"{keys.BASE}:{entry['revision']}", sql=True)
    except BaseException:
        # Also what ends the process: it is the revision's own doing.
        return None
    return without_versions(config.output_buffer.getvalue().split("\n\n"))  # type: ignore[attr-defined]


def without_versions(statements: Iterable[str]) -> str:
    return "\n\n".join(one for one in statements if "alembic_version" not in one)


def _options() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="safeops review and other linters over the key, side by side.")
    parser.add_argument("--on", default="pg18", help="the server")
    parser.add_argument("--tools", help="a folder to keep the linters in")
    parser.add_argument("--only", default="", help="only linters whose name has this in it")
    parser.add_argument("--without-safeops", action="store_true")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
