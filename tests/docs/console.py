"""Run the commands on a page, in one folder, as a reader would type them."""

from __future__ import annotations

import contextlib
import functools
import glob
import io
import logging
import os
import re
import runpy
import shlex
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from unittest import mock

from alembic import config

from safeops import cli

Run = Callable[[list[str]], object]


class Console:
    """A shell that knows the few commands of the documentation. A process for each of them would take a second.

    Example:
        Console().run("alembic upgrade head")
    """

    def __init__(self) -> None:
        self.output = ""
        self._programs: dict[str, Run] = {
            "mkdir": lambda words: Path(words[-1]).mkdir(),
            "cd": lambda words: os.chdir(words[0]),
            "export": lambda words: os.environ.setdefault(*words[0].split("=", 1)),
            "pip": _pip,
            "alembic": _alembic,
            "python": _python,
            "safeops": _safeops,
            "pytest": _pytest,
            "echo": lambda words: print(*words),
        }

    def run(self, script: str) -> None:
        """Run each line; the first that fails raises."""
        for line in script.splitlines():
            words = [name for word in shlex.split(line, comments=True) for name in _files(word)]
            expected = re.search(r"# exits with (\d)", line)
            if words:
                self._run(words[0], words[1:], int(expected[1]) if expected else 0)

    def _run(self, program: str, words: list[str], expected: int) -> None:
        words, target = _redirected(words, ">")
        words, source = _redirected(words, "<")
        given = io.StringIO(Path(source).read_text() if source else "")
        said, logged = io.StringIO(), io.StringIO()
        status: object = 0
        with _fresh_process(logged), contextlib.redirect_stdout(said), contextlib.redirect_stderr(logged):
            try:
                with mock.patch.object(sys, "stdin", given):
                    self._programs[program](words)
            except SystemExit as end:
                status = end.code or 0
            finally:
                self.output = said.getvalue() + logged.getvalue()
        assert status == expected, f"{program} {words} exited with {status}: {self.output}"
        if target:
            Path(target).write_text(said.getvalue())

    def failure(self, script: str) -> str:
        """Return the output and the error of a script that must fail."""
        try:
            self.run(script)
        except (Exception, AssertionError) as error:
            return "".join(traceback.format_exception(error))
        raise AssertionError(f"this did not fail:\n{script}")


def _files(word: str) -> list[str]:
    """Return the files that a shell would insert for a word."""
    return (sorted(glob.glob(word)) or [word]) if "*" in word else [word]


def _redirected(words: list[str], sign: str) -> tuple[list[str], str | None]:
    if sign not in words:
        return words, None
    place = words.index(sign)
    return words[:place], words[place + 1]


def _alembic(words: list[str]) -> None:
    # Alembic keeps the stdout that there was when it was imported.
    with mock.patch.object(config, "Config", functools.partial(config.Config, stdout=sys.stdout)):
        config.CommandLine("alembic").main(words)


def _pip(words: list[str]) -> None:
    """Check that the distribution is installed and has those extras."""
    assert words[0] == "install", words
    name, _, extra = words[-1].rstrip("]").partition("[")
    found = metadata.metadata("alembic-safeops" if name == "." else name)
    assert not extra or extra in found.get_all("Provides-Extra", [])


def _safeops(words: list[str]) -> None:
    raise SystemExit(cli.main(words))


def _python(words: list[str]) -> None:
    if words[:2] == ["-m", "safeops"]:
        _safeops(words[2:])
    else:
        sys.path.insert(0, os.getcwd())
        runpy.run_path(words[0], run_name="__main__")


def _pytest(words: list[str]) -> None:
    # Without the other plugins that are installed here, it starts in a quarter of the time.
    alone = os.environ | {"PYTEST_DISABLE_PLUGIN_AUTOLOAD": "1"}
    command = [sys.executable, "-m", "pytest", *words, "-q", "-p", "safeops.testing.plugin", "-p", "no:cacheprovider"]
    done = subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, env=alone)
    print(done.stdout)
    raise SystemExit(done.returncode)


@contextlib.contextmanager
def _fresh_process(log: io.StringIO) -> Iterator[None]:
    """At the end, remove the modules that a command has imported from the folder, and restore logging."""
    modules, path = set(sys.modules), list(sys.path)
    root, alembic, safeops = (logging.getLogger(name) for name in ("", "alembic", "safeops"))
    kept = root.handlers[:], root.level, alembic.level, safeops.level
    handler = logging.StreamHandler(log)
    safeops.addHandler(handler)
    try:
        yield
    finally:
        safeops.removeHandler(handler)
        root.handlers[:], root.level, alembic.level, safeops.level = kept
        sys.path[:] = path
        for name in set(sys.modules) - modules:
            if getattr(sys.modules[name], "__file__", None) and _is_here(str(sys.modules[name].__file__)):
                del sys.modules[name]


def _is_here(file: str) -> bool:
    return Path(file).is_relative_to(Path.cwd())


def only_file(pattern: str) -> Path:
    """Return the only file that a pattern on a page matches."""
    (found,) = glob.glob(pattern)
    return Path(found)
