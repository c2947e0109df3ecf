"""What a project checks its files by: ruff, its formatter and mypy --strict, each with its default rules."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

import pytest


def assert_accepted(files: Iterable[Path], *, check: bool = True, cache: Path | None = None) -> None:
    """The files pass ``ruff check`` and ``ruff format --check``; given a folder for its cache, ``mypy --strict`` as well."""
    paths = [str(file) for file in files]
    assert paths
    if check:
        _run("ruff", "check", "--isolated", "--no-cache", "--extend-select=I", *paths)
    _run("ruff", "format", "--isolated", "--no-cache", "--check", "--diff", *paths)
    if cache:
        options = ["--strict", "--config-file=", f"--cache-dir={cache}", "--scripts-are-modules"]
        _run("mypy", *options, *paths)


def _run(*command: str) -> None:
    if shutil.which(command[0]) is None:
        message = f"{command[0]} is not installed"
        pytest.fail(message) if os.environ.get("CI", "").lower() in ("1", "true") else pytest.skip(message)
    # If safeops is not part of the project, as it is for those who have it installed.
    done = subprocess.run(command, capture_output=True, text=True, cwd=Path(command[-1]).parent)
    assert done.returncode == 0, done.stdout + done.stderr
