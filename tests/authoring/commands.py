"""Runs the commands of `alembic` and of `python -m safeops` as a shell in a project's folder does."""

from __future__ import annotations

import contextlib
import io
import multiprocessing
import os
import re
import shlex
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

from alembic import command
from alembic.config import Config, main

UNCHANGED = {"PATH", "PYTHONPATH", "HOME", "LANG", "LD_LIBRARY_PATH", "TMPDIR", "SYSTEMROOT"}

MODELS = """from sqlalchemy import String, Text
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class Base(DeclarativeBase):
    pass


class User(Base):
    __tablename__ = "users"

    id: Mapped[int] = mapped_column(primary_key=True)
    email: Mapped[str] = mapped_column(String(320))
"""


_PROCESSES = multiprocessing.get_context("forkserver")
# Loading them is most of what a command takes: each command is a fork of a process that has them.
_PROCESSES.set_forkserver_preload(["alembic.config", "psycopg", "safeops.authoring", "safeops.autogenerate"])


def alembic(folder: Path, *commands: str, fails: bool = False, **environment: str) -> str:
    """Run commands one after the other, each in a separate process, and return what they print."""
    printed = ""
    for one in commands:
        with tempfile.NamedTemporaryFile("r") as output:
            child = _PROCESSES.Process(target=_run_alembic, args=(folder, shlex.split(one), environment, output.name))
            child.start()
            child.join(120)
            printed += output.read()
        assert (child.exitcode != 0) is fails, f"alembic {one}: {child.exitcode}\n{printed[-4000:]}"
    return printed


def _run_alembic(folder: Path, arguments: list[str], environment: dict[str, str], output: str) -> None:
    os.chdir(folder)
    for name in set(os.environ) - UNCHANGED:
        del os.environ[name]
    os.environ.update(environment)
    # As in a script: its own folder comes first, not the current one.
    sys.path[:] = [entry for entry in sys.path if entry and not (Path(entry) / "tests" / "authoring").exists()]
    target = os.open(output, os.O_WRONLY)
    os.dup2(target, 1)
    os.dup2(target, 2)
    sys.stdout, sys.stderr = open(1, "w", closefd=False), open(2, "w", closefd=False)  # noqa: SIM115
    try:
        main(arguments)
    finally:
        # Alembic prints to what was the output when its module was loaded, before this process was forked.
        for stream in (sys.stdout, sys.stderr, sys.__stdout__, sys.__stderr__):
            if stream is not None:
                stream.flush()


def shell(folder: Path, block: str, **environment: str) -> str:
    """Run a block of a page line by line."""
    printed = ""
    for line in block.splitlines():
        words = shlex.split(line, comments=True)
        if words[:1] == ["alembic"]:
            printed += alembic(folder, shlex.join(words[1:]), **environment)
        elif words:
            if words[0] == "safeops":
                words = [sys.executable, "-m", *words]
            path = f"{Path(sys.executable).parent}:{os.environ['PATH']}"
            done = subprocess.run(
                words, cwd=folder, env=os.environ | environment | {"PATH": path}, capture_output=True, text=True
            )
            assert done.returncode == 0, f"{line}\n{done.stdout}{done.stderr}"
            printed += done.stdout
    return printed


def python(folder: Path, *arguments: str, **environment: str) -> str:
    done = started(folder, *arguments, **environment)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout + done.stderr


def started(folder: Path, *arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    clean = {name: value for name, value in os.environ.items() if name in UNCHANGED}
    return subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env=clean | environment,
        capture_output=True,
        text=True,
        timeout=120,
    )


def stock(folder: Path, template: str = "generic", directory: str = "migrations") -> None:
    """Do what `alembic init -t` does; the current folder must be the project's."""
    config = Config(str(folder / "alembic.ini"), str(folder / "pyproject.toml"), stdout=io.StringIO())
    with contextlib.redirect_stdout(io.StringIO()):
        command.init(config, str(Path(directory)), template=template)


def revision(folder: Path, upgrade: str = "", downgrade: str = "", **options: Any) -> Path:
    """Do what `alembic revision` does, and write the bodies of both functions into the file."""
    options = {"message": "first", **options}
    with contextlib.redirect_stdout(io.StringIO()):
        script = command.revision(Config(str(folder / "alembic.ini"), str(folder / "pyproject.toml")), **options)
    file = Path(script.path)  # type: ignore[union-attr]
    text = file.read_text()
    if upgrade:
        text = re.sub(r"(?m)(?<=def upgrade)(.*:\n)    pass$", lambda found: f"{found[1]}    {upgrade}", text)
    if downgrade:
        unwritten = r"(?m)^    raise NotImplementedError\((?:\n        .*)*\n    \)$"
        text = re.sub(unwritten, lambda _: f"    {downgrade}", text)
    file.write_text(text)
    return file


def fill_in(folder: Path, url: str, models: str = MODELS) -> None:
    """Do what `init` leaves to the user: the URL, and the models."""
    (folder / "models.py").write_text(models)
    substitute(folder / "alembic.ini", r"(?m)^sqlalchemy\.url =$", f"sqlalchemy.url = {url}".replace("%", "%%"))
    substitute(
        folder / "migrations" / "env.py",
        r"(?m)^target_metadata = None$",
        "import models\n\ntarget_metadata = models.Base.metadata",
    )


def substitute(file: Path, pattern: str, replacement: str) -> None:
    text, count = re.subn(pattern, lambda _: replacement, file.read_text())
    assert count == 1, f"{pattern} stands {count} times in {file}"
    file.write_text(text)


def files_in(folder: Path) -> dict[str, str]:
    """The text of every file of a project below a folder."""
    return {
        str(path.relative_to(folder)): path.read_text()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.suffix in (".py", ".ini", ".toml", ".mako", ".md", "")
    }
