"""Other people's linters of migrations: how each is installed, called and read.

Each rates every revision by a number that grows with the danger; without a finding it is 0. Those that
read SQL get what `alembic upgrade --sql` renders of each revision, without Alembic's own table, and with the timeouts
that most of them require; those that read Python get the project.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

Levels = dict[str, int]

SECONDS = 600
AT_ONCE = 50
"""Files of one call: some of the linters take at most 100."""
SEVERITIES = {
    name: level
    for level, names in enumerate(
        (("info", "low", "style", "ok"), ("warning", "medium"), ("error", "high"), ("critical",)), start=1
    )
    for name in names
}
STYLE = ",".join(
    (
        "ban-char-field",
        "prefer-bigint-over-int",
        "prefer-bigint-over-smallint",
        "prefer-identity",
        "prefer-robust-stmts",
        "prefer-text-field",
        "prefer-timestamp-tz",
        "require-timeout-settings",
        "require-lock-timeout",
        "require-statement-timeout",
    )
)
"""squawk's rules that are about taste, or about the timeouts."""


@dataclass(frozen=True)
class Material:
    """What the linters are given.

    Args:
        project: The folder of the project, with alembic.ini.
        versions: Its revisions, a file each.
        sql: The SQL of each revision that Alembic can render.
        revisions: All of them.
    """

    project: Path
    versions: Path
    sql: Mapping[str, Path]
    revisions: Sequence[str]


@dataclass(frozen=True)
class Linter:
    """A linter that pip, or npm, installs.

    Args:
        name: Its name, and a note on how it is called.
        packages: What is installed.
        levels: Runs it: the folder of its programs, and what it is given.
        by: The installer.
    """

    name: str
    packages: tuple[str, ...]
    levels: Callable[[Path, Material], Levels]
    by: str = "pip"
    environment: Mapping[str, str] = field(default_factory=dict)


class Silent(Exception):
    """A linter died, or wrote nothing that can be read."""


def called(*command: object, folder: Path | None = None) -> str:
    """What a command prints; linters exit with 1 if they find something."""
    done = subprocess.run(
        [str(part) for part in command],
        cwd=folder,
        capture_output=True,
        text=True,
        timeout=SECONDS,
        env={**os.environ, "NO_COLOR": "1", "COLUMNS": "400", "PYTHONPATH": ""},
    )
    if "Traceback (most recent call last)" in done.stderr or done.returncode < 0:
        raise Silent(done.stderr[-400:])
    return done.stdout or done.stderr


def parsed(text: str) -> Any:
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        raise Silent(text[-400:]) from error


def revision_of(path: object) -> str:
    return Path(str(path)).stem.partition("_")[0]


def worst(found: Iterable[tuple[object, str]]) -> Levels:
    """The highest level of each revision, of files and severities."""
    levels: Levels = {}
    for path, severity in found:
        revision = revision_of(path)
        levels[revision] = max(levels.get(revision, 0), SEVERITIES[severity.lower()])
    return levels


def in_parts(files: Sequence[Path], ask: Callable[[Sequence[Path]], Levels]) -> Levels:
    """Judge many files at once; if the linter dies of one, the halves, so only that one stays without an answer."""
    if not files:
        return {}
    try:
        return ask(files)
    except Silent:
        half = len(files) // 2
        return in_parts(files[:half], ask) | in_parts(files[half:], ask) if half else {}


def asked(material: Material, ask: Callable[[Sequence[Path]], Levels]) -> Levels:
    """Judge all of the SQL, some files at a time."""
    files = list(material.sql.values())
    parts = [in_parts(files[first : first + AT_ONCE], ask) for first in range(0, len(files), AT_ONCE)]
    return {revision: level for part in parts for revision, level in part.items()}


# Those that read SQL --------------------------------------------------------------------------------------------


def squawk(*options: str) -> Callable[[Path, Material], Levels]:
    def levels(programs: Path, material: Material) -> Levels:
        command = (programs / "squawk", "--reporter", "json", "--pg-version", "18", *options)
        return asked(material, lambda files: worst((one["file"], "error") for one in parsed(called(*command, *files))))

    return levels


def migration_checker(programs: Path, material: Material) -> Levels:
    command = (programs / "localtools-postgres-migration-checker", "check")

    def ask(files: Sequence[Path]) -> Levels:
        answer = parsed(called(*command, *files, "--format", "json", "--pg", "18"))
        return worst(
            (one["name"], finding["severity"])
            for one in answer["files"]
            for statement in one["statements"]
            for finding in statement["findings"]
        )

    return asked(material, ask)


def safemigrate(programs: Path, material: Material) -> Levels:
    command = (programs / "safemigrate-lint", "--severity", "critical,warning,style")
    return asked(
        material,
        lambda files: worst((one["file"], one["severity"]) for one in parsed(called(*command, *files))),
    )


def pgfence(programs: Path, material: Material) -> Levels:
    command = (programs / "pgfence", "analyze", "--format", "sql", "--output", "json", "--min-pg-version", "18")

    def ask(files: Sequence[Path]) -> Levels:
        answer = parsed(called(*command, *files))["results"]
        return worst(
            (one["filePath"], check["risk"].replace("SAFE", "ok")) for one in answer for check in one["checks"]
        )

    return asked(material, ask)


def locksafe(programs: Path, material: Material) -> Levels:
    """One file at a time: of several it names only the folder."""

    def ask(files: Sequence[Path]) -> Levels:
        answer = parsed(called(programs / "locksafe", "analyze", files[0], "--format", "json"))
        return worst((files[0], one["severity"]) for one in answer)

    parts = [in_parts([file], ask) for file in material.sql.values()]
    return {revision: level for part in parts for revision, level in part.items()}


def migration_lint(programs: Path, material: Material) -> Levels:
    """It looks at what is new in a git repository, and prints the kind of each statement."""
    options = ("--loader", "local_git", "--extractor", "raw_sql", "--squawk-pg-version", "18")

    def ask(files: Sequence[Path]) -> Levels:
        with tempfile.TemporaryDirectory() as folder:
            git = ("git", "-C", folder, "-c", "user.name=x", "-c", "user.email=x@example.org")
            called(*git, "init", "-q")
            called(*git, "commit", "-q", "--allow-empty", "-m", "base")
            for file in files:
                shutil.copy(file, folder)
            called(*git, "add", "-A")
            return worst(_by_kind(called(programs / "migration-lint", *options, folder=Path(folder))))

    return asked(material, ask)


def _by_kind(text: str) -> Iterator[tuple[str, str]]:
    kinds = {
        "RESTRICTED": "error",
        "BACKWARD_INCOMPATIBLE": "error",
        "DATA_MIGRATION": "warning",
        "UNSUPPORTED": "info",
    }
    file = ""
    for line in text.splitlines():
        if found := re.search(r"Analyzing migration: (\S+\.sql)", line):
            file = found[1]
        elif (found := re.search(r"StatementType\.(\w+)", line)) and found[1] in kinds:
            yield file, kinds[found[1]]


# Those that read Python -----------------------------------------------------------------------------------------


def guard(programs: Path, material: Material) -> Levels:
    answer = parsed(called(programs / "alembic-guard", material.versions, "--format", "json"))
    return worst((one["path"], one["severity"]) for one in answer)


def migration_linter(programs: Path, material: Material) -> Levels:
    """One revision at a time: it fails on a project with several heads."""
    levels: Levels = {}
    for file in sorted(material.versions.glob("*.py")):
        revision = revision_of(file)
        with _alone(material, file) as ini:
            try:
                text = called(programs / "alembic-lint", "-c", ini, "-d", "postgresql", "--no-cache", "-r", revision)
            except Silent:
                continue
        said = re.search(rf"\({revision}\)\.\.\. (\w+)", text)
        levels[revision] = {"ERR": 3, "ERROR": 3, "WARNING": 2, "WARN": 2}.get(said[1] if said else "", 0)
    return levels


class _alone:
    """A project of the base and one revision."""

    def __init__(self, material: Material, file: Path) -> None:
        self.material, self.file = material, file

    def __enter__(self) -> Path:
        from tests.review import keys

        return keys.project(self.material.project.parent / "alone", [f"revisions/{self.file.name}"])

    def __exit__(self, *_: object) -> None: ...


def oneport(programs: Path, material: Material) -> Levels:
    options = ("--all", "--no-llm", "--format", "json", "--min-severity", "info")
    answer = parsed(called(programs / "oneport-migrate", "check", material.versions, *options))
    return worst((one["location"]["file"], one["severity"]) for one in answer["findings"])


def migsafe(programs: Path, material: Material) -> Levels:
    answer = parsed(called(programs / "migsafe", "analyze", material.versions, "--format", "json"))
    return worst((one["file"], issue["severity"]) for one in answer["migrations"] for issue in one["issues"])


def lockcheck(programs: Path, material: Material) -> Levels:
    text = called(programs / "lockcheck", material.versions)
    return worst((line, "error") for line in text.splitlines() if re.fullmatch(r"\S+\.py", line))


def migrationiq(programs: Path, material: Material) -> Levels:
    return worst(_in_boxes(called(programs / "migrationiq", "lint", "-d", material.project, "-f", "alembic")))


def _in_boxes(text: str) -> Iterator[tuple[str, str]]:
    file = ""
    for line in text.splitlines():
        if found := re.search(r"(\S+\.py)\s+\(\d+ issue", line):
            file = found[1]
        elif found := re.search(r"● (\w+)", line):
            yield file, found[1]


def zdm(programs: Path, material: Material) -> Levels:
    answer = parsed(called(programs / "zdm", material.versions, "--output-format", "json"))
    return worst((one["path"], one["severity"]) for one in answer["diagnostics"])


LINTERS = (
    Linter("squawk, without rules of style", ("squawk-cli",), squawk("--exclude", STYLE)),
    Linter("squawk, all rules", ("squawk-cli",), squawk()),
    Linter("localtools-postgres-migration-checker", ("localtools-postgres-migration-checker",), migration_checker),
    Linter("safemigrate-lint", ("safemigrate-lint",), safemigrate),
    Linter("pgfence", ("@flvmnt/pgfence",), pgfence, by="npm"),
    Linter("migration-lint", ("migration-lint", "gitpython"), migration_lint),
    Linter("locksafe", ("locksafe",), locksafe),
    Linter("alembic-migration-linter", ("alembic-migration-linter", "psycopg[binary]"), migration_linter),
    Linter("zdm", ("zdm",), zdm),
    Linter("alembic-guard", ("alembic-guard",), guard),
    Linter("oneport-migrate", ("oneport-migrate",), oneport),
    Linter("migsafe", ("migsafe",), migsafe),
    Linter("lockcheck", ("lockcheck",), lockcheck),
    Linter("migrationiq", ("migrationiq",), migrationiq),
)
